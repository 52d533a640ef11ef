//! The few facts of an ELF file that decide about preloading.

use object::Endianness;
use object::elf::{
    DT_NEEDED, DT_SONAME, EM_386, EM_AARCH64, EM_ARM, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64,
    PT_INTERP,
};
use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use std::io;
use std::path::Path;

/// Machines by the names that Rust targets and package managers use, with their code and width.
const MACHINES: &[(u16, bool, &str)] = &[
    (EM_X86_64, true, "x86_64"),
    (EM_X86_64, false, "x32"),
    (EM_386, false, "i386"),
    (EM_AARCH64, true, "aarch64"),
    (EM_ARM, false, "arm"),
    (EM_RISCV, true, "riscv64"),
    (EM_PPC64, true, "powerpc64"),
    (EM_S390, true, "s390x"),
];

/// An ELF program's headers, as far as they matter here.
#[derive(Debug)]
pub(crate) struct Elf {
    machine: &'static str,
    linker: Option<String>,
    name: Option<String>,
    needed: Vec<String>,
}

impl Elf {
    /// Reads the headers of the file at `path`; `None` if it is no ELF file.
    ///
    /// # Errors
    /// The file cannot be read, or claims to be an ELF file and is not well formed.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Elf>> {
        let data = std::fs::read(path)?;
        let broken = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        match object::FileKind::parse(&*data) {
            Ok(object::FileKind::Elf64) => parse::<FileHeader64<Endianness>>(&data),
            Ok(object::FileKind::Elf32) => parse::<FileHeader32<Endianness>>(&data),
            _ => return Ok(None),
        }
        .map(Some)
        .map_err(broken)
    }

    /// Whether our library is code for the same machine.
    pub(crate) fn is_ours(&self) -> bool {
        self.machine == std::env::consts::ARCH
    }

    /// The machine's name.
    pub(crate) fn machine(&self) -> &'static str {
        self.machine
    }

    /// The dynamic linker it asks for; `None` if it is static.
    pub(crate) fn linker(&self) -> Option<&str> {
        self.linker.as_deref()
    }

    /// Whether it is glibc's dynamic linker itself, which preloads for the program it is given.
    pub(crate) fn is_linker(&self) -> bool {
        self.name.as_deref().is_some_and(|name| name.starts_with("ld-linux"))
    }

    /// The libraries it asks for, by name.
    pub(crate) fn needed(&self) -> &[String] {
        &self.needed
    }
}

fn parse<H: FileHeader<Endian = Endianness>>(data: &[u8]) -> object::Result<Elf> {
    let header = H::parse(data)?;
    let endian = header.endian()?;
    let machine = MACHINES
        .iter()
        .find(|row| (row.0, row.1) == (header.e_machine(endian), header.is_class_64()))
        .map_or("another machine", |row| row.2);
    let mut elf = Elf { machine, linker: None, name: None, needed: Vec::new() };
    let headers = header.program_headers(endian, data)?;
    for segment in headers {
        if segment.p_type(endian) == PT_INTERP
            && let Ok(bytes) = segment.data(endian, data)
        {
            let path = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            elf.linker = Some(String::from_utf8_lossy(path).into_owned());
        }
    }
    let sections = header.sections(endian, data)?;
    if let Some((entries, strings)) = sections.dynamic(endian, data)? {
        let strings = sections.strings(endian, data, strings)?;
        for entry in entries {
            let tag = entry.tag32(endian);
            if tag == Some(DT_NEEDED) || tag == Some(DT_SONAME) {
                let text = String::from_utf8_lossy(entry.string(endian, strings)?).into_owned();
                if tag == Some(DT_NEEDED) { elf.needed.push(text) } else { elf.name = Some(text) }
            }
        }
    }
    Ok(elf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_a_dynamic_program_for_this_machine() {
        let elf = Elf::read(&std::env::current_exe().unwrap()).unwrap().unwrap();
        assert!(elf.is_ours());
        assert!(elf.linker().is_some_and(|path| path.contains("ld-")), "{elf:?}");
        assert!(elf.needed().iter().any(|name| name.starts_with("libc.so")), "{elf:?}");
        assert!(!elf.is_linker());
    }

    #[test]
    fn a_text_is_no_program_and_half_an_elf_file_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "plain text").unwrap();
        assert!(Elf::read(&path).unwrap().is_none());
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        std::fs::write(&path, &whole[..100]).unwrap();
        assert!(Elf::read(&path).is_err());
    }
}

//! What a program is, and whether a preloaded library can serve it.
//!
//! The kernel and the dynamic linker decide what becomes of `LD_PRELOAD`; this file asks their
//! questions beforehand, so that `run` and `doctor` can say why not, and what to do. It follows
//! `#!` lines as the kernel does, and `env` in them.

mod elf;
mod resolve;

pub(crate) use elf::Elf;
pub(crate) use resolve::resolve;

use crate::sys;
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// `#!` lines that the kernel follows before it gives up (`search_binary_handler`, Linux 6.18).
const SCRIPT_DEPTH_MAX: usize = 5;
/// The kernel reads this much of a file to see what it is (`BINPRM_BUF_SIZE`).
const HEAD_LEN: u64 = 256;

/// A program as the kernel will find it.
pub(crate) struct Program {
    /// The scripts on the way to the image, outermost first.
    pub(crate) scripts: Vec<PathBuf>,
    /// The file that holds the machine code.
    pub(crate) image: PathBuf,
    /// What that file is; `None` if it is no ELF file.
    pub(crate) elf: Option<Elf>,
    /// The file may be executed but not read, so that nobody but the kernel knows what it is.
    pub(crate) is_unreadable: bool,
    /// The privilege that running it confers, which makes the linker ignore `LD_PRELOAD`.
    privilege: Option<&'static str>,
}

impl Program {
    /// Looks at the file at `path`, follows `#!` lines, and reads the image's headers.
    pub(crate) fn examine(path: &Path) -> Result<Program> {
        let mut scripts = Vec::new();
        let mut image = path.to_owned();
        while let Some(interpreter) = interpreter(&image)? {
            scripts.push(std::mem::replace(&mut image, interpreter));
            if scripts.len() > SCRIPT_DEPTH_MAX {
                anyhow::bail!("{}: #! lines lead on and on", path.display());
            }
        }
        let (elf, is_unreadable) = match Elf::read(&image) {
            Ok(elf) => (elf, false),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => (None, true),
            Err(error) => return Err(error).with_context(|| image.display().to_string()),
        };
        let privilege = privilege(&image)?;
        Ok(Program { scripts, image, elf, is_unreadable, privilege })
    }

    /// Why a preloaded library cannot serve this program, if it cannot.
    pub(crate) fn obstacle(&self) -> Option<Obstacle> {
        let Some(elf) = &self.elf else {
            let privileged = self.privilege.map(Obstacle::Privileged);
            return if self.is_unreadable { privileged } else { Some(Obstacle::NotElf) };
        };
        if !elf.is_ours() {
            return Some(Obstacle::Architecture(elf.machine()));
        }
        if let Some(privilege) = self.privilege {
            return Some(Obstacle::Privileged(privilege));
        }
        match elf.linker() {
            _ if elf.is_linker() => None,
            None => Some(Obstacle::Static),
            Some(linker) if linker.contains("ld-musl") => Some(Obstacle::Musl),
            Some(_) => None,
        }
    }
}

/// Why `LD_PRELOAD` does nothing for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Not an ELF file, and no `#!` line either.
    NotElf,
    /// Code for another machine, which the word names.
    Architecture(&'static str),
    /// No dynamic linker takes part in starting it.
    Static,
    /// Linked against another C library than ours.
    Musl,
    /// It gains privileges by the means that the words name.
    Privileged(&'static str),
}

impl Obstacle {
    /// A word for machines to read.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Obstacle::NotElf => "not-elf",
            Obstacle::Architecture(_) => "architecture",
            Obstacle::Static => "static",
            Obstacle::Musl => "musl",
            Obstacle::Privileged(_) => "privileged",
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::NotElf => f.write_str(
                "neither an ELF program nor a script with a #! line; name the interpreter: \
                 ringfence run -- INTERPRETER FILE",
            ),
            Obstacle::Architecture(machine) => write!(
                f,
                "a program for {machine}, while libringfence.so is for {}; use a ringfence built \
                 for {machine}",
                std::env::consts::ARCH
            ),
            Obstacle::Static => f.write_str(
                "statically linked, so no library can be loaded into it; link it dynamically",
            ),
            Obstacle::Musl => f.write_str(
                "linked against musl, while libringfence.so is linked against glibc; use a glibc \
                 build of the program",
            ),
            Obstacle::Privileged(means) => write!(
                f,
                "it gains privileges by {means}, and the dynamic linker then ignores LD_PRELOAD; \
                 run a copy without that as a user who has the privileges"
            ),
        }
    }
}

/// The program that runs `path`, if that is a script.
fn interpreter(path: &Path) -> Result<Option<PathBuf>> {
    let mut head = Vec::new();
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        // It may be executed all the same, but not as a script, which its interpreter has to read.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    file.take(HEAD_LEN).read_to_end(&mut head).with_context(|| path.display().to_string())?;
    let Some(line) = head.strip_prefix(b"#!") else { return Ok(None) };
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| b" \t".contains(byte)).filter(|word| !word.is_empty());
    let Some(first) = words.next() else { anyhow::bail!("{}: empty #! line", path.display()) };
    let first = Path::new(OsStr::from_bytes(first));
    let target = match words.find(|word| !is_env_prefix(word)) {
        Some(word) if first.file_name() == Some(OsStr::new("env")) => {
            resolve(OsStr::from_bytes(word))
        }
        _ => resolve::runnable(first),
    };
    target.map(Some).with_context(|| format!("{}: its #! line", path.display()))
}

/// Options and assignments that may precede the program's name in `#!/usr/bin/env ...`.
fn is_env_prefix(word: &[u8]) -> bool {
    word.starts_with(b"-") || word.contains(&b'=')
}

/// The means by which running `image` confers privileges on this process, if it does.
fn privilege(image: &Path) -> Result<Option<&'static str>> {
    const SET_ID_AND_EXECUTE: u32 = libc::S_ISGID | libc::S_IXGRP;
    let file = std::fs::metadata(image).with_context(|| image.display().to_string())?;
    let mode = file.permissions().mode();
    let me = sys::Identity::of_this_process();
    if me.no_new_privileges {
        return Ok(None);
    }
    Ok(if mode & libc::S_ISUID != 0 && file.uid() != me.uid {
        Some("its set-user-ID bit")
    } else if mode & SET_ID_AND_EXECUTE == SET_ID_AND_EXECUTE && file.gid() != me.gid {
        Some("its set-group-ID bit")
    } else if me.uid != 0 && sys::has_file_capabilities(image) {
        Some("file capabilities")
    } else {
        None
    })
}

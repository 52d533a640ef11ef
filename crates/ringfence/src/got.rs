//! The replacements of `install`: written into the tables through which loaded objects call libc.
//!
//! A preload is found by the loader before libc. A program that calls [`crate::install`] has been
//! linked to libc already, so the addresses that the loader has put into each object's tables are
//! exchanged. Nothing is exported for this.
#![expect(unsafe_code, reason = "reads relocations and writes the slots they name")]

use crate::objects::Object;
use crate::patch::PAGE;
use crate::raw;
use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering::Release};

const DT_PLTRELSZ: u64 = 2;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_JMPREL: u64 = 23;

/// Relocations whose slot holds nothing but a function's address.
const R_X86_64_64: u32 = 1;
const R_X86_64_GLOB_DAT: u32 = 6;
const R_X86_64_JUMP_SLOT: u32 = 7;

/// `Elf64_Rela`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Rela {
    offset: u64,
    info: u64,
    addend: u64,
}

/// The name is the first word of `Elf64_Sym`, which has this size.
const SYMBOL_LEN: u64 = 24;

macro_rules! names_and_addresses {
    ($($name:ident => $function:path,)*) => {
        /// Names and addresses of the replacements.
        fn replacement(name: &[u8]) -> Option<usize> {
            $(
                if name == stringify!($name).as_bytes() {
                    return Some($function as *const () as usize);
                }
            )*
            None
        }
    };
}

crate::for_each_replacement!(names_and_addresses);

/// What an object's dynamic section says of its relocations.
#[derive(Clone, Copy, Debug, Default)]
struct Tables {
    names: u64,
    symbols: u64,
    /// Address and length of each list.
    lists: [(u64, u64); 2],
}

fn tables(object: &Object) -> Option<Tables> {
    if object.dynamic == 0 {
        return None;
    }
    // glibc has relocated these in place, other loaders leave them.
    let address = |value: u64| if value < object.start { object.base + value } else { value };
    let mut tables = Tables::default();
    let mut entry = object.dynamic as *const [u64; 2];
    loop {
        // SAFETY: the section is a list of pairs that ends with a tag of 0.
        let [tag, value] = unsafe { *entry };
        match tag {
            0 => break,
            DT_STRTAB => tables.names = address(value),
            DT_SYMTAB => tables.symbols = address(value),
            DT_RELA => tables.lists[0].0 = address(value),
            DT_RELASZ => tables.lists[0].1 = value,
            DT_JMPREL => tables.lists[1].0 = address(value),
            DT_PLTRELSZ => tables.lists[1].1 = value,
            _ => {}
        }
        // SAFETY: the end has not come yet.
        entry = unsafe { entry.add(1) };
    }
    (tables.names != 0 && tables.symbols != 0).then_some(tables)
}

/// Exchanges the addresses in an object's tables; how many.
pub(crate) fn rewrite(object: &Object) -> usize {
    let Some(tables) = tables(object) else { return 0 };
    let mut count = 0;
    for (at, len) in tables.lists {
        for index in 0..len / size_of::<Rela>() as u64 {
            // SAFETY: the loader has followed the same list.
            let rela = unsafe { *(at as *const Rela).add(index as usize) };
            let is_address =
                matches!(rela.info as u32, R_X86_64_64 | R_X86_64_GLOB_DAT | R_X86_64_JUMP_SLOT);
            if !is_address || rela.addend != 0 {
                continue;
            }
            let symbol = tables.symbols + (rela.info >> 32) * SYMBOL_LEN;
            // SAFETY: relocations name symbols of the object's table, and these names of its own.
            let name = unsafe {
                let offset = *(symbol as *const u32);
                CStr::from_ptr((tables.names + u64::from(offset)) as *const libc::c_char)
            };
            if let Some(function) = replacement(name.to_bytes()) {
                count += usize::from(set(object, object.base + rela.offset, function));
            }
        }
    }
    count
}

/// Writes a slot; false if its memory stays read-only.
fn set(object: &Object, slot: u64, function: usize) -> bool {
    let page = slot & !(PAGE - 1);
    let protect =
        |prot: i32| raw::call(libc::SYS_mprotect, [page, PAGE, prot as u64, 0, 0, 0]) == 0;
    let sealed = object.is_sealed(slot);
    if sealed && !protect(libc::PROT_READ | libc::PROT_WRITE) {
        return false;
    }
    // SAFETY: the slot is a pointer of the loader's, aligned, in memory that can be written now.
    unsafe { (*(slot as *const AtomicUsize)).store(function, Release) };
    if sealed {
        protect(libc::PROT_READ);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_are_known_by_name() {
        assert!(replacement(b"epoll_wait").is_some());
        assert_eq!(replacement(b"mmap"), replacement(b"mmap64"));
        assert_eq!(replacement(b"clos"), None);
    }
}

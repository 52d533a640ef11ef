//! Hears of newly loaded objects from the loader itself.
//!
//! The loader calls an empty function, whose address it gives to debuggers (`r_brk` of `r_debug`),
//! each time its list of objects has changed: after mapping, before an object's constructors run,
//! and for whatever reason it was loaded. A jump is put over that function. An interposed `dlopen`
//! would change who seems to call it, on which search paths depend, and come too late for
//! constructors.
#![expect(unsafe_code, reason = "reads the loader's record for debuggers; assembly")]

use crate::objects::Object;
use crate::patch::{PAGE, Stubs, replace_page};
use crate::{init, stub};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};

const DT_DEBUG: u64 = 21;

/// `r_state`: the list is whole.
const RT_CONSISTENT: u32 = 0;

/// The loader's record, as `link.h` has it.
#[repr(C)]
struct Record {
    version: i32,
    map: usize,
    notify: u64,
    state: AtomicU32,
}

static RECORD: AtomicPtr<Record> = AtomicPtr::new(std::ptr::null_mut());

std::arch::global_asm!(
    ".text",
    ".hidden ringfence_loader_notify",
    ".globl ringfence_loader_notify",
    ".type ringfence_loader_notify, @function",
    // The function it stands for changes no register, and its callers may know that.
    "ringfence_loader_notify:",
    "push rbp",
    "mov rbp, rsp",
    "push rax",
    "push rcx",
    "push rdx",
    "push rsi",
    "push rdi",
    "push r8",
    "push r9",
    "push r10",
    "push r11",
    "sub rsp, 520",
    "and rsp, -64",
    "fxsave64 [rsp]",
    "call {notice}",
    "fxrstor64 [rsp]",
    "mov r11, [rbp - 72]",
    "mov r10, [rbp - 64]",
    "mov r9, [rbp - 56]",
    "mov r8, [rbp - 48]",
    "mov rdi, [rbp - 40]",
    "mov rsi, [rbp - 32]",
    "mov rdx, [rbp - 24]",
    "mov rcx, [rbp - 16]",
    "mov rax, [rbp - 8]",
    "mov rsp, rbp",
    "pop rbp",
    "ret",
    ".size ringfence_loader_notify, . - ringfence_loader_notify",
    notice = sym notice,
);

unsafe extern "C" {
    fn ringfence_loader_notify();
}

unsafe extern "C" fn notice() {
    // SAFETY: null, or the loader's own record, which it never frees.
    let record = unsafe { RECORD.load(Relaxed).as_ref() };
    if record.is_some_and(|record| record.state.load(Relaxed) == RT_CONSISTENT) {
        init::objects_changed();
    }
}

/// The record, through the program's dynamic section.
fn find_record(program: &Object) -> Option<*mut Record> {
    if program.dynamic == 0 {
        return None;
    }
    let mut entry = program.dynamic as *const [u64; 2];
    loop {
        // SAFETY: the section is a list of pairs that ends with a tag of 0.
        let [tag, value] = unsafe { *entry };
        match tag {
            0 => return None,
            DT_DEBUG => return (value != 0).then_some(value as *mut Record),
            // SAFETY: the end has not come yet.
            _ => entry = unsafe { entry.add(1) },
        }
    }
}

/// Whether the function is empty and nothing but padding follows it in the bytes a jump takes.
///
/// This runs in every process, most of which have no call site: so it is done without the decoder,
/// whose tables take longer to set up than all the rest.
fn is_empty_function(code: &[u8]) -> bool {
    const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
    const RET: u8 = 0xc3;
    if code.starts_with(&ENDBR64) {
        // Five bytes in all.
        return code[4] == RET;
    }
    // Compilers pad with forms of nop that start so, one of which fills the place; or with int3.
    const LONG_NOPS: [&[u8]; 4] = [
        &[0x66, 0x66, 0x2e, 0x0f, 0x1f],
        &[0x66, 0x2e, 0x0f, 0x1f],
        &[0x66, 0x0f, 0x1f],
        &[0x0f, 0x1f],
    ];
    code[0] == RET
        && (LONG_NOPS.iter().any(|nop| code[1..].starts_with(nop))
            || code[1..5].iter().all(|&byte| byte == 0x90)
            || code[1..5].iter().all(|&byte| byte == 0xcc))
}

/// Puts the jump; false if this loader's function is not as expected.
pub(crate) fn listen(objects: &[Object]) -> bool {
    let Some(record) = objects.first().and_then(find_record) else { return false };
    // SAFETY: the loader's own record.
    let at = unsafe { (*record).notify };
    let Some(loader) = objects.iter().find(|object| object.contains(at)) else { return false };
    let Some(segment) = loader.code.iter().find(|code| code.start <= at && at + 16 <= code.end())
    else {
        return false;
    };
    let offset = (at - segment.start) as usize;
    let page = at & !(PAGE - 1);
    if at % 16 != 0 || !is_empty_function(&segment.bytes()[offset..offset + 16]) {
        return false;
    }
    let Some(mut stubs) = Stubs::near(loader, PAGE) else { return false };
    let mut code = Vec::new();
    stub::push_far_jump(&mut code, ringfence_loader_notify as *const () as u64);
    let Some(jump) = stubs.push(&code).and_then(|stub| stub::jump(at, stub)) else {
        return false;
    };
    RECORD.store(record, Relaxed);
    stubs.seal().is_some() && replace_page(page, &[(at, jump)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_forms_of_an_empty_function() {
        let padding = [0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0, 0x0f, 0x1f, 0x40, 0];
        let plain: Vec<u8> = [0xc3].into_iter().chain(padding).collect();
        assert!(is_empty_function(&plain));
        assert!(is_empty_function(&[0xf3, 0x0f, 0x1e, 0xfa, 0xc3, 0x55, 0x55]));
        assert!(!is_empty_function(&[0xc3, 0x55, 0x48, 0x89, 0xe5]));
        assert!(!is_empty_function(&[0xcc, 0x66, 0x90, 0x66, 0x90]));
    }
}

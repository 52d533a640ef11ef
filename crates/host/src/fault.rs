//! Copies from and to memory of the program's that may not be there.
//!
//! The copy is a few instructions at known addresses. A handler for SIGSEGV and SIGBUS, which the
//! process's owner of signals calls first, moves a thread that faults in them to their exit, and
//! the copy reports how much it did not do. Without such a handler the kernel makes the copy.
#![expect(unsafe_code, reason = "assembly with a fix-up for faults")]

use ringfence_abi::{Errno, Result};
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once a handler calls [`handle`].
static HANDLED: AtomicBool = AtomicBool::new(false);

std::arch::global_asm!(
    // size_t ringfence_copy(dst rdi, src rsi, len rdx) -> bytes not copied
    ".hidden ringfence_copy",
    ".globl ringfence_copy",
    ".type ringfence_copy, @function",
    "ringfence_copy:",
    "mov rcx, rdx",
    ".hidden ringfence_copy_start",
    ".globl ringfence_copy_start",
    "ringfence_copy_start:",
    "cmp rcx, 8",
    "jb 3f",
    "2:",
    "mov rax, qword ptr [rsi]",
    "mov qword ptr [rdi], rax",
    "add rsi, 8",
    "add rdi, 8",
    "sub rcx, 8",
    "cmp rcx, 8",
    "jae 2b",
    "3:",
    "rep movsb",
    ".hidden ringfence_copy_exit",
    ".globl ringfence_copy_exit",
    "ringfence_copy_exit:",
    "mov rax, rcx",
    "ret",
    ".size ringfence_copy, . - ringfence_copy",
);

unsafe extern "C" {
    fn ringfence_copy(dst: *mut u8, src: *const u8, len: usize) -> usize;
    static ringfence_copy_start: u8;
    static ringfence_copy_exit: u8;
}

/// Says that from now on the process's SIGSEGV and SIGBUS handler calls [`handle`] first.
pub fn set_handled() {
    HANDLED.store(true, Ordering::Release);
}

/// Called by a handler of SIGSEGV or SIGBUS with the interrupted instruction pointer; the address
/// at which to go on, if the fault was in a copy of ours.
pub fn fixup(ip: u64) -> Option<u64> {
    let start = std::ptr::addr_of!(ringfence_copy_start) as u64;
    let exit = std::ptr::addr_of!(ringfence_copy_exit) as u64;
    (ip >= start && ip < exit).then_some(exit)
}

/// Called by a handler of SIGSEGV or SIGBUS with its `ucontext_t`; true if it was ours and mended.
///
/// # Safety
/// `context` must be the third argument of a signal handler.
pub unsafe fn handle(context: *mut libc::ucontext_t) -> bool {
    // SAFETY: the caller passes the kernel's frame, which is ours to change until it returns.
    let registers = unsafe { &mut (*context).uc_mcontext.gregs };
    match fixup(registers[libc::REG_RIP as usize] as u64) {
        Some(exit) => {
            registers[libc::REG_RIP as usize] = exit as i64;
            true
        }
        None => false,
    }
}

/// Copies `len` bytes between the engine and the program.
fn copy(dst: u64, src: u64, len: usize) -> Result<()> {
    if dst.checked_add(len as u64).is_none() || src.checked_add(len as u64).is_none() {
        return Err(Errno::EFAULT);
    }
    // SAFETY: one side is memory of the engine's, given as a slice; the other may be anything, and
    // a fault on it ends the copy through the fix-up.
    let left = unsafe { ringfence_copy(dst as *mut u8, src as *const u8, len) };
    if left == 0 { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Copies with the kernel's help, where no handler is there for faults.
fn copy_by_kernel(number: i64, engine: u64, program: u64, len: usize) -> Result<()> {
    let local = libc::iovec { iov_base: engine as *mut _, iov_len: len };
    let remote = libc::iovec { iov_base: program as *mut _, iov_len: len };
    let pid = crate::os::syscall(libc::SYS_getpid, [0; 6])?;
    let args =
        [pid, std::ptr::from_ref(&local) as u64, 1, std::ptr::from_ref(&remote) as u64, 1, 0];
    match crate::os::syscall(number, args) {
        Ok(done) if done == len as u64 => Ok(()),
        Ok(_) => Err(Errno::EFAULT),
        Err(_) => Err(Errno::EFAULT),
    }
}

/// Copies from the program.
///
/// # Errors
/// `EFAULT` if any byte cannot be read.
pub fn copy_in(addr: u64, out: &mut [u8]) -> Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    if HANDLED.load(Ordering::Acquire) {
        copy(out.as_mut_ptr() as u64, addr, out.len())
    } else {
        copy_by_kernel(libc::SYS_process_vm_readv, out.as_mut_ptr() as u64, addr, out.len())
    }
}

/// Copies to the program.
///
/// # Errors
/// `EFAULT` if any byte cannot be written.
pub fn copy_out(addr: u64, data: &[u8]) -> Result<()> {
    if data.is_empty() {
        return Ok(());
    }
    if HANDLED.load(Ordering::Acquire) {
        copy(addr, data.as_ptr() as u64, data.len())
    } else {
        copy_by_kernel(libc::SYS_process_vm_writev, data.as_ptr() as u64, addr, data.len())
    }
}

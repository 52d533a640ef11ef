//! Accesses to memory of the program's that may not be there: copies, and words of its rings.
//!
//! Each is a few instructions at known addresses. A handler for SIGSEGV and SIGBUS, which the
//! process's owner of signals calls first, moves a thread that faults in them to their exit, and
//! the access reports what it did not do. Without such a handler the kernel makes the copies, and
//! words are not accessed here at all.
#![expect(unsafe_code, reason = "assembly with a fix-up for faults")]

use ringfence_abi::{Errno, Result};
use std::sync::OnceLock;
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

std::arch::global_asm!(
    // unsigned ringfence_word_*(word rdi, value or place of one rsi) -> 0, or 1 if it is not there
    ".hidden ringfence_word_load",
    ".globl ringfence_word_load",
    ".type ringfence_word_load, @function",
    "ringfence_word_load:",
    "mov eax, dword ptr [rdi]",
    "mov dword ptr [rsi], eax",
    "xor eax, eax",
    "ret",
    ".hidden ringfence_word_store",
    ".globl ringfence_word_store",
    ".type ringfence_word_store, @function",
    "ringfence_word_store:",
    "xchg dword ptr [rdi], esi",
    "xor eax, eax",
    "ret",
    ".hidden ringfence_word_set",
    ".globl ringfence_word_set",
    ".type ringfence_word_set, @function",
    "ringfence_word_set:",
    "lock or dword ptr [rdi], esi",
    "xor eax, eax",
    "ret",
    ".hidden ringfence_word_clear",
    ".globl ringfence_word_clear",
    ".type ringfence_word_clear, @function",
    "ringfence_word_clear:",
    "not esi",
    "lock and dword ptr [rdi], esi",
    "xor eax, eax",
    "ret",
    ".hidden ringfence_word_exit",
    ".globl ringfence_word_exit",
    "ringfence_word_exit:",
    "mov eax, 1",
    "ret",
    ".size ringfence_word_clear, . - ringfence_word_clear",
);

unsafe extern "C" {
    fn ringfence_copy(dst: *mut u8, src: *const u8, len: usize) -> usize;
    static ringfence_copy_start: u8;
    static ringfence_copy_exit: u8;
    fn ringfence_word_load(word: u64, value: *mut u32) -> u32;
    fn ringfence_word_store(word: u64, value: u32) -> u32;
    fn ringfence_word_set(word: u64, bits: u32) -> u32;
    fn ringfence_word_clear(word: u64, bits: u32) -> u32;
    static ringfence_word_exit: u8;
}

/// Says that from now on the process's SIGSEGV and SIGBUS handler calls [`handle`] first.
pub fn set_handled() {
    HANDLED.store(true, Ordering::Release);
}

/// Whether a handler calls [`fixup`] or [`handle`], so that an access may fault.
#[inline]
pub fn is_handled() -> bool {
    HANDLED.load(Ordering::Acquire)
}

/// Called by a handler of SIGSEGV or SIGBUS with the interrupted instruction pointer; the address
/// at which to go on, if the fault was in an access of ours.
pub fn fixup(ip: u64) -> Option<u64> {
    let ranges = [
        (&raw const ringfence_copy_start as u64, &raw const ringfence_copy_exit as u64),
        (ringfence_word_load as *const () as u64, &raw const ringfence_word_exit as u64),
    ];
    ranges.into_iter().find(|(start, exit)| (*start..*exit).contains(&ip)).map(|(_, exit)| exit)
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

/// What SIGSEGV and SIGBUS did before [`own`].
static BEFORE: OnceLock<[libc::sigaction; 2]> = OnceLock::new();

unsafe extern "C" fn handler(signal: i32, _: *mut libc::siginfo_t, context: *mut libc::ucontext_t) {
    // SAFETY: it is the third argument of a signal handler.
    if unsafe { handle(context) } {
        return;
    }
    // The instruction faults again, and who was there before hears of it.
    let before = BEFORE.get().map(|before| &before[usize::from(signal == libc::SIGBUS)]);
    let before = before.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: as `sigaction` returned it, or nothing.
    unsafe { libc::sigaction(signal, before, std::ptr::null_mut()) };
}

/// Makes the faults of the engine's own accesses ours, in a program in which nobody sees to it.
pub fn own() {
    BEFORE.get_or_init(|| [libc::SIGSEGV, libc::SIGBUS].map(handle_first));
    set_handled();
}

/// Puts [`handler`] before who handles the signal; that one.
fn handle_first(signal: i32) -> libc::sigaction {
    // SAFETY: all bits of the structure may be zero; the handler takes three arguments, as SA_SIGINFO
    // says, and does nothing that a handler may not.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut before: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(signal, &action, &mut before);
        before
    }
}

/// Loads a word; `None` if it is not there.
pub fn load(word: u64) -> Option<u32> {
    let mut value = 0;
    // SAFETY: the word may be anything, and a fault on it ends the access through the fix-up; the
    // value is ours.
    (unsafe { ringfence_word_load(word, &mut value) } == 0).then_some(value)
}

/// Stores a word, if it is there.
pub fn store(word: u64, value: u32) {
    // SAFETY: as above; the program's memory is its own to be written where it asked for that.
    unsafe { ringfence_word_store(word, value) };
}

/// Sets bits of a word, if it is there.
pub fn set_bits(word: u64, bits: u32) {
    // SAFETY: as above.
    unsafe { ringfence_word_set(word, bits) };
}

/// Clears bits of a word, if it is there.
pub fn clear_bits(word: u64, bits: u32) {
    // SAFETY: as above.
    unsafe { ringfence_word_clear(word, bits) };
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
    if is_handled() {
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
    if is_handled() {
        copy(addr, data.as_ptr() as u64, data.len())
    } else {
        copy_by_kernel(libc::SYS_process_vm_writev, data.as_ptr() as u64, addr, data.len())
    }
}

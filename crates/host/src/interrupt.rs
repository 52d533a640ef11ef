//! System calls that another thread, or a signal handler, can end.
//!
//! A handler that runs just before a system call would be missed by it. So such a call looks at a
//! word first, and its instructions are at known addresses: a handler that finds its thread between
//! look and call, or about to make an interrupted call again, has it [`leave`].
//!
//! The engine's workers are interrupted by a SIGSYS with a value of our own. Its handler belongs to
//! whoever owns the process's signals, and calls [`on_signal`]; a program without such an owner asks
//! for [`own`], or its workers are not interrupted.
#![expect(unsafe_code, reason = "a system call whose instructions a signal handler knows")]

use crate::os::syscall;
use ringfence_abi::{Errno, Result};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

std::arch::global_asm!(
    ".text",
    ".hidden ringfence_call",
    ".globl ringfence_call",
    ".type ringfence_call, @function",
    // long ringfence_call(number rdi, const u64 args[6] rsi, const u32 *interrupted rdx)
    "ringfence_call:",
    "mov rax, rdi",
    "mov r11, rdx",
    "mov rdi, [rsi]",
    "mov rdx, [rsi + 16]",
    "mov r10, [rsi + 24]",
    "mov r8, [rsi + 32]",
    "mov r9, [rsi + 40]",
    "mov rsi, [rsi + 8]",
    ".hidden ringfence_call_check",
    ".globl ringfence_call_check",
    "ringfence_call_check:",
    "cmp dword ptr [r11], 0",
    "jne ringfence_call_leave",
    "syscall",
    ".hidden ringfence_call_done",
    ".globl ringfence_call_done",
    "ringfence_call_done:",
    "ret",
    ".hidden ringfence_call_leave",
    ".globl ringfence_call_leave",
    "ringfence_call_leave:",
    "mov rax, -4",
    "ret",
    ".size ringfence_call, . - ringfence_call",
);

unsafe extern "C" {
    fn ringfence_call(number: i64, args: *const u64, interrupted: *const u32) -> i64;
    static ringfence_call_check: u8;
    static ringfence_call_done: u8;
    static ringfence_call_leave: u8;
}

/// Makes a system call unless `interrupted` is not 0, which is answered with `EINTR`; the answer is
/// the kernel's, an error a negated number.
pub fn call(number: i64, args: &[u64; 6], interrupted: &AtomicU32) -> i64 {
    // SAFETY: six arguments and a word; the kernel checks what the arguments name.
    unsafe { ringfence_call(number, args.as_ptr(), interrupted.as_ptr().cast_const()) }
}

/// Where a thread has to go on that a handler interrupted at `ip`, if that was in [`call`] with the
/// system call not made yet, or to be made again.
pub fn leave(ip: u64) -> Option<u64> {
    let check = std::ptr::addr_of!(ringfence_call_check) as u64;
    let done = std::ptr::addr_of!(ringfence_call_done) as u64;
    (check..done).contains(&ip).then_some(std::ptr::addr_of!(ringfence_call_leave) as u64)
}

/// Set once a handler of SIGSYS calls [`on_signal`].
static HANDLED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Not 0 once this thread, a worker, is interrupted.
    static INTERRUPTED: AtomicU32 = const { AtomicU32::new(0) };
}

/// The value that our SIGSYS carries.
fn token() -> u64 {
    std::ptr::from_ref(&HANDLED) as u64
}

/// The kernel's `siginfo_t` of a queued signal.
#[repr(C)]
struct Queued {
    signal: i32,
    errno: i32,
    code: i32,
    pad: i32,
    pid: u32,
    uid: u32,
    value: u64,
    rest: [u64; 12],
}

const _: () = assert!(size_of::<Queued>() == 128);

/// Interrupts a thread of the engine's; without a handler, nothing happens.
pub(crate) fn send(thread: u32) {
    if !HANDLED.load(Ordering::Acquire) {
        return;
    }
    let pid = syscall(libc::SYS_getpid, [0; 6]).unwrap_or(0);
    let info = Queued {
        signal: libc::SIGSYS,
        errno: 0,
        code: libc::SI_QUEUE,
        pad: 0,
        pid: pid as u32,
        uid: 0,
        value: token(),
        rest: [0; 12],
    };
    let at = std::ptr::from_ref(&info) as u64;
    // A thread that has ended needs no signal; a queue that is full loses the interruption.
    let _ = syscall(
        libc::SYS_rt_tgsigqueueinfo,
        [pid, u64::from(thread), libc::SIGSYS as u64, at, 0, 0],
    );
}

/// Makes a system call for as long as the calling thread is not interrupted.
///
/// # Errors
/// Whatever the call gives; `EINTR` once it is.
pub(crate) fn interruptible(number: i64, args: &[u64; 6]) -> Result<u64> {
    match INTERRUPTED.with(|interrupted| call(number, args, interrupted)) {
        error @ -4095..0 => Err(Errno::from_raw(-error as i32)),
        value => Ok(value as u64),
    }
}

/// Ends the calling thread's interruption. One that was sent has come by the end of any system call.
pub(crate) fn recover() {
    let _ = syscall(libc::SYS_sched_yield, [0; 6]);
    INTERRUPTED.with(|interrupted| interrupted.store(0, Ordering::Relaxed));
}

/// For the handler of SIGSYS: true if the signal, of this `si_code` and `si_value`, is ours; then the
/// interrupted thread goes on at `ip`, which may have changed.
pub fn on_signal(code: i32, value: u64, ip: &mut i64) -> bool {
    if code != libc::SI_QUEUE || value != token() {
        return false;
    }
    INTERRUPTED.with(|interrupted| interrupted.store(1, Ordering::Relaxed));
    if let Some(leave) = leave(*ip as u64) {
        *ip = leave as i64;
    }
    true
}

/// Says that from now on the process's handler of SIGSYS calls [`on_signal`] first.
pub fn set_handled() {
    HANDLED.store(true, Ordering::Release);
}

unsafe extern "C" fn handler(_: i32, info: *mut Queued, context: *mut libc::ucontext_t) {
    // SAFETY: the kernel passes both, for as long as this runs.
    let (info, frame) = unsafe { (&*info, &mut *context) };
    on_signal(info.code, info.value, &mut frame.uc_mcontext.gregs[libc::REG_RIP as usize]);
}

/// Makes SIGSYS ours, in a program in which nobody else wants it.
pub fn own() {
    // SAFETY: all bits of the structure may be zero; the handler takes three arguments, as SA_SIGINFO
    // says, and does nothing that a handler may not.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        libc::sigaction(libc::SIGSYS, &action, std::ptr::null_mut());
    }
    set_handled();
}

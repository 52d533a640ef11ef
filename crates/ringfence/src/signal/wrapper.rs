//! The handler that stands before the program's.
#![expect(unsafe_code, reason = "runs as a signal handler and changes the interrupted context")]

use super::{action, bit};
use crate::thread::{self, Thread};
use crate::{raw, trap};
use ringfence_host::interrupt;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::sync::atomic::compiler_fence;

/// The kernel's `siginfo_t`, as far as it is looked at.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct SigInfo {
    pub(crate) signo: i32,
    pub(crate) errno: i32,
    pub(crate) code: i32,
    pad: i32,
    /// SIGSYS: the address after the call. Signals sent by a process: its number and user.
    pub(crate) address: u64,
    /// SIGSYS: the call's number and architecture. Queued signals: the value.
    pub(crate) value: u64,
    rest: [u64; 12],
}

const _: () = assert!(size_of::<SigInfo>() == 128);

/// Faults: the kernel does not wait for them to be let in.
const FAULTS: [i32; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP];

/// What is blocked while signals are put off: all but faults, traps, and glibc's two.
const PUT_OFF: u64 = !(bit(libc::SIGSEGV)
    | bit(libc::SIGBUS)
    | bit(libc::SIGFPE)
    | bit(libc::SIGILL)
    | bit(libc::SIGTRAP)
    | bit(libc::SIGSYS)
    | bit(32)
    | bit(33));

std::arch::global_asm!(
    ".text",
    ".hidden ringfence_restorer",
    ".globl ringfence_restorer",
    ".type ringfence_restorer, @function",
    // Unwinders know this sequence, and look for it at the address before the first byte too.
    "nop",
    "ringfence_restorer:",
    "mov rax, 15",
    "syscall",
    ".size ringfence_restorer, . - ringfence_restorer",
);

unsafe extern "C" {
    fn ringfence_restorer();
}

/// The function that a handler returns to: `rt_sigreturn`.
pub(super) fn restorer() -> usize {
    ringfence_restorer as *const () as usize
}

type Handler = unsafe extern "C-unwind" fn(i32, *mut SigInfo, *mut libc::ucontext_t);

/// Our handler, for every signal.
pub(super) unsafe extern "C-unwind" fn on_signal(
    signal: i32,
    info: *mut SigInfo,
    context: *mut libc::ucontext_t,
) {
    let thread = thread::current();
    // SAFETY: the kernel passes both, for as long as this runs.
    let (sent, frame) = unsafe { (&*info, &mut *context) };
    let by_kernel = sent.code > 0;
    if signal == libc::SIGSYS {
        let ip = &mut frame.uc_mcontext.gregs[libc::REG_RIP as usize];
        if interrupt::on_signal(sent.code, sent.value, ip) || trap::on_sigsys(sent, frame) {
            return;
        }
    }
    if by_kernel && matches!(signal, libc::SIGSEGV | libc::SIGBUS) && mend(frame) {
        return;
    }
    let fault = by_kernel && FAULTS.contains(&signal);
    if thread.hidden_mask.load(Relaxed) & bit(signal) != 0 && !by_kernel {
        thread.hidden_pending.fetch_or(bit(signal), Relaxed);
        return;
    }
    let inside = thread.inside.load(Relaxed);
    let in_window = thread.window.load(Relaxed);
    if inside != 0 && in_window == 0 && !fault {
        put_off(thread, signal, sent, frame);
        return;
    }
    // While it runs, and for good should it jump out, the thread is outside.
    thread.window.store(0, Relaxed);
    thread.inside.store(0, Relaxed);
    compiler_fence(SeqCst);
    thread.handlers.fetch_add(1, Relaxed);
    // SAFETY: what the kernel passed is passed on.
    unsafe { run(signal, info, context) };
    thread.handlers.fetch_sub(1, Relaxed);
    compiler_fence(SeqCst);
    thread.inside.store(inside, Relaxed);
    thread.window.store(in_window, Relaxed);
    if inside != 0 && in_window != 0 {
        thread.interrupted.store(1, Relaxed);
        let ip = &mut frame.uc_mcontext.gregs[libc::REG_RIP as usize];
        if let Some(leave) = interrupt::leave(*ip as u64) {
            *ip = leave as i64;
        }
    }
}

/// Moves a thread that faulted in a copy of the engine's out of it.
fn mend(frame: &mut libc::ucontext_t) -> bool {
    let ip = &mut frame.uc_mcontext.gregs[libc::REG_RIP as usize];
    match ringfence_host::fault::fixup(*ip as u64) {
        Some(exit) => {
            *ip = exit as i64;
            true
        }
        None => false,
    }
}

/// The interrupted context's mask, which is in force again when the handler returns.
fn mask_of(frame: &mut libc::ucontext_t) -> &mut u64 {
    // SAFETY: the first word of its `sigset_t` is the kernel's mask.
    unsafe { &mut *(&raw mut frame.uc_sigmask).cast::<u64>() }
}

fn set_mask(mask: u64) {
    let at = std::ptr::from_ref(&mask) as u64;
    raw::call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as u64, at, 0, 8, 0, 0]);
}

/// Queues the signal for the thread again, with signals blocked until it leaves the engine.
fn put_off(thread: &Thread, signal: i32, info: &SigInfo, frame: &mut libc::ucontext_t) {
    set_mask(PUT_OFF);
    let at = std::ptr::from_ref(info) as u64;
    let (pid, tid) = (raw::getpid() as u64, raw::gettid() as u64);
    raw::call(libc::SYS_rt_tgsigqueueinfo, [pid, tid, signal as u64, at, 0, 0]);
    // A handler that interrupted another one returns to it first: the outermost writes last.
    thread.saved_mask.store(*mask_of(frame), Relaxed);
    thread.deferred.store(1, Relaxed);
    *mask_of(frame) |= PUT_OFF;
}

/// Lets signals in that were put off: their handlers run in here.
#[cold]
pub(crate) fn let_in(thread: &Thread) {
    thread.deferred.store(0, Relaxed);
    let mask = thread.saved_mask.load(Relaxed);
    compiler_fence(SeqCst);
    set_mask(mask);
}

/// Does what the program wants done at the signal.
///
/// # Safety
/// `info` and `context` must be what the kernel passed to the handler.
unsafe fn run(signal: i32, info: *mut SigInfo, context: *mut libc::ucontext_t) {
    let action = action::of(signal);
    let handler = action.handler.load(Acquire);
    // SAFETY: the kernel's record, as this function demands.
    let by_kernel = unsafe { (*info).code > 0 };
    match handler {
        libc::SIG_IGN if !(by_kernel && FAULTS.contains(&signal)) => {}
        libc::SIG_IGN | libc::SIG_DFL => default_action(signal, by_kernel),
        function => {
            if action.flags.load(Relaxed) & libc::SA_RESETHAND as u32 as u64 != 0 {
                action::reset(signal);
            }
            // SAFETY: the program installed this function for this; one that takes fewer
            // arguments ignores the others.
            unsafe {
                let function = std::mem::transmute::<usize, Handler>(function);
                function(signal, info, context);
            }
        }
    }
}

/// What the kernel does at a signal that has no handler, but through ours: mostly, the end.
fn default_action(signal: i32, fault: bool) {
    let default = action::KernelAction::default();
    let Ok(ours) = action::set_kernel(signal, Some(&default)) else { return };
    if fault && FAULTS.contains(&signal) {
        // The instruction is run again on return, and faults under the default action.
        return;
    }
    let args = [raw::getpid() as u64, raw::gettid() as u64, signal as u64, 0, 0, 0];
    raw::call(libc::SYS_tgkill, args);
    let open = bit(signal);
    let at = std::ptr::from_ref(&open) as u64;
    raw::call(libc::SYS_rt_sigprocmask, [libc::SIG_UNBLOCK as u64, at, 0, 8, 0, 0]);
    // Still here: a signal whose default is to be ignored, or to stop.
    let _ = action::set_kernel(signal, Some(&ours));
}

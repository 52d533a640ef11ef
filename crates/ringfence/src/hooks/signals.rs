//! Signal handlers and masks.
#![expect(unsafe_code, reason = "stands before libc's functions")]

use crate::window::from_program;
use crate::{init, raw, real, signal as ours};
use libc::{c_int, sighandler_t, sigset_t};

/// Whether signals are virtual for the caller. A child of vfork sets up its own, in memory of its
/// parent's, so its calls must not be noted.
fn concerned() -> bool {
    init::active() && from_program()
}

/// `sigaction`.
///
/// # Safety
/// As `sigaction(2)`.
pub unsafe extern "C-unwind" fn sigaction(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    if !concerned() {
        // SAFETY: the program's call.
        return unsafe { real::sigaction(signal, new, old) };
    }
    // SAFETY: as the program's call.
    if unsafe { ours::sigaction(signal, new, old) } { 0 } else { -1 }
}

/// Installs a handler with flags, and returns the one before.
unsafe fn simple(signal: c_int, handler: sighandler_t, flags: c_int) -> sighandler_t {
    // SAFETY: an action of zeros is valid, and its own pointers are passed on.
    unsafe {
        let mut new: libc::sigaction = std::mem::zeroed();
        let mut old: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = handler;
        new.sa_flags = flags;
        if handler == libc::SIG_ERR || sigaction(signal, &new, &mut old) != 0 {
            if handler == libc::SIG_ERR {
                raw::set_errno(libc::EINVAL);
            }
            return libc::SIG_ERR;
        }
        old.sa_sigaction
    }
}

/// `signal`, with the semantics of BSD.
///
/// # Safety
/// As `signal(2)`.
pub unsafe extern "C-unwind" fn signal(signal: c_int, handler: sighandler_t) -> sighandler_t {
    // SAFETY: the program's call.
    unsafe { simple(signal, handler, libc::SA_RESTART) }
}

/// `sysv_signal`: the handler runs once, and may be interrupted by its own signal.
///
/// # Safety
/// As `sysv_signal(3)`.
pub unsafe extern "C-unwind" fn sysv_signal(signal: c_int, handler: sighandler_t) -> sighandler_t {
    // SAFETY: the program's call.
    unsafe { simple(signal, handler, libc::SA_RESETHAND | libc::SA_NODEFER) }
}

/// `sigset`: a handler, or 2 (`SIG_HOLD`) to block the signal.
///
/// # Safety
/// As `sigset(3)`.
pub unsafe extern "C-unwind" fn sigset(signal: c_int, handler: sighandler_t) -> sighandler_t {
    const SIG_HOLD: sighandler_t = 2;
    if !(1..=ours::SIGNAL_MAX as c_int).contains(&signal) {
        raw::set_errno(libc::EINVAL);
        return libc::SIG_ERR;
    }
    let one = ours::bit(signal);
    // SAFETY: a set of zeros is valid, and its first word is the kernel's mask.
    unsafe {
        let mut set: sigset_t = std::mem::zeroed();
        let mut old: sigset_t = std::mem::zeroed();
        *(&raw mut set).cast::<u64>() = one;
        let mut action: libc::sigaction = std::mem::zeroed();
        let how = if handler == SIG_HOLD { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
        let before = if handler == SIG_HOLD {
            sigaction(signal, std::ptr::null(), &mut action);
            action.sa_sigaction
        } else {
            simple(signal, handler, 0)
        };
        sigprocmask(how, &set, &mut old);
        if *(&raw const old).cast::<u64>() & one != 0 { SIG_HOLD } else { before }
    }
}

/// Changes the mask; an error is a positive number.
unsafe fn change(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> Result<(), c_int> {
    // SAFETY: the program passes a set or null; its first word is the kernel's mask.
    let set = unsafe { set.cast::<u64>().as_ref() }.copied();
    let before = ours::change_mask(how, set)?;
    if !old.is_null() {
        // SAFETY: the program passes room for a set.
        unsafe {
            *old = std::mem::zeroed();
            *old.cast::<u64>() = before;
        }
    }
    Ok(())
}

/// `sigprocmask`.
///
/// # Safety
/// As `sigprocmask(2)`.
pub unsafe extern "C-unwind" fn sigprocmask(
    how: c_int,
    set: *const sigset_t,
    old: *mut sigset_t,
) -> c_int {
    // SAFETY: as the program's call.
    unsafe {
        if !concerned() {
            return real::sigprocmask(how, set, old);
        }
        match change(how, set, old) {
            Ok(()) => 0,
            Err(number) => {
                raw::set_errno(number);
                -1
            }
        }
    }
}

/// `pthread_sigmask`, which returns its error.
///
/// # Safety
/// As `pthread_sigmask(3)`.
pub unsafe extern "C-unwind" fn pthread_sigmask(
    how: c_int,
    set: *const sigset_t,
    old: *mut sigset_t,
) -> c_int {
    // SAFETY: as the program's call.
    unsafe {
        if !concerned() {
            let errno = raw::errno();
            let failed = real::sigprocmask(how, set, old) != 0;
            let number = raw::errno();
            raw::set_errno(errno);
            return if failed { number } else { 0 };
        }
        change(how, set, old).err().unwrap_or(0)
    }
}

/// A copy of a mask of the program's without the signals that may not be blocked.
///
/// # Safety
/// `mask` must be null or a set.
pub(super) unsafe fn open_mask(mask: *const sigset_t) -> Option<sigset_t> {
    if mask.is_null() || !init::active() {
        return None;
    }
    // SAFETY: the caller's promise; the first word is the kernel's mask.
    unsafe {
        let mut open = *mask;
        let word = (&raw mut open).cast::<u64>();
        *word = ours::stripped(*word);
        Some(open)
    }
}

/// `sigsuspend`.
///
/// # Safety
/// As `sigsuspend(2)`.
pub unsafe extern "C-unwind" fn sigsuspend(mask: *const sigset_t) -> c_int {
    // SAFETY: the program's call, with a copy of its mask.
    unsafe {
        let open = open_mask(mask);
        real::sigsuspend(open.as_ref().map_or(mask, std::ptr::from_ref))
    }
}

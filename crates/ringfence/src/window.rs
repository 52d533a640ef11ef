//! The guard around the engine, and the one place inside it where signals are let in.
//!
//! While a thread is inside the engine, handlers of the program are put off (see `signal`). A
//! blocking wait opens a window: handlers run then, and end the wait with `EINTR`. A handler that
//! runs between the opening and the system call would be missed by the call, which is therefore one
//! that a handler can keep from being made ([`ringfence_host::interrupt`]). No signal mask is changed, so an undisturbed wait costs no other system call.
#![expect(unsafe_code, reason = "reads the mask that a wait is given")]

use crate::signal;
use crate::thread;
use ringfence_host::interrupt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{Ordering, compiler_fence};

/// Makes a system call that may block, with the program's signal handlers let in.
pub(crate) fn wait(number: i64, args: &[u64; 6]) -> i64 {
    let thread = thread::current();
    if thread.inside.load(Relaxed) == 0 {
        return crate::raw::call(number, *args);
    }
    thread.interrupted.store(0, Relaxed);
    compiler_fence(Ordering::SeqCst);
    thread.window.store(1, Relaxed);
    compiler_fence(Ordering::SeqCst);
    if thread.deferred.load(Relaxed) != 0 {
        signal::let_in(thread);
    }
    let (mut args, mut mask) = (*args, 0);
    let looks = matches!(number, libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2);
    if looks && args[4] != 0 {
        // SAFETY: the engine passes the address of a mask of its own.
        mask = signal::stripped(unsafe { *(args[4] as *const u64) });
        args[4] = std::ptr::from_ref(&mask) as u64;
    }
    let result = interrupt::call(number, &args, &thread.interrupted);
    compiler_fence(Ordering::SeqCst);
    thread.window.store(0, Relaxed);
    std::hint::black_box(mask);
    // The kernel ends a wait for work of its own too, and after a stop. Where no handler ran nothing
    // has happened yet; handlers that we do not see are given the benefit of the doubt.
    let ended = looks && result == -i64::from(libc::EINTR);
    let in_vain = ended && thread.interrupted.load(Relaxed) == 0 && !signal::has_foreign();
    if in_vain { 0 } else { result }
}

/// While it lives, the thread is inside the engine.
#[derive(Debug)]
pub(crate) struct Inside {
    nested: bool,
}

impl Inside {
    #[inline]
    pub(crate) fn enter() -> Inside {
        let thread = thread::current();
        let nested = thread.inside.load(Relaxed) != 0;
        thread.inside.store(1, Relaxed);
        compiler_fence(Ordering::SeqCst);
        Inside { nested }
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        if self.nested {
            return;
        }
        let thread = thread::current();
        compiler_fence(Ordering::SeqCst);
        thread.inside.store(0, Relaxed);
        compiler_fence(Ordering::SeqCst);
        if thread.deferred.load(Relaxed) != 0 {
            signal::let_in(thread);
        }
    }
}

/// Whether the thread runs the engine.
pub(crate) fn is_inside() -> bool {
    thread::current().inside.load(Relaxed) != 0
}

/// Whether the call of a hook is the program's, and not the engine's own or that of a child of
/// vfork, whose memory is its parent's.
#[inline]
pub(crate) fn from_program() -> bool {
    let thread = thread::current();
    thread.inside.load(Relaxed) == 0
        && thread.vforked.load(Relaxed) == 0
        && thread.engine.load(Relaxed) == 0
}

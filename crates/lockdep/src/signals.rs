//! Keeps signals out while the validator learns, so that a handler never meets it half done.
#![cfg_attr(
    all(unix, not(miri)),
    expect(unsafe_code, reason = "the signal mask is set through the C library")
)]

/// Signals are blocked on this thread while one of these lives.
#[cfg(all(unix, not(miri)))]
#[must_use]
pub(crate) struct SignalsBlocked {
    old: libc::sigset_t,
}

#[cfg(all(unix, not(miri)))]
impl SignalsBlocked {
    pub(crate) fn new() -> SignalsBlocked {
        // SAFETY: both sets are plain data that the calls fill in and that outlive them; a mask
        // belongs to the calling thread alone.
        unsafe {
            let mut all = std::mem::zeroed();
            let mut old = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut old);
            SignalsBlocked { old }
        }
    }
}

#[cfg(all(unix, not(miri)))]
impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: `old` was filled in by `pthread_sigmask` on this thread: the type is used on
        // the stack only and `sigset_t` holds no pointer.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &self.old, std::ptr::null_mut());
        }
    }
}

/// There are no signals to block.
#[cfg(not(all(unix, not(miri))))]
#[must_use]
pub(crate) struct SignalsBlocked;

#[cfg(not(all(unix, not(miri))))]
impl SignalsBlocked {
    pub(crate) fn new() -> SignalsBlocked {
        SignalsBlocked
    }
}

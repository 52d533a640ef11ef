//! A lock that a fork takes, so that the child finds what it protects whole and free.
//!
//! It is for things that rarely change and are held shortly: who finds it taken yields, and soon
//! sleeps, for one who yields only may be of a priority that lets the holder never come to run, and a
//! fork of a large process takes milliseconds. A lock of the standard library cannot be released by the handlers that run around a fork.
#![expect(unsafe_code, reason = "a lock, released where it was not taken")]

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};

/// How often it is looked at before a sleep.
const YIELDS: u32 = 16;
/// How long a sleep is, nanoseconds.
const PAUSE_NS: u64 = 50_000;

/// The lock and what it protects.
#[derive(Debug)]
pub(crate) struct ForkLock<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by the one thread that has set `taken`.
unsafe impl<T: Send> Sync for ForkLock<T> {}

impl<T> ForkLock<T> {
    pub(crate) const fn new(value: T) -> ForkLock<T> {
        ForkLock { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Takes the lock, as in a handler before a fork.
    pub(crate) fn hold(&self) {
        let mut looks = 0;
        while self.taken.swap(true, Acquire) {
            looks += 1;
            if looks < YIELDS {
                std::thread::yield_now();
            } else {
                let pause = [0_u64, PAUSE_NS];
                crate::raw::call(libc::SYS_nanosleep, [pause.as_ptr() as u64, 0, 0, 0, 0, 0]);
            }
        }
    }

    /// Releases it, as in the handlers after a fork; the caller must have held it.
    pub(crate) fn release(&self) {
        self.taken.store(false, Release);
    }

    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.hold();
        Guard { lock: self }
    }
}

/// While it lives, the lock is taken.
pub(crate) struct Guard<'a, T> {
    lock: &'a ForkLock<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this guard's thread has the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed for no one else.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.lock.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_at_a_time() {
        static COUNT: ForkLock<u32> = ForkLock::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        *COUNT.lock() += 1;
                    }
                });
            }
        });
        assert_eq!(*COUNT.lock(), 40_000);
    }
}

//! Locks, atomics and lock classes: the only place where the engine gets them from.
//!
//! Every lock is of a declared class, and its raw lock is the host's: that of the operating system
//! is a word; others tell a validator, or a scheduler, what is taken and let go of.
#![expect(unsafe_code, reason = "implements a raw lock")]

use crate::{Host, Os, atomic};
use std::panic::Location;
pub use std::sync::Arc;
pub use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

/// A class of locks: all locks that play one role. Make it a `static`; its address names it.
#[derive(Debug)]
pub struct LockClass {
    /// What reports call it.
    pub name: &'static str,
    /// Where it is declared.
    pub site: &'static Location<'static>,
}

impl LockClass {
    /// A class of this name.
    #[track_caller]
    pub const fn new(name: &'static str) -> LockClass {
        LockClass { name, site: Location::caller() }
    }
}

/// A mutex of a declared class.
pub type Mutex<H, T> = lock_api::Mutex<<H as Host>::Lock, T>;
/// Its guard.
pub type MutexGuard<'a, H, T> = lock_api::MutexGuard<'a, <H as Host>::Lock, T>;

/// A free mutex of `class`.
#[inline]
pub fn mutex<H: Host, T>(host: &H, class: &'static LockClass, value: T) -> Mutex<H, T> {
    lock_api::Mutex::from_raw(host.new_lock(class), value)
}

/// How threads sleep on a word: the kernel's futex, but for who explores the lock itself.
pub trait Futex: Host {
    /// Sleeps while `word` is `value`; may return early.
    fn sleep(word: &AtomicU32, value: u32);
    /// Wakes one sleeper on `word`.
    fn rouse(word: &AtomicU32);
}

impl Futex for Os {
    fn sleep(word: &AtomicU32, value: u32) {
        futex_wait(word, value, None);
    }

    fn rouse(word: &AtomicU32) {
        futex_wake(word, 1);
    }
}

/// A lock of one word that sleeps in the kernel when contended: 0 free, 1 held, 2 held with
/// sleepers. It allocates nothing and keeps no thread-local state, so that it works in every
/// place the engine is called from.
#[derive(Debug)]
pub struct RawFutex<F = Os> {
    word: atomic::AtomicU32<F>,
}

/// A mutex with that lock.
pub type FutexMutex<F, T> = lock_api::Mutex<RawFutex<F>, T>;

/// How often to look before sleeping; short, since holders make system calls.
const SPINS: u32 = 40;

impl<F: Futex> RawFutex<F> {
    #[cold]
    fn lock_slow(&self) {
        for _ in 0..SPINS {
            if self.word.load(Ordering::Relaxed) == 0 && self.try_acquire() {
                return;
            }
            std::hint::spin_loop();
        }
        // Pairs with the Release in unlock: whoever sees 0 sees what the last holder wrote.
        while self.word.swap(2, Ordering::Acquire) != 0 {
            F::sleep(self.word.word(), 2);
        }
    }

    #[inline]
    fn try_acquire(&self) -> bool {
        self.word.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

// SAFETY: the word is 0 exactly when nobody holds the lock; only the swap or the exchange from 0
// acquires, and only unlock, which the guard calls once, stores 0.
unsafe impl<F: Futex> lock_api::RawMutex for RawFutex<F> {
    const INIT: RawFutex<F> = RawFutex { word: atomic::AtomicU32::new(0) };
    type GuardMarker = lock_api::GuardSend;

    #[inline]
    fn lock(&self) {
        if !self.try_acquire() {
            self.lock_slow();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.try_acquire()
    }

    #[inline]
    unsafe fn unlock(&self) {
        if self.word.swap(0, Ordering::Release) == 2 {
            F::rouse(self.word.word());
        }
    }
}

/// Sleeps while `word` is `value`, for at most `timeout` nanoseconds.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32, timeout: Option<u64>) {
    let spec = timeout.map(|ns| libc::timespec {
        tv_sec: (ns / 1_000_000_000) as i64,
        tv_nsec: (ns % 1_000_000_000) as i64,
    });
    let spec = spec.as_ref().map_or(0, |spec| std::ptr::from_ref(spec) as u64);
    let op = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    let args = [word.as_ptr() as u64, op as u64, u64::from(value), spec, 0, 0];
    let _ = crate::os::syscall(libc::SYS_futex, args);
}

/// Wakes up to `count` sleepers on `word`.
pub(crate) fn futex_wake(word: &AtomicU32, count: u32) {
    let op = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    let args = [word.as_ptr() as u64, op as u64, u64::from(count), 0, 0, 0];
    let _ = crate::os::syscall(libc::SYS_futex, args);
}

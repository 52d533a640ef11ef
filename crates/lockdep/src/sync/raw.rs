//! Any lock of the `lock_api` world, validated: wraps a raw lock into another raw lock.
#![expect(unsafe_code, reason = "the traits of lock_api are unsafe to implement and to call")]

use super::{How, Off, On, Validation};
use crate::class::{Class, Map};
use crate::mode::Mode;
use lock_api::{GuardNoSend, RawMutex, RawRwLock, RawRwLockRecursive};
use std::panic::Location;

/// A raw lock `R` that tells the validator what it does.
///
/// ```
/// use ringfence_lockdep::{Checked, lock_classes};
/// lock_classes! { TABLE: "table" }
/// type Mutex<T> = lock_api::Mutex<Checked<parking_lot::RawMutex>, T>;
/// static COUNT: Mutex<u32> = Mutex::from_raw(Checked::new(&TABLE, lock_api::RawMutex::INIT), 0);
/// *COUNT.lock() += 1;
/// assert_eq!(*COUNT.lock(), 1);
/// ```
#[derive(Debug)]
pub struct Checked<R, V: Validation = On> {
    map: V::Map,
    raw: R,
}

impl<R> Checked<R, On> {
    /// A lock of `class`.
    pub const fn new(class: &'static Class, raw: R) -> Checked<R, On> {
        Checked { map: Map::declared(class), raw }
    }
}

impl<R> Checked<R, Off> {
    /// A lock that is not validated and has no class.
    pub const fn plain(raw: R) -> Checked<R, Off> {
        Checked { map: super::NoMap, raw }
    }
}

impl<R, V: Validation> Checked<R, V> {
    /// A lock of `class`, for code that is generic over the switch.
    pub fn of(class: &'static Class, raw: R) -> Checked<R, V> {
        Checked { map: V::map(class), raw }
    }
}

/// What every form of [`Checked`] does around the calls to its raw lock.
///
/// A raw lock has no guard to put a hold into: the hold is forgotten when the lock is taken and
/// made again where it is let go.
impl<R, V: Validation> Checked<R, V> {
    #[inline]
    fn acquire(&self, mode: Mode, tried: bool, site: &'static Location<'static>) {
        let how = How { tried, ..How::default() };
        std::mem::forget(V::acquire(&self.map, mode, how, site));
    }

    #[inline]
    fn release(&self, site: &'static Location<'static>) {
        V::release(&self.map, site);
    }
}

// SAFETY: every call goes to the raw lock, which keeps the promise of the trait; telling
// the validator neither locks nor unlocks it.
unsafe impl<R: RawMutex, V: Validation> RawMutex for Checked<R, V> {
    /// Of no declared class: the place that takes it first stands for one.
    const INIT: Self = Checked { map: V::UNKNOWN, raw: R::INIT };
    type GuardMarker = GuardNoSend;

    #[inline]
    #[track_caller]
    fn lock(&self) {
        self.acquire(Mode::Exclusive, false, Location::caller());
        self.raw.lock();
    }

    #[inline]
    #[track_caller]
    fn try_lock(&self) -> bool {
        let locked = self.raw.try_lock();
        if locked {
            self.acquire(Mode::Exclusive, true, Location::caller());
        }
        locked
    }

    #[inline]
    #[track_caller]
    unsafe fn unlock(&self) {
        self.release(Location::caller());
        // SAFETY: the caller holds this lock, and with it the raw one.
        unsafe { self.raw.unlock() }
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.raw.is_locked()
    }
}

// SAFETY: as above.
unsafe impl<R: RawRwLock, V: Validation> RawRwLock for Checked<R, V> {
    /// Of no declared class: the place that takes it first stands for one.
    const INIT: Self = Checked { map: V::UNKNOWN, raw: R::INIT };
    type GuardMarker = GuardNoSend;

    #[inline]
    #[track_caller]
    fn lock_shared(&self) {
        self.acquire(Mode::Shared, false, Location::caller());
        self.raw.lock_shared();
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared(&self) -> bool {
        let locked = self.raw.try_lock_shared();
        if locked {
            self.acquire(Mode::Shared, true, Location::caller());
        }
        locked
    }

    #[inline]
    #[track_caller]
    unsafe fn unlock_shared(&self) {
        self.release(Location::caller());
        // SAFETY: the caller holds this lock shared, and with it the raw one.
        unsafe { self.raw.unlock_shared() }
    }

    #[inline]
    #[track_caller]
    fn lock_exclusive(&self) {
        self.acquire(Mode::Exclusive, false, Location::caller());
        self.raw.lock_exclusive();
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive(&self) -> bool {
        let locked = self.raw.try_lock_exclusive();
        if locked {
            self.acquire(Mode::Exclusive, true, Location::caller());
        }
        locked
    }

    #[inline]
    #[track_caller]
    unsafe fn unlock_exclusive(&self) {
        self.release(Location::caller());
        // SAFETY: the caller holds this lock exclusively, and with it the raw one.
        unsafe { self.raw.unlock_exclusive() }
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.raw.is_locked()
    }
}

// SAFETY: as above.
unsafe impl<R: RawRwLockRecursive, V: Validation> RawRwLockRecursive for Checked<R, V> {
    #[inline]
    #[track_caller]
    fn lock_shared_recursive(&self) {
        self.acquire(Mode::SharedRecursive, false, Location::caller());
        self.raw.lock_shared_recursive();
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared_recursive(&self) -> bool {
        let locked = self.raw.try_lock_shared_recursive();
        if locked {
            self.acquire(Mode::SharedRecursive, true, Location::caller());
        }
        locked
    }
}

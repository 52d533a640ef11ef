//! The mutex of `parking_lot`, validated.

use super::{HoldOf, How, Off, On, SendMutexGuard, Validation};
use crate::class::{Class, Map};
use crate::mode::Mode;
use std::fmt::{self, Debug, Formatter};
use std::ops::{Deref, DerefMut};
use std::panic::Location;

/// A `parking_lot::Mutex` of a lock class.
///
/// ```
/// use ringfence_lockdep::{Mutex, lock_classes};
/// lock_classes! { QUEUE: "request queue" }
/// static PENDING: Mutex<Vec<u32>> = Mutex::new(&QUEUE, Vec::new());
/// PENDING.lock().push(1);
/// assert_eq!(PENDING.lock().len(), 1);
/// ```
pub struct Mutex<T: ?Sized, V: Validation = On> {
    pub(super) map: V::Map,
    pub(super) inner: parking_lot::Mutex<T>,
}

/// A locked [`Mutex`]; stays on its thread. See [`MutexGuard::into_send`].
pub struct MutexGuard<'a, T: ?Sized, V: Validation = On> {
    /// Dropped before the lock is let go.
    pub(super) hold: V::Hold<'a>,
    pub(super) inner: parking_lot::MutexGuard<'a, T>,
}

impl<T> Mutex<T, On> {
    /// A lock of `class`.
    pub const fn new(class: &'static Class, value: T) -> Mutex<T, On> {
        Mutex { map: Map::declared(class), inner: parking_lot::Mutex::new(value) }
    }

    /// A lock whose class is the place of this call: all locks made here are of one class.
    #[track_caller]
    pub const fn at_site(value: T) -> Mutex<T, On> {
        Mutex { map: Map::at_site(Location::caller()), inner: parking_lot::Mutex::new(value) }
    }
}

impl<T> Mutex<T, Off> {
    /// A lock that is not validated and has no class; [`Mutex::of`] makes either.
    pub const fn plain(value: T) -> Mutex<T, Off> {
        Mutex { map: super::NoMap, inner: parking_lot::Mutex::new(value) }
    }
}

impl<T, V: Validation> Mutex<T, V> {
    /// A lock of `class`, for code that is generic over the switch.
    pub fn of(class: &'static Class, value: T) -> Mutex<T, V> {
        Mutex { map: V::map(class), inner: parking_lot::Mutex::new(value) }
    }

    /// The value; nobody can hold the lock.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized, V: Validation> Mutex<T, V> {
    /// Locks, waiting as long as it takes.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T, V> {
        self.lock_how(How::default())
    }

    /// Locks one of several of the class that are taken in a fixed order, as `subclass` 1 to 7.
    #[inline]
    #[track_caller]
    pub fn lock_nested(&self, subclass: u8) -> MutexGuard<'_, T, V> {
        self.lock_how(How { subclass, ..How::default() })
    }

    /// Locks one of several of the class, in any order, while `serialising` is held by this thread:
    /// who nests these locks holds that one.
    #[inline]
    #[track_caller]
    pub fn lock_under<U: ?Sized>(&self, serialising: &Mutex<U, V>) -> MutexGuard<'_, T, V> {
        self.lock_how(How { under: Some(V::instance(&serialising.map)), ..How::default() })
    }

    /// Folded into each caller: `how` is a constant there.
    #[inline(always)]
    #[track_caller]
    fn lock_how(&self, how: How) -> MutexGuard<'_, T, V> {
        let hold = V::acquire(&self.map, Mode::Exclusive, how, Location::caller());
        MutexGuard { hold, inner: self.inner.lock() }
    }

    /// Locks if that needs no waiting; such an acquisition cannot deadlock and orders nothing.
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T, V>> {
        let inner = self.inner.try_lock()?;
        let how = How { tried: true, ..How::default() };
        let hold = V::acquire(&self.map, Mode::Exclusive, how, Location::caller());
        Some(MutexGuard { hold, inner })
    }

    /// Locks, with a guard that may move to another thread or live across an `await`.
    #[track_caller]
    pub fn lock_send(&self) -> SendMutexGuard<'_, T, V> {
        SendMutexGuard::lock(self, Location::caller())
    }

    /// The value; `&mut` proves that nobody holds the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    /// Whether anybody holds it.
    pub fn is_locked(&self) -> bool {
        self.inner.is_locked()
    }

    /// Reports unless the calling thread holds it.
    #[track_caller]
    pub fn assert_held(&self) {
        V::assert_held(&self.map, Location::caller());
    }
}

impl<'a, T: ?Sized, V: Validation> MutexGuard<'a, T, V> {
    /// The same lock held by a guard that may move to another thread. From here on this thread
    /// does not count as its holder.
    pub fn into_send(guard: MutexGuard<'a, T, V>) -> SendMutexGuard<'a, T, V> {
        let MutexGuard { hold, inner } = guard;
        SendMutexGuard::unowned(hold.map(), inner)
    }
}

impl<T: ?Sized, V: Validation> Deref for MutexGuard<'_, T, V> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized, V: Validation> DerefMut for MutexGuard<'_, T, V> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized + Debug, V: Validation> Debug for MutexGuard<'_, T, V> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized + Debug, V: Validation> Debug for Mutex<T, V> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

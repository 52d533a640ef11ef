//! The reader-writer lock of `parking_lot`, validated.

use super::{How, Off, On, Validation};
use crate::class::{Class, Map};
use crate::mode::Mode;
use std::fmt::{self, Debug, Formatter};
use std::ops::{Deref, DerefMut};
use std::panic::Location;

/// A `parking_lot::RwLock` of a lock class.
///
/// [`RwLock::read`] may have to wait behind a writer that waits itself, so reading twice on one
/// thread can deadlock and is reported; [`RwLock::read_recursive`] may be nested.
pub struct RwLock<T: ?Sized, V: Validation = On> {
    map: V::Map,
    inner: parking_lot::RwLock<T>,
}

/// A [`RwLock`] locked for reading; stays on its thread.
pub struct RwLockReadGuard<'a, T: ?Sized, V: Validation = On> {
    /// Dropped before the lock is let go.
    _hold: V::Hold<'a>,
    inner: parking_lot::RwLockReadGuard<'a, T>,
}

/// A [`RwLock`] locked for writing; stays on its thread.
pub struct RwLockWriteGuard<'a, T: ?Sized, V: Validation = On> {
    /// Dropped before the lock is let go.
    _hold: V::Hold<'a>,
    inner: parking_lot::RwLockWriteGuard<'a, T>,
}

impl<T> RwLock<T, On> {
    /// A lock of `class`.
    pub const fn new(class: &'static Class, value: T) -> RwLock<T, On> {
        RwLock { map: Map::declared(class), inner: parking_lot::RwLock::new(value) }
    }

    /// A lock whose class is the place of this call: all locks made here are of one class.
    #[track_caller]
    pub const fn at_site(value: T) -> RwLock<T, On> {
        RwLock { map: Map::at_site(Location::caller()), inner: parking_lot::RwLock::new(value) }
    }
}

impl<T> RwLock<T, Off> {
    /// A lock that is not validated and has no class; [`RwLock::of`] makes either.
    pub const fn plain(value: T) -> RwLock<T, Off> {
        RwLock { map: super::NoMap, inner: parking_lot::RwLock::new(value) }
    }
}

const TRIED: How = How { tried: true, subclass: 0, under: None };

impl<T, V: Validation> RwLock<T, V> {
    /// A lock of `class`, for code that is generic over the switch.
    pub fn of(class: &'static Class, value: T) -> RwLock<T, V> {
        RwLock { map: V::map(class), inner: parking_lot::RwLock::new(value) }
    }

    /// The value; nobody can hold the lock.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized, V: Validation> RwLock<T, V> {
    /// Locks for reading; waits for writers, also for those that wait.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> RwLockReadGuard<'_, T, V> {
        let hold = V::acquire(&self.map, Mode::Shared, How::default(), Location::caller());
        RwLockReadGuard { _hold: hold, inner: self.inner.read() }
    }

    /// Locks for reading; waits for a writer inside only, and may be nested.
    #[inline]
    #[track_caller]
    pub fn read_recursive(&self) -> RwLockReadGuard<'_, T, V> {
        let how = How::default();
        let hold = V::acquire(&self.map, Mode::SharedRecursive, how, Location::caller());
        RwLockReadGuard { _hold: hold, inner: self.inner.read_recursive() }
    }

    /// Locks for writing.
    #[inline]
    #[track_caller]
    pub fn write(&self) -> RwLockWriteGuard<'_, T, V> {
        let hold = V::acquire(&self.map, Mode::Exclusive, How::default(), Location::caller());
        RwLockWriteGuard { _hold: hold, inner: self.inner.write() }
    }

    /// Locks for writing one of several of the class that are taken in a fixed order.
    #[inline]
    #[track_caller]
    pub fn write_nested(&self, subclass: u8) -> RwLockWriteGuard<'_, T, V> {
        let how = How { subclass, ..How::default() };
        let hold = V::acquire(&self.map, Mode::Exclusive, how, Location::caller());
        RwLockWriteGuard { _hold: hold, inner: self.inner.write() }
    }

    /// Locks for reading if that needs no waiting.
    #[inline]
    #[track_caller]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T, V>> {
        let inner = self.inner.try_read()?;
        let hold = V::acquire(&self.map, Mode::Shared, TRIED, Location::caller());
        Some(RwLockReadGuard { _hold: hold, inner })
    }

    /// Locks for writing if that needs no waiting.
    #[inline]
    #[track_caller]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T, V>> {
        let inner = self.inner.try_write()?;
        let hold = V::acquire(&self.map, Mode::Exclusive, TRIED, Location::caller());
        Some(RwLockWriteGuard { _hold: hold, inner })
    }

    /// The value; `&mut` proves that nobody holds the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    /// Reports unless the calling thread holds it, for reading or for writing.
    #[track_caller]
    pub fn assert_held(&self) {
        V::assert_held(&self.map, Location::caller());
    }
}

impl<T: ?Sized, V: Validation> Deref for RwLockReadGuard<'_, T, V> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized, V: Validation> Deref for RwLockWriteGuard<'_, T, V> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized, V: Validation> DerefMut for RwLockWriteGuard<'_, T, V> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized + Debug, V: Validation> Debug for RwLock<T, V> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized + Debug, V: Validation> Debug for RwLockReadGuard<'_, T, V> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized + Debug, V: Validation> Debug for RwLockWriteGuard<'_, T, V> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

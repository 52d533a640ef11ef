//! The locks of the standard library, validated, with their poisoning.

use super::{HoldOf, How, Off, On, Validation};
use crate::class::{Class, Map};
use crate::mode::Mode;
use std::fmt::{self, Debug, Formatter};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::{self, LockResult, PoisonError, TryLockError, TryLockResult};
use std::time::Duration;

/// A `std::sync::Mutex` of a lock class.
pub struct Mutex<T: ?Sized, V: Validation = On> {
    map: V::Map,
    inner: sync::Mutex<T>,
}

/// A locked [`Mutex`].
pub struct MutexGuard<'a, T: ?Sized, V: Validation = On> {
    /// Dropped before the lock is let go.
    hold: V::Hold<'a>,
    inner: sync::MutexGuard<'a, T>,
}

/// A `std::sync::RwLock` of a lock class. Its readers may have to wait behind a waiting writer, so
/// reading twice on one thread is reported.
pub struct RwLock<T: ?Sized, V: Validation = On> {
    map: V::Map,
    inner: sync::RwLock<T>,
}

/// A [`RwLock`] locked for reading.
pub struct RwLockReadGuard<'a, T: ?Sized, V: Validation = On> {
    /// Dropped before the lock is let go.
    _hold: V::Hold<'a>,
    inner: sync::RwLockReadGuard<'a, T>,
}

/// A [`RwLock`] locked for writing.
pub struct RwLockWriteGuard<'a, T: ?Sized, V: Validation = On> {
    /// Dropped before the lock is let go.
    _hold: V::Hold<'a>,
    inner: sync::RwLockWriteGuard<'a, T>,
}

/// A `std::sync::Condvar` for a [`Mutex`].
#[derive(Debug, Default)]
pub struct Condvar<V: Validation = On> {
    inner: sync::Condvar,
    validation: PhantomData<fn() -> V>,
}

macro_rules! constructors {
    ($lock:ident) => {
        impl<T> $lock<T, On> {
            /// A lock of `class`.
            pub const fn new(class: &'static Class, value: T) -> Self {
                $lock { map: Map::declared(class), inner: sync::$lock::new(value) }
            }

            /// A lock whose class is the place of this call.
            #[track_caller]
            pub const fn at_site(value: T) -> Self {
                $lock { map: Map::at_site(Location::caller()), inner: sync::$lock::new(value) }
            }
        }

        impl<T> $lock<T, Off> {
            /// A lock that is not validated and has no class; `of` makes either.
            pub const fn plain(value: T) -> Self {
                $lock { map: super::NoMap, inner: sync::$lock::new(value) }
            }
        }

        impl<T, V: Validation> $lock<T, V> {
            /// A lock of `class`, for code that is generic over the switch.
            pub fn of(class: &'static Class, value: T) -> Self {
                $lock { map: V::map(class), inner: sync::$lock::new(value) }
            }

            /// The value; nobody can hold the lock.
            ///
            /// # Errors
            ///
            /// If a holder panicked; the error carries the value.
            pub fn into_inner(self) -> LockResult<T> {
                self.inner.into_inner()
            }
        }

        impl<T: ?Sized + Debug, V: Validation> Debug for $lock<T, V> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                self.inner.fmt(f)
            }
        }
    };
}

constructors!(Mutex);
constructors!(RwLock);

/// Wraps what a lock gave, poisoned or not.
fn wrap<I, G>(result: LockResult<I>, guard: impl FnOnce(I) -> G) -> LockResult<G> {
    match result {
        Ok(inner) => Ok(guard(inner)),
        Err(poisoned) => Err(PoisonError::new(guard(poisoned.into_inner()))),
    }
}

/// Wraps what a try-lock gave; `guard` is called only if the lock was taken.
fn try_wrap<I, G>(result: TryLockResult<I>, guard: impl FnOnce(I) -> G) -> TryLockResult<G> {
    match result {
        Ok(inner) => Ok(guard(inner)),
        Err(TryLockError::Poisoned(poisoned)) => {
            Err(PoisonError::new(guard(poisoned.into_inner())).into())
        }
        Err(TryLockError::WouldBlock) => Err(TryLockError::WouldBlock),
    }
}

const TRIED: How = How { tried: true, subclass: 0, under: None };

impl<T: ?Sized, V: Validation> Mutex<T, V> {
    /// Locks, waiting as long as it takes.
    ///
    /// # Errors
    ///
    /// If a holder panicked; the error carries the guard.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T, V>> {
        self.lock_nested(0)
    }

    /// Locks one of several of the class that are taken in a fixed order, as `subclass` 1 to 7.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`].
    #[inline]
    #[track_caller]
    pub fn lock_nested(&self, subclass: u8) -> LockResult<MutexGuard<'_, T, V>> {
        let how = How { subclass, ..How::default() };
        let hold = V::acquire(&self.map, Mode::Exclusive, how, Location::caller());
        wrap(self.inner.lock(), |inner| MutexGuard { hold, inner })
    }

    /// Locks if that needs no waiting.
    ///
    /// # Errors
    ///
    /// If it is held, or a holder panicked.
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T, V>> {
        let site = Location::caller();
        try_wrap(self.inner.try_lock(), |inner| {
            let hold = V::acquire(&self.map, Mode::Exclusive, TRIED, site);
            MutexGuard { hold, inner }
        })
    }

    /// Reports unless the calling thread holds it.
    #[track_caller]
    pub fn assert_held(&self) {
        V::assert_held(&self.map, Location::caller());
    }
}

impl<T: ?Sized, V: Validation> RwLock<T, V> {
    /// Locks for reading.
    ///
    /// # Errors
    ///
    /// If a writer panicked; the error carries the guard.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T, V>> {
        let hold = V::acquire(&self.map, Mode::Shared, How::default(), Location::caller());
        wrap(self.inner.read(), |inner| RwLockReadGuard { _hold: hold, inner })
    }

    /// Locks for writing.
    ///
    /// # Errors
    ///
    /// If a writer panicked; the error carries the guard.
    #[inline]
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T, V>> {
        let hold = V::acquire(&self.map, Mode::Exclusive, How::default(), Location::caller());
        wrap(self.inner.write(), |inner| RwLockWriteGuard { _hold: hold, inner })
    }

    /// Locks for reading if that needs no waiting.
    ///
    /// # Errors
    ///
    /// If it is held for writing, or a writer panicked.
    #[inline]
    #[track_caller]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T, V>> {
        let site = Location::caller();
        try_wrap(self.inner.try_read(), |inner| {
            let hold = V::acquire(&self.map, Mode::Shared, TRIED, site);
            RwLockReadGuard { _hold: hold, inner }
        })
    }

    /// Locks for writing if that needs no waiting.
    ///
    /// # Errors
    ///
    /// If it is held, or a writer panicked.
    #[inline]
    #[track_caller]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T, V>> {
        let site = Location::caller();
        try_wrap(self.inner.try_write(), |inner| {
            let hold = V::acquire(&self.map, Mode::Exclusive, TRIED, site);
            RwLockWriteGuard { _hold: hold, inner }
        })
    }
}

impl<V: Validation> Condvar<V> {
    /// A condition variable that nobody waits on.
    pub const fn new() -> Condvar<V> {
        Condvar { inner: sync::Condvar::new(), validation: PhantomData }
    }

    /// Waits for a notification; may return without one.
    ///
    /// # Errors
    ///
    /// If a holder of the mutex panicked; the error carries the guard.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T, V>) -> LockResult<MutexGuard<'a, T, V>> {
        let MutexGuard { hold, inner } = guard;
        V::park_and_retake(hold.map(), Location::caller());
        wrap(self.inner.wait(inner), |inner| MutexGuard { hold, inner })
    }

    /// Waits while `condition` holds.
    ///
    /// # Errors
    ///
    /// As [`Condvar::wait`].
    #[track_caller]
    pub fn wait_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T, V>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T, V>> {
        let MutexGuard { hold, inner } = guard;
        V::park_and_retake(hold.map(), Location::caller());
        wrap(self.inner.wait_while(inner, condition), |inner| MutexGuard { hold, inner })
    }

    /// Waits for a notification, at most for `timeout`; says whether the time was over.
    ///
    /// # Errors
    ///
    /// As [`Condvar::wait`].
    #[track_caller]
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T, V>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T, V>, sync::WaitTimeoutResult)> {
        let MutexGuard { hold, inner } = guard;
        V::park_and_retake(hold.map(), Location::caller());
        wrap(self.inner.wait_timeout(inner, timeout), |(inner, over)| {
            (MutexGuard { hold, inner }, over)
        })
    }

    /// Wakes one waiter.
    pub fn notify_one(&self) {
        self.inner.notify_one();
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        self.inner.notify_all();
    }
}

macro_rules! guard {
    ($guard:ident $(, $mutable:ident)?) => {
        impl<T: ?Sized, V: Validation> Deref for $guard<'_, T, V> {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                &self.inner
            }
        }

        $(impl<T: ?Sized, V: Validation> $mutable for $guard<'_, T, V> {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                &mut self.inner
            }
        })?

        impl<T: ?Sized + Debug, V: Validation> Debug for $guard<'_, T, V> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                self.inner.fmt(f)
            }
        }
    };
}

guard!(MutexGuard, DerefMut);
guard!(RwLockReadGuard);
guard!(RwLockWriteGuard, DerefMut);

//! The condition variable of `parking_lot`, validated.

use super::{HoldOf, MutexGuard, On, Validation};
use std::marker::PhantomData;
use std::panic::Location;
use std::time::Duration;

/// A `parking_lot::Condvar` for a [`Mutex`](super::Mutex).
///
/// Waiting lets go of the mutex, parks, and takes the mutex again: other locks held meanwhile are
/// held where the thread parks, and the mutex is taken under them.
#[derive(Debug, Default)]
pub struct Condvar<V: Validation = On> {
    inner: parking_lot::Condvar,
    validation: PhantomData<fn() -> V>,
}

/// Whether a wait ended because its time was over.
pub type WaitTimeoutResult = parking_lot::WaitTimeoutResult;

impl<V: Validation> Condvar<V> {
    /// A condition variable that nobody waits on.
    pub const fn new() -> Condvar<V> {
        Condvar { inner: parking_lot::Condvar::new(), validation: PhantomData }
    }

    /// Waits for a notification; may return without one.
    #[track_caller]
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T, V>) {
        V::park_and_retake(guard.hold.map(), Location::caller());
        self.inner.wait(&mut guard.inner);
    }

    /// Waits until `condition` does not hold any more.
    #[track_caller]
    pub fn wait_while<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T, V>,
        condition: impl FnMut(&mut T) -> bool,
    ) {
        V::park_and_retake(guard.hold.map(), Location::caller());
        self.inner.wait_while(&mut guard.inner, condition);
    }

    /// Waits for a notification, at most for `timeout`.
    #[track_caller]
    pub fn wait_for<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T, V>,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        V::park_and_retake(guard.hold.map(), Location::caller());
        self.inner.wait_for(&mut guard.inner, timeout)
    }

    /// Wakes one waiter; `false` if there was none.
    pub fn notify_one(&self) -> bool {
        self.inner.notify_one()
    }

    /// Wakes all waiters; returns how many.
    pub fn notify_all(&self) -> usize {
        self.inner.notify_all()
    }
}

//! A mutex guard that may move to another thread, or live across an `await`.

use super::{Mutex, Site, Validation};
use std::fmt::{self, Debug, Formatter};
use std::ops::{Deref, DerefMut};

/// A locked [`Mutex`] that any thread may release.
///
/// Taking it is checked as any acquisition is. Inside a [`Tracked`](crate::Tracked) future it then
/// counts as held by that future, on whatever thread it runs. Elsewhere nobody counts as its holder,
/// since nobody can know where it is: what its holder takes under it is not ordered after it, and
/// nothing is ever reported that is not so.
pub struct SendMutexGuard<'a, T: ?Sized, V: Validation = super::On> {
    inner: parking_lot::MutexGuard<'a, T>,
    map: &'a V::Map,
    owner: V::Owner,
}

impl<'a, T: ?Sized, V: Validation> SendMutexGuard<'a, T, V> {
    pub(super) fn lock(lock: &'a Mutex<T, V>, site: Site) -> Self {
        let owner = V::lend(&lock.map, site);
        SendMutexGuard { inner: lock.inner.lock(), map: &lock.map, owner }
    }

    pub(super) fn unowned(map: &'a V::Map, inner: parking_lot::MutexGuard<'a, T>) -> Self {
        SendMutexGuard { inner, map, owner: V::Owner::default() }
    }
}

impl<T: ?Sized, V: Validation> Drop for SendMutexGuard<'_, T, V> {
    fn drop(&mut self) {
        V::give_back(self.map, self.owner);
    }
}

impl<T: ?Sized, V: Validation> Deref for SendMutexGuard<'_, T, V> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized, V: Validation> DerefMut for SendMutexGuard<'_, T, V> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized + Debug, V: Validation> Debug for SendMutexGuard<'_, T, V> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

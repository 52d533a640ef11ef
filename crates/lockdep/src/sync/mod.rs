//! Lock types that tell the validator what they do, or, switched [`Off`], are the plain ones.
//!
//! The switch is a type parameter, not a cargo feature: features of one build unify, and a program
//! may want both.

mod condvar;
mod mutex;
mod raw;
mod rwlock;
mod send;
pub mod std;

pub use condvar::{Condvar, WaitTimeoutResult};
pub use mutex::{Mutex, MutexGuard};
pub use raw::Checked;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use send::SendMutexGuard;

use crate::class::{Class, Map};
use crate::global;
use crate::mode::Mode;
use crate::task::TaskId;
use crate::validator::Acquire;
use ::std::fmt::Debug;
use ::std::marker::PhantomData;
use ::std::panic::Location;

/// A place in the source.
pub type Site = &'static Location<'static>;

/// How an acquisition differs from the plain one; most do not.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// It did not wait.
    pub tried: bool,
    /// The subclass it is nested as.
    pub subclass: u8,
    /// The address of the lock that serialises the nesting, by [`Validation::instance`].
    pub under: Option<usize>,
}

/// Whether locks are validated: [`On`] or [`Off`].
pub trait Validation: sealed::Sealed + Debug + Sized + 'static {
    /// What a lock carries to find its class.
    type Map: Debug + Send + Sync;
    /// What a guard carries; dropping it tells of the release. Not `Send`.
    type Hold<'a>: HoldOf<'a, Self::Map>;
    /// Who owns a guard that may move.
    type Owner: Copy + Debug + Default + Send + Sync;

    /// For a lock of which nothing is known: the place that takes it first stands for its class.
    const UNKNOWN: Self::Map;

    /// For a lock of a declared class.
    fn map(class: &'static Class) -> Self::Map;
    /// For a lock whose class is the place that makes it.
    fn map_at(site: Site) -> Self::Map;
    /// Tells of an acquisition.
    fn acquire(map: &Self::Map, mode: Mode, how: How, site: Site) -> Self::Hold<'_>;
    /// Tells of a release, where no hold was kept.
    fn release(map: &Self::Map, site: Site);
    /// Tells that the thread lets go of the lock, parks, and takes it again.
    fn park_and_retake(map: &Self::Map, site: Site);
    /// The task that a guard which may move belongs to; see [`SendMutexGuard`].
    fn lend(map: &Self::Map, site: Site) -> Self::Owner;
    /// Tells that such a guard is gone.
    fn give_back(map: &Self::Map, owner: Self::Owner);
    /// Reports unless the calling thread holds the lock.
    fn assert_held(map: &Self::Map, site: Site);
    /// What tells the lock from others; 0 if nobody asks.
    fn instance(map: &Self::Map) -> usize;
}

/// What a guard carries knows its lock.
pub trait HoldOf<'a, M> {
    /// What the lock carries.
    fn map(&self) -> &'a M;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::On {}
    impl Sealed for super::Off {}
}

/// Locks are validated by the validator of the process.
#[derive(Clone, Copy, Debug)]
pub struct On;

/// Locks are the plain ones: no byte and no instruction more.
#[derive(Clone, Copy, Debug)]
pub struct Off;

/// `Sync` but not `Send`, as guards are.
type NotSend = PhantomData<::std::sync::MutexGuard<'static, ()>>;

/// A held lock; tells of the release when dropped.
#[derive(Debug)]
pub struct Hold<'a> {
    map: &'a Map,
    not_send: NotSend,
}

impl<'a> HoldOf<'a, Map> for Hold<'a> {
    fn map(&self) -> &'a Map {
        self.map
    }
}

impl<'a> HoldOf<'a, NoMap> for NoHold {
    fn map(&self) -> &'a NoMap {
        &NoMap
    }
}

impl Drop for Hold<'_> {
    #[inline]
    fn drop(&mut self) {
        global::release_here(self.map.key(Location::caller()), self.map.instance());
    }
}

/// What [`Off`] has in place of a [`Hold`].
#[derive(Debug)]
pub struct NoHold {
    _not_send: NotSend,
}

/// What [`Off`] has in place of a [`Map`].
#[derive(Clone, Copy, Debug)]
pub struct NoMap;

impl Validation for On {
    type Map = Map;
    type Hold<'a> = Hold<'a>;
    type Owner = TaskId;
    const UNKNOWN: Map = Map::unknown();

    fn map(class: &'static Class) -> Map {
        Map::declared(class)
    }

    fn map_at(site: Site) -> Map {
        Map::at_site(site)
    }

    #[inline]
    fn acquire(map: &Map, mode: Mode, how: How, site: Site) -> Hold<'_> {
        global::acquire_here(Acquire {
            class: map.key(site).with_subclass(how.subclass),
            mode,
            try_lock: how.tried,
            instance: map.instance(),
            nest: how.under,
            site,
        });
        Hold { map, not_send: PhantomData }
    }

    #[inline]
    fn release(map: &Map, site: Site) {
        global::release_site(map.key(site), map.instance(), site);
    }

    fn park_and_retake(map: &Map, site: Site) {
        let (class, instance) = (map.key(site), map.instance());
        global::release_here(class, instance);
        global::parking_here(site);
        let retake = Acquire::new(class, Mode::Exclusive).instance(instance).at(site);
        global::acquire_here(retake);
    }

    fn lend(map: &Map, site: Site) -> TaskId {
        let hold = On::acquire(map, Mode::Exclusive, How::default(), site);
        let owner = global::task_id();
        if owner != TaskId::THREAD {
            // It stays on the stack of the asynchronous task until the guard is dropped.
            ::std::mem::forget(hold);
        }
        owner
    }

    fn give_back(map: &Map, owner: TaskId) {
        if owner != TaskId::THREAD {
            global::release_of(owner, map.key(Location::caller()), map.instance());
        }
    }

    fn assert_held(map: &Map, site: Site) {
        global::assert_held_here(map.key(site), map.instance(), site);
    }

    fn instance(map: &Map) -> usize {
        map.instance()
    }
}

impl Validation for Off {
    type Map = NoMap;
    type Hold<'a> = NoHold;
    type Owner = ();
    const UNKNOWN: NoMap = NoMap;

    #[inline]
    fn map(_: &'static Class) -> NoMap {
        NoMap
    }

    #[inline]
    fn map_at(_: Site) -> NoMap {
        NoMap
    }

    #[inline]
    fn acquire(_: &NoMap, _: Mode, _: How, _: Site) -> NoHold {
        NoHold { _not_send: PhantomData }
    }

    #[inline]
    fn release(_: &NoMap, _: Site) {}

    #[inline]
    fn park_and_retake(_: &NoMap, _: Site) {}

    #[inline]
    fn lend(_: &NoMap, _: Site) {}

    #[inline]
    fn give_back(_: &NoMap, _: ()) {}

    #[inline]
    fn assert_held(_: &NoMap, _: Site) {}

    #[inline]
    fn instance(_: &NoMap) -> usize {
        0
    }
}

/// Off is free: the types are no larger than those they wrap.
const _: () = {
    assert!(size_of::<Mutex<u64, Off>>() == size_of::<parking_lot::Mutex<u64>>());
    assert!(size_of::<MutexGuard<'_, u64, Off>>() == size_of::<parking_lot::MutexGuard<'_, u64>>());
    assert!(size_of::<RwLock<u64, Off>>() == size_of::<parking_lot::RwLock<u64>>());
    assert!(size_of::<Condvar<Off>>() == size_of::<parking_lot::Condvar>());
    assert!(size_of::<std::Mutex<u64, Off>>() == size_of::<::std::sync::Mutex<u64>>());
    assert!(size_of::<std::RwLock<u64, Off>>() == size_of::<::std::sync::RwLock<u64>>());
    assert!(size_of::<Checked<parking_lot::RawMutex, Off>>() == 1);
};

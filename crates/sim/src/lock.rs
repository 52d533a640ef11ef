//! A lock whose acquisition and release are switch points.
#![expect(unsafe_code, reason = "implements a raw lock")]

use crate::failure::Kind;
use crate::state::{On, Wait};
use crate::thread::current;
use std::panic::Location;
use std::sync::atomic::{AtomicU32, Ordering};

/// A mutex of the simulation.
pub type Mutex<T> = lock_api::Mutex<RawLock, T>;
/// Its guard.
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawLock, T>;

/// Free, and never held before: nothing is known of the address yet.
const FRESH: u32 = 0;
const FREE: u32 = 1;
const HELD: u32 = 2;

/// A raw lock for [`lock_api`]. Among virtual threads its acquisition and release are switch
/// points, one that its own holder waits for is reported, and releases order what comes after.
/// Outside of a simulation it is a spin lock that yields to other threads.
#[derive(Debug)]
pub struct RawLock {
    word: AtomicU32,
    name: &'static str,
}

impl RawLock {
    /// A free lock that reports call `name`.
    pub const fn named(name: &'static str) -> RawLock {
        RawLock { word: AtomicU32::new(FRESH), name }
    }

    /// Takes the lock if it is free; whether it was fresh.
    fn acquire(&self) -> Option<bool> {
        let exchange =
            |from| self.word.compare_exchange(from, HELD, Ordering::Acquire, Ordering::Relaxed);
        match exchange(FREE) {
            Ok(_) => Some(false),
            Err(FRESH) => exchange(FRESH).ok().map(|_| true),
            Err(_) => None,
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Takes it if it is free, and notes who holds it.
    fn acquire_as(
        &self,
        world: &crate::world::World,
        me: usize,
        place: &'static Location<'static>,
    ) -> bool {
        let Some(fresh) = self.acquire() else { return false };
        let mut state = world.state();
        let lock = state.lock(self.address(), fresh);
        lock.holder = Some((me, place));
        lock.name = self.name;
        let clock = lock.clock.clone();
        state.thread(me).clock.join(&clock);
        true
    }
}

// SAFETY: the word is HELD exactly while somebody holds the lock: only the exchange from FREE or
// FRESH acquires, and only unlock, which the guard calls once, stores FREE.
unsafe impl lock_api::RawMutex for RawLock {
    const INIT: RawLock = RawLock::named("");
    type GuardMarker = lock_api::GuardSend;

    #[track_caller]
    fn lock(&self) {
        let Some((world, me)) = current() else {
            while self.acquire().is_none() {
                std::thread::yield_now();
            }
            return;
        };
        let place = Location::caller();
        world.point(me, "lock", place);
        while !self.acquire_as(&world, me, place) {
            let holder = world.state().lock(self.address(), false).holder;
            if let Some((holder, since)) = holder
                && holder == me
                && !std::thread::panicking()
            {
                let name = world.name(me);
                let message =
                    format!("{name} takes {} at {place}, held by itself since {since}", self.name);
                world.fail(Kind::Recursion, message);
            }
            let on = On::Lock(self.address());
            world.wait(me, Wait { on, deadline: None, label: "lock, contended", place });
        }
    }

    #[track_caller]
    fn try_lock(&self) -> bool {
        let Some((world, me)) = current() else { return self.acquire().is_some() };
        let place = Location::caller();
        world.point(me, "try_lock", place);
        self.acquire_as(&world, me, place)
    }

    #[track_caller]
    unsafe fn unlock(&self) {
        let Some((world, me)) = current() else {
            self.word.store(FREE, Ordering::Release);
            return;
        };
        let address = self.address();
        {
            let mut state = world.state();
            let clock = state.thread(me).clock.clone();
            let lock = state.lock(address, false);
            lock.holder = None;
            lock.clock.join(&clock);
            state.thread(me).clock.tick(me);
            self.word.store(FREE, Ordering::Release);
            state.wake(usize::MAX, None, |on| matches!(on, On::Lock(other) if *other == address));
        }
        // A guard that is dropped while its thread unwinds must not unwind anew.
        if !std::thread::panicking() {
            world.point(me, "unlock", Location::caller());
        }
    }

    fn is_locked(&self) -> bool {
        self.word.load(Ordering::Relaxed) == HELD
    }
}

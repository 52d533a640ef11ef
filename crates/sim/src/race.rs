//! Shared state that says when two threads touch it and nothing orders them.

use crate::clock::Clock;
use crate::failure::Kind;
use crate::thread::current;
use std::panic::Location;
use std::sync::{Mutex, PoisonError, TryLockError};

type Place = &'static Location<'static>;

#[derive(Debug, Default)]
struct History {
    /// The world these accesses were made in.
    world: u64,
    wrote: Option<(usize, u32, Place)>,
    /// Reads since that write.
    reads: Vec<(usize, u32, Place)>,
}

/// A value that virtual threads share as if by plain reads and writes. Two accesses, one of them a
/// write, that no lock, wake, join or atomic of the simulation orders, end the run as a data race.
/// Each access is a switch point.
#[derive(Debug, Default)]
pub struct RaceCell<T> {
    history: Mutex<History>,
    value: Mutex<T>,
}

impl<T> RaceCell<T> {
    /// A cell.
    pub const fn new(value: T) -> RaceCell<T> {
        let history = History { world: 0, wrote: None, reads: Vec::new() };
        RaceCell { history: Mutex::new(history), value: Mutex::new(value) }
    }

    /// Looks at the value: a read.
    #[track_caller]
    pub fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        self.check(false, Location::caller());
        look(&self.value.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the value: a write.
    #[track_caller]
    pub fn with_mut<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        self.check(true, Location::caller());
        match self.value.try_lock() {
            Ok(mut value) => change(&mut value),
            Err(TryLockError::Poisoned(value)) => change(&mut value.into_inner()),
            Err(TryLockError::WouldBlock) => {
                self.report(Location::caller(), "writes what another thread looks at".to_owned())
            }
        }
    }

    /// A copy of the value.
    #[track_caller]
    pub fn get(&self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// Replaces the value.
    #[track_caller]
    pub fn set(&self, value: T) {
        self.with_mut(|old| *old = value);
    }

    fn report(&self, place: Place, text: String) -> ! {
        match current() {
            Some((world, me)) => {
                let message = format!("data race: {} {text} at {place}", world.name(me));
                world.fail(Kind::Race, message)
            }
            None => panic!("data race: {text} at {place}"),
        }
    }

    fn check(&self, writes: bool, place: Place) {
        let Some((world, me)) = current() else { return };
        world.point(me, if writes { "write" } else { "read" }, place);
        let clock = world.state().thread(me).clock.clone();
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.world != world.number {
            *history = History { world: world.number, ..History::default() };
        }
        if let Some((other, verb)) = conflict(&history, me, writes, &clock) {
            drop(history);
            let (thread, _, since) = other;
            let mine = if writes { "writes" } else { "reads" };
            let other = world.name(thread);
            self.report(place, format!("{mine} what {other} {verb} at {since}, unordered,"));
        }
        let access = (me, clock.of(me), place);
        if writes {
            history.wrote = Some(access);
            history.reads.clear();
        } else {
            history.reads.retain(|(thread, ..)| *thread != me);
            history.reads.push(access);
        }
    }
}

/// An earlier access that is not known to have come before.
fn conflict(
    history: &History,
    me: usize,
    writes: bool,
    clock: &Clock,
) -> Option<((usize, u32, Place), &'static str)> {
    let unordered = |access: &&(usize, u32, Place)| access.0 != me && access.1 > clock.of(access.0);
    let write = history.wrote.as_ref().filter(unordered).map(|access| (*access, "wrote"));
    let read = || history.reads.iter().find(unordered).map(|access| (*access, "read"));
    write.or_else(|| if writes { read() } else { None })
}

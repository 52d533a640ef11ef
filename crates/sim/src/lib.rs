//! Virtual threads and virtual time under explored schedules, and a simulated host.
//!
//! [`explore`] runs a body again and again, each time under another schedule. The threads that the
//! body spawns are threads of the machine, but only one runs at a time, and who runs next is
//! decided at each *switch point*: a lock's acquisition or release ([`Mutex`]), a wait or wake
//! ([`wait`], [`wake`]), an atomic access ([`atomic`]), an access to a [`RaceCell`], a spawn or a
//! join, a [`point`] by name. Choices are drawn from a seed, made by probabilistic concurrency
//! testing, or searched exhaustively within a bound ([`Strategy`]). Time is virtual: it stands
//! still while threads run, and jumps to the next timer when all of them wait. A run fails when a
//! thread panics, when all wait and nothing is due, when a lock is taken twice, when two accesses to
//! a [`RaceCell`] are unordered, or when it does not end. The report names the schedule, and the
//! same schedule leads to the same failure: [`Strategy::Replay`].
//!
//! What it is not: a model of weak memory. Every interleaving here is sequentially consistent. And
//! what a body does behind the simulation's
//! back, a lock of the standard library or a real wait, is not explored; a real wait that does not
//! end is reported after a minute.
//!
//! Works in any build, without a feature or a `cfg`.
//!
//! ```
//! use ringfence_sim::{Mutex, Strategy, explore, spawn};
//! use std::sync::Arc;
//!
//! // Two threads take two locks in opposite orders: some schedule deadlocks.
//! let body = || {
//!     let (a, b) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
//!     let (a2, b2) = (Arc::clone(&a), Arc::clone(&b));
//!     let other = spawn("other", move || {
//!         let _b = b2.lock();
//!         let _a = a2.lock();
//!     });
//!     {
//!         let _a = a.lock();
//!         let _b = b.lock();
//!     }
//!     other.join();
//! };
//! let report = explore(Strategy::Exhaustive { preemptions: 1, runs_max: 1000 }, body);
//! let found = report.found.expect("a deadlock");
//!
//! // The printed line leads to it again.
//! let line = found.schedule.to_string();
//! let again = explore(Strategy::Replay(line.parse().unwrap()), body);
//! assert_eq!(again.found.unwrap().failure, found.failure);
//! ```

pub mod atomic;
mod choose;
mod clock;
mod explore;
mod failure;
mod host;
mod lock;
mod race;
mod rng;
mod schedule;
mod service;
mod state;
mod thread;
mod world;

pub use explore::{Explorer, Found, Report, SCHEDULE_VARIABLE, Strategy, explore};
pub use failure::{Failure, Kind, Row};
pub use host::{Faults, SimHost};
pub use lock::{Mutex, MutexGuard, RawLock};
pub use race::RaceCell;
pub use schedule::{BadSchedule, Schedule};
pub use service::Service;
pub use state::Woken;
pub use thread::{
    JoinHandle, at_end, choose, draw, is_simulated, now, point, sleep, spawn, spawn_daemon, wait,
    wait_ready, wake, yield_now,
};

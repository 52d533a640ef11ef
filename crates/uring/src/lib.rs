//! An io_uring engine in user space.
//!
//! [`Engine`] answers `io_uring_setup`, `io_uring_enter` and `io_uring_register` for one process,
//! as Linux does, with ordinary system calls. It is what `libringfence.so` puts under a program
//! that the kernel refuses; it can also be called directly, as the conformance tests do.
//!
//! What it is not: a way to intercept anything, and not a new interface. Addresses are those of
//! the program it serves, the memory of a ring is mapped from the descriptor that setup returns,
//! and every error is an errno.
//!
//! A request's way: [`Ring::enter`] consumes entries (`submit`), which become requests (`request`)
//! by the rows of the operation table (`opdef`); they are issued and completed (`issue`), or
//! parked (`parked`) for readiness (`poll`), a time (`timeout`) or a worker (`work`). Completions
//! leave through the queue (`cq`). Whoever waits drives (`wait`); else the attendant (`attend`).
//!
//! ```
//! use ringfence_abi::{Params, IORING_ENTER_GETEVENTS};
//! use ringfence_host::Os;
//! use ringfence_uring::Engine;
//!
//! let engine = Engine::new(Os);
//! let mut params = Params::default();
//! let fd = engine.setup(8, std::ptr::from_mut(&mut params) as u64).unwrap();
//! assert_eq!(engine.enter(fd, 0, 0, IORING_ENTER_GETEVENTS, 0, 8), Ok(0));
//! ```

pub mod aio;
mod attend;
mod blocked;
mod cancel;
mod cq;
mod direct;
mod drain;
mod engine;
mod here;
mod historic;
mod homes;
mod inherit;
mod issue;
mod kbuf;
mod kind;
mod lifetime;
mod limits;
mod locks;
mod opdef;
mod ops;
mod orphans;
mod outside;
mod parked;
mod patience;
mod poll;
mod pollers;
#[cfg(test)]
mod publication;
mod register;
mod request;
mod residence;
mod returned;
mod rights;
mod ring;
mod ring_fds;
mod room;
mod same_file;
mod setup;
mod sq;
mod sqpoll;
mod stats;
mod submit;
mod timeout;
mod wait;
mod work;

pub use aio::{Aio, Recent};
pub use engine::Engine;
pub use limits::Limits;
pub use locks::LOCK_CLASSES;
pub use opdef::{Support, support};
pub use ring::Ring;
pub use setup::FEATURES;
pub use stats::{RingStats, Stats};

//! The bodies of Linux AIO, one file per matter, each run on the kernel's AIO and on ours.
//! `cargo test -p ringfence-conformance --test aio` runs them all.

mod cold;
mod events;
mod lifetime;
mod poll;
mod process;
mod refused;
mod ring;
mod setup;
mod submit;
mod transfer;

/// What most bodies use.
mod prelude {
    pub(crate) use ringfence_abi::*;
    pub(crate) use ringfence_conformance::aio::{
        Context, direct_file, iocb, mapping_at, poll, pread, pwrite,
    };
    pub(crate) use ringfence_conformance::sys::{self, BAD_ADDRESS, fd, ms};
    pub(crate) use ringfence_conformance::{Mapping, ring_test, timespec};
    pub(crate) use std::io::Write;
    pub(crate) use std::time::Instant;

    /// A negated errno, as events carry it.
    pub(crate) fn failed(errno: Errno) -> std::result::Result<i64, Errno> {
        Ok(i64::from(errno.as_result()))
    }

    /// The address of something, for a raw argument.
    pub(crate) fn address<T>(of: &T) -> u64 {
        std::ptr::from_ref(of) as u64
    }

    /// Waits until `what` holds, and fails after ten seconds.
    pub(crate) fn until(what: impl Fn() -> bool) {
        let deadline = Instant::now() + ms(10_000);
        while !what() {
            assert!(Instant::now() < deadline, "it never came to be");
            std::thread::sleep(ms(1));
        }
    }
}

/// A row of what is not simulated names a body, each body once, and `docs/SIMULATION.md` says how
/// many bodies run.
#[test]
fn simulated_bodies_are_counted() {
    use ringfence_conformance::sim;
    sim::assert_counted(sim::AIO_NOT_SIMULATED, "bodies of Linux AIO");
}

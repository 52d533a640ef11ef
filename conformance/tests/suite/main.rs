//! The bodies, one file per mechanism. `cargo test -p ringfence-conformance` runs them all;
//! `... -- link native` those of links on the kernel's io_uring.

mod attributes;
mod bad_input;
mod bundle;
mod cancel;
mod command;
mod defer;
mod descriptors;
mod direct;
mod drain;
mod enter;
mod eventfd;
mod fs;
mod futex;
mod inherited;
mod interrupted;
mod lifetime;
mod link;
mod link_failures;
mod link_table;
mod msg_ring;
mod multishot;
mod net;
mod nop;
mod op_table;
mod overflow;
mod own_memory;
mod pbuf;
mod poll;
mod process;
mod process_life;
mod register_buffers;
mod register_files;
mod register_misc;
mod registrations;
mod restrictions;
mod rw;
mod setup;
mod skip;
mod sqpoll;
mod surroundings;
mod timeout;
mod wait;
mod wide_entries;
mod zero_copy;

/// What most bodies use.
mod prelude {
    pub(crate) use ringfence_abi::*;
    pub(crate) use ringfence_conformance::sqe::{self, SqeExt, address, address_mut, raw};
    pub(crate) use ringfence_conformance::sys::{self, BAD_ADDRESS, fd, ms};
    pub(crate) use ringfence_conformance::timespec;
    pub(crate) use ringfence_conformance::{
        Mapping, Outcome, Ring, Skip, Target, record, ring_test,
    };
    pub(crate) use std::io::{Read, Seek, Write};
    pub(crate) use std::time::{Duration, Instant};

    /// Waits for what comes about in another thread.
    pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + ms(8000);
        while !holds() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(ms(1));
        }
    }

    /// The result codes of completions.
    pub(crate) fn results(cqes: &[Cqe]) -> Vec<i32> {
        cqes.iter().map(|cqe| cqe.res).collect()
    }

    /// Pairs of user_data and result, in the order of completion.
    pub(crate) fn pairs(cqes: &[Cqe]) -> Vec<(u64, i32)> {
        cqes.iter().map(|cqe| (cqe.user_data, cqe.res)).collect()
    }

    /// Pairs of user_data and result, ordered by user_data.
    pub(crate) fn by_data(cqes: &[Cqe]) -> Vec<(u64, i32)> {
        let mut pairs = pairs(cqes);
        pairs.sort_unstable();
        pairs
    }

    // Errors as completions carry them.
    pub(crate) const EINVAL: i32 = Errno::EINVAL.as_result();
    pub(crate) const EBADF: i32 = Errno::EBADF.as_result();
    pub(crate) const EFAULT: i32 = Errno::EFAULT.as_result();
    pub(crate) const ENOENT: i32 = Errno::ENOENT.as_result();
    pub(crate) const EAGAIN: i32 = Errno::EAGAIN.as_result();
    pub(crate) const ETIME: i32 = Errno::ETIME.as_result();
    pub(crate) const ECANCELED: i32 = Errno::ECANCELED.as_result();
    pub(crate) const EOPNOTSUPP: i32 = Errno::EOPNOTSUPP.as_result();
    pub(crate) const EALREADY: i32 = Errno::EALREADY.as_result();
    pub(crate) const ENXIO: i32 = Errno::ENXIO.as_result();
    pub(crate) const ENFILE: i32 = Errno::ENFILE.as_result();
    pub(crate) const ENOBUFS: i32 = Errno::ENOBUFS.as_result();
    pub(crate) const EPIPE: i32 = Errno::EPIPE.as_result();
    pub(crate) const EBADFD: i32 = Errno::EBADFD.as_result();
    pub(crate) const EEXIST: i32 = Errno::EEXIST.as_result();
    pub(crate) const EACCES: i32 = Errno::EACCES.as_result();
    pub(crate) const ENOTSOCK: i32 = Errno::ENOTSOCK.as_result();
    pub(crate) const ESPIPE: i32 = Errno::ESPIPE.as_result();
}

/// A row of the table of known failures names a body, each body once.
#[test]
fn known_rows_name_bodies() {
    let binary = std::env::current_exe().expect("the test binary");
    let list = std::process::Command::new(binary).arg("--list").output().expect("list");
    let list = String::from_utf8(list.stdout).expect("UTF-8");
    let mut seen = std::collections::BTreeSet::new();
    for body in ringfence_conformance::KNOWN.iter().flat_map(|(_, bodies)| *bodies) {
        assert!(list.contains(&format!("{body}::engine: test")), "{body} is no body");
        assert!(seen.insert(body), "{body} has two rows");
    }
}

/// A row of what is not simulated names a body, each body once, and `docs/SIMULATION.md` says how
/// many bodies run.
#[test]
fn simulated_bodies_are_counted() {
    use ringfence_conformance::sim;
    sim::assert_counted(sim::NOT_SIMULATED, "bodies");
}

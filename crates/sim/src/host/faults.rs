//! Faults of the world, drawn from the schedule's seed.

use super::SimHost;
use ringfence_abi::Errno;
use ringfence_host::{Host, Os};

/// How often each kind of fault happens: once in so many occasions on average, 0 for never.
///
/// Those of the first part are such as a program is never to notice; those of the second come out as
/// the results of its requests and calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A call takes up to two milliseconds.
    pub late: u32,
    /// Events come in another order, or a few at a time.
    pub reorder: u32,
    /// A transfer on a file at a position moves a part of what it was asked to.
    pub short: u32,
    /// A read of a file finds nothing in memory, and so would have to wait: `EAGAIN` under
    /// `RWF_NOWAIT`.
    pub cold: u32,
    /// No thread can be started: `EAGAIN`.
    pub no_thread: u32,
    /// A wait is interrupted: `EINTR`.
    pub interrupted: u32,
    /// Nothing more can be written: `ENOSPC`.
    pub no_space: u32,
    /// No memory for it: `ENOMEM`.
    pub no_memory: u32,
    /// No descriptor for it: `EMFILE`.
    pub no_descriptor: u32,
}

impl Faults {
    /// Those that a program is never to notice, now and then.
    pub const UNSEEN: Faults = Faults {
        late: 40,
        reorder: 4,
        short: 8,
        cold: 8,
        no_thread: 0,
        interrupted: 0,
        no_space: 0,
        no_memory: 0,
        no_descriptor: 0,
    };

    /// All of them, now and then.
    pub const ALL: Faults = Faults {
        no_thread: 6,
        interrupted: 12,
        no_space: 10,
        no_memory: 50,
        no_descriptor: 50,
        ..Faults::UNSEEN
    };

    pub(super) fn one_in(&self, fault: Fault) -> u32 {
        match fault {
            Fault::Late => self.late,
            Fault::Reorder => self.reorder,
            Fault::Short => self.short,
            Fault::Cold => self.cold,
            Fault::NoThread => self.no_thread,
            Fault::Interrupted => self.interrupted,
            Fault::NoSpace => self.no_space,
            Fault::NoMemory => self.no_memory,
            Fault::NoDescriptor => self.no_descriptor,
        }
    }
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Late,
    Reorder,
    Short,
    Cold,
    NoThread,
    Interrupted,
    NoSpace,
    NoMemory,
    NoDescriptor,
}

/// Which calls fail in which way.
const FAILING: &[(i64, &[(Fault, Errno)])] = &[
    (libc::SYS_openat, &[(Fault::NoDescriptor, Errno::EMFILE), (Fault::NoMemory, Errno::ENOMEM)]),
    (libc::SYS_openat2, &[(Fault::NoDescriptor, Errno::EMFILE), (Fault::NoMemory, Errno::ENOMEM)]),
    (libc::SYS_socket, &[(Fault::NoDescriptor, Errno::EMFILE), (Fault::NoMemory, Errno::ENOMEM)]),
    (libc::SYS_accept4, &[(Fault::NoDescriptor, Errno::EMFILE)]),
    (libc::SYS_pipe2, &[(Fault::NoDescriptor, Errno::EMFILE)]),
    (libc::SYS_eventfd2, &[(Fault::NoDescriptor, Errno::EMFILE)]),
    (libc::SYS_epoll_create1, &[(Fault::NoDescriptor, Errno::EMFILE)]),
    (libc::SYS_fallocate, &[(Fault::NoSpace, Errno::ENOSPC)]),
    (libc::SYS_mkdirat, &[(Fault::NoSpace, Errno::ENOSPC)]),
    (libc::SYS_symlinkat, &[(Fault::NoSpace, Errno::ENOSPC)]),
    (libc::SYS_linkat, &[(Fault::NoSpace, Errno::ENOSPC)]),
    (libc::SYS_fsync, &[(Fault::NoSpace, Errno::ENOSPC)]),
];

/// A transfer at a position, and so on a file that has positions.
fn has_position(number: i64, args: &[u64; 6]) -> bool {
    matches!(number, libc::SYS_preadv2 | libc::SYS_pwritev2) && args[3] != u64::MAX
}

impl SimHost {
    /// The error that a call gives without being made, if it does.
    pub(super) fn fault(&self, number: i64, args: &[u64; 6]) -> Option<Errno> {
        let failing = FAILING.iter().find(|(call, _)| *call == number);
        for (fault, errno) in failing.map_or(&[][..], |(_, faults)| faults) {
            if self.strikes(*fault) {
                return Some(*errno);
            }
        }
        let adds = number == libc::SYS_epoll_ctl && args[1] == libc::EPOLL_CTL_ADD as u64;
        if adds && self.strikes(Fault::NoMemory) {
            return Some(Errno::ENOMEM);
        }
        if number == libc::SYS_pwritev2
            && has_position(number, args)
            && self.strikes(Fault::NoSpace)
        {
            return Some(Errno::ENOSPC);
        }
        // What is not in memory would have to be waited for.
        let no_wait = args[5] & libc::RWF_NOWAIT as u64 != 0;
        let again = number == libc::SYS_preadv2 && has_position(number, args) && no_wait;
        (again && self.strikes(Fault::Cold)).then_some(Errno::EAGAIN)
    }

    /// Whether a transfer on a file is to move only a part.
    pub(super) fn is_cut(&self, number: i64, args: &[u64; 6]) -> bool {
        if !has_position(number, args) || !self.strikes(Fault::Short) {
            return false;
        }
        // Transfers that go past the page cache are whole sectors.
        let status = Os.syscall(libc::SYS_fcntl, [args[0], libc::F_GETFL as u64, 0, 0, 0, 0]);
        status.is_ok_and(|status| status & libc::O_DIRECT as u64 == 0)
    }
}

//! The table of workloads, and measuring one of them in this process.

use crate::error::Result;
use crate::meter::{Budget, Sample};
use crate::site::Needs;
use crate::{aio, echo, link, nop, poll, read, timers, tree};
use std::path::Path;

/// Which of a workload's two implementations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// By io_uring, or by Linux AIO, whoever serves it.
    Ring,
    /// By plain system calls.
    Plain,
}

/// What a target compares ringfence with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// The kernel's io_uring, or its AIO.
    Kernel,
    /// The plain system calls.
    Plain,
}

/// How much time per operation ringfence may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// In terms of what.
    pub against: Against,
    /// The ratio that must not be exceeded.
    pub at_most: f64,
}

/// A row of the table.
#[derive(Debug)]
pub struct Workload {
    /// What the command line calls it.
    pub name: &'static str,
    /// What is done, and what one operation is.
    pub about: &'static str,
    /// The plain system calls that are the floor.
    pub floor: &'static str,
    /// The targets, if there are any.
    pub targets: &'static [Target],
    /// What must stand in the directory.
    pub needs: Needs,
    ring: fn(&Path, Budget) -> Result<Sample>,
    plain: fn(&Path, Budget) -> Result<Sample>,
}

const fn kernel(at_most: f64) -> Target {
    Target { against: Against::Kernel, at_most }
}

const fn plain(at_most: f64) -> Target {
    Target { against: Against::Plain, at_most }
}

/// All workloads, in the order they run.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "nop32",
        about: "nop, 32 a call",
        floor: "getppid",
        targets: &[kernel(0.7)],
        needs: Needs::Nothing,
        ring: |_, budget| nop::ring(32, budget),
        plain: |_, budget| nop::plain(budget),
    },
    Workload {
        name: "nop1",
        about: "nop, one a call",
        floor: "getppid",
        targets: &[kernel(0.5)],
        needs: Needs::Nothing,
        ring: |_, budget| nop::ring(1, budget),
        plain: |_, budget| nop::plain(budget),
    },
    Workload {
        name: "read",
        about: "cached random reads of 4 KiB, 32 a call",
        floor: "pread",
        targets: &[kernel(1.1), plain(1.1)],
        needs: Needs::Cached,
        ring: read::cached_ring,
        plain: read::cached_plain,
    },
    Workload {
        name: "read-overlay",
        about: "the same through overlayfs",
        floor: "pread",
        targets: &[kernel(0.6)],
        needs: Needs::Cached,
        ring: read::overlay_ring,
        plain: read::overlay_plain,
    },
    Workload {
        name: "link",
        about: "linked pairs of a cached 4 KiB read and a write to /dev/null, 16 pairs a call",
        floor: "pread, write",
        targets: &[kernel(0.85)],
        needs: Needs::Cached,
        ring: link::ring,
        plain: link::plain,
    },
    Workload {
        name: "echo1",
        about: "TCP echo of 64 B, 1 connection, both ends on one CPU",
        floor: "epoll",
        targets: &[kernel(1.1)],
        needs: Needs::Nothing,
        ring: |_, budget| echo::ring(1, budget),
        plain: |_, budget| echo::plain(1, budget),
    },
    Workload {
        name: "echo64",
        about: "the same with 64 connections",
        floor: "epoll",
        targets: &[kernel(1.1)],
        needs: Needs::Nothing,
        ring: |_, budget| echo::ring(64, budget),
        plain: |_, budget| echo::plain(64, budget),
    },
    Workload {
        name: "echo1024",
        about: "the same with 1024 connections",
        floor: "epoll",
        targets: &[kernel(1.1)],
        needs: Needs::Nothing,
        ring: |_, budget| echo::ring(1024, budget),
        plain: |_, budget| echo::plain(1024, budget),
    },
    Workload {
        name: "timers",
        about: "a timer armed or cancelled, 1024 live, 32 a call",
        floor: "B-tree",
        targets: &[kernel(0.05)],
        needs: Needs::Nothing,
        ring: |_, budget| timers::ring(budget),
        plain: |_, budget| timers::plain(budget),
    },
    Workload {
        name: "statx",
        about: "statx, 32 a call",
        floor: "statx",
        targets: &[kernel(0.5)],
        needs: Needs::Names,
        ring: tree::ring,
        plain: tree::plain,
    },
    Workload {
        name: "direct",
        about: "O_DIRECT random reads of 4 KiB, 32 a call",
        floor: "32 threads",
        targets: &[kernel(1.15)],
        needs: Needs::Direct,
        ring: read::direct_ring,
        plain: read::direct_plain,
    },
    Workload {
        name: "poll",
        about: "a poll added or removed over 256 pipes, 32 a call",
        floor: "epoll_ctl",
        targets: &[],
        needs: Needs::Nothing,
        ring: |_, budget| poll::ring(budget),
        plain: |_, budget| poll::plain(budget),
    },
    Workload {
        name: "aio-read",
        about: "Linux AIO: cached random reads of 4 KiB, 32 a call",
        floor: "pread",
        targets: &[kernel(1.1)],
        needs: Needs::Cached,
        ring: aio::cached,
        plain: read::cached_plain,
    },
    Workload {
        name: "aio-posix",
        about: "the same beside glibc's POSIX AIO",
        floor: "lio_listio",
        targets: &[],
        needs: Needs::Cached,
        ring: aio::cached,
        plain: aio::posix,
    },
    Workload {
        name: "aio-direct",
        about: "Linux AIO: O_DIRECT random reads of 4 KiB, 32 a call",
        floor: "32 threads",
        targets: &[kernel(1.3)],
        needs: Needs::Direct,
        ring: aio::direct,
        plain: read::direct_plain,
    },
    Workload {
        name: "aio-cold",
        about: "Linux AIO: the time in io_submit for a read of 4 KiB not in memory, 32 a call",
        floor: "lio_listio",
        targets: &[kernel(0.05)],
        needs: Needs::Direct,
        ring: aio::cold,
        plain: aio::posix_cold,
    },
];

/// Measures one half of a workload in this process; `site` is the path of a [`Site`] prepared for
/// it.
///
/// May pin this thread to a CPU and move it to namespaces of its own: a process should measure
/// once and end.
///
/// # Errors
/// [`Error::Unavailable`](crate::Error::Unavailable) where this machine refuses what the workload
/// needs; else what failed.
///
/// [`Site`]: crate::Site
pub fn measure(workload: &Workload, half: Half, site: &Path, budget: Budget) -> Result<Sample> {
    match half {
        Half::Ring => (workload.ring)(site, budget),
        Half::Plain => (workload.plain)(site, budget),
    }
}

#[cfg(test)]
mod tests {
    use super::WORKLOADS;

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), WORKLOADS.len());
    }
}

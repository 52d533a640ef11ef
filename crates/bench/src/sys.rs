//! What the workloads need of the system besides the operations they measure.
#![expect(unsafe_code, reason = "maps and locks a file; forks; leaves namespaces")]

use crate::error::{Context, Error, Result};
use rustix::mm::{MapFlags, ProtFlags};
use rustix::process::{Pid, Resource, Rlimit};
use rustix::thread::{CpuSet, UnshareFlags};
use std::fs::File;
use std::io;
use std::os::raw::c_void;

/// A file whose pages stay in the page cache as long as this lives.
///
/// A host may take a guest's page cache away within seconds, and a workload of cached reads would
/// measure the disk.
#[derive(Debug)]
pub(crate) struct Pinned {
    address: *mut c_void,
    length: usize,
}

impl Pinned {
    /// Pins the first `length` bytes.
    ///
    /// # Errors
    /// The limit of locked memory is lower.
    pub(crate) fn new(file: &File, length: usize) -> io::Result<Pinned> {
        // SAFETY: the kernel chooses the address, and nobody looks at the memory.
        let pinned = unsafe {
            let null = std::ptr::null_mut();
            let address =
                rustix::mm::mmap(null, length, ProtFlags::READ, MapFlags::SHARED, file, 0)?;
            Pinned { address, length }
        };
        // SAFETY: the mapping that was just made.
        unsafe { rustix::mm::mlock(pinned.address, length)? };
        Ok(pinned)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing refers to it.
        let _ = unsafe { rustix::mm::munmap(self.address, self.length) };
    }
}

/// A child process that is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Child(Pid);

impl Child {
    /// Forks; the child runs `body` and ends.
    ///
    /// `body` may make system calls only: another thread may have held any lock at the fork.
    pub(crate) fn fork(body: impl FnOnce()) -> Result<Child> {
        // SAFETY: the child runs `body`, which keeps to the rule above, and never returns.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => Err(io::Error::last_os_error()).during("fork"),
            0 => {
                // SAFETY: plain system calls; the second does not return.
                unsafe {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    body();
                    libc::_exit(0)
                }
            }
            pid => Ok(Child(Pid::from_raw(pid).expect("fork returns 0, -1 or a process id"))),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(self.0, rustix::process::Signal::KILL);
        let _ = rustix::process::waitpid(Some(self.0), rustix::process::WaitOptions::empty());
    }
}

/// Leaves namespaces for new ones.
pub(crate) fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: only the namespaces of mounts and users are left; descriptors stay as they are.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Keeps this thread, and what it forks, on the last CPU that it may use.
pub(crate) fn stay_on_one_cpu() -> Result<()> {
    let all = rustix::thread::sched_getaffinity(None).during("sched_getaffinity")?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| all.is_set(*cpu)).unwrap_or(0);
    let mut one = CpuSet::new();
    one.set(last);
    rustix::thread::sched_setaffinity(None, &one).during("sched_setaffinity")
}

/// Raises the limit of open descriptors as far as `count` needs.
pub(crate) fn want_descriptors(count: u64) -> Result<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < count) {
        let why = format!("needs {count} descriptors, and the limit is {:?}", limit.maximum);
        return Err(Error::Unavailable(why));
    }
    let wanted = Rlimit { current: Some(count), maximum: limit.maximum };
    rustix::process::setrlimit(Resource::Nofile, wanted).during("setrlimit")
}

/// A small generator of random numbers (xorshift64); its quality does not matter here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Random {
        Random::seeded(0)
    }

    pub(crate) fn seeded(seed: u64) -> Random {
        // The generator must not start at zero, which it would never leave.
        Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `bound`.
    #[inline]
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(bound)) >> 64) as u64
    }
}

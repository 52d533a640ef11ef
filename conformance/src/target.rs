//! Where a body runs: the system calls of io_uring, by whom they are served.
#![expect(unsafe_code, reason = "makes the system calls of io_uring")]

use crate::Ring;
use ringfence_abi::{Errno, Params, Result};
use std::fmt;
use std::process::{Child, Command};

/// A body cannot run on this machine; the text says why.
#[derive(Debug)]
pub struct Skip(pub String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The system calls of io_uring, and those others that an implementation must know of.
///
/// Arguments are raw, as a program would pass them; errors are the errno.
pub trait Target: Sync {
    /// `native`, `engine`, `preload`, `sim`.
    fn name(&self) -> &'static str;

    /// Starts the process that a body runs in.
    ///
    /// # Errors
    /// [`Skip`] if there is something missing for that.
    fn launch(&self, command: &mut Command) -> std::result::Result<Child, Skip> {
        Ok(command.spawn().expect("start the test binary"))
    }

    /// `io_uring_setup`; `params` is an address.
    fn setup(&self, entries: u32, params: u64) -> Result<i32>;

    /// `io_uring_enter`; `arg` is an address.
    fn enter(
        &self,
        fd: i32,
        to_submit: u32,
        min_complete: u32,
        flags: u32,
        arg: u64,
        argsz: u64,
    ) -> Result<u32>;

    /// `io_uring_register`; `arg` is an address.
    fn register(&self, fd: i32, opcode: u32, arg: u64, nr_args: u32) -> Result<u32>;

    /// A shared mapping of `len` bytes of a ring at `offset`, as an address.
    fn mmap(&self, fd: i32, len: usize, offset: u64) -> Result<u64>;

    /// `close` of any descriptor, a ring's or one with requests pending.
    fn close(&self, fd: i32) -> Result<()>;

    /// To be called by the thread that has made a call of its own, such as a write, where that is to
    /// have completed what the thread waits for; interception sees to it by itself.
    fn after_call(&self) {}

    /// `dup` of any descriptor.
    fn dup(&self, fd: i32) -> Result<i32>;

    /// One of the six system calls of Linux AIO.
    fn aio(&self, number: i64, args: [u64; 6]) -> Result<u64>;

    /// `poll` of one descriptor, a ring's too: the events that came, 0 after `timeout_ms`.
    fn poll(&self, fd: i32, events: i16, timeout_ms: i32) -> Result<i16>;
}

impl dyn Target + '_ {
    /// A ring of `entries`, without flags.
    ///
    /// # Errors
    /// [`Skip`] where the kernel lacks or refuses io_uring.
    pub fn ring(&self, entries: u32) -> std::result::Result<Ring<'_>, Skip> {
        self.ring_with(entries, 0)
    }

    /// A ring of `entries` with setup flags.
    ///
    /// # Errors
    /// [`Skip`] where the kernel lacks or refuses io_uring, or does not know a flag.
    pub fn ring_with(&self, entries: u32, flags: u32) -> std::result::Result<Ring<'_>, Skip> {
        self.ring_from(entries, Params { flags, ..Params::default() })
    }

    /// A ring of `entries` with all parameters.
    ///
    /// # Errors
    /// [`Skip`] where the kernel lacks or refuses io_uring, or does not know a flag.
    pub fn ring_from(&self, entries: u32, params: Params) -> std::result::Result<Ring<'_>, Skip> {
        Ring::new(self, entries, params).map_err(|errno| {
            let skips = self.is_kernel()
                && [Errno::ENOSYS, Errno::EPERM, Errno::EACCES, Errno::EINVAL].contains(&errno);
            assert!(skips, "io_uring_setup with flags {:#x}: {errno}", params.flags);
            Skip(format!("this kernel's io_uring_setup, flags {:#x}: {errno}", params.flags))
        })
    }

    /// Whether this is the kernel's own io_uring.
    pub fn is_kernel(&self) -> bool {
        self.name() == "native"
    }

    /// Goes on if a forked child is the same target, as it is wherever calls are intercepted.
    ///
    /// # Errors
    /// [`Skip`] for the engine called directly.
    pub fn can_fork(&self) -> std::result::Result<(), Skip> {
        if ["engine", "sim"].contains(&self.name()) {
            return Err(Skip("an engine called directly does not know of forks".to_owned()));
        }
        Ok(())
    }

    /// Goes on if the program's own system calls on descriptors are seen.
    ///
    /// # Errors
    /// [`Skip`] for the engine called directly.
    pub fn sees_calls(&self) -> std::result::Result<(), Skip> {
        if ["engine", "sim"].contains(&self.name()) {
            return Err(Skip("an engine called directly does not see other calls".to_owned()));
        }
        Ok(())
    }

    /// Goes on unless an older kernel answers -EINVAL to a request that it does not know.
    ///
    /// # Errors
    /// [`Skip`] naming `what` the kernel lacks.
    pub fn needs_op(&self, what: &str, result: i32) -> std::result::Result<i32, Skip> {
        if result == Errno::EINVAL.as_result() && self.is_kernel() && !is_current_kernel() {
            return Err(Skip(format!("this kernel lacks {what}")));
        }
        Ok(result)
    }

    /// Goes on if `result` is fine, skips on a kernel that answers -EINVAL, fails otherwise.
    ///
    /// For registrations and flags younger than the oldest kernel that bodies run on; an engine
    /// never skips.
    ///
    /// # Errors
    /// [`Skip`] naming `what` the kernel lacks.
    pub fn needs<T>(&self, what: &str, result: Result<T>) -> std::result::Result<T, Skip> {
        match result {
            Ok(value) => Ok(value),
            Err(Errno::EINVAL | Errno::EOPNOTSUPP) if self.is_kernel() && !is_current_kernel() => {
                Err(Skip(format!("this kernel lacks {what}")))
            }
            Err(errno) => panic!("{what}: {errno}"),
        }
    }
}

/// The release that the bodies describe; an older kernel may lack what they use.
pub(crate) const KERNEL_RELEASE: (u32, u32) = (6, 18);

/// Whether this machine runs [`KERNEL_RELEASE`] or a newer one, by its release string.
pub(crate) fn is_current_kernel() -> bool {
    kernel_release() >= KERNEL_RELEASE
}

/// The release that this machine runs.
pub(crate) fn kernel_release() -> (u32, u32) {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = text.trim().split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// The kernel's io_uring, by system calls.
pub struct Native;

const SYS_SETUP: libc::c_long = 425;
const SYS_ENTER: libc::c_long = 426;
const SYS_REGISTER: libc::c_long = 427;

fn checked(value: i64) -> Result<i64> {
    if value < 0 { Err(last_errno()) } else { Ok(value) }
}

fn last_errno() -> Errno {
    Errno::from_raw(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

impl Target for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn setup(&self, entries: u32, params: u64) -> Result<i32> {
        // SAFETY: the kernel checks the address; writing there is what the body asks for.
        let value = unsafe { libc::syscall(SYS_SETUP, u64::from(entries), params) };
        checked(value).map(|fd| fd as i32)
    }

    fn enter(
        &self,
        fd: i32,
        to_submit: u32,
        min_complete: u32,
        flags: u32,
        arg: u64,
        argsz: u64,
    ) -> Result<u32> {
        let (submit, min, flags) =
            (u64::from(to_submit), u64::from(min_complete), u64::from(flags));
        // SAFETY: the requests act on memory of the body that made them, which keeps it alive
        // until their completions.
        let value = unsafe { libc::syscall(SYS_ENTER, fd, submit, min, flags, arg, argsz) };
        checked(value).map(|count| count as u32)
    }

    fn register(&self, fd: i32, opcode: u32, arg: u64, nr_args: u32) -> Result<u32> {
        let (opcode, nr) = (u64::from(opcode), u64::from(nr_args));
        // SAFETY: the kernel checks the address; what it writes there the body asked for.
        let value = unsafe { libc::syscall(SYS_REGISTER, fd, opcode, arg, nr) };
        checked(value).map(|count| count as u32)
    }

    fn mmap(&self, fd: i32, len: usize, offset: u64) -> Result<u64> {
        map_shared(fd, len, offset)
    }

    fn close(&self, fd: i32) -> Result<()> {
        // SAFETY: closing a descriptor number touches no memory of ours.
        checked(i64::from(unsafe { libc::close(fd) })).map(|_| ())
    }

    fn dup(&self, fd: i32) -> Result<i32> {
        // SAFETY: as above.
        let new = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
        checked(i64::from(new)).map(|fd| fd as i32)
    }

    fn aio(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        let [a, b, c, d, e, f] = args;
        // SAFETY: requests act on memory of the body that made them, which keeps it alive until
        // their events; the kernel checks every address.
        checked(unsafe { libc::syscall(number, a, b, c, d, e, f) }).map(|value| value as u64)
    }

    fn poll(&self, fd: i32, events: i16, timeout_ms: i32) -> Result<i16> {
        let mut poll = libc::pollfd { fd, events, revents: 0 };
        // SAFETY: one pollfd, valid for the call.
        let count = unsafe { libc::poll(&raw mut poll, 1, timeout_ms) };
        checked(i64::from(count)).map(|_| poll.revents)
    }
}

/// A shared, readable and writable, populated mapping of `fd`.
pub(crate) fn map_shared(fd: i32, len: usize, offset: u64) -> Result<u64> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing of ours.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, fd, offset as i64) };
    if address == libc::MAP_FAILED { Err(last_errno()) } else { Ok(address as u64) }
}

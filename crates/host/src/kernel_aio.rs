//! The kernel's own asynchronous I/O (`io_setup(2)` and its like), as the engine uses it for files
//! that are opened with `O_DIRECT`: one call for a whole queue, and no thread that waits for each.
//!
//! It is asked for by system calls of the host, so it is the kernel's wherever a program's own calls
//! of this name lead.

use crate::{Host, calls};
use ringfence_abi::Result;

/// What is to be done with which memory, as `struct iocb` has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Iocb {
    /// Comes back with the result.
    pub data: u64,
    /// The kernel's.
    pub key: u32,
    /// `RWF_*`.
    pub rw_flags: u32,
    /// [`PREAD`] and its like.
    pub opcode: u16,
    /// Its priority, unless 0.
    pub reqprio: i16,
    /// The file.
    pub fd: u32,
    /// Address of the memory, or of its iovecs.
    pub buf: u64,
    /// Bytes, or how many iovecs.
    pub nbytes: u64,
    /// Where in the file, bytes.
    pub offset: u64,
    /// 0.
    pub reserved: u64,
    /// [`FLAG_RESFD`].
    pub flags: u32,
    /// The eventfd that is signalled when it is done.
    pub resfd: u32,
}

const _: () = assert!(size_of::<Iocb>() == 64);

/// `IOCB_CMD_PREAD`.
pub const PREAD: u16 = 0;
/// `IOCB_CMD_PWRITE`.
pub const PWRITE: u16 = 1;
/// `IOCB_CMD_PREADV`.
pub const PREADV: u16 = 7;
/// `IOCB_CMD_PWRITEV`.
pub const PWRITEV: u16 = 8;
/// `IOCB_FLAG_RESFD`.
pub const FLAG_RESFD: u32 = 1;

/// A result, as `struct io_event` has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct IoEvent {
    /// What the [`Iocb`] said.
    pub data: u64,
    /// The address of the [`Iocb`] at its submission.
    pub obj: u64,
    /// Bytes, or an error as a negated number.
    pub res: i64,
    /// 0.
    pub res2: i64,
}

/// `io_setup(2)`: a context for `entries` requests in flight.
///
/// # Errors
/// `EAGAIN` where the system's `aio-max-nr` is used up, `ENOSYS` or `EPERM` where it is refused.
pub fn setup<H: Host>(host: &H, entries: u32) -> Result<u64> {
    let mut context = 0u64;
    let args = [u64::from(entries), calls::addr_mut(&mut context), 0, 0, 0, 0];
    host.syscall(libc::SYS_io_setup, args)?;
    Ok(context)
}

/// `io_destroy(2)`: ends when all that is in flight is done.
pub fn destroy<H: Host>(host: &H, context: u64) {
    let _ = host.syscall(libc::SYS_io_destroy, [context, 0, 0, 0, 0, 0]);
}

/// `io_submit(2)`: starts the first of `iocbs`, by address; how many were started. They are not
/// looked at any more after this, nor are the iovecs that they name.
///
/// # Errors
/// Why the first one was not.
pub fn submit<H: Host>(host: &H, context: u64, iocbs: &[u64]) -> Result<usize> {
    let args = [context, iocbs.len() as u64, iocbs.as_ptr() as u64, 0, 0, 0];
    host.syscall(libc::SYS_io_submit, args).map(|count| count as usize)
}

/// `io_getevents(2)` without waiting: how many of `events` were filled in.
///
/// # Errors
/// `EINVAL` for a context that is not there.
pub fn results<H: Host>(host: &H, context: u64, events: &mut [IoEvent]) -> Result<usize> {
    let mut none = [0u64; 2];
    let (at, room) = (events.as_mut_ptr() as u64, events.len() as u64);
    let args = [context, 0, room, at, calls::addr_mut(&mut none), 0];
    host.syscall(libc::SYS_io_getevents, args).map(|count| count as usize)
}

/// Says whether it may be tried.
pub type Permission = fn() -> bool;

/// Sets who finds out, once per process, whether trying kills nobody; without it nothing is tried
/// where a seccomp filter is in force.
pub fn set_permission(find_out: Permission) {
    let _ = crate::os::AIO_PERMISSION.set(find_out);
}

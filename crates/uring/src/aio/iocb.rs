//! Requests as the program hands them in, and the entries of the engine that do the same.

use crate::ops::rw::TRANSFER_MAX;
use ringfence_abi::*;
use std::mem::offset_of;

/// Where an `iocb` has its key, bytes.
pub(super) const KEY_AT: u64 = offset_of!(Iocb, key) as u64;

/// Of the poll's events.
const POLL_BITS: u64 = 0xffff;

/// Append to the file, and do not, both at once.
const APPEND_AND_NOT: u32 = (libc::RWF_APPEND | libc::RWF_NOAPPEND) as u32;

/// Checks that need the request alone, before its file is looked at.
///
/// # Errors
/// `EINVAL`.
pub(super) fn check(iocb: &Iocb) -> Result<()> {
    let bad = iocb.reserved2 != 0 || iocb.nbytes > i64::MAX as u64;
    if bad { Err(Errno::EINVAL) } else { Ok(()) }
}

/// The entry that does what the request asks for.
///
/// # Errors
/// `EINVAL` for an operation that there is not, or what it does not take; `EFAULT` for a buffer
/// that no program can have.
pub(super) fn entry(iocb: &Iocb, at: u64) -> Result<Sqe> {
    let sqe = Sqe { fd: iocb.fd, user_data: at, ..Sqe::default() };
    match iocb.opcode {
        IOCB_CMD_PREAD => transfer(iocb, Sqe { opcode: Op::Read as u8, ..sqe }),
        IOCB_CMD_PWRITE => transfer(iocb, Sqe { opcode: Op::Write as u8, ..sqe }),
        IOCB_CMD_PREADV => vectored(iocb, Sqe { opcode: Op::Readv as u8, ..sqe }),
        IOCB_CMD_PWRITEV => vectored(iocb, Sqe { opcode: Op::Writev as u8, ..sqe }),
        IOCB_CMD_FSYNC => sync(iocb, sqe, 0),
        IOCB_CMD_FDSYNC => sync(iocb, sqe, IORING_FSYNC_DATASYNC),
        IOCB_CMD_POLL => poll(iocb, sqe),
        _ => Err(Errno::EINVAL),
    }
}

/// Whether the program can have bytes from `addr` to `addr + len`.
///
/// # Errors
/// `EFAULT`.
pub(super) fn check_range(addr: u64, len: u64) -> Result<()> {
    match addr.checked_add(len) {
        Some(end) if end <= i64::MAX as u64 => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Whether a transfer of `len` bytes at `offset` stays within what a file can have.
///
/// # Errors
/// `EINVAL`.
pub(super) fn check_position(offset: i64, len: u64) -> Result<()> {
    let fits = offset >= 0 && offset.checked_add_unsigned(len).is_some();
    if fits { Ok(()) } else { Err(Errno::EINVAL) }
}

fn transfer(iocb: &Iocb, sqe: Sqe) -> Result<Sqe> {
    let len = iocb.nbytes.min(TRANSFER_MAX);
    let sqe = read_write(iocb, sqe)?;
    check_range(iocb.buf, len)?;
    check_position(iocb.offset, len)?;
    Ok(Sqe { len: len as u32, ..sqe })
}

/// The number of iovecs is taken for 32 bits, as in the kernel.
fn vectored(iocb: &Iocb, sqe: Sqe) -> Result<Sqe> {
    Ok(Sqe { len: iocb.nbytes as u32, ..read_write(iocb, sqe)? })
}

fn read_write(iocb: &Iocb, sqe: Sqe) -> Result<Sqe> {
    if iocb.rw_flags & APPEND_AND_NOT == APPEND_AND_NOT {
        return Err(Errno::EINVAL);
    }
    // Nobody polls for AIO, so the wish to be polled for is granted by ignoring it.
    let op_flags = iocb.rw_flags & !(libc::RWF_HIPRI as u32);
    let ioprio = if iocb.flags & IOCB_FLAG_IOPRIO != 0 { iocb.reqprio } else { 0 };
    Ok(Sqe { addr: iocb.buf, off: iocb.offset as u64, op_flags, ioprio, ..sqe })
}

fn takes_nothing(iocb: &Iocb) -> Result<()> {
    let unused = iocb.nbytes != 0 || iocb.offset != 0 || iocb.rw_flags != 0;
    if unused { Err(Errno::EINVAL) } else { Ok(()) }
}

fn sync(iocb: &Iocb, sqe: Sqe, op_flags: u32) -> Result<Sqe> {
    takes_nothing(iocb)?;
    if iocb.buf != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(Sqe { opcode: Op::Fsync as u8, op_flags, ..sqe })
}

fn poll(iocb: &Iocb, sqe: Sqe) -> Result<Sqe> {
    takes_nothing(iocb)?;
    if iocb.buf & !POLL_BITS != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(Sqe { opcode: Op::PollAdd as u8, op_flags: iocb.buf as u32, ..sqe })
}

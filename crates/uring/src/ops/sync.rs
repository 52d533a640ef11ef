//! FSYNC, SYNC_FILE_RANGE, FALLOCATE, FTRUNCATE: they wait for the disk, so workers make them.

use crate::issue::Cx;
use crate::request::{Outcome, Req, result_of};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::Host;

/// Always to a worker, as the kernel does.
pub(crate) fn issue<H: Host>(_: &mut Req<H>, _: &mut Cx<'_, H>) -> Outcome {
    Outcome::WorkUntried
}

pub(crate) fn prep_fsync<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    let unused = sqe.addr != 0 || sqe.buf_index != 0 || sqe.file_index != 0;
    if unused || sqe.op_flags & !IORING_FSYNC_DATASYNC != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub(crate) fn fsync<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    let (fd, sqe) = (req.file.fd() as u64, &req.sqe);
    // A range is a hint; the whole file is synced.
    let data = sqe.op_flags & IORING_FSYNC_DATASYNC != 0;
    let number = if data { libc::SYS_fdatasync } else { libc::SYS_fsync };
    result_of(host.syscall(number, [fd, 0, 0, 0, 0, 0]))
}

pub(crate) fn prep_range<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    let unused = sqe.addr != 0 || sqe.buf_index != 0 || sqe.file_index != 0;
    if unused { Err(Errno::EINVAL) } else { Ok(()) }
}

pub(crate) fn sync_file_range<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    let (fd, sqe) = (req.file.fd() as u64, &req.sqe);
    let args = [fd, sqe.off, u64::from(sqe.len), u64::from(sqe.op_flags), 0, 0];
    result_of(host.syscall(libc::SYS_sync_file_range, args))
}

pub(crate) fn prep_fallocate<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    let unused = sqe.buf_index != 0 || sqe.op_flags != 0 || sqe.file_index != 0;
    if unused { Err(Errno::EINVAL) } else { Ok(()) }
}

pub(crate) fn fallocate<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    // The length stands in addr, the mode in len.
    let (fd, sqe) = (req.file.fd() as u64, &req.sqe);
    let args = [fd, u64::from(sqe.len), sqe.off, sqe.addr, 0, 0];
    result_of(host.syscall(libc::SYS_fallocate, args))
}

pub(crate) fn prep_ftruncate<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    let unused = sqe.op_flags != 0
        || sqe.addr != 0
        || sqe.len != 0
        || sqe.buf_index != 0
        || sqe.file_index != 0
        || sqe.addr3 != 0;
    if unused { Err(Errno::EINVAL) } else { Ok(()) }
}

pub(crate) fn ftruncate<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    let args = [req.file.fd() as u64, req.sqe.off, 0, 0, 0, 0];
    result_of(host.syscall(libc::SYS_ftruncate, args))
}

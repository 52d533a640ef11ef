//! FADVISE and MADVISE.

use crate::issue::Cx;
use crate::request::{Outcome, Req, result_of};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::Host;

pub(crate) fn prep_fadvise<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.buf_index != 0 || sqe.file_index != 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

pub(crate) fn prep_madvise<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    let unused = sqe.buf_index != 0 || sqe.file_index != 0;
    if unused { Err(Errno::EINVAL) } else { Ok(()) }
}

/// Advice that only sets a flag is given inline; what reads or drops pages is a worker's.
pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let flag_only = matches!(
        req.sqe.op_flags as i32,
        libc::POSIX_FADV_NORMAL | libc::POSIX_FADV_RANDOM | libc::POSIX_FADV_SEQUENTIAL
    );
    if req.sqe.opcode == Op::Fadvise as u8 && flag_only {
        return Outcome::Done(fadvise(req, &cx.ring.host));
    }
    Outcome::WorkUntried
}

/// The length: 64 bits in `addr` or `off` if the 32-bit one is zero.
fn length(short: u32, long: u64) -> u64 {
    if short != 0 { u64::from(short) } else { long }
}

pub(crate) fn fadvise<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    let (fd, sqe) = (req.file.fd() as u64, &req.sqe);
    let len = length(sqe.len, sqe.addr);
    let args = [fd, sqe.off, len, u64::from(sqe.op_flags), 0, 0];
    result_of(host.syscall(libc::SYS_fadvise64, args))
}

pub(crate) fn madvise<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    let sqe = &req.sqe;
    let len = length(sqe.len, sqe.off);
    let args = [sqe.addr, len, u64::from(sqe.op_flags), 0, 0, 0];
    result_of(host.syscall(libc::SYS_madvise, args))
}

//! NOP.

use crate::issue::Cx;
use crate::request::{FileRef, Outcome, Req};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::Host;

const FILE: u32 = 1 << 1;
const FIXED_FILE: u32 = 1 << 2;
const FIXED_BUFFER: u32 = 1 << 3;
const TW: u32 = 1 << 4;
const KNOWN: u32 =
    IORING_NOP_INJECT_RESULT | FILE | FIXED_FILE | FIXED_BUFFER | TW | IORING_NOP_CQE32;

pub(crate) fn prep<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    let flags = req.sqe.op_flags;
    if flags == 0 {
        return Ok(());
    }
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & IORING_NOP_CQE32 != 0 {
        if !cx.ring.has(IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED) {
            return Err(Errno::EINVAL);
        }
        req.big_cqe = [req.sqe.off, req.sqe.addr];
        req.wide = true;
    }
    Ok(())
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if req.sqe.op_flags == 0 {
        return Outcome::Done(0);
    }
    Outcome::Done(match checked(req, cx) {
        Ok(res) => res,
        Err(errno) => errno.as_result(),
    })
}

fn checked<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Result<i32> {
    let flags = req.sqe.op_flags;
    if flags & FILE != 0 {
        if flags & FIXED_FILE != 0 {
            req.file = FileRef::Owned(cx.sub.registered.files.get(req.sqe.fd as u32)?);
        } else {
            cx.call(libc::SYS_fcntl, [req.sqe.fd as u64, libc::F_GETFD as u64, 0, 0, 0, 0])?;
        }
    }
    if flags & FIXED_BUFFER != 0 {
        cx.sub.registered.buffers.get(req.sqe.buf_index)?;
    }
    Ok(if flags & IORING_NOP_INJECT_RESULT != 0 { req.sqe.len as i32 } else { 0 })
}

//! PROVIDE_BUFFERS and REMOVE_BUFFERS, the older form of provided buffers.

use crate::issue::Cx;
use crate::ops::copies::check_range;
use crate::request::{Outcome, Req};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::Host;

/// Buffer ids have 16 bits.
const BUFFERS_MAX: u64 = 1 << 16;

pub(crate) fn prep_provide<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.op_flags != 0 || sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    let count = sqe.fd as i64 as u64;
    if count == 0 || count > BUFFERS_MAX {
        return Err(Errno::from_raw(libc::E2BIG));
    }
    if sqe.len == 0 {
        return Err(Errno::EINVAL);
    }
    let size = count.checked_mul(u64::from(sqe.len)).ok_or(Errno::EOVERFLOW)?;
    sqe.addr.checked_add(size).ok_or(Errno::EOVERFLOW)?;
    check_range(sqe.addr, size)?;
    if sqe.off > u64::from(u16::MAX) {
        return Err(Errno::from_raw(libc::E2BIG));
    }
    if sqe.off + count > BUFFERS_MAX {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub(crate) fn provide<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let sqe = &req.sqe;
    let group = cx.sub.registered.groups.legacy(sqe.buf_index);
    Outcome::Done(match group {
        Ok(group) => {
            for index in 0..sqe.fd as u64 {
                let addr = sqe.addr + index * u64::from(sqe.len);
                let bid = (sqe.off + index) as u16;
                group.push_back(Buf { addr, len: sqe.len, bid, resv: 0 });
            }
            0
        }
        Err(errno) => errno.as_result(),
    })
}

pub(crate) fn prep_remove<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    let unused =
        sqe.op_flags != 0 || sqe.addr != 0 || sqe.len != 0 || sqe.off != 0 || sqe.file_index != 0;
    let count = sqe.fd as i64 as u64;
    if unused || count == 0 || count > BUFFERS_MAX { Err(Errno::EINVAL) } else { Ok(()) }
}

pub(crate) fn remove<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let removed = cx.sub.registered.groups.remove(req.sqe.buf_index, req.sqe.fd as usize);
    Outcome::Done(match removed {
        Ok(count) => count as i32,
        Err(errno) => errno.as_result(),
    })
}

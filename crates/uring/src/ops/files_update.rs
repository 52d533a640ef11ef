//! FILES_UPDATE.

use crate::issue::Cx;
use crate::request::{Outcome, Req, result_of};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::Host;

pub(crate) fn prep<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if req.has(IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT) {
        return Err(Errno::EINVAL);
    }
    if sqe.op_flags != 0 || sqe.file_index != 0 || sqe.len == 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let (offset, fds, count) = (req.sqe.off as u32, req.sqe.addr, req.sqe.len);
    let result = if offset == IORING_FILE_INDEX_ALLOC {
        crate::register::files::allocate(cx.ring, cx.sub, fds, count)
    } else {
        crate::register::files::update(cx.ring, cx.sub, offset, fds, 0, count)
    };
    Outcome::Done(result_of(result.map(u64::from)))
}

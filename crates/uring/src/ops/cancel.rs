//! ASYNC_CANCEL.

use crate::cancel::{Match, cancel};
use crate::issue::Cx;
use crate::request::{Outcome, Req};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::Host;

pub(crate) fn prep<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if req.has(IOSQE_BUFFER_SELECT) || sqe.off != 0 || sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    wanted(req).check()
}

fn wanted<H: Host>(req: &Req<H>) -> Match {
    let sqe = &req.sqe;
    let mut flags = sqe.op_flags;
    if req.has(IOSQE_FIXED_FILE) {
        flags |= IORING_ASYNC_CANCEL_FD_FIXED;
    }
    Match { user_data: sqe.addr, fd: sqe.fd, opcode: sqe.len as u8, flags }
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let wanted = wanted(req);
    Outcome::Done(match cancel(&cx.ring.host, cx.sub, &wanted) {
        Ok(res) => res,
        Err(errno) => errno.as_result(),
    })
}

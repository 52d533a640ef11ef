//! CLOSE, of a descriptor or of a slot of the registered files.

use crate::issue::Cx;
use crate::request::{Outcome, Req, result_of};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::Host;

pub(crate) fn prep<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    let unused =
        sqe.off != 0 || sqe.addr != 0 || sqe.len != 0 || sqe.op_flags != 0 || sqe.buf_index != 0;
    if unused {
        return Err(Errno::EINVAL);
    }
    if req.has(IOSQE_FIXED_FILE) {
        return Err(Errno::EBADF);
    }
    if sqe.file_index != 0 && sqe.fd != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if req.sqe.file_index != 0 {
        let removed = cx.sub.registered.close_slot(req.sqe.file_index - 1, &mut cx.sub.batch);
        return Outcome::Done(result_of(removed.map(|()| 0)));
    }
    let fd = req.sqe.fd;
    // A ring is not closed through a ring.
    if cx.ring.shared.is_ring(fd) {
        return Outcome::Done(Errno::EBADF.as_result());
    }
    // Other rings' requests for the file are kept by whoever closes through the C library; here
    // only this ring's lock is held.
    cx.ring.keep_before_close(cx.sub, fd);
    Outcome::of(cx.call(libc::SYS_close, [fd as u64, 0, 0, 0, 0, 0]))
}

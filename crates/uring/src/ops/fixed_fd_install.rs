//! FIXED_FD_INSTALL: a plain descriptor of a registered file.

use crate::issue::Cx;
use crate::request::{Outcome, Req};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::Host;

pub(crate) fn prep<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    let unused = sqe.off != 0
        || sqe.addr != 0
        || sqe.len != 0
        || sqe.buf_index != 0
        || sqe.file_index != 0
        || sqe.addr3 != 0;
    if unused {
        return Err(Errno::EINVAL);
    }
    if !req.has(IOSQE_FIXED_FILE) {
        return Err(Errno::EBADF);
    }
    if sqe.op_flags & !IORING_FIXED_FD_NO_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    // A descriptor of another's making is not handed out.
    if sqe.personality != 0 { Err(Errno::EPERM) } else { Ok(()) }
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let stays = req.sqe.op_flags & IORING_FIXED_FD_NO_CLOEXEC != 0;
    let command = if stays { libc::F_DUPFD } else { libc::F_DUPFD_CLOEXEC };
    let result = cx.call(libc::SYS_fcntl, [req.file.fd() as u64, command as u64, 0, 0, 0, 0]);
    if let Ok(fd) = result {
        cx.ring.shared.fd_opened(cx.sub, fd as i32);
    }
    Outcome::of(result)
}

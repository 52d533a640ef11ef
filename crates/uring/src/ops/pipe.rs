//! PIPE.

use crate::issue::Cx;
use crate::ops::open::install;
use crate::request::{Outcome, Req};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::{Host, calls, plain};

const KNOWN: u32 = (libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_DIRECT) as u32;

pub(crate) fn prep<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.fd != 0 || sqe.off != 0 || sqe.addr3 != 0 || sqe.op_flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    if sqe.file_index != 0 && sqe.op_flags & libc::O_CLOEXEC as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    Outcome::Done(match pipe(req, cx) {
        Ok(()) => 0,
        Err(errno) => errno.as_result(),
    })
}

fn pipe<H: Host>(req: &Req<H>, cx: &mut Cx<'_, H>) -> Result<()> {
    let (read, write) = calls::pipe2(&cx.ring.host, req.sqe.op_flags as i32)?;
    let slot = req.sqe.file_index;
    let second = if slot == 0 || slot == IORING_FILE_INDEX_ALLOC { slot } else { slot + 1 };
    let mut fds = [install(slot, read, cx), install(second, write, cx)];
    for fd in fds {
        if fd < 0 {
            return Err(Errno::from_raw(-fd));
        }
    }
    if second != slot {
        // Chosen slots are told too, though their installation says nothing of them.
        fds = [slot as i32 - 1, slot as i32];
    }
    let told = plain::write(&cx.ring.host, req.sqe.addr, &fds);
    if told.is_err() && slot == 0 {
        for fd in fds {
            let _ = calls::close(&cx.ring.host, fd);
        }
    }
    told
}

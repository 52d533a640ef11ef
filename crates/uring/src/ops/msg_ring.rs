//! MSG_RING: a completion, or a registered file, for another ring of the process.

use crate::cq::Entry;
use crate::engine::Shared;
use crate::issue::Cx;
use crate::request::{Outcome, Req};
use crate::ring::Ring;
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Host, plain};

const KNOWN: u32 = IORING_MSG_RING_CQE_SKIP | IORING_MSG_RING_FLAGS_PASS;

pub(crate) fn prep<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.buf_index != 0 || sqe.personality != 0 || sqe.op_flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let Some(target) = cx.ring.shared.ring(req.file.fd()) else {
        return Outcome::Done(Errno::EBADFD.as_result());
    };
    let result = match req.sqe.addr {
        IORING_MSG_DATA => send_data(req, cx, &target),
        IORING_MSG_SEND_FD => send_fd(req, cx, &target),
        _ => Err(Errno::EINVAL),
    };
    Outcome::Done(match result {
        Ok(res) => res,
        Err(errno) => errno.as_result(),
    })
}

/// `IORING_REGISTER_SEND_MSG_RING`: one message of data, from no ring.
///
/// # Errors
/// As for a request.
pub(crate) fn send_directly<H: Host>(
    shared: &Arc<Shared<H>>,
    host: &H,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg == 0 || nr != 1 {
        return Err(Errno::EINVAL);
    }
    let sqe: Sqe = plain::read(host, arg)?;
    let bad = sqe.flags != 0
        || sqe.opcode != Op::MsgRing as u8
        || sqe.buf_index != 0
        || sqe.personality != 0
        || sqe.op_flags & !KNOWN != 0
        || sqe.addr != IORING_MSG_DATA;
    if bad {
        return Err(Errno::EINVAL);
    }
    let target = shared.named(host, sqe.fd, false).map_err(|errno| match errno {
        Errno::EOPNOTSUPP => Errno::EBADFD,
        other => other,
    })?;
    let cqe = message(&sqe, &target)?;
    target.post_message(&Entry { cqe, ..Entry::default() });
    Ok(0)
}

fn check_target<H: Host>(target: &Arc<Ring<H>>) -> Result<()> {
    if target.disabled.load(Ordering::Acquire) { Err(Errno::EBADFD) } else { Ok(()) }
}

/// Posts to a ring; to the sender's own through its batch, for order's sake.
fn post<H: Host>(cx: &mut Cx<'_, H>, target: &Arc<Ring<H>>, cqe: Cqe) {
    let entry = Entry { cqe, ..Entry::default() };
    if Arc::ptr_eq(cx.ring, target) {
        cx.sub.batch.push(entry);
    } else {
        target.post_message(&entry);
    }
}

fn send_data<H: Host>(req: &Req<H>, cx: &mut Cx<'_, H>, target: &Arc<Ring<H>>) -> Result<i32> {
    let cqe = message(&req.sqe, target)?;
    post(cx, target, cqe);
    Ok(0)
}

/// The completion that a message of data makes.
fn message<H: Host>(sqe: &Sqe, target: &Arc<Ring<H>>) -> Result<Cqe> {
    if sqe.addr3 != 0 || sqe.op_flags & !IORING_MSG_RING_FLAGS_PASS != 0 {
        return Err(Errno::EINVAL);
    }
    let passes = sqe.op_flags & IORING_MSG_RING_FLAGS_PASS != 0;
    if !passes && sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    check_target(target)?;
    let flags = if passes { sqe.file_index } else { 0 };
    Ok(Cqe { user_data: sqe.off, res: sqe.len as i32, flags })
}

fn send_fd<H: Host>(req: &Req<H>, cx: &mut Cx<'_, H>, target: &Arc<Ring<H>>) -> Result<i32> {
    let sqe = &req.sqe;
    if sqe.len != 0 || Arc::ptr_eq(cx.ring, target) {
        return Err(Errno::EINVAL);
    }
    check_target(target)?;
    // The source slot stands in addr3, the target's in file_index.
    let file = cx.sub.registered.files.get(sqe.addr3 as u32)?;
    // Two rings' submission locks are never held together: the file goes by way of the target's
    // own list, which its next holder of the lock empties.
    let slot = target.install_message(sqe.file_index, file)?;
    if sqe.op_flags & IORING_MSG_RING_CQE_SKIP == 0 {
        post(cx, target, Cqe { user_data: sqe.off, res: slot as i32, flags: 0 });
    }
    Ok(slot as i32)
}

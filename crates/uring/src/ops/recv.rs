//! RECV: into one buffer, a provided buffer or a bundle of them, once or again and again.

use crate::issue::Cx;
use crate::kbuf;
use crate::ops::net::{
    DONTWAIT, IN, WAITALL, blocked, check_ioprio, goes_on, is_poll_first, socket_option,
    without_buffer,
};
use crate::ops::send::{after, total};
use crate::request::{Outcome, Req, Request};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::{Host, calls};

const PEEK: u32 = libc::MSG_PEEK as u32;

const KNOWN: u16 = IORING_RECVSEND_POLL_FIRST | IORING_RECV_MULTISHOT | IORING_RECVSEND_BUNDLE;

/// After this many completions a multishot lets other sockets have their turn.
const TURNS_MAX: u32 = 32;

/// Under `MSG_WAITALL` a short transfer breaks a link; otherwise it is a success.
pub(crate) fn is_short<H: Host>(req: &Request<H>, res: i32) -> bool {
    req.sqe.op_flags & WAITALL != 0 && (res as u32) < req.sqe.len
}

pub(crate) fn prep<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    crate::ops::send::check_len(&req.sqe)?;
    let sqe = &req.sqe;
    // The file index is the limit of a multishot as a whole.
    if sqe.off != 0 || sqe.file_index != 0 && !is_multishot(req) {
        return Err(Errno::EINVAL);
    }
    check_ioprio(sqe.ioprio, KNOWN)?;
    check_multishot(req)
}

/// A multishot takes its buffers from a group, and never waits for all.
pub(crate) fn check_multishot<H: Host>(req: &Req<H>) -> Result<()> {
    if is_multishot(req) && (!req.has(IOSQE_BUFFER_SELECT) || req.sqe.op_flags & WAITALL != 0) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub(crate) fn is_multishot<H: Host>(req: &Req<H>) -> bool {
    req.sqe.ioprio & IORING_RECV_MULTISHOT != 0
}

fn is_bundle<H: Host>(req: &Req<H>) -> bool {
    req.sqe.ioprio & IORING_RECVSEND_BUNDLE != 0
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if is_poll_first(req) {
        return Outcome::WaitUntried(IN);
    }
    for _ in 0..TURNS_MAX {
        if req.sqe.op_flags & DONTWAIT == 0 && cx.ring.is_drained(cx.sub, req) {
            return Outcome::Wait(IN);
        }
        let outcome = if req.has(IOSQE_BUFFER_SELECT) && is_bundle(req) {
            bundle(req, cx)
        } else {
            into_one(req, cx)
        };
        let res = match outcome {
            Outcome::Done(res) if res > 0 && is_multishot(req) => res,
            Outcome::Wait(_) if req.done == 0 => {
                kbuf::put_back(cx.sub, req);
                return outcome;
            }
            _ => return outcome,
        };
        if is_used_up(req, res) || !more(req, cx, res) {
            return outcome;
        }
        if req.sqe.len > 0 && is_bundle(req) && res as u32 >= req.sqe.len {
            break;
        }
    }
    // Others have their turn; what is there already must count.
    Outcome::WaitUntried(IN)
}

/// Counts towards the limit of a multishot as a whole; whether it is reached.
fn is_used_up<H: Host>(req: &mut Req<H>, res: i32) -> bool {
    if req.sqe.file_index == 0 {
        return false;
    }
    req.sqe.file_index = req.sqe.file_index.saturating_sub(res as u32);
    req.sqe.file_index == 0
}

/// The smaller limit of two of which 0 is none.
fn tighter(a: u32, b: u32) -> u32 {
    if a == 0 || b == 0 { a.max(b) } else { a.min(b) }
}

/// Posts one result of a multishot, its buffer used up; false if it must be the last one.
pub(crate) fn more<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>, res: i32) -> bool {
    kbuf::settle(cx.sub, req, res);
    if cx.post_more(req, res) {
        req.cqe_flags = 0;
        req.done = 0;
        return true;
    }
    // The flags stay for the last completion; the buffer is settled already.
    false
}

/// Receives into one buffer.
fn into_one<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if req.has(IOSQE_BUFFER_SELECT)
        && req.buffer.is_none()
        && let Err(errno) = kbuf::select(cx.sub, &cx.ring.host, req, req.sqe.len)
    {
        req.cqe_flags = 0;
        return without_buffer(req, cx, errno);
    }
    let (base, len) = match req.buffer {
        Some(buffer) => (buffer.addr, u64::from(buffer.len)),
        None => (req.sqe.addr, u64::from(req.sqe.len)),
    };
    let flags = u64::from(req.sqe.op_flags & !WAITALL | DONTWAIT);
    loop {
        let (at, left) = (base.wrapping_add(req.done), len.saturating_sub(req.done));
        match cx.call(libc::SYS_recvfrom, [req.file.fd() as u64, at, left, flags, 0, 0]) {
            Ok(n) => {
                req.done += n;
                let done = req.done >= len || n == 0 || !goes_on(req, cx);
                if done {
                    note(req, cx, n, left);
                    return Outcome::Done(req.done as i32);
                }
            }
            Err(Errno::EAGAIN) => return blocked(req, IN),
            Err(_) if req.done > 0 => return Outcome::Done(req.done as i32),
            Err(errno) => return Outcome::Done(errno.as_result()),
        }
    }
}

/// Receives into as many buffers as there is data for; the completion is complete after this.
fn bundle<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let max = tighter(req.sqe.len, req.sqe.file_index);
    let mut max_now = max;
    let mut received = 0u64;
    let mut flags = None;
    loop {
        let shape = match kbuf::select_bundle(cx.sub, &cx.ring.host, req, max_now) {
            Ok(shape) => shape,
            Err(_) if received > 0 => break,
            Err(errno) => {
                req.cqe_flags = 0;
                return without_buffer(req, cx, errno);
            }
        };
        let wanted = total(&req.spans);
        let n = match receive_spans(req, cx) {
            Ok(n) => n,
            Err(errno) => {
                kbuf::put_back(cx.sub, req);
                match errno {
                    _ if received > 0 => break,
                    Errno::EAGAIN => return blocked(req, IN),
                    _ => return Outcome::Done(errno.as_result()),
                }
            }
        };
        let queued = note(req, cx, n, wanted);
        kbuf::settle(cx.sub, req, n as i32);
        received += n;
        let may_append = flags.is_none() && !shape.partial && !shape.empties;
        let capped = max > 0 && received >= u64::from(max);
        // The completion names the first buffer, and tells what was true at the end.
        let id = IORING_CQE_F_BUFFER | 0xffff << IORING_CQE_BUFFER_SHIFT;
        let first = *flags.get_or_insert(req.cqe_flags & id);
        req.cqe_flags = req.cqe_flags & !id | first;
        if !may_append || capped || n == 0 || n < wanted || queued <= 1 {
            break;
        }
        req.cqe_flags &= !IORING_CQE_F_SOCK_NONEMPTY;
        max_now = queued;
    }
    req.done = received;
    Outcome::Done(received as i32)
}

/// One system call into the request's spans.
fn receive_spans<H: Host>(req: &Req<H>, cx: &Cx<'_, H>) -> Result<u64> {
    let iovecs = after(&req.spans, 0);
    let mut header =
        Msghdr { iov: iovecs.as_ptr() as u64, iovlen: iovecs.len() as u64, ..Msghdr::default() };
    let flags = u64::from(req.sqe.op_flags & !WAITALL | DONTWAIT);
    let at = calls::addr_mut(&mut header);
    cx.call(libc::SYS_recvmsg, [req.file.fd() as u64, at, flags, 0, 0, 0])
}

/// Takes note of what a receive of `n` bytes into `room` says of the socket; bytes still queued,
/// as far as that was asked.
fn note<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>, n: u64, room: u64) -> u32 {
    if n > 0 && n == room {
        let left = note_non_empty(req, cx);
        if left != Some(0) {
            return left.unwrap_or(0);
        }
    }
    if n > 0 && req.sqe.op_flags & PEEK == 0 {
        let (ring, fd) = (cx.ring, req.file.fd());
        // TCP only: a UNIX socket's receive also stops where descriptors were attached.
        let kind = || socket_option(&ring.host, fd, libc::SO_PROTOCOL) == Ok(libc::IPPROTO_TCP);
        ring.note_drained(cx.sub, req, kind);
    }
    0
}

/// Tells that the socket holds more, after a receive that filled its buffer; how much, bytes, if the
/// socket can tell.
pub(crate) fn note_non_empty<H: Host>(req: &mut Req<H>, cx: &Cx<'_, H>) -> Option<u32> {
    let mut left = 0i32;
    let at = calls::addr_mut(&mut left);
    let args = [req.file.fd() as u64, libc::FIONREAD, at, 0, 0, 0];
    cx.call(libc::SYS_ioctl, args).ok()?;
    if left > 0 {
        req.cqe_flags |= IORING_CQE_F_SOCK_NONEMPTY;
    }
    Some(left.max(0) as u32)
}

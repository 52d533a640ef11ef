//! SEND: from one buffer, a vector, a provided buffer or a bundle of them.

use crate::issue::Cx;
use crate::kbuf;
use crate::ops::copies::check_range;
use crate::ops::message::Address;
use crate::ops::net::{
    DONTWAIT, NOSIGNAL, OUT, WAITALL, blocked, check_ioprio, goes_on, poll_first, without_buffer,
};
use crate::ops::rw::read_iovecs;
use crate::request::{Extra, Outcome, Req, Request};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::Host;

const KNOWN: u16 = IORING_RECVSEND_POLL_FIRST | IORING_RECVSEND_BUNDLE | IORING_SEND_VECTORIZED;

fn is_bundle<H: Host>(req: &Request<H>) -> bool {
    req.sqe.ioprio & IORING_RECVSEND_BUNDLE != 0
}

/// Under `MSG_WAITALL`, as a bundle always is, a short transfer breaks a link.
pub(crate) fn is_short<H: Host>(req: &Request<H>, res: i32) -> bool {
    let wanted = if req.spans.is_empty() { u64::from(req.sqe.len) } else { total(&req.spans) };
    req.sqe.op_flags & WAITALL != 0 && (res as u64) < wanted
}

/// Bytes in a vector.
pub(crate) fn total(spans: &[Iovec]) -> u64 {
    spans.iter().fold(0, |sum: u64, span| sum.saturating_add(span.len))
}

/// Lengths are signed.
///
/// # Errors
/// `EINVAL` for a negative one.
pub(crate) fn check_len(sqe: &Sqe) -> Result<()> {
    if (sqe.len as i32) < 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

pub(crate) fn prep<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    check_len(&req.sqe)?;
    check_ioprio(req.sqe.ioprio, KNOWN)?;
    if is_bundle(req) {
        req.sqe.op_flags |= WAITALL;
    }
    copy(req, cx)
}

/// Copies what a send points to: its address, and its vector.
pub(crate) fn copy<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.file_index >> 16 != 0 {
        return Err(Errno::EINVAL);
    }
    if sqe.off != 0 {
        let address = Address::read(&cx.ring.host, sqe.off, u64::from(sqe.addr_len()))?;
        req.extra = Extra::Address(Box::new(address));
    }
    if req.sqe.ioprio & IORING_SEND_VECTORIZED != 0 && !req.has(IOSQE_BUFFER_SELECT) {
        req.spans = read_iovecs(&cx.ring.host, req.sqe.addr, u64::from(req.sqe.len))?;
        if req.spans.is_empty() {
            // A vector of nothing sends nothing, not the bytes at its address.
            req.spans.push(Iovec::default());
        }
        return Ok(());
    }
    // A registered buffer has its own check; so does one that is selected.
    let fixed = req.sqe.ioprio & IORING_RECVSEND_FIXED_BUF != 0;
    if fixed || req.has(IOSQE_BUFFER_SELECT) {
        return Ok(());
    }
    check_range(req.sqe.addr, u64::from(req.sqe.len))
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if let Some(outcome) = poll_first(req, cx, OUT) {
        return outcome;
    }
    loop {
        let shape = match select(req, cx) {
            Ok(shape) => shape,
            Err(errno) => return without_buffer(req, cx, errno),
        };
        let outcome = transmit(req, cx);
        let Outcome::Done(res) = outcome else { return outcome };
        let over = res <= 0 || shape.empties || req.polled;
        if !is_bundle(req) || req.buffer.is_none() || over {
            return outcome;
        }
        if !crate::ops::recv::more(req, cx, res) {
            return outcome;
        }
    }
}

/// Takes the provided buffers; a send keeps them, whatever it must wait for, so that what is sent
/// stays in the order of the buffers.
fn select<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Result<kbuf::Shape> {
    if !req.has(IOSQE_BUFFER_SELECT) || req.buffer.is_some() {
        return Ok(kbuf::Shape::default());
    }
    let len = req.sqe.len;
    if !cx.sub.registered.groups.is_there(req.sqe.buf_index) {
        return Err(Errno::ENOENT);
    }
    let shape = if is_bundle(req) {
        kbuf::select_bundle(cx.sub, &cx.ring.host, req, len)?
    } else {
        kbuf::select(cx.sub, &cx.ring.host, req, len)?;
        kbuf::Shape::default()
    };
    kbuf::commit(cx.sub, req);
    Ok(shape)
}

/// Sends what is left, as far as that goes without blocking.
pub(crate) fn transmit<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let wanted = match (req.spans.is_empty(), req.buffer) {
        (false, _) => total(&req.spans),
        (true, Some(buffer)) => u64::from(buffer.len),
        (true, None) => u64::from(req.sqe.len),
    };
    loop {
        match call(req, cx, wanted) {
            Ok(n) => {
                req.done += n;
                if req.done >= wanted || !goes_on(req, cx) {
                    return Outcome::Done(req.done as i32);
                }
            }
            Err(Errno::EAGAIN) => return blocked(req, OUT),
            Err(_) if req.done > 0 => return Outcome::Done(req.done as i32),
            Err(errno) => return Outcome::Done(errno.as_result()),
        }
    }
}

/// One system call for what is left of `wanted` bytes.
fn call<H: Host>(req: &Req<H>, cx: &Cx<'_, H>, wanted: u64) -> Result<u64> {
    let fd = req.file.fd() as u64;
    let flags = u64::from(req.sqe.op_flags | DONTWAIT | NOSIGNAL);
    let (name, name_len) = match &req.extra {
        Extra::Address(address) => address.as_args(),
        _ => (0, 0),
    };
    if req.spans.is_empty() {
        let base = req.buffer.map_or(req.sqe.addr, |buffer| buffer.addr);
        let at = base.wrapping_add(req.done);
        return cx.call(libc::SYS_sendto, [fd, at, wanted - req.done, flags, name, name_len]);
    }
    let iovecs = after(&req.spans, req.done);
    let header = Msghdr {
        name,
        namelen: name_len as u32,
        iov: iovecs.as_ptr() as u64,
        iovlen: iovecs.len() as u64,
        ..Msghdr::default()
    };
    cx.call(libc::SYS_sendmsg, [fd, std::ptr::from_ref(&header) as u64, flags, 0, 0, 0])
}

/// What is left of a vector after `done` bytes.
pub(crate) fn after(spans: &[Iovec], done: u64) -> Vec<Iovec> {
    let mut skip = done;
    let mut left = Vec::with_capacity(spans.len());
    for span in spans {
        let part = skip.min(span.len);
        skip -= part;
        if part == 0 || part < span.len {
            left.push(Iovec { base: span.base.wrapping_add(part), len: span.len - part });
        }
    }
    left
}

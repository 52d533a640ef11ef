//! SEND_ZC and SENDMSG_ZC, and RECV_ZC as on a host without a device for it.
//!
//! The data is copied, as the kernel does for the loopback and wherever a device cannot do
//! better. What a program sees is the kernel's protocol: the result carries `F_MORE`, and a
//! notification follows once the memory is free again; on request it says that data was copied.

use crate::cq::Entry;
use crate::issue::Cx;
use crate::ops::net::{OUT, check_ioprio, poll_first, socket_option};
use crate::ops::{message, send};
use crate::request::{Extra, Outcome, Req, Request};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::Host;

const KNOWN: u16 = IORING_RECVSEND_POLL_FIRST
    | IORING_RECVSEND_FIXED_BUF
    | IORING_SEND_ZC_REPORT_USAGE
    | IORING_SEND_VECTORIZED;

pub(crate) fn is_short<H: Host>(req: &Request<H>, res: i32) -> bool {
    if matches!(req.extra, Extra::Message(_)) {
        message::is_short(req, res)
    } else {
        send::is_short(req, res)
    }
}

/// Checks what must hold for a notification to be due at all.
fn begin<H: Host>(req: &mut Req<H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.addr3 != 0 || sqe.pad2 != 0 || req.has(IOSQE_CQE_SKIP_SUCCESS) {
        return Err(Errno::EINVAL);
    }
    // From here on even a refusal has its notification.
    req.cqe_flags |= IORING_CQE_F_MORE;
    let known = check_ioprio(req.sqe.ioprio, KNOWN);
    if known.is_err() {
        // Nor is the wish for a report heard then.
        req.sqe.ioprio = 0;
    }
    known
}

pub(crate) fn prep_send<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    begin(req)?;
    let both = IORING_RECVSEND_FIXED_BUF | IORING_SEND_VECTORIZED;
    if req.sqe.ioprio & both == both {
        return Err(Errno::EINVAL);
    }
    send::copy(req, cx)
}

pub(crate) fn prep_sendmsg<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    begin(req)?;
    message::copy(req, cx)
}

pub(crate) fn send<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if let Err(errno) = check_socket(req, cx) {
        return Outcome::Done(errno.as_result());
    }
    if let Some(outcome) = poll_first(req, cx, OUT) {
        return outcome;
    }
    if let Err(errno) = check_buffer(req, cx) {
        return Outcome::Done(errno.as_result());
    }
    send::transmit(req, cx)
}

pub(crate) fn sendmsg<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if let Err(errno) = check_socket(req, cx).and_then(|()| check_buffer(req, cx)) {
        return Outcome::Done(errno.as_result());
    }
    message::send(req, cx)
}

/// Only TCP and UDP sockets know zero-copy sends.
fn check_socket<H: Host>(req: &Req<H>, cx: &Cx<'_, H>) -> Result<()> {
    if req.polled {
        return Ok(());
    }
    match socket_option(&cx.ring.host, req.file.fd(), libc::SO_DOMAIN)? {
        libc::AF_INET | libc::AF_INET6 => Ok(()),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

/// The registered buffer must hold all that is to be sent; it is kept until that is done.
fn check_buffer<H: Host>(req: &mut Req<H>, cx: &Cx<'_, H>) -> Result<()> {
    if req.sqe.ioprio & IORING_RECVSEND_FIXED_BUF == 0 || req.polled && req.done > 0 {
        return Ok(());
    }
    let buffer = cx.sub.registered.buffers.get(req.sqe.buf_index)?;
    let spans: &[Iovec] = match &req.extra {
        Extra::Message(message) => message.iovecs(),
        _ => &req.spans,
    };
    if spans.is_empty() {
        buffer.check(req.sqe.addr, u64::from(req.sqe.len))?;
    }
    spans.iter().try_for_each(|span| buffer.check(span.base, span.len))?;
    req.held = buffer.tag;
    Ok(())
}

/// Whether a completion with these flags is that of a zero-copy send, which a notification follows.
pub(crate) fn is_notified<H: Host>(req: &Request<H>) -> bool {
    req.cqe_flags & IORING_CQE_F_MORE != 0
}

/// The notification of a send that is done.
pub(crate) fn notification<H: Host>(req: &Request<H>) -> Entry {
    let reports = req.sqe.ioprio & IORING_SEND_ZC_REPORT_USAGE != 0;
    let res = if reports { IORING_NOTIF_USAGE_ZC_COPIED as i32 } else { 0 };
    let cqe = Cqe { user_data: req.sqe.user_data, res, flags: IORING_CQE_F_NOTIF };
    Entry { cqe, ..Entry::default() }
}

/// A send that its chain takes down before it started: its completion promises no notification,
/// which comes all the same.
pub(crate) fn forgo<H: Host>(req: &mut Request<H>) -> Option<Entry> {
    let notification = is_notified(req).then(|| notification(req));
    req.cqe_flags &= !IORING_CQE_F_MORE;
    notification
}

/// No device of this host receives into a queue of the program's.
pub(crate) fn prep_recv<H: Host>(_: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    Err(Errno::EINVAL)
}

pub(crate) fn recv<H: Host>(_: &mut Req<H>, _: &mut Cx<'_, H>) -> Outcome {
    Outcome::Done(Errno::EINVAL.as_result())
}

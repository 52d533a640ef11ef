//! POLL_ADD and POLL_REMOVE.

use crate::issue::Cx;
use crate::parked::{Key, Waits};
use crate::poll::ALWAYS;
use crate::request::{Extra, Outcome, Req};
use crate::ring::Ring;
use crate::same_file::same as same_file;
use crate::submit::{Prep, Submit};
use ringfence_abi::*;
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Host, calls};

const UPDATE: u32 = IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA;

/// Bits that poll(2) and epoll share.
const POLL_BITS: u32 = 0xffff;

/// Kept with a multishot's events: it polls the eventfd that its own ring rings.
const OWN_BELL: u32 = 1 << 16;

pub(crate) fn prep_add<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.buf_index != 0 || sqe.off != 0 || sqe.addr != 0 {
        return Err(Errno::EINVAL);
    }
    if sqe.len & !(IORING_POLL_ADD_MULTI | IORING_POLL_ADD_LEVEL) != 0 {
        return Err(Errno::EINVAL);
    }
    if sqe.len & IORING_POLL_ADD_MULTI != 0 && req.has(IOSQE_CQE_SKIP_SUCCESS) {
        return Err(Errno::EINVAL);
    }
    req.extra = Extra::Poll(sqe.op_flags & POLL_BITS);
    Ok(())
}

fn mask<H: Host>(req: &Req<H>) -> u32 {
    if let Extra::Poll(mask) = req.extra { mask & POLL_BITS | ALWAYS } else { ALWAYS }
}

pub(crate) fn add<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let mask = mask(req);
    let fd = req.file.fd();
    if let Some(ring) = cx.ring.shared.ring(fd) {
        ring.note_poller(cx.ring);
        return add_ring(req, &ring);
    }
    let ready = match calls::poll_now(&cx.ring.host, fd, mask) {
        Ok(ready) => ready & mask,
        Err(errno) => return Outcome::Done(errno.as_result()),
    };
    let multishot = req.sqe.len & IORING_POLL_ADD_MULTI != 0;
    if multishot {
        let bell = cx.ring.eventfd.lock().map(|eventfd| eventfd.fd);
        note_bell(req, bell.is_some_and(|bell| same_file(&cx.ring.host, bell, fd)));
        cx.ring.rang.store(false, Ordering::Relaxed);
        // Its first event comes with its registration, like all the others.
        return Outcome::WaitUntried(mask);
    }
    if ready == 0 {
        return Outcome::Wait(mask);
    }
    Outcome::Done(ready as i32)
}

fn note_bell<H: Host>(req: &mut Req<H>, is_own: bool) {
    if let Extra::Poll(mask) = &mut req.extra {
        *mask = *mask & POLL_BITS | if is_own { OWN_BELL } else { 0 };
    }
}

/// A ring has been given an eventfd: polls that wait for it already are marked.
pub(crate) fn note_bells<H: Host>(host: &H, sub: &mut Submit<H>, bell: i32) {
    for (_, entry) in sub.parked.iter_mut() {
        if let Waits::Ready { fd, req, .. } = &mut entry.waits
            && entry.opcode == Op::PollAdd as u8
        {
            note_bell(req, same_file(host, bell, *fd));
        }
    }
}

/// A poll on a ring: on the descriptor that stands for its completions.
fn add_ring<H: Host>(req: &mut Req<H>, ring: &Arc<Ring<H>>) -> Outcome {
    let (mask, ready) = (mask(req), ring.readiness());
    if ready & mask != 0 && req.sqe.len & IORING_POLL_ADD_MULTI == 0 {
        return Outcome::Done((ready & mask) as i32);
    }
    match ring.make_poll_fd() {
        Ok(fd) => {
            req.file = crate::request::FileRef::Plain(fd);
            Outcome::WaitUntried(mask & !(libc::EPOLLOUT as u32))
        }
        Err(errno) => Outcome::Done(errno.as_result()),
    }
}

/// Events for an armed poll; true if it has left its file's list.
pub(crate) fn event<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    key: Key,
    revents: u32,
) -> bool {
    let Some(entry) = sub.parked.get_mut(key) else { return true };
    let user_data = entry.user_data;
    let Waits::Ready { req, events, .. } = &mut entry.waits else { return true };
    let res = (revents & *events & POLL_BITS) as i32;
    let multishot = req.sqe.len & IORING_POLL_ADD_MULTI != 0;
    // Its own completion has woken it: that would go on for ever, and is its last.
    let by_itself = matches!(req.extra, Extra::Poll(mask) if mask & OWN_BELL != 0)
        && ring.rang.load(Ordering::Relaxed);
    if multishot && !by_itself {
        let cqe = Cqe { user_data, res, flags: IORING_CQE_F_MORE };
        if ring.post_more(sub, &crate::cq::Entry { cqe, ..Default::default() }) {
            return false;
        }
    }
    let Some(entry) = sub.parked.remove(key) else { return true };
    if let Waits::Ready { mut req, .. } = entry.waits {
        ring.rejoin_link_timeout(sub, &mut req);
        req.result = Some(res);
        sub.ready.push_back(req);
    }
    true
}

pub(crate) fn prep_remove<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.buf_index != 0 || sqe.file_index != 0 || sqe.len & !(UPDATE | IORING_POLL_ADD_MULTI) != 0
    {
        return Err(Errno::EINVAL);
    }
    let updates = sqe.len & UPDATE != 0;
    if !updates && sqe.len != 0 {
        return Err(Errno::EINVAL);
    }
    if sqe.len & IORING_POLL_UPDATE_USER_DATA == 0 && sqe.off != 0 {
        return Err(Errno::EINVAL);
    }
    if sqe.len & IORING_POLL_UPDATE_EVENTS == 0 && sqe.op_flags != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// Removes or changes an armed poll.
pub(crate) fn remove<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let is_poll = |entry: &crate::parked::Parked<H>| entry.opcode == Op::PollAdd as u8;
    let Some(key) = cx.sub.parked.find(req.sqe.addr, is_poll) else {
        let struck = cx.sub.struck.contains(&(req.sqe.addr, Op::PollAdd as u8));
        let errno = if struck { Errno::EALREADY } else { Errno::ENOENT };
        return Outcome::Done(errno.as_result());
    };
    if req.sqe.len & UPDATE == 0 {
        return Outcome::Done(match crate::cancel::cancel_parked(cx.sub, key) {
            Ok(count) => count,
            Err(errno) => errno.as_result(),
        });
    }
    update(req, cx, key)
}

/// Takes the poll out, changes it and lets it be issued again.
fn update<H: Host>(req: &Req<H>, cx: &mut Cx<'_, H>, key: Key) -> Outcome {
    let Some(Waits::Ready { fd, .. }) = cx.sub.parked.get(key).map(|entry| &entry.waits) else {
        return Outcome::Done(Errno::ENOENT.as_result());
    };
    let fd = *fd;
    let Some(entry) = cx.sub.parked.remove(key) else {
        return Outcome::Done(Errno::ENOENT.as_result());
    };
    cx.sub.polled.remove(fd, &cx.sub.parked);
    if let Waits::Ready { req: mut poll, .. } = entry.waits {
        if req.sqe.len & IORING_POLL_UPDATE_EVENTS != 0 {
            poll.extra = Extra::Poll(req.sqe.op_flags & POLL_BITS);
            poll.sqe.len = req.sqe.len & IORING_POLL_ADD_MULTI;
        }
        if req.sqe.len & IORING_POLL_UPDATE_USER_DATA != 0 {
            poll.sqe.user_data = req.sqe.off;
        }
        cx.ring.rejoin_link_timeout(cx.sub, &mut poll);
        cx.sub.ready.push_back(poll);
    }
    Outcome::Done(0)
}

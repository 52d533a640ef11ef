//! EPOLL_CTL and EPOLL_WAIT.

use crate::issue::Cx;
use crate::request::{Extra, Outcome, Req};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::{Event, Host, calls};

pub(crate) fn prep<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.buf_index != 0 || sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    // The operation stands in len, the file in off, the event at addr.
    if sqe.len != libc::EPOLL_CTL_DEL as u32 {
        let mut event = [0u8; size_of::<Event>()];
        cx.ring.host.copy_in(sqe.addr, &mut event)?;
        let mut data = [0u8; 8];
        data.copy_from_slice(&event[4..]);
        req.extra = Extra::Number(u64::from_ne_bytes(data));
        req.big_cqe[0] = u64::from(u32::from_ne_bytes([event[0], event[1], event[2], event[3]]));
    }
    Ok(())
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let data = if let Extra::Number(data) = req.extra { data } else { 0 };
    let events = std::mem::take(&mut req.big_cqe[0]) as u32;
    let (epfd, op, fd) = (req.sqe.fd, req.sqe.len as i32, req.sqe.off as i32);
    Outcome::of(calls::epoll_ctl(&cx.ring.host, epfd, op, fd, events, data).map(|()| 0))
}

pub(crate) fn prep_wait<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    let unused = sqe.off != 0 || sqe.op_flags != 0 || sqe.buf_index != 0 || sqe.file_index != 0;
    if unused { Err(Errno::EINVAL) } else { Ok(()) }
}

/// Takes the events that are there; an epoll set is readable when there are some.
pub(crate) fn wait<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let (fd, sqe) = (req.file.fd() as u64, &req.sqe);
    match cx.call(libc::SYS_epoll_wait, [fd, sqe.addr, u64::from(sqe.len), 0, 0, 0]) {
        Ok(0) => Outcome::Wait(libc::EPOLLIN as u32),
        result => Outcome::of(result),
    }
}

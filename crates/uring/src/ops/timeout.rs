//! TIMEOUT, TIMEOUT_REMOVE, LINK_TIMEOUT.

use crate::issue::Cx;
use crate::parked::{Key, Waits};
use crate::request::{Extra, Outcome, Req};
use crate::submit::Prep;
use crate::timeout::{Time, deadline_in, deadline_of, disarm, read_time, rearm_linked};
use ringfence_abi::*;
use ringfence_host::{Clock, Host};

const KNOWN: u32 = IORING_TIMEOUT_ABS
    | IORING_TIMEOUT_CLOCKS
    | IORING_TIMEOUT_ETIME_SUCCESS
    | IORING_TIMEOUT_MULTISHOT;
const IORING_TIMEOUT_CLOCKS: u32 = IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME;
const UPDATES: u32 = IORING_TIMEOUT_UPDATE | IORING_LINK_TIMEOUT_UPDATE;

fn clock(flags: u32) -> Clock {
    match flags & IORING_TIMEOUT_CLOCKS {
        IORING_TIMEOUT_BOOTTIME => Clock::Boottime,
        IORING_TIMEOUT_REALTIME => Clock::Realtime,
        _ => Clock::Monotonic,
    }
}

fn read<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>, link: bool) -> Result<()> {
    let sqe = &req.sqe;
    let flags = sqe.op_flags;
    if sqe.buf_index != 0 || sqe.len != 1 || sqe.file_index != 0 || link && sqe.off != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & !KNOWN != 0 || flags & IORING_TIMEOUT_CLOCKS == IORING_TIMEOUT_CLOCKS {
        return Err(Errno::EINVAL);
    }
    let multishot = flags & IORING_TIMEOUT_MULTISHOT != 0;
    if multishot && (link || flags & IORING_TIMEOUT_ABS != 0) {
        return Err(Errno::EINVAL);
    }
    cx.sub.timers.expect(cx.sub.made, sqe.off != 0)?;
    req.extra = Extra::Time(Time {
        nanos: read_time(&cx.ring.host, sqe.addr)?,
        clock: clock(flags),
        absolute: flags & IORING_TIMEOUT_ABS != 0,
        etime_success: flags & IORING_TIMEOUT_ETIME_SUCCESS != 0,
        multishot,
        count: sqe.off as u32,
        target: 0,
        deadline: 0,
    });
    Ok(())
}

pub(crate) fn prep<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    read(req, cx, false)
}

pub(crate) fn prep_link<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    read(req, cx, true)?;
    // It times the request before it in the chain, of which there must be one.
    match cx.sub.chain.last() {
        Some(last) if last.sqe.opcode != Op::LinkTimeout as u8 => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let Extra::Time(time) = &mut req.extra else {
        return Outcome::Done(Errno::EINVAL.as_result());
    };
    time.deadline = deadline_in(&cx.ring.host, cx.sub, time);
    if time.count > 0 && !time.multishot {
        // It counts from what has been posted when it is armed; completions of its own batch follow.
        let cq = cx.ring.cq.lock();
        let posted = cq.posted.wrapping_sub(cq.timeouts);
        drop(cq);
        let Extra::Time(time) = &mut req.extra else {
            return Outcome::Done(Errno::EINVAL.as_result());
        };
        time.target = posted.wrapping_add(time.count);
        return Outcome::Timer(time.deadline);
    }
    Outcome::Timer(time.deadline)
}

/// A linked timeout is armed with its target; one that is issued itself has none.
pub(crate) fn issue_link<H: Host>(_: &mut Req<H>, _: &mut Cx<'_, H>) -> Outcome {
    Outcome::Done(Errno::ECANCELED.as_result())
}

pub(crate) fn prep_remove<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if req.has(IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT) {
        return Err(Errno::EINVAL);
    }
    let unused = sqe.buf_index != 0
        || sqe.len != 0
        || sqe.file_index != 0
        || sqe.addr3 != 0
        || sqe.pad2 != 0;
    if unused {
        return Err(Errno::EINVAL);
    }
    let flags = sqe.op_flags;
    if flags & UPDATES == 0 {
        return if flags != 0 { Err(Errno::EINVAL) } else { Ok(()) };
    }
    let known = UPDATES | IORING_TIMEOUT_ABS | IORING_TIMEOUT_CLOCKS;
    let both = IORING_TIMEOUT_CLOCKS;
    if flags & !known != 0 || flags & both == both {
        return Err(Errno::EINVAL);
    }
    let nanos = read_time(&cx.ring.host, sqe.off)?;
    req.extra = Extra::Number(nanos);
    Ok(())
}

/// Removes or changes an armed timeout.
pub(crate) fn remove<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let linked = req.sqe.op_flags & IORING_LINK_TIMEOUT_UPDATE != 0;
    let wanted = |entry: &crate::parked::Parked<H>| match &entry.waits {
        Waits::Time { .. } => !linked && entry.opcode == Op::Timeout as u8,
        Waits::LinkTime { .. } => linked,
        _ => false,
    };
    let Some(key) = cx.sub.parked.find(req.sqe.addr, wanted) else {
        return Outcome::Done(Errno::ENOENT.as_result());
    };
    if req.sqe.op_flags & UPDATES != 0 {
        return update(req, cx, key, linked);
    }
    let Some(mut timeout) = disarm(cx.sub, key) else {
        return Outcome::Done(Errno::ENOENT.as_result());
    };
    timeout.result = Some(Errno::ECANCELED.as_result());
    cx.sub.ready.push_back(timeout);
    Outcome::Done(0)
}

fn update<H: Host>(req: &Req<H>, cx: &mut Cx<'_, H>, key: Key, linked: bool) -> Outcome {
    let flags = req.sqe.op_flags;
    let nanos = if let Extra::Number(nanos) = req.extra { nanos } else { 0 };
    let absolute = flags & IORING_TIMEOUT_ABS != 0;
    let deadline = deadline_of(&cx.ring.host, nanos, clock(flags), absolute);
    if linked {
        rearm_linked(cx.ring, cx.sub, key, deadline);
        return Outcome::Done(0);
    }
    let Some(mut timeout) = disarm(cx.sub, key) else {
        return Outcome::Done(Errno::ENOENT.as_result());
    };
    if let Extra::Time(time) = &mut timeout.extra {
        // The count is lost with an update; a multishot takes the new period.
        (time.nanos, time.deadline) = (nanos, deadline);
        if !time.multishot {
            time.count = 0;
        }
    }
    cx.ring.park_timer(cx.sub, timeout, deadline);
    Outcome::Done(0)
}

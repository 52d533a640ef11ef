//! `io_submit` and `io_cancel`.
//!
//! The kernel tells some errors as the submission's and others in the event. Here a request is
//! tried on the submitting thread, so that most of the first kind are found as the try's result;
//! what leaves for a worker or for a wait has its file looked at before.

use super::context::Context;
use super::iocb;
use super::life::Rule;
use crate::opdef::{OpDef, Table as Ops};
use crate::ops::rw::TRANSFER_MAX;
use crate::parked::{Parked, Waits};
use crate::request::{Extra, Outcome, Req};
use crate::ring::Ring;
use crate::submit::{Prep, Submit};
use ringfence_abi::*;
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Host, calls, plain};

/// Completions are posted at the latest when so many wait to be.
const BATCH: usize = 32;

/// `io_submit`; see [`super::Aio::submit`].
pub(super) fn submit<H: Host, R: Rule>(context: &Context<H, R>, nr: i64, list: u64) -> Result<u32> {
    if nr < 0 {
        return Err(Errno::EINVAL);
    }
    let count = nr.min(i64::from(context.ring.layout.io_events)) as u32;
    let mut taken = 0;
    let result = context.ring.with_submit(|ring, sub| {
        context.assert_in_use();
        if sub.closing {
            return Err(Errno::EINVAL);
        }
        let mut state = Submission { room: room(ring, sub), cold: false };
        sub.submitting = true;
        let mut result = Ok(());
        while taken < count && result.is_ok() {
            result = submit_one(context, sub, list, taken, &mut state);
            taken += u32::from(result.is_ok());
            if sub.batch.len() >= BATCH {
                ring.flush(sub);
            }
        }
        sub.submitting = false;
        result
    });
    context.leave();
    match result {
        Err(errno) if taken == 0 => Err(errno),
        _ => Ok(taken),
    }
}

/// What is known in the course of one submission.
struct Submission {
    /// Requests that can still be accepted.
    room: u32,
    /// A request has gone to a worker.
    cold: bool,
}

/// Whether nothing of what a read asks for is in memory. Even a try that must not wait starts the
/// disk's work for that, some 6 us; the look takes a tenth.
fn is_absent<H: Host>(host: &H, req: &Req<H>) -> bool {
    let nowait = req.sqe.op_flags & libc::RWF_NOWAIT as u32 != 0;
    if req.sqe.opcode != Op::Read as u8 || req.sqe.len == 0 || nowait {
        return false;
    }
    let range = [req.sqe.off, u64::from(req.sqe.len)];
    let mut pages = [u64::MAX; 5];
    let at = std::ptr::from_ref(&range) as u64;
    let args = [req.sqe.fd as u64, at, calls::addr_mut(&mut pages), 0, 0, 0];
    host.syscall(SYS_CACHESTAT, args).is_ok() && pages[0] == 0
}

/// `cachestat`, of Linux 6.5.
const SYS_CACHESTAT: i64 = 451;

/// Requests that can still be accepted: each has a place for its event until that is taken.
fn room<H: Host>(ring: &Ring<H>, sub: &Submit<H>) -> u32 {
    let ready = ring.cq.lock().ready(&ring.shm, &ring.layout) as usize;
    ring.layout.cq_entries().saturating_sub((ready + sub.alive + sub.batch.len()) as u32)
}

/// Accepts the request whose address stands at place `index` of `list`, and starts it.
///
/// # Errors
/// Whatever refuses it; nothing is left of it then.
fn submit_one<H: Host, R: Rule>(
    context: &Context<H, R>,
    sub: &mut Submit<H>,
    list: u64,
    index: u32,
    state: &mut Submission,
) -> Result<()> {
    let ring = &context.ring;
    let at: u64 = plain::read_at(&ring.host, list, u64::from(index))?;
    let iocb: Iocb = plain::read(&ring.host, at)?;
    iocb::check(&iocb)?;
    if state.room == 0 || !sub.has_request(false) {
        return Err(Errno::EAGAIN);
    }
    let sqe = match iocb::entry(&iocb, at) {
        Ok(sqe) => sqe,
        // A file that is not there is told first.
        Err(errno) => return Err(look(&ring.host, iocb.fd).err().unwrap_or(errno)),
    };
    let token = if iocb.flags & IOCB_FLAG_RESFD == 0 {
        0
    } else {
        look(&ring.host, iocb.fd)?;
        let told = ring.shared.trusts_closes.load(Ordering::Relaxed);
        sub.signals.take(&ring.host, iocb.resfd, told)?
    };
    let started = plain::write(&ring.host, at.wrapping_add(iocb::KEY_AT), &0u32)
        .and_then(|()| start(context, sub, &sqe, [iocb.data, token], state));
    match started {
        Ok(()) => state.room -= 1,
        Err(_) => sub.signals.give_back(token),
    }
    started
}

/// Prepares and tries a request, and completes or parks it.
///
/// # Errors
/// What the kernel tells as the submission's; the request is gone then.
fn start<H: Host, R: Rule>(
    context: &Context<H, R>,
    sub: &mut Submit<H>,
    sqe: &Sqe,
    event: [u64; 2],
    state: &mut Submission,
) -> Result<()> {
    let ring = &context.ring;
    let def = Ops::<H>::get(sqe.opcode).ok_or(Errno::EINVAL)?;
    let mut req = sub.new_request(sqe);
    req.big_cqe = event;
    let outcome = prepare(ring, sub, &mut req, def).and_then(|()| {
        req.force_async = state.cold && is_absent(&ring.host, &req);
        let outcome = ring.attempt(sub, &mut req, def);
        state.cold |= matches!(outcome, Outcome::Work | Outcome::WorkUntried);
        judge(&ring.host, &req, outcome)
    });
    match outcome {
        Ok(Outcome::Done(res)) => ring.complete_alone(sub, req, res),
        Ok(outcome) => {
            let waits = matches!(outcome, Outcome::Wait(_) | Outcome::WaitUntried(_));
            context.polls.fetch_or(waits, Ordering::Relaxed);
            context.devices.fetch_or(outcome == Outcome::Device, Ordering::Relaxed);
            ring.conclude(sub, req, outcome);
        }
        Err(errno) => {
            sub.recycle(req);
            return Err(errno);
        }
    }
    Ok(())
}

/// Copies what the request points to, and checks it.
fn prepare<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    req: &mut Req<H>,
    def: &OpDef<H>,
) -> Result<()> {
    (def.prep)(req, &mut Prep { ring, sub, at_once: true })?;
    if let Extra::Iovecs(iovecs) = &req.extra {
        let mut len = 0u64;
        for iovec in iovecs {
            iocb::check_range(iovec.base, iovec.len)?;
            len = len.saturating_add(iovec.len);
        }
        iocb::check_position(req.sqe.off as i64, len.min(TRANSFER_MAX))?;
    }
    Ok(())
}

/// Whether what a try came to is a refusal; what is to wait or to be worked on has its file
/// looked at.
fn judge<H: Host>(host: &H, req: &Req<H>, outcome: Outcome) -> Result<Outcome> {
    match outcome {
        Outcome::Done(res) => refusal(req, res).map_or(Ok(outcome), Err),
        Outcome::Work
        | Outcome::WorkUntried
        | Outcome::Device
        | Outcome::Here(_)
        | Outcome::Resident => look(host, req.sqe.fd)?.check_work(req.sqe.opcode).map(|()| outcome),
        Outcome::Wait(_) | Outcome::WaitUntried(_) => {
            let file = look(host, req.sqe.fd)?;
            if req.sqe.opcode != Op::PollAdd as u8 {
                let asked_not_to = file.flags & libc::O_NONBLOCK as u64 != 0;
                let eagain = Outcome::Done(Errno::EAGAIN.as_result());
                return Ok(if asked_not_to { eagain } else { outcome });
            }
            // What is always ready has no other events to wait for.
            if file.is_on_disk() { Err(Errno::EINVAL) } else { Ok(outcome) }
        }
        Outcome::Timer(_) | Outcome::Block => Ok(outcome),
    }
}

/// The errors of a try that are the submission's own.
fn refusal<H: Host>(req: &Req<H>, res: i32) -> Option<Errno> {
    if res >= 0 {
        return None;
    }
    let flags = req.sqe.op_flags & !(libc::RWF_NOWAIT as u32);
    match Errno::from_raw(-res) {
        Errno::EBADF => Some(Errno::EBADF),
        // A file that has no reading or writing to be done asynchronously.
        Errno::EINVAL | Errno::EISDIR => Some(Errno::EINVAL),
        Errno::EOPNOTSUPP if flags != 0 => Some(Errno::EOPNOTSUPP),
        _ => None,
    }
}

/// What a descriptor names.
struct File {
    /// `O_*`.
    flags: u64,
    /// `S_IFMT` of its mode.
    format: u32,
}

/// Looks at a file.
///
/// # Errors
/// `EBADF`, also for one that was opened as a path.
fn look<H: Host>(host: &H, fd: i32) -> Result<File> {
    let flags = host.syscall(libc::SYS_fcntl, [fd as u64, libc::F_GETFL as u64, 0, 0, 0, 0])?;
    if flags & libc::O_PATH as u64 != 0 {
        return Err(Errno::EBADF);
    }
    let format = calls::file_mode(host, fd)? & libc::S_IFMT;
    Ok(File { flags, format })
}

impl File {
    fn is_on_disk(&self) -> bool {
        matches!(self.format, libc::S_IFREG | libc::S_IFBLK | libc::S_IFDIR)
    }

    /// Whether a worker can do the operation with it.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL`.
    fn check_work(&self, opcode: u8) -> Result<()> {
        let closed_to = match Op::from_code(opcode) {
            Some(Op::Read | Op::Readv) => libc::O_WRONLY,
            Some(Op::Write | Op::Writev) => libc::O_RDONLY,
            _ => return if self.is_on_disk() { Ok(()) } else { Err(Errno::EINVAL) },
        };
        let mode = self.flags as i32 & libc::O_ACCMODE;
        if mode == closed_to { Err(Errno::EBADF) } else { Ok(()) }
    }
}

/// `io_cancel`: only what waits for readiness can be cancelled. A poll's event then says that
/// nothing happened.
pub(super) fn cancel<H: Host, R: Rule>(context: &Context<H, R>, iocb: u64) -> Errno {
    context.ring.with_submit(|_, sub| {
        context.assert_in_use();
        let waits = |entry: &Parked<H>| matches!(entry.waits, Waits::Ready { .. });
        let cancelled = sub
            .parked
            .find(iocb, waits)
            .is_some_and(|key| crate::cancel::cancel_parked(sub, key).is_ok());
        if !cancelled {
            return Errno::EINVAL;
        }
        if let Some(req) = sub.ready.back_mut()
            && req.sqe.opcode == Op::PollAdd as u8
        {
            req.result = Some(0);
        }
        Errno::EINPROGRESS
    })
}

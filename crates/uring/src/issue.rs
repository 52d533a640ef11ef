//! Issuing and completing: the one way in and the one way out of a request.

use crate::cq::Entry;
use crate::here::Read;
use crate::opdef::{NEEDS_FILE, OpDef, Table as Ops};
use crate::parked::{Parked, Waits};
use crate::register::personality::Credentials;
use crate::request::{Extra, FileRef, Outcome, Req};
use crate::ring::Ring;
use crate::submit::Submit;
use crate::work::Job;
use ringfence_abi::*;
use ringfence_host::Host;
use ringfence_host::sync::Arc;

/// Completions that are gathered before they are posted while many requests are ready.
const BATCH_MAX: usize = 1024;

/// What issue may look at and change besides the request itself.
pub(crate) struct Cx<'a, H: Host> {
    pub(crate) ring: &'a Arc<Ring<H>>,
    pub(crate) sub: &'a mut Submit<H>,
}

impl<H: Host> Cx<'_, H> {
    /// Makes a system call.
    #[inline]
    pub(crate) fn call(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        self.ring.host.syscall(number, args)
    }

    /// Posts a completion of a multishot that goes on; false if it did not fit, and then the
    /// result must be given as the last one instead.
    pub(crate) fn post_more(&mut self, req: &mut Req<H>, res: i32) -> bool {
        let flags = req.cqe_flags | IORING_CQE_F_MORE;
        let cqe = Cqe { user_data: req.sqe.user_data, res, flags };
        let posted = self.ring.post_more(self.sub, &Entry { cqe, ..Entry::default() });
        req.multishot |= posted;
        posted
    }
}

impl<H: Host> Ring<H> {
    /// Issues a request: tries it, and parks it if it would block.
    pub(crate) fn issue(self: &Arc<Self>, sub: &mut Submit<H>, mut req: Req<H>) {
        if sub.closing {
            return self.complete(sub, req, Errno::ECANCELED.as_result());
        }
        if let Some(res) = req.result.take() {
            return self.complete(sub, req, res);
        }
        if let Some(errno) = req.fate {
            return self.fail(sub, req, errno);
        }
        let Some(def) = Ops::<H>::get(req.sqe.opcode) else {
            return self.complete(sub, req, Errno::EINVAL.as_result());
        };
        let outcome = self.attempt(sub, &mut req, def);
        self.conclude(sub, req, outcome);
    }

    /// Looks the file up, if there must be one, and tries the operation.
    #[inline(always)]
    pub(crate) fn attempt(
        self: &Arc<Self>,
        sub: &mut Submit<H>,
        req: &mut Req<H>,
        def: &OpDef<H>,
    ) -> Outcome {
        if def.has(NEEDS_FILE)
            && matches!(req.file, FileRef::Unset)
            && let Err(errno) = assign_file(sub, req)
        {
            return Outcome::Done(errno.as_result());
        }
        if !def.has(crate::opdef::QUICK) {
            sub.clock = None;
        }
        let punts = def.has(crate::opdef::CAN_WORK) && !def.has(crate::opdef::LOOKS_FIRST);
        if req.force_async && punts && !req.polled {
            return Outcome::WorkUntried;
        }
        match &req.credentials {
            None => (def.issue)(req, &mut Cx { ring: self, sub }),
            Some(credentials) => self.attempt_as(sub, &Arc::clone(credentials), req, def),
        }
    }

    /// Tries the operation as another user.
    #[cold]
    fn attempt_as(
        self: &Arc<Self>,
        sub: &mut Submit<H>,
        credentials: &Credentials,
        req: &mut Req<H>,
        def: &OpDef<H>,
    ) -> Outcome {
        credentials
            .during(&self.host, || (def.issue)(req, &mut Cx { ring: self, sub }))
            .unwrap_or_else(|errno| Outcome::Done(errno.as_result()))
    }

    /// The result of a try: a refusal may have come before a look at the file, and there is none; the
    /// kernel looks first.
    #[inline]
    pub(crate) fn judged(&self, req: &Req<H>, res: i32) -> i32 {
        if res < 0 && self.has_no_file(req, res) { Errno::EBADF.as_result() } else { res }
    }

    #[cold]
    fn has_no_file(&self, req: &Req<H>, res: i32) -> bool {
        const BEFORE: [Errno; 7] = [
            Errno::EINVAL,
            Errno::EFAULT,
            Errno::EOPNOTSUPP,
            Errno::EBADFD,
            Errno::ENOBUFS,
            Errno::ENOENT,
            Errno::ENOMEM,
        ];
        let before = BEFORE.iter().any(|errno| errno.as_result() == res);
        let def = Ops::<H>::get(req.sqe.opcode).filter(|def| before && def.has(NEEDS_FILE));
        let Some(def) = def else { return false };
        let flags = [req.file.fd() as u64, libc::F_GETFL as u64, 0, 0, 0, 0];
        match self.host.syscall(libc::SYS_fcntl, flags) {
            // How it is open is looked at before flags and offsets, but after memory.
            Ok(mode) => {
                let is_early = [Errno::EINVAL, Errno::EOPNOTSUPP].map(Errno::as_result);
                let mode = mode as i32 & libc::O_ACCMODE;
                is_early.contains(&res) && crate::ops::rw::is_against(def.op, mode)
            }
            Err(errno) => errno == Errno::EBADF,
        }
    }

    /// Completes a request that was tried, or parks it.
    pub(crate) fn conclude(self: &Arc<Self>, sub: &mut Submit<H>, req: Req<H>, outcome: Outcome) {
        match outcome {
            Outcome::Done(res) => {
                let res = self.judged(&req, res);
                self.complete(sub, req, res);
            }
            Outcome::Wait(events) => self.park_ready(sub, req, events, true),
            Outcome::WaitUntried(events) => self.park_ready(sub, req, events, false),
            Outcome::Work => {
                let job = self.park_work(sub, req, true);
                sub.jobs.push(job);
            }
            Outcome::WorkUntried => {
                let job = self.park_work(sub, req, false);
                sub.jobs.push(job);
            }
            Outcome::Here(class) => {
                let job = self.park_work(sub, req, true);
                sub.here.push((class, job));
            }
            Outcome::Resident => sub.reads.push((Read::Request(req), 0)),
            Outcome::Device => self.park_direct(sub, req),
            Outcome::Block => self.park_blocked(sub, req),
            Outcome::Timer(deadline) => self.park_timer(sub, req, deadline),
        }
    }

    /// Issues all that has become ready, until nothing is.
    pub(crate) fn run_ready(self: &Arc<Self>, sub: &mut Submit<H>) {
        while let Some(req) = sub.ready.pop_front() {
            self.issue(sub, req);
            if sub.batch.len() >= BATCH_MAX {
                self.post_early(sub);
            }
        }
    }

    /// Parks a request as one that someone has to make a call for.
    fn park_work(
        self: &Arc<Self>,
        sub: &mut Submit<H>,
        mut req: Req<H>,
        tried: bool,
    ) -> Arc<Job<H>> {
        req.polled = true;
        crate::kbuf::commit(sub, &mut req);
        let timeout = if tried { take_link_timeout(&mut req) } else { None };
        let key = sub.parked.next_key();
        let entry = (req.sqe.user_data, req.sqe.fd, req.sqe.opcode, req.has(IOSQE_FIXED_FILE));
        let task = self.task_of(sub, &req, tried);
        let job = Job::new(self, key, req, sub.registered.worker_cpus.clone(), task);
        let (user_data, fd, opcode, fixed) = entry;
        let waits = Waits::Work { job: Arc::clone(&job) };
        let parked = Parked { user_data, fd, opcode, fixed, waits };
        sub.at_workers += 1;
        let inserted = sub.parked.insert(parked);
        debug_assert_eq!(inserted, key);
        if let Some(timeout) = timeout {
            self.arm_link_timeout(sub, key, timeout);
        }
        job
    }

    /// Fails a request that was never issued, and so the chain that it heads.
    pub(crate) fn fail(self: &Arc<Self>, sub: &mut Submit<H>, mut req: Req<H>, errno: Errno) {
        // A chain that fails before it starts breaks, hard links or not.
        req.sqe.flags = req.sqe.flags & !IOSQE_IO_HARDLINK | IOSQE_IO_LINK;
        req.fate = None;
        self.complete(sub, req, errno.as_result());
    }

    /// Completes a request on whose result nothing hangs: no chain, no buffer, no flag.
    #[inline]
    pub(crate) fn complete_alone(&self, sub: &mut Submit<H>, req: Req<H>, res: i32) {
        debug_assert!(req.next.is_none() && req.link_timeout.is_none() && req.buffer.is_none());
        if let Some(count) = sub.counts.get_mut(usize::from(req.sqe.opcode)) {
            *count += 1;
        }
        let cqe = Cqe { user_data: req.sqe.user_data, res, flags: req.cqe_flags };
        sub.batch.push(Entry { cqe, big: req.big_cqe, wide: req.wide });
        sub.recycle(req);
    }

    /// Completes a request: posts its completion, or not, and releases or breaks its chain.
    pub(crate) fn complete(self: &Arc<Self>, sub: &mut Submit<H>, mut req: Req<H>, res: i32) {
        sub.counts[req.sqe.opcode as usize % Op::COUNT] += 1;
        let failed = breaks_link(&req, res);
        if req.link_timeout.is_some() {
            self.end_link_timeout(sub, &mut req);
        }
        if req.buffer.is_some() {
            crate::kbuf::settle(sub, &mut req, res);
        }
        let skip = req.silent || req.has(IOSQE_CQE_SKIP_SUCCESS) && !failed && !req.loud;
        if !skip {
            let cqe = Cqe { user_data: req.sqe.user_data, res, flags: req.cqe_flags };
            sub.batch.push(Entry { cqe, big: req.big_cqe, wide: req.wide });
        }
        if crate::ops::zero_copy::is_notified(&req) {
            sub.batch.push(crate::ops::zero_copy::notification(&req));
        }
        if !sub.submitting || req.has(IOSQE_ASYNC) {
            sub.after.is_async = true;
        }
        if let Some(timeout) = take_link_timeout(&mut req) {
            self.end_unarmed_timeout(sub, timeout);
        }
        if let Some(next) = req.next.take() {
            let broken = failed && !req.has(IOSQE_IO_HARDLINK);
            if broken {
                let silent = req.silent || req.has(IOSQE_CQE_SKIP_SUCCESS);
                self.cancel_chain(sub, next, silent);
            } else {
                sub.ready.push_back(next);
            }
        }
        sub.recycle(req);
        if sub.drain.held() > 0 {
            self.run_drain(sub);
        }
    }

    /// Completes the rest of a broken chain, in order.
    pub(crate) fn cancel_chain(self: &Arc<Self>, sub: &mut Submit<H>, head: Req<H>, silent: bool) {
        let mut rest = Some(head);
        while let Some(mut req) = rest {
            rest = req.next.take();
            let errno = req.fate.take().unwrap_or(Errno::ECANCELED);
            (req.silent, req.loud) = (silent, !silent);
            let notification = crate::ops::zero_copy::forgo(&mut req);
            self.complete(sub, req, errno.as_result());
            sub.batch.extend(notification);
        }
    }
}

/// Takes the linked timeout that follows a request off its chain.
pub(crate) fn take_link_timeout<H: Host>(req: &mut Req<H>) -> Option<Req<H>> {
    // One that was refused has its own error to tell.
    let is_timeout = req
        .next
        .as_ref()
        .is_some_and(|next| next.sqe.opcode == Op::LinkTimeout as u8 && next.fate.is_none());
    if !is_timeout {
        return None;
    }
    let mut timeout = req.next.take()?;
    req.next = timeout.next.take();
    Some(timeout)
}

/// Whether a result breaks the links of a request.
fn breaks_link<H: Host>(req: &Req<H>, res: i32) -> bool {
    if req.fails_quietly {
        return false;
    }
    if res < 0 {
        let ignored = res == Errno::ETIME.as_result()
            && matches!(&req.extra, Extra::Time(time) if time.etime_success);
        return !ignored;
    }
    // A short transfer breaks the chain as an error does.
    Ops::<H>::get(req.sqe.opcode).is_some_and(|def| (def.is_short)(req, res))
}

/// Looks the file up; for a registered one a reference is taken.
fn assign_file<H: Host>(sub: &mut Submit<H>, req: &mut Req<H>) -> Result<()> {
    req.file = if req.has(IOSQE_FIXED_FILE) {
        FileRef::Owned(sub.registered.files.get(req.sqe.fd as u32)?)
    } else if req.sqe.fd < 0 {
        return Err(Errno::EBADF);
    } else {
        FileRef::Plain(req.sqe.fd)
    };
    Ok(())
}

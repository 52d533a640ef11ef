//! `io_uring_enter`: submission, and waiting as the engine's driver.
//!
//! Whoever waits drives: the waiting thread itself looks at readiness, runs timers and completes
//! requests on its own stack, so that nothing is handed to another thread on the way.

use crate::cq::Cq;
use crate::ring::Ring;
use crate::work::Finished;
use ringfence_abi::*;
use ringfence_host::atomic::AtomicU32;
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Clock, Event, Host, Point, plain};

pub(crate) const FLAGS_KNOWN: u32 = IORING_ENTER_GETEVENTS
    | IORING_ENTER_SQ_WAKEUP
    | IORING_ENTER_SQ_WAIT
    | IORING_ENTER_EXT_ARG
    | IORING_ENTER_REGISTERED_RING
    | IORING_ENTER_ABS_TIMER
    | IORING_ENTER_EXT_ARG_REG
    | IORING_ENTER_NO_IOWAIT;

/// Events taken from epoll at once, and where few requests wait: room that is cleared each time.
const EVENTS: usize = 128;
const FEW: usize = 8;

/// After this many enters that found enough without looking, readiness is looked at all the same,
/// so that a busy program cannot starve its own connections.
const UNDRIVEN_MAX: u32 = 16;

/// Who drives a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A thread that wants completions, and has not said so yet.
    Waiter,
    /// A thread that is counted among those that wait. It looks at the queue itself after this.
    Sleeper,
    /// The ring's SQPOLL thread.
    SqThread,
    /// Somebody passing by: the attendant, or a synchronous cancel.
    Guest,
}

/// How long a wait may last, and under which signal mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The end, MONOTONIC nanoseconds.
    pub(crate) deadline: Option<u64>,
    /// Until then a wait goes on for its full count, MONOTONIC nanoseconds.
    min_deadline: Option<u64>,
    pub(crate) sigmask: Option<u64>,
}

/// Whether an enter's flags exist.
///
/// # Errors
/// `EINVAL`.
pub(crate) fn check_flags(flags: u32) -> Result<()> {
    if flags & !FLAGS_KNOWN != 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

impl<H: Host> Ring<H> {
    /// `io_uring_enter` on this ring; how many entries were consumed.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn enter(
        self: &Arc<Self>,
        to_submit: u32,
        min_complete: u32,
        flags: u32,
        arg: u64,
        argsz: u64,
    ) -> Result<u32> {
        check_flags(flags)?;
        if self.dead.load(Ordering::Acquire) {
            return Err(Errno::EBADF);
        }
        if self.disabled.load(Ordering::Acquire) {
            return Err(Errno::EBADFD);
        }
        let result = self.submit_and_wait(to_submit, min_complete, flags, arg, argsz);
        self.leave();
        self.host.at(Point::Return);
        result
    }

    fn submit_and_wait(
        self: &Arc<Self>,
        to_submit: u32,
        min_complete: u32,
        flags: u32,
        arg: u64,
        argsz: u64,
    ) -> Result<u32> {
        let mut submitted = 0;
        if self.has(IORING_SETUP_SQPOLL) {
            submitted = to_submit;
            self.sqpoll_enter(flags)?;
        } else if to_submit > 0 {
            self.check_owner()?;
            let starved = self.submit(to_submit, &mut submitted);
            if submitted == 0 && starved {
                return Err(Errno::EAGAIN);
            }
            if submitted != to_submit && flags & IORING_ENTER_GETEVENTS != 0 {
                // A batch that stopped early does not wait.
                return Ok(submitted);
            }
        }
        if flags & IORING_ENTER_GETEVENTS == 0 {
            return Ok(submitted);
        }
        let waited = self.limits(flags, arg, argsz).and_then(|limits| {
            if self.is_deferred() {
                self.check_owner()?;
            }
            self.wait(min_complete.min(self.layout.cq_entries()), limits)
        });
        match waited {
            Err(errno) if submitted == 0 => Err(errno),
            _ => Ok(submitted),
        }
    }

    /// Submits, and counts into `submitted`; whether it stopped where no more requests are allowed.
    fn submit(self: &Arc<Self>, to_submit: u32, submitted: &mut u32) -> bool {
        loop {
            let left = to_submit - *submitted;
            let (taken, starved, paused) = self
                .with_submit(|ring, sub| (ring.submit_entries(sub, left), sub.starved, sub.paused));
            *submitted += taken;
            if !paused {
                return starved;
            }
        }
    }

    /// Only the owner of a single-issuer ring may submit.
    fn check_owner(&self) -> Result<()> {
        if !self.has(IORING_SETUP_SINGLE_ISSUER) {
            return Ok(());
        }
        let me = self.host.thread_id();
        match self.owner.load(Ordering::Acquire) {
            0 => {
                self.owner.store(me, Ordering::Release);
                Ok(())
            }
            owner if owner == me => Ok(()),
            _ => Err(Errno::EEXIST),
        }
    }

    /// Reads the argument of a wait.
    fn limits(&self, flags: u32, arg: u64, argsz: u64) -> Result<Limits> {
        let mut limits = Limits::default();
        if flags & IORING_ENTER_EXT_ARG == 0 {
            limits.sigmask = self.read_sigmask(arg, argsz)?;
            return Ok(limits);
        }
        let (ext, time) = self.wait_argument(flags, arg, argsz)?;
        limits.sigmask = self.read_sigmask(ext.sigmask, u64::from(ext.sigmask_sz))?;
        if let Some(time) = time {
            let nanos = (time.tv_sec.max(0) as u64)
                .saturating_mul(1_000_000_000)
                .saturating_add(time.tv_nsec.max(0) as u64);
            let absolute = flags & IORING_ENTER_ABS_TIMER != 0;
            let clock = self.submit.lock().registered.clock;
            limits.deadline = Some(crate::timeout::deadline_of(&self.host, nanos, clock, absolute));
        }
        if ext.min_wait_usec != 0 {
            let now = self.host.now(Clock::Monotonic);
            limits.min_deadline = Some(now + u64::from(ext.min_wait_usec) * 1000);
        }
        Ok(limits)
    }

    /// The argument of a wait, and its time: from where the program points, or from a registered
    /// region.
    fn wait_argument(
        &self,
        flags: u32,
        arg: u64,
        argsz: u64,
    ) -> Result<(GeteventsArg, Option<Timespec>)> {
        if flags & IORING_ENTER_EXT_ARG_REG == 0 {
            if argsz as usize != size_of::<GeteventsArg>() {
                return Err(Errno::EINVAL);
            }
            let ext: GeteventsArg = plain::read(&self.host, arg)?;
            let time = if ext.ts == 0 { None } else { Some(plain::read(&self.host, ext.ts)?) };
            return Ok((ext, time));
        }
        if argsz as usize != size_of::<RegWait>() {
            return Err(Errno::EINVAL);
        }
        let wait = self.submit.lock().registered.wait_argument(&self.host, arg)?;
        if wait.flags & !IORING_REG_WAIT_TS != 0 {
            return Err(Errno::EINVAL);
        }
        let (sigmask, sigmask_sz, min_wait_usec) =
            (wait.sigmask, wait.sigmask_sz, wait.min_wait_usec);
        let ext = GeteventsArg { sigmask, sigmask_sz, min_wait_usec, ts: 0 };
        Ok((ext, (wait.flags & IORING_REG_WAIT_TS != 0).then_some(wait.ts)))
    }

    fn read_sigmask(&self, addr: u64, size: u64) -> Result<Option<u64>> {
        if addr == 0 {
            return Ok(None);
        }
        if size != 8 {
            return Err(Errno::EINVAL);
        }
        plain::read(&self.host, addr).map(Some)
    }

    /// Waits until `want` completions are there.
    ///
    /// # Errors
    /// `ETIME` and `EINTR`, if the queue is empty; `EBADR` once completions were lost.
    fn wait(self: &Arc<Self>, want: u32, limits: Limits) -> Result<()> {
        if self.view.take_lost() {
            return Err(Errno::EBADR);
        }
        match self.wait_strictly(want, limits) {
            Err(errno) if self.is_left(errno) => Err(errno),
            Err(errno @ (Errno::ETIME | Errno::EINTR)) => self.unless_ready(errno),
            other => other,
        }
    }

    /// Waits until `want` completions are there.
    ///
    /// # Errors
    /// `ETIME` and `EINTR`, whatever is there.
    pub(crate) fn wait_strictly(self: &Arc<Self>, want: u32, limits: Limits) -> Result<()> {
        // A count that two threads lose one of is as good, and costs no locked instruction.
        let undriven = self.undriven.load(Ordering::Relaxed);
        self.undriven.store(undriven.wrapping_add(1), Ordering::Relaxed);
        let (mut ready, timeouts) = self.look();
        // A wait for nothing is a wish to see what has happened.
        let skips = want > 0 && undriven < UNDRIVEN_MAX;
        if ready >= want && skips && !self.has_task_work.load(Ordering::Acquire) {
            return Ok(());
        }
        self.undriven.store(0, Ordering::Relaxed);
        if want == 0 || ready >= want {
            self.drive(Role::Waiter, Some(0), None)?;
            (ready, _) = self.look();
            if ready >= want {
                return Ok(());
            }
        }
        // The waker stands before anybody can be asked to use it: else a worker that is done before
        // the first wait of a ring has nothing to signal, and the wait never ends.
        self.epoll()?;
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let (id, first) = {
            let mut cq = self.cq.lock();
            let id = cq.begin_wait(want, timeouts, &self.shm, &self.layout);
            (id, self.progress(&mut cq, id))
        };
        let result = self.wait_for(id, want, limits, first);
        if let Err(errno) = result
            && self.is_left(errno)
        {
            return result;
        }
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        let others = self.cq.lock().end_wait(id, &self.shm, &self.layout);
        if others {
            self.wake_waiter();
        }
        result
    }

    /// Completions in the ring, what overflowed moved into it, and the count of fired timeouts.
    pub(crate) fn look(&self) -> (u32, u32) {
        if let Some(look) = self.view.look(&self.shm, &self.layout) {
            return look;
        }
        let mut cq = self.cq.lock();
        cq.catch_up(&self.shm, &self.layout);
        if cq.has_overflow() {
            cq.flush_overflow(&self.shm, &self.layout);
        }
        (cq.ready(&self.shm, &self.layout), cq.timeouts)
    }

    /// Whether a wait is over, and whether another one is.
    fn progress(&self, cq: &mut Cq<AtomicU32<H>>, id: u64) -> (bool, bool) {
        let wake = cq.flush_overflow(&self.shm, &self.layout);
        let done = cq.is_over(id, &self.shm, &self.layout);
        let alone = self.waiting.load(Ordering::Acquire) <= 1;
        (done, !alone && (wake.waiters || cq.any_satisfied(&self.shm, &self.layout)))
    }

    /// Drives the ring until a wait is over; `first` is how it stands.
    fn wait_for(
        self: &Arc<Self>,
        id: u64,
        want: u32,
        limits: Limits,
        first: (bool, bool),
    ) -> Result<()> {
        let (mut want, mut first) = (want, Some(first));
        loop {
            let (done, others) =
                first.take().unwrap_or_else(|| self.progress(&mut self.cq.lock(), id));
            if done {
                return Ok(());
            }
            if others {
                // The waker was another's, and this thread has drained it.
                self.wake_waiter();
            }
            let timed = limits.deadline.is_some() || limits.min_deadline.is_some();
            let now = if timed { self.host.now(Clock::Monotonic) } else { 0 };
            let mut until = limits.deadline;
            if let Some(min) = limits.min_deadline {
                if now < min {
                    until = Some(min);
                } else if want > 1 {
                    // The minimum is over: whatever is there, or the first to come, is enough.
                    want = 1;
                    self.cq.lock().want_less(id, want, &self.shm, &self.layout);
                    continue;
                }
            }
            if let Some(deadline) = limits.deadline
                && now >= deadline.max(limits.min_deadline.unwrap_or(0))
            {
                return Err(Errno::ETIME);
            }
            let mut timeout = until.map(|until| until.saturating_sub(now));
            if crate::inherit::is_shared(&self.shm, &self.layout) {
                let look = crate::inherit::LOOK_NS;
                timeout = Some(timeout.map_or(look, |timeout| timeout.min(look)));
            }
            self.drive(Role::Sleeper, timeout, limits.sigmask)?;
        }
    }

    /// An interrupted wait is a success if there is anything to take.
    fn unless_ready(&self, errno: Errno) -> Result<()> {
        if self.look().0 > 0 { Ok(()) } else { Err(errno) }
    }

    /// Makes progress: waits up to `timeout` nanoseconds for anything to happen, and handles it. A
    /// guest that does not wait takes its events under the submission lock: who has that lock after it
    /// finds all posted that it took.
    ///
    /// # Errors
    /// `EINTR` when a signal handler ran.
    pub(crate) fn drive(
        self: &Arc<Self>,
        role: Role,
        timeout: Option<u64>,
        sigmask: Option<u64>,
    ) -> Result<()> {
        if self.pending.load(Ordering::Acquire) < FEW {
            self.drive_with(role, timeout, sigmask, &mut [Event::default(); FEW])
        } else {
            self.drive_with(role, timeout, sigmask, &mut [Event::default(); EVENTS])
        }
    }

    fn drive_with(
        self: &Arc<Self>,
        role: Role,
        timeout: Option<u64>,
        sigmask: Option<u64>,
        events: &mut [Event],
    ) -> Result<()> {
        let mut timeout = timeout;
        let deadline = self.deadline.load(Ordering::Acquire);
        if deadline != u64::MAX && timeout != Some(0) {
            let left = deadline.saturating_sub(self.host.now(Clock::Monotonic));
            timeout = Some(timeout.map_or(left, |timeout| timeout.min(left)));
        }
        if self.has_task_work.load(Ordering::Acquire) {
            timeout = Some(0);
        }
        let mut count = 0;
        // Looking without waiting is in vain while nothing is armed.
        let look = timeout != Some(0)
            || self.pending.load(Ordering::Acquire) > 0 && self.epfd.load(Ordering::Acquire) >= 0;
        let locked = look && role == Role::Guest && timeout == Some(0);
        if look && !locked {
            count = self.wait_events(events, timeout, sigmask)?;
        }
        let due = deadline != u64::MAX || self.deadline.load(Ordering::Acquire) != u64::MAX;
        if locked || count > 0 || due || self.has_task_work.load(Ordering::Acquire) {
            let passed_by = self.with_submit(|ring, sub| {
                if locked {
                    count = ring.wait_events(events, timeout, None).unwrap_or(0);
                }
                sub.after.by_sleeper = role == Role::Sleeper;
                ring.run_task_work(sub);
                ring.run_gathered(sub);
                let passed_by = ring.handle_events(sub, role, &events[..count]);
                if due {
                    ring.run_timers(sub);
                }
                passed_by
            });
            if passed_by {
                // Its addressee must come to run, or this thread would find it again and again.
                let _ = self.host.syscall(libc::SYS_sched_yield, [0; 6]);
            }
        }
        Ok(())
    }

    /// Runs the timers that are due: the one place where their callbacks come in.
    fn run_timers(self: &Arc<Self>, sub: &mut crate::submit::Submit<H>) {
        self.host.at(Point::TimersBegin);
        self.expire(sub);
        if const { H::BUGS.timer_inversion } {
            // As the kernel's timer callbacks did, they take the completion lock themselves.
            self.flush(sub);
        }
        self.host.at(Point::TimersEnd);
    }

    /// Completes what workers have done for a ring whose owner alone may post.
    fn run_task_work(self: &Arc<Self>, sub: &mut crate::submit::Submit<H>) {
        if !self.has_task_work.swap(false, Ordering::AcqRel) {
            return;
        }
        if self.has(IORING_SETUP_TASKRUN_FLAG) {
            self.shm.clear_bits(layout::SQ_FLAGS, IORING_SQ_TASKRUN);
        }
        let done = if const { H::BUGS.timer_inversion } {
            self.historic_task_work()
        } else {
            std::mem::take(&mut *self.task_work.lock())
        };
        for done in done {
            match done {
                Finished::Work(key, req, res) => self.finish_work(sub, key, req, res),
                Finished::Wait(key, wait, res) => self.finish_wait(sub, key, &wait, res),
            }
        }
    }

    /// Task work has come for the owner of a deferring ring: tells it by flag, eventfd and waker.
    pub(crate) fn announce_task_work(&self) {
        let first = !self.has_task_work.swap(true, Ordering::AcqRel);
        if self.has(IORING_SETUP_TASKRUN_FLAG) {
            self.shm.set_bits(layout::SQ_FLAGS, IORING_SQ_TASKRUN);
        }
        if first {
            self.signal_poll_fd();
            self.signal_eventfd(true);
        }
        if self.waiting.load(Ordering::Acquire) > 0 {
            self.wake_waiter();
        }
    }

    /// The thread leaves: what is still pending needs someone to look after it.
    pub(crate) fn leave(self: &Arc<Self>) {
        if self.pending.load(Ordering::Acquire) > 0 && !self.shared.left.load(Ordering::Acquire) {
            self.visits.fetch_add(1, Ordering::Release);
            self.shared.attendant.notice(self);
        }
    }
}

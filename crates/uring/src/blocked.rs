//! Waits that no readiness tells of, for futexes and some children: a thread blocks for each,
//! while the request stays parked.
//!
//! The thread owns nothing of the request's. Whoever takes the request out of the table, a cancel
//! or the thread's report, completes it; the other finds nothing. A thread is stopped by a word of
//! its own that it waits on besides; the few waits that leave no room for one go on without their
//! request until they end by themselves.

use crate::issue::take_link_timeout;
use crate::ops::futex::Words;
use crate::ops::waitid::Child;
use crate::parked::{Key, Parked, Waits};
use crate::request::{Extra, Req};
use crate::ring::Ring;
use crate::submit::Submit;
use crate::work::Finished;
use ringfence_abi::Errno;
use ringfence_host::sync::{Arc, AtomicBool, AtomicU32, Ordering};
use ringfence_host::{Host, Point};

/// What a thread waits for.
pub(crate) enum Wait {
    /// Words that someone wakes.
    Futex(Words),
    /// A child whose state changes.
    Child(Child),
}

/// How a thread in its wait is spoken to.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Not 0 once the wait is to end.
    pub(crate) stop: AtomicU32,
    /// The last word of the wait: whether somebody waits on it tells whether the thread sleeps.
    pub(crate) armed: AtomicU32,
    /// The thread is at it, or has been.
    started: AtomicBool,
    /// The thread sleeps, or has slept.
    settled: AtomicBool,
}

/// One wait and its thread's side.
pub(crate) struct Blocked<H: Host> {
    ring: Arc<Ring<H>>,
    key: Key,
    wait: Arc<Wait>,
    signals: Signals,
}

/// Looks at a thread that is about to sleep before the looker itself sleeps between them, and the
/// most looks at all: a thread that cannot be had must not hold up the submission.
const LOOKS_FIRST: u32 = 200;
const LOOKS_MAX: u32 = 2000;

/// The pause between later looks, nanoseconds.
const PAUSE_NS: u64 = 50_000;

impl<H: Host> Blocked<H> {
    /// Blocks, and tells the ring.
    pub(crate) fn run(&self) {
        self.signals.started.store(true, Ordering::Release);
        let host = &self.ring.host;
        host.at(Point::WorkerCall);
        let res = match &*self.wait {
            Wait::Futex(words) => words.block(host, &self.signals),
            Wait::Child(child) => child.block(host),
        };
        self.signals.settled.store(true, Ordering::Release);
        if let Some(res) = res {
            self.ring.wait_over(self.key, Arc::clone(&self.wait), res);
        }
    }

    /// There can be no thread for it.
    pub(crate) fn refuse(&self) {
        self.signals.settled.store(true, Ordering::Release);
        self.ring.wait_over(self.key, Arc::clone(&self.wait), Errno::EAGAIN.as_result());
    }

    /// Ends the wait, as far as it can be ended.
    pub(crate) fn stop(&self) {
        self.signals.stop.store(1, Ordering::Release);
        self.ring.host.futex_wake(&self.signals.stop, 1);
    }

    /// Returns once the thread sleeps: a wake that comes after the submission must find it.
    pub(crate) fn settle(&self) {
        let Wait::Futex(words) = &*self.wait else { return };
        let host = &self.ring.host;
        for look in 0..LOOKS_MAX {
            let started = self.signals.started.load(Ordering::Acquire);
            if self.signals.settled.load(Ordering::Acquire)
                || started && words.is_asleep(host, &self.signals)
            {
                return;
            }
            if look < LOOKS_FIRST {
                let _ = host.syscall(libc::SYS_sched_yield, [0; 6]);
            } else {
                let pause = [0, PAUSE_NS];
                let _ = host.syscall(libc::SYS_nanosleep, [pause.as_ptr() as u64, 0, 0, 0, 0, 0]);
            }
        }
    }
}

impl<H: Host> Ring<H> {
    /// Parks a request for which a thread blocks.
    pub(crate) fn park_blocked(self: &Arc<Self>, sub: &mut Submit<H>, mut req: Req<H>) {
        let Extra::Wait(wait) = &req.extra else {
            return self.complete(sub, req, Errno::EINVAL.as_result());
        };
        let key = sub.parked.next_key();
        let blocked = Arc::new(Blocked {
            ring: Arc::clone(self),
            key,
            wait: Arc::clone(wait),
            signals: Signals::default(),
        });
        sub.blocked.push(Arc::clone(&blocked));
        req.polled = true;
        let timeout = take_link_timeout(&mut req);
        let inserted = sub.parked.insert(Parked {
            user_data: req.sqe.user_data,
            fd: -1,
            opcode: req.sqe.opcode,
            fixed: false,
            waits: Waits::Blocked { req, blocked },
        });
        debug_assert_eq!(inserted, key);
        if let Some(timeout) = timeout {
            self.arm_link_timeout(sub, key, timeout);
        }
    }

    /// A thread's wait is over.
    fn wait_over(self: &Arc<Self>, key: Key, wait: Arc<Wait>, res: i32) {
        if self.is_deferred() && !self.dead.load(Ordering::Acquire) {
            self.task_work.lock().push(Finished::Wait(key, wait, res));
            return self.announce_task_work();
        }
        self.with_submit(|ring, sub| ring.finish_wait(sub, key, &wait, res));
    }

    /// Completes what a thread has waited for, if it is still there.
    pub(crate) fn finish_wait(
        self: &Arc<Self>,
        sub: &mut Submit<H>,
        key: Key,
        wait: &Wait,
        res: i32,
    ) {
        let entry = sub.parked.remove(key).map(|entry| entry.waits);
        let Some(Waits::Blocked { mut req, .. }) = entry else {
            // It was cancelled meanwhile; whoever woke it meant somebody.
            if let Wait::Futex(words) = wait {
                words.pass_on(&self.host, res);
            }
            return;
        };
        self.rejoin_link_timeout(sub, &mut req);
        if let (Wait::Child(_), true) = (wait, res >= 0) {
            // Only looked at so far: the request itself takes it, unless another was faster.
            return sub.ready.push_back(req);
        }
        req.result = Some(res);
        sub.ready.push_back(req);
    }
}

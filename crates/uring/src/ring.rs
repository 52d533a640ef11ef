//! A ring: its shape, its memory, its locks, and the one way out of the submission lock.

use crate::cq::{Cq, Entry, View, Wake};
use crate::engine::Shared;
use crate::here::Rest;
use crate::register::personality::Credentials;
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize};
use ringfence_host::shm::Shm;
use ringfence_host::sync::{self, Arc, Mutex, MutexGuard, Ordering};
use ringfence_host::{Host, calls};
use std::sync::OnceLock;

/// The shape of a ring, fixed at setup but for its sizes, which change under both locks.
#[derive(Debug)]
pub(crate) struct Layout {
    sq_entries: sync::AtomicU32,
    cq_entries: sync::AtomicU32,
    /// `IORING_SETUP_*`.
    pub(crate) flags: u32,
    /// Where the index array stands, bytes, 0 without one.
    array: sync::AtomicU32,
    /// Completion entries are 32 bytes.
    pub(crate) cqe32: bool,
    /// Completion entries of both sizes.
    pub(crate) mixed: bool,
    /// Distance of submission entries, bytes.
    pub(crate) sqe_size: u32,
    /// In the ring of an AIO context the number of events, one of which stays free; else 0.
    pub(crate) io_events: u32,
}

impl Layout {
    pub(crate) fn new(sq_entries: u32, cq_entries: u32, flags: u32) -> Layout {
        let cqe32 = flags & IORING_SETUP_CQE32 != 0;
        // As the kernel has it, header and entries double together.
        let cqes_end = (layout::CQES + cq_entries * size_of::<Cqe>() as u32) << u32::from(cqe32);
        let has_array = flags & IORING_SETUP_NO_SQARRAY == 0;
        let array = if has_array { cqes_end.next_multiple_of(64) } else { 0 };
        Layout {
            sq_entries: sync::AtomicU32::new(sq_entries),
            cq_entries: sync::AtomicU32::new(cq_entries),
            flags,
            array: sync::AtomicU32::new(array),
            cqe32,
            mixed: flags & IORING_SETUP_CQE_MIXED != 0,
            sqe_size: if flags & IORING_SETUP_SQE128 != 0 { 128 } else { 64 },
            io_events: 0,
        }
    }

    /// The shape of an AIO context's ring: `nr` events behind a header, and no submission queue.
    pub(crate) fn aio(nr: u32) -> Layout {
        let (cq_entries, array) = (sync::AtomicU32::new(nr - 1), sync::AtomicU32::new(0));
        Layout { cq_entries, array, io_events: nr, ..Layout::new(1, 1, 0) }
    }

    /// Completions between head and tail. The head is the program's, and believed only as far as
    /// it makes sense.
    #[inline]
    pub(crate) fn used(&self, head: u32, tail: u32) -> u32 {
        match self.io_events {
            0 => tail.wrapping_sub(head).min(self.cq_entries()),
            nr => (tail + nr - head % nr) % nr,
        }
    }

    /// Entries of the submission queue.
    #[inline]
    pub(crate) fn sq_entries(&self) -> u32 {
        self.sq_entries.load(Ordering::Relaxed)
    }

    /// Entries of the completion queue.
    #[inline]
    pub(crate) fn cq_entries(&self) -> u32 {
        self.cq_entries.load(Ordering::Relaxed)
    }

    /// Where the index array stands, if there is one, bytes.
    #[inline]
    pub(crate) fn array(&self) -> Option<u32> {
        Some(self.array.load(Ordering::Relaxed)).filter(|array| *array != 0)
    }

    /// Takes the sizes of another layout with the same flags.
    pub(crate) fn resize(&self, new: &Layout) {
        self.sq_entries.store(new.sq_entries(), Ordering::Relaxed);
        self.cq_entries.store(new.cq_entries(), Ordering::Relaxed);
        self.array.store(new.array().unwrap_or(0), Ordering::Relaxed);
    }

    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Length of the mapping that holds both rings, bytes.
    pub(crate) fn rings_len(&self) -> usize {
        match self.array() {
            Some(array) => array as usize + self.sq_entries() as usize * 4,
            // The kernel doubles the whole, header and all.
            None => {
                let cqes = self.cq_entries() as usize * size_of::<Cqe>();
                (layout::CQES as usize + cqes) << usize::from(self.cqe32)
            }
        }
        .next_multiple_of(4096)
    }

    /// Length of the submission entries, bytes.
    pub(crate) fn sqes_len(&self) -> usize {
        (self.sq_entries() as usize * self.sqe_size as usize).next_multiple_of(4096)
    }

    pub(crate) fn cqe_size(&self) -> usize {
        size_of::<Cqe>() << usize::from(self.cqe32)
    }

    /// Where a completion entry stands, bytes.
    #[inline]
    pub(crate) fn cqe_at(&self, index: u32) -> usize {
        layout::CQES as usize + index as usize * self.cqe_size()
    }
}

/// Where completions are announced besides the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventFd {
    pub(crate) fd: i32,
    /// Only for completions that did not happen within the submission itself.
    pub(crate) only_async: bool,
}

/// A ring.
pub struct Ring<H: Host> {
    pub(crate) shared: Arc<Shared<H>>,
    pub(crate) host: H,
    /// The descriptor that setup returned; the program may have closed it since.
    pub(crate) fd: i32,
    /// The engine's own descriptor of the ring's memory.
    pub(crate) memory: AtomicI32<H>,
    /// What tells of its release.
    pub(crate) watch: i32,
    pub(crate) layout: Layout,
    pub(crate) shm: Shm,
    pub(crate) sqes: Shm,
    pub(crate) submit: Mutex<H, Submit<H>>,
    pub(crate) cq: Mutex<H, Cq<AtomicU32<H>>>,
    /// What of `cq` can be known without its lock.
    pub(crate) view: Arc<View<AtomicU32<H>>>,
    /// Results from workers, for rings whose owner alone may post.
    pub(crate) task_work: Mutex<H, Vec<crate::work::Finished<H>>>,
    /// The epoll descriptor of the ring, -1 until something waits.
    pub(crate) epfd: AtomicI32<H>,
    /// The eventfd in it that wakes a waiter, -1 until then.
    pub(crate) waker: AtomicI32<H>,
    /// The eventfd in it that wakes the SQPOLL thread, -1 without one.
    pub(crate) sq_waker: AtomicI32<H>,
    /// A pidfd of the process whose thread that is, if it is another; else -1.
    pub(crate) sq_process: AtomicI32<H>,
    /// Threads inside a blocking wait.
    pub(crate) waiting: AtomicUsize<H>,
    /// Who uses the ring's descriptors, which must stay meanwhile; see [`Ring::hold_descriptors`].
    pub(crate) users: AtomicUsize<H>,
    /// Parked requests; what the attendant looks at.
    pub(crate) pending: AtomicUsize<H>,
    /// The earliest timer, MONOTONIC nanoseconds, `u64::MAX` for none.
    pub(crate) deadline: AtomicU64<H>,
    /// Times a thread left the engine; tells the attendant whether someone drives.
    pub(crate) visits: AtomicU32<H>,
    /// The attendant has it on its list.
    pub(crate) attended: AtomicBool<H>,
    /// Task work waits for the owner.
    pub(crate) has_task_work: AtomicBool<H>,
    /// The thread whose request began to wait for a file last, 0 before one does.
    pub(crate) parker: AtomicU32<H>,
    /// The thread that may submit, 0 while any may.
    pub(crate) owner: AtomicU32<H>,
    pub(crate) disabled: AtomicBool<H>,
    /// Torn down; every use is `EBADF` from here on.
    pub(crate) dead: AtomicBool<H>,
    /// The host told that the program's last descriptor and mapping are gone; it lives on only as
    /// a registered ring of some thread.
    pub(crate) released: AtomicBool<H>,
    /// Completions are announced elsewhere: by an eventfd, or by the poll descriptor.
    pub(crate) announces: AtomicBool<H>,
    /// It holds files, an eventfd or a thread, though nothing may be pending.
    pub(crate) holds: AtomicBool<H>,
    /// Who set the ring up, for its SQPOLL thread to go on as.
    pub(crate) sq_user: OnceLock<Arc<Credentials>>,
    /// The program asked the SQPOLL thread to wake up.
    pub(crate) sq_asked: AtomicBool<H>,
    /// Readable while the completion queue is not empty, -1 until someone polls the ring.
    pub(crate) poll_fd: AtomicI32<H>,
    pub(crate) eventfd: Mutex<H, Option<EventFd>>,
    /// The eventfd was signalled since a poll was last armed that looks for that.
    pub(crate) rang: AtomicBool<H>,
    /// Rings that poll this one.
    pub(crate) pollers: crate::pollers::Pollers<H>,
    /// Enters that returned without looking at readiness.
    pub(crate) undriven: AtomicU32<H>,
    /// Of a closing ring: 1 once its last request is done.
    pub(crate) settled: AtomicU32<H>,
}

/// What is done when the submission lock has been released.
#[derive(Debug, Default)]
pub(crate) struct After {
    pub(crate) wake: Wake,
    /// Something was posted outside of a submission.
    pub(crate) is_async: bool,
    /// It was done by a thread that is one of the waiters itself.
    pub(crate) by_sleeper: bool,
}

impl<H: Host> Ring<H> {
    /// Whether a setup flag is set.
    pub(crate) fn has(&self, flag: u32) -> bool {
        self.layout.has(flag)
    }

    /// Whether someone must notice its release, or drive it, while no thread calls the engine:
    /// requests are pending, or it holds what others can see it let go of.
    pub(crate) fn needs_attendant(&self) -> bool {
        let busy = self.pending.load(Ordering::Acquire) > 0 || self.holds.load(Ordering::Acquire);
        (busy || self.must_be_looked_at()) && !self.dead.load(Ordering::Acquire)
    }

    /// Whether only the owner may post, inside its own call.
    pub(crate) fn is_deferred(&self) -> bool {
        self.has(IORING_SETUP_DEFER_TASKRUN)
    }

    /// Runs `body` under the submission lock, then all that it made ready, posts what completed,
    /// unlocks, and wakes. The one way in for everything that touches requests.
    ///
    /// Calls that may block and have no form which refuses to are made in between, with no lock held.
    pub(crate) fn with_submit<R>(
        self: &Arc<Self>,
        body: impl FnOnce(&Arc<Self>, &mut Submit<H>) -> R,
    ) -> R {
        let mut rest = None;
        let result = self.submit_round(&mut rest, body);
        if let Some(rest) = rest {
            self.do_rest(rest);
        }
        result
    }

    /// Does what a time under the submission lock left, and what that leaves.
    #[inline(never)]
    fn do_rest(self: &Arc<Self>, rest: Rest<H>) {
        let mut rest = Some(rest);
        while let Some(round) = rest.take() {
            let Some(here) = round.settle(self) else { break };
            let done = here.make(self);
            self.submit_round(&mut rest, |ring, sub| {
                sub.goes_on = true;
                ring.finish_here(sub, done);
            });
        }
    }

    /// One time under the submission lock; `rest` becomes what is to be done after it besides waking,
    /// if anything. Mostly there is nothing, and so it is not returned, which would be a copy.
    #[inline]
    fn submit_round<R>(
        self: &Arc<Self>,
        rest: &mut Option<Rest<H>>,
        body: impl FnOnce(&Arc<Self>, &mut Submit<H>) -> R,
    ) -> R {
        let mut guard: MutexGuard<'_, H, Submit<H>> = self.submit.lock();
        let sub = &mut *guard;
        let turn = self.begin_turn(sub);
        sub.clock = None;
        let result = body(self, sub);
        self.run_ready(sub);
        self.flush(sub);
        if sub.direct.is_queued() {
            self.submit_direct(sub);
        }
        self.pending.store(sub.parked.len(), Ordering::Release);
        sub.goes_on = false;
        let after = std::mem::take(&mut sub.after);
        if Rest::is_any(sub) {
            *rest = Some(Rest::take(sub));
        }
        drop(turn);
        drop(guard);
        if let Some(rest) = rest {
            rest.queue(self);
        }
        self.wake(&after);
        result
    }

    /// Posts the batch of completions in the middle of others, so that it does not grow with their
    /// number; not where timeouts count completions, which are to be looked at after each batch.
    #[cold]
    pub(crate) fn post_early(self: &Arc<Self>, sub: &mut Submit<H>) {
        if sub.timers.counts() || self.layout.io_events > 0 {
            return;
        }
        let mut cq = self.cq.lock();
        cq.timeouts = cq.timeouts.wrapping_add(std::mem::take(&mut sub.fired));
        let wake = cq.post(&self.shm, &self.layout, &sub.batch);
        drop(cq);
        sub.batch.clear();
        sub.after.wake.merge(wake);
    }

    /// Posts the batch of completions.
    pub(crate) fn flush(self: &Arc<Self>, sub: &mut Submit<H>) {
        if sub.batch.is_empty() {
            return;
        }
        loop {
            let (wake, posted) = {
                let mut cq = self.cq.lock();
                cq.timeouts = cq.timeouts.wrapping_add(std::mem::take(&mut sub.fired));
                let wake = cq.post(&self.shm, &self.layout, &sub.batch);
                let posted = cq.posted.wrapping_sub(cq.timeouts);
                if const { H::BUGS.timer_inversion } {
                    self.historic_flush_timeouts(sub, posted);
                }
                (wake, posted)
            };
            if self.layout.io_events > 0 {
                sub.signals.count(&sub.batch);
            }
            sub.batch.clear();
            sub.after.wake.merge(wake);
            // Timeouts that count completions may be due now; found here, after unlocking.
            crate::timeout::expire_counted(self, sub, posted);
            self.run_ready(sub);
            if sub.batch.is_empty() {
                return;
            }
        }
    }

    /// Posts one completion of a multishot at once; false if it does not fit, for then it must be
    /// the multishot's last.
    pub(crate) fn post_more(self: &Arc<Self>, sub: &mut Submit<H>, entry: &Entry) -> bool {
        self.flush(sub);
        let posted = self.cq.lock().try_post(&self.shm, &self.layout, entry);
        match posted {
            Some(wake) => {
                sub.after.wake.merge(wake);
                true
            }
            None => false,
        }
    }

    /// Posts a completion from outside of the ring: a message, or a tag.
    pub(crate) fn post_message(self: &Arc<Self>, entry: &Entry) {
        let wake = self.cq.lock().post(&self.shm, &self.layout, std::slice::from_ref(entry));
        self.wake(&After { wake, is_async: true, by_sleeper: false });
    }

    /// Wakes waiters and signals the registered eventfd, holding no lock.
    #[inline]
    pub(crate) fn wake(&self, after: &After) {
        // The only waiter need not be woken by itself: it would find its own waker next time. One that
        // comes now looks at the queue before it sleeps.
        let alone = after.by_sleeper && self.waiting.load(Ordering::Acquire) <= 1;
        if after.wake.waiters && !alone {
            self.wake_waiter();
        }
        if after.wake.posted && self.announces.load(Ordering::Acquire) {
            self.signal_poll_fd();
            if after.wake.eventfd {
                self.signal_eventfd(after.is_async);
            }
            self.nudge_pollers();
        }
    }

    /// Wakes a thread in the blocking wait.
    pub(crate) fn wake_waiter(&self) {
        self.signal(&self.waker);
    }

    /// Makes an eventfd of the ring's own readable, if it is there.
    pub(crate) fn signal(&self, bell: &AtomicI32<H>) {
        if bell.load(Ordering::Acquire) < 0 {
            return;
        }
        let Some(_held) = self.hold_descriptors() else { return };
        let fd = bell.load(Ordering::Acquire);
        if fd >= 0 {
            calls::eventfd_signal(&self.host, fd);
        }
    }

    /// Makes the descriptor readable that stands for the ring where it is polled.
    pub(crate) fn signal_poll_fd(&self) {
        self.signal(&self.poll_fd);
    }

    pub(crate) fn signal_eventfd(&self, is_async: bool) {
        let Some(_held) = self.hold_descriptors() else { return };
        // Most rings have none; the lock is a leaf and held for a copy.
        let eventfd = *self.eventfd.lock();
        if let Some(eventfd) = eventfd
            && (is_async || !eventfd.only_async)
        {
            self.rang.store(true, Ordering::Relaxed);
            calls::eventfd_signal(&self.host, eventfd.fd);
        }
    }

    /// The epoll descriptor of the ring, made when it is first needed.
    pub(crate) fn epoll(&self) -> Result<i32> {
        let epfd = self.epfd.load(Ordering::Acquire);
        if epfd >= 0 { Ok(epfd) } else { self.make_epoll() }
    }

    #[cold]
    fn make_epoll(&self) -> Result<i32> {
        let _held = self.hold_descriptors().ok_or(Errno::EBADF)?;
        let epfd = calls::make_private(&self.host, calls::epoll_create(&self.host)?);
        let waker = match calls::eventfd(&self.host) {
            Ok(waker) => calls::make_private(&self.host, waker),
            Err(error) => {
                let _ = calls::close(&self.host, epfd);
                return Err(error);
            }
        };
        let add = libc::EPOLL_CTL_ADD;
        let added =
            calls::epoll_ctl(&self.host, epfd, add, waker, libc::EPOLLIN as u32, WAKER_EVENT);
        // Two threads may get here at once; the second one's descriptors go again.
        let made = added.is_ok()
            && self.waker.compare_exchange(-1, waker, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if made {
            self.epfd.swap(epfd, Ordering::SeqCst);
            // It may have died meanwhile, and whoever wakes its waiters not have seen the waker.
            return if self.dead.load(Ordering::SeqCst) { Err(Errno::EBADF) } else { Ok(epfd) };
        }
        let _ = calls::close(&self.host, waker);
        let _ = calls::close(&self.host, epfd);
        added?;
        loop {
            let epfd = self.epfd.load(Ordering::Acquire);
            if epfd >= 0 {
                return Ok(epfd);
            }
            if self.dead.load(Ordering::SeqCst) {
                return Err(Errno::EBADF);
            }
            // Who makes it is one store away from it, but may be of a priority below this thread's.
            let pause = [0, SET_PAUSE_NS];
            let _ = self.host.syscall(libc::SYS_nanosleep, [pause.as_ptr() as u64, 0, 0, 0, 0, 0]);
        }
    }
}

/// How long a thread sleeps that finds another at making the ring's epoll set, nanoseconds.
const SET_PAUSE_NS: u64 = 20_000;

/// The event data of the waker; no file's, for those have a descriptor in the low half.
pub(crate) const WAKER_EVENT: u64 = u64::MAX;

/// The event data of results of a device.
pub(crate) const DEVICE_EVENT: u64 = u64::MAX - 2;

/// The event data of the SQPOLL thread's own waker.
pub(crate) const SQ_WAKER_EVENT: u64 = u64::MAX - 1;

//! `IORING_SETUP_SQPOLL`: a thread of the ring's own that consumes the submission queue.

use crate::register::personality::Credentials;
use crate::ring::{Ring, SQ_WAKER_EVENT};
use crate::sq;
use crate::wait::Role;
use ringfence_abi::*;
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Clock, Host, calls};

/// Idle time before the thread sleeps unless the program says otherwise, milliseconds.
const IDLE_MS: u64 = 1000;

/// The longest sleep of a thread that nobody wakes, nanoseconds; then it sees whether its ring
/// is still there.
const SLEEP_NS: u64 = 100_000_000;
/// How often a program that waits for room in its submission ring looks before it sleeps.
const ROOM_LOOKS: u32 = 64;
/// How long it sleeps between looks then, nanoseconds.
const ROOM_NS: u64 = 100_000;

/// The longest sleep of a thread that may have no more requests, nanoseconds.
const STARVED_NS: u64 = 1_000_000;

impl<H: Host> Ring<H> {
    /// Starts the thread.
    ///
    /// # Errors
    /// `EAGAIN` when there can be no more threads, `EINVAL` for a CPU that is not there.
    pub(crate) fn start_sqpoll(self: &Arc<Self>, params: &Params) -> Result<()> {
        let idle = match params.sq_thread_idle {
            0 => IDLE_MS,
            ms => u64::from(ms),
        };
        let cpu = self.has(IORING_SETUP_SQ_AFF).then_some(params.sq_thread_cpu);
        if let Some(user) = Credentials::that_may_change(&self.host) {
            let _ = self.sq_user.set(user);
        }
        self.make_sq_waker()?;
        let ring = Arc::clone(self);
        self.host.spawn("ringfence/sq", Box::new(move || ring.serve_sq(idle * 1_000_000, cpu)))
    }

    fn serve_sq(self: &Arc<Self>, idle: u64, cpu: Option<u32>) {
        if let Some(cpu) = cpu {
            let mut mask = [0u64; 16];
            mask[cpu as usize / 64 % 16] = 1 << (cpu % 64);
            let args = [0, size_of_val(&mask) as u64, mask.as_ptr() as u64, 0, 0, 0];
            let _ = self.host.syscall(libc::SYS_sched_setaffinity, args);
        }
        let mut since = self.host.now(Clock::Monotonic);
        while !self.dead.load(Ordering::Acquire) {
            if self.sq_step() {
                since = self.host.now(Clock::Monotonic);
                continue;
            }
            if self.host.now(Clock::Monotonic).saturating_sub(since) < idle {
                let _ = self.host.syscall(libc::SYS_sched_yield, [0; 6]);
                continue;
            }
            self.sq_sleep();
            since = self.host.now(Clock::Monotonic);
        }
    }

    /// Consumes what is there and looks at readiness; whether there was anything.
    fn sq_step(self: &Arc<Self>) -> bool {
        if self.disabled.load(Ordering::Acquire) {
            return false;
        }
        let (taken, starved) =
            self.with_submit(|ring, sub| (ring.submit_entries(sub, u32::MAX), sub.starved));
        if taken == 0 && starved {
            // Nothing can be taken before something completes.
            let _ = self.drive(Role::SqThread, Some(STARVED_NS), None);
            return false;
        }
        if self.pending.load(Ordering::Acquire) > 0 {
            let _ = self.drive(Role::SqThread, Some(0), None);
        }
        if taken > 0 && self.waiting.load(Ordering::Acquire) > 0 {
            self.wake_waiter();
        }
        taken > 0
    }

    /// Sleeps until the program asks for it, or something becomes ready.
    fn sq_sleep(self: &Arc<Self>) {
        if sq::fall_asleep(&self.shm) || self.disabled.load(Ordering::Acquire) {
            while !self.dead.load(Ordering::Acquire) {
                let asked = self.sq_asked.swap(false, Ordering::AcqRel);
                if asked || !sq::is_asleep(&self.shm) {
                    break;
                }
                if self.drive(Role::SqThread, Some(SLEEP_NS), None).is_err() {
                    break;
                }
            }
        }
        sq::wake_up(&self.shm);
    }

    /// An enter on a ring with such a thread.
    ///
    /// # Errors
    /// `EOWNERDEAD` if the thread was another process's, which has ended.
    pub(crate) fn sqpoll_enter(self: &Arc<Self>, flags: u32) -> Result<()> {
        self.check_sq_process()?;
        if flags & IORING_ENTER_SQ_WAKEUP != 0 {
            self.sq_asked.store(true, Ordering::Release);
            self.ask_other_sq_thread();
            self.wake_sq_thread();
        }
        if flags & IORING_ENTER_SQ_WAIT != 0 {
            self.wait_for_room()?;
        }
        Ok(())
    }

    /// A thread of another process ends with it, as the kernel's does.
    fn check_sq_process(&self) -> Result<()> {
        let process = self.sq_process.load(Ordering::Acquire);
        let ended = process >= 0
            && calls::poll_now(&self.host, process, libc::POLLIN as u32).is_ok_and(|now| now != 0);
        if ended { Err(Errno::EOWNERDEAD) } else { Ok(()) }
    }

    /// Waits until the thread has taken an entry, or a signal comes: it may sleep for good.
    fn wait_for_room(self: &Arc<Self>) -> Result<()> {
        let mut looks = 0;
        while !self.dead.load(Ordering::Acquire) && self.sq_is_full() {
            looks += 1;
            if looks < ROOM_LOOKS {
                let _ = self.host.syscall(libc::SYS_sched_yield, [0; 6]);
            } else {
                self.check_sq_process()?;
                if self.drive(Role::Waiter, Some(ROOM_NS), None).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Wakes the thread out of its sleep, and nobody else.
    fn wake_sq_thread(&self) {
        self.signal(&self.sq_waker);
    }

    /// Puts the thread's own waker into the epoll set.
    fn make_sq_waker(&self) -> Result<()> {
        let waker = calls::make_private(&self.host, calls::eventfd(&self.host)?);
        self.sq_waker.store(waker, Ordering::Release);
        let (epfd, add, events) = (self.epoll()?, libc::EPOLL_CTL_ADD, libc::EPOLLIN as u32);
        calls::epoll_ctl(&self.host, epfd, add, waker, events, SQ_WAKER_EVENT)
    }

    pub(crate) fn sq_is_full(&self) -> bool {
        let head = self.shm.load(layout::SQ_HEAD, Ordering::Acquire);
        let tail = self.shm.load(layout::SQ_TAIL, Ordering::Acquire);
        tail.wrapping_sub(head) >= self.layout.sq_entries()
    }
}

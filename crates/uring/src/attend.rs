//! The attendant: one thread that drives rings while nobody waits on them.
//!
//! A ring without `DEFER_TASKRUN` must post completions even if its program never calls the
//! engine again. A program that keeps calling drives its own ring, so the attendant leaves a ring
//! alone while its visits go on, and looks again after a grace. Once it has taken a ring over it
//! sleeps in that ring's epoll set, until a thread of the program waits there itself.

use crate::locks;
use crate::ring::Ring;
use crate::wait::Role;
use ringfence_abi::Result;
use ringfence_host::atomic::{AtomicBool, AtomicI32};
use ringfence_host::sync::{Arc, Mutex, Ordering, mutex};
use ringfence_host::{Clock, Event, Host, calls};

/// How long a ring may lie without a visitor before it is taken over, nanoseconds.
const GRACE_NS: u64 = 50_000;
/// The longest pause between looks at a ring whose visits go on, nanoseconds.
const PAUSE_MAX_NS: u64 = 400_000;
/// A waiter that has been there this long is taken to stay, nanoseconds.
const SETTLED_NS: u64 = 100_000_000;

/// Event data: the attendant's own waker, and the release of a ring; rings have 0.
const WAKER: u64 = u64::MAX;
const RELEASE: u64 = u64::MAX - 1;

/// A ring on the list.
struct Charge<H: Host> {
    ring: Arc<Ring<H>>,
    visits: u32,
    /// Since when nobody has visited.
    since: u64,
    taken: bool,
}

/// The attendant.
pub(crate) struct Attendant<H: Host> {
    host: H,
    charges: Mutex<H, Vec<Charge<H>>>,
    /// Its epoll set, -1 before it runs.
    epfd: AtomicI32<H>,
    waker: AtomicI32<H>,
    running: AtomicBool<H>,
    /// It is to end although there are rings, and none is to start.
    sent_away: AtomicBool<H>,
    /// It sleeps without a time limit and must be woken for a ring to be looked at.
    parked: AtomicBool<H>,
}

impl<H: Host> Attendant<H> {
    pub(crate) fn new(host: H) -> Self {
        let charges = mutex(&host, &locks::CHARGES, Vec::new());
        Attendant {
            host,
            charges,
            epfd: AtomicI32::new(-1),
            waker: AtomicI32::new(-1),
            running: AtomicBool::new(false),
            sent_away: AtomicBool::new(false),
            parked: AtomicBool::new(false),
        }
    }

    /// Its own descriptors, -1 for those it has not.
    pub(crate) fn fds(&self) -> Vec<i32> {
        vec![self.epfd.load(Ordering::Acquire), self.waker.load(Ordering::Acquire)]
    }

    /// A thread has left a ring with requests pending.
    pub(crate) fn notice(self: &Arc<Self>, ring: &Arc<Ring<H>>) {
        if !ring.attended.swap(true, Ordering::AcqRel) {
            let visits = ring.visits.load(Ordering::Acquire);
            let since = self.host.now(Clock::Monotonic);
            let charge = Charge { ring: Arc::clone(ring), visits, since, taken: false };
            self.charges.lock().push(charge);
            self.start();
            self.wake();
        } else if !self.running.load(Ordering::Acquire) {
            // No thread could be had when the ring was put on the list.
            self.start();
        } else if self.parked.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// A ring is dead: it leaves the list, whether or not a thread looks at that.
    pub(crate) fn forget(&self, ring: &Arc<Ring<H>>) {
        if ring.attended.swap(false, Ordering::AcqRel) {
            self.charges.lock().retain(|charge| !Arc::ptr_eq(&charge.ring, ring));
            self.wake();
        }
    }

    /// Takes a ring over at once: its program is about to wait for it elsewhere.
    pub(crate) fn urge(self: &Arc<Self>, ring: &Arc<Ring<H>>) {
        self.notice(ring);
        let mut charges = self.charges.lock();
        if let Some(charge) = charges.iter_mut().find(|charge| Arc::ptr_eq(&charge.ring, ring)) {
            if charge.taken {
                return;
            }
            charge.since = 0;
        }
        drop(charges);
        self.wake();
    }

    fn wake(&self) {
        self.parked.store(false, Ordering::SeqCst);
        let waker = self.waker.load(Ordering::Acquire);
        if waker >= 0 {
            calls::eventfd_signal(&self.host, waker);
        }
    }

    /// Ends the thread soon, until it is called back.
    pub(crate) fn send_away(&self) {
        self.sent_away.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Whether there is a thread that does not know yet of its end.
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// Starts it again for the rings on the list.
    pub(crate) fn call_back(self: &Arc<Self>) {
        self.sent_away.store(false, Ordering::SeqCst);
        let charged = !self.charges.lock().is_empty();
        if charged {
            self.start();
        }
    }

    fn start(self: &Arc<Self>) {
        if self.sent_away.load(Ordering::SeqCst) || self.running.swap(true, Ordering::AcqRel) {
            return;
        }
        let attendant = Arc::clone(self);
        let started = self
            .prepare()
            .and_then(|()| self.host.spawn("ringfence/poll", Box::new(move || attendant.serve())));
        if started.is_err() {
            self.running.store(false, Ordering::Release);
        }
    }

    fn prepare(&self) -> Result<()> {
        if self.epfd.load(Ordering::Acquire) >= 0 {
            return Ok(());
        }
        let epfd = calls::make_private(&self.host, calls::epoll_create(&self.host)?);
        let waker = self.furnish(epfd).inspect_err(|_| {
            let _ = calls::close(&self.host, epfd);
        })?;
        self.waker.store(waker, Ordering::Release);
        self.epfd.store(epfd, Ordering::Release);
        Ok(())
    }

    /// Puts into the epoll set what is to wake the thread besides rings; its waker.
    fn furnish(&self, epfd: i32) -> Result<i32> {
        let waker = calls::make_private(&self.host, calls::eventfd(&self.host)?);
        let (add, events) = (libc::EPOLL_CTL_ADD, libc::EPOLLIN as u32);
        let released = || match self.host.release_fd() {
            Some(release) => calls::epoll_ctl(&self.host, epfd, add, release, events, RELEASE),
            None => Ok(()),
        };
        match calls::epoll_ctl(&self.host, epfd, add, waker, events, WAKER)
            .and_then(|()| released())
        {
            Ok(()) => Ok(waker),
            Err(errno) => {
                let _ = calls::close(&self.host, waker);
                Err(errno)
            }
        }
    }

    /// The thread's life.
    fn serve(self: &Arc<Self>) {
        let epfd = self.epfd.load(Ordering::Acquire);
        let mut pause = GRACE_NS;
        loop {
            if self.sent_away.load(Ordering::SeqCst) {
                self.running.store(false, Ordering::Release);
                return;
            }
            let round = self.look_round(&mut pause);
            if round.charges == 0 && self.retire() {
                return;
            }
            if round.timeout.is_none() {
                self.parked.store(true, Ordering::SeqCst);
                // A visitor may have left between the look and the store.
                if self.anything_new() {
                    self.parked.store(false, Ordering::SeqCst);
                    continue;
                }
            }
            let mut events = [Event::default(); 64];
            let timeout = if round.charges == 0 { Some(1_000_000_000) } else { round.timeout };
            let count = self.host.wait(epfd, &mut events, timeout, None).unwrap_or(0);
            self.parked.store(false, Ordering::SeqCst);
            for event in &events[..count] {
                match event.data {
                    WAKER => calls::eventfd_drain(&self.host, self.waker.load(Ordering::Acquire)),
                    RELEASE => self.reap(),
                    _ => {}
                }
            }
        }
    }

    fn reap(&self) {
        let ring = self.charges.lock().first().map(|charge| Arc::clone(&charge.ring));
        if let Some(ring) = ring {
            ring.shared.reap();
        }
    }

    /// Looks at each ring once; how long it may sleep then.
    fn look_round(&self, pause: &mut u64) -> Round {
        let now = self.host.now(Clock::Monotonic);
        let mut returned = Vec::new();
        let rings: Vec<Arc<Ring<H>>> = {
            let mut charges = self.charges.lock();
            charges.retain_mut(|charge| Self::keeps(charge, &mut returned));
            charges.iter().map(|charge| Arc::clone(&charge.ring)).collect()
        };
        returned.iter().for_each(|ring| self.give_back(ring));
        let mut round = Round { timeout: None, charges: rings.len() };
        let mut visited = false;
        for ring in &rings {
            let look = self.look(ring, now, &mut visited);
            round.timeout = earlier(round.timeout, look);
        }
        *pause = if visited { (*pause * 2).min(PAUSE_MAX_NS) } else { GRACE_NS };
        if visited {
            round.timeout = earlier(round.timeout, Some(*pause));
        }
        round
    }

    /// Whether a ring stays on the list; one that does not, or is to be taken over anew, is returned.
    fn keeps(charge: &mut Charge<H>, returned: &mut Vec<Arc<Ring<H>>>) -> bool {
        let ring = &charge.ring;
        let keep = ring.needs_attendant();
        if !keep {
            // If it stays after all, it is taken over anew.
            if std::mem::replace(&mut charge.taken, false) {
                returned.push(Arc::clone(ring));
            }
            ring.attended.store(false, Ordering::Release);
            // A request may have been parked since it was looked at.
            if ring.needs_attendant() && !ring.attended.swap(true, Ordering::AcqRel) {
                return true;
            }
        }
        keep
    }

    /// Whether a ring needs more than its release to be noticed.
    fn needs_driving(ring: &Ring<H>) -> bool {
        ring.pending.load(Ordering::Acquire) > 0
            && (!ring.is_deferred() || ring.tells_of_task_work())
    }

    /// Looks at one ring: drives it if it is ours, takes it over if nobody visits.
    fn look(&self, ring: &Arc<Ring<H>>, now: u64, visited: &mut bool) -> Option<u64> {
        let shared = ring.must_be_looked_at();
        if shared {
            ring.look_for_others();
        }
        let again = shared.then_some(crate::inherit::LOOK_NS);
        let visits = ring.visits.load(Ordering::Acquire);
        let waiting = ring.waiting.load(Ordering::Acquire) > 0;
        let mut charges = self.charges.lock();
        let charge = charges.iter_mut().find(|charge| Arc::ptr_eq(&charge.ring, ring))?;
        // Seen, whether or not it is driven: what counts as new would else keep the thread awake.
        let came = std::mem::replace(&mut charge.visits, visits) != visits;
        if !Self::needs_driving(ring) {
            // What stands in its epoll set would wake this thread for nothing, again and again.
            let was_taken = std::mem::replace(&mut charge.taken, false);
            drop(charges);
            if was_taken {
                self.give_back(ring);
            }
            return again;
        }
        if came {
            charge.since = now;
            *visited = true;
        }
        let idle = now.saturating_sub(charge.since);
        if waiting {
            let was_taken = std::mem::replace(&mut charge.taken, false);
            drop(charges);
            if was_taken {
                self.give_back(ring);
            }
            // Its own thread drives it; look again until that seems to last.
            return earlier(again, (idle < SETTLED_NS).then_some(PAUSE_MAX_NS.max(idle)));
        }
        if idle < GRACE_NS {
            return Some(GRACE_NS - idle);
        }
        let take = !std::mem::replace(&mut charge.taken, true);
        drop(charges);
        if take {
            self.take_over(ring);
        }
        earlier(again, self.tend(ring, now))
    }

    fn take_over(&self, ring: &Arc<Ring<H>>) {
        let Some(_held) = ring.hold_descriptors() else { return };
        if let Ok(epfd) = ring.epoll() {
            let own = self.epfd.load(Ordering::Acquire);
            let data = 0;
            let add = libc::EPOLL_CTL_ADD;
            let _ = calls::epoll_ctl(&self.host, own, add, epfd, libc::EPOLLIN as u32, data);
        }
    }

    fn give_back(&self, ring: &Arc<Ring<H>>) {
        let Some(_held) = ring.hold_descriptors() else { return };
        let epfd = ring.epfd.load(Ordering::Acquire);
        if epfd >= 0 {
            let own = self.epfd.load(Ordering::Acquire);
            let _ = calls::epoll_ctl(&self.host, own, libc::EPOLL_CTL_DEL, epfd, 0, 0);
        }
    }

    /// Drives a ring that was taken over, or tells its owner that there is something to do.
    fn tend(&self, ring: &Arc<Ring<H>>, now: u64) -> Option<u64> {
        if ring.is_deferred() {
            return self.tell_owner(ring, now);
        }
        let _ = ring.drive(Role::Guest, Some(0), None);
        let deadline = ring.deadline.load(Ordering::Acquire);
        (deadline != u64::MAX).then(|| deadline.saturating_sub(now).max(1))
    }

    /// A deferring ring's owner alone may post; it is told once, and then left alone.
    fn tell_owner(&self, ring: &Arc<Ring<H>>, now: u64) -> Option<u64> {
        let ready = ring.gather();
        let deadline = ring.deadline.load(Ordering::Acquire);
        if ready || deadline <= now {
            if !ready {
                ring.announce_task_work();
            }
            self.give_back(ring);
            return None;
        }
        (deadline != u64::MAX).then(|| deadline.saturating_sub(now).max(1))
    }

    fn anything_new(&self) -> bool {
        let charges = self.charges.lock();
        charges.iter().any(|charge| charge.visits != charge.ring.visits.load(Ordering::SeqCst))
    }

    /// Ends the thread when there is nothing to look after.
    fn retire(&self) -> bool {
        let charges = self.charges.lock();
        if !charges.is_empty() {
            return false;
        }
        self.running.store(false, Ordering::Release);
        true
    }
}

impl<H: Host> Drop for Attendant<H> {
    fn drop(&mut self) {
        for fd in self.fds().into_iter().filter(|fd| *fd >= 0) {
            let _ = calls::close(&self.host, fd);
        }
    }
}

/// The outcome of one look at all rings.
struct Round {
    /// Nanoseconds until the next look is due, `None` for when something happens.
    timeout: Option<u64>,
    charges: usize,
}

fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

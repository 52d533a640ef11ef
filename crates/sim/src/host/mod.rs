//! A host for the engine whose threads, time, waits and faults come from the simulation.
//!
//! | simulated | real |
//! |---|---|
//! | threads: the engine's and the program's, one at a time | system calls on files, pipes, sockets: the kernel's, in the turn of the running thread |
//! | locks, futexes, the end of a thread | readiness: epoll sets are the kernel's, looked at without waiting |
//! | every clock, and all that waits for a time | the memory of rings: memfds, mapped |
//! | what a call costs, and who is preempted at it | descriptors, their numbers and limits |
//! | faults ([`Faults`]) | the errors of what the kernel really refuses |
//!
//! A call that would block is not made: its thread waits, in virtual time, until the descriptor is
//! ready. Signals are not simulated, and none is let in by a wait.

mod calls;
mod faults;
mod releases;

pub use faults::Faults;

use crate::lock::RawLock;
use crate::state::Woken;
use crate::thread::{self, current};
use faults::Fault;
use releases::Releases;
use ringfence_abi::{Errno, Result};
use ringfence_host::sync::{AtomicU32, Futex, LockClass};
use ringfence_host::{Clock, Event, Host, Os, Point, RingMemory};
use std::sync::Arc;

/// Virtual time begins so long after the epoch, nanoseconds: the first of January 2026.
const EPOCH: u64 = 1_767_225_600_000_000_000;

/// What a thread that gives way waits, nanoseconds: in virtual time a spinning thread would else
/// spin for ever.
const YIELD: u64 = 100_000;

/// A simulated host. Threads that are not virtual find the operating system behind it.
#[derive(Clone, Debug, Default)]
pub struct SimHost {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    faults: Faults,
    releases: Arc<Releases>,
}

impl SimHost {
    /// A host with these faults.
    pub fn new(faults: Faults) -> SimHost {
        SimHost { inner: Arc::new(Inner { faults, releases: Arc::default() }) }
    }

    /// Which of `events` (`POLL*`) hold on `fd`, once any does; 0 after `timeout` nanoseconds.
    ///
    /// # Errors
    /// `EBADF` if it is not open.
    #[track_caller]
    pub fn poll(&self, fd: i32, events: i16, timeout: Option<u64>) -> Result<i16> {
        let look = || ringfence_host::calls::poll_now(&Os, fd, u32::from(events as u16));
        if current().is_some() && look() == Ok(0) && timeout != Some(0) {
            thread::wait_ready(calls::probe(fd, events), timeout);
        }
        look().map(|revents| revents as i16)
    }

    /// Whether a fault happens now.
    fn strikes(&self, fault: Fault) -> bool {
        match self.inner.faults.one_in(fault) {
            0 => false,
            chance => thread::draw(u64::from(chance)) == 0,
        }
    }

    /// A delay, once in a while: other threads run, and timers fire.
    #[track_caller]
    fn delay(&self) {
        if self.strikes(Fault::Late) {
            thread::sleep(1000 * (1 + thread::draw(2000)));
        }
    }

    /// Takes what is ready in an epoll set, without waiting; in an order and number of the seed's.
    fn take_events(&self, epfd: i32, events: &mut [Event]) -> Result<usize> {
        let mut room = events.len();
        if self.strikes(Fault::Reorder) {
            room = room.min(1 + thread::draw(3) as usize);
        }
        let count = Os.wait(epfd, &mut events[..room], Some(0), None)?;
        if count > 1 && self.strikes(Fault::Reorder) {
            for last in (1..count).rev() {
                events.swap(last, thread::draw(last as u64 + 1) as usize);
            }
        }
        Ok(count)
    }
}

impl Host for SimHost {
    type Lock = RawLock;

    fn new_lock(&self, class: &'static LockClass) -> RawLock {
        RawLock::named(class.name)
    }

    fn futex_wait(&self, word: &AtomicU32, value: u32, timeout: Option<u64>) {
        if current().is_some() {
            thread::wait(word, value, timeout);
        } else {
            Os.futex_wait(word, value, timeout);
        }
    }

    fn futex_wake(&self, word: &AtomicU32, count: u32) {
        if current().is_some() {
            thread::wake(word, count);
        } else {
            Os.futex_wake(word, count);
        }
    }

    fn at(&self, point: Point) {
        match point {
            Point::WorkerCall => thread::point("worker's call"),
            Point::Return => thread::point("return"),
            Point::Link { by, .. } => thread::point(by),
            // Marks for a validator, at which nothing happens that another thread could see.
            _ => {}
        }
        if point == Point::WorkerCall && current().is_some() {
            // A worker is there because its call may take long.
            thread::sleep(1000 * thread::draw(50));
        }
    }

    #[track_caller]
    fn step() {
        thread::step();
    }

    fn interruptible(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        if current().is_none() {
            return Os.interruptible(number, args);
        }
        if !thread::is_served() {
            return self.syscall(number, args);
        }
        thread::point(calls::name(number));
        thread::pass(1000);
        self.delay();
        let result = match self.fault(number, &args) {
            Some(errno) => Err(errno),
            None => thread::outside(|| Os.interruptible(number, args)),
        };
        thread::touched_the_world();
        result
    }

    fn interrupt(&self, thread: u32) {
        Os.interrupt(thread);
    }

    fn recover(&self) {
        Os.recover();
    }

    fn syscall(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        if current().is_none() {
            return Os.syscall(number, args);
        }
        if number == libc::SYS_sched_yield {
            thread::give_way(YIELD);
            return Ok(0);
        }
        if number == libc::SYS_tkill
            && args[1] == 0
            && let Some(alive) = thread::is_alive(args[0])
        {
            return if alive { Ok(0) } else { Err(Errno::from_raw(libc::ESRCH)) };
        }
        // Where time is the machine's, a transfer that another thread delays would seem a slow one,
        // and the engine gives those to workers.
        if !(thread::is_served() && calls::is_transfer(number)) {
            thread::point(calls::name(number));
        }
        thread::pass(1000);
        self.delay();
        let result = match self.fault(number, &args) {
            Some(errno) => Err(errno),
            None if thread::is_served() && calls::waits_elsewhere(number) => {
                thread::outside(|| Os.syscall(number, args))
            }
            None => self.real_call(number, args),
        };
        thread::touched_the_world();
        result
    }

    fn now(&self, clock: Clock) -> u64 {
        if current().is_none() {
            return Os.now(clock);
        }
        match clock {
            Clock::Realtime => thread::wall(EPOCH),
            Clock::Monotonic | Clock::Boottime => thread::now(),
        }
    }

    fn copy_in(&self, addr: u64, out: &mut [u8]) -> Result<()> {
        Os.copy_in(addr, out)
    }

    fn copy_out(&self, addr: u64, data: &[u8]) -> Result<()> {
        Os.copy_out(addr, data)
    }

    fn wait(
        &self,
        epfd: i32,
        events: &mut [Event],
        timeout: Option<u64>,
        sigmask: Option<u64>,
    ) -> Result<usize> {
        if current().is_none() {
            return Os.wait(epfd, events, timeout, sigmask);
        }
        thread::point("epoll_wait");
        thread::pass(1000);
        if timeout != Some(0) && self.strikes(Fault::Interrupted) {
            return Err(Errno::EINTR);
        }
        let until = timeout.map(|timeout| thread::now().saturating_add(timeout));
        loop {
            let count = self.take_events(epfd, events)?;
            thread::touched_the_world();
            if count > 0 || timeout == Some(0) {
                return Ok(count);
            }
            let left = until.map(|until| until.saturating_sub(thread::now()));
            if thread::wait_ready(calls::probe(epfd, libc::POLLIN), left) == Woken::Timeout {
                return Ok(0);
            }
        }
    }

    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<()> {
        if current().is_none() {
            return Os.spawn(name, body);
        }
        if self.strikes(Fault::NoThread) {
            return Err(Errno::EAGAIN);
        }
        thread::spawn_daemon(name, body);
        Ok(())
    }

    fn thread_id(&self) -> u32 {
        thread::id().unwrap_or_else(|| Os.thread_id())
    }

    fn at_thread_exit(&self, body: Box<dyn FnOnce() + Send>) {
        match current() {
            None => Os.at_thread_exit(body),
            // The machine's thread that came in for a call comes in once more when it ends.
            Some((world, id)) if world.is_service => Os.at_thread_exit(Box::new(move || {
                let id = world.enter(Some(id));
                thread::run_as(&world, id, body);
            })),
            // The end of a virtual thread tells nobody: its machine thread runs the next one.
            Some(_) => drop(body),
        }
    }

    fn cpus(&self) -> u32 {
        Os.cpus()
    }

    fn forked(&self) {
        Os.forked();
    }

    fn ring_memory(&self, size: u64) -> Result<RingMemory> {
        if current().is_some() {
            thread::point("ring memory");
            if self.strikes(Fault::NoMemory) {
                return Err(Errno::ENOMEM);
            }
        }
        let memory = Os.ring_memory(size)?;
        let watch = self.inner.releases.watch(memory.fd);
        Ok(RingMemory { watch, ..memory })
    }

    fn release_fd(&self) -> Option<i32> {
        self.inner.releases.fd()
    }

    fn private_fds(&self) -> Vec<i32> {
        let own = self.inner.releases.known_fd();
        own.into_iter().chain(Os.private_fds()).collect()
    }

    fn released(&self, out: &mut Vec<i32>) {
        self.inner.releases.take(out);
    }
}

/// For exploring the operating system's lock itself; the engine's locks on this host are [`RawLock`]s.
impl Futex for SimHost {
    fn sleep(word: &AtomicU32, value: u32) {
        thread::wait(word, value, None);
    }

    fn rouse(word: &AtomicU32) {
        thread::wake(word, 1);
    }
}

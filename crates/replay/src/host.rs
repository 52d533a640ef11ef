//! The simulated host that an engine with historic bugs runs on, and the oracles that watch it.

use crate::report;
use ringfence_abi::Result;
use ringfence_host::bugs::Bugs;
use ringfence_host::sync::{AtomicU32, LockClass};
use ringfence_host::{Clock, Event, Host, Os, Point, RingMemory, calls, plain};
use ringfence_sim::{RaceCell, SimHost};
use ringfence_uring::aio::Rule;
use std::collections::{BTreeSet, HashMap};
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bugs that an engine has, as a type.
pub(crate) trait Set: Clone + Send + Sync + 'static {
    /// Them.
    const BUGS: Bugs;
    /// How an AIO context is looked up: the one bug that is a type of the engine's own.
    type LookUp: Rule;
}

/// The simulated host, for an engine that has the bugs of `S`.
#[derive(Debug)]
pub(crate) struct Past<S> {
    host: SimHost,
    oracles: Arc<Oracles>,
    set: PhantomData<fn() -> S>,
}

impl<S> Clone for Past<S> {
    fn clone(&self) -> Self {
        Past { host: self.host.clone(), oracles: Arc::clone(&self.oracles), set: PhantomData }
    }
}

/// What is known of one run.
#[derive(Debug, Default)]
struct Oracles {
    /// Accesses to links, by link.
    links: Mutex<HashMap<usize, Arc<RaceCell<()>>>>,
    /// References to linked timeouts.
    references: Mutex<HashMap<u64, u32>>,
    /// Descriptors that were made and not closed: a run that fails leaves them behind, with the
    /// engine that holds them.
    open: Mutex<BTreeSet<i32>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Oracles {
    /// Closes what a run has left open.
    fn close(&self) {
        for fd in std::mem::take(&mut *locked(&self.open)) {
            let _ = calls::close(&Os, fd);
        }
    }

    #[track_caller]
    fn link(&self, of: usize, writes: bool, by: &'static str) {
        report::name(Location::caller(), by);
        let cell = Arc::clone(locked(&self.links).entry(of).or_default());
        if writes {
            cell.with_mut(|()| ());
        } else {
            cell.with(|()| ());
        }
    }

    fn put(&self, object: u64, by: &'static str) {
        let mut references = locked(&self.references);
        let count = references.entry(object).or_default();
        if *count == 0 {
            drop(references);
            panic!("{}", report::underflow(by));
        }
        *count -= 1;
    }

    /// Takes note of descriptors that a call has made or closed.
    fn follow(&self, number: i64, args: &[u64; 6], result: &Result<u64>) {
        let Ok(value) = result else { return };
        let makes = match number {
            libc::SYS_epoll_create1
            | libc::SYS_eventfd2
            | libc::SYS_openat
            | libc::SYS_memfd_create => true,
            libc::SYS_fcntl => args[1] == libc::F_DUPFD_CLOEXEC as u64,
            _ => false,
        };
        if number == libc::SYS_pipe2 {
            let ends = [0, 1].map(|index| plain::read_at::<_, i32>(&Os, args[0], index));
            locked(&self.open).extend(ends.into_iter().flatten());
        } else if makes {
            locked(&self.open).insert(*value as i32);
        } else if number == libc::SYS_close {
            locked(&self.open).remove(&(args[0] as i32));
        }
    }
}

impl<S: Set> Past<S> {
    /// A host for one run.
    pub(crate) fn new() -> Past<S> {
        let oracles = Arc::<Oracles>::default();
        let watching = Arc::clone(&oracles);
        ringfence_sim::at_end(move || watching.close());
        Past { host: SimHost::default(), oracles, set: PhantomData }
    }
}

impl<S: Set> Host for Past<S> {
    type Lock = <SimHost as Host>::Lock;

    const BUGS: Bugs = S::BUGS;

    fn new_lock(&self, class: &'static LockClass) -> Self::Lock {
        self.host.new_lock(class)
    }

    fn futex_wait(&self, word: &AtomicU32, value: u32, timeout: Option<u64>) {
        self.host.futex_wait(word, value, timeout);
    }

    fn futex_wake(&self, word: &AtomicU32, count: u32) {
        self.host.futex_wake(word, count);
    }

    #[track_caller]
    fn at(&self, point: Point) {
        match point {
            Point::WorkerCall | Point::Return => self.host.at(point),
            Point::Link { of, writes, by } => self.oracles.link(of, writes, by),
            Point::Get(object) => *locked(&self.oracles.references).entry(object).or_default() += 1,
            Point::Put { object, by } => self.oracles.put(object, by),
            _ => {}
        }
    }

    #[inline]
    #[track_caller]
    fn step() {
        SimHost::step();
    }

    fn syscall(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        let result = self.host.syscall(number, args);
        self.oracles.follow(number, &args, &result);
        result
    }

    fn interruptible(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        let result = self.host.interruptible(number, args);
        self.oracles.follow(number, &args, &result);
        result
    }

    fn interrupt(&self, thread: u32) {
        self.host.interrupt(thread);
    }

    fn recover(&self) {
        self.host.recover();
    }

    fn now(&self, clock: Clock) -> u64 {
        self.host.now(clock)
    }

    fn copy_in(&self, addr: u64, out: &mut [u8]) -> Result<()> {
        self.host.copy_in(addr, out)
    }

    fn copy_out(&self, addr: u64, data: &[u8]) -> Result<()> {
        self.host.copy_out(addr, data)
    }

    fn wait(
        &self,
        epfd: i32,
        events: &mut [Event],
        timeout: Option<u64>,
        sigmask: Option<u64>,
    ) -> Result<usize> {
        self.host.wait(epfd, events, timeout, sigmask)
    }

    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<()> {
        self.host.spawn(name, body)
    }

    fn thread_id(&self) -> u32 {
        self.host.thread_id()
    }

    fn cpus(&self) -> u32 {
        self.host.cpus()
    }

    fn forked(&self) {
        self.host.forked();
    }

    fn ring_memory(&self, size: u64) -> Result<RingMemory> {
        let memory = self.host.ring_memory(size)?;
        locked(&self.oracles.open).extend([memory.fd, memory.own]);
        Ok(memory)
    }

    fn release_fd(&self) -> Option<i32> {
        self.host.release_fd()
    }

    fn private_fds(&self) -> Vec<i32> {
        self.host.private_fds()
    }

    fn released(&self, out: &mut Vec<i32>) {
        self.host.released(out);
    }
}

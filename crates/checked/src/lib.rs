//! Any host of the engine with its locks validated.
//!
//! [`Checked`] is a [`Host`] around another: every lock that the engine gets from it tells the
//! validator of this process what is taken and let go of, and the places where the engine may hold
//! no lock (a wait, a sleep, a worker's call, the return to the program) are checked. The engine
//! under test is the same code as the shipped one; only its host differs.
//!
//! What it is not: a part of the shipped library, which knows neither this crate nor the validator.
//!
//! ```
//! use ringfence_checked::Checked;
//! use ringfence_host::Os;
//! use ringfence_uring::{Engine, LOCK_CLASSES};
//!
//! let engine = Engine::new(Checked::new(Os, LOCK_CLASSES));
//! let mut params = ringfence_abi::Params::default();
//! let fd = engine.setup(8, std::ptr::from_mut(&mut params) as u64).unwrap();
//! assert_eq!(engine.enter(fd, 0, 0, 0, 0, 0), Ok(0));
//! assert!(ringfence_lockdep::reports().is_empty());
//! assert!(ringfence_lockdep::stats().classes > 0);
//! ```

mod classes;
mod timers;

use ringfence_abi::Result;
use ringfence_host::bugs::Bugs;
use ringfence_host::sync::{AtomicU32, LockClass};
use ringfence_host::{Clock, Event, Host, Point, RingMemory};
use ringfence_lockdep::{self as lockdep, Blocked, InContext, SIGNAL};

/// The host `H` with validated locks.
#[derive(Clone, Debug)]
pub struct Checked<H> {
    host: H,
}

impl<H: Host> Checked<H> {
    /// `host`, and the order in which its engine declares to take locks, outermost first.
    pub fn new(host: H, order: &[&'static LockClass]) -> Self {
        classes::declare(order);
        Checked { host }
    }
}

/// The calling thread is inside the engine while this lives: its program's signal handlers are
/// deferred, as an interceptor does it, and timers run where the engine says so.
pub fn inside() -> Inside {
    Inside { _signals: lockdep::block(&SIGNAL), _timers: lockdep::block(&timers::TIMER) }
}

/// See [`inside`].
#[derive(Debug)]
#[must_use]
pub struct Inside {
    _signals: Blocked,
    _timers: Blocked,
}

/// The calling thread starts anew: what it held and was in when it was unwound is forgotten.
pub fn fresh_thread() {
    timers::forget();
    lockdep::switch(&mut lockdep::Task::new());
}

/// The calling thread runs a signal handler while this lives.
pub fn in_handler() -> InContext {
    lockdep::enter(&SIGNAL)
}

impl<H: Host> Host for Checked<H> {
    type Lock = lockdep::Checked<H::Lock>;

    const BUGS: Bugs = H::BUGS;

    fn new_lock(&self, class: &'static LockClass) -> Self::Lock {
        lockdep::Checked::new(classes::of(class), self.host.new_lock(class))
    }

    #[track_caller]
    fn futex_wait(&self, word: &AtomicU32, value: u32, timeout: Option<u64>) {
        lockdep::parking();
        self.host.futex_wait(word, value, timeout);
    }

    fn futex_wake(&self, word: &AtomicU32, count: u32) {
        self.host.futex_wake(word, count);
    }

    #[track_caller]
    fn at(&self, point: Point) {
        match point {
            Point::WorkerCall => lockdep::parking(),
            Point::Return => lockdep::returning(),
            Point::TimersBegin => timers::begin(),
            Point::TimersEnd => timers::end(),
            Point::TimersOpen => timers::open(),
            Point::TimersClosed => timers::close(),
            Point::Link { .. } | Point::Get(_) | Point::Put { .. } => {}
        }
        self.host.at(point);
    }

    #[inline]
    #[track_caller]
    fn step() {
        H::step();
    }

    fn syscall(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        self.host.syscall(number, args)
    }

    fn interruptible(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        self.host.interruptible(number, args)
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

    #[track_caller]
    fn wait(
        &self,
        epfd: i32,
        events: &mut [Event],
        timeout: Option<u64>,
        sigmask: Option<u64>,
    ) -> Result<usize> {
        // A look does not park.
        if timeout != Some(0) {
            lockdep::parking();
        }
        self.host.wait(epfd, events, timeout, sigmask)
    }

    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<()> {
        let body = move || {
            fresh_thread();
            // A thread of the engine has all signals blocked.
            let _inside = inside();
            body();
        };
        self.host.spawn(name, Box::new(body))
    }

    fn thread_id(&self) -> u32 {
        self.host.thread_id()
    }

    fn at_thread_exit(&self, body: Box<dyn FnOnce() + Send>) {
        self.host.at_thread_exit(Box::new(move || {
            let _inside = inside();
            body();
        }));
    }

    fn thread_lives(&self, id: u32) -> bool {
        self.host.thread_lives(id)
    }

    fn cpus(&self) -> u32 {
        self.host.cpus()
    }

    fn forked(&self) {
        self.host.forked();
    }

    fn ring_memory(&self, size: u64) -> Result<RingMemory> {
        self.host.ring_memory(size)
    }

    fn release_fd(&self) -> Option<i32> {
        self.host.release_fd()
    }

    fn allows_kernel_aio(&self) -> bool {
        self.host.allows_kernel_aio()
    }

    fn private_fds(&self) -> Vec<i32> {
        self.host.private_fds()
    }

    fn released(&self, out: &mut Vec<i32>) {
        self.host.released(out);
    }
}

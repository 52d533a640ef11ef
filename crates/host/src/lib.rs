//! The engine's seam to the world: system calls, memory, clock, threads, locks.
//!
//! The engine knows nothing of the operating system but this crate. [`Host`] is the contract; it
//! has two implementations: [`Os`], where a system call is a system call, and a simulated one that
//! runs the same engine from a seed. Generics, not boxed calls, so that the seam costs nothing.
//!
//! What it is not: a portable system interface. Numbers and structures are those of Linux.
//!
//! ```
//! use ringfence_host::{Host, Os, calls};
//!
//! let (read, write) = calls::pipe2(&Os, 0).unwrap();
//! let text = *b"hello";
//! assert_eq!(calls::write(&Os, write, text.as_ptr() as u64, text.len()), Ok(5));
//! let mut copy = [0u8; 5];
//! assert_eq!(calls::read(&Os, read, copy.as_mut_ptr() as u64, copy.len()), Ok(5));
//! assert_eq!(copy, text);
//! ```

pub mod atomic;
pub mod bugs;
pub mod calls;
pub mod fault;
pub mod interrupt;
pub mod kernel_aio;
pub mod memory;
mod os;
pub mod plain;
pub mod shm;
pub mod signal;
pub mod sync;
pub mod watch;
pub mod words;

pub use os::Os;
use ringfence_abi::Result;
use sync::{AtomicU32, LockClass};

/// A clock of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Clock {
    /// `CLOCK_REALTIME`.
    Realtime = 0,
    /// `CLOCK_MONOTONIC`.
    Monotonic = 1,
    /// `CLOCK_BOOTTIME`.
    Boottime = 7,
}

/// One readiness event, as `struct epoll_event` has it on x86-64.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, packed)]
pub struct Event {
    /// `EPOLL*` bits.
    pub events: u32,
    /// What the registration said.
    pub data: u64,
}

/// A place the engine tells its host of, for hosts that check or schedule it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// A worker is about to make a call that may block; no lock is held.
    WorkerCall,
    /// A call of the program's is about to return to it; no lock is held.
    Return,
    /// Timers that are due run now, as callbacks.
    TimersBegin,
    /// They have run.
    TimersEnd,
    /// Timers may break in from here on; nowhere in the engine as it is.
    TimersOpen,
    /// They may no longer.
    TimersClosed,
    /// A link from a request at a worker to its linked timeout is read or written.
    Link {
        /// Tells it from other links.
        of: usize,
        /// It is written.
        writes: bool,
        /// The function that does it.
        by: &'static str,
    },
    /// A linked timeout is armed: its target has a reference to it.
    Get(u64),
    /// That reference is dropped.
    Put {
        /// Which.
        object: u64,
        /// The function that does it.
        by: &'static str,
    },
}

/// What the engine needs of the world.
///
/// Addresses are addresses of the program, as it wrote them; an implementation must answer a bad
/// one with `EFAULT` and never crash on it. Every call may be made from any thread.
pub trait Host: Clone + Send + Sync + 'static {
    /// The raw lock of every mutex of the engine's.
    type Lock: lock_api::RawMutex + Send + Sync + 'static;

    /// The historic bugs that the engine on this host has: none, but for a replay of them.
    const BUGS: bugs::Bugs = bugs::Bugs::NONE;

    /// A free lock of `class`.
    fn new_lock(&self, class: &'static LockClass) -> Self::Lock;

    /// Sleeps while `word` is `value`, for at most `timeout` nanoseconds; may return early.
    fn futex_wait(&self, word: &AtomicU32, value: u32, timeout: Option<u64>);

    /// Wakes up to `count` sleepers on `word`.
    fn futex_wake(&self, word: &AtomicU32, count: u32);

    /// The engine is at `point`.
    #[inline(always)]
    fn at(&self, point: Point) {
        let _ = point;
    }

    /// The engine is about to access a word that its threads share without a lock.
    #[inline(always)]
    fn step() {}

    /// Makes a system call; the program's memory may be named in `args`.
    ///
    /// # Errors
    /// Whatever the call gives.
    fn syscall(&self, number: i64, args: [u64; 6]) -> Result<u64>;

    /// Makes a system call that may wait for as long as others like, until the calling thread is
    /// interrupted.
    ///
    /// # Errors
    /// Whatever the call gives; `EINTR` from an interruption on, until the thread recovers.
    fn interruptible(&self, number: i64, args: [u64; 6]) -> Result<u64>;

    /// Interrupts another thread of the engine's, by its id of the system, as far as the host can.
    fn interrupt(&self, thread: u32);

    /// Ends the interruption of the calling thread, who knows that it was.
    fn recover(&self);

    /// The time of a clock, nanoseconds.
    fn now(&self, clock: Clock) -> u64;

    /// Copies from the program's memory.
    ///
    /// # Errors
    /// `EFAULT` if any byte cannot be read.
    fn copy_in(&self, addr: u64, out: &mut [u8]) -> Result<()>;

    /// Copies into the program's memory.
    ///
    /// # Errors
    /// `EFAULT` if any byte cannot be written; a part may have been.
    fn copy_out(&self, addr: u64, data: &[u8]) -> Result<()>;

    /// Waits for events of the epoll descriptor `epfd`, for at most `timeout` nanoseconds, with
    /// the signal mask `sigmask` if there is one. The one place where signals are let in.
    ///
    /// # Errors
    /// `EINTR` when a signal handler ran.
    fn wait(
        &self,
        epfd: i32,
        events: &mut [Event],
        timeout: Option<u64>,
        sigmask: Option<u64>,
    ) -> Result<usize>;

    /// Starts a thread of the engine, named for whoever lists threads; all signals blocked in it.
    ///
    /// # Errors
    /// `EAGAIN` when there can be no more threads.
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<()>;

    /// The id of the calling thread.
    fn thread_id(&self) -> u32;

    /// Runs `body` when the calling thread ends by itself or by `pthread_exit`. A host that is not
    /// told of that drops it, as this one does by default.
    fn at_thread_exit(&self, body: Box<dyn FnOnce() + Send>) {
        drop(body);
    }

    /// Whether a thread of the process, by its id, has not ended; a host that cannot tell says so
    /// of all.
    fn thread_lives(&self, id: u32) -> bool {
        let _ = id;
        true
    }

    /// How many CPUs are online.
    fn cpus(&self) -> u32;

    /// To be called in a forked child before anything else.
    fn forked(&self);

    /// Memory that a program can map from a descriptor: `size` bytes, zeroed.
    ///
    /// # Errors
    /// `ENOMEM`, `EMFILE` and their like.
    fn ring_memory(&self, size: u64) -> Result<RingMemory>;

    /// A descriptor that is readable when [`Host::released`] has something to tell, if there is one.
    fn release_fd(&self) -> Option<i32>;

    /// Whether the kernel's own asynchronous I/O may be tried; it may still be refused. May take a
    /// while at its first call.
    fn allows_kernel_aio(&self) -> bool {
        false
    }

    /// Descriptors the host keeps open for itself.
    fn private_fds(&self) -> Vec<i32>;

    /// Memory rings released by their last descriptor and mapping since the last call, by the
    /// `watch` of their [`RingMemory`].
    fn released(&self, out: &mut Vec<i32>);
}

/// Memory shared with a program, and how the program names it.
#[derive(Debug)]
pub struct RingMemory {
    /// The descriptor for the program.
    pub fd: i32,
    /// The engine's own descriptor, of another open than the program's: mappings made from it do
    /// not keep the program's open alive.
    pub own: i32,
    /// What [`Host::released`] will report, -1 if the host cannot tell.
    pub watch: i32,
}

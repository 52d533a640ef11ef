//! The program of a replay: it makes the system calls of io_uring as any program does, on virtual
//! threads.

use crate::host::{Past, Set};
use ringfence_abi::*;
use ringfence_checked::{Checked, inside};
use ringfence_host::calls;
use ringfence_host::shm::Shm;
use ringfence_host::sync::Ordering::{Acquire, Relaxed, Release};
use ringfence_uring::{Engine, LOCK_CLASSES};
use std::sync::{Arc, Mutex, PoisonError};

/// The host of a replay.
pub(crate) type Stage<S> = Checked<Past<S>>;

/// A second, in virtual nanoseconds.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// A program with an engine of its own.
pub(crate) struct Program<S: Set> {
    pub(crate) host: Stage<S>,
    pub(crate) engine: Engine<Stage<S>>,
}

/// A ring as the program sees it.
pub(crate) struct Ring<S: Set> {
    program: Arc<Program<S>>,
    fd: i32,
    params: Params,
    rings: Shm,
    sqes: Shm,
    tail: Mutex<u32>,
}

impl<S: Set> Program<S> {
    pub(crate) fn new() -> Arc<Program<S>> {
        let host = Checked::new(Past::new(), LOCK_CLASSES);
        let engine = Engine::new(host.clone());
        Arc::new(Program { host, engine })
    }

    /// A ring of `entries`, and twice as many completions.
    pub(crate) fn ring(self: &Arc<Self>, entries: u32) -> Ring<S> {
        let mut params = Params::default();
        let fd = {
            let _inside = inside();
            self.engine.setup(entries, std::ptr::from_mut(&mut params) as u64).expect("a ring")
        };
        let cq = params.cq_off.cqes as usize + params.cq_entries as usize * size_of::<Cqe>();
        let sq = params.sq_off.array as usize + params.sq_entries as usize * 4;
        let len = cq.max(sq);
        let rings = Shm::map(fd, IORING_OFF_SQ_RING, len, len).expect("the rings");
        let len = params.sq_entries as usize * size_of::<Sqe>();
        let sqes = Shm::map(fd, IORING_OFF_SQES, len, len).expect("the entries");
        for slot in 0..params.sq_entries {
            rings.store(params.sq_off.array + slot * 4, slot, Relaxed);
        }
        Ring { program: Arc::clone(self), fd, params, rings, sqes, tail: Mutex::new(0) }
    }

    /// A pipe: the reading and the writing end.
    pub(crate) fn pipe(&self) -> (i32, i32) {
        let (read, write) = calls::pipe2(&self.host, libc::O_CLOEXEC).expect("a pipe");
        (read, write)
    }

    /// Writes a byte.
    pub(crate) fn write(&self, fd: i32) {
        let byte = [1u8];
        calls::write(&self.host, fd, byte.as_ptr() as u64, 1).expect("room in the pipe");
    }

    pub(crate) fn close(&self, fd: i32) {
        {
            let _inside = inside();
            self.engine.before_close(fd as u32, fd as u32);
        }
        let _ = calls::close(&self.host, fd);
    }

    /// Waits until the engine's own threads have nothing left to do and are gone.
    pub(crate) fn rest(&self) {
        ringfence_sim::sleep(12 * SECOND);
    }
}

impl<S: Set> Ring<S> {
    /// Submits entries; how many were consumed.
    pub(crate) fn submit(&self, sqes: &[Sqe]) -> u32 {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        for sqe in sqes {
            let slot = *tail & (self.params.sq_entries - 1);
            self.sqes.write(slot as usize * size_of::<Sqe>(), *sqe);
            *tail = tail.wrapping_add(1);
        }
        self.rings.store(self.params.sq_off.tail, *tail, Release);
        drop(tail);
        self.enter(sqes.len() as u32, 0, 0).expect("a submission")
    }

    /// Waits until `count` completions are in the ring, for a minute at most.
    pub(crate) fn wait(&self, count: u32) {
        let ts = Timespec { tv_sec: 60, tv_nsec: 0 };
        let arg = GeteventsArg { ts: &raw const ts as u64, ..GeteventsArg::default() };
        let flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
        let _inside = inside();
        let (at, size) = (std::ptr::from_ref(&arg) as u64, size_of_val(&arg) as u64);
        let waited = self.program.engine.enter(self.fd, 0, count, flags, at, size);
        assert!(waited.is_ok(), "{count} completions: {waited:?}, {} came", self.ready());
    }

    /// Lets the engine look what has happened.
    pub(crate) fn look(&self) {
        self.enter(0, 0, IORING_ENTER_GETEVENTS).expect("a look");
    }

    fn enter(&self, submit: u32, min: u32, flags: u32) -> Result<u32> {
        let _inside = inside();
        self.program.engine.enter(self.fd, submit, min, flags, 0, 8)
    }

    /// Completions in the ring.
    pub(crate) fn ready(&self) -> u32 {
        let head = self.rings.load(self.params.cq_off.head, Relaxed);
        self.rings.load(self.params.cq_off.tail, Acquire).wrapping_sub(head)
    }

    /// The program lets go of the ring, and so the engine tears it down.
    pub(crate) fn close(self) {
        let Ring { program, fd, rings, sqes, .. } = self;
        drop((rings, sqes));
        program.close(fd);
        let _inside = inside();
        program.engine.reap();
        drop(_inside);
    }
}

/// An entry that does nothing.
pub(crate) fn nop() -> Sqe {
    Sqe { opcode: Op::Nop as u8, ..Sqe::default() }
}

/// An entry that a worker serves.
pub(crate) fn at_a_worker() -> Sqe {
    // Through such a link nothing is opened without a worker; and what it leads to is no directory.
    Sqe {
        opcode: Op::Openat as u8,
        fd: libc::AT_FDCWD,
        addr: c"/proc/self/exe".as_ptr() as u64,
        op_flags: libc::O_DIRECTORY as u32,
        user_data: 1,
        ..Sqe::default()
    }
}

/// An entry that reads a byte from a pipe.
pub(crate) fn read(fd: i32, into: u64) -> Sqe {
    let at = u64::MAX;
    Sqe { opcode: Op::Read as u8, fd, addr: into, len: 1, off: at, ..Sqe::default() }
}

/// A timeout, or after so many completions.
pub(crate) fn timeout(ts: &Timespec, count: u64) -> Sqe {
    let addr = std::ptr::from_ref(ts) as u64;
    Sqe { opcode: Op::Timeout as u8, addr, len: 1, off: count, ..Sqe::default() }
}

/// A linked timeout.
pub(crate) fn link_timeout(ts: &Timespec) -> Sqe {
    Sqe { opcode: Op::LinkTimeout as u8, user_data: 2, ..timeout(ts, 0) }
}

/// Links the next entry to this one.
pub(crate) fn linked(sqe: Sqe) -> Sqe {
    Sqe { flags: sqe.flags | IOSQE_IO_LINK, ..sqe }
}

/// So many virtual nanoseconds.
pub(crate) fn nanos(nanos: i64) -> Timespec {
    Timespec { tv_sec: nanos / 1_000_000_000, tv_nsec: nanos % 1_000_000_000 }
}

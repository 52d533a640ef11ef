//! Threads that sleep in a ring, on the operating system, which wakes one of them where a simulation
//! might wake all: they leave a ring that ends, whose descriptors are closed once they have, and one
//! that has its completion tells the other.

use ringfence_abi::*;
use ringfence_checked::Checked;
use ringfence_host::{Host, Os, calls};
use ringfence_uring::{Engine, LOCK_CLASSES};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the sleeper waits at most; it is to leave because its ring ends, not because of this.
const LONG: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// The operating system, with the engine's locks validated.
type Validated = Checked<Os>;

fn engine() -> Engine<Validated> {
    Engine::new(Checked::new(Os, LOCK_CLASSES))
}

fn assert_unreported() {
    let reports = ringfence_lockdep::reports();
    assert!(reports.is_empty(), "{}", reports[0]);
}

fn ring(engine: &Engine<Validated>) -> i32 {
    let mut params = Params::default();
    engine.setup(4, calls::addr_mut(&mut params)).expect("a ring")
}

/// Whether a thread of this process sleeps in the kernel.
fn sleeps(thread: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).expect("/proc");
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// Descriptors are the process's: one test at a time counts or makes them.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_sleeper_leaves_a_ring_that_ends() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let engine = engine();
    // What an engine opens once for all.
    let first = ring(&engine);
    let before = descriptors();
    for _ in 0..8 {
        let fd = ring(&engine);
        let (tell, told) = channel();
        std::thread::scope(|scope| {
            let engine = &engine;
            let sleeper = scope.spawn(move || {
                tell.send(Os.thread_id()).expect("a listener");
                let ts = std::ptr::from_ref(&LONG) as u64;
                let arg = GeteventsArg { ts, ..GeteventsArg::default() };
                let flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
                let at = std::ptr::from_ref(&arg) as u64;
                engine.enter(fd, 0, 1, flags, at, size_of::<GeteventsArg>() as u64)
            });
            let thread = told.recv().expect("its number");
            while !sleeps(thread) {
                std::thread::yield_now();
            }
            engine.before_close(fd as u32, fd as u32);
            calls::close(&Os, fd).expect("close");
            engine.reap();
            assert_eq!(sleeper.join().expect("the sleeper"), Err(Errno::EBADF));
        });
    }
    assert_eq!((engine.stats().rings, descriptors()), (1, before));
    engine.before_close(first as u32, first as u32);
    calls::close(&Os, first).expect("close");
    assert_unreported();
}

/// A thread that waits for one completion without a limit; what came of it.
fn waits(engine: &Arc<Engine<Validated>>, fd: i32) -> Receiver<Result<u32>> {
    let (engine, (number, numbered), (tell, told)) = (Arc::clone(engine), channel(), channel());
    std::thread::spawn(move || {
        number.send(Os.thread_id()).expect("a listener");
        // Whoever listened may have given up.
        let _ = tell.send(engine.enter(fd, 0, 1, IORING_ENTER_GETEVENTS, 0, 0));
    });
    let thread = numbered.recv().expect("its number");
    while !sleeps(thread) {
        std::thread::yield_now();
    }
    told
}

/// One completion is what both of two threads wait for; the one that is woken has to tell the other.
#[test]
fn both_leave_with_one_completion() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let engine = Arc::new(engine());
    for _ in 0..50 {
        let fd = ring(&engine);
        let waiters = [waits(&engine, fd), waits(&engine, fd)];
        let message = Sqe { opcode: Op::MsgRing as u8, fd, off: 7, ..Sqe::default() };
        let at = std::ptr::from_ref(&message) as u64;
        assert_eq!(engine.register(-1, RegisterOp::SendMsgRing as u32, at, 1), Ok(0));
        for waiter in waiters {
            let result = waiter.recv_timeout(Duration::from_secs(30)).expect("it sleeps for good");
            assert_eq!(result, Ok(0));
        }
        engine.before_close(fd as u32, fd as u32);
        calls::close(&Os, fd).expect("close");
        engine.reap();
    }
    assert_unreported();
}

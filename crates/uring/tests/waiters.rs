//! A ring that ends under a thread that sleeps in it, on the operating system: the thread leaves, and
//! the ring's descriptors are closed once it has.

use ringfence_abi::*;
use ringfence_host::{Host, Os, calls};
use ringfence_uring::Engine;
use std::sync::mpsc::channel;

/// How long the sleeper waits at most; it is to leave because its ring ends, not because of this.
const LONG: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

fn ring(engine: &Engine<Os>) -> i32 {
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

#[test]
fn a_sleeper_leaves_a_ring_that_ends() {
    let engine = Engine::new(Os);
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
}

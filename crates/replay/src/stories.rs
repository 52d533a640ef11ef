//! The five failures: the program that shows each, and the bugs it needs.

use crate::host::Set;
use crate::program::*;
use ringfence_abi::*;
use ringfence_checked::{fresh_thread, inside};
use ringfence_host::bugs::Bugs;
use ringfence_lockdep as lockdep;
use ringfence_sim as sim;
use ringfence_uring::Recent;
use ringfence_uring::aio::{Contexts, Historic, OnlyLive};
use std::sync::Arc;

/// A historic failure, to be found again.
#[derive(Clone, Copy)]
pub struct Story {
    /// What it is called.
    pub name: &'static str,
    /// The seed it comes from, and what went wrong there, in a line.
    pub what: &'static str,
    /// A title that a report of it has, or begins with.
    pub title: &'static str,
    pub(crate) faulty: fn(),
    pub(crate) mended: fn(),
}

/// The engine as it is.
#[derive(Clone, Debug)]
struct Mended;

impl Set for Mended {
    const BUGS: Bugs = Bugs::NONE;
    type LookUp = OnlyLive;
}

/// The engine whose AIO contexts are looked up without a look whether they live.
#[derive(Clone, Debug)]
struct ContextRevival;

impl Set for ContextRevival {
    const BUGS: Bugs = Bugs::NONE;
    type LookUp = Historic;
}

/// Declares the engine with one bug, and the story of it.
macro_rules! stories {
    ($($list:ident: $story:ident $bug:ident $name:literal $title:literal $what:literal,)+) => {
        $(
            #[derive(Clone, Debug)]
            struct $story;

            impl Set for $story {
                const BUGS: Bugs = Bugs { $bug: true, ..Bugs::NONE };
                type LookUp = OnlyLive;
            }
        )+

        /// All of them.
        pub const STORIES: &[Story] = &[
            $(Story {
                name: $name,
                what: $what,
                title: $title,
                faulty: || run($list::<$story>),
                mended: || run($list::<Mended>),
            },)+
            Story {
                name: "context-revival",
                what: "004: a look-up takes a reference on an AIO context whose destruction is over",
                title: "WARNING: refcount bug in ",
                faulty: || run(revival::<ContextRevival>),
                mended: || run(revival::<Mended>),
            },
        ];
    };
}

stories! {
    overflow: OverflowRecursion overflow_recursion "overflow-recursion"
        "WARNING: possible recursive locking detected"
        "000: teardown flushes the overflow and queues what was held back, under the completion lock",
    timers: TimerInversion timer_inversion "timer-inversion"
        "WARNING: possible irq lock inversion dependency detected"
        "001: timeouts flushed under the completion lock end in task work, whose lock timers break in on",
    double_put: LinkTimeoutDoublePut link_timeout_double_put "link-timeout-double-put"
        "WARNING: refcount bug in "
        "001: a linked timeout that fired and its target's completion both put it",
    chain: LinkChainRace link_chain_race "link-chain-race"
        "BUG: KCSAN: data-race in "
        "003: a worker reads and clears the link of what it frees, without the lock of who changes it",
}

/// One run of a program: what the validator reports is its failure.
fn run(program: fn()) {
    fresh_thread();
    lockdep::forget();
    program();
    if let Some(report) = lockdep::reports().first() {
        panic!("{report}");
    }
}

/// A thread of the program's.
fn thread<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> sim::JoinHandle<T> {
    sim::spawn(name, || {
        fresh_thread();
        body()
    })
}

/// Ends a run in good order, so that nothing is left of it.
fn end<S: Set>(program: &Program<S>, ring: Ring<S>, fds: &[i32]) {
    ring.close();
    fds.iter().for_each(|fd| program.close(*fd));
    program.rest();
}

/// A request waits; completions overflow; a request behind a drain, with a linked timeout, is held
/// back; the program lets go of the ring.
fn overflow<S: Set>() {
    let program = Program::<S>::new();
    let ring = program.ring(4);
    let (read_end, write_end) = program.pipe();
    let mut byte = [0u8];
    ring.submit(&[read(read_end, byte.as_mut_ptr() as u64)]);
    for _ in 0..3 {
        ring.submit(&[nop(), nop(), nop(), nop()]);
    }
    let soon = nanos(1_000_000_000);
    let held = Sqe { flags: IOSQE_IO_DRAIN, ..at_a_worker() };
    ring.submit(&[linked(held), link_timeout(&soon)]);
    // What the request waits for may come before the ring goes, and then nothing is held back.
    let writer = Arc::clone(&program);
    let writer = thread("writer", move || {
        // A time that the program does not reach while it can run, or none.
        sim::sleep(sim::choose(2) as u64 * 20_000_000);
        writer.write(write_end);
    });
    ring.look();
    ring.close();
    writer.join();
    end_without_ring(&program, &[read_end, write_end]);
}

fn end_without_ring<S: Set>(program: &Program<S>, fds: &[i32]) {
    fds.iter().for_each(|fd| program.close(*fd));
    program.rest();
}

/// A timer fires; another timeout, which counts completions, is flushed by one; the program lets
/// task work run. A second thread has completions of its own to post.
fn timers<S: Set>() {
    let program = Program::<S>::new();
    let ring = Arc::new(program.ring(8));
    let (soon, late) = (nanos(1_000_000), nanos(1_000_000_000_000));
    let (read_end, write_end) = program.pipe();
    let mut byte = [0u8];
    ring.submit(&[read(read_end, byte.as_mut_ptr() as u64), timeout(&soon, 0)]);
    let writer = Arc::clone(&program);
    let writer = thread("writer", move || writer.write(write_end));
    ring.wait(2);
    ring.submit(&[timeout(&late, 1)]);
    ring.submit(&[nop()]);
    ring.look();
    writer.join();
    ring.wait(4);
    ring.look();
    let ring = Arc::into_inner(ring).expect("the only one");
    end(&program, ring, &[read_end, write_end]);
}

/// A request at a worker, and a linked timeout that is about as long.
fn double_put<S: Set>() {
    let program = Program::<S>::new();
    let ring = program.ring(4);
    let soon = nanos(20_000);
    ring.submit(&[linked(at_a_worker()), link_timeout(&soon)]);
    ring.wait(2);
    end(&program, ring, &[]);
}

/// A request at a worker, with a linked timeout that the program gives another time meanwhile.
fn chain<S: Set>() {
    let program = Program::<S>::new();
    let ring = program.ring(4);
    let (late, later) = (nanos(10_000_000_000), nanos(20_000_000_000));
    ring.submit(&[linked(at_a_worker()), link_timeout(&late)]);
    let update = Sqe {
        opcode: Op::TimeoutRemove as u8,
        addr: 2,
        off: std::ptr::from_ref(&later) as u64,
        op_flags: IORING_LINK_TIMEOUT_UPDATE,
        user_data: 3,
        ..Sqe::default()
    };
    ring.submit(&[update]);
    ring.wait(3);
    end(&program, ring, &[]);
}

/// One thread destroys an AIO context while another asks it for events.
fn revival<S: Set>() {
    let program = Program::<S>::new();
    let contexts = Arc::new(Contexts::<_, S::LookUp>::new(&program.host));
    let mut id = 0u64;
    let inside_main = inside();
    let aio = program.engine.aio_of(&contexts);
    aio.setup(4, std::ptr::from_mut(&mut id) as u64).expect("a context");
    let (other, theirs) = (Arc::clone(&program), Arc::clone(&contexts));
    let asking = thread("asking", move || {
        let _inside = inside();
        let aio = other.engine.aio_of(&theirs);
        // None are there; and none can be asked for once the context is gone.
        aio.getevents(id, [0, 1], 0, 0, &mut Recent::default())
    });
    assert_eq!(aio.destroy(id), Ok(()));
    let got = asking.join();
    assert!(matches!(got, Ok(0) | Err(Errno::EINVAL)), "{got:?}");
    drop(inside_main);
    program.rest();
}

//! The life of an AIO context, under all schedules of two and three threads, and under load.
//!
//! What must hold: whoever finds a context uses it only while it is alive, and when `io_destroy`
//! has returned nobody uses it any more, for its memory is the program's again. The engine asserts
//! that itself, in every call. Each test runs twice: with the rule in force, which must be clean,
//! and with the historic one, which takes a reference unconditionally and must be caught.

use ringfence_abi::{Errno, IOCB_CMD_POLL, IoEvent, Iocb, Timespec};
use ringfence_checked::{Checked, fresh_thread};
use ringfence_host::{Host, Os, calls};
use ringfence_sim::{Explorer, JoinHandle, Report, SimHost, Strategy, spawn};
use ringfence_uring::aio::{Aio, Contexts, Historic, OnlyLive, Recent, Rule};
use ringfence_uring::{Engine, LOCK_CLASSES};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// An engine, a table of contexts under the rule `R`, and a request that can be made of both.
struct World<H: Host, R: Rule> {
    host: H,
    engine: Engine<H>,
    contexts: Contexts<H, R>,
    file: i32,
    /// What is read into.
    _buffer: Box<[AtomicU8]>,
    request: Box<Iocb>,
    /// The list that `io_submit` takes.
    list: [u64; 1],
}

impl<H: Host, R: Rule> World<H, R> {
    fn new(host: H) -> Arc<Self> {
        let engine = Engine::new(host.clone());
        let contexts = Contexts::new(&host);
        let name = c"aio";
        let args = [name.as_ptr() as u64, libc::MFD_CLOEXEC.into(), 0, 0, 0, 0];
        let file = host.syscall(libc::SYS_memfd_create, args).expect("a file") as i32;
        let buffer: Box<[AtomicU8]> = (0..8).map(|_| AtomicU8::new(0)).collect();
        let buf = buffer.as_ptr() as u64;
        let request = Box::new(Iocb { fd: file, buf, nbytes: 8, ..Iocb::default() });
        let list = [std::ptr::from_ref(&*request) as u64];
        Arc::new(World { host, engine, contexts, file, _buffer: buffer, request, list })
    }

    fn aio(&self) -> Aio<'_, H, R> {
        self.engine.aio_of(&self.contexts)
    }

    fn setup(&self) -> u64 {
        let mut id = 0u64;
        self.aio().setup(4, calls::addr_mut(&mut id)).expect("a context");
        std::hint::black_box(id)
    }

    fn submit(&self, id: u64, recent: &mut Recent<H, R>) -> Result<u32, Errno> {
        self.aio().submit(id, 1, self.list.as_ptr() as u64, recent)
    }

    /// Takes an event, if there is one.
    fn get(&self, id: u64, recent: &mut Recent<H, R>) -> Result<u32, Errno> {
        let (mut event, none) = (IoEvent::default(), Timespec::default());
        let to = std::ptr::from_mut(&mut event) as u64;
        self.aio().getevents(id, [0, 1], to, std::ptr::from_ref(&none) as u64, recent)
    }

    /// Waits for an event until there is one, or no context any more.
    fn wait(&self, id: u64, recent: &mut Recent<H, R>) -> Result<u32, Errno> {
        let mut event = IoEvent::default();
        let to = std::ptr::from_mut(&mut event) as u64;
        self.aio().getevents(id, [1, 1], to, 0, recent)
    }

    fn cancel(&self, id: u64, recent: &mut Recent<H, R>) -> Errno {
        let at = std::ptr::from_ref(&*self.request) as u64;
        self.aio().cancel(id, at, recent).expect_err("io_cancel never succeeds")
    }
}

impl<H: Host, R: Rule> Drop for World<H, R> {
    fn drop(&mut self) {
        let _ = calls::close(&self.host, self.file);
    }
}

/// A world on virtual threads, of which the calling one starts anew.
fn simulated<R: Rule>() -> Arc<World<Checked<SimHost>, R>> {
    fresh_thread();
    World::new(Checked::new(SimHost::default(), LOCK_CLASSES))
}

/// One on the machine's threads.
fn real<R: Rule>() -> Arc<World<Checked<Os>, R>> {
    World::new(Checked::new(Os, LOCK_CLASSES))
}

/// A virtual thread: the machine's thread that runs it may have been unwound before.
fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    spawn(name, || {
        fresh_thread();
        body();
    })
}

/// The lock validator has nothing to report of any test so far.
fn assert_unreported() {
    let reports = ringfence_lockdep::reports();
    assert!(reports.is_empty(), "{}", reports[0]);
}

/// A call on a context that another thread destroys: it works, or there is none.
fn works_or_misses(result: Result<u32, Errno>) {
    assert!(matches!(result, Ok(_) | Err(Errno::EINVAL)), "{result:?}");
}

/// All schedules of `body` with at most so many preemptions.
fn all_schedules(preemptions: u32, body: fn()) -> Report {
    let strategy = Strategy::Exhaustive { preemptions, runs_max: 2_000_000 };
    Explorer::new(strategy.or_environment()).explore(body)
}

fn clean(preemptions: u32, body: fn()) {
    let report = all_schedules(preemptions, body);
    report.assert_clean();
    assert!(report.complete, "{report}");
    assert_unreported();
    println!("{report}");
}

fn caught(preemptions: u32, body: fn()) {
    let report = all_schedules(preemptions, body);
    let found = report.found.expect("the historic fault is not found");
    let text = found.failure.to_string();
    assert!(text.contains("used after its end"), "{text}");
}

/// `io_destroy` against `io_submit`.
fn destroy_and_submit<R: Rule>() {
    let world = simulated::<R>();
    let id = world.setup();
    let other = Arc::clone(&world);
    let destroyer = thread("destroy", move || assert_eq!(other.aio().destroy(id), Ok(())));
    works_or_misses(world.submit(id, &mut Recent::default()));
    destroyer.join();
}

#[test]
fn of_two_threads_one_submits() {
    clean(3, destroy_and_submit::<OnlyLive>);
    caught(3, destroy_and_submit::<Historic>);
}

/// The same for a thread that has used the context before, and remembers it.
fn destroy_and_remember<R: Rule>() {
    let world = simulated::<R>();
    let (id, mut recent) = (world.setup(), Recent::default());
    assert_eq!(world.submit(id, &mut recent), Ok(1));
    let other = Arc::clone(&world);
    let destroyer = thread("destroy", move || assert_eq!(other.aio().destroy(id), Ok(())));
    works_or_misses(world.get(id, &mut recent));
    works_or_misses(world.submit(id, &mut recent));
    destroyer.join();
    assert_eq!(world.submit(id, &mut recent), Err(Errno::EINVAL));
}

#[test]
fn of_two_threads_one_remembers() {
    clean(2, destroy_and_remember::<OnlyLive>);
    caught(2, destroy_and_remember::<Historic>);
}

/// A waiter is woken by the end of the context.
fn destroy_and_wait<R: Rule>() {
    let world = simulated::<R>();
    let id = world.setup();
    let other = Arc::clone(&world);
    let waiter = thread("wait", move || {
        assert_eq!(other.wait(id, &mut Recent::default()), Err(Errno::EINVAL))
    });
    assert_eq!(world.aio().destroy(id), Ok(()));
    waiter.join();
}

#[test]
fn of_two_threads_one_waits() {
    clean(2, destroy_and_wait::<OnlyLive>);
    caught(2, destroy_and_wait::<Historic>);
}

/// `io_destroy`, `io_submit`, and one of the other calls.
fn three<R: Rule>(call: fn(&World<Checked<SimHost>, R>, u64)) {
    let world = simulated::<R>();
    let id = world.setup();
    let (first, second) = (Arc::clone(&world), Arc::clone(&world));
    let destroyer = thread("destroy", move || assert_eq!(first.aio().destroy(id), Ok(())));
    let caller = thread("call", move || call(&second, id));
    works_or_misses(world.submit(id, &mut Recent::default()));
    destroyer.join();
    caller.join();
}

fn three_with_get<R: Rule>() {
    three::<R>(|world, id| works_or_misses(world.get(id, &mut Recent::default())));
}

fn three_with_cancel<R: Rule>() {
    three::<R>(|world, id| {
        assert_eq!(world.cancel(id, &mut Recent::default()), Errno::EINVAL);
    });
}

fn three_with_setup<R: Rule>() {
    three::<R>(|world, _| {
        // It may get the address of the one that goes.
        let own = world.setup();
        assert_eq!(world.submit(own, &mut Recent::default()), Ok(1));
    });
}

#[test]
fn of_three_threads_one_takes_events() {
    clean(2, three_with_get::<OnlyLive>);
    caught(1, three_with_get::<Historic>);
}

#[test]
fn of_three_threads_one_cancels() {
    clean(2, three_with_cancel::<OnlyLive>);
    caught(1, three_with_cancel::<Historic>);
}

#[test]
fn of_three_threads_one_sets_up() {
    clean(2, three_with_setup::<OnlyLive>);
    caught(1, three_with_setup::<Historic>);
}

/// Threads of the machine that make and destroy contexts and use each other's.
struct Load {
    slots: Vec<AtomicU64>,
    caught: AtomicBool,
}

/// Runs `calls` calls in each of four threads, or until one of them panics; whether one did.
fn load<R: Rule>(calls: u32) -> bool {
    let world = real::<R>();
    let load =
        Load { slots: (0..8).map(|_| AtomicU64::new(0)).collect(), caught: AtomicBool::new(false) };
    std::thread::scope(|scope| {
        for seed in 1..=4u64 {
            let (world, load) = (&world, &load);
            scope.spawn(move || {
                let run = std::panic::AssertUnwindSafe(|| use_contexts(world, load, seed, calls));
                if std::panic::catch_unwind(run).is_err() {
                    load.caught.store(true, Ordering::Relaxed);
                }
            });
        }
    });
    for slot in &load.slots {
        let id = slot.load(Ordering::Relaxed);
        if id != 0 && !load.caught.load(Ordering::Relaxed) {
            assert_eq!(world.aio().destroy(id), Ok(()));
        }
    }
    load.caught.load(Ordering::Relaxed)
}

fn use_contexts<R: Rule>(world: &World<Checked<Os>, R>, load: &Load, seed: u64, calls: u32) {
    let (mut random, mut recent) = (seed, Recent::default());
    for _ in 0..calls {
        if load.caught.load(Ordering::Relaxed) {
            return;
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let slot = &load.slots[(random >> 33) as usize % load.slots.len()];
        let id = slot.load(Ordering::Acquire);
        match (random >> 50) % 8 {
            _ if id == 0 => {
                let new = world.setup();
                if slot.compare_exchange(0, new, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                    assert_eq!(world.aio().destroy(new), Ok(()));
                }
            }
            0 => {
                let taken = slot.compare_exchange(id, 0, Ordering::AcqRel, Ordering::Relaxed);
                if taken.is_ok() {
                    assert_eq!(world.aio().destroy(id), Ok(()));
                }
            }
            1..=4 => match world.submit(id, &mut recent) {
                Err(Errno::EAGAIN) => {}
                result => works_or_misses(result),
            },
            5 => assert_eq!(world.cancel(id, &mut recent), Errno::EINVAL),
            _ => works_or_misses(world.get(id, &mut recent)),
        }
    }
}

/// Requests that are refused keep no place: there is room for one that is not, however many came.
#[test]
fn refused_requests_keep_no_place() {
    let world = real::<OnlyLive>();
    let (id, mut recent) = (world.setup(), Recent::default());
    let refused = Iocb { fd: -1, ..*world.request };
    let list = [std::ptr::from_ref(&refused) as u64];
    for _ in 0..1000 {
        let result = world.aio().submit(id, 1, list.as_ptr() as u64, &mut recent);
        assert_eq!(result, Err(Errno::EBADF));
    }
    assert_eq!(world.submit(id, &mut recent), Ok(1));
    assert_eq!(world.aio().destroy(id), Ok(()));
    assert_unreported();
}

/// A request is accepted only if its event will have a place: of polls that all wait, as many as have
/// one, and then each has its event.
#[test]
fn what_is_accepted_has_a_place_for_its_event() {
    let world = real::<OnlyLive>();
    let (id, mut recent) = (world.setup(), Recent::default());
    let (reader, writer) = calls::pipe2(&Os, libc::O_CLOEXEC).expect("a pipe");
    let poll = |data| Iocb {
        data,
        opcode: IOCB_CMD_POLL,
        fd: reader,
        buf: libc::POLLIN as u64,
        ..Iocb::default()
    };
    let mut accepted = 0u64;
    loop {
        let request = poll(accepted);
        let list = [std::ptr::from_ref(&request) as u64];
        match world.aio().submit(id, 1, list.as_ptr() as u64, &mut recent) {
            Ok(1) => accepted += 1,
            result => break assert_eq!(result, Err(Errno::EAGAIN)),
        }
        assert!(accepted < 100_000, "no end of places");
    }
    assert!(accepted >= 4, "{accepted}");
    assert_eq!(calls::write(&Os, writer, b"x".as_ptr() as u64, 1), Ok(1));
    let mut seen = vec![false; accepted as usize];
    for _ in 0..accepted {
        let mut event = IoEvent::default();
        let to = calls::addr_mut(&mut event);
        let long = Timespec { tv_sec: 20, tv_nsec: 0 };
        let long = std::ptr::from_ref(&long) as u64;
        assert_eq!(world.aio().getevents(id, [1, 1], to, long, &mut recent), Ok(1));
        let event = std::hint::black_box(event);
        assert!(!std::mem::replace(&mut seen[event.data as usize], true), "{event:?} came twice");
    }
    assert_eq!(world.aio().destroy(id), Ok(()));
    for fd in [reader, writer] {
        calls::close(&Os, fd).expect("close");
    }
    assert_unreported();
}

/// Two threads take events of one context while a third makes them: each event is taken once. A read
/// may be with a worker when its submission returns, so that its event comes later.
#[test]
fn no_event_is_taken_twice() {
    const EVENTS: u64 = 6_000;
    let world = real::<OnlyLive>();
    let id = world.setup();
    let taken = AtomicU64::new(0);
    let late = Instant::now() + Duration::from_secs(60);
    std::thread::scope(|scope| {
        let (world, taken) = (&world, &taken);
        for _ in 0..2 {
            scope.spawn(move || {
                let mut recent = Recent::default();
                while taken.load(Ordering::Relaxed) < EVENTS && Instant::now() < late {
                    let got = world.get(id, &mut recent).expect("a context");
                    taken.fetch_add(u64::from(got), Ordering::Relaxed);
                }
            });
        }
        let (mut left, mut recent) = (EVENTS, Recent::default());
        while left > 0 && Instant::now() < late {
            left -= u64::from(world.submit(id, &mut recent) == Ok(1));
        }
    });
    assert_eq!(taken.into_inner(), EVENTS);
    // Of one that was taken twice, another one is left.
    assert_eq!(world.get(id, &mut Recent::default()), Ok(0));
    assert_eq!(world.aio().destroy(id), Ok(()));
    assert_unreported();
}

#[test]
fn under_load() {
    assert!(!load::<OnlyLive>(20_000), "a context was used after its end");
    assert_unreported();
}

#[test]
fn under_load_the_historic_fault_is_found() {
    assert!(load::<Historic>(2_000_000), "the historic fault is not found");
}

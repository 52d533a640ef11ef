//! Planted inversions by signal handlers and callbacks, 12 of 6 shapes, and programs that are safe.
//!
//! The signal handlers are real: the signal is raised, and the handler locks. Each scenario runs on
//! one thread and does not deadlock; the validator has to see that it could.
#![expect(unsafe_code, reason = "installs a signal handler")]

use ringfence_lockdep::{
    Class, Condvar, Context, Mutex, MutexGuard, OnReport, RwLock, SIGNAL, block, enter, forget,
    held_count, on_report, reports,
};
use std::cell::Cell;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

static A_CLASS: Class = Class::new("A");
static B_CLASS: Class = Class::new("B");
static C_CLASS: Class = Class::new("C");
static TABLE_CLASS: Class = Class::new("table");

static A: Mutex<u32> = Mutex::new(&A_CLASS, 0);
static B: Mutex<u32> = Mutex::new(&B_CLASS, 0);
static C: Mutex<u32> = Mutex::new(&C_CLASS, 0);
/// Of the class of A, to stand in where locking A itself would hang the test.
static A_AGAIN: Mutex<u32> = Mutex::new(&A_CLASS, 0);
static TABLE: RwLock<u32> = RwLock::new(&TABLE_CLASS, 0);

static CALLBACK: Context = Context::new("completion callback");

thread_local! {
    static JOB: Cell<Option<fn()>> = const { Cell::new(None) };
    static HANDLED: Cell<u32> = const { Cell::new(0) };
}

extern "C" fn on_signal(_: i32) {
    let _in_handler = enter(&SIGNAL);
    HANDLED.set(HANDLED.get() + 1);
    if let Some(job) = JOB.get() {
        job();
    }
}

/// How a context breaks in on a thread, and how it is kept out.
#[derive(Clone, Copy)]
struct Interruption {
    context: &'static Context,
    run: fn(fn()),
    /// Really keeps it out while the job runs, and says so.
    without: fn(fn()),
}

static BY_SIGNAL: Interruption = Interruption {
    context: &SIGNAL,
    run: |job| {
        JOB.set(Some(job));
        let before = HANDLED.get();
        // SAFETY: the handler is installed, and raises on this thread, which holds what the job
        // does not take.
        unsafe { libc::raise(libc::SIGUSR1) };
        assert_eq!(HANDLED.get(), before + 1, "the signal was handled");
    },
    without: |job| {
        let mask = mask_of(libc::SIGUSR1);
        // SAFETY: the set is filled in; the mask is this thread's.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &mask, std::ptr::null_mut()) };
        let blocked = block(&SIGNAL);
        job();
        drop(blocked);
        // SAFETY: as above.
        unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &mask, std::ptr::null_mut()) };
    },
};

static BY_CALLBACK: Interruption = Interruption {
    context: &CALLBACK,
    run: |job| {
        let _in_callback = enter(&CALLBACK);
        job();
    },
    without: |job| {
        let _blocked = block(&CALLBACK);
        job();
    },
};

fn mask_of(signal: i32) -> libc::sigset_t {
    // SAFETY: a signal set is plain data that the calls fill in.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        set
    }
}

fn install() {
    let handler = on_signal as extern "C" fn(i32);
    // SAFETY: the handler takes locks that nothing it interrupts holds, and allocates only where
    // nothing it interrupts does: it is raised by the thread itself.
    unsafe { libc::signal(libc::SIGUSR1, handler as usize) };
}

/// Runs a scenario with the validator to itself; the titles reported.
fn titles(scenario: impl FnOnce()) -> Vec<String> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    install();
    forget();
    on_report(OnReport::Collect);
    scenario();
    assert_eq!(held_count(), 0);
    let titles = reports().iter().map(|report| report.title.clone()).collect();
    forget();
    titles
}

const INCONSISTENT: &str = "WARNING: inconsistent lock state";
const INVERSION: &str = "WARNING: possible irq lock inversion dependency detected";
const RECURSION: &str = "WARNING: possible recursive locking detected";

/// One of the shapes: what it does with either kind of interruption, and the title it leads to.
struct Shape {
    name: &'static str,
    scenario: fn(Interruption),
    title: &'static str,
}

const SAFE_TO_UNSAFE: &str = "-unsafe lock order detected";

const SHAPES: &[Shape] = &[
    Shape {
        name: "the handler takes a lock that the thread holds where it can come in",
        scenario: |by| {
            *A.lock() += 1;
            (by.run)(|| *A.lock() += 1);
        },
        title: INCONSISTENT,
    },
    Shape {
        name: "the handler reads what the thread writes",
        scenario: |by| {
            (by.run)(|| drop(TABLE.read_recursive()));
            *TABLE.write() += 1;
        },
        title: INCONSISTENT,
    },
    Shape {
        name: "taken with the handler kept out, let in before the release",
        scenario: |by| {
            (by.run)(|| *A.lock() += 1);
            let blocked = block(by.context);
            let guard = A.lock();
            drop(blocked);
            drop(guard);
        },
        title: INCONSISTENT,
    },
    Shape {
        name: "a lock held open is taken under the handler's lock",
        scenario: |by| {
            (by.without)(|| {
                let _a = A.lock();
                *B.lock() += 1;
            });
            (by.run)(|| *A.lock() += 1);
            *B.lock() += 1;
        },
        title: INVERSION,
    },
    Shape {
        name: "the last dependency joins the handler's lock to one held open",
        scenario: |by| {
            (by.run)(|| *A.lock() += 1);
            *C.lock() += 1;
            (by.without)(|| {
                let _a = A.lock();
                *B.lock() += 1;
            });
            (by.without)(|| {
                let _b = B.lock();
                *C.lock() += 1;
            });
        },
        title: SAFE_TO_UNSAFE,
    },
    Shape {
        name: "the handler runs while the thread holds a lock of the same class",
        scenario: |by| {
            let blocked = block(by.context);
            let guard = A.lock();
            (by.run)(|| *A_AGAIN.lock() += 1);
            drop(guard);
            drop(blocked);
        },
        title: RECURSION,
    },
];

fn check(by: Interruption) -> usize {
    for shape in SHAPES {
        let titles = titles(|| (shape.scenario)(by));
        assert_eq!(titles.len(), 1, "{}: {titles:?}", shape.name);
        assert!(titles[0].ends_with(shape.title), "{}: {titles:?}", shape.name);
    }
    SHAPES.len()
}

#[test]
fn every_inversion_by_a_signal_handler_is_found() {
    assert_eq!(check(BY_SIGNAL), 6);
}

#[test]
fn every_inversion_by_a_callback_is_found() {
    assert_eq!(check(BY_CALLBACK), 6);
}

/// A program that cannot deadlock.
struct Safe {
    name: &'static str,
    program: fn(),
}

const SAFE: &[Safe] = &[
    Safe {
        name: "one order everywhere",
        program: || {
            for _ in 0..2 {
                let _a = A.lock();
                let _b = B.lock();
                *C.lock() += 1;
            }
            let _a = A.lock();
            *C.lock() += 1;
        },
    },
    Safe {
        name: "the handler's lock is held only where it is kept out",
        program: || {
            (BY_SIGNAL.without)(|| *A.lock() += 1);
            (BY_SIGNAL.run)(|| *A.lock() += 1);
            (BY_CALLBACK.without)(|| *B.lock() += 1);
            (BY_CALLBACK.run)(|| *B.lock() += 1);
        },
    },
    Safe {
        name: "a try-lock against the order",
        program: || {
            let a = A.lock();
            *B.lock() += 1;
            drop(a);
            let _b = B.lock();
            assert!(A.try_lock().is_some());
        },
    },
    Safe {
        name: "parents before children, as subclasses",
        program: || {
            let _parent = A.lock();
            *A_AGAIN.lock_nested(1) += 1;
        },
    },
    Safe {
        name: "any order under a lock that serialises",
        program: || {
            let serialising = C.lock();
            let first = A.lock_under(&C);
            let second = A_AGAIN.lock_under(&C);
            drop((first, second));
            let second = A_AGAIN.lock_under(&C);
            let first = A.lock_under(&C);
            drop((first, second));
            drop(serialising);
        },
    },
    Safe {
        name: "readers that recurse, also from a handler",
        program: || {
            let outer = TABLE.read_recursive();
            (BY_SIGNAL.run)(|| drop(TABLE.read_recursive()));
            drop(TABLE.read_recursive());
            drop(outer);
            (BY_SIGNAL.without)(|| *TABLE.write() += 1);
        },
    },
    Safe {
        name: "hand over hand, released out of order",
        program: || {
            let mut guards: Vec<MutexGuard<'_, u32>> = vec![A.lock()];
            for next in [&B, &C] {
                guards.push(next.lock());
                guards.remove(0);
            }
            drop(guards);
            let (b, c) = (B.lock(), C.lock());
            drop(b);
            drop(c);
        },
    },
    Safe {
        name: "a producer, a consumer, a condition variable",
        program: || {
            static READY: Condvar = Condvar::new();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut a = A.lock();
                    *a = 7;
                    READY.notify_one();
                });
                let mut a = A.lock();
                READY.wait_while(&mut a, |value| *value != 7);
                *B.lock() = *a;
            });
            *A.lock() = 0;
        },
    },
    Safe {
        name: "a handler with atomics and a lock of its own",
        program: || {
            static SEEN: AtomicBool = AtomicBool::new(false);
            let guard = A.lock();
            (BY_SIGNAL.run)(|| {
                *B.lock() += 1;
                SEEN.store(true, Ordering::Relaxed);
            });
            drop(guard);
            assert!(SEEN.load(Ordering::Relaxed));
        },
    },
];

#[test]
fn safe_programs_stay_silent() {
    assert_eq!(SAFE.len(), 9);
    for safe in SAFE {
        let titles = titles(safe.program);
        assert!(titles.is_empty(), "{}: {titles:?}", safe.name);
    }
}

/// A handler that comes in at any instruction, the validator's own included, leaves everything as
/// it was.
#[test]
fn a_storm_of_signals_disturbs_nothing() {
    static HANDLER_CLASSES: [Class; 2] =
        [Class::new("outer of handler"), Class::new("inner of handler")];
    static OUTER: Mutex<u32> = Mutex::new(&HANDLER_CLASSES[0], 0);
    static INNER: Mutex<u32> = Mutex::new(&HANDLER_CLASSES[1], 0);
    static HANDLED_SO_FAR: AtomicU32 = AtomicU32::new(0);
    const SIGNALS: u32 = 1_000;
    let found = titles(|| {
        let job = || {
            let _outer = OUTER.lock();
            *INNER.lock() += 1;
            HANDLED_SO_FAR.fetch_add(1, Ordering::Relaxed);
        };
        // The first time learns, which allocates: not in the middle of something.
        (BY_SIGNAL.run)(job);
        let sent = AtomicBool::new(false);
        // SAFETY: asks for the id of this thread, which outlives the scope.
        let target = unsafe { libc::pthread_self() };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while HANDLED_SO_FAR.load(Ordering::Relaxed) < SIGNALS {
                    // SAFETY: the thread lives until the scope ends.
                    unsafe { libc::pthread_kill(target, libc::SIGUSR1) };
                    std::thread::yield_now();
                }
                sent.store(true, Ordering::Release);
            });
            while !sent.load(Ordering::Acquire) {
                let a = A.lock();
                let b = B.lock();
                *C.lock() += 1;
                drop(a);
                drop(b);
                assert_eq!(held_count(), 0);
            }
        });
        JOB.set(None);
    });
    assert!(found.is_empty(), "{found:?}");
}

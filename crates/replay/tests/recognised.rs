//! What the lock validator prints is, to a reader of kernel crash logs, what the kernel would have
//! printed: one report of each rule, fed to `ringfence report`.

use ringfence_lockdep::{
    Class, Context, DEPTH_MAX, Mode, Mutex, OnReport, SIGNAL, acquire, acquire_as, block, enter,
    forget, on_report, parking, release, release_as, reports, returning,
};
use ringfence_report::{Kind, parse};
use std::panic::Location;

static A_CLASS: Class = Class::new("A");
static B_CLASS: Class = Class::new("B");
static LEAF_CLASS: Class = Class::new("leaf").no_park();
static A: Mutex<u32> = Mutex::new(&A_CLASS, 0);
static A_AGAIN: Mutex<u32> = Mutex::new(&A_CLASS, 0);
static B: Mutex<u32> = Mutex::new(&B_CLASS, 0);
static LEAF: Mutex<u32> = Mutex::new(&LEAF_CLASS, 0);
static TIMER: Context = Context::new("timer callback");

/// What a rule is broken by, the title of the report it gets, and what a reader takes it for.
struct Row {
    breaks: fn(),
    title: &'static str,
    read_as: &'static str,
    kind: Kind,
}

#[inline(never)]
fn recursion() {
    let _a = A.lock();
    drop(A_AGAIN.lock());
}

#[inline(never)]
fn circle() {
    {
        let _a = A.lock();
        drop(B.lock());
    }
    let _b = B.lock();
    drop(A.lock());
}

#[inline(never)]
fn taken_in_and_open() {
    drop(A.lock());
    let _in = enter(&TIMER);
    drop(A.lock());
}

#[inline(never)]
fn inversion() {
    {
        let _out = block(&TIMER);
        let _a = A.lock();
        drop(B.lock());
    }
    {
        let _in = enter(&TIMER);
        drop(A.lock());
    }
    drop(B.lock());
}

#[inline(never)]
fn safe_before_unsafe(context: &'static Context) {
    {
        let _in = enter(context);
        drop(A.lock());
    }
    drop(B.lock());
    let _out = block(context);
    let _a = A.lock();
    drop(B.lock());
}

#[inline(never)]
fn safe_before_unsafe_handler() {
    safe_before_unsafe(&SIGNAL);
}

#[inline(never)]
fn safe_before_unsafe_timer() {
    safe_before_unsafe(&TIMER);
}

#[inline(never)]
fn not_serialised() {
    acquire_as(&A_CLASS, |acquire| acquire.instance(1).under(7));
    release_as(&A_CLASS, 1);
}

#[inline(never)]
fn released_too_often() {
    let site = Location::caller();
    acquire(&A_CLASS, Mode::Exclusive, site);
    release(&A_CLASS);
    release(&A_CLASS);
}

#[inline(never)]
fn destroyed_while_held() {
    let lock = Box::new(Mutex::new(&A_CLASS, 0));
    std::mem::forget(lock.lock());
    drop(lock);
}

#[inline(never)]
fn not_held() {
    A.assert_held();
}

#[inline(never)]
fn held_at_park() {
    let _leaf = LEAF.lock();
    parking();
}

#[inline(never)]
fn held_at_return() {
    let _a = A.lock();
    returning();
}

#[inline(never)]
fn kept_by_a_context() {
    let entered = enter(&TIMER);
    let guard = A.lock();
    drop(entered);
    drop(guard);
}

#[inline(never)]
fn too_deep() {
    for instance in 0..=DEPTH_MAX {
        acquire_as(&A_CLASS, |acquire| acquire.instance(instance).tried());
    }
    (0..=DEPTH_MAX).for_each(|instance| release_as(&A_CLASS, instance));
}

const ROWS: &[Row] = &[
    Row {
        breaks: recursion,
        title: "WARNING: possible recursive locking detected",
        read_as: "possible deadlock in recursion",
        kind: Kind::Lockdep,
    },
    Row {
        breaks: circle,
        title: "WARNING: possible circular locking dependency detected",
        read_as: "possible deadlock in circle",
        kind: Kind::Lockdep,
    },
    Row {
        breaks: taken_in_and_open,
        title: "WARNING: inconsistent lock state",
        read_as: "inconsistent lock state in taken_in_and_open",
        kind: Kind::Lockdep,
    },
    Row {
        breaks: inversion,
        title: "WARNING: possible irq lock inversion dependency detected",
        read_as: "possible deadlock in inversion",
        kind: Kind::Lockdep,
    },
    Row {
        breaks: safe_before_unsafe_handler,
        title: "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected",
        read_as: "possible deadlock in safe_before_unsafe",
        kind: Kind::Lockdep,
    },
    Row {
        breaks: safe_before_unsafe_timer,
        title: "WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected",
        read_as: "possible deadlock in safe_before_unsafe",
        kind: Kind::Lockdep,
    },
    Row {
        breaks: not_serialised,
        title: "WARNING: nested lock was not taken",
        read_as: "WARNING: nested lock was not taken in not_serialised",
        kind: Kind::Lockdep,
    },
    Row {
        breaks: released_too_often,
        title: "WARNING: bad unlock balance detected!",
        read_as: "WARNING: bad unlock balance in released_too_often",
        kind: Kind::Lockdep,
    },
    Row {
        breaks: destroyed_while_held,
        title: "WARNING: held lock freed!",
        read_as: "WARNING: held lock freed in destroyed_while_held",
        kind: Kind::Lockdep,
    },
    Row {
        breaks: not_held,
        title: "WARNING: CPU: ",
        read_as: "WARNING in not_held",
        kind: Kind::Warning,
    },
    Row {
        breaks: held_at_park,
        title: "BUG: sleeping function called from invalid context at ",
        read_as: "BUG: sleeping function called from invalid context in held_at_park",
        kind: Kind::AtomicSleep,
    },
    Row {
        breaks: held_at_return,
        title: "WARNING: lock held when returning to user space!",
        read_as: "WARNING: lock held when returning to user space in held_at_return",
        kind: Kind::Lockdep,
    },
    Row {
        breaks: kept_by_a_context,
        title: "WARNING: lock held when leaving a context!",
        read_as: "WARNING: lock held when leaving a context in kept_by_a_context",
        kind: Kind::Lockdep,
    },
    Row {
        breaks: too_deep,
        title: "BUG: MAX_LOCK_DEPTH too low!",
        read_as: "BUG: MAX_LOCK_DEPTH too low!",
        kind: Kind::Unknown,
    },
];

/// The titles and the texts that breaking a rule leads to.
fn broken(breaks: fn()) -> (String, String) {
    forget();
    on_report(OnReport::Collect);
    breaks();
    let all = reports();
    let first = all.first().expect("a report");
    let texts = (first.title.clone(), first.to_string());
    forget();
    texts
}

#[test]
fn each_rule() {
    for Row { breaks, title, read_as, kind } in ROWS {
        let (got, text) = broken(*breaks);
        assert!(got.starts_with(title), "{got}");
        let log = format!("the program starts\n{text}\nand goes on\n");
        let read = parse(&log);
        let titles: Vec<&str> = read.iter().map(|report| report.title.as_str()).collect();
        assert_eq!(titles, [*read_as], "{text}");
        assert_eq!((read[0].kind, read[0].corrupted), (*kind, None), "{text}");
    }
}

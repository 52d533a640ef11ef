//! What the validator sees of the engine, and that it would see what must not be.

use ringfence_abi::{IORING_ENTER_GETEVENTS, Params};
use ringfence_checked::{Checked, in_handler, inside};
use ringfence_host::sync::{LockClass, Mutex, mutex};
use ringfence_host::{Host, Os, Point};
use ringfence_lockdep::{OnReport, Report, forget, on_report, reports};
use ringfence_uring::{Engine, LOCK_CLASSES};
use std::sync::{Arc, PoisonError};

/// Each test has the process-wide validator to itself.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn titles(scenario: impl FnOnce(&Checked<Os>)) -> Vec<String> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    forget();
    on_report(OnReport::Collect);
    scenario(&Checked::new(Os, LOCK_CLASSES));
    let all = reports();
    on_report(OnReport::Print);
    forget();
    all.iter().map(|report: &Arc<Report>| report.title.clone()).collect()
}

/// A submission of nothing, and a look at what is there.
fn use_ring(host: &Checked<Os>) {
    let engine = Engine::new(host.clone());
    let mut params = Params::default();
    let fd = engine.setup(4, std::ptr::from_mut(&mut params) as u64).unwrap();
    engine.enter(fd, 1, 0, IORING_ENTER_GETEVENTS, 0, 8).unwrap();
}

#[test]
fn handlers_that_are_deferred_may_use_the_engine() {
    let titles = titles(|host| {
        {
            let _inside = inside();
            use_ring(host);
        }
        let _handler = in_handler();
        let _inside = inside();
        use_ring(host);
    });
    assert_eq!(titles, [""; 0]);
}

/// What the interceptor defers handlers for: without that, one that uses the engine can come in
/// where its locks are held.
#[test]
fn handlers_that_are_let_in_anywhere_are_reported() {
    let titles = titles(|host| {
        use_ring(host);
        let _handler = in_handler();
        use_ring(host);
    });
    assert!(titles.contains(&"WARNING: inconsistent lock state".to_owned()), "{titles:?}");
}

static OUTER: LockClass = LockClass::new("outer");
static INNER: LockClass = LockClass::new("inner");

fn two() -> [Mutex<Checked<Os>, ()>; 2] {
    let host = Checked::new(Os, &[&OUTER, &INNER]);
    [mutex(&host, &OUTER, ()), mutex(&host, &INNER, ())]
}

#[test]
fn the_declared_order_binds() {
    let titles = titles(|_| {
        let [outer, inner] = two();
        let _inner = inner.lock();
        let _outer = outer.lock();
    });
    assert_eq!(titles, ["WARNING: possible circular locking dependency detected"]);
}

#[test]
fn no_lock_is_held_where_a_thread_sleeps_or_leaves() {
    for leave in [
        |host: &Checked<Os>| host.at(Point::WorkerCall),
        |host: &Checked<Os>| host.at(Point::Return),
        |host: &Checked<Os>| host.futex_wait(&Default::default(), 1, None),
        |host: &Checked<Os>| {
            let _ = host.wait(-1, &mut [], Some(1), None);
        },
    ] {
        let titles = titles(|host| {
            let [outer, _] = two();
            let _outer = outer.lock();
            leave(host);
        });
        assert_eq!(titles.len(), 1, "{titles:?}");
    }
}

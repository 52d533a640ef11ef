//! Every lock type tells the validator the right thing: each kind runs the basic rows of the table
//! on real locks.

use ringfence_lockdep::{
    Checked, Class, Condvar, Detail, Mode, Mutex, Off, On, OnReport, RwLock, Validation,
    acquire_as, forget, held_count, on_report, release_as, reports, std_sync,
};
use std::panic::{AssertUnwindSafe, Location};
use std::sync::PoisonError;

/// Runs `scenario` with the validator to itself; the titles reported.
fn titles(scenario: impl FnOnce()) -> Vec<String> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    forget();
    on_report(OnReport::Collect);
    scenario();
    assert_eq!(held_count(), 0, "the scenario released all");
    let titles = reports().iter().map(|report| report.title.clone()).collect();
    forget();
    titles
}

const RECURSIVE: &str = "WARNING: possible recursive locking detected";
const CIRCULAR: &str = "WARNING: possible circular locking dependency detected";
const UNBALANCED: &str = "WARNING: bad unlock balance detected!";
const FREED: &str = "WARNING: held lock freed!";

type RawMutex = Checked<parking_lot::RawMutex>;
type RawRwLock = Checked<parking_lot::RawRwLock>;

/// The basic rows for one kind of lock: how to make one of a class, and how to take it.
macro_rules! kind {
    ($name:ident: $make:expr; $($take:ident)+; $recursive:expr, $circular:expr) => {
        mod $name {
            use super::*;

            static X: Class = Class::new("X");
            static Y: Class = Class::new("Y");

            #[test]
            fn taken_while_held() {
                let (one, two) = ($make(&X), $make(&X));
                let titles = titles(|| {
                    let _one = one$(.$take())+;
                    let _two = two$(.$take())+;
                });
                assert_eq!(titles, $recursive);
            }

            #[test]
            fn taken_in_both_orders() {
                let (x, y) = ($make(&X), $make(&Y));
                let titles = titles(|| {
                    {
                        let _x = x$(.$take())+;
                        let _y = y$(.$take())+;
                    }
                    let _y = y$(.$take())+;
                    let _x = x$(.$take())+;
                });
                assert_eq!(titles, $circular);
            }

            #[test]
            fn destroyed_while_held() {
                let titles = titles(|| {
                    // In a box: a lock is known by its address, and a move would change it.
                    let lock = Box::new($make(&X));
                    std::mem::forget(lock$(.$take())+);
                    drop(lock);
                });
                assert_eq!(titles, [FREED]);
            }
        }
    };
}

const NOTHING: [&str; 0] = [];

fn raw_mutex(class: &'static Class) -> lock_api::Mutex<RawMutex, u32> {
    lock_api::Mutex::from_raw(Checked::new(class, lock_api::RawMutex::INIT), 0)
}

fn raw_rwlock(class: &'static Class) -> lock_api::RwLock<RawRwLock, u32> {
    lock_api::RwLock::from_raw(Checked::new(class, lock_api::RawRwLock::INIT), 0)
}

kind!(mutex: |class| Mutex::new(class, 0); lock; [RECURSIVE], [CIRCULAR]);
kind!(write: |class| RwLock::new(class, 0); write; [RECURSIVE], [CIRCULAR]);
kind!(read: |class| RwLock::new(class, 0); read; [RECURSIVE], [CIRCULAR]);
kind!(read_recursive: |class| RwLock::new(class, 0); read_recursive; NOTHING, NOTHING);
kind!(std_mutex: |class| std_sync::Mutex::new(class, 0); lock unwrap; [RECURSIVE], [CIRCULAR]);
kind!(std_write: |class| std_sync::RwLock::new(class, 0); write unwrap; [RECURSIVE], [CIRCULAR]);
kind!(std_read: |class| std_sync::RwLock::new(class, 0); read unwrap; [RECURSIVE], [CIRCULAR]);
kind!(lock_api_mutex: raw_mutex; lock; [RECURSIVE], [CIRCULAR]);
kind!(lock_api_write: raw_rwlock; write; [RECURSIVE], [CIRCULAR]);
kind!(lock_api_read: raw_rwlock; read; [RECURSIVE], [CIRCULAR]);
kind!(lock_api_read_recursive: raw_rwlock; read_recursive; NOTHING, NOTHING);

static A_CLASS: Class = Class::new("A");
static B_CLASS: Class = Class::new("B");
static LEAF_CLASS: Class = Class::new("leaf").no_park();

static A: Mutex<u32> = Mutex::new(&A_CLASS, 0);
static B: Mutex<u32> = Mutex::new(&B_CLASS, 0);
static LEAF: Mutex<u32> = Mutex::new(&LEAF_CLASS, 0);

#[test]
fn the_place_of_construction_is_a_class() {
    let make = || Mutex::at_site(0);
    let (one, two) = (make(), make());
    let titles = titles(|| {
        let _one = one.lock();
        let _two = two.lock();
        assert!(reports()[0].to_string().contains("lockdep/tests/locks.rs:"));
    });
    assert_eq!(titles, [RECURSIVE]);
}

#[test]
fn a_raw_lock_without_a_class_is_of_the_place_that_takes_it() {
    let lock = lock_api::Mutex::<RawMutex, u32>::new(0);
    let other = lock_api::Mutex::<RawMutex, u32>::new(0);
    let titles = titles(|| {
        let _lock = lock.lock();
        let _other = other.lock();
    });
    assert!(titles.is_empty(), "two places, two classes: {titles:?}");
}

#[test]
fn a_release_too_many_is_reported() {
    let titles = titles(|| {
        let site = Location::caller();
        ringfence_lockdep::acquire(&A_CLASS, Mode::Exclusive, site);
        ringfence_lockdep::release(&A_CLASS);
        ringfence_lockdep::release(&A_CLASS);
    });
    assert_eq!(titles, [UNBALANCED]);
}

#[test]
fn instances_of_a_class_are_told_apart() {
    let titles = titles(|| {
        acquire_as(&A_CLASS, |acquire| acquire.instance(1));
        acquire_as(&A_CLASS, |acquire| acquire.instance(2).tried());
        release_as(&A_CLASS, 1);
        release_as(&A_CLASS, 1);
        release_as(&A_CLASS, 2);
    });
    assert_eq!(titles, [UNBALANCED]);
}

#[test]
fn a_callback_may_release_what_its_caller_took() {
    let titles = titles(|| {
        for _ in 0..100 {
            let a = A.lock();
            let in_callback = ringfence_lockdep::enter(&ringfence_lockdep::SIGNAL);
            drop(a);
            assert_eq!(held_count(), 0);
            drop(in_callback);
            assert_eq!(held_count(), 0);
        }
        drop(B.lock());
    });
    assert!(titles.is_empty(), "{titles:?}");
}

#[test]
fn held_lock_assertions() {
    let titles = titles(|| {
        let guard = A.lock();
        A.assert_held();
        drop(guard);
        A.assert_held();
    });
    assert_eq!(titles.len(), 1);
    assert!(titles[0].starts_with("WARNING: CPU: "), "{titles:?}");
    assert!(titles[0].contains(" at lockdep/tests/locks.rs:"), "{titles:?}");
    assert!(titles[0].contains(" held_lock_assertions+0x"), "{titles:?}");
}

#[test]
fn a_lock_that_forbids_it_is_not_held_where_the_thread_parks() {
    let condvar = Condvar::new();
    let wait = |guard: &mut _| condvar.wait_for(guard, std::time::Duration::from_millis(1));
    let may = titles(|| {
        let _b = B.lock();
        wait(&mut A.lock());
        ringfence_lockdep::parking();
    });
    assert!(may.is_empty(), "{may:?}");
    let may_not = titles(|| {
        let _leaf = LEAF.lock();
        wait(&mut A.lock());
    });
    assert_eq!(may_not.len(), 1);
    let place = "BUG: sleeping function called from invalid context at lockdep/tests/locks.rs:";
    assert!(may_not[0].starts_with(place), "{may_not:?}");
    let own = titles(|| {
        wait(&mut LEAF.lock());
    });
    assert!(own.is_empty(), "waiting lets go of the mutex itself: {own:?}");
}

#[test]
fn waiting_takes_the_mutex_again() {
    let condvar = Condvar::new();
    let titles = titles(|| {
        let a = A.lock();
        drop(B.lock());
        drop(a);
        let mut b = B.lock();
        let a = A.try_lock().expect("nobody holds it");
        // A try-lock orders nothing; that B is taken again under it does.
        condvar.wait_for(&mut b, std::time::Duration::from_millis(1));
        drop(a);
        let _a = A.lock();
    });
    assert_eq!(titles, [CIRCULAR]);
}

#[test]
fn nothing_is_held_on_return() {
    let titles = titles(|| {
        ringfence_lockdep::returning();
        let _a = A.lock();
        ringfence_lockdep::returning();
    });
    assert_eq!(titles, ["WARNING: lock held when returning to user space!"]);
}

#[test]
fn one_run_on_one_thread_predicts_a_deadlock_of_three_threads() {
    let c = Mutex::at_site(0);
    let titles = titles(|| {
        for (outer, inner) in [(&A, &B), (&B, &c), (&c, &A)] {
            let _outer = outer.lock();
            let _inner = inner.lock();
        }
        let reports = reports();
        let Detail::Circular { chain, .. } = &reports[0].finding else { panic!("a cycle") };
        let names: Vec<_> = chain.iter().map(|link| &link.class.name).collect();
        assert_eq!(names[..2], ["A", "B"]);
        let text = reports[0].to_string();
        assert!(text.contains("Chain exists of:\n  A --> B --> lockdep/tests/locks.rs:"), "{text}");
        assert!(text.contains("\n-> #2 (lockdep/tests/locks.rs:"), "{text}");
        assert!(text.contains("\n-> #0 (A){"), "{text}");
        assert!(text.contains("which lock already depends on the new lock.\n"), "{text}");
    });
    assert_eq!(titles, [CIRCULAR]);
}

#[test]
fn a_report_can_panic_before_the_lock_is_waited_for() {
    let lock = Mutex::at_site(0);
    let titles = titles(|| {
        on_report(OnReport::Panic);
        let guard = lock.lock();
        let again = std::panic::catch_unwind(AssertUnwindSafe(|| drop(lock.lock())));
        let message = *again.expect_err("it panics").downcast::<String>().expect("a text");
        assert!(message.contains(RECURSIVE), "{message}");
        drop(guard);
    });
    assert_eq!(titles, [RECURSIVE]);
}

/// Code that is generic over the switch: the same with and without validation.
struct Engine<V: Validation> {
    outer: lock_api::Mutex<Checked<parking_lot::RawMutex, V>, u32>,
    inner: Mutex<u32, V>,
}

impl<V: Validation> Engine<V> {
    fn new() -> Engine<V> {
        let raw = Checked::of(&A_CLASS, lock_api::RawMutex::INIT);
        Engine { outer: lock_api::Mutex::from_raw(raw, 0), inner: Mutex::of(&B_CLASS, 0) }
    }

    fn both_ways(&self) {
        {
            let _outer = self.outer.lock();
            *self.inner.lock() += 1;
        }
        let _inner = self.inner.lock();
        *self.outer.lock() += 1;
    }
}

#[test]
fn the_switch_is_a_type() {
    let validated = titles(|| Engine::<On>::new().both_ways());
    assert_eq!(validated, [CIRCULAR]);
    let plain = titles(|| Engine::<Off>::new().both_ways());
    assert!(plain.is_empty(), "{plain:?}");
}

//! Guards that move between threads and tasks: nothing is reported that is not so, and what a task
//! holds goes where the task goes.

use ringfence_lockdep::{
    Class, Mutex, MutexGuard, OnReport, Task, Tracked, forget, held_count, on_report, reports,
    switch,
};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{PoisonError, mpsc};
use std::task::{Context, Poll, Waker};

static A_CLASS: Class = Class::new("A");
static B_CLASS: Class = Class::new("B");

static A: Mutex<u64> = Mutex::new(&A_CLASS, 0);
static B: Mutex<u64> = Mutex::new(&B_CLASS, 0);

fn titles(scenario: impl FnOnce()) -> Vec<String> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    forget();
    on_report(OnReport::Collect);
    scenario();
    assert_eq!(held_count(), 0);
    let titles = reports().iter().map(|report| report.title.clone()).collect();
    forget();
    titles
}

/// Gives way once.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|_| match std::mem::replace(&mut yielded, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> bool {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

const MOVES: u64 = 100_000;

/// The guard goes to another thread, which releases it, while this thread takes other locks in the
/// opposite order: a hundred thousand times, and no report.
#[test]
fn a_hundred_thousand_guards_released_elsewhere() {
    let titles = titles(|| {
        let (sender, receiver) = mpsc::sync_channel(64);
        std::thread::scope(|scope| {
            scope.spawn(move || receiver.into_iter().for_each(drop));
            for n in 0..MOVES {
                let mut guard =
                    if n % 2 == 0 { A.lock_send() } else { MutexGuard::into_send(A.lock()) };
                *guard += 1;
                sender.send(guard).expect("the other thread runs");
                *B.lock() += 1;
                if n % 1024 == 0 {
                    let _b = B.lock();
                    drop(A.lock());
                }
            }
            drop(sender);
        });
        assert_eq!(*A.lock() % MOVES, 0);
    });
    assert!(titles.is_empty(), "{titles:?}");
}

/// A task that holds a lock over an `await` holds it when it goes on elsewhere.
#[test]
fn a_task_takes_what_it_holds_along() {
    let titles = titles(|| {
        let mut task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(Tracked::new(async {
            let a = A.lock_send();
            yield_now().await;
            drop(B.lock());
            drop(a);
        }));
        assert!(!poll(&mut task));
        assert_eq!(held_count(), 0, "the thread itself holds nothing");
        std::thread::scope(|scope| {
            scope.spawn(move || assert!(poll(&mut task)));
        });
        let _b = B.lock();
        drop(A.lock());
    });
    assert_eq!(titles, ["WARNING: possible circular locking dependency detected"]);
}

/// Without a task of its own nobody can know where the guard is; nothing is made up.
#[test]
fn a_guard_that_nobody_tracks_orders_nothing_after_it() {
    let titles = titles(|| {
        let a = A.lock_send();
        drop(B.lock());
        drop(a);
        let _b = B.lock();
        drop(A.lock_send());
    });
    assert!(titles.is_empty(), "{titles:?}");
}

#[test]
fn a_dropped_task_releases_what_it_held() {
    let titles = titles(|| {
        let mut task = Box::pin(Tracked::new(async {
            let _a = A.lock_send();
            yield_now().await;
        }));
        assert!(!poll(&mut task));
        drop(task);
        let _a = A.try_lock().expect("it was released");
    });
    assert!(titles.is_empty(), "{titles:?}");
}

/// A guard that leaves its task is released for it.
#[test]
fn a_guard_that_left_its_task() {
    let titles = titles(|| {
        let (sender, receiver) = mpsc::channel();
        let mut task = Box::pin(Tracked::new(async move {
            sender.send(A.lock_send()).expect("somebody listens");
            yield_now().await;
            // Released by the thread meanwhile: B is not taken under A.
            drop(B.lock());
        }));
        assert!(!poll(&mut task));
        drop(receiver.recv());
        assert!(poll(&mut task));
        let _b = B.lock();
        drop(A.lock());
    });
    assert!(titles.is_empty(), "{titles:?}");
}

/// Simulated threads that share one: each has its own stack of held locks.
#[test]
fn simulated_threads_hold_their_own() {
    let titles = titles(|| {
        let mut other = Task::new();
        let a = A.lock_send();
        ringfence_lockdep::acquire_as(&A_CLASS, |acquire| acquire.instance(1));
        switch(&mut other);
        assert_eq!(held_count(), 0);
        ringfence_lockdep::acquire_as(&A_CLASS, |acquire| acquire.instance(2));
        switch(&mut other);
        ringfence_lockdep::release_as(&A_CLASS, 1);
        switch(&mut other);
        ringfence_lockdep::release_as(&A_CLASS, 2);
        drop(a);
    });
    assert!(titles.is_empty(), "{titles:?}");
}

//! What the scheduler must find, what it must leave alone, and that its lines reproduce.

use ringfence_sim::{
    Kind, Mutex, RaceCell, Report, Strategy, Woken, atomic, choose, explore, now, point, sleep,
    spawn, wait, wake,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const ALL: Strategy = Strategy::Exhaustive { preemptions: 2, runs_max: 100_000 };
const DRAWN: Strategy = Strategy::Random { seed: 7, runs: 2000 };
const PCT: Strategy = Strategy::Pct { seed: 7, runs: 2000, depth: 3 };

/// The failure of a body, found by each strategy, and again from its line.
fn found_by_all(body: fn()) -> Kind {
    let mut kinds = Vec::new();
    for strategy in [ALL, DRAWN, PCT] {
        let report = explore(strategy.clone(), body);
        let found = report.found.unwrap_or_else(|| panic!("{strategy:?} finds nothing"));
        let line = found.schedule.to_string();
        let again = explore(Strategy::Replay(line.parse().expect("a schedule")), body);
        assert_eq!(again.found.expect("the failure again").failure, found.failure, "{line}");
        kinds.push(found.failure.kind);
    }
    kinds.dedup();
    assert_eq!(kinds.len(), 1, "{kinds:?}");
    kinds[0]
}

fn clean_by_all(body: fn()) -> Report {
    for strategy in [DRAWN, PCT] {
        explore(strategy, body).assert_clean();
    }
    let report = explore(ALL, body);
    report.assert_clean();
    assert!(report.complete, "{report}");
    report
}

fn lost_update() {
    let count = Arc::new(atomic::AtomicU32::new(0));
    let add = |count: Arc<atomic::AtomicU32>| {
        let seen = count.load(Ordering::SeqCst);
        count.store(seen + 1, Ordering::SeqCst);
    };
    let other = Arc::clone(&count);
    let thread = spawn("other", move || add(other));
    add(Arc::clone(&count));
    thread.join();
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[test]
fn a_lost_update_is_found() {
    assert_eq!(found_by_all(lost_update), Kind::Panic);
}

fn kept_update() {
    let count = Arc::new(Mutex::new(0));
    let threads = [1, 2].map(|_| {
        let count = Arc::clone(&count);
        spawn("adds", move || *count.lock() += 1)
    });
    threads.into_iter().for_each(|thread| thread.join());
    assert_eq!(*count.lock(), 2);
}

#[test]
fn a_locked_update_is_clean_in_all_schedules() {
    let report = clean_by_all(kept_update);
    assert!(report.runs > 10 && report.runs == report.distinct, "{report}");
}

fn recursion() {
    let lock = Mutex::new(());
    let _first = lock.lock();
    let _second = lock.lock();
}

#[test]
fn a_lock_taken_twice_is_reported_where_it_happens() {
    assert_eq!(found_by_all(recursion), Kind::Recursion);
}

fn lost_wake() {
    let flag = Arc::new(AtomicU32::new(0));
    let other = Arc::clone(&flag);
    let thread = spawn("sleeper", move || {
        if other.load(Ordering::SeqCst) == 0 {
            point("between the look and the sleep");
            // The value is not looked at again: a wake that came is lost.
            wait(&other, other.load(Ordering::SeqCst), None);
        }
    });
    flag.store(1, Ordering::SeqCst);
    wake(&flag, 1);
    thread.join();
}

#[test]
fn a_lost_wake_is_a_deadlock_and_says_who_waits() {
    assert_eq!(found_by_all(lost_wake), Kind::Deadlock);
    let found = explore(ALL, lost_wake).found.expect("a deadlock");
    let text = found.failure.to_string();
    assert!(text.contains("(sleeper) waits for a wake"), "{text}");
    assert!(text.contains("(main) waits for the end of thread 1"), "{text}");
}

fn racy() {
    let cell = Arc::new(RaceCell::new(0));
    let other = Arc::clone(&cell);
    let thread = spawn("writer", move || other.set(1));
    let _ = cell.get();
    thread.join();
}

#[test]
fn an_unordered_access_is_a_race() {
    assert_eq!(found_by_all(racy), Kind::Race);
    let found = explore(ALL, racy).found.expect("a race");
    assert!(found.failure.message.contains("data race"), "{}", found.failure);
}

fn ordered() {
    let cell = Arc::new(RaceCell::new(0));
    let (lock, ready) = (Arc::new(Mutex::new(false)), Arc::new(AtomicU32::new(0)));
    let theirs = (Arc::clone(&cell), Arc::clone(&lock), Arc::clone(&ready));
    let thread = spawn("writer", move || {
        theirs.0.set(1);
        *theirs.1.lock() = true;
        theirs.2.store(1, Ordering::SeqCst);
        wake(&theirs.2, 1);
    });
    while !*lock.lock() {
        wait(&ready, 0, None);
    }
    assert_eq!(cell.get(), 1);
    thread.join();
    cell.set(2);
}

#[test]
fn accesses_that_locks_and_joins_order_are_no_race() {
    clean_by_all(ordered);
}

fn in_time() {
    let start = now();
    let thread = spawn("late", || sleep(5_000_000_000));
    let word = AtomicU32::new(0);
    assert_eq!(wait(&word, 0, Some(1_000_000_000)), Woken::Timeout);
    assert_eq!(now() - start, 1_000_000_000);
    thread.join();
    assert_eq!(now() - start, 5_000_000_000);
}

#[test]
fn time_jumps_to_the_next_timer() {
    clean_by_all(in_time);
}

#[test]
fn a_search_tries_every_choice() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let all = Arc::clone(&seen);
    let report = explore(ALL, move || {
        let pair = (choose(3), choose(2));
        all.lock().expect("no panic").push(pair);
    });
    assert!(report.complete);
    let pairs = seen.lock().expect("no panic").clone();
    assert_eq!(pairs, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
}

#[test]
fn a_run_that_does_not_end_is_a_livelock() {
    let report = explore(Strategy::Random { seed: 1, runs: 1 }, || {
        loop {
            ringfence_sim::yield_now();
        }
    });
    assert_eq!(report.found.expect("a livelock").failure.kind, Kind::Livelock);
}

#[test]
fn what_a_failing_run_held_is_dropped() {
    let held = Arc::new(());
    let theirs = Arc::clone(&held);
    let report = explore(ALL, move || {
        let held = Arc::clone(&theirs);
        let lock = Arc::new(Mutex::new(held));
        let other = Arc::clone(&lock);
        let _guard = lock.lock();
        spawn("waits", move || drop(other.lock())).join();
    });
    assert_eq!(report.found.expect("a deadlock").failure.kind, Kind::Deadlock);
    // The body's own reference went with the explorer; what the threads held went with them.
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn outside_of_a_simulation_the_lock_is_a_spin_lock() {
    let count = Arc::new(Mutex::new(0));
    let threads = [1, 2].map(|_| {
        let count = Arc::clone(&count);
        std::thread::spawn(move || (0..1000).for_each(|_| *count.lock() += 1))
    });
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    assert_eq!(*count.lock(), 2000);
}

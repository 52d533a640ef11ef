//! The operating system's lock, under all schedules of the threads that take it.

use ringfence_host::sync::{AtomicU32, FutexMutex, Ordering, RawFutex};
use ringfence_sim::{Explorer, Report, SimHost, Strategy, point, spawn};
use std::sync::Arc;

/// A lock, and how many hold it.
#[derive(Default)]
struct Shared {
    lock: FutexMutex<SimHost, u32>,
    inside: AtomicU32,
}

impl Shared {
    /// Takes the lock twice, the second time with a try as well, which may fail.
    fn use_it(&self) -> u32 {
        for _ in 0..2 {
            self.hold(&mut self.lock.lock());
        }
        match self.lock.try_lock() {
            Some(mut count) => self.hold(&mut count),
            None => return 2,
        }
        3
    }

    fn hold(&self, count: &mut u32) {
        assert_eq!(self.inside.fetch_add(1, Ordering::SeqCst), 0, "two hold the lock");
        let before = *count;
        point("with the lock");
        *count = before + 1;
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

fn threads<const OTHERS: usize>() {
    let shared = Arc::new(Shared::default());
    let others = [(); OTHERS].map(|()| {
        let theirs = Arc::clone(&shared);
        spawn("other", move || theirs.use_it())
    });
    let mut taken = shared.use_it();
    others.into_iter().for_each(|other| taken += other.join());
    assert_eq!(*shared.lock.lock(), taken);
}

fn all(preemptions: u32, body: fn()) -> Report {
    let strategy = Strategy::Exhaustive { preemptions, runs_max: 200_000 };
    let report = Explorer::new(strategy.or_environment()).explore(body);
    report.assert_clean();
    println!("{report}");
    report
}

/// One holds it at a time, and whoever sleeps is woken: a thread left asleep is a deadlock.
#[test]
fn one_holds_it_and_nobody_is_left_asleep() {
    assert_eq!(size_of::<RawFutex<SimHost>>(), size_of::<RawFutex>());
    assert!(all(6, threads::<1>).complete);
    assert!(all(3, threads::<2>).complete);
}

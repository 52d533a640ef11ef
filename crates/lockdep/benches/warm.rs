//! What validation costs once every chain is known: nanoseconds per acquire and release, beside the
//! same locks plain. `cargo bench -p ringfence-lockdep --bench warm`.
//!
//! Each figure is the least of many short rounds, plain and validated in turn: on a shared machine
//! all else is the noise of others.

use ringfence_lockdep::{Mutex, Off, On, OnReport, Validation, lock_classes, on_report, reports};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

lock_classes! {
    OUTER: "outer",
    MIDDLE: "middle",
    INNER: "inner",
}

/// Short enough to end before the system takes the CPU away.
const ITERATIONS: u32 = 5_000;
const ROUNDS: usize = 3_000;

/// Three nested locks on lines of their own.
#[repr(align(128))]
struct Locks<V: Validation> {
    outer: Mutex<u64, V>,
    middle: Mutex<u64, V>,
    inner: Mutex<u64, V>,
}

impl<V: Validation> Locks<V> {
    fn new() -> Locks<V> {
        Locks {
            outer: Mutex::of(&OUTER, 0),
            middle: Mutex::of(&MIDDLE, 0),
            inner: Mutex::of(&INNER, 0),
        }
    }

    fn one(&self) {
        *black_box(self).outer.lock() += 1;
    }

    fn two(&self) {
        let mut outer = black_box(self).outer.lock();
        *self.middle.lock() += 1;
        *outer += 1;
    }

    fn three(&self) {
        let mut outer = black_box(self).outer.lock();
        let mut middle = self.middle.lock();
        *self.inner.lock() += 1;
        *middle += 1;
        *outer += 1;
    }
}

/// Nanoseconds that one call of `work` takes, over one round.
fn round(work: &impl Fn()) -> f64 {
    let start = Instant::now();
    for _ in 0..ITERATIONS {
        work();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(ITERATIONS)
}

/// The least nanoseconds of either, in turn.
fn least(one: impl Fn(), other: impl Fn()) -> (f64, f64) {
    let rounds = (0..ROUNDS).map(|_| (round(&one), round(&other)));
    rounds.fold((f64::INFINITY, f64::INFINITY), |(a, b), (x, y)| (a.min(x), b.min(y)))
}

/// The same with `threads` threads at once, each on locks of its own; of each round the slowest.
fn least_in_parallel(threads: usize) -> (f64, f64) {
    let barrier = Barrier::new(threads);
    let rounds: Vec<Vec<(f64, f64)>> = std::thread::scope(|scope| {
        let work = || {
            let (plain, validated) = (Locks::<Off>::new(), Locks::<On>::new());
            let both = |_| {
                barrier.wait();
                let off = round(&|| plain.two());
                barrier.wait();
                (off, round(&|| validated.two()))
            };
            (0..ROUNDS).map(both).collect()
        };
        let runs: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        runs.into_iter().filter_map(|run| run.join().ok()).collect()
    });
    let slowest = |at: usize| {
        let of_round = rounds.iter().map(|run| run[at]);
        of_round.fold((0.0, 0.0), |(a, b): (f64, f64), (x, y)| (a.max(x), b.max(y)))
    };
    let all = (0..ROUNDS).map(slowest);
    all.fold((f64::INFINITY, f64::INFINITY), |(a, b), (x, y)| (a.min(x), b.min(y)))
}

fn main() {
    on_report(OnReport::Panic);
    let (plain, validated) = (Locks::<Off>::new(), Locks::<On>::new());
    let unwrapped = parking_lot::Mutex::new(0u64);
    println!("ns per iteration, least of {ROUNDS} rounds of {ITERATIONS}");
    println!("{:<28}{:>10}{:>10}{:>16}", "", "plain", "validated", "more per pair");
    let row = |name: &str, (off, on): (f64, f64), pairs: f64| {
        println!("{name:<28}{off:>10.1}{on:>10.1}{:>16.2}", (on - off) / pairs);
    };
    let raw = || *black_box(&unwrapped).lock() += 1;
    row("parking_lot, and Off", least(raw, || plain.one()), 1.0);
    row("one lock", least(|| plain.one(), || validated.one()), 1.0);
    row("two nested", least(|| plain.two(), || validated.two()), 2.0);
    row("three nested", least(|| plain.three(), || validated.three()), 3.0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in 1..=cores {
        row(&format!("two nested, {threads} threads"), least_in_parallel(threads), 2.0);
    }
    assert!(reports().is_empty());
}

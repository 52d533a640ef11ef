//! What validation costs once every chain is known: nanoseconds per acquire and release, beside the
//! same locks plain. `cargo bench -p ringfence-lockdep --bench warm`.
//!
//! Each figure is the least of several rounds: on a shared machine the rest is noise of others.

use ringfence_lockdep::{Mutex, Off, On, OnReport, Validation, lock_classes, on_report, reports};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

lock_classes! {
    OUTER: "outer",
    MIDDLE: "middle",
    INNER: "inner",
}

const PAIRS: u32 = 1_000_000;
const ROUNDS: usize = 25;

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

/// The least nanoseconds that one call of `work` took, over all rounds.
fn least(work: impl Fn()) -> f64 {
    let round = || {
        let start = Instant::now();
        for _ in 0..PAIRS {
            work();
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(PAIRS)
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// The least nanoseconds per call with `threads` threads, each on locks of its own.
fn least_in_parallel<V: Validation>(threads: usize) -> f64
where
    Locks<V>: Sync,
{
    let all: Vec<Locks<V>> = (0..threads).map(|_| Locks::new()).collect();
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let barrier = Barrier::new(threads);
        let slowest = std::thread::scope(|scope| {
            let runs: Vec<_> = all
                .iter()
                .map(|locks| {
                    scope.spawn(|| {
                        barrier.wait();
                        let start = Instant::now();
                        for _ in 0..PAIRS / 4 {
                            locks.two();
                        }
                        start.elapsed().as_secs_f64() * 4e9 / f64::from(PAIRS)
                    })
                })
                .collect();
            runs.into_iter().map(|run| run.join().unwrap_or(f64::INFINITY)).fold(0.0, f64::max)
        });
        best = best.min(slowest);
    }
    best
}

fn main() {
    on_report(OnReport::Panic);
    let (plain, validated) = (Locks::<Off>::new(), Locks::<On>::new());
    let unwrapped = parking_lot::Mutex::new(0u64);
    println!("ns per iteration, least of {ROUNDS} rounds of {PAIRS}");
    println!("{:<28}{:>10}{:>10}{:>10}{:>14}", "", "raw", "off", "on", "on-off a pair");
    let raw = least(|| *black_box(&unwrapped).lock() += 1);
    let row = |name: &str, raw: Option<f64>, off: f64, on: f64, pairs: f64| {
        let raw = raw.map_or_else(String::new, |raw| format!("{raw:.1}"));
        println!("{name:<28}{raw:>10}{off:>10.1}{on:>10.1}{:>14.2}", (on - off) / pairs);
    };
    row("one lock", Some(raw), least(|| plain.one()), least(|| validated.one()), 1.0);
    row("two nested", None, least(|| plain.two()), least(|| validated.two()), 2.0);
    row("three nested", None, least(|| plain.three()), least(|| validated.three()), 3.0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in 1..=cores {
        let (off, on) = (least_in_parallel::<Off>(threads), least_in_parallel::<On>(threads));
        row(&format!("two nested, {threads} threads"), None, off, on, 2.0);
    }
    assert!(reports().is_empty());
}

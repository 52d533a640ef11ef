//! A large program: 10,000 classes, 100,000 dependencies, 1,000,000 chains, learnt from nothing.
//! `cargo bench -p ringfence-lockdep --bench scale`.

use ringfence_lockdep::{Acquire, ClassKey, Mode, OnReport, Task, Validator};
use std::time::{Duration, Instant};

const CLASSES: u64 = 10_000;
const EDGES: u64 = 100_000;
const CHAINS: usize = 1_000_000;

/// A small generator with a fixed seed: the same program each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Resident memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

fn take(validator: &Validator, task: &Task, locks: &[ClassKey]) {
    for &lock in locks {
        validator.acquire(task, Acquire::new(lock, Mode::Exclusive));
    }
    for &lock in locks.iter().rev() {
        validator.release(task, lock, 0);
    }
}

fn main() {
    let before = resident();
    let validator = Validator::new(OnReport::Collect);
    let task = Task::new();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut phases: Vec<(&str, Duration)> = Vec::new();
    let mut timed = |name, work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        phases.push((name, start.elapsed()));
    };

    let mut classes = Vec::new();
    timed("classes", &mut || {
        classes = (0..CLASSES).map(|n| validator.class(&format!("class {n}"))).collect();
        // Found in an order that is not the order they nest in: the order has to be learnt.
        for at in (1..classes.len()).rev() {
            classes.swap(at, random.below(at as u64 + 1) as usize);
        }
        for &class in &classes {
            take(&validator, &task, &[class]);
        }
    });
    let mut edges: Vec<(u64, u64)> = Vec::new();
    timed("edges", &mut || {
        while validator.stats().edges < EDGES as usize {
            for _ in 0..1000 {
                let outer = random.below(CLASSES - 1);
                let inner = outer + 1 + random.below(CLASSES - 1 - outer);
                edges.push((outer, inner));
                take(&validator, &task, &[classes[outer as usize], classes[inner as usize]]);
            }
        }
    });
    timed("chains", &mut || {
        // A third lock under a known pair, along known edges: new chains, no new edges.
        let mut after: Vec<Vec<u64>> = vec![Vec::new(); CLASSES as usize];
        edges.iter().for_each(|&(outer, inner)| after[outer as usize].push(inner));
        'all: loop {
            for &(first, second) in &edges {
                for &third in &after[second as usize] {
                    for &fourth in after[third as usize].iter().take(2) {
                        let locks = [first, second, third, fourth].map(|n| classes[n as usize]);
                        take(&validator, &task, &locks);
                    }
                }
                if validator.chains() >= CHAINS {
                    break 'all;
                }
            }
        }
    });

    let stats = validator.stats();
    let total: Duration = phases.iter().map(|(_, time)| *time).sum();
    for (name, time) in &phases {
        println!("{name:<10}{:>10.3} s", time.as_secs_f64());
    }
    println!("{:<10}{:>10.3} s", "all", total.as_secs_f64());
    println!("{stats:?}");
    println!(
        "memory    {:>10.1} MiB resident at most, {:.1} before",
        resident() as f64 / 1024.0,
        before as f64 / 1024.0
    );
    assert_eq!(stats.reports, 0);
}

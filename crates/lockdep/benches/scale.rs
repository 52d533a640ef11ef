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

/// Seconds of CPU this process has used: on a busy machine the clock shows what others did. The
/// system counts in hundredths, whatever its own tick.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks =
        after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn take(validator: &Validator, task: &Task, locks: &[ClassKey]) {
    for &lock in locks {
        validator.acquire(task, Acquire::new(lock, Mode::Exclusive));
    }
    for &lock in locks.iter().rev() {
        validator.release(task, lock, 0);
    }
}

/// Prints the phases and their sum.
fn print(mut phases: Vec<(&str, Duration, f64)>) {
    phases.push((
        "all",
        phases.iter().map(|(_, time, _)| *time).sum(),
        phases.iter().map(|(_, _, cpu)| *cpu).sum(),
    ));
    println!("{:<10}{:>12}{:>12}", "", "seconds", "of CPU");
    for (name, time, cpu) in &phases {
        println!("{name:<10}{:>12.2}{cpu:>12.2}", time.as_secs_f64());
    }
}

fn main() {
    let before = resident();
    let validator = Validator::new(OnReport::Collect);
    let task = Task::new();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut phases: Vec<(&str, Duration, f64)> = Vec::new();
    let mut timed = |name, work: &mut dyn FnMut()| {
        let (start, cpu) = (Instant::now(), cpu_seconds());
        work();
        phases.push((name, start.elapsed(), cpu_seconds() - cpu));
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
    print(phases);
    println!("{stats:?}");
    println!(
        "memory    {:>10.1} MiB resident at most, {:.1} before",
        resident() as f64 / 1024.0,
        before as f64 / 1024.0
    );
    assert_eq!(stats.reports, 0);
}

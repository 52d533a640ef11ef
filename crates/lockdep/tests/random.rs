//! Random programs against an oracle that knows no order, no search and no cache: it walks every
//! simple cycle there is.

use ringfence_lockdep::{Acquire, ClassKey, Mode, OnReport, Task, Validator};
use std::collections::{HashMap, HashSet};

const MODES: [Mode; 3] = [Mode::Exclusive, Mode::Shared, Mode::SharedRecursive];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// One dependency: how the outer was held and how the inner was taken.
type Kind = (Mode, Mode);

/// Every dependency seen, by (outer, inner).
type Edges = HashMap<(usize, usize), HashSet<Kind>>;

/// Whether a thread that waits as `taken` can be waiting for one that has it as `held`, together
/// with everything else of the cycle: only a recursive reader does not wait for readers.
fn waits(taken: Mode, held: Mode) -> bool {
    taken != Mode::SharedRecursive || held == Mode::Exclusive
}

/// Whether some simple path from `at`, entered as `taken`, leads back to `goal` so that the thread
/// that has `goal` as `held` can be waited for.
fn closes(
    edges: &Edges,
    at: usize,
    taken: Mode,
    goal: usize,
    held: Mode,
    seen: &mut Vec<usize>,
) -> bool {
    if at == goal {
        return waits(taken, held);
    }
    seen.push(at);
    let found = edges.iter().any(|(&(from, to), kinds)| {
        from == at
            && !seen.contains(&to)
            && kinds.iter().any(|&(outer, inner)| {
                waits(taken, outer) && closes(edges, to, inner, goal, held, seen)
            })
    });
    seen.pop();
    found
}

/// Runs pairs of acquisitions and compares each verdict; how many were reports.
fn compare(seed: u64, classes: usize, steps: usize, modes: &[Mode]) -> usize {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let validator = Validator::new(OnReport::Collect);
    validator.capture_stacks(false);
    let task = Task::new();
    let keys: Vec<ClassKey> = (0..classes).map(|n| validator.class(&format!("{n}"))).collect();
    let mut edges = Edges::new();
    let mut told = HashSet::new();
    for step in 0..steps {
        let outer = random.below(classes);
        let inner = (outer + 1 + random.below(classes - 1)) % classes;
        let kind = (modes[random.below(modes.len())], modes[random.below(modes.len())]);
        let before = validator.reports().len();
        validator.acquire(&task, Acquire::new(keys[outer], kind.0));
        validator.acquire(&task, Acquire::new(keys[inner], kind.1));
        validator.release(&task, keys[inner], 0);
        validator.release(&task, keys[outer], 0);
        let reported = validator.reports().len() > before;
        let deadlocks = closes(&edges, inner, kind.1, outer, kind.0, &mut Vec::new());
        if !deadlocks {
            edges.entry((outer, inner)).or_default().insert(kind);
        }
        let expected = deadlocks && told.insert((outer, inner));
        assert_eq!(
            reported, expected,
            "seed {seed}, step {step}: {outer} as {:?}, then {inner} as {:?}",
            kind.0, kind.1
        );
    }
    validator.reports().len()
}

#[test]
fn mutexes() {
    let reports: usize = (1..200).map(|seed| compare(seed, 9, 60, &MODES[..1])).sum();
    assert!(reports > 1000, "the programs are not all safe: {reports}");
}

#[test]
fn readers_and_writers() {
    let reports: usize = (1..200).map(|seed| compare(seed, 6, 60, &MODES)).sum();
    assert!(reports > 1000, "the programs are not all safe: {reports}");
}

//! What is claimed at low rates and where noise bears the bug's title, in simulated worlds.

use ringfence_bisect::sim::{Random, Trial, World, play};
use ringfence_bisect::{Config, End, History, Mode, Node, Search, Step, Tally, UNTITLED};
use std::sync::Arc;

fn world(suspects: usize, culprit: Node, rate: &dyn Fn(Node) -> f64, same_title: f64) -> World<'_> {
    World {
        history: Arc::new(History::line(suspects)),
        culprit,
        rate,
        same_title,
        other_title: 0.0,
        signature: &|node| Some(node.to_string()),
    }
}

fn trial(config: &Config, culprit: Node, rate: f64, seed: u64) -> Trial {
    play(&world(500, culprit, &|_| rate, 0.0), config, &mut Random::new(seed))
}

fn named(trial: &Trial) -> Option<(Node, f64)> {
    match trial.end {
        End::Culprit { node, confidence } => Some((node, confidence)),
        _ => None,
    }
}

/// Without a run of the sound end the oldest suspect looks like a failure that was always there.
#[test]
fn the_oldest_suspect_is_told_from_a_failure_that_is_everywhere() {
    let config = Config { mode: Mode::Frugal, ..Config::default() };
    for seed in 0..20 {
        let trial = trial(&config, 0, 0.5, seed);
        assert_eq!(named(&trial).map(|(node, _)| node), Some(0), "seed {seed}: {:?}", trial.end);
        assert!(trial.runs < 300, "seed {seed}: {} runs", trial.runs);
    }
}

/// A rate of one in ten that looked like one in four would make silence mean too much.
#[test]
fn more_is_asked_of_a_claim_where_the_rate_is_low() {
    let config = Config { mode: Mode::Frugal, ..Config::default() };
    for seed in 0..20 {
        let low = named(&trial(&config, 123, 0.1, seed)).expect("a culprit");
        assert!(low.1 >= 0.993, "seed {seed}: {}", low.1);
    }
}

/// A failure beside the culprit may be a rate that fell there; only the sound end can tell. These
/// are trials of the suite `untitled` that once tested the same two revisions until all runs were
/// used up.
#[test]
fn noise_beside_the_culprit_does_not_use_all_runs_up() {
    let config = Config { noise: UNTITLED, ..Config::default() };
    for number in [3_000_028u64, 3_000_092, 3_000_138, 3_000_139] {
        let mut random = Random::new(number.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x00b1_5ec7);
        let culprit = random.below(7000);
        // The suite draws four more for worlds that need them.
        for _ in 0..4 {
            random.unit();
        }
        let world = world(7000, culprit, &|_| 0.5, 0.02);
        let trial = play(&world, &config, &mut random);
        assert_eq!(named(&trial).map(|(node, _)| node), Some(culprit), "trial {number}");
        assert!(trial.runs < 1000, "trial {number}: {} runs", trial.runs);
    }
}

#[test]
fn the_failing_end_has_two_hundred_runs_to_fail_once() {
    let mut search = Search::new(Arc::new(History::line(10)), Config::default());
    let mut silent = 0;
    while let Step::Test(probes) = search.next() {
        for probe in probes {
            assert_eq!(probe.node, search.failing_end(), "nothing fired yet");
            silent += probe.runs;
            search.record(probe.node, Tally { ok: probe.runs, ..Tally::default() });
        }
    }
    assert_eq!((search.next(), silent), (Step::Done(End::NeverFails), 200));
}

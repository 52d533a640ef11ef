//! A simulated world to measure the search in: a history, a guilty commit, rates.
//!
//! It asks [`Search::next`] what to do and answers with random outcomes; it decides nothing.

mod random;

pub use random::Random;

use crate::history::{History, Node};
use crate::next::{End, Step};
use crate::search::{Config, Search, Sense, Tally};
use std::collections::HashMap;
use std::sync::Arc;

/// What a simulated revision does when it is tested.
pub struct World<'a> {
    /// The history.
    pub history: Arc<History>,
    /// The guilty commit.
    pub culprit: Node,
    /// The chance that a run fires on a revision that has the bug.
    pub rate: &'a dyn Fn(Node) -> f64,
    /// The chance that a run fails with the bug's own title without the bug.
    pub same_title: f64,
    /// The chance that a run fails with a title of its own.
    pub other_title: f64,
    /// The signature of a revision's build, or none when it cannot be built.
    pub signature: &'a dyn Fn(Node) -> Option<String>,
}

/// What one simulated search came to.
#[derive(Debug, Clone)]
pub struct Trial {
    /// How it ended.
    pub end: End,
    /// The true culprit's probability at the end.
    pub truth: f64,
    /// The suspects left where no test can tell them apart; empty otherwise.
    pub hidden: Vec<Node>,
    /// All runs, the first checks included.
    pub runs: u32,
    /// Runs at the failing end at the very start.
    pub first_runs: u32,
    /// Builds after the first checks.
    pub builds: u32,
    /// Rounds after the first checks.
    pub rounds: u32,
    /// Seconds after the first checks, by the configured costs.
    pub seconds: f64,
    /// Signatures that were tested in spite of a known equal one.
    pub retested: u32,
}

/// Plays one search to its end.
pub fn play(world: &World<'_>, config: &Config, random: &mut Random) -> Trial {
    let mut search = Search::new(Arc::clone(&world.history), config.clone());
    let mut trial = Trial {
        end: End::NeverFails,
        truth: 0.0,
        hidden: Vec::new(),
        runs: 0,
        first_runs: config.first_runs,
        builds: 0,
        rounds: 0,
        seconds: 0.0,
        retested: 0,
    };
    let mut tested: HashMap<String, Node> = HashMap::new();
    loop {
        let probes = match search.next() {
            Step::Done(end) => {
                trial.end = end;
                break;
            }
            Step::Test(probes) => probes,
        };
        let checks = [search.failing_end(), search.sound_end()];
        let checking = probes.iter().all(|probe| checks.contains(&probe.node)) && trial.rounds == 0;
        let mut ran = 0;
        for probe in &probes {
            if !search.is_built(probe.node) {
                trial.builds += u32::from(!checking);
                trial.seconds += if checking { 0.0 } else { config.costs.build };
                let Some(signature) = (world.signature)(probe.node) else {
                    search.skip(probe.node);
                    continue;
                };
                if search.built(probe.node, &signature).is_some() {
                    // The runs that were planned are known already; think again.
                    continue;
                }
            }
            if let Some(signature) = (world.signature)(probe.node) {
                let first = *tested.entry(signature).or_insert(probe.node);
                trial.retested += u32::from(first != probe.node);
            }
            let tally = run(world, config.sense, probe.node, probe.runs, random);
            trial.runs += tally.runs();
            search.record(probe.node, tally);
            ran += tally.runs();
        }
        if ran > 0 && !checking {
            trial.rounds += 1;
            trial.seconds += config.costs.wave * f64::from(ran.div_ceil(config.at_once));
        }
    }
    trial.hidden = search.inseparable().unwrap_or_default();
    trial.truth = search.posterior()[world.culprit];
    trial
}

fn run(world: &World<'_>, sense: Sense, node: Node, runs: u32, random: &mut Random) -> Tally {
    let has = world.history.contains(node, world.culprit);
    let fires = match (has == (sense == Sense::Introduced), world.same_title) {
        (true, _) => (world.rate)(node),
        (false, noise) => noise,
    };
    let mut tally = Tally::default();
    for _ in 0..runs {
        if random.chance(world.other_title) {
            tally.other += 1;
        } else if random.chance(fires) {
            tally.hit += 1;
        } else {
            tally.ok += 1;
        }
    }
    tally
}

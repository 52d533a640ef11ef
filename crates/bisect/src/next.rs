//! One step after another: the first checks, the search, the proof at the end.

use crate::choose::{Probe, choose};
use crate::history::Node;
use crate::rates::DIFFERING;
use crate::search::{Mode, Search, Sense, TITLED};

/// What to do next. The simulator and the command both do exactly what this says.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Test these revisions; all of them can run at once.
    Test(Vec<Probe>),
    /// The search is over.
    Done(End),
}

/// How a search ends.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// This commit did it; it and its parents were tested again.
    Culprit {
        /// The commit.
        node: Node,
        /// Its probability.
        confidence: f64,
    },
    /// No commit reached the confidence asked for.
    Undecided(Why),
    /// The failing end never failed.
    NeverFails,
    /// The end that should be sound fails too.
    FailsEverywhere,
}

/// Why no commit could be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The revisions that would tell cannot be tested.
    Untestable,
    /// The runs allowed are used up.
    OutOfRuns,
    /// The rate falls at the likeliest suspect, and what is beyond fails too, if seldom.
    RateChanges,
}

/// From this probability on the likeliest suspect is put to the proof: runs that the proof needs
/// anyway also teach the rate, which makes what is left cheaper.
const LIKELY: f64 = 0.85;

/// Silent runs that each sound neighbour of the culprit must show: even where one seems enough, a
/// rate that fell at the culprit would not be noticed by less.
const SILENT: u32 = 10;

/// From here on a rate looks high.
const HIGH: f64 = 0.45;

/// The same where the rate looks high: a rate that fell from 1 to 0.3 at the culprit stays silent in
/// ten runs three times in a hundred.
const SILENT_HIGH: u32 = 15;

/// Below this rate less error is allowed than was asked for, in proportion: the belief in the rate is
/// an average, and it is at low rates that it is wrong more often than it says.
const LOW: f64 = 0.5;

/// The least part of the error asked for.
const STRICTEST: f64 = 0.3;

/// The part of the error allowed where titles do not tell the bug from other failures, so that noise
/// and a second rate have to be told apart by counts alone.
const STRICT_UNTITLED: f64 = 0.25;

/// Silent runs of the failing end, in units of the first runs, until it counts as sound: a bug that
/// fires once in twenty runs stays silent that long three times in 100,000.
const PATIENCE: u32 = 10;

impl Search {
    /// The next step. The only place that decides what is tested, when to stop and what to claim.
    #[must_use]
    pub fn next(&self) -> Step {
        let mut step = self.decide();
        if let Step::Test(probes) = &mut step {
            // Of equal builds the one that was tested first is tested on.
            for probe in probes {
                let unit = self.unit_of[probe.node];
                probe.node = unit.map_or(probe.node, |unit| self.units[unit].nodes[0]);
            }
        }
        step
    }

    fn decide(&self) -> Step {
        if let Some(step) = self.first_checks() {
            return step;
        }
        if self.everywhere() >= self.config.confidence {
            return Step::Done(End::FailsEverywhere);
        }
        let (node, belief) = self.top();
        let spent = self.runs() >= self.config.max_runs;
        let likely = belief >= self.config.confidence;
        if likely && 1.0 - self.claim() <= self.error_allowed() {
            let confidence = self.confidence();
            if self.silent_enough(node) && self.fails_beyond() {
                return Step::Done(End::Undecided(Why::RateChanges));
            }
            let mut proof = self.proof(node);
            if proof.is_empty() && confidence < self.config.confidence {
                proof = self.against_doubt(node);
            }
            return match proof.is_empty() {
                true if confidence < self.config.confidence => {
                    Step::Done(End::Undecided(Why::Untestable))
                }
                true => Step::Done(End::Culprit { node, confidence }),
                false if spent => Step::Done(End::Undecided(Why::OutOfRuns)),
                false => Step::Test(proof),
            };
        }
        if self.inseparable().is_some() {
            return Step::Done(End::Undecided(Why::Untestable));
        }
        if spent {
            return Step::Done(End::Undecided(Why::OutOfRuns));
        }
        if belief >= LIKELY {
            let proof = self.proof(node);
            if !proof.is_empty() {
                return Step::Test(proof);
            }
            if let Some(step) = self.against_noise(node) {
                return Step::Test(step);
            }
        }
        // What is lacking now is silence beside the suspect; there is little left to be learnt by
        // the belief that steps are chosen by.
        if likely && self.config.noise <= TITLED {
            let silence = self.against_doubt(node);
            if !silence.is_empty() {
                return Step::Test(silence);
            }
        }
        match choose(self) {
            Some(probes) => Step::Test(probes),
            None => Step::Done(End::Undecided(Why::Untestable)),
        }
    }

    /// How far from certain a claim may be.
    fn error_allowed(&self) -> f64 {
        let by_rate = (self.rate() / LOW).clamp(STRICTEST, 1.0);
        let by_titles = if self.config.noise > TITLED { STRICT_UNTITLED } else { 1.0 };
        (1.0 - self.config.confidence) * by_rate * by_titles
    }

    /// The failing end must fail, and the sound end must not, before anything between is tested.
    fn first_checks(&self) -> Option<Step> {
        if self.skipped.contains(&self.failing_end()) {
            return Some(Step::Done(End::Undecided(Why::Untestable)));
        }
        let failing = self.tally(self.failing_end());
        let usable = failing.ok + failing.hit + failing.other;
        let patience = PATIENCE * self.config.first_runs;
        if usable < self.config.first_runs || (failing.hit == 0 && usable < patience) {
            if failing.lost >= patience {
                return Some(Step::Done(End::Undecided(Why::Untestable)));
            }
            let left = self.config.first_runs.saturating_sub(usable);
            let runs = if left == 0 { self.config.batch } else { left.min(self.config.batch) };
            return Some(Step::Test(vec![Probe { node: self.failing_end(), runs }]));
        }
        if failing.hit == 0 {
            return Some(Step::Done(End::NeverFails));
        }
        let sound = self.tally(self.sound_end());
        // Where runs are what counts, the sound end waits until testing it teaches most.
        let enough = match self.config.mode {
            Mode::Clock => self.config.batch,
            Mode::Frugal => 0,
        };
        let left = enough.saturating_sub(sound.runs());
        let testable = !self.skipped.contains(&self.sound_end());
        (left > 0 && testable)
            .then(|| Step::Test(vec![Probe { node: self.sound_end(), runs: left }]))
    }

    /// What must be tested again before `culprit` is named: itself and its parents must each have
    /// been tested in two separate rounds and shown their side.
    fn proof(&self, culprit: Node) -> Vec<Probe> {
        let parents = self.history.parents(culprit).iter().copied();
        let introduced = self.config.sense == Sense::Introduced;
        let sides = parents.map(|node| (node, !introduced)).chain([(culprit, introduced)]);
        let lacking: Vec<Node> = sides
            .filter(|&(node, fails)| !self.skipped.contains(&node) && !self.shown(node, fails))
            .map(|(node, _)| node)
            .collect();
        if self.config.mode == Mode::Frugal {
            return lacking.into_iter().take(1).map(|node| Probe { node, runs: 1 }).collect();
        }
        // One failure shows the culprit's side; its parents' takes all the silence there can be.
        let weight = |node: Node| if node == culprit && lacking.len() > 1 { 1 } else { 2 };
        let all: u32 = lacking.iter().map(|&node| weight(node)).sum();
        let share = |node: Node| (self.config.batch * weight(node)).div_ceil(all.max(1));
        let mut left = self.config.batch.max(u32::try_from(lacking.len()).unwrap_or(u32::MAX));
        let mut probes = Vec::new();
        for (at, &node) in lacking.iter().enumerate() {
            let others = u32::try_from(lacking.len() - at - 1).unwrap_or(u32::MAX);
            let runs = if others == 0 { left } else { share(node).min(left - others) };
            left -= runs;
            probes.push(Probe { node, runs });
        }
        probes
    }

    fn shown(&self, node: Node, fails: bool) -> bool {
        self.unit_of[node].is_some_and(|unit| {
            let unit = &self.units[unit];
            // Where a rate looks high, or as if it changed, it is checked at the culprit itself,
            // where it matters.
            let high = self.rate() > HIGH;
            let doubted = high || self.drift().probability > 3.0 * DIFFERING;
            let runs = if doubted { SILENT } else { 0 };
            if fails {
                // Where titles cannot be told apart, one failure may be another's.
                let fired = if self.config.noise > TITLED { 2 } else { 1 };
                unit.rounds >= 2
                    && unit.rounds_hit >= fired
                    && unit.tally.ok + unit.tally.hit >= runs
            } else {
                unit.rounds >= 2 && unit.tally.ok >= if high { SILENT_HIGH } else { SILENT }
            }
        })
    }

    /// Whether so many runs beside the suspect were made that more would not change the picture.
    fn silent_enough(&self, suspect: Node) -> bool {
        let neighbours = match self.config.sense {
            Sense::Introduced => self.history.parents(suspect),
            Sense::Mended => &[suspect],
        };
        neighbours.iter().any(|node| {
            let tally = self.tally(*node);
            tally.hit > 0 && tally.ok + tally.hit >= 2 * SILENT
        })
    }
}

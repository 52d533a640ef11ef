//! Doubt in the one assumption the search makes: that the rate is the same everywhere.
//!
//! Where runs show that the rate differs between revisions, it may as well have fallen at the very
//! commit that looks guilty, and all older silence would mean little. The chance of that is worked
//! out from every silent run that would have to be explained, and taken off the confidence.

use crate::choose::Probe;
use crate::history::Node;
use crate::rates::{DIFFERING, Fired, differing, ln_at_any_rate, ln_noise, runs_to_rule_out};
use crate::search::{Class, Mode, Search, Sense, TITLED};

/// A rate that changes along the history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// The probability that the rate differs between revisions that have the bug.
    pub probability: f64,
    /// The probability that it fell at the likeliest suspect and the true culprit lies beyond.
    pub beyond: f64,
}

impl Search {
    /// How far the rate is seen to change, and what that means for the likeliest suspect.
    #[must_use]
    pub fn drift(&self) -> Drift {
        let (top, _) = self.top();
        let Some(guilty) = self.classes.iter().find(|class| class.members.contains(top)) else {
            return Drift { probability: 0.0, beyond: 0.0 };
        };
        let odds: f64 = self.beyond(guilty).map(|(_, odds)| odds).sum();
        let probability = self.differing(guilty).max(DIFFERING);
        let beyond = probability * odds / (1.0 - probability + probability * odds).max(1e-300);
        Drift { probability, beyond }
    }

    /// The probability that the rate differs between the builds that have the bug if it came in
    /// with one of `guilty`.
    fn differing(&self, guilty: &Class) -> f64 {
        let with = self.units.iter().enumerate().filter(|(at, _)| guilty.bug_in[*at]);
        let mut with: Vec<(Node, Fired)> =
            with.map(|(_, unit)| (unit.nodes[0], unit.tally.fired())).collect();
        with.sort_unstable_by_key(|(node, _)| *node);
        differing(&with.iter().map(|(_, fired)| *fired).collect::<Vec<_>>())
    }

    /// For each class that might be guilty instead if the rate fell at `guilty`, the odds of that.
    fn beyond<'a>(&'a self, guilty: &'a Class) -> impl Iterator<Item = (&'a Class, f64)> {
        let suspects = self.history.suspects() as f64;
        let noise = self.config.noise;
        self.classes.iter().filter_map(move |class| {
            if std::ptr::eq(class, guilty) || class.size == 0 {
                return None;
            }
            // The runs that a low rate would have to explain. A class that leaves a build failing
            // for no reason is no alternative.
            let mut between = Fired::default();
            for (at, unit) in self.units.iter().enumerate() {
                match (guilty.bug_in[at], class.bug_in[at]) {
                    (false, true) => {
                        between.hit += unit.tally.hit;
                        between.ok += unit.tally.ok;
                    }
                    (true, false) if unit.tally.hit > 0 => return None,
                    _ => {}
                }
            }
            // Many failures beside the suspect make odds that no float holds; beyond this they all
            // mean the same.
            const CERTAIN: f64 = 200.0;
            let sound = ln_noise(class.noise, noise) - ln_noise(guilty.noise, noise);
            let odds = (ln_at_any_rate(between) + sound).min(CERTAIN).exp();
            Some((class, class.size as f64 / suspects * odds))
        })
    }

    /// Whether the sound neighbours of the likeliest suspect fail now and then: the rate changed
    /// there and the true culprit is older.
    pub(crate) fn fails_beyond(&self) -> bool {
        let drift = self.drift();
        drift.beyond > 0.5
    }

    /// The probability of the likeliest suspect with all doubt taken off.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        let drift = self.drift();
        self.top().1.min(self.claim()) * (1.0 - drift.beyond)
    }

    /// Every suspect's probability, doubt in the rate included.
    #[must_use]
    pub fn posterior_with_doubt(&self) -> Vec<f64> {
        let mut all = self.posterior();
        let drift = self.drift();
        let (top, _) = self.top();
        let Some(guilty) = self.classes.iter().find(|class| class.members.contains(top)) else {
            return all;
        };
        let moved = drift.beyond;
        all.iter_mut().for_each(|part| *part *= 1.0 - moved);
        let odds: f64 = self.beyond(guilty).map(|(_, odds)| odds).sum();
        for (class, part) in self.beyond(guilty) {
            for member in class.members.iter() {
                all[member] += moved * part / odds / class.size as f64;
            }
        }
        all
    }

    /// How many more silent runs beside the likeliest suspect would settle the doubt.
    #[must_use]
    pub fn runs_to_settle(&self) -> u32 {
        let drift = self.drift();
        let allowed = (1.0 - self.config.confidence) / 2.0 / drift.probability.max(1e-9);
        runs_to_rule_out(allowed.min(1.0))
    }

    /// Where titles do not tell failures apart and one was seen beside `suspect`, the sound end is
    /// tested as often: what fails there as well is noise, and what does not is a lower rate. Runs
    /// beside the suspect alone never tell.
    pub(crate) fn against_noise(&self, suspect: Node) -> Option<Vec<Probe>> {
        let end = self.sound_end();
        if self.config.noise <= TITLED || self.skipped.contains(&end) {
            return None;
        }
        let beside = self.beside(suspect);
        let failed = beside.iter().map(|node| self.tally(*node)).filter(|tally| tally.hit > 0);
        let runs = failed.map(|tally| tally.runs()).max()?;
        (self.tally(end).runs() < runs).then(|| vec![Probe { node: end, runs: self.step() }])
    }

    /// The revisions that show the sound side of `suspect`.
    fn beside(&self, suspect: Node) -> Vec<Node> {
        match self.config.sense {
            Sense::Introduced => self.history.parents(suspect).to_vec(),
            Sense::Mended => vec![suspect],
        }
    }

    /// How many runs of one revision make a step.
    fn step(&self) -> u32 {
        if self.config.mode == Mode::Frugal { 1 } else { self.config.batch }
    }

    /// The step against doubt: more runs of the sound neighbours of `suspect`, or of the sound end.
    pub(crate) fn against_doubt(&self, suspect: Node) -> Vec<Probe> {
        let mut sound = self.beside(suspect);
        // A failure beside the suspect is a rate that fell there, or noise; noise is at the sound
        // end as well.
        if sound.iter().any(|node| self.tally(*node).hit > 0) {
            sound.push(self.sound_end());
        }
        let testable = sound.into_iter().filter(|node| !self.skipped.contains(node));
        let least = testable.min_by_key(|node| self.tally(*node).runs());
        least.map(|node| Probe { node, runs: self.step() }).into_iter().collect()
    }
}

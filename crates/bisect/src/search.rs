//! What is known so far, and the belief that follows from it.
//!
//! Suspects that every test so far treats alike form one *class*; a test of a new revision splits
//! the classes by its ancestry. Belief is kept per class, so its cost follows the number of tests
//! and not the number of commits.

use crate::history::{History, Node};
use crate::rates::{Fired, ln_bug_or_own, ln_noise, ln_own};
use crate::set::Set;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Which change is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sense {
    /// The commit that brought the failure in: its descendants fail.
    #[default]
    Introduced,
    /// The commit that mended it: its descendants do not fail.
    Mended,
}

/// What is to be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Time on the clock: builds and rounds of parallel runs.
    #[default]
    Clock,
    /// Runs, however many builds that takes.
    Frugal,
}

/// What a step costs, in seconds; the command measures it as it goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// One build.
    pub build: f64,
    /// One wave of up to [`Config::at_once`] runs.
    pub wave: f64,
}

/// How to search.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What is looked for.
    pub sense: Sense,
    /// What is saved.
    pub mode: Mode,
    /// A culprit is claimed at this probability, between 0 and 1.
    pub confidence: f64,
    /// Runs of the failing end of the range before anything else.
    pub first_runs: u32,
    /// The most runs in a round.
    pub batch: u32,
    /// How many runs go on at the same time.
    pub at_once: u32,
    /// What a step costs.
    pub costs: Costs,
    /// The belief, before any run, that the bug's title can come up without the bug: small where
    /// titles are read from the output, larger where a failure is only an exit code.
    pub noise: f64,
    /// The search ends undecided after this many runs.
    pub max_runs: u32,
}

/// [`Config::noise`] where titles tell failures apart.
pub const TITLED: f64 = 0.001;
/// [`Config::noise`] where they do not.
pub const UNTITLED: f64 = 0.2;

impl Default for Config {
    fn default() -> Config {
        Config {
            sense: Sense::Introduced,
            mode: Mode::Clock,
            confidence: 0.99,
            first_runs: 20,
            batch: 10,
            at_once: 10,
            costs: Costs { build: 417.0, wave: 540.0 },
            noise: TITLED,
            max_runs: 3000,
        }
    }
}

/// What runs of one revision came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Nothing happened.
    pub ok: u32,
    /// The bug fired, by its title's family.
    pub hit: u32,
    /// A failure of another title.
    pub other: u32,
    /// The run said nothing (boot failed, cannot tell).
    pub lost: u32,
}

impl Tally {
    /// All runs.
    #[must_use]
    pub fn runs(&self) -> u32 {
        self.ok + self.hit + self.other + self.lost
    }

    /// Adds the runs of another tally.
    pub fn add(&mut self, more: Tally) {
        self.ok += more.ok;
        self.hit += more.hit;
        self.other += more.other;
        self.lost += more.lost;
    }

    pub(crate) fn fired(&self) -> Fired {
        Fired { hit: self.hit, ok: self.ok }
    }
}

/// One build: all revisions that are known to give the same one, and its runs.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    pub(crate) nodes: Vec<Node>,
    pub(crate) tally: Tally,
    /// Rounds in which it fired, and rounds that said anything.
    pub(crate) rounds_hit: u32,
    pub(crate) rounds: u32,
}

/// Suspects that no test so far tells apart.
#[derive(Debug, Clone)]
pub(crate) struct Class {
    pub(crate) members: Set,
    pub(crate) size: usize,
    /// For each unit, whether it fails if one of these is guilty.
    pub(crate) bug_in: Vec<bool>,
    /// For each node, how many of these it contains.
    pub(crate) within: Vec<u32>,
    /// Two revisions with one build differ in these, so these change nothing.
    neutral: bool,
    /// If one of the class is guilty: the runs of revisions that have the bug, and of the rest.
    pub(crate) bug: Fired,
    pub(crate) noise: Fired,
    /// The runs that have the bug, each build by a rate of its own; and how likely that is.
    ln_own: f64,
    pub(crate) differing: f64,
    /// The class's part of the belief that steps are chosen by.
    pub(crate) weight: f64,
    /// Its part of the second belief that a claim must hold in ([`Search::claim`]).
    claim: f64,
}

/// The weight, before any run, that the range itself is wrong: the failure is in every revision.
const EVERYWHERE: f64 = 0.01;

/// A search under way: what was tested, and what follows.
#[derive(Debug, Clone)]
pub struct Search {
    pub(crate) history: Arc<History>,
    pub(crate) config: Config,
    pub(crate) units: Vec<Unit>,
    pub(crate) unit_of: Vec<Option<usize>>,
    pub(crate) skipped: BTreeSet<Node>,
    /// The first class stands for "everywhere" and has no members.
    pub(crate) classes: Vec<Class>,
    by_signature: HashMap<String, usize>,
    signatures: HashMap<Node, String>,
}

impl Search {
    /// A search that knows nothing but the range.
    #[must_use]
    pub fn new(history: Arc<History>, config: Config) -> Search {
        let everywhere = Class::new(Set::default(), &history);
        let everyone = Class::new(Set::full(history.suspects()), &history);
        let unit_of = vec![None; history.nodes()];
        let mut search = Search {
            history,
            config,
            units: Vec::new(),
            unit_of,
            skipped: BTreeSet::new(),
            classes: vec![everywhere, everyone],
            by_signature: HashMap::new(),
            signatures: HashMap::new(),
        };
        search.weigh();
        search
    }

    /// The history searched.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How it searches.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Replaces the assumed costs by measured ones.
    pub fn set_costs(&mut self, costs: Costs) {
        self.config.costs = costs;
    }

    /// The end of the range that fails.
    #[must_use]
    pub fn failing_end(&self) -> Node {
        match self.config.sense {
            Sense::Introduced => self.history.tip(),
            Sense::Mended => self.history.base(),
        }
    }

    /// The end of the range that does not fail.
    #[must_use]
    pub fn sound_end(&self) -> Node {
        match self.config.sense {
            Sense::Introduced => self.history.base(),
            Sense::Mended => self.history.tip(),
        }
    }

    /// Tells what `node` builds to. An equal signature means an equal build: all that is known of
    /// one is known of the other, and what lies between them changed nothing.
    ///
    /// Gives the revision that had the signature first, when it was another.
    pub fn built(&mut self, node: Node, signature: &str) -> Option<Node> {
        self.signatures.insert(node, signature.to_owned());
        let known = self.by_signature.get(signature).copied();
        let unit = match (self.unit_of[node], known) {
            (Some(unit), _) => unit,
            (None, Some(unit)) => self.join(node, unit),
            (None, None) => self.open(node),
        };
        self.by_signature.entry(signature.to_owned()).or_insert(unit);
        let first = self.units[unit].nodes[0];
        (first != node).then_some(first)
    }

    /// The signature of a revision, where its build is known.
    #[must_use]
    pub fn signature(&self, node: Node) -> Option<&str> {
        self.signatures.get(&node).map(String::as_str)
    }

    /// Whether a build of `node` exists, by itself or by an equal signature.
    #[must_use]
    pub fn is_built(&self, node: Node) -> bool {
        self.unit_of[node].is_some()
    }

    /// What the runs of a revision's build came to.
    #[must_use]
    pub fn tally(&self, node: Node) -> Tally {
        self.unit_of[node].map_or(Tally::default(), |unit| self.units[unit].tally)
    }

    /// Adds the outcome of runs of a revision.
    pub fn record(&mut self, node: Node, more: Tally) {
        let unit = self.unit_of[node].unwrap_or_else(|| self.open(node));
        let it = &mut self.units[unit];
        it.rounds += u32::from(more.ok + more.hit > 0);
        it.rounds_hit += u32::from(more.hit > 0);
        let before = ln_own(it.tally.fired());
        it.tally.add(more);
        let own = ln_own(it.tally.fired()) - before;
        for class in &mut self.classes {
            let runs = if class.bug_in[unit] { &mut class.bug } else { &mut class.noise };
            runs.hit += more.hit;
            runs.ok += more.ok;
            class.ln_own += if class.bug_in[unit] { own } else { 0.0 };
        }
        self.weigh();
    }

    /// Marks a revision as one that cannot be tested.
    pub fn skip(&mut self, node: Node) {
        self.skipped.insert(node);
    }

    /// Runs so far.
    #[must_use]
    pub fn runs(&self) -> u32 {
        self.units.iter().map(|unit| unit.tally.runs()).sum()
    }

    /// The probability that the failure is in every revision, so that the range is wrong.
    #[must_use]
    pub fn everywhere(&self) -> f64 {
        self.classes[0].weight
    }

    /// Every suspect's probability.
    #[must_use]
    pub fn posterior(&self) -> Vec<f64> {
        let mut all = vec![0.0; self.history.suspects()];
        for class in &self.classes {
            for member in class.members.iter() {
                all[member] = class.weight / class.size as f64;
            }
        }
        all
    }

    /// The likeliest suspect and its probability, as long as there is one rate.
    #[must_use]
    pub fn top(&self) -> (Node, f64) {
        self.likeliest()
            .and_then(|class| {
                Some((class.members.iter().next()?, class.weight / class.size as f64))
            })
            .unwrap_or((self.history.tip(), 0.0))
    }

    /// The likeliest suspect's probability by the second belief that a claim must hold in: one rate
    /// for all, and lower rates likelier than in the first. Where the first runs failed more often
    /// than they should, silence means less than it seems to.
    pub(crate) fn claim(&self) -> f64 {
        self.likeliest().map_or(0.0, |class| class.claim / class.size as f64)
    }

    fn likeliest(&self) -> Option<&Class> {
        let each = |class: &Class| class.weight / class.size as f64;
        let classes = self.classes.iter().filter(|class| class.size > 0);
        classes.max_by(|a, b| each(a).total_cmp(&each(b)))
    }

    /// The suspects that no revision left to test could tell apart, if the answer is among them.
    #[must_use]
    pub fn inseparable(&self) -> Option<Vec<Node>> {
        let class = self.classes.iter().find(|class| class.weight >= self.config.confidence)?;
        let splits = |node: &Node| {
            let held = class.within[*node] as usize;
            held > 0 && held < class.size && !self.skipped.contains(node)
        };
        let hidden = class.size > 1 && !class.members.iter().any(|node| splits(&node));
        hidden.then(|| class.members.iter().collect())
    }

    /// The expected rate at which the bug fires, over revisions that have it.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.classes.iter().map(|class| class.weight * crate::rates::rate(class.bug)).sum()
    }

    fn open(&mut self, node: Node) -> usize {
        let unit = self.units.len();
        self.split(node);
        for class in &mut self.classes {
            let has = class.members.iter().next().map(|one| self.history.contains(node, one));
            let mended = self.config.sense == Sense::Mended;
            class.bug_in.push(has.is_none_or(|has| has != mended));
        }
        self.units.push(Unit {
            nodes: vec![node],
            tally: Tally::default(),
            rounds_hit: 0,
            rounds: 0,
        });
        self.unit_of[node] = Some(unit);
        self.weigh();
        unit
    }

    fn join(&mut self, node: Node, unit: usize) -> usize {
        self.split(node);
        let first = self.units[unit].nodes[0];
        for class in &mut self.classes {
            if let Some(one) = class.members.iter().next() {
                class.neutral |=
                    self.history.contains(node, one) != self.history.contains(first, one);
            }
        }
        self.units[unit].nodes.push(node);
        self.unit_of[node] = Some(unit);
        self.weigh();
        unit
    }

    /// Splits every class into those that `node` contains and the rest.
    fn split(&mut self, node: Node) {
        let ancestors = self.history.ancestors(node);
        for at in 0..self.classes.len() {
            let class = &self.classes[at];
            let inside = class.within[node] as usize;
            if inside == 0 || inside == class.size {
                continue;
            }
            let (members, rest) = class.members.split(ancestors);
            let mut part = class.clone();
            part.settle(members, &self.history);
            let rest_within: Vec<u32> =
                class.within.iter().zip(&part.within).map(|(all, some)| all - some).collect();
            let class = &mut self.classes[at];
            class.size -= inside;
            class.members = rest;
            class.within = rest_within;
            self.classes.push(part);
        }
    }

    /// Works the belief out anew from the classes' sums.
    fn weigh(&mut self) {
        let others = self.others();
        let (mut weights, mut claims, mut differ) = (Vec::new(), Vec::new(), Vec::new());
        for class in &self.classes {
            let sides = others.iter();
            let other: f64 =
                sides.map(|&(u, bug, ok)| if class.bug_in[u] { bug } else { ok }).sum();
            let noise = ln_noise(class.noise, self.config.noise);
            let rest = match class.neutral {
                true => f64::NEG_INFINITY,
                false => self.ln_prior(class) + noise + other,
            };
            let (ln_bug, differing) = ln_bug_or_own(class.bug, class.ln_own);
            weights.push(rest + ln_bug);
            differ.push(differing);
            claims.push(rest + ln_own(class.bug));
        }
        scale(&mut weights);
        scale(&mut claims);
        for (at, class) in self.classes.iter_mut().enumerate() {
            (class.weight, class.claim, class.differing) = (weights[at], claims[at], differ[at]);
        }
    }

    fn ln_prior(&self, class: &Class) -> f64 {
        let prior = match class.size {
            0 => EVERYWHERE,
            size => (1.0 - EVERYWHERE) * size as f64 / self.history.suspects() as f64,
        };
        prior.ln()
    }

    /// For each unit that failed with other titles, what that says with and without the bug.
    ///
    /// Other failures happen at a common rate everywhere. Now and then a revision has one of its
    /// own; a little more often it is the bug in another guise.
    fn others(&self) -> Vec<(usize, f64, f64)> {
        const GUISE: f64 = 0.05;
        const OWN: f64 = 0.01;
        let seen: u32 = self.units.iter().map(|unit| unit.tally.other).sum();
        let runs: u32 = self.units.iter().map(|u| u.tally.other + u.tally.ok + u.tally.hit).sum();
        let rate = (0.5 + f64::from(seen)) / (10.0 + f64::from(runs));
        let with = |(at, unit): (usize, &Unit)| {
            let (other, rest) = (unit.tally.other, unit.tally.ok + unit.tally.hit);
            let common = rate.powf(f64::from(other)) * (1.0 - rate).powf(f64::from(rest));
            let local = crate::rates::ln_gamma(f64::from(other) + 1.0)
                + crate::rates::ln_gamma(f64::from(rest) + 1.0)
                - crate::rates::ln_gamma(f64::from(other + rest) + 2.0);
            let mix = |weight: f64| ((1.0 - weight) * common + weight * local.exp()).ln();
            (at, mix(GUISE), mix(OWN))
        };
        let units = self.units.iter().enumerate().filter(|(_, unit)| unit.tally.other > 0);
        units.map(with).collect()
    }
}

/// From logarithms of weights to parts of one.
fn scale(lns: &mut [f64]) {
    let most = lns.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let all: f64 = lns.iter().map(|ln| (ln - most).exp()).sum();
    lns.iter_mut().for_each(|ln| *ln = (*ln - most).exp() / all);
}

/// A mass of the belief too small to matter.
pub(crate) const NEGLIGIBLE: f64 = 1e-6;

impl Class {
    fn new(members: Set, history: &History) -> Class {
        let mut class = Class {
            members: Set::default(),
            size: 0,
            bug_in: Vec::new(),
            within: vec![0; history.nodes()],
            neutral: false,
            bug: Fired::default(),
            noise: Fired::default(),
            ln_own: 0.0,
            differing: 0.0,
            weight: 0.0,
            claim: 0.0,
        };
        class.settle(members, history);
        class
    }

    fn settle(&mut self, members: Set, history: &History) {
        self.size = members.len();
        let span = members.span();
        let fresh = self.members.len() == 0;
        for (node, within) in self.within.iter_mut().enumerate() {
            // A node that holds none of the class before it was split holds none now.
            if *within > 0 || fresh {
                *within = u32::try_from(members.count_common(history.ancestors(node), &span))
                    .unwrap_or(u32::MAX);
            }
        }
        self.members = members;
    }
}

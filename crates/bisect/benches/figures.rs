//! The figures of docs/BISECT.md.
//!
//! `cargo bench -p ringfence-bisect --bench figures -- SUITE [TRIALS [RATES [FIRST]]]` plays one
//! suite (`frugal`, `clock`, `other`, `untitled`, `drift-frugal`, `drift-clock`, `dag`, `neutral`,
//! `broken`, `speed`) and prints a line for each of its rows. Every trial has a fixed seed, so a
//! figure can be had again; FIRST (else 0) is the number of the first trial, so that a figure can
//! be had on seeds that nothing was tuned on.

use ringfence_bisect::sim::{Random, Trial, World, play};
use ringfence_bisect::{
    Config, Costs, End, History, Mode, Node, Search, Step, TITLED, Tally, UNTITLED,
};
use std::ops::Range;
use std::sync::Arc;

const RATES: [f64; 7] = [1.0, 0.8, 0.5, 0.3, 0.2, 0.1, 0.05];

/// What a row adds up.
#[derive(Default)]
struct Sums {
    trials: f64,
    right: f64,
    wrong: f64,
    claimed: f64,
    runs: f64,
    builds: f64,
    rounds: f64,
    seconds: f64,
    retested: u32,
    truth_missing: u32,
    /// Undecided, but the exact set of suspects that no test can tell apart holds the culprit.
    hidden: f64,
}

impl Sums {
    fn add(&mut self, trial: &Trial, culprit: Node) {
        self.trials += 1.0;
        if let End::Culprit { node, confidence } = trial.end {
            self.claimed += confidence;
            if node == culprit {
                self.right += 1.0;
            } else {
                self.wrong += 1.0;
            }
        } else if trial.hidden.contains(&culprit) {
            self.hidden += 1.0;
        } else if trial.truth <= 0.0 {
            self.truth_missing += 1;
        }
        self.runs += f64::from(trial.runs - trial.first_runs.min(trial.runs));
        self.builds += f64::from(trial.builds);
        self.rounds += f64::from(trial.rounds);
        self.seconds += trial.seconds;
        self.retested += trial.retested;
    }

    fn print(&self, name: &str) {
        let named = self.right + self.wrong;
        let mean = |sum: f64| sum / self.trials;
        println!(
            "{name:<22} trials {:>5}  right {:6.2}%  wrong {:5.2}%  undecided {:5.2}% (exact set {:.2}%)  claimed {:.4}  \
             observed {:.4}  runs beyond 20 {:7.1}  builds {:5.1}  rounds {:6.1}  hours {:6.2}  \
             retested {}  truth lost {}",
            self.trials,
            100.0 * mean(self.right),
            100.0 * mean(self.wrong),
            100.0 * (1.0 - mean(named)),
            100.0 * mean(self.hidden),
            self.claimed / named,
            self.right / named,
            mean(self.runs),
            mean(self.builds),
            mean(self.rounds),
            mean(self.seconds) / 3600.0,
            self.retested,
            self.truth_missing,
        );
    }
}

/// A row: a world drawn anew for every trial.
struct Row<'a> {
    name: String,
    history: Arc<History>,
    config: Config,
    same_title: f64,
    other_title: f64,
    /// The rate at a node, given the culprit and the trial's own random numbers.
    rate: &'a dyn Fn(Node, Node, &[f64; 4]) -> f64,
    signature: &'a dyn Fn(Node, Node) -> Option<String>,
}

impl Row<'_> {
    fn play(&self, trials: &Range<u64>) {
        let mut sums = Sums::default();
        for trial in trials.clone() {
            let mut random = Random::new(trial.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0xb15ec7);
            let culprit = random.below(self.history.suspects());
            let own = [(); 4].map(|()| random.unit());
            let world = World {
                history: Arc::clone(&self.history),
                culprit,
                rate: &|node| (self.rate)(node, culprit, &own),
                same_title: self.same_title,
                other_title: self.other_title,
                signature: &|node| (self.signature)(node, culprit),
            };
            sums.add(&play(&world, &self.config, &mut random), culprit);
        }
        sums.print(&self.name);
    }
}

fn config(mode: Mode) -> Config {
    // What one revision cost in the recorded bisection: 6 min 57 s a build, 9 min a round of ten.
    let costs = Costs { build: 417.0, wave: 540.0 };
    Config { mode, costs, noise: TITLED, ..Config::default() }
}

fn own_signature(node: Node, _: Node) -> Option<String> {
    Some(node.to_string())
}

fn rates(
    name: &str,
    history: &Arc<History>,
    config: &Config,
    rates: &[f64],
    trials: &Range<u64>,
    noise: [f64; 2],
) {
    for &rate in rates {
        let row = Row {
            name: format!("{name} p={rate}"),
            history: Arc::clone(history),
            config: config.clone(),
            same_title: noise[0],
            other_title: noise[1],
            rate: &|_, _, _| rate,
            signature: &own_signature,
        };
        row.play(trials);
    }
}

/// Rates that fall towards the culprit: in two steps at random places, or evenly.
fn drift(history: &Arc<History>, modes: &[Mode], trials: &Range<u64>) {
    let place = |node: Node, culprit: Node| {
        let last = history.suspects() - 1;
        (last - node) as f64 / (last - culprit).max(1) as f64
    };
    let steps = |node: Node, culprit: Node, own: &[f64; 4]| {
        let (first, second) = (own[0].min(own[1]), own[0].max(own[1]));
        match place(node, culprit) {
            at if at < first => 1.0,
            at if at < second => 0.3,
            _ => 0.02,
        }
    };
    let even =
        |node: Node, culprit: Node, _: &[f64; 4]| 0.02f64.powf(place(node, culprit).min(1.0));
    type RateOf<'a> = &'a dyn Fn(Node, Node, &[f64; 4]) -> f64;
    let kinds: [(&str, RateOf<'_>); 2] =
        [("drift 1, 0.3, 0.02", &steps), ("drift even to 0.02", &even)];
    for &mode in modes {
        for (name, rate) in kinds {
            Row {
                name: format!("{name} {mode:?}"),
                history: Arc::clone(history),
                config: Config { max_runs: 1500, ..config(mode) },
                same_title: 0.0,
                other_title: 0.0,
                rate,
                signature: &own_signature,
            }
            .play(trials);
        }
    }
}

/// Commits on a main line, with side branches of random length that part and join again: about a
/// quarter of the commits are merges.
fn branchy(suspects: usize) -> History {
    let mut random = Random::new(7);
    /// Stands for the known end until its number is known.
    const BASE: Node = Node::MAX;
    let mut parents: Vec<Vec<Node>> = Vec::with_capacity(suspects);
    let mut line: Vec<Node> = vec![BASE];
    while parents.len() < suspects {
        let tip = line[line.len() - 1];
        if random.chance(0.55) {
            let from = line[line.len() - 1 - random.below(line.len().min(60))];
            let mut side = from;
            for _ in 0..=random.below(5) {
                parents.push(vec![side]);
                side = parents.len() - 1;
            }
            parents.push(vec![tip, side]);
        } else {
            parents.push(vec![tip]);
        }
        line.push(parents.len() - 1);
    }
    let suspects = parents.len();
    for parent in parents.iter_mut().flatten().filter(|parent| **parent == BASE) {
        *parent = suspects;
    }
    History::new(parents, 1)
}

/// The history of a real repository, as `git rev-list --topo-order --reverse --parents RANGE`
/// wrote it to the file named in `RINGFENCE_BISECT_HISTORY`.
fn recorded() -> Option<History> {
    let text = std::fs::read_to_string(std::env::var_os("RINGFENCE_BISECT_HISTORY")?).ok()?;
    let names: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    let nodes: std::collections::HashMap<&str, Node> =
        names.iter().enumerate().map(|(node, line)| (line[0], node)).collect();
    let suspects = names.len();
    let parent = |name: &&str| nodes.get(*name).copied().unwrap_or(suspects);
    let parents = names.iter().map(|line| line[1..].iter().map(parent).collect()).collect();
    Some(History::new(parents, 1))
}

fn dag() -> Arc<History> {
    let history = recorded().unwrap_or_else(|| branchy(7300));
    let merges = (0..history.suspects()).filter(|node| history.parents(*node).len() > 1).count();
    println!("history of {} suspects, {merges} merges", history.suspects());
    Arc::new(history)
}

/// Six of ten commits build to what their first parent builds to, the culprit never.
fn neutral(history: &Arc<History>, trials: &Range<u64>) {
    let same = |node: Node, culprit: Node| {
        node < history.suspects()
            && node != culprit
            && Random::new(node as u64 + 99).chance(0.6)
            && history.parents(node).len() == 1
    };
    let signature = |node: Node, culprit: Node| {
        let mut at = node;
        while same(at, culprit) {
            at = history.parents(at)[0];
        }
        Some(at.to_string())
    };
    for mode in [Mode::Clock, Mode::Frugal] {
        Row {
            name: format!("60% neutral {mode:?}"),
            history: Arc::clone(history),
            config: config(mode),
            same_title: 0.0,
            other_title: 0.0,
            rate: &|_, _, _| 0.3,
            signature: &signature,
        }
        .play(trials);
    }
}

/// Rows of commits that do not build, a fifth of all.
fn broken(history: &Arc<History>, trials: &Range<u64>) {
    let mut blocks = vec![false; history.nodes()];
    let mut random = Random::new(3);
    let mut at = 0;
    while at < history.suspects() - 1 {
        let long = 1 + random.below(200);
        let end = (at + long).min(history.suspects() - 1);
        if random.chance(0.2) {
            blocks[at..end].fill(true);
        }
        at = end;
    }
    let signature = |node: Node, _: Node| (!blocks[node]).then(|| node.to_string());
    Row {
        name: "20% broken p=0.5".to_owned(),
        history: Arc::clone(history),
        config: config(Mode::Frugal),
        same_title: 0.0,
        other_title: 0.0,
        rate: &|_, _, _| 0.5,
        signature: &signature,
    }
    .play(trials);
}

/// The longest and the mean time of a choice among 14,000 commits with merges.
fn speed() {
    let history = Arc::new(branchy(14_000));
    for mode in [Mode::Clock, Mode::Frugal] {
        let mut search = Search::new(Arc::clone(&history), config(mode));
        let mut random = Random::new(1);
        let (mut longest, mut all, mut steps) = (0.0f64, 0.0, 0);
        loop {
            let start = std::time::Instant::now();
            let step = search.next();
            let took = start.elapsed().as_secs_f64() * 1e3;
            (longest, all, steps) = (longest.max(took), all + took, steps + 1);
            let Step::Test(probes) = step else { break };
            for probe in probes {
                let has = history.contains(probe.node, 5000);
                let hit = (0..probe.runs).filter(|_| has && random.chance(0.3)).count() as u32;
                search.record(probe.node, Tally { hit, ok: probe.runs - hit, ..Tally::default() });
            }
        }
        println!(
            "next step among 14000, {mode:?}: longest {longest:.2} ms, mean {:.2} ms, {steps} steps",
            all / f64::from(steps)
        );
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| !w.starts_with("--")).collect();
    let suite = words.first().map_or("speed", String::as_str);
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
    let first = number(3).unwrap_or(0);
    let trials = &(first..first + number(1).unwrap_or(200));
    let only: Option<Vec<f64>> =
        words.get(2).map(|list| list.split(',').filter_map(|p| p.parse().ok()).collect());
    let list = only.unwrap_or_else(|| RATES.to_vec());
    let line = || Arc::new(History::line(7000));
    let untitled = |mode| Config { noise: UNTITLED, ..config(mode) };
    match suite {
        "frugal" => rates("frugal", &line(), &config(Mode::Frugal), &list, trials, [0.0, 0.0]),
        "clock" => rates("clock", &line(), &config(Mode::Clock), &list, trials, [0.0, 0.0]),
        "other" => {
            rates("other titles 2%", &line(), &config(Mode::Clock), &list, trials, [0.0, 0.02])
        }
        "untitled" => {
            rates("same title 2%", &line(), &untitled(Mode::Clock), &list, trials, [0.02, 0.0])
        }
        "drift-frugal" => drift(&line(), &[Mode::Frugal], trials),
        "drift-clock" => drift(&line(), &[Mode::Clock], trials),
        "dag" => rates("dag", &dag(), &config(Mode::Frugal), &list, trials, [0.0, 0.0]),
        "neutral" => neutral(&dag(), trials),
        "broken" => broken(&line(), trials),
        _ => speed(),
    }
}

//! Choosing the next step: the most to be learnt for its cost.
//!
//! The measure is the mutual information between what is not known and whether the runs stay silent,
//! in bits per unit of cost. In frugal mode a step is a single run, and what is not known is the
//! guilty commit and the rate together: a rate known sooner makes the silent runs at the end count
//! for more. In clock mode a step is a round, which says little about the rate, and only the guilty
//! commit counts; its runs go to one revision or are shared between two, whichever pays.

use crate::history::Node;
use crate::rates::{Fired, bits_at_rate, silent_own, silent_with, silent_without};
use crate::search::{Mode, NEGLIGIBLE, Search, Sense};

/// Runs of one revision, as part of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The revision to test.
    pub node: Node,
    /// How many runs.
    pub runs: u32,
}

/// A live class: its weight, and the chance of silence of a run or round with and without the bug.
struct Live {
    at: usize,
    weight: f64,
    each: f64,
    bug: f64,
    sound: f64,
    /// The same with the bug if there is one rate, and how likely it is that there is not.
    one: f64,
    differing: f64,
}

fn mix(part: f64, one: f64, other: f64) -> f64 {
    (1.0 - part) * one + part * other
}

/// Entropy of a coin, in bits.
fn entropy(p: f64) -> f64 {
    let term = |p: f64| if p <= 0.0 { 0.0 } else { -p * p.log2() };
    term(p) + term(1.0 - p)
}

/// A class with less than this of the belief takes no part in choosing.
const LIVE: f64 = 1e-4;

/// What a run of a new build costs in frugal mode: runs are what counts, but of two revisions that
/// teach alike the one that is built already is taken.
const FRUGAL_BUILD: f64 = 1.05;

/// The best step, or none when no test can tell anything.
pub(crate) fn choose(search: &Search) -> Option<Vec<Probe>> {
    match search.config.mode {
        Mode::Frugal => {
            let (node, _) =
                best(search, 1, |node| if search.is_built(node) { 1.0 } else { FRUGAL_BUILD })?;
            Some(vec![Probe { node, runs: 1 }])
        }
        Mode::Clock => round(search),
    }
}

fn live(search: &Search, runs: u32) -> Vec<Live> {
    let classes = search.classes.iter().enumerate();
    classes
        .filter(|(_, class)| class.weight > LIVE)
        .map(|(at, class)| Live {
            at,
            weight: class.weight,
            each: class.weight / class.size.max(1) as f64,
            one: silent_with(class.bug, runs),
            bug: mix(
                class.differing,
                silent_with(class.bug, runs),
                silent_own(Fired::default(), runs),
            ),
            differing: class.differing,
            sound: silent_without(class.noise, runs, search.config.noise),
        })
        .collect()
}

/// About how many suspects are weighed for one step, shared out by belief; every n-th of a class
/// will do, for neighbours in a long row teach almost the same.
const WEIGHED: f64 = 256.0;
/// Of a small class as many as this: it is a part of history that is nearly settled.
const FEWEST: usize = 8;

/// The revisions worth testing: suspects that are still suspected, what is built already, and the
/// sound end.
fn candidates(search: &Search, live: &[Live]) -> Vec<Node> {
    let mut all: Vec<Node> = search.units.iter().map(|unit| unit.nodes[0]).collect();
    for class in live {
        let it = &search.classes[class.at];
        let share = (class.weight * WEIGHED).ceil() as usize;
        // What cannot be tested must not stand in the way of its neighbours.
        let skipped = |node: &Node| search.skipped.contains(node);
        let left = it.size - search.skipped.iter().filter(|n| it.members.contains(**n)).count();
        let stride = left.div_ceil(share.max(FEWEST)).max(1);
        let open = it.members.iter().filter(|node| !skipped(node));
        let some = open.skip(stride / 2).step_by(stride);
        all.extend(some.filter(|node| !search.is_built(*node)));
    }
    // Nothing else tells the oldest suspect from a failure that is in every revision.
    all.extend(Some(search.sound_end()).filter(|node| !search.is_built(*node)));
    all.retain(|node| !search.skipped.contains(node));
    all
}

/// The mass of a class under which `node` has the bug.
fn bug_mass(search: &Search, class: &Live, node: Node) -> f64 {
    let it = &search.classes[class.at];
    let held = f64::from(it.within[node]) * class.each;
    match (it.size, search.config.sense) {
        (0, _) => class.weight,
        (_, Sense::Introduced) => held,
        (_, Sense::Mended) => class.weight - held,
    }
}

/// The single revision with the most information per cost, and its value.
fn best(search: &Search, runs: u32, cost: impl Fn(Node) -> f64) -> Option<(Node, f64)> {
    let live = live(search, runs);
    let one_run = search.config.mode == Mode::Frugal && runs == 1;
    let with_bug = |class: &Live| match one_run {
        true => bits_at_rate(search.classes[class.at].bug),
        false => entropy(class.bug),
    };
    let bits: Vec<(f64, f64)> =
        live.iter().map(|class| (with_bug(class), entropy(class.sound))).collect();
    let mut found: Option<(Node, f64)> = None;
    for node in candidates(search, &live) {
        let (mut silent, mut doubt) = (0.0, 0.0);
        let seen = search.unit_of[node].map(|unit| search.units[unit].tally.fired());
        let own = seen.map(|seen| silent_own(seen, runs));
        for (class, bits) in live.iter().zip(&bits) {
            let with = bug_mass(search, class, node);
            let without = class.weight - with;
            // A build's own runs say more about it where rates differ.
            let (bug, bug_bits) = match own {
                Some(own) if class.differing > 0.01 && with > 0.0 => {
                    let bug = mix(class.differing, class.one, own);
                    (bug, entropy(bug))
                }
                _ => (class.bug, bits.0),
            };
            silent += with * bug + without * class.sound;
            doubt += with * bug_bits + without * bits.1;
        }
        let value = (entropy(silent) - doubt) * testable(search, node) / cost(node);
        if value > 1e-9 && found.is_none_or(|(_, best)| value > best) {
            found = Some((node, value));
        }
    }
    found
}

/// The chance that a revision can be tested at all: what breaks a build is seldom mended at once.
/// Only the nearest one that could not be tested counts, or a long row of them would seem hopeless
/// before all of it was tried, and its exact extent would never be known.
fn testable(search: &Search, node: Node) -> f64 {
    if search.is_built(node) {
        return 1.0;
    }
    let near = |&skipped: &Node| 1.0 - 0.9 * (-(node.abs_diff(skipped) as f64) / 12.0).exp();
    search.skipped.iter().map(near).fold(1.0, f64::min)
}

fn step_cost(search: &Search, nodes: &[Node], runs: u32) -> f64 {
    let builds = nodes.iter().filter(|node| !search.is_built(**node)).count();
    let waves = runs.div_ceil(search.config.at_once.max(1));
    f64::from(waves) * search.config.costs.wave + builds as f64 * search.config.costs.build
}

/// A round's plan: some waves of runs of one revision, or half a round on each of two.
fn round(search: &Search) -> Option<Vec<Probe>> {
    let batch = search.config.batch;
    let at_once = search.config.at_once.clamp(1, batch);
    let mut found: (Vec<Probe>, f64) = (Vec::new(), 0.0);
    let mut runs = at_once;
    loop {
        if let Some((node, value)) = best(search, runs, |node| step_cost(search, &[node], runs))
            && value > found.1
        {
            found = (vec![Probe { node, runs }], value);
        }
        if runs >= batch {
            break;
        }
        runs = (runs * 2).min(batch);
    }
    if found.0.is_empty() {
        return None;
    }
    if batch < 2 {
        return Some(found.0);
    }
    let halves = [batch - batch / 2, batch / 2];
    let live = live(search, halves[1]);
    let pool = pool(search, &live);
    for (at, &one) in pool.iter().enumerate() {
        for &two in &pool[at + 1..] {
            let bits = joint(search, &live, [one, two]);
            let likely = testable(search, one) * testable(search, two);
            let value = bits * likely / step_cost(search, &[one, two], batch);
            if value > found.1 {
                let pair = [one, two].into_iter().zip(halves);
                found = (pair.map(|(node, runs)| Probe { node, runs }).collect(), value);
            }
        }
    }
    Some(found.0)
}

/// Revisions worth pairing: those that hold about 1/16, 2/16 ... of the mass, and all builds.
fn pool(search: &Search, live: &[Live]) -> Vec<Node> {
    const PARTS: usize = 16;
    let mut nearest = [(f64::INFINITY, None); PARTS];
    for node in candidates(search, live) {
        if search.is_built(node) {
            continue;
        }
        let held = |class: &Live| f64::from(search.classes[class.at].within[node]) * class.each;
        let mass: f64 = live.iter().map(held).sum();
        if mass <= NEGLIGIBLE || mass >= 1.0 - NEGLIGIBLE {
            continue;
        }
        let part = ((mass * PARTS as f64) as usize).min(PARTS - 1);
        let off = (mass * PARTS as f64 - part as f64 - 0.5).abs();
        if off < nearest[part].0 {
            nearest[part] = (off, Some(node));
        }
    }
    let mut pool: Vec<Node> = nearest.into_iter().filter_map(|(_, node)| node).collect();
    let firsts = search.units.iter().map(|unit| unit.nodes[0]);
    pool.extend(
        firsts.filter(|node| !search.skipped.contains(node) && undecided(search, live, *node)),
    );
    pool
}

/// Whether some live class has the bug at `node` and another has not.
fn undecided(search: &Search, live: &[Live], node: Node) -> bool {
    let with: f64 = live.iter().map(|class| bug_mass(search, class, node)).sum();
    let all: f64 = live.iter().map(|class| class.weight).sum();
    with > LIVE && with < all - LIVE
}

/// Information of two probes taken together.
fn joint(search: &Search, live: &[Live], nodes: [Node; 2]) -> f64 {
    let mended = search.config.sense == Sense::Mended;
    let mut outcome = [0.0; 4];
    let mut doubt = 0.0;
    for class in live {
        let it = &search.classes[class.at];
        let silent = |bug: bool| if bug { class.bug } else { class.sound };
        for (bugs, mass) in patterns(search, it, class, nodes, mended) {
            if mass <= 0.0 {
                continue;
            }
            let [one, two] = [silent(bugs[0]), silent(bugs[1])];
            let chances =
                [one * two, one * (1.0 - two), (1.0 - one) * two, (1.0 - one) * (1.0 - two)];
            for (sum, chance) in outcome.iter_mut().zip(chances) {
                *sum += mass * chance;
            }
            doubt += mass * (entropy(one) + entropy(two));
        }
    }
    let term = |p: f64| if p <= 0.0 { 0.0 } else { -p * p.log2() };
    outcome.into_iter().map(term).sum::<f64>() - doubt
}

/// How a class's mass falls on "both fail", "only one fails", "neither fails".
fn patterns(
    search: &Search,
    it: &crate::search::Class,
    class: &Live,
    nodes: [Node; 2],
    mended: bool,
) -> [([bool; 2], f64); 4] {
    if it.size == 0 {
        let none = ([false, false], 0.0);
        return [([true, true], class.weight), none, none, none];
    }
    let one = it.within[nodes[0]] as usize;
    let two = it.within[nodes[1]] as usize;
    let common = match (one, two) {
        (0, _) | (_, 0) => 0,
        (one, two) if one == it.size => two,
        (one, two) if two == it.size => one,
        _ => {
            let first = search.history.ancestors(nodes[0]);
            let (shared, _) = it.members.split(first);
            shared.count_common(search.history.ancestors(nodes[1]), &it.members.span())
        }
    };
    let each = |count: usize| count as f64 * class.each;
    [
        ([!mended, !mended], each(common)),
        ([!mended, mended], each(one - common)),
        ([mended, !mended], each(two - common)),
        ([mended, mended], each(it.size + common - one - two)),
    ]
}

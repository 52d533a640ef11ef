//! What a bisection log supports: how sure its culprit is, by its own runs.
//!
//! The log does not hold the history, so the suspects each good verdict cleared are counted from
//! the revisions it says were left. Where the rate is the same in all bad revisions, it is used as
//! it is; where it differs, only the rate at the culprit itself says what silence beside it means.

use crate::log::{Item, Log};
use crate::rates::{Fired, differing, silent_at_any_rate};
use crate::titles::Titles;
use crate::verdict::Verdict;
use serde::Serialize;

/// The judgement of a log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// The commit the log names, if any.
    pub named_culprit: Option<String>,
    /// Its probability, by the log's own runs.
    pub confidence: f64,
    /// Whether that is enough, at the confidence asked for.
    pub confirmed: bool,
    /// What speaks against it, in words.
    pub reasons: Vec<String>,
    /// Further runs that would settle it.
    pub needed: Vec<Needed>,
    /// The titles taken for the bug.
    pub family: Vec<String>,
    /// Titles taken for something else.
    pub other_titles: Vec<String>,
    /// Every revision tested.
    pub revisions: Vec<Tested>,
}

/// Runs still to be made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Needed {
    /// The revision.
    pub hash: String,
    /// Further runs.
    pub runs: u32,
    /// What they show.
    pub why: String,
}

/// A revision of the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tested {
    /// The revision.
    pub hash: String,
    /// Its release name, where it was tested as one.
    pub release: Option<String>,
    /// The log's own verdict, where it gives one.
    pub verdict: Option<String>,
    /// Runs that fired.
    pub hit: u32,
    /// Runs that stayed silent.
    pub ok: u32,
    /// Runs that failed with another title.
    pub other: u32,
    /// Runs that said nothing.
    pub lost: u32,
    /// The rate, and the interval that holds it with 95%.
    pub rate: Option<[f64; 3]>,
    /// Titles and how often.
    pub titles: Vec<(String, u32)>,
    #[serde(skip)]
    left: Option<u32>,
}

/// The lowest rate that the proposed runs rule out.
const RULED_OUT: f64 = 0.03;

/// Judges a log at a confidence (0 to 1).
#[must_use]
pub fn replay(log: &Log, confidence: f64) -> Replay {
    let (mut revisions, titles) = revisions(log);
    let family = titles.family();
    for tested in &mut revisions {
        tested.settle(&family);
    }
    let named_culprit = log.items.iter().find_map(|item| match item {
        Item::FirstBad(hash) | Item::Culprit { hash, .. } => Some(hash.clone()),
        _ => None,
    });
    let all: std::collections::BTreeSet<&String> =
        revisions.iter().flat_map(|tested| tested.titles.iter().map(|(title, _)| title)).collect();
    let other_titles = all.into_iter().filter(|t| !family.contains(*t)).cloned().collect();
    let mut judged = Replay {
        confidence: 0.0,
        confirmed: false,
        reasons: Vec::new(),
        needed: Vec::new(),
        family: family.into_iter().collect(),
        other_titles,
        revisions,
        named_culprit,
    };
    judged.judge(log, confidence);
    judged
}

/// The revisions in the order they were tested, with all their runs.
fn revisions(log: &Log) -> (Vec<Tested>, Titles) {
    let mut found: Vec<Tested> = Vec::new();
    let mut titles = Titles::default();
    let (mut release, mut left) = (None, None);
    for item in &log.items {
        match item {
            Item::Release(name) => release = Some(name.clone()),
            Item::Left { revisions, .. } => left = Some(*revisions),
            Item::Testing { hash, .. } => {
                found.push(Tested::new(hash, release.take(), left.take()));
            }
            Item::AllRuns(said) => {
                // The log folds equal runs into one line; it does not say how many, and ten is
                // what a revision gets.
                for _ in 0..10 {
                    note(&mut found, &mut titles, &said.0);
                }
            }
            Item::Run(_, said) => note(&mut found, &mut titles, &said.0),
            Item::Git(words) => {
                if let [verdict, hash] = &words[..]
                    && let Some(tested) = found.iter_mut().find(|tested| tested.hash == *hash)
                {
                    tested.verdict = Some(verdict.clone());
                }
            }
            _ => {}
        }
    }
    (found, titles)
}

fn note(found: &mut [Tested], titles: &mut Titles, verdict: &Verdict) {
    let Some(tested) = found.last_mut() else { return };
    match verdict {
        Verdict::Ok => tested.ok += 1,
        Verdict::Crashed(title) => {
            titles.note(&tested.hash, title);
            match tested.titles.iter_mut().find(|(one, _)| one == title) {
                Some((_, count)) => *count += 1,
                None => tested.titles.push((title.clone(), 1)),
            }
        }
        _ => tested.lost += 1,
    }
}

impl Tested {
    fn new(hash: &str, release: Option<String>, left: Option<u32>) -> Tested {
        Tested {
            hash: hash.to_owned(),
            release,
            verdict: None,
            hit: 0,
            ok: 0,
            other: 0,
            lost: 0,
            rate: None,
            titles: Vec::new(),
            left,
        }
    }

    fn settle(&mut self, family: &std::collections::BTreeSet<String>) {
        for (title, count) in &self.titles {
            *if family.contains(title) { &mut self.hit } else { &mut self.other } += count;
        }
        let runs = self.hit + self.ok;
        if runs > 0 {
            let [low, high] = wilson(self.hit, runs);
            self.rate = Some([f64::from(self.hit) / f64::from(runs), low, high]);
        }
    }

    fn fired(&self) -> Fired {
        Fired { hit: self.hit, ok: self.ok }
    }
}

/// Wilson's interval of a rate, 95%.
fn wilson(hit: u32, runs: u32) -> [f64; 2] {
    const Z: f64 = 1.959_964;
    let (n, p) = (f64::from(runs), f64::from(hit) / f64::from(runs));
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    [(middle - half).max(0.0), (middle + half).min(1.0)]
}

/// The chance of so many silent runs at a rate known from these runs, Jeffreys' prior.
fn silent_after(seen: Fired, runs: u32) -> f64 {
    let (hit, ok) = (f64::from(seen.hit) + 0.5, f64::from(seen.ok) + 0.5);
    (0..runs).map(|i| (ok + f64::from(i)) / (hit + ok + f64::from(i))).product()
}

impl Replay {
    fn judge(&mut self, log: &Log, asked: f64) {
        let Some(culprit) = self.named_culprit.clone() else {
            self.reasons.push("the log names no culprit".to_owned());
            return;
        };
        let Some(named) = self.revisions.iter().find(|tested| tested.hash == culprit).cloned()
        else {
            self.reasons.push(format!("{culprit} was never tested itself"));
            return;
        };
        let bad: Vec<Fired> =
            self.revisions.iter().filter(|t| t.hit > 0).map(Tested::fired).collect();
        let differ = differing(&bad);
        let all = bad.iter().fold(Fired::default(), |sum, one| Fired {
            hit: sum.hit + one.hit,
            ok: sum.ok + one.ok,
        });
        let (same, local, any) = self.odds(all, named.fired());
        let steady = 1.0 / (1.0 + same);
        let changing = 1.0 / (1.0 + local) / (1.0 + any);
        self.confidence = (1.0 - differ) * steady + differ * changing;
        self.explain_rates(&named, all, differ);
        self.explain_titles(&named);
        self.explain_rest(log);
        self.confirmed = self.confidence >= asked;
        if !self.confirmed {
            self.propose(&named, asked);
        }
    }

    /// Odds that an older commit is guilty: at the mean rate, at the culprit's own rate, and if
    /// the rate fell to anything right there.
    fn odds(&self, all: Fired, named: Fired) -> (f64, f64, f64) {
        // From the newest good verdict back: each adds its silent runs to what must be explained,
        // for the suspects that it cleared.
        let steps: Vec<&Tested> = self.revisions.iter().filter(|t| t.left.is_some()).collect();
        let total =
            steps.first().and_then(|t| t.left).map_or(1.0, |left| 2.0 * f64::from(left) + 1.0);
        let (mut same, mut local, mut any) = (0.0, 0.0, 0.0);
        let mut silent = 0;
        for (at, tested) in steps.iter().enumerate().rev() {
            if tested.verdict.as_deref() != Some("good") {
                continue;
            }
            silent += tested.ok;
            let before = tested.left.map_or(0, |left| 2 * left + 1);
            let after = steps.get(at + 1).and_then(|t| t.left).map_or(0, |left| 2 * left + 1);
            let cleared = f64::from(before.saturating_sub(after).max(1));
            same += cleared * silent_after(all, silent);
            local += cleared * silent_after(named, silent);
            any += cleared / total * silent_at_any_rate(silent);
        }
        // Beyond the last good release: the silent runs of that release come on top.
        let released = self.revisions.iter().filter(|t| t.release.is_some() && t.hit == 0);
        silent += released.map(|t| t.ok).sum::<u32>();
        (same, local, any + silent_at_any_rate(silent))
    }

    fn explain_rates(&mut self, named: &Tested, all: Fired, differ: f64) {
        if differ < 0.5 {
            return;
        }
        let (hit, runs) = (all.hit - named.hit, all.hit + all.ok - named.hit - named.ok);
        self.reasons.push(format!(
            "the rate falls: {} of {} runs fired at the culprit, {hit} of {runs} at the other bad \
             revisions; older revisions are not cleared by a few silent runs",
            named.hit,
            named.hit + named.ok,
        ));
    }

    fn explain_titles(&mut self, named: &Tested) {
        let Some(first) = self.revisions.iter().find(|tested| tested.hit > 0) else { return };
        let shared = named.titles.iter().any(|one| first.titles.iter().any(|two| one.0 == two.0));
        if !shared && !named.titles.is_empty() {
            let names = |tested: &Tested| {
                let titles =
                    tested.titles.iter().map(|(title, count)| format!("{title} ({count})"));
                titles.collect::<Vec<_>>().join(", ")
            };
            self.reasons.push(format!(
                "the titles change: at the start {}, at the culprit {}",
                names(first),
                names(named)
            ));
        }
    }

    fn explain_rest(&mut self, log: &Log) {
        if log.items.iter().any(|item| matches!(item, Item::FlaggedFlaky | Item::SeemsFlaky)) {
            self.reasons.push("the log itself calls the reproducer flaky".to_owned());
        }
        for good in self.revisions.iter().filter(|t| t.release.is_some() && t.hit == 0) {
            let name = good.release.as_deref().unwrap_or_default();
            let chance = 100.0 * silent_at_any_rate(good.ok);
            self.reasons.push(format!(
                "release {name} counts as good by {} silent runs; a bug of unknown low rate stays \
                 silent that long in {chance:.0}% of cases",
                good.ok
            ));
        }
        let skipped =
            self.revisions.iter().filter(|t| t.verdict.as_deref() == Some("skip")).count();
        if skipped > 0 {
            self.reasons.push(format!("{skipped} revision(s) could not be tested"));
        }
    }

    /// Silent runs that rule out a low rate beside the culprit and at the good release.
    fn propose(&mut self, named: &Tested, asked: f64) {
        let enough = ((1.0 - asked).ln() / (1.0 - RULED_OUT).ln()).ceil() as u32;
        let beside = self.revisions.iter().rev().find(|t| t.verdict.as_deref() == Some("good"));
        let release = self.revisions.iter().find(|t| t.release.is_some() && t.hit == 0);
        let why = format!(
            "{enough} silent runs in all rule out a rate of {:.0}% at {:.0}%",
            100.0 * RULED_OUT,
            100.0 * asked
        );
        for tested in beside.into_iter().chain(release) {
            let runs = enough.saturating_sub(tested.ok);
            self.needed.push(Needed { hash: tested.hash.clone(), runs, why: why.clone() });
        }
        let why = "the culprit again: its rate and its titles decide what silence means".to_owned();
        self.needed.push(Needed { hash: named.hash.clone(), runs: 20, why });
    }
}

impl std::fmt::Display for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.named_culprit {
            Some(hash) => writeln!(f, "named culprit: {hash}")?,
            None => writeln!(f, "named culprit: none")?,
        }
        let word = if self.confirmed { "confirmed" } else { "not confirmed" };
        writeln!(f, "confidence: {:.3}, {word}", self.confidence)?;
        for reason in &self.reasons {
            writeln!(f, "  {reason}")?;
        }
        writeln!(f, "titles of the bug: {}", self.family.join("; "))?;
        if !self.other_titles.is_empty() {
            writeln!(f, "other titles: {}", self.other_titles.join("; "))?;
        }
        writeln!(f, "rates:")?;
        for tested in &self.revisions {
            let name = tested.release.as_deref().unwrap_or_default();
            let short = tested.hash.get(..12).unwrap_or(&tested.hash);
            match tested.rate {
                Some([rate, low, high]) => writeln!(
                    f,
                    "  {short} {name:<8} {:>3} of {:<3} {rate:.2} ({low:.2} to {high:.2})",
                    tested.hit,
                    tested.hit + tested.ok
                )?,
                None => writeln!(f, "  {short} {name:<8} nothing known")?,
            }
        }
        for needed in &self.needed {
            writeln!(f, "needed: {} more runs of {}: {}", needed.runs, needed.hash, needed.why)?;
        }
        Ok(())
    }
}

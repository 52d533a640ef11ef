//! The end of a search, put into words, JSON and a log.

use crate::drive::Finished;
use crate::error::Error;
use crate::job::Job;
use crate::log::{GoDuration, Item, Log, RunSaid};
use crate::next::{End, Why};
use crate::people::People;
use crate::search::{Sense, Tally};
use ringfence_git::{Commit, Oid, Repo};
use serde::Serialize;

/// What came out, in the form of `--json`.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The culprit's full hash.
    pub culprit: Option<String>,
    /// Its subject.
    pub subject: Option<String>,
    /// The probability of the likeliest suspect, 0 to 1.
    pub confidence: f64,
    /// How the search ended, in words, and what would raise the confidence.
    pub summary: Vec<String>,
    /// The suspects that hold all but a thousandth of the belief, likeliest first.
    pub suspects: Vec<Suspect>,
    /// Every revision touched, in order.
    pub revisions: Vec<Revision>,
    /// The rate at which the bug fires where it is.
    pub rate: f64,
    /// The probability that this rate changes along the history.
    pub rate_changes: f64,
    /// The titles taken for the bug.
    pub titles: Vec<String>,
    /// Who should hear of it.
    pub recipients: People,
    /// Seconds of builds.
    pub build_seconds: f64,
    /// Seconds of tests, added up.
    pub test_seconds: f64,
}

/// A suspect.
#[derive(Debug, Clone, Serialize)]
pub struct Suspect {
    /// Full hash.
    pub hash: String,
    /// 0 to 1.
    pub probability: f64,
}

/// A tested revision.
#[derive(Debug, Clone, Serialize)]
pub struct Revision {
    /// Full hash.
    pub hash: String,
    /// `bad`, `good` or `skip`, as all runs together have it.
    pub verdict: &'static str,
    /// Runs in all.
    pub runs: u32,
    /// Runs by what they came to.
    #[serde(flatten)]
    pub tally: Tally,
    /// What it built to.
    pub signature: Option<String>,
}

impl Outcome {
    /// Sums a finished search up.
    ///
    /// # Errors
    ///
    /// When git cannot tell the culprit's record.
    pub fn of(finished: &Finished, repo: &Repo) -> Result<Outcome, Error> {
        let search = &finished.search;
        let mut parts: Vec<(usize, f64)> =
            search.posterior_with_doubt().into_iter().enumerate().collect();
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut sum = 0.0;
        let kept = parts.iter().take_while(|(_, part)| {
            let more = sum < 0.999;
            sum += part;
            more && *part > 0.0
        });
        let suspects = kept
            .map(|&(node, probability)| Suspect {
                hash: finished.range.id(node).to_string(),
                probability,
            })
            .collect();
        let culprit = match finished.end {
            End::Culprit { node, .. } => Some(finished.range.id(node)),
            _ => None,
        };
        let commit = culprit.map(|id| repo.commit(id)).transpose()?;
        let tip = finished.range.id(finished.range.history.tip());
        let recipients = match culprit {
            Some(id) => People::of(repo, id, tip)?,
            None => People::default(),
        };
        Ok(Outcome {
            culprit: culprit.map(|id| id.to_string()),
            subject: commit.map(|commit| commit.subject),
            confidence: search.confidence(),
            summary: summary(finished),
            suspects,
            revisions: finished.book.order.iter().map(|hash| revision(finished, hash)).collect(),
            rate: search.rate(),
            rate_changes: search.drift().probability,
            titles: finished.book.titles.family().into_iter().collect(),
            recipients,
            build_seconds: finished.book.building.0,
            test_seconds: finished.book.testing.0,
        })
    }
}

fn revision(finished: &Finished, hash: &str) -> Revision {
    let tally = finished.book.tally(hash, &finished.book.titles.family());
    let record = finished.book.records.get(hash);
    Revision {
        hash: hash.to_owned(),
        verdict: verdict(finished, hash, tally),
        runs: tally.runs(),
        tally,
        signature: record.and_then(|record| record.signature.clone()),
    }
}

/// By the likeliest suspect: a silent revision that contains it is bad all the same.
fn verdict(finished: &Finished, hash: &str, tally: Tally) -> &'static str {
    let node = hash.parse().ok().and_then(|id: Oid| finished.range.node(id));
    let built = finished.book.records.get(hash).is_some_and(|record| record.signature.is_some());
    let (top, _) = finished.search.top();
    let mended = finished.search.config().sense == Sense::Mended;
    match node {
        _ if !built => "skip",
        Some(node) if finished.search.history().contains(node, top) != mended => "bad",
        Some(_) => "good",
        None if tally.hit > 0 => "bad",
        None if tally.ok > 0 => "good",
        None => "skip",
    }
}

fn summary(finished: &Finished) -> Vec<String> {
    let search = &finished.search;
    let drift = search.drift();
    let mut said = Vec::new();
    match &finished.end {
        End::Culprit { .. } => {}
        End::NeverFails => {
            said.push("the failing end never failed: the test does not reproduce it".to_owned())
        }
        End::FailsEverywhere => {
            said.push("the sound end fails too: the bug is older than the range".to_owned())
        }
        End::Undecided(Why::OutOfRuns) => {
            said.push("undecided: the runs allowed are used up (--max-runs)".to_owned())
        }
        End::Undecided(Why::RateChanges) => said.push(
            "undecided: the rate falls at the likeliest suspect, but revisions without it fail too"
                .to_owned(),
        ),
        End::Undecided(Why::Untestable) if search.skipped.contains(&search.failing_end()) => {
            said.push("undecided: the failing end itself cannot be built or tested".to_owned())
        }
        End::Undecided(Why::Untestable) => said.push(match search.inseparable() {
            Some(hidden) => format!(
                "undecided between {} commits: no revision between them can be tested",
                hidden.len()
            ),
            None => "undecided: no revision left to test tells the suspects apart".to_owned(),
        }),
    }
    if drift.probability > 0.5 {
        said.push(format!(
            "the rate at which it fires changes along the history; about {} more silent runs beside \
             the likeliest suspect would rule out that it only became rarer there",
            search.runs_to_settle()
        ));
    }
    said
}

/// The log of a finished search.
///
/// # Errors
///
/// When git cannot tell a subject.
pub fn compose(
    finished: &Finished,
    outcome: &Outcome,
    job: &Job,
    repo: &Repo,
) -> Result<Log, Error> {
    let mut items = Vec::new();
    let start = repo.rev_parse(&job.bad)?.to_string();
    items.push(match job.config.sense {
        Sense::Introduced => Item::Cause(start),
        Sense::Mended => Item::Fix(start),
    });
    let releases = repo.tags(&job.releases, repo.rev_parse(&job.bad)?)?;
    let (mut began, mut flaky) = (false, false);
    let suspects = &finished.range.history;
    let mut low_high = (0usize, suspects.suspects());
    for revision in &outcome.revisions {
        let id: Option<Oid> = revision.hash.parse().ok();
        let node = id.and_then(|id| finished.range.node(id));
        let inner = node.is_some_and(|node| node < suspects.tip());
        if inner && !began {
            began = true;
            let ends =
                [suspects.tip(), suspects.base()].map(|node| finished.range.id(node).to_string());
            let [tip, base] = ends;
            items.push(Item::Git(vec!["start".to_owned(), tip, base]));
        }
        if inner && let (Some(id), Some(node)) = (id, node) {
            let left = (low_high.1 - low_high.0) / 2;
            let steps = usize::BITS - left.leading_zeros();
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            items.push(Item::Left { revisions: count(left), steps });
            items.push(Item::Next {
                hash: revision.hash.clone(),
                subject: repo.commit(id)?.subject,
            });
            items.push(Item::Text(String::new()));
            match revision.verdict {
                "bad" => low_high.1 = low_high.1.min(node + 1).max(low_high.0),
                "good" => low_high.0 = low_high.0.max(node + 1).min(low_high.1),
                _ => {}
            }
        } else if let Some(tag) = releases.iter().find(|tag| Some(tag.commit) == id) {
            items.push(Item::Release(tag.name.clone()));
        }
        tested(&mut items, finished, revision, &mut flaky);
        if inner {
            items.push(Item::Git(vec![revision.verdict.to_owned(), revision.hash.clone()]));
        }
    }
    if let Some(culprit) = outcome.culprit.as_ref().and_then(|hash| hash.parse().ok()) {
        close(&mut items, finished, outcome, &repo.commit(culprit)?, repo)?;
    }
    if flaky {
        items.push(Item::FlaggedFlaky);
    }
    totals(&mut items, outcome);
    Ok(Log {
        items,
        report: if outcome.titles.is_empty() { String::new() } else { "\n".to_owned() },
    })
}

/// A revision's own lines.
fn tested(items: &mut Vec<Item>, finished: &Finished, revision: &Revision, flaky: &mut bool) {
    items.push(Item::Testing { hash: revision.hash.clone(), with: None });
    let Some(record) = finished.book.records.get(&revision.hash) else { return };
    if let Some(why) = &record.unbuildable {
        items.push(Item::Text(format!("build failed: {why}")));
        return;
    }
    items.extend(record.signature.clone().map(Item::Signature));
    let first = record.runs.first().map(|(_, verdict)| verdict);
    match first {
        Some(one) if record.runs.iter().all(|(_, verdict)| verdict == one) => {
            items.push(Item::AllRuns(RunSaid(one.clone())));
        }
        _ => items.extend(
            (0u32..).zip(&record.runs).map(|(n, run)| Item::Run(n, RunSaid(run.1.clone()))),
        ),
    }
    let tally = revision.tally;
    if !*flaky && tally.hit > 0 && tally.hit < tally.ok {
        *flaky = true;
        items.push(Item::SeemsFlaky);
    }
}

/// The culprit's own record and signatures.
fn close(
    items: &mut Vec<Item>,
    finished: &Finished,
    outcome: &Outcome,
    commit: &Commit,
    repo: &Repo,
) -> Result<(), Error> {
    items.push(Item::FirstBad(commit.id.to_string()));
    items.extend(repo.show_stat(commit.id)?.lines().map(|line| Item::Text(line.to_owned())));
    items.push(Item::Text(String::new()));
    let signature = |id: &Oid| {
        let node = finished.range.node(*id)?;
        finished.search.signature(node).map(str::to_owned)
    };
    items.extend(signature(&commit.id).map(Item::CulpritSignature));
    items.extend(commit.parents.first().and_then(signature).map(Item::ParentSignature));
    let said = format!("confidence: {:.4}", outcome.confidence);
    items.push(Item::Text(said));
    Ok(())
}

fn totals(items: &mut Vec<Item>, outcome: &Outcome) {
    items.push(Item::Totals {
        revisions: u32::try_from(outcome.revisions.len()).unwrap_or(u32::MAX),
        total: GoDuration::from_seconds(outcome.build_seconds + outcome.test_seconds),
        build: GoDuration::from_seconds(outcome.build_seconds),
        test: GoDuration::from_seconds(outcome.test_seconds),
    });
    if let (Some(hash), Some(subject)) = (&outcome.culprit, &outcome.subject) {
        items.push(Item::Culprit { hash: hash.clone(), subject: subject.clone() });
        items.push(Item::To(outcome.recipients.to.clone()));
        items.push(Item::Cc(outcome.recipients.cc.clone()));
    }
    items.extend(outcome.summary.iter().map(|said| Item::Text(said.clone())));
    items.extend(outcome.titles.first().cloned().map(Item::Crash));
}

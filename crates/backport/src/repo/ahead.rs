//! Asking git the questions that are sure to come, several at once.
//!
//! A run over many branches asks the same few questions of each, and each answer takes a process.
//! Answers fetched ahead are handed out when their question comes up, so the record of a run and
//! its order stay what they were.

use super::fix::Examined;
use super::index::Index;
use super::port::merge_args;
use super::prereq::line_log;
use super::record::Record;
use crate::fingerprint::Fingerprint;
use crate::there::find;
use ringfence_git::{Oid, Output, Repo};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Gits that run at once at most: more wait for the same disk.
const GITS_MAX: usize = 4;

/// Answers by question.
pub type Answers = HashMap<Vec<String>, Output>;

/// Asks all questions; one that git cannot be asked is left to be asked again.
#[must_use]
pub fn ask(repo: &Repo, questions: &[Vec<String>]) -> Answers {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Answers::new());
    let gits = std::thread::available_parallelism().map_or(1, |n| n.get().min(GITS_MAX));
    std::thread::scope(|scope| {
        for _ in 0..gits.min(questions.len()) {
            scope.spawn(|| {
                while let Some(question) = questions.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = repo.call(question, b"");
                    if let (Ok(answer), Ok(mut answers)) = (answer, answers.lock()) {
                        answers.insert(question.clone(), answer);
                    }
                }
            });
        }
    });
    answers.into_inner().unwrap_or_default()
}

fn words(args: &[&str]) -> Vec<String> {
    args.iter().map(|arg| (*arg).to_owned()).collect()
}

/// What is asked of every branch before anything is known of it.
pub fn of_every_branch(record: &mut Record, fix: Oid, branches: &[(String, Oid)]) {
    let fix = fix.to_string();
    let not = format!("^{fix}");
    let mut questions = Vec::new();
    for (_, tip) in branches {
        let tip = tip.to_string();
        questions.push(words(&["merge-base", "--is-ancestor", &fix, &tip]));
        questions.push(words(&["merge-base", &fix, &tip]));
        questions.push(words(&["rev-list", "--no-merges", &tip, &not]));
    }
    record.fetch(&questions);
}

/// What is asked where no copy of the fix is found: the merges, and if one of them stops, who wrote
/// the lines in its way.
pub fn of_open_branches(
    record: &mut Record,
    index: &Index,
    fix: &Examined,
    since: Option<&str>,
    branches: &[(String, Oid)],
) {
    let Some(print) = index.get(&fix.fix.id) else { return };
    let not = format!("^{}", fix.id);
    let mut merges = Vec::new();
    for (_, tip) in branches {
        let name = tip.to_string();
        let Some(own) = record.fetched(&words(&["rev-list", "--no-merges", &name, &not])) else {
            continue;
        };
        let text = own.text();
        let prints: Vec<&Fingerprint> = text.lines().filter_map(|id| index.get(id)).collect();
        if !prints.is_empty() && find(print, &prints, true).is_none() {
            merges.push(merge_args(fix.parent, fix.id, *tip).to_vec());
        }
    }
    record.fetch(&merges);
    let stops = |merge: &Vec<String>| record.fetched(merge).is_some_and(|out| out.code == Some(1));
    if let Some(since) = since.filter(|_| merges.iter().any(stops)) {
        let who = line_log(&fix.patch, since, fix.parent);
        record.fetch(&who.into_iter().collect::<Vec<_>>());
    }
}

//! The rules of the stable branches, as data.

use crate::facts::{Apply, Branch, Fix, Statement};
use crate::tags::stable_requests;
use crate::verdict::{Judgement, Verdict};
use crate::{category, diff::Patch};
use serde::Serialize;

/// What everything a rule may look at hangs on.
pub struct Case<'a> {
    /// The fix.
    pub fix: &'a Fix,
    /// Its whole message.
    pub message: &'a str,
    /// The branch.
    pub branch: &'a Branch,
    /// Its verdict.
    pub judgement: &'a Judgement,
    /// The verdicts of the newer branches, newest first.
    pub newer: &'a [(String, Verdict)],
    /// Evidence of the message and of the change.
    pub by: (usize, usize),
}

/// What a rule says of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The rule is kept.
    Yes,
    /// The rule is broken.
    No,
    /// No command shows it.
    NotEstablished,
}

/// A rule.
struct Rule {
    text: &'static str,
    ask: fn(&Case<'_>) -> (Answer, Statement),
}

/// A rule's line in a checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The rule.
    pub rule: &'static str,
    /// Whether it is kept.
    pub answer: Answer,
    /// Why.
    pub why: Statement,
}

/// A change of at most this many lines, context included, is small.
const SMALL: usize = 100;

const RULES: &[Rule] = &[
    Rule { text: "It or an equivalent is upstream", ask: upstream },
    Rule { text: "Obviously correct and tested", ask: correct },
    Rule { text: "Small: at most 100 lines with context", ask: small },
    Rule { text: "Fixes a real bug", ask: real },
    Rule { text: "No new feature", ask: no_feature },
    Rule { text: "Applies", ask: applies },
    Rule { text: "Newer branches get it first", ask: newer_first },
];

/// The checklist of a case.
#[must_use]
pub fn checklist(case: &Case<'_>) -> Vec<Line> {
    let line = |rule: &Rule| {
        let (answer, why) = (rule.ask)(case);
        Line { rule: rule.text, answer, why }
    };
    RULES.iter().map(line).collect()
}

fn upstream(case: &Case<'_>) -> (Answer, Statement) {
    let by = [case.by.0];
    match case.fix.reverts.first() {
        Some(revert) => {
            (Answer::No, Statement::shown(format!("taken back by {}", revert.cite()), &by))
        }
        None => (Answer::Yes, Statement::shown(format!("commit {}", case.fix.id), &by)),
    }
}

fn correct(case: &Case<'_>) -> (Answer, Statement) {
    let run = |run: &Option<crate::facts::Run>| run.as_ref().map(|run| run.passed);
    let tested =
        case.fix.tags.iter().find(|tag| tag.name.to_ascii_lowercase().contains("tested-by"));
    match (run(&case.branch.build), run(&case.branch.test)) {
        (Some(false), _) | (_, Some(false)) => (
            Answer::No,
            Statement::shown("the build or the tests fail with it", &case.branch.runs_by),
        ),
        (_, Some(true)) => {
            (Answer::Yes, Statement::shown("its tests pass with it", &case.branch.runs_by))
        }
        _ => match tested {
            Some(tag) => {
                let text =
                    format!("no test was run here; the message says {}: {}", tag.name, tag.value);
                (Answer::NotEstablished, Statement::shown(text, &[case.by.0]))
            }
            None => (
                Answer::NotEstablished,
                Statement::open("no test was run, and no tag names a tester."),
            ),
        },
    }
}

fn small(case: &Case<'_>) -> (Answer, Statement) {
    let patch = Patch::read(&case.fix.patch);
    let lines: usize =
        patch.files.iter().flat_map(|file| &file.hunks).map(|hunk| hunk.lines.len()).sum();
    let answer = if lines <= SMALL { Answer::Yes } else { Answer::No };
    (answer, Statement::shown(format!("{lines} lines with context"), &[case.by.1]))
}

fn real(case: &Case<'_>) -> (Answer, Statement) {
    let said = category::said(case.message);
    let fixes = case.fix.tags.iter().any(|tag| tag.name == "Fixes" || tag.name == "Closes");
    if said.is_empty() && !fixes {
        let text = "the message names no failure, and no tag a commit at fault.";
        return (Answer::NotEstablished, Statement::open(text));
    }
    let words: Vec<_> = said.iter().map(|(kind, word)| format!("{kind} (\"{word}\")")).collect();
    let tag = if fixes { " and carries a Fixes: or Closes: tag" } else { "" };
    let text = format!("the message speaks of {}{tag}", words.join(", "));
    (Answer::Yes, Statement::shown(text, &[case.by.0]))
}

fn no_feature(case: &Case<'_>) -> (Answer, Statement) {
    let title = case.fix.subject.to_ascii_lowercase();
    let words = ["add support", "introduce", "implement", "new feature", "add new", "enable "];
    let patch = Patch::read(&case.fix.patch);
    let code = |path: &str| !crate::presence::is_beside_the_code(path);
    let new_files = patch
        .files
        .iter()
        .filter(|file| file.change == crate::diff::Change::Add && code(&file.new_path))
        .count();
    match words.iter().find(|word| title.contains(*word)) {
        Some(word) => {
            (Answer::No, Statement::shown(format!("the title says \"{word}\""), &[case.by.0]))
        }
        None if new_files > 0 => (
            Answer::NotEstablished,
            Statement::shown(format!("{new_files} new files of code"), &[case.by.1]),
        ),
        None => {
            let text = "neither the title nor a new file of code speaks of one";
            (Answer::Yes, Statement::shown(text, &[case.by.0, case.by.1]))
        }
    }
}

fn applies(case: &Case<'_>) -> (Answer, Statement) {
    let by = case.branch.findings.last().map(|finding| finding.by.clone()).unwrap_or_default();
    let first = case.judgement.why.first().cloned().unwrap_or_default();
    match (&case.branch.apply, case.judgement.verdict) {
        (_, Verdict::AlreadyThere | Verdict::NotAffected) => {
            (Answer::NotEstablished, Statement::shown("there was no need to try", &by))
        }
        (Apply::Conflict { .. }, Verdict::NeedsPerson) => {
            (Answer::No, Statement::shown(first, &by))
        }
        (Apply::NotTried, _) => (Answer::NotEstablished, Statement::open("it was not tried.")),
        _ => (Answer::Yes, Statement::shown(first, &by)),
    }
}

fn newer_first(case: &Case<'_>) -> (Answer, Statement) {
    let open: Vec<&str> = case
        .newer
        .iter()
        .filter(|(_, verdict)| *verdict == Verdict::NeedsPerson)
        .map(|(name, _)| name.as_str())
        .collect();
    let by = [case.by.0];
    if open.is_empty() {
        (Answer::Yes, Statement::shown("no newer branch is left open", &by))
    } else {
        (Answer::No, Statement::shown(format!("first settle {}", open.join(", ")), &by))
    }
}

/// What the tags ask of the stable branches, in one sentence.
#[must_use]
pub fn request(fix: &Fix) -> Option<String> {
    let requests = stable_requests(&fix.tags);
    let first = requests.first()?;
    let note = if first.note.is_empty() { String::new() } else { format!(" (# {})", first.note) };
    Some(if first.no_autosel {
        format!("A tag asks not to pick this by itself{note}.")
    } else {
        format!("A tag asks for the stable branches{note}.")
    })
}

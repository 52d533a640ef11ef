//! The statements of the report's steps that need all branches: where the fault is, how the fix
//! applies, what speaks for it and against it.

use super::fix::Examined;
use super::steps::Steps;
use crate::facts::{Apply, Branch, Named, Statement};
use crate::presence::Presence;
use crate::report::{Judged, rule_text};
use std::collections::{BTreeMap, BTreeSet};

/// Fills the steps that need all branches.
pub fn fill(steps: &mut Steps, fix: &Examined, branches: &[Judged]) {
    let mut by_step: BTreeMap<&'static str, Vec<Statement>> = BTreeMap::new();
    let mut say = |step, text: String, by: Vec<usize>| {
        by_step.entry(step).or_default().push(Statement { text, by });
    };
    for branch in branches {
        let facts = &branch.facts;
        let all = |words: &[&str]| evidence_of(facts, words);
        let presence = match facts.presence {
            Presence::Present => "the faulty code is there",
            Presence::Unclear => "code like it is there",
            Presence::Fixed => "the code reads as after the fix",
            Presence::Absent => "nothing of the faulty code is there",
        };
        if facts.copy.is_none() && facts.base.is_some() {
            say("6.1", format!("`{}`: {presence}.", facts.name), all(&["hunk "]));
        }
        let how = how_it_applies(&facts.apply);
        if let Some(how) = how {
            say("6.2", format!("`{}`: {how}.", facts.name), all(&["merge"]));
        }
        let there = match &facts.copy {
            Some(copy) => format!(
                "`{}`: {} carries the fix.",
                facts.name,
                copy.id.get(..12).unwrap_or(&copy.id)
            ),
            None => format!("`{}`: not there.", facts.name),
        };
        say("6.3", there, all(&["copy of the fix", "carries the fix", "common ancestor"]));
        if !facts.prerequisites.is_empty() {
            let list: Vec<_> = facts.prerequisites.iter().map(Named::cite).collect();
            say(
                "3.5",
                format!("`{}` needs {} first.", facts.name, list.join(", ")),
                all(&["goes on behind"]),
            );
        }
        let why = branch.judgement.why.first().cloned().unwrap_or_default();
        say(
            "9.4",
            format!("`{}`: {} ({why}).", facts.name, branch.judgement.verdict.phrase()),
            all(&[""]),
        );
    }
    weigh(&mut say, fix, branches);
    for (step, statements) in by_step {
        steps.entry(step).or_default().extend(statements);
    }
}

/// The last two phases: impact, risk, for and against.
fn weigh(
    say: &mut impl FnMut(&'static str, String, Vec<usize>),
    fix: &Examined,
    branches: &[Judged],
) {
    let with = |wanted: Presence| {
        branches
            .iter()
            .filter(move |branch| branch.facts.presence == wanted && branch.facts.copy.is_none())
    };
    let names = |list: Vec<&Judged>| {
        list.iter().map(|branch| branch.facts.name.clone()).collect::<Vec<_>>().join(", ")
    };
    let by: Vec<usize> = branches
        .iter()
        .flat_map(|branch| &branch.facts.findings)
        .filter(|finding| finding.text.contains("hunk "))
        .flat_map(|finding| finding.by.clone())
        .collect();
    let present: Vec<&Judged> = with(Presence::Present).collect();
    if !present.is_empty() {
        say(
            "8.1",
            format!("Users of {}: the faulty code is there.", names(present.clone())),
            by.clone(),
        );
        say("9.1", format!("For: the faulty code is in {}.", names(present)), by);
    }
    for sentence in crate::category::telling_sentences(&fix.message) {
        let lower = sentence.to_ascii_lowercase();
        if ["when ", "if ", "trigger", "reproduc"].iter().any(|word| lower.contains(word)) {
            say("8.2", format!("By the message: \"{sentence}\""), vec![fix.by_message]);
        }
    }
    for (kind, word) in crate::category::said(&fix.message) {
        say("8.3", format!("By the message: {kind} (\"{word}\")."), vec![fix.by_message]);
        say(
            "9.1",
            format!("For: the message speaks of {kind} (\"{word}\")."),
            vec![fix.by_message],
        );
    }
    let (added, removed) = fix.fix.lines;
    say(
        "8.4",
        format!("Risk by size: {} lines in {} files.", added + removed, fix.fix.paths.len()),
        vec![fix.by_stat],
    );
    for branch in branches {
        for danger in &branch.facts.dangers {
            let text = format!("`{}`, {}: {}.", branch.facts.name, danger.path, danger.what);
            say("8.4", format!("Risk on {text}"), vec![fix.by_patch]);
            say("9.1", format!("Against: {text}"), vec![fix.by_patch]);
        }
        let number = |(at, line)| rule_text(at + 1, line);
        for statement in branch.rules.iter().enumerate().map(number) {
            say("9.2", format!("`{}` {}", branch.facts.name, statement.text), statement.by);
        }
    }
    let tags: BTreeSet<&str> = fix.fix.tags.iter().map(|tag| tag.name).collect();
    for wanted in ["Fixes", "Reported-by", "Tested-by", "Reviewed-by"] {
        if !tags.contains(wanted) {
            say("9.1", format!("Against: no {wanted}: tag."), vec![fix.by_message]);
        }
    }
    for named in &fix.fix.follow_ups {
        say(
            "9.1",
            format!("Against: upstream followed up with {}.", named.cite()),
            fix.by_follow_ups.clone(),
        );
    }
    for named in &fix.fix.reverts {
        say(
            "9.1",
            format!("Against: upstream reverted it with {}.", named.cite()),
            fix.by_follow_ups.clone(),
        );
    }
    for mate in &fix.fix.mates {
        say(
            "9.1",
            format!("Against taking it alone: {} is of the same series.", mate.cite()),
            fix.by_mates.clone(),
        );
    }
}

/// The evidence of the findings that hold one of these words, each number once.
fn evidence_of(facts: &Branch, words: &[&str]) -> Vec<usize> {
    let holds = |text: &str| words.iter().any(|word| text.contains(word));
    let found = facts.findings.iter().filter(|finding| holds(&finding.text));
    let by: BTreeSet<usize> = found.flat_map(|finding| finding.by.iter().copied()).collect();
    by.into_iter().collect()
}

fn how_it_applies(apply: &Apply) -> Option<String> {
    Some(match apply {
        Apply::NotTried => return None,
        Apply::Clean { moved: false, fuzz: false } => "clean".to_owned(),
        Apply::Clean { fuzz: true, .. } => "clean in other surroundings".to_owned(),
        Apply::Clean { .. } => "clean at other line numbers".to_owned(),
        Apply::Renamed { .. } => "clean after a rename".to_owned(),
        Apply::Carried => "git's merge stops, settled step by step".to_owned(),
        Apply::Conflict { paths } => format!("conflicts in {}", paths.join(", ")),
    })
}

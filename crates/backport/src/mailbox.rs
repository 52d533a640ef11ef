//! The mails of a report: which branches share a mail, and what stands in it.

use crate::facts::BackportPatch;
use crate::mail::{Mail, range_of, version_of};
use crate::report::{Judged, Report};

/// The mails of a report, in both forms.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mailbox {
    /// Selection mails: one for each run of branches that take the very same patches.
    pub selection: Vec<u8>,
    /// Review mails by branch, prerequisites first.
    pub review: Vec<(String, Vec<u8>)>,
}

impl Mailbox {
    /// Writes the mails for the branches that take the fix.
    #[must_use]
    pub fn of(report: &Report) -> Mailbox {
        let takes: Vec<&Judged> = report
            .branches
            .iter()
            .filter(|branch| branch.judgement.verdict.makes_patch())
            .collect();
        let notes = notes(report);
        let mut selection = Vec::new();
        for group in groups(&takes) {
            let names: Vec<&str> = group.iter().map(|branch| branch.facts.name.as_str()).collect();
            for patch in &group[0].facts.patches {
                let is_fix = patch.upstream.id == report.fix.id;
                let mail = mail(report, group[0], patch);
                selection
                    .extend(mail.selection(&range_of(&names), if is_fix { &notes } else { "" }));
            }
        }
        let review = takes.iter().map(|branch| {
            let mails = branch.facts.patches.iter().map(|patch| mail(report, branch, patch));
            let version = version_of(&branch.facts.name);
            (branch.facts.name.clone(), mails.flat_map(|mail| mail.review(version)).collect())
        });
        Mailbox { selection, review: review.collect() }
    }

    /// All mails behind one another.
    #[must_use]
    pub fn whole(&self) -> Vec<u8> {
        let review = self.review.iter().flat_map(|(_, mails)| mails.iter().copied());
        self.selection.iter().copied().chain(review).collect()
    }
}

/// Neighbouring branches that take the same changes; where only line numbers differ, one patch
/// serves them.
fn groups<'a>(takes: &[&'a Judged]) -> Vec<Vec<&'a Judged>> {
    let mut groups: Vec<Vec<&Judged>> = Vec::new();
    let same = |a: &Judged, b: &Judged| {
        let bare = |branch: &Judged| -> Vec<String> {
            branch.facts.patches.iter().map(|patch| without_places(&patch.diff)).collect()
        };
        bare(a) == bare(b)
    };
    for branch in takes {
        match groups.last_mut() {
            Some(group) if same(group[0], branch) => group.push(branch),
            _ => groups.push(vec![branch]),
        }
    }
    groups
}

/// A diff without what depends on the place: object names and line numbers.
fn without_places(diff: &[u8]) -> String {
    let text = String::from_utf8_lossy(diff);
    let lines = text.lines().filter(|line| !line.starts_with("index "));
    lines
        .map(|line| if line.starts_with("@@ ") { "@@" } else { line })
        .collect::<Vec<_>>()
        .join("\n")
}

fn mail(report: &Report, branch: &Judged, patch: &BackportPatch) -> Mail {
    let is_fix = patch.upstream.id == report.fix.id;
    let deviations = if is_fix {
        branch.facts.settled.iter().flat_map(|file| file.sentences()).collect()
    } else {
        vec![format!("prerequisite of {}", report.fix.id)]
    };
    Mail {
        upstream: patch.upstream.id.clone(),
        subject: patch.upstream.subject.clone(),
        author: patch.author.clone(),
        date: patch.date.clone(),
        body: patch.body.clone(),
        sign_off: report.sign_off.clone(),
        deviations,
        stat: patch.stat.clone(),
        diff: patch.diff.clone(),
    }
}

/// What stands behind `---` of a selection mail: the nine phases, and the commands without their
/// inputs.
fn notes(report: &Report) -> String {
    let text = report.text();
    let lines = text.lines().skip_while(|line| !line.starts_with("## Phase 1"));
    let lines = lines.filter(|line| !line.starts_with("    |") && !line.starts_with("    \\"));
    format!(
        "Each statement names the commands that show it:\n\n{}",
        lines.collect::<Vec<_>>().join("\n")
    )
}

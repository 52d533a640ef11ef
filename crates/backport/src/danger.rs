//! *Merges cleanly yet means something else.*
//!
//! A merge compares lines, not meanings. These are the signs that the same lines mean something
//! else on a branch. Each has a weight, measured on real backports (`docs/BACKPORT.md`); together
//! they make a score, and a score above [`THRESHOLD`] asks for a person.

use crate::diff::{FilePatch, Side};
use crate::names::{body_of, function_name, identifiers, included};
use serde::Serialize;
use std::collections::BTreeSet;

/// A kind of sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// The change uses a name that the branch does not have.
    MissingName,
    /// The change includes a file that the branch does not have.
    MissingFile,
    /// A later upstream commit rewrites lines of this one.
    FollowUp,
    /// A later upstream commit is little else than a correction of this one.
    Repair,
    /// Such a correction was made in the last weeks.
    FreshRepair,
    /// Upstream has just made another commit for the same bug.
    SameBug,
    /// The function that is changed differs on the branch.
    OtherFunction,
    /// The function takes or drops other locks on the branch.
    OtherLocks,
    /// A function that the change calls is defined otherwise on the branch.
    OtherCallee,
    /// The change lands in another function than upstream.
    OtherPlace,
    /// Lines like those the fix removes stay in the file on the branch, and not upstream.
    Twin,
    /// Lines that the fix adds stand on the branch already, elsewhere in the file.
    Doubled,
    /// The file is made by a tool and should be made again on the branch.
    Generated,
    /// The change adds white-space errors.
    WhiteSpace,
    /// The file knew a name that the change uses, and the branch's file does not.
    UnknownName,
}

/// What each sign weighs. The three at 2.0 and the one below are those that a fit to one half of the
/// fixes in a real history puts far above the others; the other half judges them
/// (`docs/BACKPORT.md` has the command and the curve). Single ones of the rest prove nothing and
/// add up; "same bug" needs one more beside it.
const WEIGHTS: &[(Sign, f64)] = &[
    (Sign::MissingName, 2.0),
    (Sign::MissingFile, 2.0),
    (Sign::FreshRepair, 2.0),
    (Sign::SameBug, 1.75),
    (Sign::Generated, 1.0),
    (Sign::OtherPlace, 1.0),
    (Sign::FollowUp, 0.25),
    (Sign::Repair, 0.5),
    (Sign::OtherFunction, 0.5),
    (Sign::OtherLocks, 0.5),
    (Sign::OtherCallee, 0.5),
    (Sign::UnknownName, 0.5),
    (Sign::Twin, 0.5),
    (Sign::Doubled, 0.5),
    (Sign::WhiteSpace, 0.5),
];

/// Every kind of sign, in the order of their weights' table.
pub fn signs() -> impl Iterator<Item = Sign> {
    WEIGHTS.iter().map(|(sign, _)| *sign)
}

impl Sign {
    /// Its weight in the score.
    #[must_use]
    pub fn weight(self) -> f64 {
        WEIGHTS.iter().find(|(sign, _)| *sign == self).map_or(0.0, |(_, weight)| *weight)
    }
}

/// A sign that was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Danger {
    /// What kind of sign.
    pub sign: Sign,
    /// The file it is about.
    pub path: String,
    /// What exactly was seen.
    pub what: String,
}

/// A score from here on asks for a person.
pub const THRESHOLD: f64 = 2.0;

/// The score of a set of signs: each kind counts once per change, however often it is seen.
#[must_use]
pub fn score(dangers: &[Danger]) -> f64 {
    let kinds: BTreeSet<Sign> = dangers.iter().map(|danger| danger.sign).collect();
    kinds.iter().map(|sign| sign.weight()).sum()
}

/// One file in four versions.
#[derive(Debug, Clone, Copy)]
pub struct Versions<'a> {
    /// Its path.
    pub path: &'a str,
    /// Before the fix, upstream.
    pub base: &'a str,
    /// After the fix, upstream.
    pub theirs: &'a str,
    /// On the branch.
    pub ours: &'a str,
    /// On the branch with the fix.
    pub merged: &'a str,
}

/// Words that name the taking and dropping of locks in the code bases at hand.
const LOCK_WORDS: &[&str] =
    &["lock", "unlock", "mutex", "rcu", "atomic", "irq", "preempt", "acquire"];

/// Looks for the signs that the texts themselves show.
///
/// ```
/// use ringfence_backport::danger::{look, Sign, Versions};
/// let (base, theirs) = ("int work(void)\n{\n  lock();\n  run();\n}\n", "int work(void)\n{\n  lock();\n  drop_ref();\n  run();\n}\n");
/// let (ours, merged) = ("int work(void)\n{\n  run();\n}\n", "int work(void)\n{\n  drop_ref();\n  run();\n}\n");
/// let found = look(&Versions { path: "f.c", base, theirs, ours, merged });
/// assert!(found.iter().any(|danger| danger.sign == Sign::OtherLocks), "{found:?}");
/// ```
#[must_use]
pub fn look(file: &Versions<'_>) -> Vec<Danger> {
    let mut found = Vec::new();
    let mut say = |sign, what: String| {
        found.push(Danger { sign, path: file.path.to_owned(), what });
    };
    if is_generated(file.path, file.theirs) {
        say(Sign::Generated, "made by a tool; make it again on the branch".to_owned());
    }
    let upstream = Edit::between(file.base, file.theirs);
    let here = Edit::between(file.ours, file.merged);
    let spaced = upstream.added.iter().filter(|line| line.ends_with([' ', '\t'])).count();
    if spaced > 0 {
        say(Sign::WhiteSpace, format!("{spaced} added lines end with white space"));
    }
    let lost: Vec<_> = upstream.functions.difference(&here.functions).collect();
    let gained: Vec<_> = here.functions.difference(&upstream.functions).collect();
    if !gained.is_empty() {
        say(Sign::OtherPlace, format!("lands in {gained:?} instead of {lost:?}"));
    }
    functions(file, &upstream, &mut say);
    callees(file, &upstream, &mut say);
    twins(file, &upstream, &mut say);
    doubled(file, &upstream, &mut say);
    unknown_names(file, &upstream, &mut say);
    found
}

/// Names that the change uses and that its file knew before, where the branch's file does not.
fn unknown_names(file: &Versions<'_>, upstream: &Edit<'_>, say: &mut impl FnMut(Sign, String)) {
    if file.ours.is_empty() {
        return;
    }
    let used: BTreeSet<&str> = upstream.added.iter().flat_map(|line| identifiers(line)).collect();
    let before: BTreeSet<&str> = file.base.lines().flat_map(identifiers).collect();
    let here: BTreeSet<&str> = file.ours.lines().flat_map(identifiers).collect();
    // A step of the ladder may have kept the branch's own name: then this one is not used here.
    let after: BTreeSet<&str> = file.merged.lines().flat_map(identifiers).collect();
    let unknown =
        |name: &&&str| before.contains(**name) && !here.contains(**name) && after.contains(**name);
    for name in used.iter().filter(unknown) {
        say(
            Sign::UnknownName,
            format!("`{name}`, which the change uses, is not in the branch's file"),
        );
    }
}

/// Files that a change includes, that `lacks` says upstream has in one of the usual places and the
/// branch has not.
pub fn unknown_files(file: &FilePatch, lacks: &mut dyn FnMut(&str) -> bool) -> Vec<Danger> {
    let lines = file.hunks.iter().flat_map(|hunk| hunk.only(Side::Added));
    let dir = file.new_path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let mut found = Vec::new();
    for header in lines.filter_map(included) {
        let places = [header.to_owned(), format!("include/{header}"), format!("{dir}/{header}")];
        if places.iter().any(|place| lacks(place)) {
            let what = format!("includes `{header}`, which the branch does not have");
            found.push(Danger { sign: Sign::MissingFile, path: file.new_path.clone(), what });
        }
    }
    found
}

/// An edit of one file: its lines and the functions they stand in.
struct Edit<'a> {
    added: Vec<&'a str>,
    removed: Vec<&'a str>,
    functions: BTreeSet<&'a str>,
}

impl<'a> Edit<'a> {
    fn between(before: &'a str, after: &'a str) -> Edit<'a> {
        let (old, new): (Vec<&str>, Vec<&str>) =
            (before.lines().collect(), after.lines().collect());
        let map = crate::merge::align_lines(&old, &new);
        let kept: BTreeSet<usize> = map.iter().flatten().copied().collect();
        let removed_at = (0..old.len()).filter(|at| map[*at].is_none());
        let added_at = (0..new.len()).filter(|at| !kept.contains(at));
        let mut functions = BTreeSet::new();
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for at in removed_at {
            removed.push(old[at]);
            functions.extend(crate::names::enclosing(&old, at).and_then(function_name));
        }
        for at in added_at {
            added.push(new[at]);
            functions.extend(crate::names::enclosing(&new, at).and_then(function_name));
        }
        Edit { added, removed, functions }
    }
}

/// Compares the functions that the fix changes, before the fix and on the branch.
fn functions(file: &Versions<'_>, upstream: &Edit<'_>, say: &mut impl FnMut(Sign, String)) {
    let (base, ours): (Vec<&str>, Vec<&str>) =
        (file.base.lines().collect(), file.ours.lines().collect());
    for name in &upstream.functions {
        let (before, here) = (body_of(&base, name), body_of(&ours, name));
        if before.is_empty() || here.is_empty() || before == here {
            continue;
        }
        let same = crate::merge::align_lines(&before, &here).iter().flatten().count();
        let longer = before.len().max(here.len());
        if same * 10 < longer * 7 {
            say(Sign::OtherFunction, format!("{name}: {same} of {longer} lines agree"));
        }
        let locks = |body: &[&str]| -> Vec<String> {
            let names = body.iter().flat_map(|line| identifiers(line));
            let mut locks: Vec<String> = names
                .filter(|name| {
                    let name = name.to_ascii_lowercase();
                    LOCK_WORDS.iter().any(|word| name.contains(word))
                })
                .map(str::to_owned)
                .collect();
            locks.sort_unstable();
            locks
        };
        if locks(&before) != locks(&here) {
            say(Sign::OtherLocks, format!("{name}: takes or drops other locks than upstream"));
        }
    }
}

/// Compares the first lines of the functions that the change calls, where the file defines them.
fn callees(file: &Versions<'_>, upstream: &Edit<'_>, say: &mut impl FnMut(Sign, String)) {
    let (theirs, ours): (Vec<&str>, Vec<&str>) =
        (file.theirs.lines().collect(), file.ours.lines().collect());
    let names: BTreeSet<&str> = upstream.added.iter().flat_map(|line| identifiers(line)).collect();
    for name in names.difference(&upstream.functions) {
        let (there, here) = (body_of(&theirs, name), body_of(&ours, name));
        if let (Some(there), Some(here)) = (there.first(), here.first())
            && there != here
        {
            say(Sign::OtherCallee, format!("{name}: `{here}` here, `{there}` upstream"));
        }
    }
}

/// Lines that the fix removes everywhere upstream and that are left on the branch.
fn twins(file: &Versions<'_>, upstream: &Edit<'_>, say: &mut impl FnMut(Sign, String)) {
    let telling = |line: &&&str| identifiers(line).count() >= 2;
    for line in upstream.removed.iter().filter(telling) {
        let count = |text: &str| text.lines().filter(|other| other.trim() == line.trim()).count();
        if count(file.theirs) == 0 && count(file.merged) > 0 {
            say(Sign::Twin, format!("`{}` is left elsewhere in the file", line.trim()));
        }
    }
}

/// A run of lines that the fix adds and that the branch's file holds before it: carried over
/// already in part, or kept where upstream had dropped it.
fn doubled(file: &Versions<'_>, upstream: &Edit<'_>, say: &mut impl FnMut(Sign, String)) {
    let telling = |line: &&&str| identifiers(line).count() >= 2;
    let before: BTreeSet<&str> = file.base.lines().map(str::trim).collect();
    let here: BTreeSet<&str> = file.ours.lines().map(str::trim).collect();
    let new: BTreeSet<&str> =
        upstream.added.iter().filter(telling).map(|line| line.trim()).collect();
    let new: Vec<&str> = new.into_iter().filter(|line| !before.contains(line)).collect();
    let count = new.iter().filter(|line| here.contains(*line)).count();
    if count >= 3 && 2 * count >= new.len() {
        say(Sign::Doubled, format!("{count} of {} added lines are there already", new.len()));
    }
}

/// Whether a file is made by a tool.
fn is_generated(path: &str, text: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let named = ["configure", "Makefile.in", "Cargo.lock", "package-lock.json", "libm-test-ulps"];
    let head: String = text.lines().take(5).collect::<Vec<_>>().join("\n").to_ascii_lowercase();
    named.contains(&name)
        || name.ends_with(".abilist")
        || ["do not edit", "generated by", "generated automatically", "@generated"]
            .iter()
            .any(|mark| head.contains(mark))
}

//! From findings to a verdict.

use crate::danger::{THRESHOLD, score};
use crate::facts::{Apply, Branch, Fix, Named};
use crate::presence::{Presence, is_beside_the_code};
use serde::{Deserialize, Serialize};

/// What to do with a fix on a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It goes on as it is.
    Take,
    /// It goes on with the deviations that the report lists.
    Adapt,
    /// It goes on behind other commits.
    Prerequisites,
    /// The faulty code is not there.
    NotAffected,
    /// The fix is there.
    AlreadyThere,
    /// Commands cannot decide it.
    NeedsPerson,
}

impl Verdict {
    /// The verdict as a person reads it.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            Verdict::Take => "take",
            Verdict::Adapt => "take after adaptation",
            Verdict::Prerequisites => "take with prerequisites",
            Verdict::NotAffected => "not affected",
            Verdict::AlreadyThere => "already there",
            Verdict::NeedsPerson => "needs a person",
        }
    }

    /// Whether a backport is made for the branch.
    #[must_use]
    pub fn makes_patch(self) -> bool {
        matches!(self, Verdict::Take | Verdict::Adapt | Verdict::Prerequisites)
    }
}

/// A verdict and the reasons for it, the deciding one first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub why: Vec<String>,
}

/// Judges one branch. The questions stand in the order in which an answer ends the matter.
#[must_use]
pub fn judge(fix: &Fix, branch: &Branch) -> Judgement {
    let questions = [there, affected, upstream, possible, sound];
    let decided = questions.iter().find_map(|question| question(fix, branch));
    let (verdict, first) = decided.unwrap_or_else(|| goes_on(branch));
    let mut why = vec![first];
    if verdict.makes_patch() {
        why.extend(branch.settled.iter().flat_map(|file| file.sentences()));
        let cite = |list: &[Named]| list.iter().map(Named::cite).collect::<Vec<_>>().join(", ");
        if !fix.follow_ups.is_empty() {
            why.push(format!("upstream followed up with {}", cite(&fix.follow_ups)));
        }
        if !branch.incidental.is_empty() {
            why.push(format!("in the way but not needed: {}", cite(&branch.incidental)));
        }
    }
    why.extend(branch.dangers.iter().map(|danger| format!("{}: {}", danger.path, danger.what)));
    Judgement { verdict, why }
}

type Decision = Option<(Verdict, String)>;

/// Is it there already?
fn there(_: &Fix, branch: &Branch) -> Decision {
    if let Some(trouble) = &branch.trouble {
        return Some((Verdict::NeedsPerson, trouble.clone()));
    }
    if let Some(copy) = &branch.copy {
        let ways: Vec<_> = copy.ways.iter().map(|way| way.phrase()).collect();
        let named = Named { id: copy.id.clone(), subject: copy.subject.clone() };
        return Some(match &copy.reverted_by {
            None => (Verdict::AlreadyThere, format!("{}: {}", named.cite(), ways.join("; "))),
            Some(revert) => {
                let text = format!("{} was on the branch, and {revert} took it back", named.cite());
                (Verdict::NeedsPerson, text)
            }
        });
    }
    if branch.base.is_none() {
        let text = "the branch and the fix have no common ancestor".to_owned();
        return Some((Verdict::NeedsPerson, text));
    }
    if branch.no_change {
        let text = "carrying the fix over changes nothing".to_owned();
        return Some((Verdict::AlreadyThere, text));
    }
    (branch.presence == Presence::Fixed)
        .then(|| (Verdict::AlreadyThere, "the code reads as it does after the fix".to_owned()))
}

/// Is the faulty code there?
fn affected(_: &Fix, branch: &Branch) -> Decision {
    if branch.presence == Presence::Absent {
        let text = "nothing of the code that the fix changes is there".to_owned();
        return Some((Verdict::NotAffected, text));
    }
    // Where a fix only adds, its surroundings can be older than the fault: then the tag decides.
    let removes = branch.seen.iter().any(|(_, _, seen, _)| seen.removed.1 > 0);
    match &branch.culprit {
        Some((culprit, false)) if !removes => {
            let text = format!("the commit at fault, {}, is not there", culprit.cite());
            Some((Verdict::NotAffected, text))
        }
        _ => None,
    }
}

/// Does upstream still stand by it?
fn upstream(fix: &Fix, _: &Branch) -> Decision {
    let revert = fix.reverts.first()?;
    Some((Verdict::NeedsPerson, format!("upstream took the fix back with {}", revert.cite())))
}

/// Does it go on?
fn possible(_: &Fix, branch: &Branch) -> Decision {
    if !branch.prerequisites.is_empty() {
        return None;
    }
    if let Apply::Conflict { paths } = &branch.apply {
        let open: Vec<_> = branch.settled.iter().filter(|file| file.open > 0).collect();
        let count: usize = open.iter().map(|file| file.open).sum();
        let text = format!("{count} conflicts stay open in {}", paths.join(", "));
        return Some((Verdict::NeedsPerson, text));
    }
    let dropped =
        branch.settled.iter().find(|file| file.leaves_out() && !is_beside_the_code(&file.path));
    if let Some(file) = dropped {
        let text = format!("{}: a part of the fix changes lines that are not there", file.path);
        return Some((Verdict::NeedsPerson, text));
    }
    let missing = branch.missing.first()?;
    let text = format!("the change uses `{missing}`, which the branch does not have");
    Some((Verdict::NeedsPerson, text))
}

/// Does it hold?
fn sound(_: &Fix, branch: &Branch) -> Decision {
    let failed = |run: &Option<crate::facts::Run>| run.as_ref().is_some_and(|run| !run.passed);
    if failed(&branch.build) {
        return Some((Verdict::NeedsPerson, "it does not build".to_owned()));
    }
    if failed(&branch.test) {
        return Some((Verdict::NeedsPerson, "its tests fail".to_owned()));
    }
    (score(&branch.dangers) >= THRESHOLD).then(|| {
        let text = "it merges, and yet may mean something else here".to_owned();
        (Verdict::NeedsPerson, text)
    })
}

/// In which form does it go on?
fn goes_on(branch: &Branch) -> (Verdict, String) {
    if !branch.prerequisites.is_empty() {
        let list: Vec<_> = branch.prerequisites.iter().map(Named::cite).collect();
        return (Verdict::Prerequisites, format!("goes on behind {}", list.join(", then ")));
    }
    match &branch.apply {
        Apply::Carried => {
            (Verdict::Adapt, "git's merge stops; every step beyond it follows".to_owned())
        }
        Apply::Renamed { paths } => {
            let moves: Vec<_> =
                paths.iter().map(|(old, new)| format!("{old} is {new} here")).collect();
            (Verdict::Adapt, moves.join(", "))
        }
        Apply::Clean { moved, fuzz } => {
            let text = match (moved, fuzz) {
                (false, false) => "applies as it is",
                (true, false) => "applies as it is, at other line numbers",
                (_, true) => "applies as it is, in other surroundings",
            };
            (Verdict::Take, text.to_owned())
        }
        Apply::NotTried | Apply::Conflict { .. } => {
            (Verdict::NeedsPerson, "it was not tried".to_owned())
        }
    }
}

//! Is a fix already on a branch?
//!
//! Each way of being there is a rule over two fingerprints. Rules are tried from the surest to
//! the least sure; the answer names the commit and every rule that holds for it.

use crate::fingerprint::Fingerprint;
use crate::message::same_id;
use serde::Serialize;

/// A way of knowing that one commit is a copy of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The fix itself is in the branch's history.
    Ancestor,
    /// A hash trailer names the fix.
    Trailer,
    /// Both change the same lines in the same surroundings.
    PatchId,
    /// Both have the same title, and more than the title agrees.
    Title,
    /// The same author wrote both in the same second, as `git cherry-pick` keeps it.
    Authorship,
    /// Nearly all the fix's lines are among those of the other, larger commit.
    Containment,
}

impl Way {
    /// How the way reads in a sentence: "already there, …".
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            Way::Ancestor => "the branch contains the commit itself",
            Way::Trailer => "a trailer names the fix",
            Way::PatchId => "the same lines change in the same surroundings",
            Way::Title => "same title",
            Way::Authorship => "same author and author date",
            Way::Containment => "the change is contained in this one",
        }
    }
}

/// A commit of the branch that carries the fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copy {
    /// The commit.
    pub id: String,
    /// Its subject.
    pub subject: String,
    /// Every way that shows it, surest first.
    pub ways: Vec<Way>,
    /// The later commit that takes it back, if one does: then the fix is not there any more.
    pub reverted_by: Option<String>,
}

/// What fractions of the fix's lines another commit shares, and how many there are to share.
struct Shared {
    added: f64,
    removed: f64,
    lines: usize,
    paths: usize,
}

impl Shared {
    fn of(fix: &Fingerprint, other: &Fingerprint) -> Shared {
        let fraction = |of: &[u32], within: &[u32]| {
            let found = of.iter().filter(|line| within.binary_search(line).is_ok()).count();
            if of.is_empty() { 1.0 } else { found as f64 / of.len() as f64 }
        };
        Shared {
            added: fraction(&fix.added, &other.added),
            removed: fraction(&fix.removed, &other.removed),
            lines: fix.added.len() + fix.removed.len(),
            paths: fix.paths.iter().filter(|path| other.paths.contains(path)).count(),
        }
    }
}

/// The least share of the fix's lines that makes a title, or an author and date, proof enough.
const AGREEING: f64 = 0.3;
/// The share of the fix's lines that makes a larger commit contain the fix.
const CONTAINED: f64 = 0.9;
/// Fewer lines than this are too common to prove containment by themselves.
const CONTAINED_LINES: usize = 6;

/// Every way in which `other` shows itself as a copy of `fix`, surest first; trailers are looked
/// at only when `trailers` says so.
#[must_use]
pub fn ways(fix: &Fingerprint, other: &Fingerprint, trailers: bool) -> Vec<Way> {
    let mut found = Vec::new();
    if trailers && other.origins.iter().any(|origin| same_id(&origin.id, &fix.id)) {
        found.push(Way::Trailer);
    }
    if fix.patch.is_some() && fix.patch == other.patch {
        found.push(Way::PatchId);
    }
    let shared = Shared::of(fix, other);
    let agrees = shared.lines > 0
        && (shared.added + shared.removed) / 2.0 >= AGREEING
        && (shared.added > 0.0 || shared.removed > 0.0);
    let same_author = fix.author == other.author;
    let same_place = shared.paths > 0;
    let same_moment = same_author && fix.authored == other.authored;
    if fix.title == other.title && (agrees || same_place && same_author || same_moment) {
        found.push(Way::Title);
    }
    if same_moment && (agrees || same_place) {
        found.push(Way::Authorship);
    }
    let weakest = shared.added.min(shared.removed);
    if weakest >= CONTAINED && shared.lines >= CONTAINED_LINES && same_place {
        found.push(Way::Containment);
    }
    found
}

/// Looks for the fix among the commits that only the branch has, newest first.
///
/// ```
/// use ringfence_backport::{diff::Patch, fingerprint::Fingerprint, there::{find, Way}};
/// let patch = Patch::read("diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-wrong\n+right\n");
/// let fix = Fingerprint::take("12ab567890", "a@b", 5, "f: be right\n", &patch);
/// let copy = Fingerprint::take("abcdef1234", "c@d", 9, "x\n\ncommit 12ab567890 upstream.\n", &patch);
/// let found = find(&fix, &[&copy], true).unwrap();
/// assert_eq!(found.ways, [Way::Trailer, Way::PatchId]);
/// ```
#[must_use]
pub fn find(fix: &Fingerprint, branch: &[&Fingerprint], trailers: bool) -> Option<Copy> {
    let candidates = branch.iter().enumerate().filter_map(|(at, other)| {
        // A revert shares its lines with what it reverts, the other way around.
        let ways = ways(fix, other, trailers);
        let first = *ways.first()?;
        Some((first, std::cmp::Reverse(ways.len()), at, ways))
    });
    let (_, _, at, ways) = candidates.min()?;
    let copy = branch[at];
    let reverted_by = branch[..at]
        .iter()
        .find(|later| later.reverts.iter().any(|id| same_id(id, &copy.id)))
        .map(|later| later.id.clone());
    Some(Copy { id: copy.id.clone(), subject: copy.subject.clone(), ways, reverted_by })
}

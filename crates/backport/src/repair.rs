//! Did upstream have to mend the fix?
//!
//! A commit that rewrites lines soon after another commit wrote them says that something was wrong
//! with them. Upstream takes such a repair as a second commit; to a stable branch the two often go
//! as one, and the fix alone is then not what belongs there. Only commits that upstream has
//! already made are looked at, and *now* is the day the question is put.

use crate::danger::Sign;
use crate::fingerprint::Fingerprint;

const DAY: i64 = 86_400;
/// A repair comes within this time; later rewriting is development.
const SOON: i64 = 45 * DAY;
/// Rewriting after more than this says nothing of the fix.
const YEAR: i64 = 365 * DAY;
/// Lines that a repair changes at most; what changes more is a rework of its own.
const SMALL: usize = 50;
/// A repair made within this time is still on its way to the branches by itself.
const FRESH: i64 = 60 * DAY;
/// Another commit for the same bug is a second half of the fix if it came within this time,
const HALVES: i64 = 30 * DAY;
/// and if it is no older than this.
const RECENT: i64 = 7 * DAY;

/// How a later upstream commit bears on the fix; `None` if it does not.
///
/// ```
/// use ringfence_backport::{danger::Sign, diff::Patch, fingerprint::Fingerprint, repair::bears_on};
/// let take = |id: &str, day: i64, body: &str| {
///     let text = format!("diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n{body}");
///     let print = Fingerprint::take(id, "a@b", 0, "f: x\n", &Patch::read(&text));
///     Fingerprint { committed: day * 86_400, ..print }
/// };
/// let fix = take("1", 0, "-right--;\n+wrong--;\n");
/// let later = take("2", 3, "-wrong--;\n+better--;\n");
/// assert_eq!(bears_on(&fix, &later, 5 * 86_400), Some(Sign::FreshRepair));
/// assert_eq!(bears_on(&fix, &later, 300 * 86_400), Some(Sign::Repair));
/// assert_eq!(bears_on(&fix, &take("3", 3, "-other\n+another\n"), 0), None);
/// ```
#[must_use]
pub fn bears_on(fix: &Fingerprint, later: &Fingerprint, now: i64) -> Option<Sign> {
    let after = later.committed - fix.committed;
    let age = now - later.committed;
    if later.id == fix.id || !(0..YEAR).contains(&after) || age < 0 {
        return None;
    }
    let place = later.paths.iter().any(|path| fix.paths.contains(path));
    let hit = later.removed.iter().filter(|line| fix.added.binary_search(line).is_ok()).count();
    if place && hit > 0 {
        let small = later.removed.len() + later.added.len() <= SMALL;
        return Some(match small && after <= SOON && 2 * hit >= later.removed.len() {
            true if age <= FRESH => Sign::FreshRepair,
            true => Sign::Repair,
            false => Sign::FollowUp,
        });
    }
    let same_bug = fix.bugs.iter().any(|bug| later.bugs.contains(bug));
    (same_bug && after <= HALVES && age <= RECENT).then_some(Sign::SameBug)
}

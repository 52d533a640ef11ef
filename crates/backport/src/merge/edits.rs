//! The rung that carries a fix's edits one by one.
//!
//! Within a conflict, the fix's change is a few insertions and replacements of lines. Each is
//! looked at alone: where are the lines it touches, or else the lines beside it, in the branch's
//! text?

use super::chunk::{align, bare, same_but_spacing};
use super::tokens::merge_words;
use super::{Resolved, Rung};
use std::ops::Range;

/// An edit of the fix: these lines of the base become those lines of theirs.
struct Edit {
    base: Range<usize>,
    theirs: Range<usize>,
}

/// What becomes of the branch's lines in this conflict.
struct Plan<'a> {
    ours: &'a [&'a [u8]],
    drop: Vec<bool>,
    /// Lines to put before the branch's line of that number.
    insert: Vec<Vec<&'a [u8]>>,
    /// Like `insert`, for lines that are neither side's.
    own: Vec<Vec<Vec<u8>>>,
    steps: Vec<(Rung, usize)>,
}

/// Carries each edit to its place; `None` when one has no certain place.
///
/// `around` are the branch's lines before and behind the conflict, where there are any.
pub(super) fn carry_edits(
    base: &[&[u8]],
    ours: &[&[u8]],
    theirs: &[&[u8]],
    around: [Option<&[u8]>; 2],
) -> Option<Resolved> {
    let to_ours = align(base, ours);
    let mut plan = Plan {
        ours,
        drop: vec![false; ours.len()],
        insert: vec![Vec::new(); ours.len() + 1],
        own: vec![Vec::new(); ours.len() + 1],
        steps: Vec::new(),
    };
    for edit in edits(base, theirs) {
        let added = &theirs[edit.theirs.clone()];
        if edit.base.is_empty() {
            plan.insertion(edit.base.start, added, &to_ours)?;
        } else {
            plan.replacement(&base[edit.base.clone()], edit.base, added, &to_ours)?;
        }
    }
    plan.space(around);
    Some(plan.write())
}

/// The edits that lead from the base to theirs.
fn edits(base: &[&[u8]], theirs: &[&[u8]]) -> Vec<Edit> {
    let map = align(base, theirs);
    let mut found = Vec::new();
    let (mut b, mut t) = (0, 0);
    for (at, next) in map.into_iter().chain([Some(theirs.len())]).enumerate() {
        let Some(next) = next else { continue };
        if (b, t) != (at, next) {
            found.push(Edit { base: b..at, theirs: t..next });
        }
        (b, t) = (at + 1, next + 1);
    }
    found
}

impl<'a> Plan<'a> {
    /// Places lines that the fix inserts before the base's line `at`.
    fn insertion(
        &mut self,
        at: usize,
        added: &[&'a [u8]],
        to_ours: &[Option<usize>],
    ) -> Option<()> {
        // The branch's place after the line before, and that of the line behind.
        let after = if at == 0 { Some(0) } else { to_ours[at - 1].map(|line| line + 1) };
        let before = to_ours.get(at).copied().unwrap_or(Some(self.ours.len()));
        let (place, rung) = match (after, before) {
            (Some(after), Some(before)) if after == before => (after, Rung::Neighbours),
            (Some(after), Some(before)) => self.behind_own(after..before, added),
            (Some(after), None) => {
                let end = next_known(to_ours, at).unwrap_or(self.ours.len());
                self.beside(after..end, added, after)
            }
            (None, Some(before)) => {
                let start = last_known(to_ours, at).map_or(0, |line| line + 1);
                self.beside(start..before, added, before)
            }
            (None, None) => {
                let start = last_known(to_ours, at).map_or(0, |line| line + 1);
                let end = next_known(to_ours, at).unwrap_or(self.ours.len());
                self.among(start..end, added)?
            }
        };
        if rung != Rung::AlreadyThere {
            self.insert[place].extend_from_slice(added);
        }
        self.steps.push((rung, place));
        Some(())
    }

    /// A place for `added` among the branch's own lines in `range`.
    fn among(&self, range: Range<usize>, added: &[&[u8]]) -> Option<(usize, Rung)> {
        if range.is_empty() {
            return Some((range.start, Rung::Neighbours));
        }
        if self.holds(range.clone(), added) {
            return Some((range.start, Rung::AlreadyThere));
        }
        self.sorted_place(range, added).map(|place| (place, Rung::SortedList))
    }

    /// Beside the branch's own lines, when both lines around them are known.
    fn behind_own(&self, range: Range<usize>, added: &[&[u8]]) -> (usize, Rung) {
        let end = range.end;
        self.among(range, added).unwrap_or((end, Rung::OwnLines))
    }

    /// Like [`Plan::among`], with a neighbour that the branch still has to fall back on.
    fn beside(&self, range: Range<usize>, added: &[&[u8]], place: usize) -> (usize, Rung) {
        self.among(range, added).unwrap_or((place, Rung::Neighbours))
    }

    /// Whether the branch's lines in `range` hold all of `added`, in order.
    fn holds(&self, range: Range<usize>, added: &[&[u8]]) -> bool {
        let mut ours = self.ours[range].iter().map(|line| bare(line));
        added.iter().map(|line| bare(line)).all(|line| ours.any(|own| own == line))
    }

    /// The place in a sorted list of names; `None` when the lines are no such list.
    fn sorted_place(&self, range: Range<usize>, added: &[&[u8]]) -> Option<usize> {
        let own: Vec<Vec<u8>> = self.ours[range.clone()].iter().map(|line| bare(line)).collect();
        let new: Vec<Vec<u8>> = added.iter().map(|line| bare(line)).collect();
        let list = |lines: &[Vec<u8>]| lines.iter().all(|line| is_list_entry(line));
        if !list(&own) || !list(&new) || !own.is_sorted() {
            return None;
        }
        let first = new.first()?;
        Some(range.start + own.iter().take_while(|line| *line < first).count())
    }

    /// Replaces lines of the base, here in their form on the branch, by `added`.
    fn replacement(
        &mut self,
        removed: &[&[u8]],
        range: Range<usize>,
        added: &[&'a [u8]],
        to_ours: &[Option<usize>],
    ) -> Option<()> {
        let found: Vec<usize> = range.clone().filter_map(|line| to_ours[line]).collect();
        let start = last_known(to_ours, range.start).map_or(0, |line| line + 1);
        let end = next_known(to_ours, range.end).unwrap_or(self.ours.len());
        let (place, rung) = if found.len() == range.len() {
            (found[0], Rung::Neighbours)
        } else if !added.is_empty() && self.holds(start..end, added) {
            (start, Rung::AlreadyThere)
        } else if found.is_empty() && same_but_spacing(&self.ours[start..end], removed) {
            self.drop[start..end].fill(true);
            (start, Rung::Spacing)
        } else if let Some(lines) = years(removed, &self.ours[start..end], added) {
            self.drop[start..end].fill(true);
            self.insert[start].extend(lines.iter());
            self.steps.push((Rung::CopyrightYears, start));
            return Some(());
        } else if let Some(merged) = merge_words(removed, &self.ours[start..end], added) {
            self.drop[start..end].fill(true);
            self.own[start].extend(merged.lines);
            self.steps.push((Rung::Words, start));
            return Some(());
        } else if added.is_empty() || found.is_empty() && start == end {
            // Nothing of what is to change is there; what is left of what is to go, goes.
            (start, Rung::NotOnBranch)
        } else {
            return None;
        };
        for line in found {
            self.drop[line] = true;
        }
        if !matches!(rung, Rung::AlreadyThere | Rung::NotOnBranch) {
            self.insert[place].extend_from_slice(added);
        }
        self.steps.push((rung, place));
        Some(())
    }

    /// Blank lines set blocks apart. A block that brings one along on the side where the branch
    /// has one takes it to its other side.
    fn space(&mut self, [before, behind]: [Option<&'a [u8]>; 2]) {
        let kept = |drop: &[bool], at: usize| !drop[at];
        for at in 0..=self.ours.len() {
            let block = &mut self.insert[at];
            let (Some(first), Some(last)) = (block.first(), block.last()) else { continue };
            let (opens, closes) = (is_blank(first), is_blank(last));
            let above = (0..at).rev().find(|line| kept(&self.drop, *line));
            let below = (at..self.ours.len()).find(|line| kept(&self.drop, *line));
            let above = above.map(|line| self.ours[line]).or(before).is_none_or(is_blank);
            let below = below.map(|line| self.ours[line]).or(behind).is_none_or(is_blank);
            if opens && !closes && above && !below {
                block.rotate_left(1);
            } else if closes && !opens && below && !above {
                block.rotate_right(1);
            }
        }
    }

    fn write(self) -> Resolved {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        let mut steps = Vec::new();
        for at in 0..=self.ours.len() {
            steps.extend(self.steps.iter().filter(|step| step.1 == at).map(|s| (s.0, lines.len())));
            lines.extend(self.insert[at].iter().map(|line| line.to_vec()));
            lines.extend(self.own[at].iter().cloned());
            if at < self.ours.len() && !self.drop[at] {
                lines.push(self.ours[at].to_vec());
            }
        }
        Resolved { lines, steps }
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

/// Theirs, when all three are the same copyright lines but for the years.
fn years<'a>(base: &[&[u8]], ours: &[&[u8]], theirs: &[&'a [u8]]) -> Option<Vec<&'a [u8]>> {
    let plain = |lines: &[&[u8]]| -> Vec<u8> {
        lines.concat().into_iter().filter(|byte| !b"0123456789-, ".contains(byte)).collect()
    };
    let notice = theirs
        .iter()
        .all(|line| line.windows(9).any(|word| word.eq_ignore_ascii_case(b"copyright")));
    let text = plain(theirs);
    let same = notice && !theirs.is_empty() && plain(base) == text && plain(ours) == text;
    same.then(|| theirs.to_vec())
}

/// One name, perhaps with a continuation or a comma: an entry of a list of names.
pub(super) fn is_list_entry(bare: &[u8]) -> bool {
    let name = bare.strip_suffix(b"\\").or_else(|| bare.strip_suffix(b",")).unwrap_or(bare);
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-./+$()%".contains(byte))
}

/// The branch's line of the last base line before `at` that the branch has.
fn last_known(to_ours: &[Option<usize>], at: usize) -> Option<usize> {
    to_ours[..at].iter().rev().find_map(|line| *line)
}

/// The branch's line of the first base line from `at` on that the branch has.
fn next_known(to_ours: &[Option<usize>], at: usize) -> Option<usize> {
    to_ours.get(at..)?.iter().find_map(|line| *line)
}

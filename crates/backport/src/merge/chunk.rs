//! Cutting three versions of a text into the stretches where they agree and where they do not.

use imara_diff::{Algorithm, Diff, InternedInput};
use std::ops::Range;

/// The lines of the three versions; each line keeps its line break.
pub(super) struct Side3<'a> {
    pub(super) base: Vec<&'a [u8]>,
    pub(super) ours: Vec<&'a [u8]>,
    pub(super) theirs: Vec<&'a [u8]>,
}

impl<'a> Side3<'a> {
    pub(super) fn new(base: &'a [u8], ours: &'a [u8], theirs: &'a [u8]) -> Side3<'a> {
        Side3 { base: split_lines(base), ours: split_lines(ours), theirs: split_lines(theirs) }
    }

    /// The lines of one chunk: base, ours, theirs.
    pub(super) fn of<'s>(&'s self, chunk: &Chunk) -> [&'s [&'a [u8]]; 3] {
        [
            &self.base[chunk.base.clone()],
            &self.ours[chunk.ours.clone()],
            &self.theirs[chunk.theirs.clone()],
        ]
    }
}

pub(super) fn split_lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

/// A stretch of lines of all three versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) base: Range<usize>,
    pub(super) ours: Range<usize>,
    pub(super) theirs: Range<usize>,
}

/// For each line of `before` the line of `after` that it became; `None` for removed lines.
pub(super) fn align<T: AsRef<[u8]> + Copy>(before: &[T], after: &[T]) -> Vec<Option<usize>> {
    align_with(Algorithm::Histogram, before, after)
}

pub(super) fn align_with<T: AsRef<[u8]> + Copy>(
    algorithm: Algorithm,
    before: &[T],
    after: &[T],
) -> Vec<Option<usize>> {
    let mut input: InternedInput<&[u8]> = InternedInput::default();
    input.update_before(before.iter().map(AsRef::as_ref));
    input.update_after(after.iter().map(AsRef::as_ref));
    let mut diff = Diff::compute(algorithm, &input);
    diff.postprocess_lines(&input);
    let mut map = vec![None; before.len()];
    let (mut old, mut new) = (0, 0);
    for hunk in diff.hunks() {
        let (hunk_old, hunk_new) = (hunk.before.start as usize, hunk.after.start as usize);
        while old < hunk_old && new < hunk_new {
            map[old] = Some(new);
            (old, new) = (old + 1, new + 1);
        }
        (old, new) = (hunk.before.end as usize, hunk.after.end as usize);
    }
    while old < before.len() && new < after.len() {
        map[old] = Some(new);
        (old, new) = (old + 1, new + 1);
    }
    map
}

/// Cuts the three versions at every line that all of them share.
pub(super) fn split(texts: &Side3<'_>) -> Vec<Chunk> {
    let to_ours = align(&texts.base, &texts.ours);
    let to_theirs = align(&texts.base, &texts.theirs);
    let mut chunks = Vec::new();
    let (mut base, mut ours, mut theirs) = (0, 0, 0);
    for at in 0..texts.base.len() {
        let (Some(o), Some(t)) = (to_ours[at], to_theirs[at]) else { continue };
        if (base, ours, theirs) != (at, o, t) {
            chunks.push(Chunk { base: base..at, ours: ours..o, theirs: theirs..t });
        }
        chunks.push(Chunk { base: at..at + 1, ours: o..o + 1, theirs: t..t + 1 });
        (base, ours, theirs) = (at + 1, o + 1, t + 1);
    }
    let (base_len, ours_len) = (texts.base.len(), texts.ours.len());
    let end = (base_len, ours_len, texts.theirs.len());
    if (base, ours, theirs) != end {
        chunks.push(Chunk { base: base..end.0, ours: ours..end.1, theirs: theirs..end.2 });
    }
    chunks
}

/// A line's text without any white space.
pub(super) fn bare(line: &[u8]) -> Vec<u8> {
    line.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
}

/// Whether two runs of lines are the same text apart from white space within lines.
pub(super) fn same_but_spacing(a: &[&[u8]], b: &[&[u8]]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| bare(a) == bare(b))
}

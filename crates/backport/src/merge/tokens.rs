//! The rung that merges words: both sides changed the same lines, but different words of them.

use super::chunk::align_with;
use super::{Resolved, Rung};
use imara_diff::Algorithm;

/// Longer stretches than this many lines are no word-level question any more.
const LINES_MAX: usize = 24;

/// Merges the words of three versions; `None` when both sides changed the same words.
pub(super) fn merge_words(base: &[&[u8]], ours: &[&[u8]], theirs: &[&[u8]]) -> Option<Resolved> {
    let sides = [base, ours, theirs];
    if sides.iter().any(|side| side.is_empty() || side.len() > LINES_MAX) {
        return None;
    }
    let [base, ours, theirs] = sides.map(|side| side.concat());
    let [base, ours, theirs] = [words(&base), words(&ours), words(&theirs)];
    let to_ours = align_with(Algorithm::Myers, &base, &ours);
    let to_theirs = align_with(Algorithm::Myers, &base, &theirs);
    let mut out: Vec<u8> = Vec::new();
    let (mut b, mut o, mut t) = (0, 0, 0);
    for at in 0..=base.len() {
        let stop = if at == base.len() {
            (ours.len(), theirs.len())
        } else {
            let (Some(next_ours), Some(next_theirs)) = (to_ours[at], to_theirs[at]) else {
                continue;
            };
            (next_ours, next_theirs)
        };
        let (old, mine, new) = (&base[b..at], &ours[o..stop.0], &theirs[t..stop.1]);
        let taken = if old == new || mine == new {
            mine
        } else if old == mine {
            new
        } else {
            return None;
        };
        out.extend(taken.concat());
        if at < base.len() {
            out.extend_from_slice(ours[stop.0]);
        }
        (b, o, t) = (at + 1, stop.0 + 1, stop.1 + 1);
    }
    let lines = out.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    Some(Resolved { lines, steps: vec![(Rung::Words, 0)] })
}

/// Cuts a text into words, runs of blanks, and single other characters.
fn words(text: &[u8]) -> Vec<&[u8]> {
    let kind = |byte: u8| match byte {
        b' ' | b'\t' => 1,
        b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | 0x80.. => 2,
        _ => 0,
    };
    let (mut found, mut start) = (Vec::new(), 0);
    for at in 1..=text.len() {
        let joined = text.get(at).is_some_and(|next| {
            let before = kind(text[at - 1]);
            before != 0 && before == kind(*next)
        });
        if !joined {
            found.push(&text[start..at]);
            start = at;
        }
    }
    found
}

//! The rung that merges words: both sides changed the same lines, but different words of them.

use super::chunk::align_with;
use super::{Resolved, Rung};
use imara_diff::Algorithm;

/// Longer stretches than this many lines are no word-level question any more.
const LINES_MAX: usize = 24;

/// Versions that share fewer of their words than this are different statements, not versions.
const ALIKE: f64 = 0.5;

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
    if alike(&base, &ours, &to_ours) < ALIKE || alike(&base, &theirs, &to_theirs) < ALIKE {
        return None;
    }
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

/// The share of words, brackets and blanks aside, that two versions have in common.
fn alike(before: &[&[u8]], after: &[&[u8]], map: &[Option<usize>]) -> f64 {
    let word = |token: &&&[u8]| token[0].is_ascii_alphanumeric() || token[0] == b'_';
    let count = |tokens: &[&[u8]]| tokens.iter().filter(word).count();
    let kept = before.iter().zip(map).filter(|(token, to)| to.is_some() && word(token)).count();
    let all = count(before) + count(after);
    if all == 0 { 0.0 } else { 2.0 * kept as f64 / all as f64 }
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

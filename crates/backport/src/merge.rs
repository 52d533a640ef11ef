//! Carrying the change of one file over to another version of that file.
//!
//! It is a three-way merge with a ladder behind it. The first rung is the merge every version
//! control system knows: what only one side changed is taken from that side. Where both sides
//! changed the same place, further rungs look at the *edits* of the fix one by one and carry each
//! to the place in the branch's text that it belongs to; each such step is a [`Deviation`] that
//! the report spells out. What no rung carries stays a conflict, with markers.
//!
//! The text is bytes: a file need not be UTF-8.

mod chunk;
mod edits;
mod lists;
mod tokens;

use chunk::{Chunk, Side3};
use std::ops::Range;

/// How an edit of the fix came to its place on the branch although both sides changed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// The branch already says what the fix says here.
    AlreadyThere,
    /// The changed lines are as upstream's, only lines next to them differ.
    Neighbours,
    /// The lines differ from upstream's in white space only.
    Spacing,
    /// Inserted into a list of names at the place its order asks for.
    SortedList,
    /// Names added to a list that is broken into lines otherwise on the branch.
    NameList,
    /// Inserted behind lines that the branch has and upstream has not.
    OwnLines,
    /// The lines are a copyright notice, and only its years differ.
    CopyrightYears,
    /// Both sides changed different words of the same lines.
    Words,
    /// The lines that the fix changes or removes do not exist on the branch.
    NotOnBranch,
}

impl Rung {
    /// The sentence that a reviewer reads about such a step.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Rung::AlreadyThere => "the branch already has this part",
            Rung::Neighbours => "the changed lines are upstream's, lines next to them differ",
            Rung::Spacing => "the branch's lines differ in white space only",
            Rung::SortedList => "entered into the branch's list where its order asks for it",
            Rung::NameList => "the names it adds are entered at the end of the branch's list",
            Rung::OwnLines => "inserted behind lines that only the branch has",
            Rung::CopyrightYears => "the years of a copyright notice differ; the fix's are taken",
            Rung::Words => "branch and fix change different words of the same lines",
            Rung::NotOnBranch => "dropped: the lines this part changes do not exist on the branch",
        }
    }
}

/// A step by which the carried change differs from what upstream's patch does literally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// The rung that made the step.
    pub rung: Rung,
    /// The line of the result where it starts, from 1.
    pub line: usize,
}

/// The outcome of carrying a file's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The result; with conflict markers where `conflicts` says so.
    pub text: Vec<u8>,
    /// The steps beyond the plain three-way merge.
    pub deviations: Vec<Deviation>,
    /// The lines of the result, from 1, that hold conflicts.
    pub conflicts: Vec<Range<usize>>,
}

impl Merged {
    /// Whether no conflict is left.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        self.conflicts.is_empty()
    }
}

/// Carries the change from `base` to `theirs` over to `ours`.
///
/// ```
/// use ringfence_backport::merge::{Rung, carry};
/// // The branch lacks the second test; the fix adds one between the two.
/// let merged = carry(b"tests += \\\n a \\\n c \\\n", b"tests += \\\n a \\\n", b"tests += \\\n a \\\n b \\\n c \\\n");
/// assert_eq!(merged.text, b"tests += \\\n a \\\n b \\\n");
/// assert_eq!(merged.deviations[0].rung, Rung::Neighbours);
/// ```
#[must_use]
pub fn carry(base: &[u8], ours: &[u8], theirs: &[u8]) -> Merged {
    let texts = Side3::new(base, ours, theirs);
    let mut out = Writer::default();
    for chunk in chunk::split(&texts) {
        out.chunk(&texts, &chunk);
    }
    out.merged
}

/// For each line of `before` the number of the line of `after` that it became; `None` for the
/// lines that went away.
#[must_use]
pub fn align_lines(before: &[&str], after: &[&str]) -> Vec<Option<usize>> {
    chunk::align(before, after)
}

/// Builds the result line by line.
struct Writer {
    merged: Merged,
    line: usize,
}

impl Default for Writer {
    fn default() -> Writer {
        let merged = Merged { text: Vec::new(), deviations: Vec::new(), conflicts: Vec::new() };
        Writer { merged, line: 1 }
    }
}

impl Writer {
    fn lines(&mut self, lines: &[&[u8]]) {
        for line in lines {
            // A last line without its break must not swallow the line written behind it.
            if self.merged.text.last().is_some_and(|last| *last != b'\n') {
                self.merged.text.push(b'\n');
            }
            self.merged.text.extend_from_slice(line);
            self.line += 1;
        }
    }

    fn chunk(&mut self, texts: &Side3<'_>, chunk: &Chunk) {
        let [base, ours, theirs] = texts.of(chunk);
        if base == theirs || ours == theirs {
            self.lines(ours);
        } else if base == ours {
            self.lines(theirs);
        } else if let Some(resolved) = resolve(texts, chunk) {
            for (rung, at) in resolved.steps {
                self.merged.deviations.push(Deviation { rung, line: self.line + at });
            }
            self.lines(&resolved.lines.iter().map(Vec::as_slice).collect::<Vec<_>>());
        } else {
            let start = self.line;
            self.lines(&[b"<<<<<<< branch\n"]);
            self.lines(ours);
            self.lines(&[b"||||||| before the fix\n"]);
            self.lines(base);
            self.lines(&[b"=======\n"]);
            self.lines(theirs);
            self.lines(&[b">>>>>>> fix\n"]);
            self.merged.conflicts.push(start..self.line);
        }
    }
}

/// A conflict resolved.
struct Resolved {
    lines: Vec<Vec<u8>>,
    /// The rungs used, each with the line of `lines` where it starts.
    steps: Vec<(Rung, usize)>,
}

/// The ladder, from the most literal rung to the boldest.
fn resolve(texts: &Side3<'_>, chunk: &Chunk) -> Option<Resolved> {
    let [base, ours, theirs] = texts.of(chunk);
    if chunk::same_but_spacing(ours, theirs) {
        let lines = ours.iter().map(|line| line.to_vec()).collect();
        return Some(Resolved { lines, steps: vec![(Rung::AlreadyThere, 0)] });
    }
    if chunk::same_but_spacing(base, ours) {
        let lines = theirs.iter().map(|line| line.to_vec()).collect();
        return Some(Resolved { lines, steps: vec![(Rung::Spacing, 0)] });
    }
    let before = chunk.ours.start.checked_sub(1).and_then(|at| texts.ours.get(at)).copied();
    let around = [before, texts.ours.get(chunk.ours.end).copied()];
    edits::carry_edits(base, ours, theirs, around)
        .or_else(|| lists::carry_names(base, ours, theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(base: &str, ours: &str, theirs: &str) -> (String, Vec<Rung>) {
        let merged = carry(base.as_bytes(), ours.as_bytes(), theirs.as_bytes());
        assert!(merged.is_resolved(), "{}", String::from_utf8_lossy(&merged.text));
        let rungs = merged.deviations.iter().map(|deviation| deviation.rung).collect();
        (String::from_utf8(merged.text).unwrap(), rungs)
    }

    #[test]
    fn what_one_side_changed_is_taken_from_it() {
        let (text, rungs) = carried("a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\n");
        assert_eq!((text.as_str(), rungs.len()), ("A\nb\nc\nD\n", 0));
    }

    #[test]
    fn each_rung_carries_what_it_is_for() {
        // base, ours, theirs, result, rung.
        let cases = [
            ("f (a)\nx\n", "f (a, b)\nx\n", "f (a)\ny\n", "f (a, b)\ny\n", Rung::Neighbours),
            ("f(a);\n", "f (a);\n", "g(a);\n", "g(a);\n", Rung::Spacing),
            ("f (a);\n", "F (a);\n", "f (b);\n", "F (b);\n", Rung::Words),
            ("x\n", "a\nc\nx\n", "b\nx\n", "a\nb\nc\nx\n", Rung::SortedList),
            ("x;\n", "p ();\nx;\n", "q ();\nx;\n", "p ();\nq ();\nx;\n", Rung::OwnLines),
            ("x;\ny;\n", "x;\n", "x;\nz;\n", "x;\n", Rung::NotOnBranch),
            (
                "t = a b \\\n\tc d\n",
                "t = a\n",
                "t = a b \\\n\tc d e\n",
                "t = a e\n",
                Rung::NameList,
            ),
            ("x\n", "x\n new one\n", "x\n\tnew one\n", "x\n new one\n", Rung::AlreadyThere),
            (
                "Copyright 2020-2022 A\n",
                "Copyright 2020-2021 A\n",
                "Copyright 2020-2024 A\n",
                "Copyright 2020-2024 A\n",
                Rung::CopyrightYears,
            ),
        ];
        for (base, ours, theirs, expected, rung) in cases {
            assert_eq!(carried(base, ours, theirs), (expected.to_owned(), vec![rung]));
        }
    }

    #[test]
    fn names_enter_a_list_that_is_broken_otherwise() {
        let (base, theirs) = ("r = one two \\\n  six\n", "r = one two \\\n  six fix\n");
        let sorted = "r = \\\n  one \\\n  six \\\n  two \\\n  # r\n";
        let (text, rungs) = carried(base, sorted, theirs);
        assert_eq!(text, "r = \\\n  fix \\\n  one \\\n  six \\\n  two \\\n  # r\n");
        assert_eq!(rungs, [Rung::SortedList]);
        let full = format!("r = {}\n", "name ".repeat(15).trim_end());
        let (text, _) = carried(base, &full, theirs);
        assert_eq!(text, format!("r = {} \\\n  fix\n", "name ".repeat(15).trim_end()));
    }

    #[test]
    fn a_block_takes_its_blank_line_to_the_side_that_has_none() {
        let base = "a {\n}\n\nold {\n}\n";
        let theirs = "a {\n}\n\nnew {\n}\n\nold {\n}\n";
        let (text, _) = carried(base, "a {\n}\n\nmine {\n}\n", theirs);
        assert!(!text.contains("\n\n\n"), "{text}");
    }

    #[test]
    fn what_no_rung_carries_stays_a_conflict_with_markers() {
        let merged = carry(b"x = 1;\n", b"x = 2;\n", b"x = 3;\n");
        assert_eq!(merged.conflicts.first(), Some(&(1..8)));
        assert!(
            merged.text.starts_with(b"<<<<<<< branch\nx = 2;\n||||||| before the fix\nx = 1;\n")
        );
    }

    #[test]
    fn a_last_line_without_its_break_swallows_nothing() {
        let merged = carry(b"a\nb", b"a\nB", b"a\nb\nc\n");
        assert!(!merged.text.windows(2).any(|pair| pair == b"Bc"));
    }
}

//! Is the code that a fix repairs there at all?
//!
//! The question is put to the text of a branch's file, hunk by hunk: are the lines there that the
//! fix takes away, or, where it only adds, the lines and the function it adds to?

use crate::diff::{Hunk, Side};
use crate::fingerprint::line_hash;
use crate::names::function_name;
use serde::Serialize;
use std::collections::HashSet;

/// What a branch's file shows of one hunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Lines the fix removes, and how many of them are there.
    pub removed: (usize, usize),
    /// Lines around the change, and how many of them are there.
    pub context: (usize, usize),
    /// Lines the fix adds, and how many of them are there.
    pub added: (usize, usize),
    /// The function that the hunk names, and whether the file has it.
    pub function: Option<(String, bool)>,
}

/// What follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// The faulty code is there.
    Present,
    /// Something like it is there: the function, or some of the lines.
    Unclear,
    /// The code reads as it does after the fix.
    Fixed,
    /// Nothing of it is there.
    Absent,
}

/// Looks for a hunk's code in a file.
#[must_use]
pub fn look(hunk: &Hunk, file: &str) -> Seen {
    let here: HashSet<u32> = file.lines().filter_map(line_hash).collect();
    let count = |side| {
        let lines: HashSet<u32> = hunk.only(side).filter_map(line_hash).collect();
        (lines.len(), lines.iter().filter(|line| here.contains(line)).count())
    };
    let function = function_name(&hunk.section).map(|name| {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let mut found = file.match_indices(name);
        let whole = found.any(|(at, _)| {
            !file[..at].ends_with(word) && !file[at + name.len()..].starts_with(word)
        });
        (name.to_owned(), whole)
    });
    Seen {
        removed: count(Side::Removed),
        context: count(Side::Context),
        added: count(Side::Added),
        function,
    }
}

impl Seen {
    /// What follows for this hunk.
    ///
    /// ```
    /// use ringfence_backport::{diff::Patch, presence::{look, Presence}};
    /// let patch = Patch::read("diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-wrong();\n+right();\n");
    /// let hunk = &patch.files[0].hunks[0];
    /// assert_eq!(look(hunk, "wrong();\n").judge(), Presence::Present);
    /// assert_eq!(look(hunk, "right();\n").judge(), Presence::Fixed);
    /// assert_eq!(look(hunk, "other();\n").judge(), Presence::Absent);
    /// ```
    #[must_use]
    pub fn judge(&self) -> Presence {
        let share = |(all, found): (usize, usize)| (all > 0).then(|| found as f64 / all as f64);
        let function = self.function.as_ref().is_some_and(|(_, found)| *found);
        match (share(self.removed), share(self.added)) {
            (Some(removed), _) if removed >= 0.5 => Presence::Present,
            // All that it adds is there and nothing that it removes.
            (Some(removed), Some(added)) if added >= 0.99 && removed == 0.0 => Presence::Fixed,
            (None, Some(added)) if added >= 0.99 => Presence::Fixed,
            (Some(removed), _) if removed > 0.0 => Presence::Unclear,
            // A function of that name, or much of the surroundings: it may be there in other words.
            (Some(_), _) if function || share(self.context).is_some_and(|part| part >= 0.5) => {
                Presence::Unclear
            }
            (Some(_), _) => Presence::Absent,
            // Only additions: the place they go to is what is there or not.
            (None, _) => match share(self.context) {
                Some(context) if context >= 0.5 => Presence::Present,
                Some(0.0) if !function => Presence::Absent,
                _ => Presence::Unclear,
            },
        }
    }
}

/// What follows for a whole fix from its hunks: one present hunk makes the code present.
#[must_use]
pub fn overall(hunks: &[Presence]) -> Presence {
    let has = |wanted| hunks.contains(&wanted);
    if has(Presence::Present) {
        Presence::Present
    } else if has(Presence::Unclear) || hunks.is_empty() {
        Presence::Unclear
    } else if has(Presence::Fixed) {
        Presence::Fixed
    } else {
        Presence::Absent
    }
}

/// Whether a file is test, documentation or build glue: its absence says nothing about a fault.
#[must_use]
pub fn is_beside_the_code(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let test = |part: &str| {
        part == "test"
            || part == "tests"
            || part == "testing"
            || part == "selftests"
            || part == "doc"
            || part == "docs"
            || part == "Documentation"
            || part == "manual"
            || part == "po"
    };
    crate::fingerprint::is_release_note(path)
        || path.split('/').rev().skip(1).any(test)
        || ["tst-", "test-", "test_", "bug-"].iter().any(|prefix| name.starts_with(prefix))
        || ["_test.go", "_test.c", "_test.rs", ".md", ".rst", ".texi", ".txt", ".po", ".adoc"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
        || ["Makefile", "Makefile.am", "Makefile.in", "CMakeLists.txt", "Kbuild", "meson.build"]
            .contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::Patch;

    fn hunk(body: &str) -> Hunk {
        let old = body.lines().filter(|line| !line.starts_with('+')).count();
        let new = body.lines().filter(|line| !line.starts_with('-')).count();
        let text = format!(
            "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,{old} +1,{new} @@ int work_on(int n)\n{body}"
        );
        Patch::read(&text).files.remove(0).hunks.remove(0)
    }

    #[test]
    fn an_addition_is_needed_where_its_surroundings_are() {
        let hunk = hunk(" first();\n+check();\n second();\n");
        assert_eq!(look(&hunk, "first();\nsecond();\n").judge(), Presence::Present);
        assert_eq!(look(&hunk, "first();\ncheck();\nsecond();\n").judge(), Presence::Fixed);
        assert_eq!(look(&hunk, "int work_on(int n) {}\n").judge(), Presence::Unclear);
        assert_eq!(look(&hunk, "nothing of it\n").judge(), Presence::Absent);
    }

    #[test]
    fn names_count_only_as_whole_words() {
        let seen = look(&hunk("-old_way();\n+new_way();\n"), "int work_on_it(void);\n");
        assert_eq!(seen.function, Some(("work_on".to_owned(), false)));
    }

    #[test]
    fn tests_and_notes_stand_beside_the_code() {
        for path in ["NEWS", "nptl/tst-mutex1.c", "tests/a.c", "elf/Makefile", "docs/x.rst"] {
            assert!(is_beside_the_code(path), "{path}");
        }
        for path in ["malloc/malloc.c", "io_uring/io-wq.c", "src/contest.c", "fs/aio.c"] {
            assert!(!is_beside_the_code(path), "{path}");
        }
    }
}

//! Reading patches: files, hunks and lines, as `git diff` prints them.
//!
//! This is for looking at a change, not for applying it: text that is no UTF-8 arrives with
//! replacement characters. What is applied is whole files (see [`crate::merge`]).

/// What a patch does to one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Change {
    /// The file is there before and after.
    #[default]
    Modify,
    /// The file is new.
    Add,
    /// The file goes away.
    Delete,
    /// The file moves from its old path, with or without changes inside.
    Rename,
    /// The file is a copy of its old path.
    Copy,
}

/// Which side of a change a line is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// On both sides.
    Context,
    /// Only before the change.
    Removed,
    /// Only after the change.
    Added,
}

/// One line of a hunk, without its mark and its line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The side it is on.
    pub side: Side,
    /// Its text.
    pub text: String,
}

/// A run of changed lines with the lines around them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hunk {
    /// First line before the change, from 1.
    pub old_start: usize,
    /// Lines before the change.
    pub old_len: usize,
    /// First line after the change, from 1.
    pub new_start: usize,
    /// Lines after the change.
    pub new_len: usize,
    /// What git printed behind the second `@@`: most often the function.
    pub section: String,
    /// Its lines.
    pub lines: Vec<Line>,
}

impl Hunk {
    /// The lines of one side, without context.
    pub fn only(&self, side: Side) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(move |line| line.side == side).map(|line| line.text.as_str())
    }

    /// The text before the change: context and removed lines.
    pub fn pre_image(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(|line| line.side != Side::Added).map(|line| line.text.as_str())
    }

    /// The text after the change: context and added lines.
    pub fn post_image(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(|line| line.side != Side::Removed).map(|line| line.text.as_str())
    }

    /// The old line numbers of the removed lines, or for a pure addition of the line before it
    /// and the line after it.
    #[must_use]
    pub fn blamed_lines(&self) -> Vec<usize> {
        let mut number = self.old_start;
        let (mut removed, mut around) = (Vec::new(), Vec::new());
        for (at, line) in self.lines.iter().enumerate() {
            match line.side {
                Side::Removed => removed.push(number),
                Side::Context => {
                    let added = |i: usize| self.lines.get(i).is_some_and(|l| l.side == Side::Added);
                    if added(at + 1) || at > 0 && added(at - 1) {
                        around.push(number);
                    }
                }
                Side::Added => continue,
            }
            number += 1;
        }
        if removed.is_empty() { around } else { removed }
    }
}

/// What a patch does to one file, in full.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilePatch {
    /// The path before; equal to the new one unless renamed or copied.
    pub old_path: String,
    /// The path after.
    pub new_path: String,
    /// What happens to it.
    pub change: Change,
    /// Whether its contents are binary, so that there are no hunks to read.
    pub binary: bool,
    /// Its hunks.
    pub hunks: Vec<Hunk>,
}

impl FilePatch {
    /// Lines added and removed.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let count = |side| self.hunks.iter().map(|hunk| hunk.only(side).count()).sum();
        (count(Side::Added), count(Side::Removed))
    }
}

/// A whole patch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patch {
    /// Its files, in the order of the patch.
    pub files: Vec<FilePatch>,
}

impl Patch {
    /// Reads what `git diff` or `git format-patch` printed; text before the first file is passed
    /// over.
    ///
    /// ```
    /// use ringfence_backport::diff::Patch;
    /// let patch = Patch::read("diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@ int f(void)\n-a\n+b\n");
    /// assert_eq!(patch.files[0].new_path, "f");
    /// assert_eq!(patch.files[0].hunks[0].section, "int f(void)");
    /// assert_eq!(patch.files[0].counts(), (1, 1));
    /// ```
    #[must_use]
    pub fn read(text: &str) -> Patch {
        let mut patch = Patch::default();
        // Lines still owed to the open hunk, before and after.
        let mut owed = (0, 0);
        for line in text.split('\n') {
            if owed != (0, 0) && patch.take_line(line, &mut owed) {
                continue;
            }
            owed = (0, 0);
            if let Some(paths) = line.strip_prefix("diff --git ") {
                patch.files.push(open_file(paths));
            } else if let Some(file) = patch.files.last_mut()
                && let Some(hunk) = head_line(file, line)
            {
                owed = (hunk.old_len, hunk.new_len);
                file.hunks.push(hunk);
            }
        }
        patch
    }

    /// Takes one line of the open hunk; false when the line cannot belong to it.
    fn take_line(&mut self, line: &str, owed: &mut (usize, usize)) -> bool {
        let Some(hunk) = self.files.last_mut().and_then(|file| file.hunks.last_mut()) else {
            return false;
        };
        let (side, old, new) = match line.as_bytes().first() {
            // Some mail programs strip the blank of an empty context line.
            Some(b' ') | None => (Side::Context, 1, 1),
            Some(b'-') => (Side::Removed, 1, 0),
            Some(b'+') => (Side::Added, 0, 1),
            Some(b'\\') => return true,
            Some(_) => return false,
        };
        if owed.0 < old || owed.1 < new {
            return false;
        }
        *owed = (owed.0 - old, owed.1 - new);
        hunk.lines.push(Line { side, text: line.get(1..).unwrap_or_default().to_owned() });
        true
    }

    /// Lines added and removed over all files.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let add = |sum: (usize, usize), one: (usize, usize)| (sum.0 + one.0, sum.1 + one.1);
        self.files.iter().map(FilePatch::counts).fold((0, 0), add)
    }
}

fn open_file(paths: &str) -> FilePatch {
    // `a/OLD b/NEW`: both are the same length unless the file moved, and then other lines say so.
    let half = paths.len() / 2;
    let (old, new) = match (paths.get(..half), paths.get(half..)) {
        (Some(old), Some(new)) if new.starts_with(' ') => (old, &new[1..]),
        _ => paths.split_once(" b/").unwrap_or((paths, paths)),
    };
    FilePatch { old_path: bare(old), new_path: bare(new), ..FilePatch::default() }
}

/// A path without quotes and without its `a/` or `b/`.
fn bare(path: &str) -> String {
    let path = path.trim_end_matches('\t').trim_matches('"');
    path.strip_prefix("a/").or_else(|| path.strip_prefix("b/")).unwrap_or(path).to_owned()
}

/// Takes one line outside of hunks; a hunk's head opens a hunk.
fn head_line(file: &mut FilePatch, line: &str) -> Option<Hunk> {
    if let Some(head) = line.strip_prefix("@@ -") {
        return open_hunk(head);
    }
    let path = |text: &str| text.trim_matches('"').to_owned();
    if line.starts_with("new file mode") {
        file.change = Change::Add;
    } else if line.starts_with("deleted file mode") {
        file.change = Change::Delete;
    } else if let Some(old) = line.strip_prefix("rename from ") {
        (file.old_path, file.change) = (path(old), Change::Rename);
    } else if let Some(new) = line.strip_prefix("rename to ") {
        (file.new_path, file.change) = (path(new), Change::Rename);
    } else if let Some(old) = line.strip_prefix("copy from ") {
        (file.old_path, file.change) = (path(old), Change::Copy);
    } else if let Some(new) = line.strip_prefix("copy to ") {
        (file.new_path, file.change) = (path(new), Change::Copy);
    } else if line.starts_with("Binary files ") || line == "GIT binary patch" {
        file.binary = true;
    } else if let Some(old) = line.strip_prefix("--- ").filter(|old| *old != "/dev/null") {
        file.old_path = bare(old);
    } else if let Some(new) = line.strip_prefix("+++ ").filter(|new| *new != "/dev/null") {
        file.new_path = bare(new);
    }
    None
}

/// Reads `12,3 +12,5 @@ section`.
fn open_hunk(head: &str) -> Option<Hunk> {
    let (ranges, section) = head.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let range = |text: &str| match text.split_once(',') {
        Some((start, len)) => Some((start.parse().ok()?, len.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    };
    let ((old_start, old_len), (new_start, new_len)) = (range(old)?, range(new)?);
    let section = section.strip_prefix(' ').unwrap_or(section).to_owned();
    Some(Hunk { old_start, old_len, new_start, new_len, section, lines: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_look_like_heads_stay_in_their_hunk() {
        let text = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n--- a/x\n+++ b/y\n same\n-- \n2.5\n";
        let patch = Patch::read(text);
        let hunk = &patch.files[0].hunks[0];
        assert_eq!(hunk.only(Side::Removed).collect::<Vec<_>>(), ["-- a/x"]);
        assert_eq!(hunk.only(Side::Added).collect::<Vec<_>>(), ["++ b/y"]);
        assert_eq!(patch.files[0].old_path, "f");
    }

    #[test]
    fn renames_additions_deletions_and_binaries_are_told_apart() {
        let text = "diff --git a/old b/new\nsimilarity index 90%\nrename from old\nrename to new\n\
            diff --git a/n b/n\nnew file mode 100644\nindex 0..1\nBinary files /dev/null and b/n differ\n\
            diff --git a/d b/d\ndeleted file mode 100644\n--- a/d\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n";
        let files = Patch::read(text).files;
        let kinds: Vec<_> = files.iter().map(|file| (file.change, file.binary)).collect();
        let expected = [(Change::Rename, false), (Change::Add, true), (Change::Delete, false)];
        assert_eq!(kinds, expected);
        assert_eq!((files[0].old_path.as_str(), files[0].new_path.as_str()), ("old", "new"));
        assert_eq!(files[2].counts(), (0, 1));
    }

    #[test]
    fn blame_looks_at_removed_lines_or_around_an_addition() {
        let hunk = |body: &str| {
            let text = format!("diff --git a/f b/f\n--- a/f\n+++ b/f\n{body}");
            Patch::read(&text).files[0].hunks[0].blamed_lines()
        };
        assert_eq!(hunk("@@ -5,3 +5,3 @@\n a\n-b\n+B\n c\n"), [6]);
        assert_eq!(hunk("@@ -5,2 +5,3 @@\n a\n+b\n c\n"), [5, 6]);
    }
}

//! What is kept of a commit so that a copy of it can be found again.
//!
//! A fingerprint is small, depends on the commit alone, and is made without looking at any other
//! commit: an index of them never goes stale.

use crate::diff::{FilePatch, Patch, Side};
use crate::message::{Origin, bugs, origins, reverted, title_key};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Lines of one commit that are kept at most; a larger commit is known by its first ones.
const LINES_MAX: usize = 4096;

/// What a copy of a commit has in common with the commit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The commit's name.
    pub id: String,
    /// Its subject as written.
    pub subject: String,
    /// Its subject reduced by [`title_key`].
    pub title: String,
    /// The author's address, lower case.
    pub author: String,
    /// When it was written, seconds since 1970. A cherry-pick keeps it.
    pub authored: i64,
    /// When it was committed, seconds since 1970; 0 if that is not known.
    pub committed: i64,
    /// The numbers of the bugs it names.
    pub bugs: Vec<u32>,
    /// The commits it says it was made from.
    pub origins: Vec<Claim>,
    /// The commits it says it takes back.
    pub reverts: Vec<String>,
    /// Equal for two commits that change the same lines in the same surroundings, whatever the
    /// line numbers and the white space: the idea of `git patch-id --stable`, release notes left
    /// out unless nothing else changes. `None` for binary changes and for none at all.
    pub patch: Option<String>,
    /// The files it touches, release notes left out.
    pub paths: Vec<String>,
    /// Hashes of the added lines that say something, sorted, each once.
    pub added: Vec<u32>,
    /// Hashes of the removed lines that say something, sorted, each once.
    pub removed: Vec<u32>,
}

/// An [`Origin`] in the form it is stored in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The other commit's name as written.
    pub id: String,
    /// The form of the claim.
    pub form: String,
}

impl From<Origin> for Claim {
    fn from(origin: Origin) -> Claim {
        Claim { id: origin.id, form: origin.form.to_owned() }
    }
}

/// Whether a path is a release note or change log: backports write their own, or none.
#[must_use]
pub fn is_release_note(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    ["NEWS", "ChangeLog", "CHANGELOG", "CHANGES", "Changelog", "changelog"].iter().any(|note| {
        name.strip_prefix(note).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    })
}

impl Fingerprint {
    /// Takes the fingerprint of a commit from its record and its patch.
    #[must_use]
    pub fn take(
        id: &str,
        author: &str,
        authored: i64,
        message: &str,
        patch: &Patch,
    ) -> Fingerprint {
        let subject = message.lines().next().unwrap_or_default();
        let (mut added, mut removed, mut paths) = (Vec::new(), Vec::new(), Vec::new());
        for file in own_files(patch) {
            paths.push(file.new_path.clone());
            for hunk in &file.hunks {
                added.extend(hunk.only(Side::Added).filter_map(line_hash));
                removed.extend(hunk.only(Side::Removed).filter_map(line_hash));
            }
        }
        for lines in [&mut added, &mut removed] {
            lines.truncate(LINES_MAX);
            lines.sort_unstable();
            lines.dedup();
        }
        Fingerprint {
            id: id.to_owned(),
            subject: subject.to_owned(),
            title: title_key(subject),
            author: author.to_ascii_lowercase(),
            authored,
            committed: 0,
            bugs: bugs(message),
            origins: origins(message).into_iter().map(Claim::from).collect(),
            reverts: reverted(message),
            patch: patch_hash(patch),
            paths,
            added,
            removed,
        }
    }
}

/// The files that make the change what it is: all but release notes, unless there is nothing else.
fn own_files(patch: &Patch) -> impl Iterator<Item = &FilePatch> {
    let notes_only = patch.files.iter().all(|file| is_release_note(&file.new_path));
    patch.files.iter().filter(move |file| notes_only || !is_release_note(&file.new_path))
}

/// A hash of a line without its white space; `None` for a line that says next to nothing, such as
/// a lone brace.
#[must_use]
pub fn line_hash(line: &str) -> Option<u32> {
    let mut letters = 0;
    // FNV-1a: short, the same on every machine and in every version, which an index needs.
    let mut hash: u32 = 0x811c_9dc5;
    for byte in line.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        letters += usize::from(byte.is_ascii_alphanumeric() || byte >= 0x80);
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    (letters >= 4).then_some(hash)
}

fn patch_hash(patch: &Patch) -> Option<String> {
    let mut parts: Vec<[u8; 32]> = Vec::new();
    for file in own_files(patch) {
        let mut sum = Sha256::new();
        sum.update(format!("{}\0{}\0{:?}\0", file.old_path, file.new_path, file.change));
        for line in file.hunks.iter().flat_map(|hunk| &hunk.lines) {
            sum.update([line.side as u8]);
            sum.update(line.text.split_whitespace().collect::<String>());
            sum.update([0]);
        }
        if file.binary {
            // Two binary changes are never known to be equal.
            return None;
        }
        parts.push(sum.finalize().into());
    }
    // Sorted, so that the order of the files does not matter.
    parts.sort_unstable();
    let whole = parts.iter().fold(Sha256::new(), |sum, part| sum.chain_update(part)).finalize();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    (!parts.is_empty()).then(|| hex(&whole[..20]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(path: &str, at: usize, body: &str) -> Patch {
        let old = body.lines().filter(|line| !line.starts_with('+')).count();
        let new = body.lines().filter(|line| !line.starts_with('-')).count();
        Patch::read(&format!(
            "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -{at},{old} +{at},{new} @@\n{body}"
        ))
    }

    fn take(patch: &Patch) -> Fingerprint {
        Fingerprint::take("00", "A@b", 1, "t\n", patch)
    }

    #[test]
    fn line_numbers_and_spacing_do_not_matter_but_words_do() {
        let one = take(&patch("f.c", 10, " ctx line\n-old text\n+new text\n"));
        let moved = take(&patch("f.c", 99, " ctx  line\n-old text\n+\tnew text\n"));
        let other = take(&patch("f.c", 10, " ctx line\n-old text\n+new texts\n"));
        assert_eq!(one.patch, moved.patch);
        assert_eq!(one.added, moved.added);
        assert_ne!(one.patch, other.patch);
    }

    #[test]
    fn release_notes_are_no_part_of_a_fix() {
        let mut both = patch("f.c", 1, "-old text\n+new text\n");
        both.files.extend(patch("NEWS", 1, "+* a bug\n").files);
        assert_eq!(take(&both).patch, take(&patch("f.c", 1, "-old text\n+new text\n")).patch);
        assert!(take(&patch("ChangeLog", 1, "+x\n")).patch.is_some());
        assert!(is_release_note("libio/ChangeLog.old-ports") && !is_release_note("NEWSROOM.c"));
    }
}

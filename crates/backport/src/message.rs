//! What a commit's message says about where the commit came from.
//!
//! A backport names its origin in one of a dozen ways that people write by hand. Each way is one
//! row of a table; what no row matches is no claim.

use regex::Regex;
use std::sync::LazyLock;

/// A way of naming the commit that a backport was made from.
struct Form {
    /// How the form is shown to people.
    name: &'static str,
    /// Matches the form; the first group is the origin's name, whole or shortened.
    pattern: &'static str,
}

/// Every form of a hash trailer. The text they are matched against has its line breaks folded,
/// since mail programs wrap them.
const FORMS: &[Form] = &[
    Form {
        name: "commit H upstream.",
        pattern: r"\b(?:git )?commit:? ([0-9a-f]{7,64})(?: \([^)]*\))?,? (?:from )?(?:upstream|in mainline|from mainline|in upstream)\b",
    },
    Form {
        name: "[ Upstream commit H ]",
        pattern: r"\b(?:upstream|mainline)(?:[- ]commit|[- ]id)?:? (?:commit:? )?(?:id )?([0-9a-f]{7,64})\b",
    },
    Form {
        name: "(cherry picked from commit H)",
        pattern: r"\bcherry[- ]?pick(?:ed)?(?: from|:| of)?:? (?:upstream )?(?:git )?(?:commit |commits )?'?([0-9a-f]{7,64})\b",
    },
    Form {
        name: "(backported from commit H)",
        pattern: r"\bback-?port(?:ed)?(?: from| of|:|-from:) (?:upstream )?(?:git )?(?:commit )?([0-9a-f]{7,64})\b",
    },
    Form {
        name: "(adapted from commit H)",
        pattern: r"\b(?:adapted|ported|taken|rebased) from (?:upstream )?(?:git )?commit ([0-9a-f]{7,64})\b",
    },
    Form { name: "X-Upstream-Commit: H", pattern: r"\bx-[a-z-]*commit: ([0-9a-f]{7,64})\b" },
];

/// A claim, found in a message, that the commit is a copy of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The name of the other commit as written, lower case, perhaps shortened.
    pub id: String,
    /// The form that the claim takes, for people.
    pub form: &'static str,
}

/// The numbers of the bugs that a message names, each once: `BZ #123`, `bug 123`, `issue #123`,
/// `show_bug.cgi?id=123`, `Closes: #123`.
///
/// ```
/// use ringfence_backport::message::bugs;
/// assert_eq!(bugs("Fix fmod (bug 14048) [BZ #14049]"), [14048, 14049]);
/// assert!(bugs("debug 14048 times, then #3").is_empty());
/// ```
#[must_use]
pub fn bugs(message: &str) -> Vec<u32> {
    // Three digits at least: smaller numbers count things.
    static BUG: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let pattern = r"(?i)(?:\b(?:bz|bug|bugs|issue|pr|closes:?|resolves:?)(?: ?#| )|show_bug\.cgi\?id=)(\d{3,7})\b";
        Regex::new(pattern).ok()
    });
    let Some(bug) = BUG.as_ref() else { return Vec::new() };
    let mut found: Vec<u32> =
        bug.captures_iter(message).filter_map(|groups| groups[1].parse().ok()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// All claims of an origin in a message, in the order of [`FORMS`], each name once.
///
/// ```
/// use ringfence_backport::message::origins;
/// let found = origins("io_uring: fix\n\n[ Upstream commit 20c39819a276 ]\n\nText.\n");
/// assert_eq!(found[0].id, "20c39819a276");
/// assert!(origins("This reverts commit 20c39819a276.").is_empty());
/// ```
#[must_use]
pub fn origins(message: &str) -> Vec<Origin> {
    static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let build = |form: &Form| (Regex::new(&format!("(?i){}", form.pattern)), form.name);
        FORMS.iter().map(build).filter_map(|(regex, name)| Some((regex.ok()?, name))).collect()
    });
    let text = fold(message);
    let mut found: Vec<Origin> = Vec::new();
    for (pattern, form) in PATTERNS.iter() {
        for captures in pattern.captures_iter(&text) {
            let id = captures[1].to_ascii_lowercase();
            // Seven digits without a letter are a date or a bug number as often as a commit.
            let plausible = id.len() >= 12 || id.bytes().any(|c| c.is_ascii_alphabetic());
            if plausible && found.iter().all(|other| other.id != id) {
                found.push(Origin { id, form });
            }
        }
    }
    found
}

/// Whether one of two names of a commit is a beginning of the other, at least seven digits long.
#[must_use]
pub fn same_id(a: &str, b: &str) -> bool {
    let shared = a.len().min(b.len());
    shared >= 7 && a.is_char_boundary(shared) && a[..shared].eq_ignore_ascii_case(&b[..shared])
}

/// The commits that a message says it takes back.
#[must_use]
pub fn reverted(message: &str) -> Vec<String> {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:this )?reverts?:? (?:commits? )?([0-9a-f]{7,64})\b").ok()
    });
    let text = fold(message);
    let found = PATTERN.iter().flat_map(|pattern| pattern.captures_iter(&text));
    found.map(|captures| captures[1].to_ascii_lowercase()).collect()
}

/// The message without the claims of an origin: what a backport looks like whose author left
/// them out. Lines that hold nothing else go away whole.
#[must_use]
pub fn without_origins(message: &str) -> String {
    let claims = origins(message);
    let names_one = |text: &str| {
        let text = text.to_ascii_lowercase();
        claims.iter().any(|claim| text.contains(&claim.id))
    };
    let mut kept = String::new();
    for paragraph in message.split("\n\n") {
        if !claims.is_empty() && names_one(paragraph) && !origins(paragraph).is_empty() {
            // A claim can be wrapped: within its paragraph, drop its line and the one it began on.
            let lines: Vec<&str> = paragraph.lines().collect();
            let opens = |line: &str| {
                let line = line.to_ascii_lowercase();
                line.contains("cherry") || line.contains("upstream") || line.contains("backport")
            };
            for (at, line) in lines.iter().enumerate() {
                let next = lines.get(at + 1).is_some_and(|next| names_one(next));
                if !(names_one(line) || next && opens(line)) {
                    kept.push_str(line);
                    kept.push('\n');
                }
            }
            kept.push('\n');
        } else {
            kept.push_str(paragraph);
            kept.push_str("\n\n");
        }
    }
    kept.truncate(kept.trim_end().len());
    kept.push('\n');
    kept
}

/// A subject reduced to what stays when a commit is carried to another branch: no `[PATCH 1/3]`,
/// no branch prefix, no marks of punctuation or case, no `(bug 123)`-style tail added.
///
/// ```
/// use ringfence_backport::message::title_key;
/// assert_eq!(title_key("[2.31] UPSTREAM: aio: Fix  a race."), title_key("aio: fix a race"));
/// ```
#[must_use]
pub fn title_key(subject: &str) -> String {
    let mut rest = subject.trim();
    loop {
        let before = rest;
        if let Some((tag, tail)) = rest.strip_prefix('[').and_then(|r| r.split_once(']'))
            && tag.len() <= 40
            && !tail.trim().is_empty()
        {
            rest = tail.trim_start();
        }
        for prefix in ["UPSTREAM:", "BACKPORT:", "FROMGIT:", "FROMLIST:", "backport:", "Backport:"]
        {
            rest = rest.strip_prefix(prefix).unwrap_or(rest).trim_start();
        }
        if rest == before {
            break;
        }
    }
    let mut key = String::with_capacity(rest.len());
    for word in rest.split(|c: char| !c.is_alphanumeric() && c != '_') {
        if !word.is_empty() {
            if !key.is_empty() {
                key.push(' ');
            }
            key.extend(word.chars().flat_map(char::to_lowercase));
        }
    }
    key
}

/// One line, single blanks, brackets and quotes kept.
fn fold(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_hash_trailer_is_read() {
        let h = "baf10564fbb66ea222cae66fbff11c444590ffd9";
        for text in [
            format!("commit {h} upstream."),
            format!("Commit {} upstream", &h[..12]),
            format!("[ Upstream commit {h} ]"),
            format!("[Upstream commit {h}]"),
            format!("(cherry picked from commit {h})"),
            format!("(cherry-picked from commit {h})"),
            format!("(cherry picked from commit\n{h})"),
            format!("cherry picked from {}", &h[..10]),
            format!("(backported from commit {h})"),
            format!("Backport of {h}"),
            format!("(backported from upstream commit {h})"),
            format!("upstream: {h}"),
            format!("Upstream-commit: {h}"),
            format!("commit {h} from mainline"),
            format!("Cherry-pick of commit {h}"),
        ] {
            let found = origins(&format!("subject\n\nbody text\n\n{text}\n"));
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(same_id(&found[0].id, h), "{text}");
        }
    }

    #[test]
    fn mentions_that_claim_no_origin_are_not_read() {
        for text in [
            "This reverts commit baf10564fbb66ea222cae66fbff11c444590ffd9.",
            "Fixes: a6d7cff472e (\"fs/aio: Add explicit RCU grace period\")",
            "since commit baf10564fbb66 the upstream file is gone",
            "cherry picked from 20210203",
        ] {
            assert_eq!(origins(text), [], "{text}");
        }
    }

    #[test]
    fn a_message_loses_its_claims_and_nothing_else() {
        let message = "aio: fix\n\nText.\n\nSigned-off-by: A <a@b>\n(cherry picked from commit\nbaf10564fbb66ea222cae66fbff11c444590ffd9)\n";
        assert_eq!(without_origins(message), "aio: fix\n\nText.\n\nSigned-off-by: A <a@b>\n");
    }

    #[test]
    fn reverts_name_what_they_take_back() {
        assert_eq!(
            reverted("Revert \"x\"\n\nThis reverts commit baf10564fbb6.\n"),
            ["baf10564fbb6"]
        );
    }
}

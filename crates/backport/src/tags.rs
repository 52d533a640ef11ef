//! The tags at the end of a message, as people write them.
//!
//! Real tags come without parentheses, with old addresses of the stable list, several on one
//! line, with a version range behind a `#`. They are read as they are; nothing is corrected.

use regex::Regex;
use serde::Serialize;
use std::sync::LazyLock;

/// One tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tag {
    /// Its name in the usual spelling.
    pub name: &'static str,
    /// What stands behind the colon.
    pub value: String,
}

/// The tags that say something about a fix, in the usual spelling.
const NAMES: &[&str] = &[
    "Fixes",
    "Reported-by",
    "Reported-and-tested-by",
    "Tested-by",
    "Reviewed-by",
    "Acked-by",
    "Suggested-by",
    "Debugged-by",
    "Co-developed-by",
    "Signed-off-by",
    "Cc",
    "Link",
    "Closes",
    "Bug",
    "Bugzilla",
    "Message-Id",
    "Message-ID",
    "Stable-dep-of",
    "Depends-on",
    "Change-Id",
];

/// All tags of a message in their order.
///
/// ```
/// use ringfence_backport::tags::read;
/// // Two tags on one line, the first without parentheses.
/// let tags = read("aio: fix\n\nCc: stable@kernel.org Fixes: a6d7cff472e \"fs/aio: Add\" Signed-off-by: A <a@b>\n");
/// let names: Vec<_> = tags.iter().map(|tag| tag.name).collect();
/// assert_eq!(names, ["Cc", "Fixes", "Signed-off-by"]);
/// ```
#[must_use]
pub fn read(message: &str) -> Vec<Tag> {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(&format!(r"(?i)(?:^|[ \t;,])({}):[ \t]+", NAMES.join("|"))).ok()
    });
    let Some(pattern) = PATTERN.as_ref() else { return Vec::new() };
    let mut tags = Vec::new();
    for line in message.lines().skip(1) {
        // A tag opens its line; what looks like one further in counts only behind such a tag.
        if pattern.find(line).is_none_or(|found| found.start() != 0) {
            continue;
        }
        let found: Vec<_> = pattern.captures_iter(line).collect();
        for (at, captures) in found.iter().enumerate() {
            let end =
                found.get(at + 1).and_then(|next| next.get(0)).map_or(line.len(), |m| m.start());
            let (Some(whole), Some(written)) = (captures.get(0), captures.get(1)) else { continue };
            let name = NAMES.iter().find(|name| name.eq_ignore_ascii_case(written.as_str()));
            if let Some(name) = name {
                let value = line[whole.end()..end].trim().trim_end_matches([',', ';']).to_owned();
                tags.push(Tag { name, value });
            }
        }
    }
    tags
}

/// What a `Fixes:` tag names: the commit, and its title where one is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fixes {
    /// The commit's name as written, lower case.
    pub id: String,
    /// Its title, without quotes and parentheses.
    pub title: String,
}

/// Every commit that the `Fixes:` tags name; one tag may name several.
#[must_use]
pub fn fixes(tags: &[Tag]) -> Vec<Fixes> {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(?i)\b(?:commit )?([0-9a-f]{7,64})\b[ ,]*(?:\(?"([^"]*)"\)?)?"#).ok()
    });
    let values = tags.iter().filter(|tag| tag.name == "Fixes").map(|tag| tag.value.as_str());
    let mut found = Vec::new();
    for value in values {
        for captures in PATTERN.iter().flat_map(|pattern| pattern.captures_iter(value)) {
            let title = captures.get(2).map_or("", |title| title.as_str()).to_owned();
            found.push(Fixes { id: captures[1].to_ascii_lowercase(), title });
        }
    }
    found
}

/// A request that a fix goes to the stable branches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StableRequest {
    /// What stands behind the `#`: versions, prerequisites, or nothing.
    pub note: String,
    /// Whether it is the address that asks *not* to pick the fix by itself.
    pub no_autosel: bool,
}

/// The `Cc:` tags that name a stable list, whatever its address was at the time.
#[must_use]
pub fn stable_requests(tags: &[Tag]) -> Vec<StableRequest> {
    let lists = ["stable@vger.kernel.org", "stable@kernel.org", "stable+noautosel@kernel.org"];
    let cc = tags.iter().filter(|tag| tag.name == "Cc");
    cc.filter(|tag| {
        let value = tag.value.to_ascii_lowercase();
        lists.iter().any(|list| value.contains(list)) || value.trim() == "stable"
    })
    .map(|tag| StableRequest {
        note: tag.value.split_once('#').map_or("", |(_, note)| note).trim().to_owned(),
        no_autosel: tag.value.contains("noautosel"),
    })
    .collect()
}

/// The beginning that the message ids of one series share, where a tag's value holds one in the
/// form that mail tools give it (`20260511182217.226763-2-axboe@kernel.dk`), and its number.
#[must_use]
pub fn series_of(value: &str) -> Option<(String, u32)> {
    static PATTERN: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(\d{14}\.[0-9A-Za-z]+)-(\d+)-([^@\s>]+@[^\s>]+)").ok());
    let captures = PATTERN.as_ref()?.captures(value)?;
    Some((format!("{} {}", &captures[1], &captures[3]), captures[2].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixes_tags_are_read_as_people_write_them() {
        for text in [
            "Fixes: a6d7cff472e (\"fs/aio: Add explicit RCU grace period\")",
            "Fixes: a6d7cff472e \"fs/aio: Add explicit RCU grace period\"",
            "fixes: commit a6d7cff472e (\"fs/aio: Add explicit RCU grace period\")",
            "FIXES: A6D7CFF472E, \"fs/aio: Add explicit RCU grace period\"",
        ] {
            let found = fixes(&read(&format!("s\n\n{text}\n")));
            let expected = Fixes {
                id: "a6d7cff472e".into(),
                title: "fs/aio: Add explicit RCU grace period".into(),
            };
            assert_eq!(found, [expected], "{text}");
        }
        let two = fixes(&read("s\n\nFixes: a6d7cff472e, 90cd7e424969d\n"));
        assert_eq!(two.len(), 2);
    }

    #[test]
    fn stable_lists_are_known_by_all_their_addresses() {
        let tags = read(
            "s\n\nCc: <stable@vger.kernel.org> # 5.10+\nCc: stable@kernel.org\nCc: stable+noautosel@kernel.org # needs more\nCc: a@b\n",
        );
        let found = stable_requests(&tags);
        assert_eq!(
            found.iter().map(|r| r.note.as_str()).collect::<Vec<_>>(),
            ["5.10+", "", "needs more"]
        );
        assert!(found[2].no_autosel);
    }

    #[test]
    fn prose_that_mentions_a_tag_is_no_tag() {
        assert_eq!(read("s\n\nWe add a Link: to the page.\n"), []);
    }

    #[test]
    fn mates_of_a_series_share_the_beginning_of_their_ids() {
        let one =
            series_of("https://patch.msgid.link/20260511182217.226763-2-axboe@kernel.dk").unwrap();
        let two =
            series_of("https://lore.kernel.org/r/20260511182217.226763-3-axboe@kernel.dk").unwrap();
        assert_eq!((one.0 == two.0, one.1, two.1), (true, 2, 3));
    }
}

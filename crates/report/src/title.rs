//! Titles: made the same for the same failure, whatever the run.

use crate::work;
use regex::Regex;
use std::sync::LazyLock;

/// A title is cut here, in bytes. Lines of two CPUs that run into each other can be very long.
const LENGTH_MAX: usize = 120;

/// How much of a raw title is looked at, in characters: what a rule makes shorter leaves room for what
/// follows, up to this. It bounds the work for one title, whatever the log holds.
const RAW_MAX: usize = 1024;

/// What differs between two runs, and what stands for it. Each rule is used until it finds
/// nothing more, then the next.
const RULES: &[(&str, &str)] = &[
    // Processes of the fuzzer, with their number.
    (r"syz-executor\.?[0-9]+(?:[/:][0-9]+)?", "syz-executor"),
    (r"syzkaller[0-9]+(?:[/:][0-9]+)?", "syzkaller"),
    // Six hexadecimal digits are an address, unless they are part of a word.
    (r"([^a-zA-Z0-9])(?:0x)?[0-9a-f]{6,}", "${1}ADDR"),
    (r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", "IP"),
    (r"(\.[0-9A-Za-z_]+)(?::[0-9]+)+", "${1}:LINE"),
    // A place within a function. The repetition only saves rounds.
    (r"([a-zA-Z][a-zA-Z0-9_.]+)(?:\+0x[0-9a-z]+/0x[0-9a-z]+)+", "${1}"),
    (r"CPU#[0-9]+", "CPU"),
    (r"([^0-9A-Za-z_])[0-9]+([^0-9A-Za-z_]|$)", "${1}NUM${2}"),
    // Digits within a name belong to it (nl802154), unless there are too many of them.
    (r"[0-9]{7,}", "NUM"),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    RULES.iter().map(|(re, to)| (Regex::new(re).expect("a rule of the table"), *to)).collect()
});

/// The title that `raw` stands for: numbers, addresses and places replaced, printable ASCII only,
/// blanks folded, at most 120 bytes.
pub(crate) fn normalise(raw: &str) -> String {
    let mut title: String = raw.chars().take(RAW_MAX).collect();
    for (rule, to) in COMPILED.iter() {
        loop {
            work::add(title.len());
            let next = rule.replace_all(&title, *to);
            if next == title {
                break;
            }
            title = next.into_owned();
        }
    }
    fold(&title)
}

fn fold(title: &str) -> String {
    let mut folded = String::with_capacity(LENGTH_MAX);
    for byte in title.bytes().take(LENGTH_MAX) {
        let byte = if byte == b'\t' { b' ' } else { byte };
        let again = byte == b' ' && (folded.is_empty() || folded.ends_with(' '));
        if (0x20..0x7f).contains(&byte) && !again {
            folded.push(char::from(byte));
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

/// What a title says apart from where: `KASAN: use-after-free Read` of
/// `KASAN: use-after-free Read in io_wq_worker`.
///
/// Two titles of one family tell of the same sort of failure; they need not be the same bug.
///
/// ```
/// use ringfence_report::title_family;
/// assert_eq!(title_family("WARNING: refcount bug in io_link_timeout_fn"), "WARNING: refcount bug");
/// assert_eq!(title_family("WARNING in kvm_wait"), "WARNING");
/// assert_eq!(title_family("kernel panic: stack is corrupted"), "kernel panic: stack is corrupted");
/// ```
#[must_use]
pub fn title_family(title: &str) -> &str {
    match title.rsplit_once(" in ") {
        Some((family, _)) if !family.is_empty() => family,
        _ => title,
    }
}

/// Whether a timestamp got into a title: two lines of the log ran into each other.
pub(crate) fn has_timestamp(raw: &str) -> bool {
    static STAMP: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\[ *[0-9]+\.[0-9]+\]").expect("a valid pattern"));
    STAMP.is_match(raw)
}

/// The function that a title names after ` in `, if it does.
pub(crate) fn frame_of(title: &str) -> Option<&str> {
    static FRAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r".* in ((?:<[a-zA-Z0-9_: ]+>)?[a-zA-Z0-9_:]+)").expect("a valid pattern")
    });
    FRAME.captures(title)?.get(1).map(|frame| frame.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_runs_goes() {
        for (raw, title) in [
            ("BUG: at ip6_fragment+0x1052/0x2d80 again", "BUG: at ip6_fragment again"),
            ("WARNING in syz-executor.12/345", "WARNING in syz-executor"),
            ("list at ffff8801d8f4c9c0, 0,1,2 left", "list at ADDR, NUM,NUM,NUM left"),
            ("from 192.168.0.1 port 80", "from IP port NUM"),
            ("kernel/fork.c:123:45: odd", "kernel/fork.c:LINE: odd"),
            ("CPU#3 stuck in nl802154_op", "CPU stuck in nl802154_op"),
            ("  two \t blanks \u{fffd}end ", "two blanks end"),
        ] {
            assert_eq!(normalise(raw), title);
        }
    }

    #[test]
    fn a_title_has_120_bytes_at_most_however_long_the_line() {
        assert_eq!(normalise(&"word ".repeat(100_000)).len(), 119);
        assert_eq!(normalise(&"no-blanks".repeat(100_000)).len(), 120);
    }
}

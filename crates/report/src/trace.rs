//! Lines of stack traces: where one begins, and the frames in it.

use cpp_demangle::{DemangleOptions, Symbol};
use regex::Regex;
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::LazyLock;

/// The frames that a line holds, outermost last: one, or on ARM a frame and its caller.
pub(crate) fn frames(line: &str) -> impl Iterator<Item = &str> {
    let (first, second) = match plain_frame(line) {
        Some(frame) => (Some(frame), None),
        None => arm_frames(line).map_or((None, None), |(inner, outer)| (Some(inner), Some(outer))),
    };
    first.into_iter().chain(second)
}

/// `[<ffffffff81234567>] foo+0x12/0x34`, with up to two addresses or none.
fn plain_frame(line: &str) -> Option<&str> {
    let mut rest = line.trim_start_matches(' ');
    for _ in 0..2 {
        match address(rest).and_then(|rest| rest.strip_prefix(' ')) {
            Some(after) => rest = after,
            None => break,
        }
    }
    function(rest)
}

/// `[<c0012345>] (foo) from [<c0023456>] (bar+0x12/0x34)`.
fn arm_frames(line: &str) -> Option<(&str, &str)> {
    let rest = address(line.trim_start_matches(' '))?.strip_prefix(" (")?;
    let (inner, rest) = rest.split_once(") from ")?;
    let is_name = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'.';
    if inner.is_empty() || !inner.bytes().all(is_name) {
        return None;
    }
    let outer = function(address(rest)?.strip_prefix(" (")?)?;
    Some((inner, outer))
}

/// What follows an address in brackets.
fn address(text: &str) -> Option<&str> {
    let text = text.strip_prefix('[')?;
    let text = text.strip_prefix('<').unwrap_or(text);
    let text = text.strip_prefix("0x").unwrap_or(text);
    let digits = text.trim_start_matches(|c: char| matches!(c, '0'..='9' | 'a'..='f'));
    if digits.len() == text.len() {
        return None;
    }
    digits.strip_prefix('>').unwrap_or(digits).strip_prefix(']')
}

/// A name before its place (`+0x12/0x34`) or its suffix (`.part.0`).
fn function(text: &str) -> Option<&str> {
    let is_name = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let end = text.bytes().position(|c| !is_name(c))?;
    (end > 0 && matches!(text.as_bytes()[end], b'.' | b'+')).then(|| &text[..end])
}

/// What announces a stack trace; a line may do so in several ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// `Call Trace`.
    CallTrace,
    /// `Allocated:`.
    Allocated,
    /// `Allocated by task 12:`.
    AllocatedBy,
    /// `Freed:`.
    Freed,
    /// `Freed by task 12:`.
    FreedBy,
    /// ` backtrace:` or ` backtrace (crc 12ab):`, but no `stack backtrace:`.
    Backtrace,
    /// `Backtrace:`.
    ArmBacktrace,
    /// `Uninit was stored to memory at`.
    StoredAt,
    /// The last register line of RISC-V. A trace may follow, and need not.
    RiscvStatus,
}

impl Start {
    /// All of them.
    pub(crate) const ALL: [Start; 9] = [
        Start::CallTrace,
        Start::Allocated,
        Start::AllocatedBy,
        Start::Freed,
        Start::FreedBy,
        Start::Backtrace,
        Start::ArmBacktrace,
        Start::StoredAt,
        Start::RiscvStatus,
    ];

    /// Whether `line` announces a trace in this way.
    pub(crate) fn is_in(self, line: &str) -> bool {
        match self {
            Start::CallTrace => line.contains("Call Trace") || line.contains("Call trace"),
            Start::Allocated => line.contains("Allocated:"),
            Start::AllocatedBy => is_by_task(line, "Allocated by task "),
            Start::Freed => line.contains("Freed:"),
            Start::FreedBy => is_by_task(line, "Freed by task "),
            Start::Backtrace => is_backtrace(line),
            Start::ArmBacktrace => line.contains("Backtrace:"),
            Start::StoredAt => line.contains("Uninit was stored to memory at"),
            Start::RiscvStatus => is_riscv_status(line),
        }
    }
}

/// Whether `line` announces a trace in any way.
pub(crate) fn starts(line: &str) -> bool {
    // Nearly all lines have none of these words, and need no closer look.
    static HINTS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("Call |Allocated|Freed|acktrace|Uninit|badaddr").expect("a valid pattern")
    });
    HINTS.is_match(line) && Start::ALL.iter().any(|start| start.is_in(line))
}

fn is_by_task(line: &str, words: &str) -> bool {
    line.match_indices(words).any(|(at, _)| {
        let rest = &line[at + words.len()..];
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        after.len() < rest.len() && after.starts_with(':')
    })
}

fn is_backtrace(line: &str) -> bool {
    const WORDS: &str = " backtrace";
    line.match_indices(WORDS).any(|(at, _)| {
        let rest = &line[at + WORDS.len()..];
        let crc = rest
            .strip_prefix(" (crc ")
            .map(|crc| crc.trim_start_matches(|c: char| c.is_ascii_hexdigit()).strip_prefix(')'));
        !line[..at].ends_with('k')
            && crc.map_or(Some(rest), |crc| crc).is_some_and(|r| r.starts_with(':'))
    })
}

fn is_riscv_status(line: &str) -> bool {
    let Some(at) = line.find("status: ") else { return false };
    let mut rest = &line[at..];
    for words in ["status: ", " badaddr: ", " cause: "] {
        let Some(number) = rest.strip_prefix(words) else { return false };
        let after = number.trim_start_matches(|c: char| matches!(c, '0'..='9' | 'a'..='f'));
        if number.len() - after.len() < 16 {
            return false;
        }
        rest = after;
    }
    true
}

/// Whether `line` is a frame of fault injection, whose traces get in between those of a report.
pub(crate) fn is_injected(line: &str) -> bool {
    let Some(rest) = line.strip_prefix(' ') else { return false };
    let rest = address(rest).and_then(|rest| rest.strip_prefix(' ')).unwrap_or(rest);
    let Some(rest) = rest.strip_prefix("should_fail") else { return false };
    let rest = rest.strip_prefix("slab").unwrap_or(rest);
    let is_suffix = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase() || c == '.';
    let rest = if rest.starts_with('.') { rest.trim_start_matches(is_suffix) } else { rest };
    rest.starts_with("+0x")
}

/// The name of a function as its author wrote it, without the types of its parameters.
pub(crate) fn demangle(name: &str) -> Cow<'_, str> {
    let mut plain = Bounded::default();
    let written = if let Ok(rust) = rustc_demangle::try_demangle(name) {
        write!(plain, "{rust:#}").is_ok()
    } else if name.starts_with("_Z") {
        let options = DemangleOptions::new().no_params().no_return_type();
        let symbol = Symbol::new(name);
        symbol.is_ok_and(|symbol| symbol.structured_demangle(&mut plain, &options).is_ok())
    } else {
        false
    };
    if written { Cow::Owned(plain.0) } else { Cow::Borrowed(name) }
}

/// Takes a name up to a length that no title has room for: names may refer to parts of themselves
/// and so unfold without end.
#[derive(Debug, Default)]
struct Bounded(String);

impl Bounded {
    const LENGTH_MAX: usize = 1024;
}

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len() + text.len() > Bounded::LENGTH_MAX {
            return Err(std::fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_lines() {
        for (line, expected) in [
            (" foo+0x1/0x2", &["foo"][..]),
            ("  [<ffffffff81>] foo.part.0+0x1/0x2 mm/slab.c:12", &["foo"]),
            ("[c0000000] [c0000001] foo+0x1/0x2", &["foo"]),
            ("[<c0012345>] (inner) from [<c0023456>] (outer+0x12/0x34)", &["inner", "outer"]),
            (" foo mm/slab.c:12 [inline]", &[]),
            ("RIP: 0010:foo+0x1/0x2", &[]),
            ("", &[]),
        ] {
            assert_eq!(frames(line).collect::<Vec<_>>(), expected, "{line}");
        }
    }

    #[test]
    fn starts_of_traces() {
        for line in [
            "Call Trace:",
            "Call trace:",
            "Allocated by task 12:",
            "Freed:",
            "  backtrace:",
            "  backtrace (crc 12ab):",
            "Backtrace: ",
            "Uninit was stored to memory at:",
            "status: 0000000000000120 badaddr: 0000000000000000 cause: 000000000000000f",
        ] {
            assert!(starts(line), "{line}");
        }
        for line in ["stack backtrace:", "Allocated by task", "Freed by", "cause: 1", "trace"] {
            assert!(!starts(line), "{line}");
        }
    }

    #[test]
    fn names_of_other_languages() {
        assert_eq!(demangle("_Z3fooiii"), "foo");
        assert_eq!(demangle("_ZN3foo3bar17h05af221e174051e9E"), "foo::bar");
        assert_eq!(demangle("_Zebra"), "_Zebra");
        assert_eq!(demangle("vfs_read"), "vfs_read");
    }

    #[test]
    fn fault_injection() {
        assert!(is_injected(" should_fail+0x1/0x2"));
        assert!(is_injected(" [<ffffffff81>] should_failslab.isra.7.cold+0x1/0x2"));
        assert!(!is_injected(" should_fail_ex+0x1/0x2"));
    }
}

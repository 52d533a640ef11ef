//! One line of a console: who printed it, and what it says.

use crate::signs::{self, Signs};

/// Who printed a line, as the kernel's prefix tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Context {
    /// There is no prefix: the line may be anybody's.
    Bare,
    /// A timestamp alone: the kernel, no telling which part.
    Console,
    /// A task (`[ T123]`).
    Task(u32),
    /// A CPU outside any task (`[ C1]`).
    Cpu(u32),
}

/// A line without its line end, and where its parts are.
#[derive(Debug)]
pub(crate) struct Line {
    /// All of the line.
    pub(crate) raw: Box<str>,
    /// Who printed it.
    pub(crate) context: Context,
    /// A stack frame that the unwinder itself doubts.
    pub(crate) doubtful: bool,
    /// What the line means for the log.
    pub(crate) signs: Signs,
    /// Where the message is within `raw`.
    message: std::ops::Range<usize>,
}

impl Line {
    pub(crate) fn new(raw: Box<str>) -> Line {
        let (context, start) = prefix(&raw);
        let whole = start..raw.len();
        let (doubtful, message) = match context {
            Context::Bare => (false, whole),
            _ => doubt(&raw, whole),
        };
        Line { signs: signs::read(&raw), raw, context, doubtful, message }
    }

    /// What the line says: without the console's prefix, and without the mark of doubt.
    pub(crate) fn message(&self) -> &str {
        &self.raw[self.message.clone()]
    }
}

/// A frame after ` ? ` (x86) or before ` (unreliable)` (PowerPC) is whatever lay on the stack; at
/// the end of an interrupt's stack (`<EOI>`) it is the one that was interrupted all the same.
fn doubt(raw: &str, message: std::ops::Range<usize>) -> (bool, std::ops::Range<usize>) {
    let text = &raw[message.clone()];
    if text.contains("<EOI>") {
        return (false, message);
    }
    if let Some(at) = text.find(" ? ") {
        return (true, message.start + at + 2..message.end);
    }
    match text.strip_suffix(" (unreliable)") {
        Some(frame) => (true, message.start..message.start + frame.len()),
        None => (false, message),
    }
}

/// Reads `[  123.456789][  T123] `, and what may stand before it: a login prompt that the message
/// cut into, a log level, or the note that messages were dropped.
fn prefix(raw: &str) -> (Context, usize) {
    let candidates = raw.match_indices('[').map(|(at, _)| at);
    for at in candidates {
        let Some((context, end)) = stamp(&raw[at..]) else { continue };
        if may_precede_stamp(&raw[..at]) {
            return (context, at + end);
        }
    }
    (Context::Bare, 0)
}

/// A timestamp at the start of `text`, its context, and where the message begins.
fn stamp(text: &str) -> Option<(Context, usize)> {
    let rest = text.strip_prefix('[')?.trim_start_matches(' ');
    let rest = digits(rest)?.1.strip_prefix('.')?;
    let rest = digits(rest)?.1.strip_prefix(']')?;
    let (context, rest) = match rest.strip_prefix('[').and_then(caller) {
        Some((context, rest)) => (context, rest),
        None => (Context::Console, rest),
    };
    let rest = rest.strip_prefix(' ')?;
    Some((context, text.len() - rest.len()))
}

fn caller(text: &str) -> Option<(Context, &str)> {
    let text = text.trim_start_matches(' ');
    let (number, rest) = digits(text.get(1..)?)?;
    let rest = rest.strip_prefix(']')?;
    let number = number.parse().ok()?;
    match text.as_bytes()[0] {
        b'T' => Some((Context::Task(number), rest)),
        b'C' => Some((Context::Cpu(number), rest)),
        _ => None,
    }
}

fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Whether a line may begin with `text` before its timestamp.
fn may_precede_stamp(text: &str) -> bool {
    let text = without_level(text).unwrap_or(text);
    text.is_empty() || text.ends_with(" login: ") || is_drop_note(text)
}

/// `text` without a log level (`<4>`) at its end.
fn without_level(text: &str) -> Option<&str> {
    let level = text.strip_suffix('>')?;
    let before = level.trim_end_matches(|c: char| c.is_ascii_digit());
    if before.len() == level.len() { None } else { before.strip_suffix('<') }
}

fn is_drop_note(text: &str) -> bool {
    let count =
        text.strip_prefix("** ").and_then(|t| t.strip_suffix(" printk messages dropped ** "));
    count.and_then(digits).is_some_and(|(_, rest)| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        for (raw, context, message) in [
            ("no prefix [here]", Context::Bare, "no prefix [here]"),
            ("[   12.345678] BUG: x", Context::Console, "BUG: x"),
            ("[   12.345678][  T123] BUG: x", Context::Task(123), "BUG: x"),
            ("<4>[   12.345678][    C1]  y", Context::Cpu(1), " y"),
            ("host login: [   12.3][ T1] z", Context::Task(1), "z"),
            ("** 5 printk messages dropped ** [ 1.2] z", Context::Console, "z"),
            ("text [   12.3] z", Context::Bare, "text [   12.3] z"),
            ("[   12.345678]BUG: x", Context::Bare, "[   12.345678]BUG: x"),
        ] {
            let line = Line::new(raw.into());
            assert_eq!((line.context, line.message()), (context, message), "{raw}");
        }
    }

    #[test]
    fn frames_in_doubt() {
        for (raw, doubtful, message) in [
            ("[ 1.2]  [<ffffffff81>] ? foo+0x1/0x2", true, " foo+0x1/0x2"),
            ("[ 1.2]  ? foo+0x1/0x2", true, " foo+0x1/0x2"),
            ("[ 1.2]  <EOI>  ? foo+0x1/0x2", false, " <EOI>  ? foo+0x1/0x2"),
            ("[ 1.2] [c01] [c02] foo+0x1/0x2 (unreliable)", true, "[c01] [c02] foo+0x1/0x2"),
            (" ? foo+0x1/0x2", false, " ? foo+0x1/0x2"),
        ] {
            let line = Line::new(raw.into());
            assert_eq!((line.doubtful, line.message()), (doubtful, message), "{raw}");
        }
    }
}

//! Durations and lists of texts in the form of Go, which the log is written in.

use std::fmt;

/// A time span that prints as `5h21m9.318321764s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoDuration {
    /// Its length in nanoseconds.
    pub nanoseconds: u64,
}

impl GoDuration {
    /// A span of so many seconds.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> GoDuration {
        GoDuration { nanoseconds: (seconds.max(0.0) * 1e9).round() as u64 }
    }

    /// Reads the printed form; only what prints as the same text again.
    pub(crate) fn parse(text: &str) -> Option<GoDuration> {
        let mut nanoseconds = 0u64;
        let mut rest = text;
        for (unit, worth) in [('h', 3_600_000_000_000u64), ('m', 60_000_000_000)] {
            if let Some((number, after)) = rest.split_once(unit) {
                nanoseconds =
                    number.parse::<u64>().ok()?.checked_mul(worth)?.checked_add(nanoseconds)?;
                rest = after;
            }
        }
        let seconds = rest.strip_suffix('s')?;
        let (whole, part) = seconds.split_once('.').unwrap_or((seconds, ""));
        let part = format!("{part:0<9}").parse::<u64>().ok()?;
        let seconds = whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?;
        let span = GoDuration { nanoseconds: seconds.checked_add(part)?.checked_add(nanoseconds)? };
        (span.to_string() == text).then_some(span)
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.nanoseconds / 1_000_000_000;
        let part = format!("{:09}", self.nanoseconds % 1_000_000_000);
        let part = part.trim_end_matches('0');
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h{minutes}m")?;
        } else if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        let dot = if part.is_empty() { "" } else { "." };
        write!(f, "{}{dot}{part}s", seconds % 60)
    }
}

/// Prints `["a" "b"]`.
pub(crate) fn quoted(texts: &[String]) -> String {
    let quote = |text: &String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    format!("[{}]", texts.iter().map(quote).collect::<Vec<_>>().join(" "))
}

/// Reads `["a" "b"]`.
pub(crate) fn unquoted(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let mut found = Vec::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' => {}
            '"' => {
                let mut one = String::new();
                loop {
                    match letters.next()? {
                        '"' => break,
                        '\\' => one.push(letters.next()?),
                        other => one.push(other),
                    }
                }
                found.push(one);
            }
            _ => return None,
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print() {
        for text in ["5h21m9.318321764s", "2h0m0s", "59.5s", "1m0s", "0s"] {
            assert_eq!(GoDuration::parse(text).map(|span| span.to_string()).as_deref(), Some(text));
        }
        for text in ["", "s", "1h", "61s", "1.50s", "1h1s"] {
            assert_eq!(GoDuration::parse(text), None, "{text}");
        }
    }
}

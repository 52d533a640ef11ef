//! The log of a bisection in the form that the kernel's bots mail out.
//!
//! Reading a log and printing it gives the same bytes: a line becomes a typed item only when the
//! item prints as that very line, and stays plain text otherwise.

mod go;
mod line;

pub use go::GoDuration;
pub use line::{Item, RunSaid};

use std::fmt;

/// A log, line by line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Log {
    /// Its lines.
    pub items: Vec<Item>,
    /// The report of the closing crash, as it stands after its title, with all line ends.
    pub report: String,
}

impl Log {
    /// Reads a log; every text is one.
    #[must_use]
    pub fn parse(text: &str) -> Log {
        let mut log = Log::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (line, after, ended) = match rest.split_once('\n') {
                Some((line, after)) => (line, after, true),
                None => (rest, "", false),
            };
            let item = Item::parse(line);
            let closes = matches!(item, Item::Crash(_));
            if closes || !ended {
                // What follows the title is a report in its own form; an end without a newline
                // is kept with it, so that it prints as it came.
                let item = if ended || closes { Some(item) } else { None };
                let kept = if item.is_some() { &rest[line.len()..] } else { rest };
                log.items.extend(item);
                kept.clone_into(&mut log.report);
                return log;
            }
            log.items.push(item);
            rest = after;
        }
        log
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.items {
            write!(f, "{item}")?;
            if !matches!(item, Item::Crash(_)) {
                f.write_str("\n")?;
            }
        }
        f.write_str(&self.report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_prints_as_it_was_read() {
        let texts = [
            "",
            "\n",
            "x",
            "all runs: OK",
            "all runs: OK\n",
            "run #01: OK\nrun #1: OK\n",
            "kernel signature: \n\n\n",
            "crash: t",
            "crash: t\nreport\n",
            "crash: t\nreport\r\n\n",
            "revisions tested: 20, total time: 1h0m0.50s (build: 1s, test: 2s)\n",
            "recipients (to): [\"a\\\"b\"  \"c\"]\n",
            "# git bisect bad \n[x] y\nBisecting: 1 revisions left to test after this (roughly 1 step)\n",
        ];
        for text in texts {
            assert_eq!(Log::parse(text).to_string(), text);
        }
    }
}

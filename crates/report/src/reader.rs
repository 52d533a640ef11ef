//! Reads a log as it comes and hands out each failure.

use crate::Report;
use crate::excerpt::{Circumstances, Excerpt};
use crate::family::{Family, Within};
use crate::history::History;
use crate::line::Line;
use crate::signs::{Headline, Signs};
use std::collections::VecDeque;
use std::sync::Arc;

/// A report is complete when this many other failures have begun since. Together with
/// [`LINES_MAX`] it bounds how often a line is looked at, and so the work for a log of any length.
const FAILURES_MAX: usize = 16;

/// A report is complete this many lines after its headline.
const LINES_MAX: usize = 10_000;

/// The rest of a longer line is dropped, in bytes. The kernel's own limit is 1 KiB.
const LINE_MAX: usize = 16 * 1024;

/// Reads a log as it grows, in pieces of any size.
///
/// ```
/// let mut reader = ringfence_report::Reader::new();
/// assert!(reader.feed(b"[   12.345678] all is well\n[   13.3456").is_empty());
/// assert!(reader.feed(b"78] BUG: Bad rss-counter state mm:0000 idx:1 val:2\n").is_empty());
/// let reports = reader.finish();
/// assert_eq!(reports[0].title, "BUG: Bad rss-counter state");
/// ```
#[derive(Debug, Default)]
pub struct Reader {
    /// A line whose end is still to come, and whether it is too long.
    partial: Vec<u8>,
    /// The line before: whether it was cut off is known from the next one.
    pending: Option<Arc<Line>>,
    lines: usize,
    /// The family of the headline just before, if it names an inlined function.
    inlined: Option<&'static Family>,
    history: History,
    open: VecDeque<Open>,
    circumstances: Circumstances,
    done: Vec<Report>,
}

#[derive(Debug)]
struct Open {
    excerpt: Excerpt,
    since: usize,
    failures: usize,
}

impl Reader {
    /// A reader at the beginning of a log.
    #[must_use]
    pub fn new() -> Reader {
        Reader::default()
    }

    /// Takes what the log has more and gives the reports that are complete now. Bytes that are no
    /// UTF-8 are replaced, carriage returns dropped.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Report> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            for part in text.split(|&byte| byte == b'\r') {
                let room = LINE_MAX - self.partial.len();
                self.partial.extend_from_slice(&part[..part.len().min(room)]);
            }
            if text.len() < piece.len() {
                self.end_line();
            }
        }
        std::mem::take(&mut self.done)
    }

    /// Gives the reports that are open, as far as the log tells. It is for a log that has gone
    /// quiet: what it still says of these failures later is not looked at.
    pub fn settle(&mut self) -> Vec<Report> {
        if let Some(line) = self.pending.take() {
            self.take(&line, false);
        }
        while self.close_first() {}
        std::mem::take(&mut self.done)
    }

    /// Ends the log and gives the reports that are left.
    #[must_use]
    pub fn finish(mut self) -> Vec<Report> {
        if !self.partial.is_empty() {
            self.end_line();
        }
        self.settle()
    }

    fn end_line(&mut self) {
        let raw: Box<str> = match std::str::from_utf8(&self.partial) {
            Ok(text) => text.into(),
            Err(_) => String::from_utf8_lossy(&self.partial).into(),
        };
        self.partial.clear();
        let line = Arc::new(Line::new(raw));
        let cut = line.signs.replay;
        if let Some(pending) = self.pending.replace(line) {
            self.take(&pending, cut);
        }
    }

    /// Takes a whole line; if it was `cut` off it announces nothing.
    fn take(&mut self, line: &Arc<Line>, cut: bool) {
        let number = self.lines;
        self.lines += 1;
        self.note(&line.signs);
        let headline = if cut || self.is_repeated(line) { None } else { line.signs.headline };
        self.inlined = line
            .signs
            .headline
            .map(|headline| headline.family)
            .filter(|_| line.raw.contains(" [inline]"));
        for open in &mut self.open {
            open.excerpt.take(line, headline);
        }
        if let Some(headline) = headline.filter(|headline| self.is_new(headline, line)) {
            for open in &mut self.open {
                open.failures += 1;
            }
            let before = self.history.of(line.context);
            let excerpt = Excerpt::new(headline.family, line, number, before);
            self.open.push_back(Open { excerpt, since: number, failures: 0 });
        }
        self.history.take(line);
        let is_complete =
            |open: &Open| open.failures >= FAILURES_MAX || number - open.since >= LINES_MAX;
        while self.open.front().is_some_and(is_complete) {
            self.close_first();
        }
    }

    /// Whether a headline is the one before once more: where symbols have been looked up it is
    /// printed for each function that was inlined at the place, and for the one around them.
    fn is_repeated(&self, line: &Line) -> bool {
        match (self.inlined, line.signs.headline) {
            (Some(before), Some(now)) => std::ptr::eq(before, now.family),
            _ => false,
        }
    }

    /// Whether a headline tells of a failure that no open report tells of already.
    fn is_new(&self, headline: &Headline, line: &Line) -> bool {
        let continued = || self.open.iter().any(|open| open.excerpt.context() == line.context);
        headline.within != Within::Continues || !continued()
    }

    fn note(&mut self, signs: &Signs) {
        self.circumstances.panicked |= signs.panic;
        self.circumstances.console_lost |= signs.console_lost;
        self.circumstances.suppressed |= signs.suppress;
    }

    fn close_first(&mut self) -> bool {
        let Some(open) = self.open.pop_front() else { return false };
        self.done.push(open.excerpt.report(self.circumstances));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{LINES_MAX, Reader};
    use crate::tables::FAMILIES;
    use crate::{parse, work};

    /// Logs that are hard on a reader, of any length.
    fn hard(lines: usize) -> Vec<String> {
        let words: Vec<&str> = FAMILIES.iter().map(|family| family.words).collect();
        let repeat = |line: &str| format!("{line}\n").repeat(lines);
        let every = |make: &dyn Fn(usize) -> String| (0..lines).map(make).collect::<String>();
        vec![
            repeat("BUG: "),
            repeat("[    1.000001][  T123] BUG: KASAN: use-after-free in foo+0x1/0x2"),
            repeat("Kernel panic - not syncing: stack-protector:"),
            repeat("[    1.000001] INFO: possible recursive locking detected ]"),
            repeat("WARNING: CPU: 1 at a/b.c:1 f+0x1/0x2\nCall Trace:"),
            repeat(" foo+0x1/0x2\nCall Trace:\n"),
            repeat(&"BUG: x+0x1/0x1".repeat(20)),
            repeat(&"+0x1/0x1".repeat(200)),
            repeat(&"[[[ <0>[1.2".repeat(20)),
            repeat("thread 'x' panicked at a.rs:1:1:\nstack backtrace:\n   0: f"),
            every(&|n| format!("[    1.0][ T{n}] {}\n", words[n % words.len()])),
            every(&|n| format!("{} in the {n}th\n", words[n % words.len()])),
            every(&|n| format!("[    1.0][ C{}]  _ZN{}f+0x1/0x2\n", n % 8, "S_".repeat(40))),
            "BUG: ".repeat(lines),
            "a".repeat(lines * 20),
        ]
    }

    #[test]
    fn a_quiet_log_keeps_nothing_back() {
        let mut reader = Reader::new();
        assert!(reader.feed(b"[    1.0] SYZFAIL: one\n[    2.0] SYZF").is_empty());
        assert_eq!(reader.settle()[0].title, "SYZFAIL: one");
        assert!(reader.settle().is_empty());
        assert!(reader.feed(b"AIL: two\n").is_empty());
        assert_eq!(reader.finish()[0].title, "SYZFAIL: two");
    }

    #[test]
    fn a_report_is_complete_long_before_the_log_ends() {
        let mut reader = Reader::new();
        assert!(reader.feed(b"SYZFAIL: one\n").is_empty());
        let complete: Vec<usize> =
            (0..2 * LINES_MAX).filter(|_| !reader.feed(b"all is well\n").is_empty()).collect();
        assert_eq!(complete, [LINES_MAX]);
    }

    #[test]
    fn twice_the_log_is_at_most_twice_the_work() {
        const LINES: usize = 250;
        for (short, long) in hard(LINES).into_iter().zip(hard(2 * LINES)) {
            let work = |log: &str| work::of(|| assert!(parse(log).len() <= 2 * LINES));
            // The patterns are compiled by now, and the first lines of a log cost less.
            let (once, twice) = (work(&short), work(&long));
            let head = &short[..short.len().min(60)];
            assert!(once > 0, "nothing counted for {head}");
            assert!(twice <= 2 * once + once / 10, "{once}, then {twice} for {head}");
        }
    }
}

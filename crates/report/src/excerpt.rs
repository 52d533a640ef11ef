//! What belongs to one failure, out of a log in which others print at the same time.

use crate::family::{Family, Within};
use crate::line::{Context, Line};
use crate::report::Corruption;
use crate::signs::Headline;
use crate::{Executor, Kind, Report, describe, title, work};
use regex::Regex;
use std::sync::{Arc, LazyLock};

/// How many lines a report has at least before a panic, or another report of lock order, counts
/// as what follows from it and is left out.
const LINES_BEFORE_PANIC: usize = 22;

/// The same for KMSAN, whose reports are shorter.
const LINES_BEFORE_PANIC_KMSAN: usize = 16;

/// The lines of one failure.
#[derive(Debug)]
pub(crate) struct Excerpt {
    family: &'static Family,
    context: Context,
    /// The headline's place in the log.
    number: usize,
    /// What the same part of the kernel printed before.
    before: Vec<Arc<Line>>,
    lines: Vec<Arc<Line>>,
    /// How many of the lines may give the report a title.
    titled: usize,
    /// Another failure has begun.
    second: bool,
    /// Every CPU prints its stack.
    all_cpus: bool,
    /// How many lines there were in this context, and whether the rest is left out.
    seen: usize,
    closed: bool,
}

/// What the log around a report says about it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Circumstances {
    pub(crate) panicked: bool,
    pub(crate) suppressed: bool,
    pub(crate) console_lost: bool,
}

impl Excerpt {
    /// The excerpt that begins with a headline.
    pub(crate) fn new(
        family: &'static Family,
        headline: &Arc<Line>,
        number: usize,
        before: Vec<Arc<Line>>,
    ) -> Excerpt {
        Excerpt {
            family,
            context: headline.context,
            number,
            before,
            lines: vec![Arc::clone(headline)],
            titled: 1,
            second: false,
            all_cpus: false,
            seen: 1,
            closed: false,
        }
    }

    /// The context of the headline.
    pub(crate) fn context(&self) -> Context {
        self.context
    }

    /// Takes a line after the headline, and what it announces, if it does.
    pub(crate) fn take(&mut self, line: &Arc<Line>, headline: Option<Headline>) {
        work::add(1);
        self.second |= match headline {
            Some(headline) => headline.within == Within::Starts,
            None => line.signs.foreign_trace,
        };
        if line.doubtful || !self.is_of_context(line) {
            return;
        }
        self.seen += 1;
        if line.signs.taint {
            return;
        }
        if line.signs.all_cpus {
            self.all_cpus = true;
        } else if line.signs.panic || line.signs.lock_order {
            self.closed |= self.seen > self.lines_before_panic();
        }
        if self.closed {
            return;
        }
        self.lines.push(Arc::clone(line));
        // Without a task or a CPU there is no telling whose lines follow a second headline.
        if !self.second || matches!(self.context, Context::Task(_) | Context::Cpu(_)) {
            self.titled = self.lines.len();
        }
    }

    fn is_of_context(&self, line: &Line) -> bool {
        line.context == self.context || self.all_cpus && matches!(line.context, Context::Cpu(_))
    }

    fn lines_before_panic(&self) -> usize {
        match self.lines[0].raw.contains("BUG: KMSAN:") {
            true => LINES_BEFORE_PANIC_KMSAN,
            false => LINES_BEFORE_PANIC,
        }
    }

    /// The report of the failure.
    pub(crate) fn report(self, circumstances: Circumstances) -> Report {
        let mut lines: Vec<&str> = self.lines.iter().map(|line| line.message()).collect();
        let headline = &self.lines[0];
        if !lines[0].contains(self.family.words) {
            // What looks like a frame in doubt is part of the message.
            lines[0] = &headline.raw;
        }
        let described = describe::describe(self.family, &lines, self.titled);
        let text: String = (self.before.iter().map(|line| line.message()))
            .chain(lines.iter().copied())
            .flat_map(|line| [line, "\n"])
            .collect();
        work::add(text.len());
        let corrupted =
            described.corrupted.or(circumstances.console_lost.then_some(Corruption::ConsoleLost));
        Report {
            kind: Kind::of_title(&described.title),
            frame: title::frame_of(&described.title).map(str::to_owned),
            title: described.title,
            alt_titles: described.alt_titles,
            corrupted,
            suppressed: circumstances.suppressed,
            panicked: circumstances.panicked,
            executor: executor(&text),
            text,
            line: self.number,
        }
    }
}

/// The fuzzer's process and program, from the name of the process that failed.
fn executor(text: &str) -> Option<Executor> {
    static COMM: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r" Comm: syz\.([0-9]+)\.([0-9]+) ").expect("valid"));
    let found = COMM.captures(text)?;
    Some(Executor { process: found[1].parse().ok()?, program: found[2].parse().ok()? })
}

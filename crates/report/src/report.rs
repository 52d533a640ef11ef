//! One failure, as the log tells of it.

use crate::{Kind, title_family};

/// Why a report cannot be trusted to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Corruption {
    /// The headline is known, the lines that belong to it did not follow.
    HeadlineOnly,
    /// No guilty frame where there has to be one.
    NoFrame,
    /// The headline by itself says that the report's beginning is lost.
    BeginningLost,
    /// A timestamp in the middle of the title.
    TimestampInTitle,
    /// A stack trace is announced, and the log ends.
    TraceCut,
    /// A stack trace is announced, and no frame follows.
    TraceEmpty,
    /// No stack trace at all.
    TraceMissing,
    /// The console was lost while it printed.
    ConsoleLost,
}

impl Corruption {
    /// The reason in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Corruption::HeadlineOnly => "the lines that belong to the headline are missing",
            Corruption::NoFrame => "no frame to blame",
            Corruption::BeginningLost => "the beginning of the report is lost",
            Corruption::TimestampInTitle => "a timestamp inside the title",
            Corruption::TraceCut => "the log ends within a stack trace",
            Corruption::TraceEmpty => "a stack trace without frames",
            Corruption::TraceMissing => "no stack trace",
            Corruption::ConsoleLost => "the console was lost",
        }
    }
}

impl std::fmt::Display for Corruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One failure, as the log tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What failed and where, the same in every run that fails this way.
    pub title: String,
    /// Other titles that this failure may carry elsewhere, sorted, without duplicates: two reports
    /// with a title in common, of either sort, tell of the same bug.
    pub alt_titles: Vec<String>,
    /// What sort of failure it is.
    pub kind: Kind,
    /// The function to blame, where the title names one.
    pub frame: Option<String>,
    /// Why the report is not whole; `None` if it is.
    pub corrupted: Option<Corruption>,
    /// Whether the log shows a cause outside the program under test, such as memory used up.
    pub suppressed: bool,
    /// Whether the kernel panicked.
    pub panicked: bool,
    /// The fuzzer's process and program that ran, where the report names them.
    pub executor: Option<Executor>,
    /// The lines of the report, without the console's prefixes.
    pub text: String,
    /// The line of the log with the headline, counted from 0.
    pub line: usize,
}

/// Which program of a fuzzer ran when the failure came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Executor {
    /// The fuzzer's process.
    pub process: u32,
    /// The program that it ran.
    pub program: u32,
}

impl Report {
    /// The title without the place: see [`title_family`].
    #[must_use]
    pub fn title_family(&self) -> &str {
        title_family(&self.title)
    }

    /// The title, then the alternative ones.
    pub fn titles(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.title.as_str()).chain(self.alt_titles.iter().map(String::as_str))
    }

    /// Whether both tell of the same bug: they have a title in common, of either sort.
    #[must_use]
    pub fn is_same_bug(&self, other: &Report) -> bool {
        self.titles().any(|mine| other.titles().any(|theirs| mine == theirs))
    }
}

//! Families of failures: the words that announce one, and the forms that its report takes.

/// All failures that a log announces with the same words.
#[derive(Debug)]
pub(crate) struct Family {
    /// The words. A line that holds them is a headline.
    pub(crate) words: &'static str,
    /// Patterns of lines that hold the words and announce nothing.
    pub(crate) except: &'static [&'static str],
    /// What a headline of this family does within the report of another failure.
    pub(crate) within: Within,
}

/// What a headline does within the report of another failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// It starts a failure of its own.
    Starts,
    /// It belongs to that report: the kernel tells of one failure step by step.
    Continues,
}

//! Families of failures: the words that announce one, and the forms that its report takes.
//!
//! These are the types of the tables; patterns are written in the language of
//! [`crate::pattern`], functions in that of [`crate::words`].

/// All failures that a log announces with the same words.
#[derive(Debug)]
pub(crate) struct Family {
    /// The words. A line that holds them is a headline.
    pub(crate) words: &'static str,
    /// A pattern that a headline has to fit besides, unless it is empty.
    pub(crate) only: &'static str,
    /// Patterns of lines that hold the words and announce nothing.
    pub(crate) except: &'static [&'static str],
    /// What a headline of this family does within the report of another failure.
    pub(crate) within: Within,
    /// The forms of the reports, by topic. Of several that fit the same headline the first is
    /// meant, so a narrow form stands above the wider one.
    pub(crate) forms: &'static [&'static [Form]],
}

/// What a headline does within the report of another failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// It starts a failure of its own, and ends what may be said of the other.
    Starts,
    /// It starts a failure of its own, and leaves the other alone.
    Passes,
    /// It belongs to that report: the kernel tells of one failure step by step.
    Continues,
}

/// A form that a report takes.
#[derive(Debug)]
pub(crate) struct Form {
    /// Pattern of the headline.
    pub(crate) headline: &'static str,
    /// Lines that have to follow, the headline's own first. Without them the report is corrupted.
    pub(crate) body: &'static [Need],
    /// The title, with holes of the headline (of the body, if there is one), `{frame}` for the
    /// guilty function, `{origin}` for that of a second trace, `{pair}` for both in order.
    pub(crate) title: &'static str,
    /// Alternative titles, likewise.
    pub(crate) alt: &'static [&'static str],
    /// Where to find the guilty function.
    pub(crate) trail: Option<Trail>,
    /// What the report has to hold to be whole.
    pub(crate) whole: Whole,
    /// The title where no function can be named, if that may be.
    pub(crate) frameless: Option<&'static str>,
}

/// A line that a report has to hold.
#[derive(Debug)]
pub(crate) enum Need {
    /// Somewhere after the line before.
    Later(&'static str),
    /// Right after the line before.
    Next(&'static str),
}

/// What a report has to hold to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// A stack trace with frames.
    WithTrace,
    /// No stack trace is needed.
    WithoutTrace,
    /// It is never whole: the form is what is left of another one.
    Never,
}

/// How to get from a headline to the guilty function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trail {
    /// What to look for, in this order.
    pub(crate) steps: &'static [Step],
    /// What to look for instead, where the steps lead nowhere.
    pub(crate) otherwise: &'static [Step],
    /// Functions that are not guilty here, besides those that never are.
    pub(crate) innocent: &'static [&'static str],
    /// Which of the functions found is the guilty one.
    pub(crate) pick: Pick,
    /// Whose stacks they are.
    pub(crate) world: World,
}

/// Whose stacks a trail leads through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum World {
    /// The kernel's.
    Kernel,
    /// A program's.
    User,
}

/// A step on the way to the guilty function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A line that fits a pattern. The function in its hole `frame`, if it has one, is a frame.
    Line(&'static str),
    /// The line of the instruction pointer. Its function is a frame.
    InstructionPointer,
    /// The line above a stack trace.
    CallTrace,
    /// All frames from here to the next trace, or to the line of the next step.
    Trace,
}

/// Which of the functions on a stack is the guilty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The innermost.
    Innermost,
    /// The one that stands for what a CPU was busy with.
    Stall,
    /// The one that stands for what a task waits for.
    Hang,
}

/// A form without any demands but a trace, to be completed.
pub(crate) const FORM: Form = Form {
    headline: "",
    body: &[],
    title: "",
    alt: &[],
    trail: None,
    whole: Whole::WithTrace,
    frameless: None,
};

/// The usual trail: the stack trace.
pub(crate) const TRACE: Trail = Trail {
    steps: &[Step::CallTrace, Step::Trace],
    otherwise: &[],
    innocent: &[],
    pick: Pick::Innermost,
    world: World::Kernel,
};

/// The trail of a trap: where it hit, then the stack trace.
pub(crate) const TRAP: Trail =
    Trail { steps: &[Step::InstructionPointer, Step::CallTrace, Step::Trace], ..TRACE };

impl Trail {
    /// The same trail past other functions.
    pub(crate) const fn past(self, innocent: &'static [&'static str]) -> Trail {
        Trail { innocent, ..self }
    }
}

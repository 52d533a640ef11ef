//! What can go wrong in a run, and how it is told.

use std::fmt;
use std::panic::Location;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A thread panicked: an assertion, most often.
    Panic,
    /// All threads wait, and nothing is due.
    Deadlock,
    /// A thread waits for a lock that it holds.
    Recursion,
    /// The run does not end.
    Livelock,
    /// Two accesses, one of them a write, that nothing orders.
    Race,
    /// A thread does not come back from a call that the simulation does not know.
    Lost,
}

/// One step of the interleaving that led to a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The number of the step in its run.
    pub step: u64,
    /// The thread that made it.
    pub thread: usize,
    /// What it was about to do.
    pub label: &'static str,
    /// Where.
    pub place: &'static Location<'static>,
}

/// A run that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub kind: Kind,
    /// The panic's message, or who waits for what.
    pub message: String,
    /// The names of the threads, by number.
    pub names: Vec<String>,
    /// The last steps before it, oldest first.
    pub trace: Vec<Row>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}: {}", self.kind, self.message.trim_end())?;
        writeln!(f, "the last steps:")?;
        for row in &self.trace {
            let name = self.names.get(row.thread).map_or("", String::as_str);
            writeln!(f, "  {:>6} {name:<16} {} at {}", row.step, row.label, row.place)?;
        }
        Ok(())
    }
}

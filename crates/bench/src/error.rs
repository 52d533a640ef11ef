//! What keeps a workload from being measured.

use std::io;

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine, or this user, cannot run it: a reason to skip, not a failure.
    #[error("{0}")]
    Unavailable(String),
    /// Something failed that should not.
    #[error("{what}: {source}")]
    Failed {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// An operation's result is not what it must be, so that its time means nothing.
    #[error("{what} answered {answer}")]
    Wrong {
        /// The operation.
        what: &'static str,
        /// Its result.
        answer: i64,
    },
}

/// A result of this crate.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Names what was being done when something failed.
pub(crate) trait Context<T> {
    /// Turns an error of the system into one that says what was being done.
    fn during(self, what: &'static str) -> Result<T>;
    /// Turns an error of the system into a reason to skip.
    fn or_skip(self, what: &str) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for std::result::Result<T, E> {
    fn during(self, what: &'static str) -> Result<T> {
        self.map_err(|source| Error::Failed { what, source: source.into() })
    }

    fn or_skip(self, what: &str) -> Result<T> {
        self.map_err(|error| Error::Unavailable(format!("{what}: {}", error.into())))
    }
}

/// An answer that must be `expected`.
pub(crate) fn expect(what: &'static str, answer: i64, expected: i64) -> Result<()> {
    if answer == expected { Ok(()) } else { Err(Error::Wrong { what, answer }) }
}

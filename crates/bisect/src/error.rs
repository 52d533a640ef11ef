//! Why a search cannot be done.

use std::path::{Path, PathBuf};

/// Why a search stopped without an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git refused.
    #[error(transparent)]
    Git(#[from] ringfence_git::Error),
    /// The revisions given make no range that can be searched.
    #[error("{0}")]
    Range(String),
    /// The test command is broken.
    #[error("{what}, at {hash}; its output is in {log}")]
    BrokenTest {
        /// What it did.
        what: String,
        /// The revision it did it at.
        hash: String,
        /// Its output.
        log: PathBuf,
    },
    /// The state directory is of another search.
    #[error("{dir} holds the state of another search ({held}); give another --state or remove it")]
    OtherSearch {
        /// The directory.
        dir: PathBuf,
        /// What that one asks.
        held: String,
    },
    /// Asked to stop.
    #[error("stopped; run the same command again to go on (state in {0})")]
    Stopped(PathBuf),
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// This revision cannot be prepared; the search goes around it.
    #[error("{0}")]
    Unbuildable(String),
}

impl Error {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Error {
        Error::Io { path: path.to_owned(), source }
    }
}

//! What became of a file that git's own merge left in conflict.

use crate::merge::Rung;
use serde::Serialize;

/// One file that the plain merge left in conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// Its path on the branch.
    pub path: String,
    /// The steps that settle it: a rung and the line it is at.
    pub steps: Vec<(Rung, usize)>,
    /// How many conflicts no rung settles.
    pub open: usize,
    /// What was done about the file as a whole, when that is not a merge of its lines.
    pub whole: Option<Whole>,
}

/// What was done about a file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whole {
    /// The branch has no such file; the fix's change to it is left out.
    NotOnBranch,
    /// The fix removes a file that differs on the branch; it is removed.
    Removed,
    /// A release note stays as the branch has it.
    ReleaseNote,
    /// Not text, or not a file on some side: a person has to look.
    NoText,
}

impl Whole {
    /// The sentence that a reviewer reads about it.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Whole::NotOnBranch => "left out: the branch has no such file",
            Whole::Removed => "removed, although the branch's file differs from upstream's",
            Whole::ReleaseNote => "release note left as the branch has it",
            Whole::NoText => "not text, or not a plain file on every side",
        }
    }
}

impl Settled {
    /// The sentences that a reviewer reads about the file, each with the line it is about.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let whole = self.whole.map(|whole| format!("{}: {}", self.path, whole.sentence()));
        let steps = self.steps.iter();
        let steps = steps.map(|(rung, line)| format!("{}:{line}: {}", self.path, rung.sentence()));
        whole.into_iter().chain(steps).collect()
    }

    /// Whether a step left out something that the fix does.
    #[must_use]
    pub fn leaves_out(&self) -> bool {
        self.steps.iter().any(|(rung, _)| *rung == Rung::NotOnBranch)
    }
}

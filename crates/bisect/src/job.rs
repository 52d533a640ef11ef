//! What the user asks for.

use crate::error::Error;
use crate::search::{Config, Sense};
use ringfence_git::Repo;
use std::path::PathBuf;
use std::time::Duration;

/// Finds the title of the failure that an output shows.
pub type TitleOf = dyn Fn(&str) -> Option<String> + Sync;

/// A bisection of a repository.
#[derive(Debug, Clone)]
pub struct Job {
    /// The repository, or any directory in it.
    pub repo: PathBuf,
    /// The failing revision.
    pub bad: String,
    /// The sound revision; without one, releases are walked.
    pub good: Option<String>,
    /// Which tags are releases.
    pub releases: String,
    /// Builds a revision; failure skips it.
    pub build: String,
    /// Tests it, once.
    pub test: String,
    /// Prints what a build is known by.
    pub signature: Option<String>,
    /// Files of a build whose contents it is known by.
    pub artifacts: Vec<PathBuf>,
    /// A command prefix that carries commands elsewhere.
    pub runner: Option<String>,
    /// Tests at once.
    pub jobs: usize,
    /// Work trees kept with their builds.
    pub keep: usize,
    /// Ends a build.
    pub build_timeout: Option<Duration>,
    /// Ends a test.
    pub test_timeout: Option<Duration>,
    /// A test that runs out of time says nothing, instead of failing.
    pub time_out_is_lost: bool,
    /// Commits to put on revisions that need them.
    pub with_fix: Vec<String>,
    /// Where the state is.
    pub state: PathBuf,
    /// How to search.
    pub config: Config,
}

impl Job {
    /// Everything that makes two searches different, as one text.
    pub(crate) fn question(&self, repo: &Repo) -> Result<String, Error> {
        let good = match &self.good {
            Some(good) => format!("--good {}", repo.rev_parse(good)?),
            None => format!("--releases {}", self.releases),
        };
        let sense = if self.config.sense == Sense::Mended { " --fix" } else { "" };
        let fixes: String = self.with_fix.iter().map(|rev| format!(" --with-fix {rev}")).collect();
        Ok(format!("{good}{sense}{fixes} --build {:?} --test {:?}", self.build, self.test))
    }
}

//! The few calls of git that bisection and backports need, and nothing else.
//!
//! Everything goes through the `git` binary: it knows every repository format, partial clone and
//! replacement that exists, and its plumbing commands have stable output. Each call runs in a
//! clean environment (no `GIT_*` of the caller, C locale, no prompts, no pager, no optional locks)
//! and fails with the command line and git's own words.
//!
//! It is not a general binding: no index, no refs written, no network.
//!
//! ```
//! # fn main() -> Result<(), ringfence_git::Error> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let git = |args: &[&str]| std::process::Command::new("git").arg("-C").arg(dir.path())
//! #     .args(["-c", "user.name=A", "-c", "user.email=a@b"]).args(args).output().unwrap();
//! # git(&["init", "-q"]); git(&["commit", "-q", "--allow-empty", "-m", "one: two"]);
//! let repo = ringfence_git::Repo::open(dir.path())?;
//! let head = repo.rev_parse("HEAD")?;
//! assert_eq!(repo.commit(head)?.subject, "one: two");
//! # Ok(())
//! # }
//! ```

mod commit;
mod history;
mod merge;
mod oid;
mod run;
mod worktree;

pub use commit::{Commit, Person};
pub use history::{Node, Tag};
pub use merge::{Conflict, MergedTree};
pub use oid::{Oid, ParseOidError};
pub use run::{Error, Output, Repo};
pub use worktree::Worktree;

//! Detached work trees beside the user's checkout.

use crate::{Error, Oid, Repo};
use std::ffi::OsStr;
use std::path::Path;

/// A detached work tree; the user's own checkout, index and branches stay as they are.
///
/// It outlives this value: a caller that goes on after a crash finds it again with
/// [`Worktree::open_or_add`]. [`Worktree::remove`] ends it.
#[derive(Debug, Clone)]
pub struct Worktree {
    owner: Repo,
    repo: Repo,
}

impl Worktree {
    /// Makes a work tree of `rev` at `path`, which must not exist or be an empty directory.
    ///
    /// # Errors
    ///
    /// When git refuses: the path is taken, the disk is full, the revision is unknown.
    pub fn add(owner: &Repo, path: &Path, rev: Oid) -> Result<Worktree, Error> {
        let rev = rev.to_string();
        let fixed = ["worktree", "add", "--quiet", "--force", "--detach"];
        let rest = [path.as_os_str(), OsStr::new(&rev)];
        owner.run(fixed.iter().map(OsStr::new).chain(rest))?;
        Ok(Worktree { owner: owner.clone(), repo: Repo::open(path)? })
    }

    /// Finds the work tree left at `path` by an earlier run, or makes one; either way it ends up
    /// at `rev` with nothing left over.
    ///
    /// # Errors
    ///
    /// When git refuses.
    pub fn open_or_add(owner: &Repo, path: &Path, rev: Oid) -> Result<Worktree, Error> {
        if path.join(".git").is_file() {
            let found = Worktree { owner: owner.clone(), repo: Repo::open(path)? };
            if found.checkout(rev).is_ok() {
                return Ok(found);
            }
            found.remove()?;
        }
        owner.run(["worktree", "prune"])?;
        Worktree::add(owner, path, rev)
    }

    /// The repository as seen from this work tree.
    #[must_use]
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.repo.dir()
    }

    /// Moves to `rev`; changes to tracked files are thrown away, untracked files stay (they are
    /// what makes the next build quick).
    ///
    /// # Errors
    ///
    /// When git refuses.
    pub fn checkout(&self, rev: Oid) -> Result<(), Error> {
        self.repo.run(["checkout", "--quiet", "--force", "--detach", &rev.to_string()]).map(drop)
    }

    /// Throws away every untracked and ignored file.
    ///
    /// # Errors
    ///
    /// When git refuses.
    pub fn clean(&self) -> Result<(), Error> {
        self.repo.run(["clean", "--quiet", "-ffdx"]).map(drop)
    }

    /// Removes the work tree and git's record of it.
    ///
    /// # Errors
    ///
    /// When git refuses.
    pub fn remove(self) -> Result<(), Error> {
        let fixed = ["worktree", "remove", "--force", "--force"];
        let args = fixed.iter().map(OsStr::new).chain([self.repo.dir().as_os_str()]);
        self.owner.run(args).map(drop)
    }
}

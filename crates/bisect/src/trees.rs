//! The work trees that revisions are built and tested in.
//!
//! A handful of them are kept, each holding the build of one revision, so that a revision tested
//! again need not be built again. What was left in them makes the next build quick.

use crate::Error;
use ringfence_git::{Oid, Repo, Worktree};
use std::path::{Path, PathBuf};

/// Work trees under one directory.
#[derive(Debug)]
pub(crate) struct Trees {
    repo: Repo,
    dir: PathBuf,
    slots: Vec<Slot>,
    clock: u64,
}

#[derive(Debug)]
struct Slot {
    tree: Option<Worktree>,
    holds: Option<String>,
    used: u64,
}

impl Trees {
    /// Up to `keep` trees under `dir`; builds that an earlier search finished there are found.
    pub(crate) fn new(repo: &Repo, dir: &Path, keep: usize) -> Result<Trees, Error> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let dir = dir.canonicalize().map_err(|e| Error::io(dir, e))?;
        let slot = |number: usize| Slot {
            tree: None,
            holds: std::fs::read_to_string(dir.join(format!("{number}.built"))).ok(),
            used: 0,
        };
        let slots = (0..keep.max(2)).map(slot).collect();
        Ok(Trees { repo: repo.clone(), dir, slots, clock: 0 })
    }

    /// Where the finished build of a revision is, if it is still there.
    pub(crate) fn built(&mut self, id: Oid) -> Option<PathBuf> {
        self.clock += 1;
        let wanted = id.to_string();
        let found = self.slots.iter().position(|slot| slot.holds.as_ref() == Some(&wanted))?;
        self.slots[found].used = self.clock;
        Some(self.path(found))
    }

    /// A tree checked out at a revision, in the place of the one that was not used for longest.
    pub(crate) fn place(&mut self, id: Oid) -> Result<(usize, &Worktree), Error> {
        self.clock += 1;
        let slots = self.slots.iter().enumerate();
        let oldest = slots.min_by_key(|(_, slot)| (slot.holds.is_some(), slot.used));
        let at = oldest.map_or(0, |(at, _)| at);
        let (path, mark) = (self.path(at), self.mark(at));
        // The mark goes before the build does: a crash here must not leave a mark without one.
        if mark.exists() {
            std::fs::remove_file(&mark).map_err(|e| Error::io(&mark, e))?;
        }
        let slot = &mut self.slots[at];
        slot.holds = None;
        slot.used = self.clock;
        let tree = match slot.tree.take() {
            Some(tree) => {
                tree.checkout(id)?;
                tree
            }
            None => Worktree::open_or_add(&self.repo, &path, id)?,
        };
        Ok((at, self.slots[at].tree.insert(tree)))
    }

    /// Notes that the build in a place is complete.
    pub(crate) fn done(&mut self, at: usize, id: Oid) -> Result<(), Error> {
        let mark = self.mark(at);
        std::fs::write(&mark, id.to_string()).map_err(|e| Error::io(&mark, e))?;
        self.slots[at].holds = Some(id.to_string());
        Ok(())
    }

    /// Removes every tree.
    pub(crate) fn remove(&mut self) -> Result<(), Error> {
        for at in 0..self.slots.len() {
            let (path, mark) = (self.path(at), self.mark(at));
            if mark.exists() {
                std::fs::remove_file(&mark).map_err(|e| Error::io(&mark, e))?;
            }
            if path.exists() {
                std::fs::remove_dir_all(&path).map_err(|e| Error::io(&path, e))?;
            }
            self.slots[at].tree = None;
            self.slots[at].holds = None;
        }
        self.repo.run(["worktree", "prune"])?;
        Ok(())
    }

    fn path(&self, at: usize) -> PathBuf {
        self.dir.join(at.to_string())
    }

    fn mark(&self, at: usize) -> PathBuf {
        self.dir.join(format!("{at}.built"))
    }
}

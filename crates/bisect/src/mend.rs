//! Known mends for other, known bugs, put on top of revisions that carry those.

use crate::Error;
use ringfence_git::{Oid, Repo};

/// A commit to put on revisions that need it.
#[derive(Debug, Clone)]
pub(crate) struct Mend {
    id: Oid,
    parent: Oid,
    /// The commits it says it mends; where it says nothing, any revision that takes it needs it.
    mends: Vec<Oid>,
}

impl Mend {
    /// Reads a mend and its `Fixes:` tags.
    pub(crate) fn read(repo: &Repo, rev: &str) -> Result<Mend, Error> {
        let commit = repo.commit(repo.rev_parse(rev)?)?;
        let [parent] = commit.parents[..] else {
            let what = format!("--with-fix {rev}: only a commit with one parent can be put on");
            return Err(Error::Range(what));
        };
        let names = commit.trailer("Fixes").filter_map(|tag| tag.split_whitespace().next());
        let mends = names.filter_map(|name| repo.rev_parse(name).ok()).collect();
        Ok(Mend { id: commit.id, parent, mends })
    }

    /// Whether a revision carries the other bug and not yet its mend.
    fn needed(&self, repo: &Repo, rev: Oid) -> Result<bool, Error> {
        if repo.is_ancestor(self.id, rev)? {
            return Ok(false);
        }
        if self.mends.is_empty() {
            return Ok(true);
        }
        for &bug in &self.mends {
            if repo.is_ancestor(bug, rev)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The tree of a revision with every mend it needs; one that does not apply is left out where
/// nothing says that it must.
pub(crate) fn tree(repo: &Repo, rev: Oid, mends: &[Mend]) -> Result<Oid, Error> {
    let mut tree = repo.commit(rev)?.tree;
    for mend in mends {
        if mend.needed(repo, rev)? {
            let merged = repo.merge_tree(mend.parent, tree, mend.id)?;
            if merged.conflicts.is_empty() {
                tree = merged.tree;
            } else if !mend.mends.is_empty() {
                let what = format!("mend {} does not apply", mend.id.short());
                return Err(Error::Unbuildable(what));
            }
        }
    }
    Ok(tree)
}

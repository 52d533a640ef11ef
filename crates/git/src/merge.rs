//! Merging trees without a work tree.

use crate::{Error, Oid, Repo};

/// A path that did not merge by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The path from the top of the tree.
    pub path: String,
}

/// The outcome of a three-way merge of trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedTree {
    /// The merged tree; where there are conflicts its files hold conflict markers.
    pub tree: Oid,
    /// The paths in conflict, each once; empty for a clean merge.
    pub conflicts: Vec<Conflict>,
    /// Git's own words on what happened (`CONFLICT (content): ...`).
    pub messages: Vec<String>,
}

impl Repo {
    /// Merges `theirs` into `ours` as changes since `base`; writes the result's objects, touches
    /// no ref and no work tree. With `base` the parent of `theirs` it is a cherry-pick.
    ///
    /// # Errors
    ///
    /// When git does not have one of them or cannot merge at all.
    pub fn merge_tree(&self, base: Oid, ours: Oid, theirs: Oid) -> Result<MergedTree, Error> {
        let base = format!("--merge-base={base}");
        let (ours, theirs) = (ours.to_string(), theirs.to_string());
        let args = ["merge-tree", "--write-tree", "-z", "--name-only", &base, &ours, &theirs];
        let output = self.call(args, b"")?;
        if !matches!(output.code, Some(0 | 1)) {
            return Err(output.into_error());
        }
        let text = output.text();
        let mut parts = text.split('\0');
        let tree = parts.next().unwrap_or_default();
        let tree = tree.trim().parse().map_err(|_| output.unreadable(tree))?;
        let paths = parts.by_ref().take_while(|part| !part.is_empty());
        let conflicts = paths.map(|path| Conflict { path: path.to_owned() }).collect();
        Ok(MergedTree { tree, conflicts, messages: messages(parts) })
    }
}

/// Reads the message section of `merge-tree -z`: a count, that many paths, a kind, a message.
fn messages<'a>(mut parts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(count) = parts.next().and_then(|part| part.parse::<usize>().ok()) {
        // `nth` steps over the paths and lands on the kind.
        if parts.nth(count).is_none() {
            break;
        }
        found.extend(parts.next().map(|message| message.trim_end().to_owned()));
    }
    found
}

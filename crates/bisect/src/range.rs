//! From names of revisions to a history that can be searched.

use crate::Error;
use crate::history::{History, Node};
use crate::search::Sense;
use ringfence_git::{Oid, Repo};
use std::collections::HashMap;
use std::sync::Arc;

/// The range under suspicion, with the names of its nodes.
#[derive(Debug, Clone)]
pub struct Range {
    /// Its shape.
    pub history: Arc<History>,
    ids: Vec<Oid>,
    nodes: HashMap<Oid, Node>,
}

impl Range {
    /// The commits between the sound and the failing end.
    ///
    /// # Errors
    ///
    /// When one end is not an ancestor of the other, or nothing lies between.
    pub fn between(repo: &Repo, good: Oid, bad: Oid, sense: Sense) -> Result<Range, Error> {
        let (base, tip) = match sense {
            Sense::Introduced => (good, bad),
            Sense::Mended => (bad, good),
        };
        if base == tip {
            return Err(Error::Range(format!("good and bad are the same commit, {base}")));
        }
        if !repo.is_ancestor(base, tip)? {
            return Err(Error::Range(not_an_ancestor(repo, base, tip, sense)?));
        }
        let found = repo.dag(&[tip], &[base])?;
        let mut nodes: HashMap<Oid, Node> =
            found.iter().enumerate().map(|(node, commit)| (commit.id, node)).collect();
        let mut ids: Vec<Oid> = found.iter().map(|commit| commit.id).collect();
        // The known end comes first among the nodes outside, then every parent beyond the range.
        let beyond = found.iter().flat_map(|commit| commit.parents.iter().copied());
        for id in std::iter::once(base).chain(beyond) {
            nodes.entry(id).or_insert_with(|| {
                ids.push(id);
                ids.len() - 1
            });
        }
        let parents = found
            .iter()
            .map(|commit| commit.parents.iter().map(|parent| nodes[parent]).collect())
            .collect();
        let history = Arc::new(History::new(parents, ids.len() - found.len()));
        Ok(Range { history, ids, nodes })
    }

    /// The name of a node.
    #[must_use]
    pub fn id(&self, node: Node) -> Oid {
        self.ids[node]
    }

    /// The node of a commit, if it takes part.
    #[must_use]
    pub fn node(&self, id: Oid) -> Option<Node> {
        self.nodes.get(&id).copied()
    }
}

fn not_an_ancestor(repo: &Repo, base: Oid, tip: Oid, sense: Sense) -> Result<String, Error> {
    let (old, new) = match sense {
        Sense::Introduced => ("good", "bad"),
        Sense::Mended => ("bad", "good"),
    };
    let hint = match repo.merge_bases(base, tip)?.first() {
        Some(common) => format!("they part at {common}; test that one and use it as --{old}"),
        None => "they share no history at all".to_owned(),
    };
    Ok(format!("{old} {} is no ancestor of {new} {}: {hint}", base.short(), tip.short()))
}

//! The shape of the range under suspicion.

use crate::set::Set;

/// A revision's number in a [`History`].
pub type Node = usize;

/// The suspects between a good and a bad revision, their parents, and the revisions just outside.
///
/// Suspects come first, every parent before its children, so the last suspect is the tip. The
/// nodes after them are revisions outside the range that can be tested but not blamed: the known
/// end of the range and the parents of suspects that lie beyond it.
#[derive(Debug, Clone)]
pub struct History {
    parents: Vec<Vec<Node>>,
    suspects: usize,
    ancestors: Vec<Set>,
}

impl History {
    /// A history from each suspect's parents; `outside` nodes follow the suspects and have no
    /// parents here.
    ///
    /// # Panics
    ///
    /// When a parent does not come before its child or is no node at all.
    #[must_use]
    pub fn new(parents: Vec<Vec<Node>>, outside: usize) -> History {
        let suspects = parents.len();
        let mut ancestors: Vec<Set> = Vec::with_capacity(suspects + outside);
        for (node, its) in parents.iter().enumerate() {
            let mut set = Set::default();
            for &parent in its {
                assert!(parent < node || (suspects..suspects + outside).contains(&parent));
                if parent < node {
                    set.union(&ancestors[parent]);
                }
            }
            set.insert(node);
            ancestors.push(set);
        }
        ancestors.resize(suspects + outside, Set::default());
        let mut parents = parents;
        parents.resize(suspects + outside, Vec::new());
        History { parents, suspects, ancestors }
    }

    /// A history without merges: each suspect's parent is the one before it, the first one's is
    /// the single outside node.
    #[must_use]
    pub fn line(suspects: usize) -> History {
        let parent = |node: Node| vec![if node == 0 { suspects } else { node - 1 }];
        History::new((0..suspects).map(parent).collect(), 1)
    }

    /// How many suspects there are; they are the nodes below this number.
    #[must_use]
    pub fn suspects(&self) -> usize {
        self.suspects
    }

    /// How many nodes there are in all.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.parents.len()
    }

    /// The newest suspect.
    #[must_use]
    pub fn tip(&self) -> Node {
        self.suspects - 1
    }

    /// The known revision at the far end of the range.
    #[must_use]
    pub fn base(&self) -> Node {
        self.suspects
    }

    /// The parents of a node, first parent first.
    #[must_use]
    pub fn parents(&self, node: Node) -> &[Node] {
        &self.parents[node]
    }

    /// Whether `node` contains the change that `suspect` made.
    #[must_use]
    pub fn contains(&self, node: Node, suspect: Node) -> bool {
        self.ancestors[node].contains(suspect)
    }

    pub(crate) fn ancestors(&self, node: Node) -> &Set {
        &self.ancestors[node]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestry_follows_merges() {
        // 0 - 1 - 3(merge) - 4, with 2 as the side branch from outside node 5.
        let history = History::new(vec![vec![5], vec![0], vec![5], vec![1, 2], vec![3]], 1);
        let of = |node| history.ancestors(node).iter().collect::<Vec<_>>();
        assert_eq!(of(2), [2]);
        assert_eq!(of(4), [0, 1, 2, 3, 4]);
        assert_eq!(of(history.base()), [0; 0]);
        assert!(history.contains(3, 2) && !history.contains(1, 2));
    }
}

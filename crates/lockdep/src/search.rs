//! Shortest strong paths through the graph, for the proof in a report.

use crate::graph::{Edge, EdgeId, Graph, NodeId};
use std::collections::VecDeque;

/// One class on a path, and the edge that led to it; the first has none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) node: NodeId,
    pub(crate) edge: Option<EdgeId>,
}

/// Which way, and over which edges, a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To what was taken later; declared orders count.
    Cycle,
    /// To what was taken later, as far as a context can invert it.
    Forwards,
    /// To what was held before, as far as a context can invert it.
    Backwards,
}

/// Where the search has been: a node, entered weakly or not, and from which visit.
struct Visit {
    node: NodeId,
    weak: bool,
    edge: Option<EdgeId>,
    parent: usize,
}

/// The shortest path from `start` to a node that `is_goal`, over strong dependencies only.
///
/// `weak` says how `start` is entered; a node is visited once weakly and once not, since a strong
/// entry can go on where a weak one cannot.
pub(crate) fn shortest(
    graph: &Graph,
    way: Way,
    start: NodeId,
    weak: bool,
    is_goal: impl Fn(NodeId, bool) -> bool,
) -> Option<Vec<Step>> {
    let mut seen = vec![[false; 2]; graph.nodes.len()];
    let mut visits = vec![Visit { node: start, weak, edge: None, parent: 0 }];
    let mut queue = VecDeque::from([0]);
    seen[start as usize][usize::from(weak)] = true;
    while let Some(at) = queue.pop_front() {
        let Visit { node, weak, .. } = visits[at];
        if way != Way::Cycle && graph.is_per_thread(node) {
            continue;
        }
        if is_goal(node, weak) {
            return Some(path(&visits, at));
        }
        let mut enter = |id: EdgeId, edge: &Edge| {
            let Some((next, weak)) = step(way, edge, weak) else { return };
            if !std::mem::replace(&mut seen[next as usize][usize::from(weak)], true) {
                visits.push(Visit { node: next, weak, edge: Some(id), parent: at });
                queue.push_back(visits.len() - 1);
            }
        };
        match way {
            Way::Backwards => graph.before(node).for_each(|(id, edge)| enter(id, edge)),
            _ => graph.after(node).for_each(|(id, edge)| enter(id, edge)),
        }
    }
    None
}

/// Where `edge` leads, and whether weakly, if it may follow a `weak` or strong entry.
fn step(way: Way, edge: &Edge, weak: bool) -> Option<(NodeId, bool)> {
    if way != Way::Cycle && edge.declared {
        return None;
    }
    let (next, kinds, weak) = match way {
        Way::Backwards => {
            let kinds = edge.dep.before_weak(weak);
            (edge.from, kinds, kinds.begins_weak())
        }
        Way::Cycle | Way::Forwards => {
            let kinds = edge.dep.after_weak(weak);
            (edge.to, kinds, kinds.ends_weak())
        }
    };
    (!kinds.is_empty()).then_some((next, weak))
}

/// The steps from the start to visit `at`.
fn path(visits: &[Visit], mut at: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        let visit = &visits[at];
        steps.push(Step { node: visit.node, edge: visit.edge });
        if visit.edge.is_none() {
            steps.reverse();
            return steps;
        }
        at = visit.parent;
    }
}

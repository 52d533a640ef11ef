//! A topological order of the classes, kept as edges arrive, after Pearce and Kelly.
//!
//! An edge that agrees with the order cannot close a cycle, and needs no search. Only an edge
//! against it searches, and only between the positions of its two ends.

use crate::graph::{Graph, NodeId};

/// The order. It is given up for good when a cycle that cannot deadlock (of recursive readers) is
/// admitted; each new edge is searched for from then on.
#[derive(Debug, Default)]
pub(crate) struct Order {
    position: Vec<u32>,
    /// Per node the number of the search that saw it last.
    seen: Vec<u32>,
    search: u32,
    abandoned: bool,
    forward: Vec<NodeId>,
    backward: Vec<NodeId>,
    stack: Vec<NodeId>,
}

impl Order {
    pub(crate) fn new() -> Order {
        Order::default()
    }

    /// Appends the next node.
    pub(crate) fn add_node(&mut self) {
        self.position.push(self.position.len() as u32);
        self.seen.push(0);
    }

    /// Gives the order up: the graph is about to have a cycle.
    pub(crate) fn abandon(&mut self) {
        self.abandoned = true;
    }

    /// Makes room for an edge `from` to `to` that is about to be added. `false` if `from` can be
    /// reached from `to`, or may be for all this knows.
    pub(crate) fn admit(&mut self, graph: &Graph, from: NodeId, to: NodeId) -> bool {
        if self.abandoned || from == to {
            return false;
        }
        let lower = self.position[to as usize];
        let upper = self.position[from as usize];
        if upper < lower {
            return true;
        }
        if !self.look_forward(graph, to, from, upper) {
            return false;
        }
        self.look_backward(graph, from, lower);
        self.reorder();
        true
    }

    /// Collects what `start` reaches up to the position `upper`; `false` if `goal` is among it.
    fn look_forward(&mut self, graph: &Graph, start: NodeId, goal: NodeId, upper: u32) -> bool {
        self.search += 1;
        self.forward.clear();
        self.stack.push(start);
        self.seen[start as usize] = self.search;
        while let Some(node) = self.stack.pop() {
            self.forward.push(node);
            for (_, edge) in graph.after(node) {
                if edge.to == goal {
                    self.stack.clear();
                    return false;
                }
                let seen = &mut self.seen[edge.to as usize];
                if *seen != self.search && self.position[edge.to as usize] < upper {
                    *seen = self.search;
                    self.stack.push(edge.to);
                }
            }
        }
        true
    }

    /// Collects what reaches `start` from the position `lower` on.
    fn look_backward(&mut self, graph: &Graph, start: NodeId, lower: u32) {
        self.search += 1;
        self.backward.clear();
        self.stack.push(start);
        self.seen[start as usize] = self.search;
        while let Some(node) = self.stack.pop() {
            self.backward.push(node);
            for (_, edge) in graph.before(node) {
                let seen = &mut self.seen[edge.from as usize];
                if *seen != self.search && self.position[edge.from as usize] > lower {
                    *seen = self.search;
                    self.stack.push(edge.from);
                }
            }
        }
    }

    /// Deals the positions of all collected nodes out again, those before first.
    fn reorder(&mut self) {
        let position = &mut self.position;
        self.backward.sort_unstable_by_key(|&node| position[node as usize]);
        self.forward.sort_unstable_by_key(|&node| position[node as usize]);
        let nodes = || self.backward.iter().chain(&self.forward);
        let mut free: Vec<u32> = nodes().map(|&node| position[node as usize]).collect();
        free.sort_unstable();
        for (&node, place) in nodes().zip(free) {
            position[node as usize] = place;
        }
    }
}

//! The graph of classes: an edge says "this was held while that was taken".

use crate::class::{Class, ClassKey, Traits};
use crate::mode::Dep;
use crate::order::Order;
use crate::trace::{TraceId, Traces};
use crate::usage::{Kind, USAGES, Usage, contexts};
use std::panic::Location;

pub(crate) type NodeId = u32;
pub(crate) type EdgeId = u32;

/// No edge; the end of a list.
const NONE: u32 = u32::MAX;

/// One class with one subclass.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) key: ClassKey,
    pub(crate) usages: u64,
    /// The stack of the first acquisition of each usage.
    pub(crate) traces: [TraceId; USAGES],
    first_after: EdgeId,
    first_before: EdgeId,
    /// The contexts open at this class or at one that can be reached from it, indexed by whether
    /// the path so far ends in a recursive read only.
    open_after: [u8; 2],
    /// The contexts that take this class or one that leads to it, indexed by whether the path so
    /// far begins in a shared hold only.
    inside_before: [u8; 2],
}

/// `from` was held while `to` was taken.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) dep: Dep,
    /// The stack that took `to` first.
    pub(crate) trace: TraceId,
    /// Where `to` was taken first; for a declared order, where it was declared.
    pub(crate) site: Option<&'static Location<'static>>,
    /// It stands for a declared order; nothing has been seen to do it.
    pub(crate) declared: bool,
    next_after: EdgeId,
    next_before: EdgeId,
}

/// What is known of a class whatever its subclass.
#[derive(Clone, Debug)]
pub(crate) struct ClassInfo {
    pub(crate) name: String,
    pub(crate) site: Option<&'static Location<'static>>,
    pub(crate) class: Option<&'static Class>,
    pub(crate) traits: Traits,
}

/// All that the validator has learnt.
#[derive(Debug)]
pub(crate) struct Graph {
    /// By class number; number 0 is not used.
    pub(crate) classes: Vec<ClassInfo>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    /// By [`ClassKey::index`]: the node plus one.
    node_of: Vec<u32>,
    edge_of: Index,
    pub(crate) order: Order,
    pub(crate) traces: Traces,
    queue: Vec<NodeId>,
}

impl Graph {
    pub(crate) fn new() -> Graph {
        let unused =
            ClassInfo { name: String::new(), site: None, class: None, traits: Traits::default() };
        Graph {
            classes: vec![unused],
            nodes: Vec::new(),
            edges: Vec::new(),
            node_of: Vec::new(),
            edge_of: Index::new(),
            order: Order::new(),
            traces: Traces::new(),
            queue: Vec::new(),
        }
    }

    /// Numbers a class.
    pub(crate) fn add_class(&mut self, info: ClassInfo) -> ClassKey {
        let key = ClassKey::new(self.classes.len() as u32, 0);
        self.classes.push(info);
        key
    }

    /// Forgets all that was seen; the classes keep their numbers.
    pub(crate) fn forget(&mut self) {
        let mut fresh = Graph::new();
        fresh.classes = std::mem::take(&mut self.classes);
        fresh.traces.enable(self.traces.is_enabled());
        *self = fresh;
        for number in 1..self.classes.len() as u32 {
            self.declare_order_of(ClassKey::new(number, 0));
        }
    }

    /// Adds what the declared order says of a class and the one after it.
    pub(crate) fn declare_order_of(&mut self, key: ClassKey) {
        let Some(class) = self.info(key).class else { return };
        let Some(place) = class.place() else { return };
        if let Some(inner) = place.order.get(place.rank + 1) {
            let inner = inner.number.load(std::sync::atomic::Ordering::Relaxed);
            let (from, to) = (self.node(key), self.node(ClassKey::new(inner, 0)));
            self.declare(from, to, class);
        }
    }

    pub(crate) fn info(&self, key: ClassKey) -> &ClassInfo {
        &self.classes[key.number() as usize]
    }

    /// The node of a class; made on its first use.
    pub(crate) fn node(&mut self, key: ClassKey) -> NodeId {
        let index = key.index();
        if index >= self.node_of.len() {
            self.node_of.resize(index + 1 + index / 2, 0);
        }
        if self.node_of[index] != 0 {
            return self.node_of[index] - 1;
        }
        let id = self.nodes.len() as NodeId;
        self.nodes.push(Node {
            key,
            usages: 0,
            traces: [TraceId::NONE; USAGES],
            first_after: NONE,
            first_before: NONE,
            open_after: [0; 2],
            inside_before: [0; 2],
        });
        self.node_of[index] = id + 1;
        self.order.add_node();
        id
    }

    pub(crate) fn edge(&self, from: NodeId, to: NodeId) -> Option<EdgeId> {
        self.edge_of.get(pair(from, to), |id| {
            let edge = &self.edges[id as usize];
            edge.from == from && edge.to == to
        })
    }

    /// The edges out of `node`, the newest first.
    pub(crate) fn after(&self, node: NodeId) -> impl Iterator<Item = (EdgeId, &Edge)> {
        let mut next = self.nodes[node as usize].first_after;
        std::iter::from_fn(move || {
            let edge = self.edges.get(next as usize)?;
            Some((std::mem::replace(&mut next, edge.next_after), edge))
        })
    }

    /// The edges into `node`, the newest first.
    pub(crate) fn before(&self, node: NodeId) -> impl Iterator<Item = (EdgeId, &Edge)> {
        let mut next = self.nodes[node as usize].first_before;
        std::iter::from_fn(move || {
            let edge = self.edges.get(next as usize)?;
            Some((std::mem::replace(&mut next, edge.next_before), edge))
        })
    }

    /// Adds an edge, or kinds to one that exists.
    pub(crate) fn connect(
        &mut self,
        from: NodeId,
        to: NodeId,
        dep: Dep,
        trace: TraceId,
        site: Option<&'static Location<'static>>,
    ) {
        if let Some(id) = self.edge(from, to) {
            let edge = &mut self.edges[id as usize];
            edge.dep = edge.dep.union(dep);
            if std::mem::replace(&mut edge.declared, false) {
                (edge.trace, edge.site) = (trace, site);
            }
        } else {
            self.push_edge(from, to, dep, trace, site, false);
        }
        self.spread_open(to);
        self.spread_inside(from);
    }

    /// Adds the edge of a declared order. It can close a cycle, but says nothing of contexts:
    /// nothing has been seen to take the one under the other.
    pub(crate) fn declare(&mut self, from: NodeId, to: NodeId, class: &'static Class) {
        if self.edge(from, to).is_none() {
            let dep = Dep::of(crate::Mode::Exclusive, crate::Mode::Exclusive);
            let ordered = self.with_order(|graph, order| order.admit(graph, from, to));
            debug_assert!(ordered, "declared orders are lists");
            self.push_edge(from, to, dep, TraceId::NONE, class.site, true);
        }
    }

    /// Works on the order with the graph at hand.
    pub(crate) fn with_order<T>(&mut self, work: impl FnOnce(&Graph, &mut Order) -> T) -> T {
        let mut order = std::mem::take(&mut self.order);
        let result = work(self, &mut order);
        self.order = order;
        result
    }

    fn push_edge(
        &mut self,
        from: NodeId,
        to: NodeId,
        dep: Dep,
        trace: TraceId,
        site: Option<&'static Location<'static>>,
        declared: bool,
    ) {
        let id = self.edges.len() as EdgeId;
        let next_after = std::mem::replace(&mut self.nodes[from as usize].first_after, id);
        let next_before = std::mem::replace(&mut self.nodes[to as usize].first_before, id);
        self.edges.push(Edge { from, to, dep, trace, site, declared, next_after, next_before });
        let edges = &self.edges;
        self.edge_of.put(pair(from, to), id, |id| {
            let edge = &edges[id as usize];
            pair(edge.from, edge.to)
        });
    }

    /// Marks a usage; what it implies for other classes follows along the edges.
    pub(crate) fn mark(&mut self, node: NodeId, usage: Usage, trace: TraceId) {
        let per_thread = self.info(self.nodes[node as usize].key).traits.per_thread;
        let marked = &mut self.nodes[node as usize];
        marked.usages |= usage.bit();
        marked.traces[usage.index()] = trace;
        if per_thread {
            return;
        }
        let open = contexts(marked.usages, Kind::Open);
        let inside = contexts(marked.usages, Kind::In);
        for weak in 0..2 {
            marked.open_after[weak] |= open[weak];
            marked.inside_before[weak] |= inside[weak];
        }
        self.spread_open(node);
        self.spread_inside(node);
    }

    /// The contexts open at `node` or behind it, if the path there ends in a recursive read (`weak`).
    pub(crate) fn open_after(&self, node: NodeId, weak: bool) -> u8 {
        self.nodes[node as usize].open_after[usize::from(weak)]
    }

    /// The contexts that take `node` or what leads to it, if it is held shared (`weak`).
    pub(crate) fn inside_before(&self, node: NodeId, weak: bool) -> u8 {
        self.nodes[node as usize].inside_before[usize::from(weak)]
    }

    /// Carries [`Node::open_after`] of `node` backwards. Bits only appear: each edge is walked a
    /// bounded number of times in the life of the graph.
    fn spread_open(&mut self, node: NodeId) {
        if self.nodes[node as usize].open_after == [0; 2] {
            return;
        }
        let mut queue = std::mem::take(&mut self.queue);
        queue.push(node);
        while let Some(to) = queue.pop() {
            let [any, exclusive] = self.nodes[to as usize].open_after;
            let mut next = self.nodes[to as usize].first_before;
            while let Some(edge) = self.edges.get(next as usize) {
                next = edge.next_before;
                let (from, dep) = (edge.from, edge.dep);
                if edge.declared || self.is_per_thread(from) || self.is_per_thread(to) {
                    continue;
                }
                let gained = [false, true].map(|weak| {
                    let dep = dep.after_weak(weak);
                    match dep.is_empty() {
                        true => 0,
                        false if dep.ends_weak() => exclusive,
                        false => any,
                    }
                });
                if gain(&mut self.nodes[from as usize].open_after, gained) {
                    queue.push(from);
                }
            }
        }
        self.queue = queue;
    }

    /// Carries [`Node::inside_before`] of `node` forwards.
    fn spread_inside(&mut self, node: NodeId) {
        if self.nodes[node as usize].inside_before == [0; 2] {
            return;
        }
        let mut queue = std::mem::take(&mut self.queue);
        queue.push(node);
        while let Some(from) = queue.pop() {
            let [any, exclusive] = self.nodes[from as usize].inside_before;
            let mut next = self.nodes[from as usize].first_after;
            while let Some(edge) = self.edges.get(next as usize) {
                next = edge.next_after;
                let (to, dep) = (edge.to, edge.dep);
                if edge.declared || self.is_per_thread(from) || self.is_per_thread(to) {
                    continue;
                }
                let gained = [false, true].map(|weak| {
                    let dep = dep.before_weak(weak);
                    match dep.is_empty() {
                        true => 0,
                        false if dep.begins_weak() => exclusive,
                        false => any,
                    }
                });
                if gain(&mut self.nodes[to as usize].inside_before, gained) {
                    queue.push(to);
                }
            }
        }
        self.queue = queue;
    }

    /// Whether paths for inversions by a context do not pass through `node`.
    pub(crate) fn is_per_thread(&self, node: NodeId) -> bool {
        self.info(self.nodes[node as usize].key).traits.per_thread
    }
}

/// Adds bits; whether any is new.
fn gain(bits: &mut [u8; 2], more: [u8; 2]) -> bool {
    let old = *bits;
    bits[0] |= more[0];
    bits[1] |= more[1];
    *bits != old
}

fn pair(from: NodeId, to: NodeId) -> u64 {
    crate::chain::extend(u64::from(from), u64::from(to), 1)
}

/// A hash index from a key to an id that is stored elsewhere: 4 bytes a slot.
#[derive(Debug)]
pub(crate) struct Index {
    /// The id plus one.
    slots: Vec<u32>,
    len: usize,
}

impl Index {
    pub(crate) fn new() -> Index {
        Index { slots: vec![0; 64], len: 0 }
    }

    /// The id with hash `hash` for which `is_it` holds.
    pub(crate) fn get(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            match self.slots[slot] {
                0 => return None,
                id if is_it(id - 1) => return Some(id - 1),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// Adds `id`, which must not be there; `hash_of` tells the hash of any id.
    pub(crate) fn put(&mut self, hash: u64, id: u32, hash_of: impl Fn(u32) -> u64) {
        self.len += 1;
        if self.len * 2 > self.slots.len() {
            let old = std::mem::take(&mut self.slots);
            self.slots = vec![0; old.len() * 2];
            for &id in old.iter().filter(|&&id| id != 0) {
                self.place(hash_of(id - 1), id - 1);
            }
        }
        self.place(hash, id);
    }

    fn place(&mut self, hash: u64, id: u32) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = id + 1;
    }
}

//! The rules: what one more acquisition may not do, given all that was seen before.

use crate::class::ClassKey;
use crate::graph::{Graph, NodeId};
use crate::mode::{Dep, Mode};
use crate::search::{Step, Way, shortest};
use crate::task::{Held, Task};
use crate::trace::TraceId;
use crate::usage::{Kind, Usage};
use std::panic::Location;

/// A broken rule, with the proof that the report shows.
#[derive(Clone, Debug)]
pub(crate) enum Finding {
    /// A class taken while it is held.
    Recursion { next: Held, held: Held },
    /// The new lock leads, over `path`, to the held one.
    Circular { next: Held, held: Held, path: Vec<Step> },
    /// A class used in a way that contradicts how it was used before.
    Inconsistent { held: Held, old: Usage, new: Usage },
    /// A class got a usage that contradicts one at the end of `path`.
    Inversion { held: Held, new: Usage, way: Way, other: Usage, path: Vec<Step> },
    /// A new dependency joins a class that a context takes to one held where it can break in.
    SafeToUnsafe {
        held: Held,
        next: Held,
        back: Vec<Step>,
        on: Vec<Step>,
        safe: Usage,
        open: Usage,
    },
    /// The lock said to serialise this acquisition is not held.
    NestNotHeld { next: Held },
    /// More locks held at once than can be recorded.
    TooDeep { next: Held },
    /// A lock released that is not held.
    BadUnlock { class: ClassKey, site: &'static Location<'static> },
    /// A lock destroyed, or made anew, while it is held.
    HeldFreed { held: Held, site: &'static Location<'static> },
    /// A lock not held where the code says it must be.
    NotHeld { class: ClassKey, site: &'static Location<'static> },
    /// A lock held where a thread parks, of a class that forbids it.
    HeldAtPark { held: Held, site: &'static Location<'static> },
    /// A lock held where none may be.
    HeldAtReturn { held: Held, site: &'static Location<'static> },
    /// A context ended with a lock that it took.
    HeldAtExit { held: Held, site: &'static Location<'static> },
}

/// One check of one acquisition against the graph, which learns from it.
pub(crate) struct Check<'a> {
    pub(crate) graph: &'a mut Graph,
    pub(crate) task: &'a Task,
    /// The stack of the acquisition, once it was needed.
    trace: Option<TraceId>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(graph: &'a mut Graph, task: &'a Task) -> Check<'a> {
        Check { graph, task, trace: None }
    }

    fn trace(&mut self) -> TraceId {
        *self.trace.get_or_insert_with(|| self.graph.traces.capture())
    }

    /// Checks taking `next`, and learns it if no rule is broken. `nest` is the lock that is said to
    /// serialise it.
    pub(crate) fn acquire(&mut self, next: Held, nest: Option<usize>) -> Option<Finding> {
        if self.graph.traces.of_site(next.site).is_none() {
            let trace = self.trace();
            self.graph.traces.set_site(next.site, trace);
        }
        let node = self.graph.node(next.word.class());
        if let Some(finding) = self.mark_acquired(node, next) {
            return Some(finding);
        }
        if nest.is_some_and(|nest| !self.task.held().any(|held| held.instance == nest)) {
            return Some(Finding::NestNotHeld { next });
        }
        if next.word.is_try() {
            return None;
        }
        match self.recursion(next, nest) {
            Recursion::Deadlock(held) => Some(Finding::Recursion { next, held }),
            Recursion::Serialised => None,
            Recursion::None => self.depend(node, next),
        }
    }

    /// Marks all that taking `held` says of its class.
    fn mark_acquired(&mut self, node: NodeId, held: Held) -> Option<Finding> {
        let mode = held.word.mode();
        if !held.word.is_try() {
            for context in bits(held.word.running()) {
                if let Some(finding) = self.mark(node, held, Usage::of(context, Kind::In, mode)) {
                    return Some(finding);
                }
            }
        }
        for context in bits(held.word.open()) {
            if let Some(finding) = self.mark(node, held, Usage::of(context, Kind::Open, mode)) {
                return Some(finding);
            }
        }
        self.mark(node, held, Usage::initial(mode))
    }

    /// Marks one usage of `held`'s class unless it contradicts what is known.
    pub(crate) fn mark(&mut self, node: NodeId, held: Held, usage: Usage) -> Option<Finding> {
        let usages = self.graph.nodes[node as usize].usages;
        if usages & usage.bit() != 0 {
            return None;
        }
        if let Some(old) = usage.conflicts().find(|old| usages & old.bit() != 0) {
            return Some(Finding::Inconsistent { held, old, new: usage });
        }
        if let Some(finding) = self.inversion(node, held, usage) {
            return Some(finding);
        }
        let trace = self.trace();
        self.graph.mark(node, usage, trace);
        None
    }

    /// Whether a class that depends on this one, or it on, was used so that the context of `new` can
    /// invert them.
    fn inversion(&self, node: NodeId, held: Held, new: Usage) -> Option<Finding> {
        let (context, kind) = new.context()?;
        let mode = held.word.mode();
        let (way, weak, other, masks) = match kind {
            Kind::Open => {
                let weak = mode.is_read();
                (Way::Backwards, weak, Kind::In, self.graph.inside_before(node, weak))
            }
            Kind::In => {
                let weak = mode == Mode::SharedRecursive;
                (Way::Forwards, weak, Kind::Open, self.graph.open_after(node, weak))
            }
        };
        if masks & 1 << context == 0 {
            return None;
        }
        let path = self.path_to_usage(way, node, weak, context, other)?;
        let other = self.usage_at(path.last()?.node, context, other)?;
        Some(Finding::Inversion { held, new, way, other, path })
    }

    /// The shortest path from `start` to a class with the usage; readers count where it is strong.
    fn path_to_usage(
        &self,
        way: Way,
        start: NodeId,
        weak: bool,
        context: u8,
        kind: Kind,
    ) -> Option<Vec<Step>> {
        shortest(self.graph, way, start, weak, |node, weak| {
            let usages = self.graph.nodes[node as usize].usages;
            let write = Usage::of(context, kind, Mode::Exclusive).bit();
            let read = Usage::of(context, kind, Mode::Shared).bit();
            usages & write != 0 || !weak && usages & read != 0
        })
    }

    /// Which of the two usages, of writers or readers, the node has; writers first.
    fn usage_at(&self, node: NodeId, context: u8, kind: Kind) -> Option<Usage> {
        let usages = self.graph.nodes[node as usize].usages;
        let both = [Mode::Exclusive, Mode::Shared].map(|mode| Usage::of(context, kind, mode));
        both.into_iter().find(|usage| usages & usage.bit() != 0)
    }

    /// Whether the class is held already, in a way that blocks.
    fn recursion(&self, next: Held, nest: Option<usize>) -> Recursion {
        // One that is looked at again, after a release out of order, was serialised when taken.
        let mut serialised = next.word.is_nested() && nest.is_none();
        for held in self.task.held() {
            serialised |= nest == Some(held.instance);
            let same = held.word.class() == next.word.class();
            let readers = next.word.mode() == Mode::SharedRecursive && held.word.mode().is_read();
            if same && !readers {
                return match serialised {
                    true => Recursion::Serialised,
                    false => Recursion::Deadlock(held),
                };
            }
        }
        Recursion::None
    }

    /// Adds the dependencies of `next` on what is held in the same context: on the innermost lock
    /// that was waited for, and on the try-locks inside it. Those further out lead to that one.
    fn depend(&mut self, node: NodeId, next: Held) -> Option<Finding> {
        let task = self.task;
        for held in task.held().rev() {
            if held.word.running() != next.word.running() {
                break;
            }
            if held.word.class() != next.word.class()
                && let Some(finding) = self.add_dependency(held, node, next)
            {
                return Some(finding);
            }
            if !held.word.is_try() {
                break;
            }
        }
        None
    }

    fn add_dependency(&mut self, held: Held, to: NodeId, next: Held) -> Option<Finding> {
        let from = self.graph.node(held.word.class());
        let dep = Dep::of(held.word.mode(), next.word.mode());
        let known = self.graph.edge(from, to).map(|id| &self.graph.edges[id as usize]);
        if known.is_some_and(|edge| edge.dep.contains(dep) && !edge.declared) {
            return None;
        }
        if let Some(finding) = self.circle(held, next, from, to) {
            return Some(finding);
        }
        if let Some(finding) = self.joins_safe_to_unsafe(held, next, from, to) {
            return Some(finding);
        }
        let trace = self.trace();
        self.graph.connect(from, to, dep, trace, Some(next.site));
        None
    }

    /// Whether `to` leads to `from` so that the new edge closes a cycle that can deadlock.
    fn circle(&mut self, held: Held, next: Held, from: NodeId, to: NodeId) -> Option<Finding> {
        if self.graph.with_order(|graph, order| order.admit(graph, from, to)) {
            return None;
        }
        let weak = next.word.mode() == Mode::SharedRecursive;
        let exclusive = held.word.mode() == Mode::Exclusive;
        let closes = |node, weak: bool| node == from && (exclusive || !weak);
        match shortest(self.graph, Way::Cycle, to, weak, closes) {
            Some(path) => Some(Finding::Circular { next, held, path }),
            None => {
                self.graph.order.abandon();
                None
            }
        }
    }

    /// Whether the new edge joins a class that a context takes to one that it can break in on.
    fn joins_safe_to_unsafe(
        &self,
        held: Held,
        next: Held,
        from: NodeId,
        to: NodeId,
    ) -> Option<Finding> {
        let shared = held.word.mode().is_read();
        let recursive = next.word.mode() == Mode::SharedRecursive;
        let inside = self.graph.inside_before(from, shared);
        bits(inside & self.graph.open_after(to, recursive)).find_map(|context| {
            let back = self.path_to_usage(Way::Backwards, from, shared, context, Kind::In)?;
            let on = self.path_to_usage(Way::Forwards, to, recursive, context, Kind::Open)?;
            let safe = self.usage_at(back.last()?.node, context, Kind::In)?;
            let open = self.usage_at(on.last()?.node, context, Kind::Open)?;
            Some(Finding::SafeToUnsafe { held, next, back, on, safe, open })
        })
    }
}

enum Recursion {
    None,
    /// Held already, but a lock held outside both serialises them.
    Serialised,
    Deadlock(Held),
}

/// The numbers of the bits set, lowest first.
pub(crate) fn bits(mask: u8) -> impl Iterator<Item = u8> {
    (0..8).filter(move |bit| mask & 1 << bit != 0)
}

impl Finding {
    /// What makes two findings the same: a rule broken by the same classes is told once.
    pub(crate) fn identity(&self) -> (u8, u64, u64) {
        let pair = |a: &Held, b: &Held| (a.word.class().bits(), b.word.class().bits());
        let alone = |kind, held: &Held| (kind, held.word.class().bits(), 0);
        match self {
            Finding::Recursion { next, held } => (0, pair(next, held).0, pair(next, held).1),
            Finding::Circular { next, held, .. } => (1, pair(next, held).0, pair(next, held).1),
            Finding::Inconsistent { held, new, .. } => (2, held.word.class().bits(), new.bit()),
            Finding::Inversion { held, other, .. } => (3, held.word.class().bits(), other.bit()),
            Finding::SafeToUnsafe { held, next, .. } => (4, pair(held, next).0, pair(held, next).1),
            Finding::NestNotHeld { next } => alone(5, next),
            Finding::TooDeep { next } => alone(6, next),
            Finding::BadUnlock { class, .. } => (7, class.bits(), 0),
            Finding::HeldFreed { held, .. } => alone(8, held),
            Finding::NotHeld { class, site } => (9, class.bits(), u64::from(site.line())),
            Finding::HeldAtPark { held, .. } => alone(10, held),
            Finding::HeldAtReturn { held, .. } => alone(11, held),
            Finding::HeldAtExit { held, .. } => alone(12, held),
        }
    }
}

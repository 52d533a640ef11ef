//! Copies the proof of a finding out of the graph, while it is locked; nothing is named here.

use super::{ClassUse, Detail, Link, Lock, Report, Stack, TaskInfo, UsedAt};
use crate::class::ClassKey;
use crate::context::{self, Shown};
use crate::graph::{Graph, NodeId};
use crate::rules::Finding;
use crate::search::{Step, Way};
use crate::task::{Held, Task};
use crate::trace::shorten;
use crate::usage::{Usage, characters};
use std::panic::Location;

impl Report {
    pub(crate) fn new(graph: &mut Graph, task: &Task, finding: &Finding) -> Report {
        let trace = graph.traces.capture();
        let stack = Stack::new(graph.traces.frames(trace), Some(site_of(finding)));
        let new = match finding {
            Finding::Inconsistent { held, new, .. } | Finding::Inversion { held, new, .. } => {
                Some((held.word.class(), *new))
            }
            _ => None,
        };
        let builder = Builder { graph, contexts: context::shown(), new };
        Report {
            title: title(finding),
            task: task_info(task, &builder.contexts),
            contexts: builder.contexts.iter().map(|shown| shown.name.to_owned()).collect(),
            finding: builder.detail(finding, &stack),
            held: task.held().map(|held| builder.lock(held)).collect(),
            stack,
        }
    }
}

/// The title line, word for word the kernel's where the kernel has such a report.
fn title(finding: &Finding) -> String {
    let fixed = match finding {
        Finding::Recursion { .. } => "WARNING: possible recursive locking detected",
        Finding::Circular { .. } => "WARNING: possible circular locking dependency detected",
        Finding::Inconsistent { .. } => "WARNING: inconsistent lock state",
        Finding::Inversion { .. } => "WARNING: possible irq lock inversion dependency detected",
        Finding::NestNotHeld { .. } => "WARNING: nested lock was not taken",
        Finding::TooDeep { .. } => "BUG: MAX_LOCK_DEPTH too low!",
        Finding::BadUnlock { .. } => "WARNING: bad unlock balance detected!",
        Finding::HeldFreed { .. } => "WARNING: held lock freed!",
        Finding::HeldAtReturn { .. } => "WARNING: lock held when returning to user space!",
        Finding::HeldAtExit { .. } => "WARNING: lock held when leaving a context!",
        Finding::SafeToUnsafe { safe, .. } => {
            // The reader of crash logs knows the two states of the kernel, not numbered ones.
            let state = match safe.context() {
                Some((0, _)) => "HARDIRQ",
                _ => "SOFTIRQ",
            };
            return format!("WARNING: {state}-safe -> {state}-unsafe lock order detected");
        }
        Finding::HeldAtPark { site, .. } => {
            let at = format!("{}:{}", shorten(site.file()), site.line());
            return format!("BUG: sleeping function called from invalid context at {at}");
        }
        Finding::NotHeld { site, .. } => {
            let at = format!("{}:{}", shorten(site.file()), site.line());
            let id = thread_id();
            return format!("WARNING: CPU: {} PID: {id} at {at}", cpu().unwrap_or(0));
        }
    };
    fixed.to_owned()
}

struct Builder<'a> {
    graph: &'a Graph,
    contexts: Vec<Shown>,
    /// A usage that the finding is about; refused by the graph, and shown.
    new: Option<(ClassKey, Usage)>,
}

impl Builder<'_> {
    fn detail(&self, finding: &Finding, now: &Stack) -> Detail {
        let lock = |held: &Held| self.lock(*held);
        let at = |site: &Location<'_>| format!("{}:{}", shorten(site.file()), site.line());
        match finding {
            Finding::Recursion { next, held } => {
                Detail::Recursion { next: lock(next), held: lock(held) }
            }
            Finding::Circular { next, held, path } => {
                let chain = self.chain(path, now);
                Detail::Circular { next: lock(next), held: lock(held), chain }
            }
            Finding::Inconsistent { held, old, new } => {
                let old = self.used_at(self.node(held.word.class()), *old);
                Detail::Inconsistent { lock: lock(held), old, new: new.name() }
            }
            Finding::Inversion { held, way, other, path, .. } => Detail::Inversion {
                lock: lock(held),
                forwards: *way == Way::Forwards,
                state: state(*other),
                chain: self.chain(path, now),
            },
            Finding::SafeToUnsafe { held, next, back, on, safe, open } => {
                let mut links = self.chain(back, now);
                links.reverse();
                Detail::SafeToUnsafe {
                    held: Box::new(lock(held)),
                    next: Box::new(lock(next)),
                    state: state(*safe),
                    safe: self.used_at(end(back), *safe),
                    open: self.used_at(end(on), *open),
                    back: shift_stacks(links),
                    on: self.chain(on, now),
                }
            }
            Finding::NestNotHeld { next } => Detail::NestNotHeld { next: lock(next) },
            Finding::TooDeep { next } => Detail::TooDeep { next: lock(next) },
            Finding::BadUnlock { class, site } => {
                Detail::BadUnlock { class: self.class(*class), site: at(site) }
            }
            Finding::NotHeld { class, site } => {
                Detail::NotHeld { class: self.class(*class), site: at(site) }
            }
            Finding::HeldFreed { held, site } => {
                Detail::HeldFreed { lock: lock(held), site: at(site) }
            }
            Finding::HeldAtPark { held, site } => {
                Detail::HeldAtPark { lock: lock(held), site: at(site) }
            }
            Finding::HeldAtReturn { held, site } => {
                Detail::HeldAtReturn { lock: lock(held), site: at(site) }
            }
            Finding::HeldAtExit { held, site } => {
                Detail::HeldAtExit { lock: lock(held), site: at(site) }
            }
        }
    }

    fn node(&self, key: ClassKey) -> NodeId {
        let nodes = &self.graph.nodes;
        nodes.iter().position(|node| node.key == key).unwrap_or(0) as NodeId
    }

    fn class(&self, key: ClassKey) -> ClassUse {
        let info = self.graph.info(key);
        let known = self.graph.nodes.iter().find(|node| node.key == key);
        let new = self.new.filter(|(class, _)| *class == key).map_or(0, |(_, new)| new.bit());
        let usages = known.map_or(0, |node| node.usages) | new;
        let name = match key.subclass() {
            0 => info.name.clone(),
            subclass => format!("{}/{subclass}", info.name),
        };
        ClassUse {
            name,
            usage: characters(usages, &self.contexts),
            wait_type: if info.traits.spins { 2 } else { 4 },
            declared_at: info.site.map(|site| format!("{}:{}", shorten(site.file()), site.line())),
        }
    }

    fn lock(&self, held: Held) -> Lock {
        let trace = self.graph.traces.of_site(held.site);
        let frames = trace.map_or(&[][..], |trace| self.graph.traces.frames(trace));
        Lock {
            class: self.class(held.word.class()),
            instance: held.instance as u64,
            mode: held.word.mode(),
            site: format!("{}:{}", shorten(held.site.file()), held.site.line()),
            at: Stack::new(frames, Some(held.site)),
        }
    }

    fn used_at(&self, node: NodeId, usage: Usage) -> UsedAt {
        let trace = self.graph.nodes[node as usize].traces[usage.index()];
        let at = Stack::new(self.graph.traces.frames(trace), None);
        UsedAt { usage: usage.name(), at }
    }

    /// The classes of a path; each edge's stack with the class it leads to.
    fn chain(&self, path: &[Step], now: &Stack) -> Vec<Link> {
        path.iter().map(|step| self.link(step, now)).collect()
    }

    fn link(&self, step: &Step, now: &Stack) -> Link {
        let node = &self.graph.nodes[step.node as usize];
        let is_shown = |usage: &Usage| {
            let context = usage.context().map(|(context, _)| context);
            context.is_none_or(|context| self.contexts.iter().any(|shown| shown.index == context))
        };
        let known = Usage::all_in(node.usages).filter(is_shown);
        let known = known.map(|usage| self.used_at(step.node, usage));
        let new = self.new.filter(|(class, _)| *class == node.key);
        let new = new.map(|(_, usage)| UsedAt { usage: usage.name(), at: now.clone() });
        let edge = step.edge.map(|id| &self.graph.edges[id as usize]);
        Link {
            class: self.class(node.key),
            usages: new.into_iter().chain(known).collect(),
            acquired_at: match edge {
                Some(edge) => Stack::new(self.graph.traces.frames(edge.trace), edge.site),
                None => now.clone(),
            },
            kinds: edge.map_or_else(String::new, |edge| edge.dep.letters()),
            declared_at: edge.filter(|edge| edge.declared).and_then(|edge| {
                edge.site.map(|site| format!("{}:{}", shorten(site.file()), site.line()))
            }),
        }
    }
}

/// Where the rule was broken.
fn site_of(finding: &Finding) -> &'static Location<'static> {
    match finding {
        Finding::Recursion { next, .. }
        | Finding::Circular { next, .. }
        | Finding::SafeToUnsafe { next, .. }
        | Finding::NestNotHeld { next }
        | Finding::TooDeep { next } => next.site,
        Finding::Inconsistent { held, .. } | Finding::Inversion { held, .. } => held.site,
        Finding::BadUnlock { site, .. }
        | Finding::HeldFreed { site, .. }
        | Finding::NotHeld { site, .. }
        | Finding::HeldAtPark { site, .. }
        | Finding::HeldAtReturn { site, .. }
        | Finding::HeldAtExit { site, .. } => site,
    }
}

/// In a path found backwards each edge stands with the class it leaves; moves it to the one it
/// leads to, so that all paths read alike.
fn shift_stacks(mut links: Vec<Link>) -> Vec<Link> {
    for at in (1..links.len()).rev() {
        links[at].acquired_at = links[at - 1].acquired_at.clone();
        links[at].kinds = links[at - 1].kinds.clone();
        links[at].declared_at = links[at - 1].declared_at.clone();
    }
    if let Some(first) = links.first_mut() {
        first.acquired_at = Stack::new(&[], None);
        first.kinds.clear();
    }
    links
}

fn end(path: &[Step]) -> NodeId {
    path.last().map_or(0, |step| step.node)
}

/// The state that a usage is of: `HARDIRQ`, `SOFTIRQ-READ`.
fn state(usage: Usage) -> String {
    let name = usage.context().map_or_else(String::new, |(context, _)| context::label(context));
    if usage.is_read() { format!("{name}-READ") } else { name }
}

fn task_info(task: &Task, contexts: &[Shown]) -> TaskInfo {
    let state = crate::task::Word(task.state());
    let named = |bits: u8| {
        let set = contexts.iter().filter(|shown| bits & 1 << shown.index != 0);
        set.map(|shown| shown.name.to_owned()).collect()
    };
    let name = std::thread::current().name().unwrap_or("thread").replace(char::is_whitespace, "-");
    TaskInfo {
        name: name.replace("::", "-"),
        id: thread_id(),
        cpu: cpu(),
        running: named(state.running()),
        open: named(state.open()),
    }
}

/// The thread's id; the process's where the system does not tell.
fn thread_id() -> u32 {
    let link = std::fs::read_link("/proc/thread-self").ok();
    let id = link.and_then(|link| link.file_name()?.to_str()?.parse().ok());
    id.unwrap_or_else(std::process::id)
}

/// The CPU that the thread runs on: the 39th field of its `stat`, 37th after the name.
fn cpu() -> Option<u32> {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(36)?.parse().ok()
}

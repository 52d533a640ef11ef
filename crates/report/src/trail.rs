//! Follows a trail through a report to the guilty function.

use crate::family::{Pick, World};
use crate::forms::{CompiledStep, CompiledTrail};
use crate::tables::anchors::{CROSS_CALL, HANG_BUCKETS, STALL, SYSCALL_PREFIXES, WAITERS};
use crate::words::Words;
use crate::{stack, trace, work};
use std::borrow::Cow;
use std::sync::LazyLock;

/// A function that a report blames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Culprit {
    /// Its name, the same on every machine.
    pub(crate) name: String,
    /// Its name as it stands in the report.
    pub(crate) raw: String,
}

/// What a trail led to.
#[derive(Debug)]
pub(crate) struct Blame {
    /// The guilty function of each stack trace on the trail, `None` where there is none.
    pub(crate) culprits: Vec<Option<Culprit>>,
    /// Whether the trail was clear: a function for every trace, and no foreign trace in between.
    pub(crate) clear: bool,
}

/// Follows `trail` through `lines`.
pub(crate) fn follow(trail: &CompiledTrail, lines: &[&str]) -> Blame {
    let blame = walk(trail, &trail.steps, lines);
    if blame.clear || trail.otherwise.is_empty() {
        return blame;
    }
    walk(trail, &trail.otherwise, lines)
}

fn walk(trail: &CompiledTrail, steps: &[CompiledStep], lines: &[&str]) -> Blame {
    let mut walk = Walk::new(trail, steps);
    for line in lines {
        if walk.at == steps.len() {
            break;
        }
        walk.take(line);
    }
    let culprits: Vec<Option<Culprit>> =
        walk.stacks.iter().map(|stack| pick(trail, stack)).collect();
    let clear = walk.clear && culprits.iter().all(Option::is_some);
    Blame { culprits, clear }
}

/// On the way along the steps.
struct Walk<'w, 't> {
    trail: &'w CompiledTrail,
    steps: &'w [CompiledStep],
    /// The step that is looked for.
    at: usize,
    /// The frames of each stack, innermost first; what precedes the first trace belongs to it.
    stacks: Vec<Vec<Cow<'t, str>>>,
    /// How many traces have begun.
    traces: usize,
    clear: bool,
    /// The trace has had a frame.
    begun: bool,
}

impl<'w, 't> Walk<'w, 't> {
    fn new(trail: &'w CompiledTrail, steps: &'w [CompiledStep]) -> Self {
        let traces = steps.iter().filter(|step| matches!(step, CompiledStep::Trace)).count();
        let stacks = vec![Vec::new(); traces.max(1)];
        let mut walk = Walk { trail, steps, at: 0, stacks, traces: 0, clear: true, begun: false };
        walk.enter(0);
        walk
    }

    fn enter(&mut self, at: usize) {
        self.at = at;
        self.begun = false;
        if matches!(self.steps.get(at), Some(CompiledStep::Trace)) {
            self.traces += 1;
        }
    }

    fn take(&mut self, line: &'t str) {
        work::add(line.len());
        let is_user = self.trail.world == World::User;
        if !is_user && trace::is_injected(line) {
            self.clear = false;
            return self.enter(self.at + 1);
        }
        if let Some(frame) = self.steps[self.at].find(line) {
            self.keep(frame.map(trace::demangle));
            return self.enter(self.at + 1);
        }
        if !matches!(self.steps[self.at], CompiledStep::Trace) {
            return;
        }
        let ends = if is_user { stack::ends(line) } else { trace::starts(line) };
        // A trail that begins with a trace has it announced first, where the log does that.
        let is_over = if is_user { self.begun } else { self.begun || self.at > 0 };
        if ends && is_over {
            return self.enter(self.at + 1);
        }
        if let Some(frame) = self.steps.get(self.at + 1).and_then(|next| next.find(line)) {
            self.keep(frame.map(trace::demangle));
            return self.enter(self.at + 2);
        }
        if is_user {
            let frame = stack::frame(line);
            self.begun |= frame.is_some();
            return self.keep(frame.map(Cow::Owned));
        }
        for frame in trace::frames(line) {
            self.begun = true;
            self.keep(Some(trace::demangle(frame)));
        }
    }

    fn keep(&mut self, frame: Option<Cow<'t, str>>) {
        if let Some(frame) = frame.filter(|frame| self.trail.suspects(frame)) {
            self.stacks[self.traces.saturating_sub(1)].push(frame);
        }
    }
}

fn pick(trail: &CompiledTrail, stack: &[Cow<'_, str>]) -> Option<Culprit> {
    let canonical = |name| match trail.world {
        World::Kernel => without_prefix(name),
        World::User => name,
    };
    let names: Vec<&str> = stack.iter().map(|frame| canonical(frame.as_ref())).collect();
    let (name, at) = match trail.pick {
        Pick::Innermost => names.first().map(|name| (*name, 0)),
        Pick::Stall => pick_stall(&names),
        Pick::Hang => pick_hang(&names),
    }?;
    Some(Culprit { name: name.to_owned(), raw: stack[at].clone().into_owned() })
}

/// The name without what one machine or another puts before system calls: the shortest there is.
fn without_prefix(function: &str) -> &str {
    SYSCALL_PREFIXES
        .iter()
        .filter_map(|prefix| function.strip_prefix(prefix))
        .min_by_key(|name| name.len())
        .unwrap_or(function)
}

/// A busy CPU is caught anywhere in the loop that it runs, so the innermost function differs from
/// run to run. The one that a dispatcher or a system call's entry called does not.
fn pick_stall<'n>(names: &[&'n str]) -> Option<(&'n str, usize)> {
    static ANCHORS: LazyLock<Words> = LazyLock::new(|| Words::new(STALL.iter().copied()));
    let at = names.iter().position(|name| ANCHORS.fit(name))?;
    if names[at].contains(CROSS_CALL) {
        return Some((CROSS_CALL, at));
    }
    let inner = at.saturating_sub(1);
    Some((names[inner], inner))
}

/// A hung task is a victim: it waits for what another holds. Where many tasks come to wait for the
/// same, that is the bug; else the function that waits.
fn pick_hang<'n>(names: &[&'n str]) -> Option<(&'n str, usize)> {
    let bucket = |name: &str| HANG_BUCKETS.iter().find(|(words, _)| name.contains(words));
    let bucketed = names.iter().enumerate().find_map(|(at, name)| Some((at, name, bucket(name)?)));
    if let Some((at, name, (_, bucket))) = bucketed {
        return Some((bucket.unwrap_or(name), at));
    }
    let waits = |name: &str| WAITERS.iter().any(|words| name.contains(words));
    let at = names.iter().position(|name| !waits(name))?;
    Some((names[at], at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_named_after_the_entry() {
        let names = ["delay_tsc", "my_loop", "my_ioctl", "vfs_ioctl", "do_syscall_64"];
        assert_eq!(pick_stall(&names), Some(("my_ioctl", 2)));
        assert_eq!(pick_stall(&["delay_tsc"]), None);
        assert_eq!(pick_stall(&["a", "smp_call_function_many"]), Some((CROSS_CALL, 1)));
    }

    #[test]
    fn a_hang_is_named_after_what_all_wait_for_or_who_waits() {
        assert_eq!(pick_hang(&["schedule", "rwsem_down", "f"]), Some(("f", 2)));
        assert_eq!(pick_hang(&["f", "rtnl_lock_killable"]), Some(("rtnl_lock_killable", 1)));
        assert_eq!(pick_hang(&["f", "synchronize_net"]), Some(("synchronize_rcu", 1)));
        assert_eq!(pick_hang(&["schedule"]), None);
    }

    #[test]
    fn the_shortest_name_is_the_canonical_one() {
        assert_eq!(without_prefix("__se_sys_mmap"), "mmap");
        assert_eq!(without_prefix("sys_mmap"), "mmap");
        assert_eq!(without_prefix("vm_mmap"), "vm_mmap");
    }
}

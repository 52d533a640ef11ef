//! Reports as text, in the sections and the wording of the kernel's lock validator.

use super::{ClassUse, Detail, Link, Lock, Report, Stack, UsedAt};
use crate::mode::Mode;
use crate::trace::Frame;
use std::fmt::{self, Display, Formatter, Write};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rule = self.title.len();
        writeln!(f, "\n{:=<rule$}\n{}", "", self.title)?;
        writeln!(f, "ringfence-lockdep {} #0 Not tainted", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "{:-<rule$}", "")?;
        self.body(f)?;
        writeln!(f, "\nstack backtrace:")?;
        let cpu = self.task.cpu.unwrap_or(0);
        let version = env!("CARGO_PKG_VERSION");
        write!(f, "CPU: {cpu} PID: {} Comm: {} ", self.task.id, self.task.name)?;
        writeln!(f, "Not tainted ringfence-lockdep-{version} #0")?;
        writeln!(f, "Call Trace:")?;
        stack(f, &self.stack, 1)?;
        for (index, name) in self.contexts.iter().enumerate() {
            let number = if index > 1 { index.to_string() } else { String::new() };
            let label = if index == 0 { "HARDIRQ" } else { "SOFTIRQ" };
            writeln!(f, "{label}{number} is the context: {name}")?;
        }
        writeln!(f)
    }
}

impl Report {
    fn body(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.finding {
            Detail::Recursion { next, held } => self.recursion(f, next, held),
            Detail::Circular { next, held, chain } => self.circular(f, next, held, chain),
            Detail::Inconsistent { lock, old, new } => self.inconsistent(f, lock, old, new),
            Detail::Inversion { lock, forwards, state, chain } => {
                self.inversion(f, lock, *forwards, state, chain)
            }
            Detail::SafeToUnsafe { held, next, .. } => self.safe_to_unsafe(f, held, next),
            Detail::NestNotHeld { next } => {
                writeln!(f, "{} is trying to lock:", self.who())?;
                lock_line(f, next)?;
                writeln!(f, "\nbut this task is not holding the lock that serialises it.")?;
                self.other_info(f)
            }
            Detail::TooDeep { .. } => {
                writeln!(f, "{} holds {} locks already.", self.who(), self.held.len())?;
                self.other_info(f)
            }
            Detail::BadUnlock { class, .. } => {
                writeln!(f, "{} is trying to release lock ({}) at:", self.who(), class.name)?;
                one_frame(f, &self.stack)?;
                writeln!(f, "but there are no more locks to release!")?;
                self.other_info(f)
            }
            Detail::HeldFreed { lock, .. } => {
                let (who, from) = (self.who(), lock.instance);
                write!(f, "{who} is freeing memory {from:016x}, ")?;
                writeln!(f, "with a lock still held there!")?;
                lock_line(f, lock)?;
                self.other_info(f)
            }
            Detail::NotHeld { class, .. } => {
                writeln!(f, "the lock ({}) must be held here and is not.", class.name)?;
                self.other_info(f)
            }
            Detail::HeldAtPark { lock, .. } => {
                writeln!(f, "{} is about to park while holding:", self.who())?;
                lock_line(f, lock)?;
                self.other_info(f)
            }
            Detail::HeldAtReturn { lock, .. } => {
                writeln!(f, "{} is leaving the kernel with locks still held!", self.who())?;
                lock_line(f, lock)?;
                self.other_info(f)
            }
            Detail::HeldAtExit { lock, .. } => {
                writeln!(f, "{} is leaving a context with locks still held!", self.who())?;
                lock_line(f, lock)?;
                self.other_info(f)
            }
        }
    }

    fn recursion(&self, f: &mut Formatter<'_>, next: &Lock, held: &Lock) -> fmt::Result {
        writeln!(f, "{} is trying to acquire lock:", self.who())?;
        lock_line(f, next)?;
        writeln!(f, "\nbut task is already holding lock:")?;
        lock_line(f, held)?;
        writeln!(f, "\nother info that might help us debug this:")?;
        writeln!(f, " Possible unsafe locking scenario:\n")?;
        writeln!(f, "       CPU0\n       ----")?;
        writeln!(f, "  {}({});", verb(held.mode), held.class.name)?;
        writeln!(f, "  {}({});", verb(next.mode), next.class.name)?;
        writeln!(f, "\n *** DEADLOCK ***\n")?;
        writeln!(f, " May be due to missing lock nesting notation\n")?;
        self.held_locks(f)
    }

    fn circular(
        &self,
        f: &mut Formatter<'_>,
        next: &Lock,
        held: &Lock,
        chain: &[Link],
    ) -> fmt::Result {
        writeln!(f, "{} is trying to acquire lock:", self.who())?;
        lock_line(f, next)?;
        writeln!(f, "\nbut task is already holding lock:")?;
        lock_line(f, held)?;
        writeln!(f, "\nwhich lock already depends on the new lock.\n\n")?;
        writeln!(f, "the existing dependency chain (in reverse order) is:")?;
        for (depth, link) in chain.iter().enumerate().rev() {
            writeln!(f, "\n-> #{depth}{}:", braces(&link.class))?;
            acquired(f, link, 6)?;
        }
        writeln!(f, "\nother info that might help us debug this:\n")?;
        let parent = &chain[chain.len().saturating_sub(2)].class.name;
        let (source, target) = (&next.class.name, &held.class.name);
        if parent != source {
            writeln!(f, "Chain exists of:\n  {source} --> {parent} --> {target}\n")?;
        }
        writeln!(f, " Possible unsafe locking scenario:\n")?;
        let scenario = [
            (0, format!("{}({target});", verb(held.mode))),
            (1, format!("lock({parent});")),
            (1, format!("lock({target});")),
            (0, format!("{}({source});", verb(next.mode))),
        ];
        two_cpus(f, &scenario)?;
        self.held_locks(f)
    }

    fn inconsistent(
        &self,
        f: &mut Formatter<'_>,
        lock: &Lock,
        old: &UsedAt,
        new: &str,
    ) -> fmt::Result {
        writeln!(f, "inconsistent {{{}}} -> {{{new}}} usage.", old.usage)?;
        writeln!(f, "{} {} takes:", self.who(), self.states())?;
        lock_line(f, lock)?;
        writeln!(f, "{{{}}} state was registered at:", old.usage)?;
        stack(f, &old.at, 2)?;
        writeln!(f, "\nother info that might help us debug this:")?;
        writeln!(f, " Possible unsafe locking scenario:\n")?;
        writeln!(f, "       CPU0\n       ----")?;
        let name = &lock.class.name;
        writeln!(f, "  lock({name});\n  <Interrupt>\n    lock({name});")?;
        writeln!(f, "\n *** DEADLOCK ***\n")?;
        self.held_locks(f)
    }

    fn inversion(
        &self,
        f: &mut Formatter<'_>,
        lock: &Lock,
        forwards: bool,
        state: &str,
        chain: &[Link],
    ) -> fmt::Result {
        writeln!(f, "{} just changed the state of lock:", self.who())?;
        lock_line(f, lock)?;
        if forwards {
            writeln!(f, "but this lock took another, {state}-unsafe lock in the past:")?;
        } else {
            writeln!(f, "but this lock was taken by another, {state}-safe lock in the past:")?;
        }
        let (Some(other), Some(next)) = (chain.last(), chain.get(1)) else { return Ok(()) };
        writeln!(f, "{}\n", braces(&other.class))?;
        writeln!(f, "\nand interrupts could create inverse lock ordering between them.\n")?;
        writeln!(f, "\nother info that might help us debug this:")?;
        let (own, other, middle) = (&lock.class.name, &other.class.name, &next.class.name);
        if forwards {
            irq_scenario(f, own, other, middle)?;
        } else {
            irq_scenario(f, other, own, middle)?;
        }
        self.held_locks(f)?;
        writeln!(f, "\nthe shortest dependencies between 2nd lock and 1st lock:")?;
        dependencies(f, chain.iter().rev())
    }

    fn safe_to_unsafe(&self, f: &mut Formatter<'_>, held: &Lock, next: &Lock) -> fmt::Result {
        let Detail::SafeToUnsafe { state, back, on, safe, open, .. } = &self.finding else {
            return Ok(());
        };
        let (Some(first), Some(last)) = (back.first(), on.last()) else { return Ok(()) };
        writeln!(f, "{} {} is trying to acquire:", self.who(), self.states())?;
        lock_line(f, next)?;
        writeln!(f, "\nand this task is already holding:")?;
        lock_line(f, held)?;
        writeln!(f, "which would create a new lock dependency:")?;
        writeln!(f, "{} ->{}", braces(&held.class), braces(&next.class))?;
        writeln!(f, "\nbut this new dependency connects a {state}-irq-safe lock:")?;
        writeln!(f, "{}\n\n... which became {state}-irq-safe at:", braces(&first.class))?;
        stack(f, &safe.at, 2)?;
        writeln!(f, "\nto a {state}-irq-unsafe lock:")?;
        writeln!(f, "{}\n\n... which became {state}-irq-unsafe at:", braces(&last.class))?;
        stack(f, &open.at, 2)?;
        writeln!(f, "\nother info that might help us debug this:\n")?;
        irq_scenario(f, &first.class.name, &last.class.name, &held.class.name)?;
        self.held_locks(f)?;
        write!(f, "\nthe dependencies between {state}-irq-safe lock and the holding lock:\n")?;
        dependencies(f, back.iter())?;
        write!(f, "\nthe dependencies between the lock to be acquired")?;
        writeln!(f, " and {state}-irq-unsafe lock:")?;
        dependencies(f, on.iter())
    }

    fn other_info(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nother info that might help us debug this:")?;
        self.held_locks(f)
    }

    /// `NAME/ID`, as the kernel names a task.
    fn who(&self) -> String {
        format!("{}/{}", self.task.name, self.task.id)
    }

    /// In which of the first two contexts the task was, and which were open to it.
    fn states(&self) -> String {
        let signal = |set: &[String]| u8::from(set.contains(&self.contexts[0]));
        let other = |set: &[String]| u8::from(set.iter().any(|name| *name != self.contexts[0]));
        let (running, open) = (&self.task.running, &self.task.open);
        let (hc, sc) = (signal(running), other(running));
        format!("[HC{hc}[{hc}]:SC{sc}[{sc}]:HE{}:SE{}]", signal(open), other(open))
    }

    fn held_locks(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.held.len() {
            0 => return writeln!(f, "no locks held by {}.", self.who()),
            1 => writeln!(f, "1 lock held by {}:", self.who())?,
            many => writeln!(f, "{many} locks held by {}:", self.who())?,
        }
        for (index, lock) in self.held.iter().enumerate() {
            write!(f, " #{index}: ")?;
            lock_line(f, lock)?;
        }
        Ok(())
    }
}

fn verb(mode: Mode) -> &'static str {
    if mode.is_read() { "rlock" } else { "lock" }
}

/// ` (NAME){....}-{2:2}`.
fn braces(class: &ClassUse) -> String {
    let wait = class.wait_type;
    format!(" ({}){{{}}}-{{{wait}:{wait}}}", class.name, class.usage)
}

/// `ADDRESS (NAME){....}-{2:2}, at: FUNCTION+OFFSET FILE:LINE`, one `at:` for each inlined function.
fn lock_line(f: &mut Formatter<'_>, lock: &Lock) -> fmt::Result {
    write!(f, "{:016x}{}", lock.instance, braces(&lock.class))?;
    let mut separator = ", at: ";
    for shown in lock.at.frames() {
        write!(f, "{separator}")?;
        frame(f, shown)?;
        if !shown.inlined {
            break;
        }
        separator = "\n, at: ";
    }
    if lock.at.frames().is_empty() {
        write!(f, ", at: {}", lock.site)?;
    }
    writeln!(f)
}

fn frame(f: &mut impl Write, frame: &Frame) -> fmt::Result {
    write!(f, "{}", frame.function())?;
    if let Some(offset) = frame.offset {
        write!(f, "+{offset:#x}")?;
    }
    if let (Some(file), Some(line)) = (&frame.file, frame.line) {
        write!(f, " {file}:{line}")?;
    }
    if frame.inlined { write!(f, " [inline]") } else { Ok(()) }
}

fn one_frame(f: &mut Formatter<'_>, stack: &Stack) -> fmt::Result {
    if let Some(first) = stack.frames().first() {
        write!(f, "[<{:016x}>] ", first.offset.unwrap_or(0))?;
        frame(f, first)?;
        writeln!(f)?;
    }
    Ok(())
}

fn stack(f: &mut Formatter<'_>, stack: &Stack, indent: usize) -> fmt::Result {
    for shown in stack.frames() {
        write!(f, "{:indent$}", "")?;
        frame(f, shown)?;
        writeln!(f)?;
    }
    Ok(())
}

/// Where a link was taken; for a declared dependency, where it was declared.
fn acquired(f: &mut Formatter<'_>, link: &Link, indent: usize) -> fmt::Result {
    match &link.declared_at {
        Some(place) => writeln!(f, "{:indent$}declared in this order at {place}", ""),
        None => stack(f, &link.acquired_at, indent),
    }
}

/// Each class on a path with all its usages and where it was taken under the one before it.
fn dependencies<'a>(
    f: &mut Formatter<'_>,
    links: impl ExactSizeIterator<Item = &'a Link>,
) -> fmt::Result {
    let last = links.len().saturating_sub(1);
    for (index, link) in links.enumerate() {
        let depth = last - index;
        writeln!(f, "{:depth$}->{} {{", "", braces(&link.class))?;
        for used in &link.usages {
            writeln!(f, "{:depth$}   {} at:", "", used.usage)?;
            stack(f, &used.at, depth + 3 + used.usage.len())?;
        }
        writeln!(f, "{:depth$} }}", "")?;
        let declared = link.class.declared_at.as_deref().unwrap_or("unknown");
        writeln!(f, "{:depth$} ... key      at: {declared}", "")?;
        if link.declared_at.is_some() || !link.acquired_at.frames().is_empty() {
            writeln!(f, "{:depth$} ... acquired at:", "")?;
            acquired(f, link, 3)?;
        }
        writeln!(f)?;
    }
    Ok(())
}

/// Draws steps in two columns, one a CPU.
fn two_cpus(f: &mut Formatter<'_>, steps: &[(u8, String)]) -> fmt::Result {
    writeln!(f, "       CPU0                    CPU1")?;
    writeln!(f, "       ----                    ----")?;
    for (cpu, step) in steps {
        let column = if *cpu == 0 { 2 } else { 31 };
        writeln!(f, "{:column$}{step}", "")?;
    }
    writeln!(f, "\n *** DEADLOCK ***\n")
}

fn irq_scenario(f: &mut Formatter<'_>, safe: &str, open: &str, middle: &str) -> fmt::Result {
    let middle = if middle == safe { open } else { middle };
    if middle != open {
        writeln!(f, "Chain exists of:\n  {safe} --> {middle} --> {open}\n")?;
    }
    writeln!(f, " Possible interrupt unsafe locking scenario:\n")?;
    let scenario = [
        (0, format!("lock({open});")),
        (1, "local_irq_disable();".to_owned()),
        (1, format!("lock({safe});")),
        (1, format!("lock({middle});")),
        (0, "<Interrupt>".to_owned()),
        (0, format!("  lock({safe});")),
    ];
    two_cpus(f, &scenario)
}

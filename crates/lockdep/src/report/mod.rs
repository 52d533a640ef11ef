//! Reports: what rule was broken, with every piece of the proof.

mod build;
mod sink;
mod text;

pub use sink::OnReport;
pub(crate) use sink::Sink;

use crate::mode::Mode;
use crate::trace::{Frame, resolve, shorten};
use serde::{Serialize, Serializer};
use std::panic::Location;
use std::sync::OnceLock;

/// One broken rule. Prints in the sections of the kernel's lock validator; serialises to JSON.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The line a crash-log reader looks for.
    pub title: String,
    /// The task that broke the rule, at that moment.
    pub task: TaskInfo,
    /// What stands behind `HARDIRQ`, `SOFTIRQ`, `SOFTIRQ2`...
    pub contexts: Vec<String>,
    /// The rule and its proof.
    pub finding: Detail,
    /// What the task held, outermost first.
    pub held: Vec<Lock>,
    /// The stack that broke the rule.
    pub stack: Stack,
}

/// Who broke a rule.
#[derive(Debug, Serialize)]
pub struct TaskInfo {
    /// The thread's name.
    pub name: String,
    /// The thread's id in the system.
    pub id: u32,
    /// The CPU it ran on, if the system tells.
    pub cpu: Option<u32>,
    /// The contexts that ran, of [`Report::contexts`].
    pub running: Vec<String>,
    /// The contexts that could break in, of [`Report::contexts`].
    pub open: Vec<String>,
}

/// A class as a report shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassUse {
    /// The declared name, or the place that makes such locks; with `/N` for a subclass.
    pub name: String,
    /// Two characters a context, for writers and for readers; see `{....}` in the kernel's reports.
    pub usage: String,
    /// The kernel's wait type of the lock: 2 spins, 4 parks.
    pub wait_type: u8,
    /// Where the class was declared.
    pub declared_at: Option<String>,
}

/// A lock that is held or about to be.
#[derive(Clone, Debug, Serialize)]
pub struct Lock {
    /// Its class.
    pub class: ClassUse,
    /// Its address, or what else tells it from others of its class.
    pub instance: u64,
    /// How it is taken.
    pub mode: Mode,
    /// Where it was taken.
    pub site: String,
    /// The stack that first took a lock at that place.
    pub at: Stack,
}

/// One class on a path of dependencies.
#[derive(Clone, Debug, Serialize)]
pub struct Link {
    /// The class.
    pub class: ClassUse,
    /// Every way it was used, each with the stack that did so first.
    pub usages: Vec<UsedAt>,
    /// Where it was taken under the link before it; for the first link, where it is taken now.
    pub acquired_at: Stack,
    /// How it depends on the link before it, of `ER`, `EN`, `SR`, `SN`.
    pub kinds: String,
    /// The dependency is declared and was never seen: where.
    pub declared_at: Option<String>,
}

/// One usage of a class.
#[derive(Clone, Debug, Serialize)]
pub struct UsedAt {
    /// As the kernel writes it: `IN-HARDIRQ-W`, `SOFTIRQ-ON-R`, `INITIAL USE`.
    pub usage: String,
    /// The stack that first used it so.
    pub at: Stack,
}

/// The rule broken, and what proves it.
#[derive(Debug, Serialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum Detail {
    /// A class taken while it is held.
    Recursion {
        /// What is taken.
        next: Lock,
        /// What is held of the same class.
        held: Lock,
    },
    /// A cycle of dependencies.
    Circular {
        /// What is taken.
        next: Lock,
        /// What is held.
        held: Lock,
        /// The shortest path from the class of `next` to the class of `held`.
        chain: Vec<Link>,
    },
    /// A class used in ways that exclude each other.
    Inconsistent {
        /// The lock.
        lock: Lock,
        /// The usage known before.
        old: UsedAt,
        /// The new one.
        new: String,
    },
    /// A context inverts two locks.
    Inversion {
        /// The lock whose state changed.
        lock: Lock,
        /// Whether `lock` took the other in the past, rather than the other `lock`.
        forwards: bool,
        /// The state of the other: `HARDIRQ`, `SOFTIRQ-READ`.
        state: String,
        /// The shortest path from `lock` to the other.
        chain: Vec<Link>,
    },
    /// A new dependency lets a context invert two locks.
    SafeToUnsafe {
        /// What is held.
        held: Box<Lock>,
        /// What is taken.
        next: Box<Lock>,
        /// The state that the two ends disagree on.
        state: String,
        /// From the class that the context takes to `held`.
        back: Vec<Link>,
        /// From `next` to the class that the context can break in on.
        on: Vec<Link>,
        /// The usage of the first.
        safe: UsedAt,
        /// The usage of the last.
        open: UsedAt,
    },
    /// The lock that is said to serialise another is not held.
    NestNotHeld {
        /// What is taken.
        next: Lock,
    },
    /// A task holds more locks than can be recorded.
    TooDeep {
        /// What is taken.
        next: Lock,
    },
    /// A lock released that is not held.
    BadUnlock {
        /// Its class.
        class: ClassUse,
        /// Where.
        site: String,
    },
    /// A lock destroyed while held.
    HeldFreed {
        /// The lock.
        lock: Lock,
        /// Where.
        site: String,
    },
    /// A lock not held that must be.
    NotHeld {
        /// Its class.
        class: ClassUse,
        /// Where.
        site: String,
    },
    /// A lock held where its thread parks.
    HeldAtPark {
        /// The lock.
        lock: Lock,
        /// Where.
        site: String,
    },
    /// A lock held where its thread returns to the program.
    HeldAtReturn {
        /// The lock.
        lock: Lock,
        /// Where.
        site: String,
    },
    /// A lock still held where the context that took it ends.
    HeldAtExit {
        /// The lock.
        lock: Lock,
        /// Where.
        site: String,
    },
}

/// A call stack, named when it is first looked at.
#[derive(Clone, Debug)]
pub struct Stack {
    ips: Vec<u64>,
    site: Option<&'static Location<'static>>,
    frames: OnceLock<Vec<Frame>>,
}

impl Stack {
    fn new(ips: &[u64], site: Option<&'static Location<'static>>) -> Stack {
        Stack { ips: ips.to_vec(), site, frames: OnceLock::new() }
    }

    /// Its functions, innermost first, from the one that took the lock on. If no stack was
    /// captured, one frame that names the place.
    pub fn frames(&self) -> &[Frame] {
        self.frames.get_or_init(|| match resolve(&self.ips) {
            frames if frames.is_empty() => self.site.map(place).into_iter().collect(),
            frames => frames,
        })
    }
}

impl Serialize for Stack {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.frames().serialize(serializer)
    }
}

/// A place in the source in the form of a frame; the file stands for the function.
fn place(site: &'static Location<'static>) -> Frame {
    let file = shorten(site.file());
    let stem = file.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or("site");
    Frame {
        path: stem.to_owned(),
        offset: Some(u64::from(site.line())),
        line: Some(site.line()),
        file: Some(file),
        inlined: false,
    }
}

impl Report {
    /// The same with its title completed where that takes the name of a function.
    pub(crate) fn named(mut self) -> Report {
        if let (Detail::NotHeld { .. }, Some(frame)) = (&self.finding, self.stack.frames().first())
        {
            let offset = frame.offset.unwrap_or(0);
            self.title = format!("{} {}+{offset:#x}", self.title, frame.function());
        }
        self
    }

    /// The report as one JSON object.
    ///
    /// # Panics
    ///
    /// Never: every field serialises.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a report serialises")
    }
}

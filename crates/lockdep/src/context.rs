//! Contexts: code that can break in on a thread, as an interrupt does on a kernel's task.
//!
//! The first is [`SIGNAL`]. A program names its own: a completion callback, a timer callback, the
//! handler of one signal. Each can be *blocked* (the signal masked, the callback deferred); a lock
//! that a context takes must not be held where that context is not blocked.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// Contexts there can be in one process, as bits of a byte: [`SIGNAL`], three that start behind
/// signals, four others. Fixed, so that a context means the same before its first use as after it.
pub const CONTEXTS_MAX: usize = 8;

pub(crate) const SIGNAL_BIT: u8 = 1;
const BEHIND_SIGNALS: std::ops::Range<u8> = 1..4;
const OTHERS: std::ops::Range<u8> = 4..8;
const BEHIND_SIGNALS_BITS: u8 = 0b1110;

/// The handler of any signal; in the kernel's words, a hard interrupt.
pub static SIGNAL: Context =
    Context { name: "signal handler", starts_behind_signals: false, index: AtomicU8::new(1) };

/// Code that can break in on a thread; make it a `static`.
#[derive(Debug)]
pub struct Context {
    name: &'static str,
    starts_behind_signals: bool,
    /// Its bit plus one; 0 until its first use.
    index: AtomicU8,
}

/// All but [`SIGNAL`], in the order of their first use.
static DECLARED: Mutex<Vec<(u8, &'static Context)>> = Mutex::new(Vec::new());

impl Context {
    /// A context that the program runs itself, such as `"timer callback"`.
    pub const fn new(name: &'static str) -> Context {
        Context { name, starts_behind_signals: false, index: AtomicU8::new(0) }
    }

    /// Declares that it starts only where a signal handler could: blocking [`SIGNAL`] blocks it too,
    /// as blocking interrupts keeps a kernel's soft interrupts out.
    pub const fn behind_signals(mut self) -> Context {
        self.starts_behind_signals = true;
        self
    }

    /// The name it was declared by.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Its bit number, below [`CONTEXTS_MAX`].
    ///
    /// # Panics
    ///
    /// If the program uses more contexts than there are bits.
    pub(crate) fn index(&'static self) -> u8 {
        match self.index.load(Ordering::Relaxed) {
            0 => self.register(),
            number => number - 1,
        }
    }

    #[cold]
    fn register(&'static self) -> u8 {
        let mut declared = DECLARED.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.index.load(Ordering::Relaxed);
        if known != 0 {
            return known - 1;
        }
        let mut range = if self.starts_behind_signals { BEHIND_SIGNALS } else { OTHERS };
        let taken = |index: &u8| declared.iter().any(|&(used, _)| used == *index);
        let index = range.find(|index| !taken(index));
        let index = index.unwrap_or_else(|| panic!("ringfence-lockdep: no room for {self:?}"));
        declared.push((index, self));
        self.index.store(index + 1, Ordering::Relaxed);
        index
    }

    pub(crate) fn bit(&'static self) -> u8 {
        1 << self.index()
    }

    /// The contexts that cannot start while this one is blocked or running.
    pub(crate) fn blocks(&'static self) -> u8 {
        let own = self.bit();
        if own == SIGNAL_BIT { own | BEHIND_SIGNALS_BITS } else { own }
    }
}

/// A context as reports show it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) index: u8,
    pub(crate) name: &'static str,
}

/// The contexts in use, [`SIGNAL`] first, then in the order of their first use.
pub(crate) fn shown() -> Vec<Shown> {
    let declared = DECLARED.lock().unwrap_or_else(PoisonError::into_inner);
    let named = declared.iter().map(|&(index, context)| Shown { index, name: context.name });
    std::iter::once(Shown { index: 0, name: SIGNAL.name }).chain(named).collect()
}

/// What stands for a context in kernel wording: signals are hard interrupts, what a program names
/// are soft ones, numbered from the second on.
pub(crate) fn label(index: u8) -> String {
    let position = shown().iter().position(|shown| shown.index == index);
    match position.unwrap_or(usize::from(index)) {
        0 => "HARDIRQ".to_owned(),
        1 => "SOFTIRQ".to_owned(),
        more => format!("SOFTIRQ{more}"),
    }
}

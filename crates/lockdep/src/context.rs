//! Contexts: code that can break in on a thread, as an interrupt does on a kernel's task.
//!
//! The first is [`SIGNAL`]. A program names its own: a completion callback, a timer callback, the
//! handler of one signal. Each can be *blocked* (the signal masked, the callback deferred); a lock
//! that a context takes must not be held where that context is not blocked.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// Contexts there can be in one process, [`SIGNAL`] included.
pub const CONTEXTS_MAX: usize = 8;

/// The handler of any signal; in the kernel's words, a hard interrupt.
pub static SIGNAL: Context =
    Context { name: "signal handler", starts_behind_signals: false, index: AtomicU8::new(1) };

pub(crate) const SIGNAL_BIT: u8 = 1;

/// Code that can break in on a thread; make it a `static`.
#[derive(Debug)]
pub struct Context {
    name: &'static str,
    starts_behind_signals: bool,
    /// Its bit plus one; 0 until its first use.
    index: AtomicU8,
}

/// The contexts declared [`Context::behind_signals`], as bits; read in signal handlers.
static BEHIND_SIGNALS: AtomicU8 = AtomicU8::new(0);

/// All but [`SIGNAL`], in the order of their bits.
static DECLARED: Mutex<Vec<&'static Context>> = Mutex::new(Vec::new());

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
    /// If the program uses more than [`CONTEXTS_MAX`] contexts.
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
        let index = declared.len() + 1;
        assert!(index < CONTEXTS_MAX, "ringfence-lockdep: more than {CONTEXTS_MAX} contexts");
        declared.push(self);
        if self.starts_behind_signals {
            BEHIND_SIGNALS.fetch_or(1 << index, Ordering::Relaxed);
        }
        self.index.store(index as u8 + 1, Ordering::Relaxed);
        index as u8
    }

    pub(crate) fn bit(&'static self) -> u8 {
        1 << self.index()
    }

    /// The contexts that cannot start while this one is blocked or running.
    pub(crate) fn blocks(&'static self) -> u8 {
        let own = self.bit();
        if own == SIGNAL_BIT { own | BEHIND_SIGNALS.load(Ordering::Relaxed) } else { own }
    }
}

/// The contexts in use, in the order of their bits; [`SIGNAL`] first.
pub(crate) fn names() -> Vec<&'static str> {
    let declared = DECLARED.lock().unwrap_or_else(PoisonError::into_inner);
    std::iter::once(SIGNAL.name).chain(declared.iter().map(|context| context.name)).collect()
}

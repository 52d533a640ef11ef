//! What one thread (or one asynchronous task, or one simulated thread) holds right now.

use crate::class::ClassKey;
use crate::mode::Mode;
use std::cell::Cell;
use std::panic::Location;
use std::sync::atomic::{Ordering, compiler_fence};

/// How many locks may be held at once; the kernel allows 48.
pub const DEPTH_MAX: usize = 64;

/// Which asynchronous task a [`Task`] is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskId(pub(crate) u64);

impl TaskId {
    /// None: a thread, or a simulated one.
    pub(crate) const THREAD: TaskId = TaskId(0);
}

/// The acquisitions of one flow of control that are not released yet, outermost first.
///
/// Each thread has one. A simulated host, or an executor, makes one for each of its own tasks and
/// [`switch`](crate::switch)es between them.
///
/// All of it is written so that a signal handler may run between any two stores, take and release
/// locks of its own, and leave everything as it was.
#[derive(Debug)]
pub struct Task {
    id: Cell<u64>,
    depth: Cell<usize>,
    /// The key of the chain held.
    key: Cell<u64>,
    /// The running and the open contexts, placed as in [`Word`].
    state: Cell<u64>,
    /// How often each context was blocked and not unblocked.
    blocked: [Cell<u8>; 8],
    /// Slots that a context skipped on entry: a push that it interrupted may be half done there.
    skipped: Cell<u64>,
    /// Set while the validator itself runs here: locks that it uses are not validated.
    pub(crate) busy: Cell<bool>,
    /// Acquisitions beyond [`DEPTH_MAX`], which are not recorded.
    overflow: Cell<usize>,
    held: [Slot; DEPTH_MAX],
}

/// One entry of the stack of held locks.
#[derive(Debug)]
struct Slot {
    word: Cell<u64>,
    site: Cell<Option<&'static Location<'static>>>,
    instance: Cell<usize>,
    /// The key of the chain before this acquisition.
    before: Cell<u64>,
}

/// What of an acquisition enters the key of its chain, in 64 bits.
///
/// Bits 0 to 31 the class, 32 and 33 the mode, 34 try-lock, 35 nested under a lock that serialises,
/// 40 to 47 the contexts that run, 48 to 55 the contexts that are open (could break in), 56 to 63
/// those that the running ones keep out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

pub(crate) const TRY: u64 = 1 << 34;
pub(crate) const NEST: u64 = 1 << 35;
const RUNNING_SHIFT: u32 = 40;
const OPEN_SHIFT: u32 = 48;
const KEPT_OUT_SHIFT: u32 = 56;
const ALL_OPEN: u64 = 0xff << OPEN_SHIFT;

impl Word {
    #[inline]
    pub(crate) fn new(class: ClassKey, mode: Mode, flags: u64) -> Word {
        Word(class.bits() | (mode as u64) << 32 | flags)
    }

    /// The same with the contexts of the task that acquires.
    #[inline]
    pub(crate) fn on(self, task: &Task) -> Word {
        Word(self.0 | task.state.get())
    }

    #[inline]
    pub(crate) fn class(self) -> ClassKey {
        ClassKey::from_bits(self.0 & 0xffff_ffff)
    }

    pub(crate) fn mode(self) -> Mode {
        Mode::from_bits(self.0 >> 32)
    }

    pub(crate) fn is_try(self) -> bool {
        self.0 & TRY != 0
    }

    pub(crate) fn is_nested(self) -> bool {
        self.0 & NEST != 0
    }

    /// The contexts that ran, innermost and those it interrupted.
    pub(crate) fn running(self) -> u8 {
        (self.0 >> RUNNING_SHIFT) as u8
    }

    /// The contexts that could have broken in.
    pub(crate) fn open(self) -> u8 {
        (self.0 >> OPEN_SHIFT) as u8
    }
}

/// One held lock, copied out of its slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) word: Word,
    pub(crate) site: &'static Location<'static>,
    pub(crate) instance: usize,
}

/// What a context found on entry and must leave behind; [`Validator::leave`](crate::Validator) takes it.
#[derive(Debug)]
#[must_use]
pub struct Entered {
    depth: usize,
    key: u64,
    state: u64,
    skipped: u64,
}

impl Task {
    /// A task that holds nothing, in no context, with all contexts open.
    pub const fn new() -> Task {
        Task {
            id: Cell::new(0),
            depth: Cell::new(0),
            key: Cell::new(0),
            state: Cell::new(ALL_OPEN),
            blocked: [const { Cell::new(0) }; 8],
            skipped: Cell::new(0),
            busy: Cell::new(false),
            overflow: Cell::new(0),
            held: [const {
                Slot {
                    word: Cell::new(0),
                    site: Cell::new(None),
                    instance: Cell::new(0),
                    before: Cell::new(0),
                }
            }; DEPTH_MAX],
        }
    }

    /// The same for an asynchronous task.
    pub(crate) fn of(id: TaskId) -> Task {
        let task = Task::new();
        task.id.set(id.0);
        task
    }

    pub(crate) fn id(&self) -> TaskId {
        TaskId(self.id.get())
    }

    /// How many locks it holds.
    pub fn held_count(&self) -> usize {
        self.held().count()
    }

    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.depth.get() == 0
    }

    #[inline]
    pub(crate) fn key(&self) -> u64 {
        self.key.get()
    }

    #[inline]
    pub(crate) fn state(&self) -> u64 {
        self.state.get()
    }

    /// The held locks with their slots, outermost first.
    pub(crate) fn held_slots(&self) -> impl DoubleEndedIterator<Item = (usize, Held)> + '_ {
        (0..self.depth.get()).filter_map(|index| self.get(index).map(|held| (index, held)))
    }

    /// The held locks, outermost first.
    pub(crate) fn held(&self) -> impl DoubleEndedIterator<Item = Held> + '_ {
        self.held_slots().map(|(_, held)| held)
    }

    fn get(&self, index: usize) -> Option<Held> {
        let slot = &self.held[index];
        let recorded = self.skipped.get() & 1 << index == 0;
        recorded.then(|| Held {
            word: Word(slot.word.get()),
            site: slot.site.get().unwrap_or(Location::caller()),
            instance: slot.instance.get(),
        })
    }

    /// Records an acquisition whose chain has the key `key`. `false` if there is no room.
    #[inline]
    pub(crate) fn push(&self, held: Held, key: u64) -> bool {
        let depth = self.depth.get();
        let Some(slot) = self.held.get(depth) else {
            self.overflow.set(self.overflow.get() + 1);
            return false;
        };
        slot.word.set(held.word.0);
        slot.site.set(Some(held.site));
        slot.instance.set(held.instance);
        slot.before.set(self.key.get());
        compiler_fence(Ordering::SeqCst);
        self.depth.set(depth + 1);
        self.key.set(key);
        true
    }

    /// Forgets the innermost lock if it is `instance` of `class`, whatever the subclass: the usual,
    /// nested release.
    #[inline]
    pub(crate) fn pop(&self, class: ClassKey, instance: usize) -> bool {
        let Some(top) = self.depth.get().checked_sub(1) else { return false };
        let slot = &self.held[top & (DEPTH_MAX - 1)];
        let matches =
            slot.instance.get() == instance && Word(slot.word.get()).class().is_same_lock(class);
        if !matches || self.skipped.get() & 1 << top != 0 {
            return false;
        }
        let before = slot.before.get();
        compiler_fence(Ordering::SeqCst);
        self.key.set(before);
        self.depth.set(top);
        true
    }

    /// Takes the stack down to slot `index` and returns what stood above it, that slot left out.
    pub(crate) fn unwind_to(&self, index: usize) -> Vec<Held> {
        let above = (index + 1..self.depth.get()).filter_map(|at| self.get(at)).collect();
        self.key.set(self.held[index].before.get());
        self.depth.set(index);
        self.skipped.set(self.skipped.get() & ((1 << index) - 1));
        above
    }

    /// Forgets the entry in `index` in place if a context began above it, whose entries must stay
    /// where they are. `false` if none did.
    pub(crate) fn bury(&self, index: usize) -> bool {
        let skipped = self.skipped.get();
        let crosses = skipped >> index > 1;
        if crosses {
            self.skipped.set(skipped | 1 << index);
        }
        crosses
    }

    /// Takes back one acquisition that found no room. `false` if there was none.
    pub(crate) fn pop_overflow(&self) -> bool {
        match self.overflow.get().checked_sub(1) {
            Some(rest) => {
                self.overflow.set(rest);
                true
            }
            None => false,
        }
    }

    /// Begins the context `bit`, which keeps `blocks` out while it runs.
    pub(crate) fn enter(&self, bit: u8, blocks: u8) -> Entered {
        let entered = Entered {
            depth: self.depth.get(),
            key: self.key.get(),
            state: self.state.get(),
            skipped: self.skipped.get(),
        };
        if entered.depth < DEPTH_MAX - 1 {
            self.skipped.set(entered.skipped | 1 << entered.depth);
            compiler_fence(Ordering::SeqCst);
            self.depth.set(entered.depth + 1);
        }
        // A context that breaks in takes its locks anew, whatever it interrupts: what it may not find
        // held is known of each class. One that is run where it is blocked is a call like any other.
        if Word(entered.state).open() & bit != 0 {
            self.key.set(0);
        }
        let running = u64::from(bit) << RUNNING_SHIFT | u64::from(blocks) << KEPT_OUT_SHIFT;
        self.state.set((entered.state | running) & !(u64::from(blocks) << OPEN_SHIFT));
        entered
    }

    /// Ends a context; returns what it still held, which is then forgotten.
    pub(crate) fn leave(&self, entered: &Entered) -> Vec<Held> {
        let leaked = (entered.depth..self.depth.get()).filter_map(|at| self.get(at)).collect();
        self.state.set(entered.state);
        self.key.set(entered.key);
        compiler_fence(Ordering::SeqCst);
        self.depth.set(entered.depth);
        let below = (1 << entered.depth) - 1;
        let mut buried = self.skipped.get() & below & !entered.skipped;
        // What the context released of its surroundings is gone, as far as it lies on top.
        while let Some(top) = self.depth.get().checked_sub(1)
            && buried & 1 << top != 0
        {
            buried &= !(1 << top);
            self.key.set(self.held[top].before.get());
            self.depth.set(top);
        }
        self.skipped.set(entered.skipped | buried);
        leaked
    }

    /// Keeps the contexts in `bits` out until the matching [`Task::unblock`].
    pub(crate) fn block(&self, bits: u8) {
        for index in 0..8 {
            if bits & 1 << index != 0 {
                self.blocked[index].set(self.blocked[index].get() + 1);
            }
        }
        self.state.set(self.state.get() & !(u64::from(bits) << OPEN_SHIFT));
    }

    /// Ends a [`Task::block`] of the same bits; returns the contexts that are open again.
    pub(crate) fn unblock(&self, bits: u8) -> u8 {
        let mut opened = 0;
        for index in 0..8 {
            if bits & 1 << index == 0 {
                continue;
            }
            let depth = self.blocked[index].get().saturating_sub(1);
            self.blocked[index].set(depth);
            if depth == 0 {
                opened |= 1 << index;
            }
        }
        opened &= !((self.state.get() >> KEPT_OUT_SHIFT) as u8);
        self.state.set(self.state.get() | u64::from(opened) << OPEN_SHIFT);
        opened
    }

    /// Exchanges all that two tasks hold.
    pub(crate) fn swap(&self, other: &Task) {
        let used = self.depth.get().max(other.depth.get());
        for (mine, theirs) in self.held.iter().zip(&other.held).take(used) {
            mine.word.swap(&theirs.word);
            mine.site.swap(&theirs.site);
            mine.instance.swap(&theirs.instance);
            mine.before.swap(&theirs.before);
        }
        for (mine, theirs) in self.blocked.iter().zip(&other.blocked) {
            mine.swap(theirs);
        }
        self.id.swap(&other.id);
        self.depth.swap(&other.depth);
        self.key.swap(&other.key);
        self.state.swap(&other.state);
        self.skipped.swap(&other.skipped);
        self.overflow.swap(&other.overflow);
    }
}

impl Default for Task {
    fn default() -> Task {
        Task::new()
    }
}

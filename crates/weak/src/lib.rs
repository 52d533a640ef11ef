//! Ring memory for the model checker `loom`: its words are loom's atomics, and its entries are cells
//! whose unordered use loom reports.
//!
//! The engine's code that publishes through ring memory is generic over
//! [`Words`](ringfence_host::words::Words); on [`Memory`], inside `loom::model`, it is run under every
//! interleaving and every value that a load may see by the C11 memory model.
//!
//! What it is not: memory that a program could map, or a part of what is shipped.
//!
//! ```
//! use ringfence_host::words::Words;
//! use ringfence_weak::Memory;
//! use std::sync::atomic::Ordering::{Acquire, Release};
//!
//! loom::model(|| {
//!     // A word, and behind it one entry of 16 bytes.
//!     let memory = loom::sync::Arc::new(Memory::new(16..32, 16));
//!     let writer = loom::sync::Arc::clone(&memory);
//!     let thread = loom::thread::spawn(move || {
//!         writer.write(16, [7u64, 8]);
//!         writer.store(0, 1, Release);
//!     });
//!     if memory.load(0, Acquire) == 1 {
//!         assert_eq!(memory.read::<[u64; 2]>(16), [7, 8]);
//!     }
//!     thread.join().unwrap();
//! });
//! ```
#![expect(unsafe_code, reason = "copies entries out of loom's cells")]

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering, fence};
use ringfence_host::plain::{Plain, bytes, bytes_mut};
use ringfence_host::words::{Word, Words};
use std::ops::Range;

/// Memory of words and entries.
pub struct Memory {
    /// Before the entries, and behind them.
    words: Vec<AtomicU32>,
    entries: Vec<UnsafeCell<Vec<u8>>>,
    /// Where the entries stand, bytes.
    at: Range<usize>,
    /// Length of one, bytes.
    size: usize,
}

// SAFETY: a cell is looked at inside `with` and `with_mut` only, which panic when another thread's
// use of it is not ordered with this one; that is what this crate is for.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// Bytes of words behind the entries.
const BEHIND: usize = 64;

impl Memory {
    /// Zeroed memory with entries of `size` bytes at `entries`, and words before and a few behind it.
    pub fn new(entries: Range<usize>, size: usize) -> Memory {
        let words = (entries.start + BEHIND) / 4;
        Memory {
            words: (0..words).map(|_| AtomicU32::new(0)).collect(),
            entries: entries
                .clone()
                .step_by(size)
                .map(|_| UnsafeCell::new(vec![0; size]))
                .collect(),
            at: entries,
            size,
        }
    }

    fn word(&self, offset: u32) -> &AtomicU32 {
        let offset = offset as usize;
        assert!(!self.at.contains(&offset), "an entry is no word");
        let skipped = if offset < self.at.start { 0 } else { self.at.len() };
        &self.words[(offset - skipped) / 4]
    }

    /// The entry at an offset, for a type of its size.
    fn entry<T>(&self, offset: usize) -> &UnsafeCell<Vec<u8>> {
        assert_eq!(size_of::<T>(), self.size, "entries are copied whole");
        &self.entries[(offset - self.at.start) / self.size]
    }
}

impl Words for Memory {
    fn load(&self, offset: u32, order: Ordering) -> u32 {
        self.word(offset).load(order)
    }

    fn store(&self, offset: u32, value: u32, order: Ordering) {
        self.word(offset).store(value, order);
    }

    fn set_bits(&self, offset: u32, bits: u32) {
        self.word(offset).fetch_or(bits, Ordering::SeqCst);
    }

    fn clear_bits(&self, offset: u32, bits: u32) {
        self.word(offset).fetch_and(!bits, Ordering::SeqCst);
    }

    fn read<T: Plain>(&self, offset: usize) -> T {
        let mut value = T::default();
        self.entry::<T>(offset).with(|entry| {
            // SAFETY: inside `with`, loom has made sure that nobody writes meanwhile.
            bytes_mut(&mut value).copy_from_slice(unsafe { &*entry });
        });
        value
    }

    fn write<T: Plain>(&self, offset: usize, value: T) {
        self.entry::<T>(offset).with_mut(|entry| {
            // SAFETY: inside `with_mut`, loom has made sure that nobody uses it meanwhile.
            unsafe { &mut *entry }.copy_from_slice(bytes(&value));
        });
    }

    fn full_fence(&self) {
        fence(Ordering::SeqCst);
    }
}

/// A word between threads of the engine, of loom's.
#[derive(Debug, Default)]
pub struct LoomWord(AtomicU32);

impl Word for LoomWord {
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }

    fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }
}

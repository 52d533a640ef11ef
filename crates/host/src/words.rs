//! The words of ring memory as the code that publishes through them sees them.
//!
//! What is written to a ring's memory is read by the program at the same time, so every access names
//! its order. The code that does so is generic over these two traits: shipped, they are the machine's
//! memory ([`crate::shm::Shm`]) and its atomics; in tests they are those of a model checker, which
//! tries every order that the memory model allows.

use crate::plain::Plain;
use crate::shm::Shm;
use crate::sync::{AtomicU32, Ordering, fence};
use crate::{Host, atomic};

/// Memory that is shared with the program: 32-bit words, and entries between them.
pub trait Words {
    /// Loads a word.
    fn load(&self, offset: u32, order: Ordering) -> u32;
    /// Loads a word; `None` if the program has taken its memory away.
    fn load_there(&self, offset: u32, order: Ordering) -> Option<u32> {
        Some(self.load(offset, order))
    }
    /// Stores a word.
    fn store(&self, offset: u32, value: u32, order: Ordering);
    /// Sets bits of a word; every thread agrees on when that was.
    fn set_bits(&self, offset: u32, bits: u32);
    /// Clears bits of a word, likewise.
    fn clear_bits(&self, offset: u32, bits: u32);
    /// Copies an entry out.
    fn read<T: Plain>(&self, offset: usize) -> T;
    /// Copies an entry in.
    fn write<T: Plain>(&self, offset: usize, value: T);
    /// What this thread did before it comes before what it does after it, for every thread that has
    /// such a fence too.
    fn full_fence(&self);
}

impl Words for Shm {
    #[inline]
    fn load(&self, offset: u32, order: Ordering) -> u32 {
        Shm::load(self, offset, order)
    }

    #[inline]
    fn load_there(&self, offset: u32, order: Ordering) -> Option<u32> {
        Shm::load_there(self, offset, order)
    }

    #[inline]
    fn store(&self, offset: u32, value: u32, order: Ordering) {
        Shm::store(self, offset, value, order);
    }

    #[inline]
    fn set_bits(&self, offset: u32, bits: u32) {
        Shm::set_bits(self, offset, bits);
    }

    #[inline]
    fn clear_bits(&self, offset: u32, bits: u32) {
        Shm::clear_bits(self, offset, bits);
    }

    #[inline]
    fn read<T: Plain>(&self, offset: usize) -> T {
        Shm::read(self, offset)
    }

    #[inline]
    fn write<T: Plain>(&self, offset: usize, value: T) {
        Shm::write(self, offset, value);
    }

    #[inline]
    fn full_fence(&self) {
        fence(Ordering::SeqCst);
    }
}

/// A word between threads of the engine.
pub trait Word: Default + Send + Sync {
    /// Loads it.
    fn load(&self, order: Ordering) -> u32;
    /// Stores into it.
    fn store(&self, value: u32, order: Ordering);
}

impl<H: Host> Word for atomic::AtomicU32<H> {
    #[inline(always)]
    #[track_caller]
    fn load(&self, order: Ordering) -> u32 {
        atomic::AtomicU32::load(self, order)
    }

    #[inline(always)]
    #[track_caller]
    fn store(&self, value: u32, order: Ordering) {
        atomic::AtomicU32::store(self, value, order);
    }
}

impl Word for AtomicU32 {
    #[inline]
    fn load(&self, order: Ordering) -> u32 {
        AtomicU32::load(self, order)
    }

    #[inline]
    fn store(&self, value: u32, order: Ordering) {
        AtomicU32::store(self, value, order);
    }
}

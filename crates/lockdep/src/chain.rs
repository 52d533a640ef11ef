//! The set of acquisition chains that have been validated.
//!
//! A chain is the sequence of (class, mode, site, context) a thread holds, as a rolling hash of 64
//! bits. Looking one up takes no lock and writes nothing; adding one happens under the lock of the
//! cold path. The table grows by publishing a larger one; the smaller one stays, unused.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The logarithms of the sizes a table grows through, in slots of 8 bytes.
const SIZES_LOG2: [u32; 7] = [9, 13, 15, 17, 19, 21, 23];

/// A set of 64-bit chain keys.
#[derive(Debug)]
pub(crate) struct ChainCache {
    tables: [OnceLock<Box<[AtomicU64]>>; SIZES_LOG2.len()],
    /// The table in use; those before it are subsets of it.
    current: AtomicUsize,
    len: AtomicUsize,
}

/// Mixes one more acquisition into the key of a chain.
///
/// One multiplication to 128 bits, folded: every bit of both inputs reaches every bit of the key.
#[inline]
pub(crate) fn extend(key: u64, word: u64, site: u64) -> u64 {
    const A: u64 = 0x9e37_79b9_7f4a_7c15;
    const B: u64 = 0xd6e8_feb8_6659_fd93;
    let product = u128::from(key ^ word ^ A) * u128::from(site.rotate_left(32) ^ key ^ B);
    (product as u64) ^ (product >> 64) as u64
}

impl ChainCache {
    pub(crate) const fn new() -> ChainCache {
        ChainCache {
            tables: [const { OnceLock::new() }; SIZES_LOG2.len()],
            current: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
        }
    }

    /// Whether `key` was added before. No lock, no write.
    #[inline]
    pub(crate) fn contains(&self, key: u64) -> bool {
        let Some(table) = self.tables[self.current.load(Ordering::Acquire)].get() else {
            return false;
        };
        let key = key.max(1);
        let mask = table.len() - 1;
        let mut slot = key as usize & mask;
        loop {
            match table[slot].load(Ordering::Relaxed) {
                found if found == key => return true,
                0 => return false,
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// Adds `key`, unless the largest table is as full as it may be. Calls must not overlap.
    pub(crate) fn insert(&self, key: u64) {
        let mut current = self.current.load(Ordering::Relaxed);
        let mut table = self.table(current);
        if self.len.load(Ordering::Relaxed) >= table.len() / 8 * 5 {
            if current + 1 == SIZES_LOG2.len() {
                return;
            }
            current += 1;
            let larger = self.table(current);
            for key in table.iter().map(|slot| slot.load(Ordering::Relaxed)).filter(|&k| k != 0) {
                put(larger, key);
            }
            self.current.store(current, Ordering::Release);
            table = larger;
        }
        if put(table, key.max(1)) {
            self.len.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets all keys; nothing may hold a lock meanwhile.
    pub(crate) fn clear(&self) {
        let table = self.table(self.current.load(Ordering::Relaxed));
        table.iter().for_each(|slot| slot.store(0, Ordering::Relaxed));
        self.len.store(0, Ordering::Relaxed);
    }

    /// How many chains were added.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    fn table(&self, index: usize) -> &[AtomicU64] {
        self.tables[index].get_or_init(|| {
            let slots = 1usize << SIZES_LOG2[index];
            (0..slots).map(|_| AtomicU64::new(0)).collect()
        })
    }
}

/// Puts `key` into its slot; `false` if it was there.
fn put(table: &[AtomicU64], key: u64) -> bool {
    let mask = table.len() - 1;
    let mut slot = key as usize & mask;
    loop {
        match table[slot].load(Ordering::Relaxed) {
            0 => break,
            found if found == key => return false,
            _ => slot = (slot + 1) & mask,
        }
    }
    table[slot].store(key, Ordering::Relaxed);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_key_through_growth() {
        let cache = ChainCache::new();
        let keys: Vec<u64> = (0..40_000u64).map(|n| extend(n, n << 7, 3)).collect();
        assert!(keys.iter().all(|&key| !cache.contains(key)));
        keys.iter().for_each(|&key| cache.insert(key));
        assert!(keys.iter().all(|&key| cache.contains(key)));
        assert_eq!(cache.len(), keys.len());
        assert!(!cache.contains(extend(40_001, 1, 1)));
    }

    #[test]
    fn the_order_of_acquisitions_matters() {
        let one_then_two = extend(extend(0, 1, 9), 2, 9);
        let two_then_one = extend(extend(0, 2, 9), 1, 9);
        assert_ne!(one_then_two, two_then_one);
    }
}

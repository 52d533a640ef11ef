//! When to believe that what is read from a file is in memory.
//!
//! `RWF_NOWAIT` exists for reads with a list of memory only, and the kernel's work on that list costs
//! some 35 ns. `pread` does without, but may wait for a disk. So it is used where thousands of reads in
//! a row have found their pages in memory, for short reads, many to a call, by the submitting thread
//! with no lock held ([`crate::here`]). A batch that takes longer than memory does ends that, until
//! reads with `RWF_NOWAIT` have earned the time back: whatever the disk, the waits cost less than plain
//! reads save, and a wait of a second is not had again within the next fifty million reads.

/// How many reads in a row must have been served from memory before it is tried.
const NEEDED_MIN: u32 = 4096;

/// What a read that is made plainly is taken to save, nanoseconds; about half of what it does.
const SAVED_NS: u64 = 20;

/// The longest reads that are made so, bytes: for longer ones the difference is nothing.
pub(crate) const LEN_MAX: u32 = 16 << 10;

/// The fewest reads to a call, for the lock and the clock are paid once in a call.
pub(crate) const BATCH_MIN: u32 = 8;

/// How long a batch may take, nanoseconds: so much, and so much for each page.
const SLACK_NS: u64 = 30_000;
const PAGE_NS: u64 = 1_500;

/// The experience with the files of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Residence {
    /// Reads to be served from memory, in a row, before it is believed in.
    needed: u32,
    /// What that number starts with again after a read that would have waited.
    price: u32,
}

impl Default for Residence {
    fn default() -> Self {
        Residence { needed: NEEDED_MIN, price: NEEDED_MIN }
    }
}

impl Residence {
    /// Whether the next reads may be expected to find their pages in memory.
    #[inline]
    pub(crate) fn is_believed(self) -> bool {
        self.needed == 0
    }

    /// A read was served from memory.
    #[inline]
    pub(crate) fn hit(&mut self) {
        self.needed = self.needed.saturating_sub(1);
    }

    /// A read would have waited.
    pub(crate) fn miss(&mut self) {
        self.needed = self.price;
    }

    /// A batch that asked for so many pages took so many nanoseconds.
    pub(crate) fn learn(&mut self, pages: u64, took: u64) {
        if took > SLACK_NS + pages * PAGE_NS {
            self.price = u32::try_from(took / SAVED_NS).unwrap_or(u32::MAX).max(NEEDED_MIN);
            self.needed = self.price;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earn(residence: &mut Residence) -> u32 {
        (0..).find(|_| residence.is_believed() || (residence.hit(), false).1).unwrap()
    }

    #[test]
    fn belief_is_earned_by_reads_in_a_row() {
        let mut residence = Residence::default();
        (1..NEEDED_MIN).for_each(|_| residence.hit());
        residence.miss();
        assert_eq!(earn(&mut residence), NEEDED_MIN);
        residence.learn(32, SLACK_NS);
        assert!(residence.is_believed());
    }

    #[test]
    fn a_wait_must_be_earned_back() {
        let mut residence = Residence::default();
        earn(&mut residence);
        residence.learn(32, 10_000_000);
        assert_eq!(earn(&mut residence), 500_000);
        residence.learn(32, 100_000);
        assert_eq!(earn(&mut residence), 5_000);
        residence.learn(32, u64::MAX);
        residence.miss();
        assert_eq!(residence.needed, u32::MAX);
    }
}

//! Linked pairs of a read and a write: pages of a cached file go to /dev/null.
//!
//! The pages are few, so that the processor's cache has them, and the write costs nothing: what
//! is left is the cost of two operations and their link.

use crate::error::{Context, Result, expect};
use crate::meter::{Budget, Sample};
use crate::ring::{PAGE, Pair, Ring, pages};
use crate::site;
use crate::sys::Random;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Pairs a call.
const PAIRS: usize = 16;

/// Pages of the file that are read.
const HOT: u64 = 16;

struct Ends {
    from: File,
    to: File,
}

impl Ends {
    fn open(site: &Path) -> Result<Ends> {
        let from = File::open(site::cached(site)).during("opening the file to read")?;
        let to = File::options().write(true).open("/dev/null").during("opening /dev/null")?;
        Ok(Ends { from, to })
    }

    #[inline]
    fn pair(&self, random: &mut Random) -> Pair {
        Pair {
            from: self.from.as_raw_fd(),
            offset: random.below(HOT) * PAGE as u64,
            to: self.to.as_raw_fd(),
        }
    }
}

pub(crate) fn ring(site: &Path, budget: Budget) -> Result<Sample> {
    let ends = Ends::open(site)?;
    let mut ring = Ring::new(2 * PAIRS as u32)?;
    let memory = pages(PAIRS);
    let mut random = Random::new();
    let sample = budget.run(|| {
        let mut entries = ring.batch();
        for (tag, page) in memory.iter().enumerate() {
            entries.copy(ends.pair(&mut random), page, tag as u64);
        }
        drop(entries);
        ring.submit_and_take(2 * PAIRS, |_, result| {
            expect("linked read or write", result.into(), PAGE as i64)
        })?;
        Ok(PAIRS as u64)
    })?;
    Ok(Sample { served_by: ring.served_by(), ..sample })
}

pub(crate) fn plain(site: &Path, budget: Budget) -> Result<Sample> {
    let ends = Ends::open(site)?;
    let mut memory = vec![[0; PAGE]; PAIRS];
    let mut random = Random::new();
    budget.run(|| {
        for block in &mut memory {
            let pair = ends.pair(&mut random);
            let read = ends.from.read_at(block, pair.offset).during("pread")?;
            expect("pread", read as i64, PAGE as i64)?;
            let written = ends.to.write_at(block, 0).during("pwrite")?;
            expect("pwrite", written as i64, PAGE as i64)?;
        }
        Ok(PAIRS as u64)
    })
}

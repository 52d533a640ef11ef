//! Linked pairs of a read and a write: moving a page from one descriptor to another.

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

struct Ends {
    from: File,
    to: File,
    blocks: u64,
}

impl Ends {
    fn open(site: &Path) -> Result<Ends> {
        let from = File::open(site::cached(site)).during("opening the file to read")?;
        let length = from.metadata().during("asking a file for its length")?.len();
        let to = match std::env::var("LINK_TO").as_deref() {
            Ok("memfd") => {
                let memfd = rustix::fs::memfd_create("to", rustix::fs::MemfdFlags::CLOEXEC);
                memfd.during("memfd_create")?.into()
            }
            Ok("disk") => File::create(site.join("to")).during("to")?,
            _ => File::options().write(true).open("/dev/null").during("opening /dev/null")?,
        };
        Ok(Ends { from, to, blocks: length / PAGE as u64 })
    }

    #[inline]
    fn pair(&self, random: &mut Random) -> Pair {
        Pair {
            from: self.from.as_raw_fd(),
            offset: random.below(self.blocks) * PAGE as u64,
            to: self.to.as_raw_fd(),
            to_offset: random.below(256) * PAGE as u64,
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
            let written = ends.to.write_at(block, pair.to_offset).during("pwrite")?;
            expect("pwrite", written as i64, PAGE as i64)?;
        }
        Ok(PAIRS as u64)
    })
}

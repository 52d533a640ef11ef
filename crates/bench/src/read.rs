//! Random reads of 4 KiB: from the page cache, through overlayfs, and with O_DIRECT.

use crate::error::{Context, Error, Result, expect};
use crate::meter::{Budget, Sample};
use crate::overlay;
use crate::ring::{PAGE, Ring, pages};
use crate::site;
use crate::sys::Random;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Reads a call, and readers of the floor with O_DIRECT.
pub(crate) const DEPTH: usize = 32;

/// A file of many blocks to read from.
pub(crate) struct Source {
    pub(crate) file: File,
    blocks: u64,
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Source> {
        Source::of(File::open(path).during("opening the file to read")?)
    }

    pub(crate) fn open_direct(path: &Path) -> Result<Source> {
        let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECT, Mode::empty());
        Source::of(opened.or_skip("O_DIRECT")?.into())
    }

    fn of(file: File) -> Result<Source> {
        let length = file.metadata().during("asking a file for its length")?.len();
        Ok(Source { file, blocks: length / PAGE as u64 })
    }

    #[inline]
    pub(crate) fn anywhere(&self, random: &mut Random) -> u64 {
        random.below(self.blocks) * PAGE as u64
    }
}

pub(crate) fn cached_ring(site: &Path, budget: Budget) -> Result<Sample> {
    ring(&Source::open(&site::cached(site))?, budget)
}

pub(crate) fn cached_plain(site: &Path, budget: Budget) -> Result<Sample> {
    plain(&Source::open(&site::cached(site))?, budget)
}

pub(crate) fn overlay_ring(site: &Path, budget: Budget) -> Result<Sample> {
    ring(&Source::open(&overlay::mount(site)?)?, budget)
}

pub(crate) fn overlay_plain(site: &Path, budget: Budget) -> Result<Sample> {
    plain(&Source::open(&overlay::mount(site)?)?, budget)
}

pub(crate) fn direct_ring(site: &Path, budget: Budget) -> Result<Sample> {
    ring(&Source::open_direct(&site::direct(site))?, budget)
}

fn ring(source: &Source, budget: Budget) -> Result<Sample> {
    let mut ring = Ring::new(DEPTH as u32)?;
    let memory = pages(DEPTH);
    let fd = source.file.as_raw_fd();
    let mut random = Random::new();
    let sample = budget.run(|| {
        let mut entries = ring.batch();
        for (tag, page) in memory.iter().enumerate() {
            entries.read(fd, page, source.anywhere(&mut random), tag as u64);
        }
        drop(entries);
        ring.submit_and_take(DEPTH, |_, result| expect("read", result.into(), PAGE as i64))?;
        Ok(DEPTH as u64)
    })?;
    Ok(Sample { served_by: ring.served_by(), ..sample })
}

fn plain(source: &Source, budget: Budget) -> Result<Sample> {
    let mut memory = vec![Block([0; PAGE]); DEPTH];
    let mut random = Random::new();
    budget.run(|| {
        for Block(block) in &mut memory {
            let read = source.file.read_at(block, source.anywhere(&mut random)).during("pread")?;
            expect("pread", read as i64, PAGE as i64)?;
        }
        Ok(DEPTH as u64)
    })
}

/// Memory that O_DIRECT accepts.
#[derive(Clone)]
#[repr(align(4096))]
struct Block([u8; PAGE]);

/// By as many threads as the ring has reads in flight.
pub(crate) fn direct_plain(site: &Path, budget: Budget) -> Result<Sample> {
    let source = Source::open_direct(&site::direct(site))?;
    let (stop, failed, done) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    let reader = |seed: u64| {
        let mut block = Block([0; PAGE]);
        let mut random = Random::seeded(seed);
        while !stop.load(Ordering::Relaxed) {
            match source.file.read_at(&mut block.0, source.anywhere(&mut random)) {
                Ok(PAGE) => drop(done.fetch_add(1, Ordering::Relaxed)),
                _ => failed.store(true, Ordering::Relaxed),
            }
        }
    };
    std::thread::scope(|scope| {
        for seed in 0..DEPTH as u64 {
            let reader = &reader;
            scope.spawn(move || reader(seed));
        }
        let mut before = 0;
        let sample = budget.run(|| {
            std::thread::sleep(Duration::from_millis(2));
            if failed.load(Ordering::Relaxed) {
                return Err(Error::Wrong { what: "pread", answer: -1 });
            }
            let now = done.load(Ordering::Relaxed);
            Ok(now - std::mem::replace(&mut before, now))
        });
        stop.store(true, Ordering::Relaxed);
        sample
    })
}

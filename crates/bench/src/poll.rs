//! Polls added to pipes and removed again.

use crate::error::{Context, Error, Result};
use crate::meter::{Budget, Sample};
use crate::ring::Ring;
use crate::sys;
use rustix::event::epoll;
use std::os::fd::{AsRawFd, OwnedFd};

/// Empty pipes: nothing ever becomes readable.
const PIPES: usize = 256;
/// Operations a call.
const BATCH: usize = 32;
/// Marks the tag of a removal.
const REMOVAL: u64 = 1 << 32;

/// Reading and writing ends.
fn pipes() -> Result<Vec<(OwnedFd, OwnedFd)>> {
    sys::want_descriptors(2 * PIPES as u64 + 64)?;
    (0..PIPES).map(|_| rustix::pipe::pipe().during("pipe")).collect()
}

pub(crate) fn ring(budget: Budget) -> Result<Sample> {
    let pipes = pipes()?;
    let mut ring = Ring::new(BATCH as u32)?;
    let sample = budget.run(|| {
        for (part, pipes) in pipes.chunks(BATCH).enumerate() {
            let mut entries = ring.batch();
            for (index, (end, _)) in pipes.iter().enumerate() {
                entries.poll_add(end.as_raw_fd(), (part * BATCH + index) as u64);
            }
            drop(entries);
            ring.submit_and_wait(0)?;
        }
        for part in 0..PIPES / BATCH {
            let mut entries = ring.batch();
            for tag in (part * BATCH..(part + 1) * BATCH).map(|tag| tag as u64) {
                entries.poll_remove(tag, tag | REMOVAL);
            }
            drop(entries);
            // Each removal completes, and so does each removed poll.
            ring.submit_and_take(2 * BATCH, |tag, result| match result {
                0 if tag & REMOVAL != 0 => Ok(()),
                result if tag & REMOVAL == 0 && result == -libc::ECANCELED => Ok(()),
                _ => Err(Error::Wrong { what: "poll", answer: result.into() }),
            })?;
        }
        Ok(2 * PIPES as u64)
    })?;
    Ok(Sample { served_by: ring.served_by(), ..sample })
}

pub(crate) fn plain(budget: Budget) -> Result<Sample> {
    let pipes = pipes()?;
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).during("epoll_create")?;
    budget.run(|| {
        for (tag, (end, _)) in pipes.iter().enumerate() {
            let data = epoll::EventData::new_u64(tag as u64);
            epoll::add(&set, end, data, epoll::EventFlags::IN).during("epoll_ctl")?;
        }
        for (end, _) in &pipes {
            epoll::delete(&set, end).during("epoll_ctl")?;
        }
        Ok(2 * PIPES as u64)
    })
}

//! Timers that are armed and cancelled and never fire, as those of idle connections are.

use crate::error::{Error, Result};
use crate::meter::{Budget, Sample};
use crate::ring::Ring;
use crate::sys::Random;
use io_uring::types::Timespec;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Timers that are live at any time.
const LIVE: usize = 1024;
/// Timers replaced in one call: each is cancelled and a new one armed, two operations.
const REPLACED: usize = 16;

static LATER: Timespec = Timespec::new().sec(600);

/// Tags: timers count up from here, cancellations have a tag of their own.
const CANCELLATION: u64 = 0;
const FIRST_TIMER: u64 = 1;

pub(crate) fn ring(budget: Budget) -> Result<Sample> {
    let mut ring = Ring::new(LIVE as u32)?;
    let mut live: Vec<u64> = (FIRST_TIMER..).take(LIVE).collect();
    let mut next = FIRST_TIMER + LIVE as u64;
    let mut entries = ring.batch();
    for tag in &live {
        entries.timeout(&LATER, *tag);
    }
    drop(entries);
    ring.submit_and_wait(0)?;
    let mut random = Random::new();
    let sample = budget.run(|| {
        let mut entries = ring.batch();
        for _ in 0..REPLACED {
            let victim = &mut live[random.below(LIVE as u64) as usize];
            entries.timeout_remove(*victim, CANCELLATION);
            entries.timeout(&LATER, next);
            *victim = next;
            next += 1;
        }
        drop(entries);
        // Each cancellation completes, and so does each cancelled timer.
        ring.submit_and_take(2 * REPLACED, |tag, result| match (tag, result) {
            (CANCELLATION, 0) => Ok(()),
            (CANCELLATION, _) => {
                Err(Error::Wrong { what: "timeout_remove", answer: result.into() })
            }
            (_, result) if result == -libc::ECANCELED => Ok(()),
            _ => Err(Error::Wrong { what: "timeout", answer: result.into() }),
        })?;
        Ok(2 * REPLACED as u64)
    })?;
    Ok(Sample { served_by: ring.served_by(), ..sample })
}

/// What an event loop does with its own timers: an ordered set, whose first is the timeout of its
/// next wait.
pub(crate) fn plain(budget: Budget) -> Result<Sample> {
    const DELAY: Duration = Duration::from_secs(600);
    let mut timers = BTreeSet::new();
    let mut live: Vec<(Instant, u64)> = Vec::with_capacity(LIVE);
    for tag in 0..LIVE as u64 {
        let timer = (Instant::now() + DELAY, tag);
        timers.insert(timer);
        live.push(timer);
    }
    let mut next = LIVE as u64;
    let mut random = Random::new();
    budget.run(|| {
        for _ in 0..REPLACED {
            let victim = &mut live[random.below(LIVE as u64) as usize];
            if !timers.remove(victim) {
                return Err(Error::Wrong { what: "removing a timer", answer: -1 });
            }
            *victim = (Instant::now() + DELAY, next);
            timers.insert(*victim);
            next += 1;
        }
        std::hint::black_box(timers.first());
        Ok(2 * REPLACED as u64)
    })
}

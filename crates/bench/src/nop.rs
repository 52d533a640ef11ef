//! Operations that do nothing: the cost of the way there and back.

use crate::error::{Result, expect};
use crate::meter::{Budget, Sample};
use crate::ring::Ring;

pub(crate) fn ring(batch: usize, budget: Budget) -> Result<Sample> {
    let mut ring = Ring::new(batch.max(8) as u32)?;
    let sample = budget.run(|| {
        let mut entries = ring.batch();
        for tag in 0..batch as u64 {
            entries.nop(tag);
        }
        drop(entries);
        ring.submit_and_take(batch, |_, result| expect("nop", result.into(), 0))?;
        Ok(batch as u64)
    })?;
    Ok(Sample { served_by: ring.served_by(), ..sample })
}

/// The least that a system call costs.
pub(crate) fn plain(budget: Budget) -> Result<Sample> {
    const CALLS: u64 = 32;
    budget.run(|| {
        for _ in 0..CALLS {
            std::hint::black_box(rustix::process::getppid());
        }
        Ok(CALLS)
    })
}

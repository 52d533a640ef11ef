//! Measuring: how long to repeat a batch, and what of it to believe.

use crate::error::Result;
use crate::ring::ServedBy;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// The time is taken once per chunk of batches, and this is about how long one lasts: short beside
/// a time slice, so that on a busy machine most chunks are not interrupted by another program.
const CHUNK: Duration = Duration::from_micros(500);

/// How long a measurement lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    time: Duration,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Wall-clock nanoseconds per operation, the median over the chunks of the measurement.
    pub ns_per_op: f64,
    /// Operations measured.
    pub ops: u64,
    /// Who served the ring; `None` for the plain half.
    pub served_by: Option<ServedBy>,
}

impl Budget {
    /// A measurement of `seconds`, after a warm-up.
    pub fn seconds(seconds: f64) -> Budget {
        Budget { time: Duration::from_secs_f64(seconds.clamp(0.0, 3600.0)) }
    }

    /// Each batch a few times only: enough to see that it works, and no measurement.
    pub fn smoke() -> Budget {
        Budget { time: Duration::ZERO }
    }

    /// Repeats `batch`, which says how many operations it did.
    pub(crate) fn run(self, mut batch: impl FnMut() -> Result<u64>) -> Result<Sample> {
        let chunk = CHUNK.min(self.time);
        // Warm up, and find out how many batches take about as long as a chunk is to last.
        let mut batches = 1_u64;
        loop {
            let start = Instant::now();
            for _ in 0..batches {
                batch()?;
            }
            if start.elapsed() * 2 >= chunk {
                break;
            }
            batches *= 2;
        }
        let warm = Instant::now();
        while warm.elapsed() < self.time / 10 {
            batch()?;
        }
        let begin = Instant::now();
        let mut chunks: Vec<f64> = Vec::with_capacity(4096);
        let mut total = 0;
        while chunks.is_empty() || begin.elapsed() < self.time {
            let start = Instant::now();
            let mut ops = 0;
            for _ in 0..batches {
                ops += batch()?;
            }
            if ops > 0 {
                chunks.push(start.elapsed().as_nanos() as f64 / ops as f64);
                total += ops;
            }
        }
        // The median, since the scheduler gives some chunks to other programs.
        Ok(Sample { ns_per_op: median(&mut chunks), ops: total, served_by: None })
    }
}

impl Budget {
    /// Repeats `batch`, which says how long of it counts, and for how many operations.
    pub(crate) fn run_part(
        self,
        mut batch: impl FnMut() -> Result<(Duration, u64)>,
    ) -> Result<Sample> {
        batch()?;
        let begin = Instant::now();
        let (mut parts, mut total) = (Vec::new(), 0);
        while parts.is_empty() || begin.elapsed() < self.time {
            let (time, ops) = batch()?;
            parts.push(time.as_nanos() as f64 / ops as f64);
            total += ops;
        }
        Ok(Sample { ns_per_op: median(&mut parts), ops: total, served_by: None })
    }
}

/// The middle value, the mean of two if their number is even; 0 of none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_budget_is_spent_and_operations_are_counted() {
        let mut calls = 0;
        let sample = Budget::seconds(0.02).run(|| {
            calls += 1;
            std::thread::sleep(Duration::from_micros(50));
            Ok(10)
        });
        let sample = sample.unwrap();
        assert!(sample.ops > 0 && sample.ops <= calls * 10);
        assert!(sample.ns_per_op >= 5_000.0, "ten operations in at least 50 us");
    }
}

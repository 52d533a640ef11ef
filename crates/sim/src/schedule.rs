//! Schedules: which thread runs next at each point, as a line that can be printed and read back.

use std::fmt;
use std::str::FromStr;

/// All that determines one run. Its text is what a failure prints, and what
/// [`crate::Strategy::Replay`] takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Every choice drawn from a seed: `random:SEED`.
    Random {
        /// The seed.
        seed: u64,
    },
    /// Probabilistic concurrency testing: the thread with the highest priority runs, priorities are
    /// drawn from the seed, and at `depth - 1` steps among the first `length` the running thread
    /// falls behind all others: `pct:SEED:DEPTH:LENGTH`.
    Pct {
        /// The seed.
        seed: u64,
        /// The number of ordering constraints that are searched for.
        depth: u32,
        /// How many steps a run is expected to have.
        length: u64,
    },
    /// The choices one by one, then the first of each: `steps:0*12.1.0*3`. Choice 0 goes on with
    /// the running thread where it can go on.
    Steps(Vec<u16>),
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Random { seed } => write!(f, "random:{seed}"),
            Schedule::Pct { seed, depth, length } => write!(f, "pct:{seed}:{depth}:{length}"),
            Schedule::Steps(steps) => {
                f.write_str("steps:")?;
                // What follows the last other choice is choice 0 in any case.
                let end = steps.iter().rposition(|step| *step != 0).map_or(0, |last| last + 1);
                let runs = steps[..end].chunk_by(|a, b| a == b).map(|run| (run[0], run.len()));
                for (index, (step, count)) in runs.enumerate() {
                    let dot = if index > 0 { "." } else { "" };
                    match count {
                        1 => write!(f, "{dot}{step}")?,
                        _ => write!(f, "{dot}{step}*{count}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

/// A text that is no schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSchedule(String);

impl fmt::Display for BadSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no schedule: random:SEED, pct:SEED:DEPTH:LENGTH or steps:CHOICE.CHOICE*COUNT",
            self.0
        )
    }
}

impl std::error::Error for BadSchedule {}

/// No schedule that is worth a look has more choices.
const STEPS_MAX: usize = 10_000_000;

fn steps(text: &str) -> Option<Vec<u16>> {
    let mut steps = Vec::new();
    for part in text.split('.').filter(|part| !part.is_empty()) {
        let (step, count) = part.split_once('*').unwrap_or((part, "1"));
        let (step, count) = (step.parse::<u16>().ok()?, count.parse::<usize>().ok()?);
        if steps.len().checked_add(count)? > STEPS_MAX {
            return None;
        }
        steps.resize(steps.len() + count, step);
    }
    Some(steps)
}

fn parse(text: &str) -> Option<Schedule> {
    let (kind, rest) = text.trim().split_once(':')?;
    match kind {
        "random" => Some(Schedule::Random { seed: rest.parse().ok()? }),
        "pct" => {
            let mut parts = rest.split(':');
            let seed = parts.next()?.parse().ok()?;
            let depth = parts.next()?.parse().ok()?;
            let length = parts.next()?.parse().ok()?;
            parts.next().is_none().then_some(Schedule::Pct { seed, depth, length })
        }
        "steps" => steps(rest).map(Schedule::Steps),
        _ => None,
    }
}

impl FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        parse(text).ok_or_else(|| BadSchedule(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_reads_back_as_it_prints() {
        let schedules = [
            Schedule::Random { seed: u64::MAX },
            Schedule::Pct { seed: 3, depth: 2, length: 100 },
            Schedule::Steps(vec![0, 0, 1, 2, 2, 2]),
            Schedule::Steps(vec![]),
        ];
        for schedule in schedules {
            assert_eq!(schedule.to_string().parse(), Ok(schedule));
        }
        assert_eq!(Schedule::Steps(vec![0, 0, 0, 3, 0, 0]).to_string(), "steps:0*3.3");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "steps",
            "random:",
            "pct:1:2",
            "pct:1:2:3:4",
            "steps:x",
            "steps:1*1e9",
            "steps:0*99999999",
        ] {
            assert!(text.parse::<Schedule>().is_err(), "{text}");
        }
    }
}

//! Comparing: the modes of a workload in turn, round after round.

use crate::meter::{Sample, median};
use crate::ring::ServedBy;
use crate::workload::{Against, Half, Workload};
use serde::{Deserialize, Serialize};

/// Who does a workload's operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The kernel's io_uring.
    Kernel,
    /// Ringfence.
    Ringfence,
    /// Plain system calls.
    Plain,
}

impl Mode {
    /// All, in the order of a table's columns.
    pub const ALL: [Mode; 3] = [Mode::Kernel, Mode::Ringfence, Mode::Plain];

    /// What a table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Kernel => "kernel",
            Mode::Ringfence => "ringfence",
            Mode::Plain => "plain",
        }
    }

    /// The half of a workload to run.
    pub fn half(self) -> Half {
        if self == Mode::Plain { Half::Plain } else { Half::Ring }
    }

    /// Who must have served the ring for the measurement to be of this mode.
    fn server(self) -> Option<ServedBy> {
        match self {
            Mode::Kernel => Some(ServedBy::Kernel),
            Mode::Ringfence => Some(ServedBy::Ringfence),
            Mode::Plain => None,
        }
    }
}

/// What a measuring process says on its standard output, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It measured.
    Measured(Sample),
    /// It cannot, and why.
    Unavailable(String),
}

/// The measurements of one mode.
#[derive(Clone, Debug, PartialEq)]
pub enum Series {
    /// Nanoseconds per operation, by round.
    Measured(Vec<f64>),
    /// Why there are none.
    Skipped(String),
}

impl Series {
    /// The median over the rounds.
    pub fn median(&self) -> Option<f64> {
        match self {
            Series::Measured(rounds) if !rounds.is_empty() => Some(median(&mut rounds.clone())),
            _ => None,
        }
    }
}

/// Ringfence's time divided by another mode's, round by round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// The median over the rounds.
    pub median: f64,
    /// The best round.
    pub min: f64,
    /// The worst round.
    pub max: f64,
}

/// All measurements of one workload.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The workload.
    pub workload: &'static Workload,
    /// By mode, in the order of [`Mode::ALL`].
    pub series: [Series; 3],
}

impl Comparison {
    /// The measurements of a mode.
    pub fn of(&self, mode: Mode) -> &Series {
        &self.series[mode as usize]
    }

    /// Ringfence against something; `None` where one of both was not measured.
    pub fn ratio(&self, against: Against) -> Option<Ratio> {
        let other = match against {
            Against::Kernel => Mode::Kernel,
            Against::Plain => Mode::Plain,
        };
        let (Series::Measured(ours), Series::Measured(theirs)) =
            (self.of(Mode::Ringfence), self.of(other))
        else {
            return None;
        };
        let mut ratios: Vec<f64> =
            ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        let median = median(&mut ratios);
        Some(Ratio { median, min: *ratios.first()?, max: *ratios.last()? })
    }
}

/// Measures a workload in each of `modes`, `rounds` times. `measure` runs one measurement in a
/// process of its own.
///
/// A mode that cannot be measured is not tried again. The order of the modes rotates, so that none
/// always comes after the same other one.
///
/// # Errors
/// The first failure of `measure`.
pub fn compare<E>(
    workload: &'static Workload,
    modes: &[Mode],
    rounds: u32,
    mut measure: impl FnMut(Mode) -> Result<Answer, E>,
) -> Result<Comparison, E> {
    let series = Mode::ALL.map(|mode| match modes.contains(&mode) {
        true => Series::Measured(Vec::new()),
        false => Series::Skipped("not asked for".to_owned()),
    });
    let mut comparison = Comparison { workload, series };
    for round in 0..rounds as usize {
        for turn in 0..Mode::ALL.len() {
            let mode = Mode::ALL[(turn + round) % Mode::ALL.len()];
            let Series::Measured(values) = &mut comparison.series[mode as usize] else { continue };
            let reason = match measure(mode)? {
                Answer::Measured(sample) if sample.served_by == mode.server() => {
                    values.push(sample.ns_per_op);
                    continue;
                }
                Answer::Measured(sample) => served_wrongly(sample.served_by),
                Answer::Unavailable(reason) => reason,
            };
            comparison.series[mode as usize] = Series::Skipped(reason);
        }
    }
    Ok(comparison)
}

fn served_wrongly(by: Option<ServedBy>) -> String {
    match by {
        Some(ServedBy::Kernel) => "the kernel served it".to_owned(),
        Some(ServedBy::Ringfence) => "ringfence served it".to_owned(),
        None => "it does not say who served it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WORKLOADS;

    fn sample(mode: Mode, ns: f64) -> Answer {
        Answer::Measured(Sample { ns_per_op: ns, ops: 1, served_by: mode.server() })
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let mut round = [0.0; 3];
        let compared = compare(&WORKLOADS[0], &Mode::ALL, 3, |mode| {
            round[mode as usize] += 1.0;
            // The whole machine slows down from round to round; the ratio stays.
            let drift = 10.0 * round[mode as usize];
            Ok::<_, ()>(sample(mode, if mode == Mode::Ringfence { drift / 2.0 } else { drift }))
        });
        let ratio = compared.unwrap().ratio(Against::Kernel).unwrap();
        assert_eq!((ratio.median, ratio.min, ratio.max), (0.5, 0.5, 0.5));
    }

    #[test]
    fn a_mode_served_by_another_is_no_measurement_and_is_not_tried_again() {
        let mut tries = 0;
        let compared = compare(&WORKLOADS[0], &[Mode::Ringfence, Mode::Plain], 4, |mode| {
            tries += u32::from(mode == Mode::Ringfence);
            let server = if mode == Mode::Ringfence { Mode::Kernel } else { mode };
            Ok::<_, ()>(sample(server, 1.0))
        });
        let compared = compared.unwrap();
        assert_eq!(tries, 1);
        assert_eq!(*compared.of(Mode::Ringfence), Series::Skipped("the kernel served it".into()));
        assert_eq!(*compared.of(Mode::Plain), Series::Measured(vec![1.0; 4]));
        assert_eq!(compared.ratio(Against::Plain), None);
    }
}

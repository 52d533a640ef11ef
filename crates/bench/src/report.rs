//! The results, as a table and as JSON.

use crate::suite::{Comparison, Mode, Ratio, Series};
use crate::workload::{Against, Target};
use serde_json::{Map, Value, json};

/// Widths of the table's columns; the first is left-aligned.
const WIDTHS: [usize; 7] = [13, 10, 10, 10, 18, 18, 12];
const HEAD: [&str; 7] =
    ["workload", "kernel", "ringfence", "plain", "of the kernel's", "of plain", "target"];

/// The head of the table.
pub fn head() -> String {
    line(&HEAD.map(str::to_owned), "")
}

/// The row of a workload: nanoseconds per operation by mode, ringfence's part of the others with
/// its spread over the rounds, and the targets with whether they were met.
pub fn row(comparison: &Comparison) -> String {
    let time = |mode: Mode| match comparison.of(mode).median() {
        Some(ns) => format!("{ns:.0} ns"),
        None => "-".to_owned(),
    };
    let ratio = |against| comparison.ratio(against).map_or("-".to_owned(), |ratio| text(&ratio));
    let targets: Vec<String> = comparison
        .workload
        .targets
        .iter()
        .map(|target| format!("{}{}", target.at_most, mark(target.against)))
        .collect();
    let verdicts: Vec<&str> = comparison
        .workload
        .targets
        .iter()
        .map(|target| match met(comparison, target) {
            Some(true) => "met",
            Some(false) => "missed",
            None => "-",
        })
        .collect();
    let cells = [
        comparison.workload.name.to_owned(),
        time(Mode::Kernel),
        time(Mode::Ringfence),
        time(Mode::Plain),
        ratio(Against::Kernel),
        ratio(Against::Plain),
        targets.join(" "),
    ];
    line(&cells, &verdicts.join(" "))
}

/// Why modes of a workload were not measured, a line for each.
pub fn skipped(comparison: &Comparison) -> Vec<String> {
    let line = |mode: Mode| match comparison.of(mode) {
        Series::Skipped(why) => {
            Some(format!("{}, {}: skipped: {why}", comparison.workload.name, mode.name()))
        }
        Series::Measured(_) => None,
    };
    Mode::ALL.into_iter().filter_map(line).collect()
}

/// Whether a target was met, by the median; `None` where there is nothing to judge by.
pub fn met(comparison: &Comparison, target: &Target) -> Option<bool> {
    comparison.ratio(target.against).map(|ratio| ratio.median <= target.at_most)
}

/// A workload's results.
pub fn json(comparison: &Comparison) -> Value {
    let workload = comparison.workload;
    let targets: Vec<Value> = workload
        .targets
        .iter()
        .map(|target| {
            json!({
                "against": word(target.against),
                "at_most": target.at_most,
                "met": met(comparison, target),
            })
        })
        .collect();
    let mut times = Map::new();
    for mode in Mode::ALL {
        let time = match comparison.of(mode) {
            Series::Measured(rounds) => {
                json!({ "median": comparison.of(mode).median(), "rounds": rounds })
            }
            Series::Skipped(why) => json!({ "skipped": why }),
        };
        times.insert(mode.name().to_owned(), time);
    }
    let mut ratios = Map::new();
    for against in [Against::Kernel, Against::Plain] {
        ratios.insert(word(against).to_owned(), json!(comparison.ratio(against)));
    }
    json!({
        "workload": workload.name,
        "about": workload.about,
        "floor": workload.floor,
        "ns_per_op": times,
        "ringfence_of": ratios,
        "targets": targets,
    })
}

fn word(against: Against) -> &'static str {
    match against {
        Against::Kernel => "kernel",
        Against::Plain => "plain",
    }
}

fn mark(against: Against) -> &'static str {
    match against {
        Against::Kernel => "k",
        Against::Plain => "p",
    }
}

fn text(ratio: &Ratio) -> String {
    format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.min, ratio.max)
}

fn line(cells: &[String; 7], last: &str) -> String {
    let mut line = format!("{:<width$}", cells[0], width = WIDTHS[0]);
    for (cell, width) in cells.iter().zip(WIDTHS).skip(1) {
        line.push_str(&format!("{cell:>width$}"));
    }
    line.push_str("  ");
    line.push_str(last);
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WORKLOADS;

    #[test]
    fn a_row_shows_ratio_spread_and_verdict() {
        let workload = WORKLOADS.iter().find(|workload| workload.name == "nop1").unwrap();
        let series = [
            Series::Measured(vec![200.0, 200.0, 200.0]),
            Series::Measured(vec![80.0, 90.0, 120.0]),
            Series::Skipped("not asked for".into()),
        ];
        let comparison = Comparison { workload, series };
        assert_eq!(
            row(&comparison).split_whitespace().collect::<Vec<_>>().join(" "),
            "nop1 200 ns 90 ns - 0.45 (0.40-0.60) - 0.5k met"
        );
        assert_eq!(skipped(&comparison), ["nop1, plain: skipped: not asked for"]);
        assert_eq!(json(&comparison)["targets"][0]["met"], json!(true));
    }
}

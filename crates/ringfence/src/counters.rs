//! What the engine has done, told when the process ends.

use crate::config::{self, Counters};
use crate::{backend, raw};
use ringfence_uring::Stats;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;

/// Prints or writes the counters, if the settings ask for them.
pub(crate) fn print() {
    if let Some([setup, enter, register]) = backend::passed() {
        if config::get().stats != Counters::Off {
            raw::complain(&format!("calls: setup {setup}, enter {enter}, register {register}"));
        }
        return;
    }
    let Some(stats) = backend::stats() else { return };
    match config::get().stats {
        Counters::Off => {}
        Counters::Stderr => raw::complain(&text(&stats)),
        Counters::File(path) => {
            if let Err(error) = append(path, &json(&stats)) {
                raw::complain(&format!("cannot write the counters to {path}: {error}"));
            }
        }
    }
}

/// One write of one line, so that processes that end at the same time do not mix theirs.
fn append(path: &str, line: &str) -> std::io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path)?.write_all(line.as_bytes())
}

fn text(stats: &Stats) -> String {
    let mut text = String::from("operations:");
    for (name, count) in &stats.operations {
        let _ = write!(text, " {name} {count}");
    }
    let _ = write!(
        text,
        "; rings {}, workers {}, request bytes {}",
        stats.rings, stats.workers, stats.request_bytes
    );
    text
}

/// Names are those of the operation table and need no escapes.
fn json(stats: &Stats) -> String {
    let operations: Vec<String> =
        stats.operations.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    format!(
        "{{\"operations\":{{{}}},\"rings\":{},\"workers\":{},\"request_bytes\":{}}}\n",
        operations.join(","),
        stats.rings,
        stats.workers,
        stats.request_bytes
    )
}

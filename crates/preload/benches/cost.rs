//! Measures what interception costs, by tier, and prints a table: nanoseconds for a call that is
//! intercepted and for one that is not, microseconds for a process's start.
//!
//! `cargo bench -p ringfence-preload --bench cost`

#[path = "../tests/common/mod.rs"]
#[expect(dead_code, reason = "shared with the tests, which use more of it")]
mod common;

use common::{Run, compile};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

const TIERS: [&str; 3] = ["patch", "dispatch", "filter"];

fn main() {
    let program = compile("cost", &[]);
    let mut table: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let native = Command::new(&program).output().unwrap();
    add(&mut table, &String::from_utf8(native.stdout).unwrap());
    for tier in TIERS {
        let (status, stdout, stderr) = Run::tier(tier).run(&program);
        assert!(status.success(), "{stderr}");
        add(&mut table, &stdout);
    }
    println!("{:<34} {:>9} {:>9} {:>9} {:>9}", "ns", "kernel", "patch", "dispatch", "filter");
    for (name, cells) in &table {
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>9}")).collect();
        println!("{name:<34} {}", cells.join(" "));
    }
    let plain = start(&mut Command::new("true"));
    let with = |backend| {
        start(
            Command::new("true")
                .env("LD_PRELOAD", common::library())
                .env("RINGFENCE_BACKEND", backend),
        )
    };
    let (kernel, user) = (with("kernel"), with("user"));
    println!("start of true: {plain:?}, preload left idle {kernel:?}, preload at work {user:?}");
}

fn add(table: &mut BTreeMap<String, Vec<String>>, lines: &str) {
    for line in lines.lines() {
        let (name, value) = line.split_once('\t').unwrap();
        table.entry(name.to_owned()).or_default().push(value.to_owned());
    }
}

/// The shortest of many runs.
fn start(command: &mut Command) -> Duration {
    let run = |_| {
        let start = Instant::now();
        assert!(command.status().unwrap().success());
        start.elapsed()
    };
    (0..200).map(run).min().unwrap()
}

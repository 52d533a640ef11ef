//! How far the reader agrees with the titles that bisection logs of syzbot end with:
//! `cargo run --release -p ringfence-report --example heldout -- DIRECTORY`.
//!
//! Such a log ends with `crash: TITLE` and the report of that crash, its symbols looked up. The
//! titles are those of the day, by the rules of that day.

use ringfence_report::first;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: heldout DIRECTORY (of bisection logs)");
        std::process::exit(2);
    };
    let (mut all, mut equal) = (0, 0);
    let mut differ: BTreeMap<(String, String), usize> = BTreeMap::new();
    for entry in std::fs::read_dir(&directory)? {
        let log = std::fs::read(entry?.path())?;
        let log = String::from_utf8_lossy(&log);
        let Some((title, report)) =
            log.rsplit_once("\ncrash: ").and_then(|it| it.1.split_once('\n'))
        else {
            continue;
        };
        if report.trim().is_empty() {
            continue;
        }
        let got = first(report).map(|report| report.title).unwrap_or_default();
        all += 1;
        equal += usize::from(got == title);
        if got != title {
            *differ.entry((title.to_owned(), got)).or_default() += 1;
        }
    }
    for ((title, got), count) in differ {
        println!("{count}x {title}\n   {got}");
    }
    println!("{equal} of {all} titles equal");
    Ok(())
}

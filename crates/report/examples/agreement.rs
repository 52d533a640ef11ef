//! How far the reader agrees with syzkaller's corpus of Linux logs, and how long it takes:
//! `cargo run --release -p ringfence-report --example agreement -- DIRECTORY`.

#[path = "../tests/corpus/mod.rs"]
mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// The processor time of this thread: other work on the machine does not count.
fn cpu_time() -> std::io::Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().and_then(|number| number.parse().ok());
    Ok(Duration::from_nanos(nanoseconds.unwrap_or_default()))
}

fn main() -> std::io::Result<()> {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: agreement DIRECTORY (syzkaller's pkg/report/testdata/linux/report)");
        std::process::exit(2);
    };
    let cases = cases::read(&directory)?;
    let bytes: usize = cases.iter().map(|case| case.log.len()).sum();
    let mut times = Vec::new();
    for _ in 0..5 {
        let start = cpu_time()?;
        let found = cases.iter().filter(|case| cases::first(&case.log).is_some()).count();
        times.push(cpu_time()? - start);
        assert!(found > 0, "no failure in {}", directory.display());
    }
    let mut headers: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for case in &cases {
        for (header, wanted, got) in cases::compare(case) {
            let (equal, all) = headers.entry(header).or_default();
            *all += 1;
            *equal += usize::from(wanted == got);
            if wanted != got {
                println!("{} {header}\n  wanted {wanted}\n  got    {got}", case.name);
            }
        }
    }
    for (header, (equal, all)) in headers {
        println!("{header:<10} {equal:>4} of {all}");
    }
    let reports: Vec<_> = cases.iter().filter_map(|case| cases::first(&case.log)).collect();
    let titles: BTreeSet<&str> = reports.iter().map(|report| report.title.as_str()).collect();
    let groups = ringfence_report::group(&reports).len();
    println!("{} reports, {} titles, {groups} groups", reports.len(), titles.len());
    println!("{} cases, {bytes} bytes; processor time, five times: {times:.1?}", cases.len());
    Ok(())
}

//! `ringfence report`: every failure that a log tells of.

use anyhow::{Context, Result};
use ringfence_report::{Report, follow, group};
use serde_json::{Value, json};
use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Read crash logs: every failure with its title, kind, guilty function and text
///
/// Reads consoles of the Linux kernel, panics of Rust, AddressSanitizer, ThreadSanitizer, and lock
/// validators. A log on standard input is read as it comes: a failure is printed when its report
/// is complete, or when the log has been quiet for three seconds. The exit code is 0 whether or
/// not there are failures, and 125 if a log cannot be read.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Put reports of the same bug together: those with a title in common
    #[arg(long)]
    dedup: bool,

    /// Logs; `-`, or none, is standard input
    #[arg(value_name = "LOG")]
    logs: Vec<PathBuf>,
}

/// A log that says nothing for so long is quiet.
const QUIET: Duration = Duration::from_secs(3);

/// A report and the log that it is from.
struct Place {
    log: PathBuf,
    report: Report,
}

pub(crate) fn run(mut args: Args) -> Result<ExitCode> {
    if args.logs.is_empty() {
        args.logs.push(PathBuf::from("-"));
    }
    let at_once = !args.json && !args.dedup;
    let mut places = Vec::new();
    for log in &args.logs {
        let each = |report: Report| {
            let place = Place { log: log.clone(), report };
            match at_once {
                true => print(&place),
                false => places.push(place),
            }
        };
        read(log, at_once, each).with_context(|| format!("cannot read {}", log.display()))?;
    }
    let reports: Vec<Report> = places.iter().map(|place| place.report.clone()).collect();
    let groups = args.dedup.then(|| group(&reports));
    if args.json {
        println!("{:#}", all(&places, groups));
    } else {
        groups.iter().flatten().for_each(|members| print_group(&places, members));
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a log and hands out each report; `at_once` also those that wait for more of the log.
fn read(log: &Path, at_once: bool, each: impl FnMut(Report)) -> std::io::Result<()> {
    if log != Path::new("-") {
        return follow(File::open(log)?, None, each);
    }
    if std::io::stdin().is_terminal() {
        eprintln!("ringfence: reading a log from the terminal; Ctrl-D ends it");
    }
    follow(std::io::stdin(), at_once.then_some(QUIET), each)
}

fn print(place: &Place) {
    let Report { title, kind, frame, corrupted, .. } = &place.report;
    println!("{}:{}: {title}", place.log.display(), place.report.line + 1);
    println!("type: {kind}");
    frame.iter().for_each(|frame| println!("frame: {frame}"));
    place.report.alt_titles.iter().for_each(|alt| println!("also: {alt}"));
    corrupted.iter().for_each(|reason| println!("corrupted: {reason}"));
    if place.report.suppressed {
        println!("suppressed: the log shows a cause outside of what was tested");
    }
    println!("\n{}", place.report.text);
}

fn print_group(places: &[Place], members: &[usize]) {
    let title = &places[members[0]].report.title;
    println!("{}x {title}", members.len());
    for Place { log, report } in members.iter().map(|&member| &places[member]) {
        let other =
            if report.title == *title { String::new() } else { format!(": {}", report.title) };
        println!("    {}:{}{other}", log.display(), report.line + 1);
    }
}

/// All reports, and where they were asked for the groups, of places in the list of reports.
fn all(places: &[Place], groups: Option<Vec<Vec<usize>>>) -> Value {
    let mut all = json!({ "reports": places.iter().map(one).collect::<Vec<_>>() });
    if let Some(groups) = groups {
        let group = |members: &Vec<usize>| json!({ "title": places[members[0]].report.title, "reports": members });
        all["groups"] = groups.iter().map(group).collect();
    }
    all
}

fn one(Place { log, report }: &Place) -> Value {
    json!({
        "title": report.title,
        "alt_titles": report.alt_titles,
        "type": report.kind.as_str(),
        "frame": report.frame,
        "corrupted": report.corrupted.is_some(),
        "corrupted_reason": report.corrupted.map(|reason| reason.as_str()),
        "suppressed": report.suppressed,
        "panicked": report.panicked,
        "executor": report.executor.map(|ran| json!({ "process": ran.process, "program": ran.program })),
        "log": log.display().to_string(),
        "line": report.line + 1,
        "report": report.text,
    })
}

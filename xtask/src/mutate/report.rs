//! What came of the faults, as a table and as JSON.

use super::suites::Outcome;
use super::table::{Fault, Kind};
use anyhow::Result;
use serde::Serialize;
use std::time::Duration;

/// A fault and what came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    name: String,
    kind: Kind,
    file: String,
    breaks: String,
    killed: bool,
    /// The test that found it, or how else the tests ended.
    by: String,
    /// Building and testing, seconds.
    seconds: f64,
}

impl Verdict {
    pub(crate) fn new(fault: &Fault, outcome: Outcome, took: Duration) -> Verdict {
        let killed = outcome != Outcome::Passed;
        Verdict {
            name: fault.name.clone(),
            kind: fault.kind,
            file: fault.file.clone(),
            breaks: fault.breaks.clone(),
            killed,
            by: if killed { outcome.to_string() } else { String::new() },
            seconds: (took.as_secs_f64() * 10.0).round() / 10.0,
        }
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, seconds) = (&self.name, self.seconds);
        match self.killed {
            true => write!(f, "{name:<32} killed   {seconds:>6.1} s  {}", self.by),
            false => write!(f, "{name:<32} SURVIVED {seconds:>6.1} s",),
        }
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    planted: usize,
    killed: usize,
    faults: &'a [Verdict],
}

/// Prints all verdicts.
pub(crate) fn print(verdicts: &[Verdict], json: bool) -> Result<()> {
    let killed = verdicts.iter().filter(|verdict| verdict.killed).count();
    let planted = verdicts.len();
    if json {
        let summary = Summary { planted, killed, faults: verdicts };
        println!("{}", serde_json::to_string_pretty(&summary)?);
        return Ok(());
    }
    println!("| fault | kind | file | what it breaks | killed by |");
    println!("|---|---|---|---|---|");
    for verdict in verdicts {
        let Verdict { name, kind, file, breaks, by, .. } = verdict;
        let kind = format!("{kind:?}").to_lowercase();
        let by = if verdict.killed { format!("`{by}`") } else { "**nothing**".to_owned() };
        let file = file.trim_start_matches("crates/").replacen("/src", "", 1);
        println!("| `{name}` | {kind} | `{file}` | {breaks} | {by} |");
    }
    println!("\n{killed} of {planted} faults are killed.");
    Ok(())
}

/// Prints the faults themselves.
pub(crate) fn list(faults: &[Fault], json: bool) -> Result<()> {
    if json {
        let rows = faults.iter().map(|Fault { name, kind, file, breaks, .. }| {
            serde_json::json!({ "name": name, "kind": kind, "file": file, "breaks": breaks })
        });
        println!("{}", serde_json::to_string_pretty(&rows.collect::<Vec<_>>())?);
        return Ok(());
    }
    for Fault { name, breaks, .. } in faults {
        println!("{name:<32} {breaks}");
    }
    Ok(())
}

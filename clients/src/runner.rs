//! Running one program: its own process group and directory, a time limit, and nothing left behind.

use crate::host::Host;
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often a running program is looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// By us, after the time limit.
    TimedOut,
}

/// A program that has ended.
pub(crate) struct Outcome {
    /// How it ended.
    pub(crate) end: End,
    /// How long it ran.
    pub(crate) time: Duration,
    /// What it printed, on both streams.
    pub(crate) output: String,
    /// Operations that ringfence completed for it and for what it started, by name.
    pub(crate) operations: BTreeMap<String, u64>,
}

/// Where and how long programs are run.
#[derive(Clone)]
pub(crate) struct Runner {
    /// Below this, each program gets an empty directory of its own.
    pub(crate) directory: PathBuf,
    /// The binary under test.
    pub(crate) ringfence: PathBuf,
    /// After this long a program is killed.
    pub(crate) limit: Duration,
}

impl Runner {
    /// Runs `program` on `host` to its end, then kills whatever it left in its process group.
    ///
    /// # Errors
    /// The program could not be started; how it ends is no error.
    pub(crate) fn run(&self, program: &[OsString], host: Host) -> Result<Outcome> {
        let directory = tempfile::Builder::new().prefix("run-").tempdir_in(&self.directory)?;
        let output = tempfile::NamedTempFile::new_in(&self.directory)?;
        let counters = tempfile::NamedTempFile::new_in(&self.directory)?;
        let mut command = host.command(program, &self.ringfence);
        command
            .current_dir(directory.path())
            .env("TMPDIR", directory.path())
            .env("RINGFENCE_STATS", counters.path())
            .stdin(Stdio::null())
            .stdout(output.reopen()?)
            .stderr(output.reopen()?)
            .process_group(0);
        let begin = Instant::now();
        let mut child = command.spawn().with_context(|| format!("{program:?}"))?;
        let group = Pid::from_child(&child);
        let mut end = None;
        while end.is_none() && begin.elapsed() < self.limit {
            end = child.try_wait()?.map(how);
            std::thread::sleep(if end.is_none() { GLANCE } else { Duration::ZERO });
        }
        let time = begin.elapsed();
        // The group may be empty by now; that is the usual case.
        let _ = kill_process_group(group, Signal::KILL);
        child.wait()?;
        let text = String::from_utf8_lossy(&std::fs::read(output.path())?).into_owned();
        let operations = sum(&std::fs::read_to_string(counters.path())?)?;
        Ok(Outcome { end: end.unwrap_or(End::TimedOut), time, output: text, operations })
    }
}

/// Adds up the counters of all processes: each has appended a line.
fn sum(lines: &str) -> Result<BTreeMap<String, u64>> {
    #[derive(serde::Deserialize)]
    struct Process {
        operations: BTreeMap<String, u64>,
    }
    let mut total = BTreeMap::new();
    for line in lines.lines() {
        let process: Process = serde_json::from_str(line).context("ringfence's counters")?;
        for (name, count) in process.operations {
            *total.entry(name).or_default() += count;
        }
    }
    Ok(total)
}

fn how(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(code),
        (None, signal) => End::Signal(signal.unwrap_or_default()),
    }
}

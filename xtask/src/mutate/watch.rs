//! Runs a program of tests until its end, its first failed test, its silence, or an interrupt; and
//! leaves no process of it behind.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on an interrupt is noticed between steps, and the copy left without a fault.
pub(crate) fn catch_interrupts() -> Result<()> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Release)).context("the handler")
}

/// # Errors
/// If an interrupt came.
pub(crate) fn interrupted() -> Result<()> {
    if INTERRUPTED.load(Ordering::Acquire) {
        bail!("interrupted; the copy is without a fault again");
    }
    Ok(())
}

/// How a program ended, or was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, successfully or not.
    Exited(bool),
    /// By this signal.
    Signal(i32),
    /// A test failed, and the rest was not waited for.
    Failed(String),
    /// It said nothing for too long.
    Quiet,
}

/// What was seen of a program.
pub(crate) struct Seen {
    pub(crate) end: End,
    /// Tests that passed.
    pub(crate) tests: usize,
}

/// Runs a program of tests whose processes all run programs below `home`.
pub(crate) fn run(mut command: Command, home: &Path, quiet_max: Duration) -> Result<Seen> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().context("cannot start the tests")?;
    let lines = read_lines(child.stdout.take().context("no output")?);
    let (mut said, mut tests) = (Instant::now(), 0);
    let end = loop {
        match lines.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => {
                said = Instant::now();
                match verdict(&line) {
                    Some((test, "FAILED")) => break Some(End::Failed(test.to_owned())),
                    Some((_, "ok")) => tests += 1,
                    _ => {}
                }
            }
            Err(RecvTimeoutError::Disconnected) => break None,
            Err(RecvTimeoutError::Timeout) if said.elapsed() > quiet_max => break Some(End::Quiet),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Err(error) = interrupted() {
            end_all(&mut child, home)?;
            return Err(error);
        }
    };
    let end = match end {
        Some(end) => end,
        None => {
            let status = child.wait()?;
            status.signal().map_or(End::Exited(status.success()), End::Signal)
        }
    };
    end_all(&mut child, home)?;
    Ok(Seen { end, tests })
}

/// A test and its verdict, from a line as `test NAME ... ok`.
fn verdict(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("test ")?.split_once(" ... ")
}

fn read_lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// Ends the program and whatever it started: bodies run in process groups of their own.
fn end_all(child: &mut Child, home: &Path) -> Result<()> {
    if child.try_wait()?.is_none() {
        let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
        child.wait()?;
    }
    for entry in std::fs::read_dir("/proc").context("/proc")?.flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        if let Some(pid) = number.and_then(Pid::from_raw)
            && std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe.starts_with(home))
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    Ok(())
}

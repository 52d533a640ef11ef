//! The demonstration: a program that is refused io_uring fails, and works under ringfence.
//!
//! The refusal is real: a seccomp filter on the thread that starts the program, which the program
//! inherits and cannot take off, so that nothing can fall through to the kernel's io_uring.

use crate::exit::{self, Failure};
use anyhow::{Context, Result, bail};
use ringfence_refusal::{Answer, refuse_io_uring};
use serde_json::{Map, Value};
use std::io::Write;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const PROGRAM: &str = "ringfence-demo";
/// Bytes to copy: no multiple of a page, so that the last block is a short one.
const LENGTH: usize = 16 * 1024 * 1024 + 4321;

/// What was shown.
pub(crate) struct Shown {
    /// What the program said when it was refused.
    pub(crate) refusal: String,
    /// Bytes that it copied under ringfence, and that were compared.
    pub(crate) bytes_copied: u64,
    /// TCP echoes that it served under ringfence, each checked by its client.
    pub(crate) echoes: u64,
    /// Operations that the engine completed, by name.
    pub(crate) operations: Map<String, Value>,
}

/// Shows it; every claim is checked.
///
/// # Errors
/// Something that was to be shown is not so: the program works though refused, or not under
/// ringfence, or what it copied differs. Or it was interrupted.
pub(crate) fn show() -> Result<Shown> {
    // What is made here is removed at the end, so a signal that would end us is only noted.
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let shown = in_a_directory(&interrupted);
    if interrupted.load(Ordering::Relaxed) {
        return Err(Failure::new(exit::INTERRUPTED, "interrupted").into());
    }
    shown
}

/// Shows it in a directory that is gone afterwards.
fn in_a_directory(interrupted: &AtomicBool) -> Result<Shown> {
    let directory = tempfile::Builder::new().prefix("ringfence-demo-").tempdir();
    let directory = directory.context("a directory for the demonstration's files")?;
    let [source, copy, stats] = ["source", "copy", "stats"].map(|name| directory.path().join(name));
    let content = noise(LENGTH);
    std::fs::File::create(&source)?.write_all(&content)?;
    let program = crate::beside::program(PROGRAM)?;
    let refusal = refused(Command::new(&program).arg(&source).arg(&copy))?;
    if interrupted.load(Ordering::Relaxed) {
        bail!("interrupted");
    }

    let mut command = Command::new(std::env::current_exe()?);
    command.args(["run", "--backend=user"]).arg(format!("--stats={}", stats.display()));
    let done = under_ringfence(command.arg("--").arg(&program).arg(&source).arg(&copy))?;
    if std::fs::read(&copy)? != content {
        bail!("the copy differs from its source");
    }
    let figure = |key: &str| done[key].as_u64().with_context(|| format!("{PROGRAM}: no {key}"));
    // One process, so one line.
    let stats = std::fs::read(&stats).context("the library wrote no counters")?;
    let stats: Value = serde_json::from_slice(&stats).context("the library's counters")?;
    let operations = stats["operations"].as_object().context("counters without operations")?;
    Ok(Shown {
        refusal,
        bytes_copied: figure("bytes_copied")?,
        echoes: figure("echoes")?,
        operations: operations.clone(),
    })
}

/// Runs the program in the refusal, where it has to fail; returns what it says.
fn refused(command: &mut Command) -> Result<String> {
    // Where this runs under ringfence itself, what it starts gets the library all the same.
    for side in ["RINGFENCE_BACKEND", "RINGFENCE_AIO"] {
        command.env(side, "kernel");
    }
    let output = in_refusal(command.env_remove("LD_PRELOAD"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() {
        bail!("{PROGRAM} works though io_uring is refused to it: the refusal has no effect");
    }
    Ok(if said.is_empty() { output.status.to_string() } else { said })
}

/// Runs it in the same refusal under ringfence, where it has to work; returns its report.
fn under_ringfence(command: &mut Command) -> Result<Value> {
    let output = in_refusal(command)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("under ringfence, {PROGRAM} ended with {}: {}", output.status, said.trim());
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("what {PROGRAM} reports"))
}

/// The filter holds for a thread and what it starts, so that thread is not this one.
fn in_refusal(command: &mut Command) -> Result<Output> {
    std::thread::scope(|scope| {
        let run = scope.spawn(|| -> Result<Output> {
            refuse_io_uring(Answer::Errno(libc::EPERM))?;
            command.output().with_context(|| command.get_program().display().to_string())
        });
        run.join().expect("the thread does not panic")
    })
}

/// Bytes without a pattern that a misplaced block could hide in (a linear congruential generator).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let step = |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(step).collect()
}

//! Runs one body in a process of its own, so that a crash or a hang is one failed test.
//!
//! The test re-executes its own binary for just itself; the child runs the body and tells by its
//! exit status what came of it. A body may therefore set limits, handlers and masks at will.
#![expect(unsafe_code, reason = "ends the child's process group")]

use crate::{Outcome, Skip, Target};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// A body that prints nothing for longer hangs.
pub const CASE_MAX: Duration = Duration::from_secs(40);

/// Set in the child; the value is the test's name.
const CHILD: &str = "RINGFENCE_CONFORMANCE_CHILD";

/// Exit statuses of the child that mean something; every other is a failure.
const PASSED: i32 = 10;
const SKIPPED: i32 = 77;

/// What came of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It held.
    Pass,
    /// It cannot run here, for this reason.
    Skip(String),
    /// It did not hold, crashed or hung; the text is what there is to read.
    Fail(String),
}

/// The test `path` (from `module_path!`) on `target`: runs `body` in a child, panics if it fails.
pub fn run(target: &dyn Target, path: &str, body: fn(&dyn Target) -> Outcome) {
    let name = path.split_once("::").map_or(path, |(_, name)| name);
    if std::env::var(CHILD).is_ok_and(|child| child == name) {
        be_child(target, body);
    }
    if let Some(reason) = name.strip_suffix("::sim").and_then(crate::sim::exempts) {
        println!("{name}: skipped: {reason}");
        return;
    }
    match (judge(target, name), crate::known::reason(name)) {
        (Verdict::Pass, None) => {}
        (Verdict::Pass, Some(_)) => panic!("{name} passes: remove its row in src/known.rs"),
        (Verdict::Skip(reason), _) => println!("{name}: skipped: {reason}"),
        (Verdict::Fail(_), Some(reason)) => println!("{name}: fails as known: {reason}"),
        (Verdict::Fail(text), None) => panic!("{text}\nreproduce: {}", reproduce(name)),
    }
}

/// Runs `body` in a child that has the test `name` to itself; panics with what it printed.
///
/// For tests that change their process for good, or that may crash it. What the lock validator reports
/// fails them.
pub fn in_child(name: &str, body: impl FnOnce()) {
    if std::env::var(CHILD).is_ok_and(|child| child == name) {
        body();
        if let Err(error) = crate::locking::check() {
            panic!("{error}");
        }
        std::process::exit(PASSED);
    }
    if let Verdict::Fail(text) = judge(&crate::Native, name) {
        // The last lines tell what ran when it failed.
        let from = text.char_indices().rev().nth(6000).map_or(0, |(at, _)| at);
        panic!("{}", &text[from..]);
    }
}

/// The command that repeats the test `name`.
pub fn reproduce(name: &str) -> String {
    let binary = std::env::current_exe().unwrap_or_default();
    let stem = binary.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let suite = stem.as_deref().and_then(|stem| stem.rsplit_once('-')).map_or("suite", |s| s.0);
    let seed = match std::env::var(crate::sim::SEED_VARIABLE) {
        Ok(seed) if name.ends_with("::sim") => format!("{}={seed} ", crate::sim::SEED_VARIABLE),
        _ => String::new(),
    };
    format!("{seed}cargo test -p ringfence-conformance --test {suite} -- --exact {name}")
}

/// Runs the body and exits with its verdict.
fn be_child(target: &dyn Target, body: fn(&dyn Target) -> Outcome) -> ! {
    match body(target) {
        Ok(()) => match crate::locking::check() {
            Ok(()) => std::process::exit(PASSED),
            Err(error) => panic!("{error}"),
        },
        Err(skip) => {
            eprintln!("skip: {skip}");
            std::process::exit(SKIPPED)
        }
    }
}

/// Runs the test `name` in a child process.
fn judge(target: &dyn Target, name: &str) -> Verdict {
    let output = tempfile::tempfile().expect("a file for the child's output");
    let handle = || output.try_clone().expect("dup");
    let binary = std::env::current_exe().expect("the test binary");
    let mut command = Command::new(binary);
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .stdout(handle())
        .stderr(handle())
        .process_group(0);
    let status = match target.launch(&mut command) {
        Ok(mut child) => wait(&mut child, &output),
        Err(Skip(reason)) => return Verdict::Skip(reason),
    };
    let text = read_all(output);
    match status {
        Ok(status) if status.code() == Some(PASSED) => Verdict::Pass,
        Ok(status) if status.code() == Some(SKIPPED) => {
            let reason = text.rsplit_once("skip: ").map_or("no reason given", |(_, reason)| reason);
            Verdict::Skip(reason.trim().to_owned())
        }
        Ok(status) => Verdict::Fail(format!("{name}: {}\n{text}", describe(status))),
        Err(Hang(threads)) => {
            let what = format!("{name}: hangs, killed after {CASE_MAX:?} without a word");
            Verdict::Fail(format!("{what}\n{text}\nits threads:\n{threads}"))
        }
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed (exit {code})"),
        (None, Some(signal)) => format!("died of signal {signal}"),
        (None, None) => "ended strangely".to_owned(),
    }
}

/// A child had to be killed; where its threads were.
struct Hang(String);

/// The child's status once it has ended.
fn wait(child: &mut Child, output: &File) -> std::result::Result<ExitStatus, Hang> {
    let printed = || output.metadata().map_or(0, |data| data.len());
    let (mut heard, mut last) = (printed(), Instant::now());
    let mut pause = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait().expect("wait for the child") {
            return Ok(status);
        }
        let now = printed();
        if now != heard {
            (heard, last) = (now, Instant::now());
        }
        if last.elapsed() > CASE_MAX {
            break;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
    let threads = ringfence_stuck::threads(child.id());
    // SAFETY: the group is the child's own, made at its start; it is not reaped yet.
    unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
    let _ = child.wait();
    Err(Hang(threads))
}

fn read_all(mut file: File) -> String {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("read the child's output");
    String::from_utf8_lossy(&bytes).into_owned()
}

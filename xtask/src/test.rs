//! `cargo xtask test`: everything that must hold before a change lands.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// A step that takes longer will not end: all of them take half of this on two CPUs.
const STEP_MAX: Duration = Duration::from_secs(60 * 60);

/// One step: a title for the log and the command line it runs.
struct Step {
    title: &'static str,
    command: &'static [&'static str],
}

const STEPS: &[Step] = &[
    Step { title: "format", command: &["cargo", "fmt", "--all", "--check"] },
    Step {
        title: "clippy",
        command: &["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
    },
    // Before the tests: those of the preload run the library.
    Step { title: "release build", command: &["cargo", "build", "--release"] },
    Step { title: "library", command: &["cargo", "build", "--package", "ringfence-preload"] },
    Step { title: "tests", command: &["cargo", "test", "--workspace"] },
    Step {
        title: "programs that use io_uring",
        command: &["cargo", "run", "--quiet", "--package", "ringfence-clients", "--", "programs"],
    },
    Step {
        title: "liburing's own tests",
        command: &["cargo", "run", "--quiet", "--package", "ringfence-clients", "--", "liburing"],
    },
    Step {
        title: "libaio's own tests",
        command: &["cargo", "run", "--quiet", "--package", "ringfence-clients", "--", "libaio"],
    },
];

/// Runs the tidy rules, then every step; the first that fails ends the run.
pub(crate) fn run() -> Result<()> {
    crate::tidy::run()?;
    for step in STEPS {
        eprintln!("== {}", step.title);
        let child = Command::new(step.command[0])
            .args(&step.command[1..])
            .spawn()
            .with_context(|| format!("cannot start {}", step.command[0]))?;
        let status = wait(child, STEP_MAX).with_context(|| step.title)?;
        if !status.success() {
            bail!("{} failed; repeat it with: {}", step.title, step.command.join(" "));
        }
    }
    Ok(())
}

/// How a child ends; one that takes longer than `limit` is killed with all that come from it.
///
/// # Errors
/// It had to be killed. Where its threads were is told on standard error.
fn wait(mut child: Child, limit: Duration) -> Result<ExitStatus> {
    let begin = Instant::now();
    while begin.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    eprintln!(
        "no end in {limit:?}; where its threads are:\n{}",
        ringfence_stuck::threads(child.id())
    );
    for process in ringfence_stuck::family(child.id()) {
        if let Some(pid) = Pid::from_raw(process as i32) {
            // Gone already, or killed.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    child.wait()?;
    bail!("killed after {limit:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).spawn().expect("sh")
    }

    #[test]
    fn what_does_not_end_is_killed_with_its_children() {
        assert!(wait(shell("exit 3"), STEP_MAX).expect("it ends").code() == Some(3));
        let child = shell("sleep 1000 & wait");
        let family = || ringfence_stuck::family(child.id());
        while family().len() < 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let members = family();
        assert!(wait(child, Duration::ZERO).is_err());
        // Whoever inherits the second may take a while to bury it, or never do.
        let lives = |id: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        let begin = Instant::now();
        while members.iter().any(lives) && begin.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!members.iter().any(lives), "{}", ringfence_stuck::threads(members[1]));
    }
}

//! `cargo xtask test`: everything that must hold before a change lands.

use anyhow::{Context, Result, bail};
use std::process::Command;

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
        let status = Command::new(step.command[0])
            .args(&step.command[1..])
            .status()
            .with_context(|| format!("cannot start {}", step.command[0]))?;
        if !status.success() {
            bail!("{} failed; repeat it with: {}", step.title, step.command.join(" "));
        }
    }
    Ok(())
}

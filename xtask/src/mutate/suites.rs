//! The tests that judge a fault, and how one of their programs is built and run.

use super::tree::Tree;
use super::watch::{self, End};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A program of tests.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    package: &'static str,
    /// What cargo builds of it.
    target: &'static [&'static str],
    /// What its program is always told.
    arguments: &'static [&'static str],
}

/// Of each conformance body the engine's form alone.
const ENGINE_ONLY: &[&str] =
    &["--skip", "::native", "--skip", "::preload", "--skip", "::sim", "--skip", "::kernel"];

/// The suites, from the fastest on.
pub(crate) const SUITES: &[Suite] = &[
    Suite { name: "unit", package: "ringfence-uring", target: &["--lib"], arguments: &[] },
    Suite { name: "host", package: "ringfence-host", target: &["--test", "os"], arguments: &[] },
    Suite {
        name: "waiters",
        package: "ringfence-uring",
        target: &["--test", "waiters"],
        arguments: &[],
    },
    Suite {
        name: "validator",
        package: "ringfence-checked",
        target: &["--test", "engine"],
        arguments: &[],
    },
    Suite {
        name: "hostile",
        package: "ringfence-conformance",
        target: &["--test", "hostile"],
        arguments: &[],
    },
    Suite {
        name: "aio",
        package: "ringfence-conformance",
        target: &["--test", "aio"],
        arguments: ENGINE_ONLY,
    },
    Suite {
        name: "suite",
        package: "ringfence-conformance",
        target: &["--test", "suite"],
        arguments: ENGINE_ONLY,
    },
    Suite {
        name: "aio-life",
        package: "ringfence-uring",
        target: &["--test", "aio_lifetime"],
        arguments: &[],
    },
    Suite {
        name: "explore",
        package: "ringfence-conformance",
        target: &["--test", "explore"],
        arguments: &[],
    },
];

/// A suite that says nothing for so long hangs. Bodies hang after 40 s by themselves, lost
/// simulations after a minute.
const QUIET_MAX: Duration = Duration::from_secs(120);

/// What came of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All its tests passed.
    Passed,
    /// This test failed.
    Failed { suite: &'static str, test: String },
    /// It said nothing for too long.
    Hung { suite: &'static str },
    /// The program ended otherwise than by a test's verdict.
    Crashed { suite: &'static str, how: String },
    /// The compiler refuses the tree.
    DoesNotBuild(String),
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::Passed => f.write_str("all pass"),
            Outcome::Failed { suite, test } => write!(f, "{suite}: {test}"),
            Outcome::Hung { suite } => write!(f, "{suite}: hangs"),
            Outcome::Crashed { suite, how } => write!(f, "{suite}: {how}"),
            Outcome::DoesNotBuild(text) => write!(f, "does not build:\n{text}"),
        }
    }
}

/// A suite and the filter of its tests, from `SUITE [FILTER]`.
///
/// # Errors
/// If there is no such suite.
pub(crate) fn parse(selection: &str) -> Result<(&'static Suite, Option<&str>)> {
    let (name, filter) = match selection.split_once(' ') {
        Some((name, filter)) => (name, Some(filter)),
        None => (selection, None),
    };
    let suite = SUITES.iter().find(|suite| suite.name == name);
    Ok((suite.with_context(|| format!("there is no suite {name:?}"))?, filter))
}

/// Builds and runs a selection of tests on the copy.
///
/// # Errors
/// If cargo or the program cannot be started, and when interrupted.
pub(crate) fn run(tree: &Tree, selection: &str) -> Result<Outcome> {
    let (suite, filter) = parse(selection)?;
    let program = match build(tree, suite)? {
        Ok(program) => program,
        Err(text) => return Ok(Outcome::DoesNotBuild(text)),
    };
    let mut command = Command::new(&program);
    command.args(suite.arguments).args(filter).current_dir(package_dir(tree, suite));
    let seen = watch::run(command, &tree.target, QUIET_MAX)?;
    if seen.tests == 0 && seen.end == End::Exited(true) {
        bail!("{selection:?} selects no test");
    }
    let suite = suite.name;
    Ok(match seen.end {
        End::Exited(true) => Outcome::Passed,
        End::Failed(test) => Outcome::Failed { suite, test },
        End::Exited(false) => Outcome::Crashed { suite, how: "ends by itself".to_owned() },
        End::Signal(number) => Outcome::Crashed { suite, how: format!("signal {number}") },
        End::Quiet => Outcome::Hung { suite },
    })
}

/// Where cargo would run the tests of a suite.
fn package_dir(tree: &Tree, suite: &Suite) -> PathBuf {
    match suite.package.strip_prefix("ringfence-") {
        Some("conformance") | None => tree.root.join("conformance"),
        Some(name) => tree.root.join("crates").join(name),
    }
}

/// Builds a suite; its program, or what the compiler says.
fn build(tree: &Tree, suite: &Suite) -> Result<Result<PathBuf, String>> {
    watch::interrupted()?;
    let output = Command::new("cargo")
        .args(["test", "--no-run", "--quiet", "--message-format=json-render-diagnostics"])
        .args(["--package", suite.package])
        .args(suite.target)
        .current_dir(&tree.root)
        .env("CARGO_TARGET_DIR", &tree.target)
        .env("CARGO_INCREMENTAL", "1")
        // Nobody reads a stack here, and programs link in half the time.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .stdin(Stdio::null())
        .output()
        .context("cannot start cargo")?;
    watch::interrupted()?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let program = String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| Some(message.get("executable")?.as_str()?.into()))
        .next_back();
    Ok(Ok(program.context("cargo names no program")?))
}

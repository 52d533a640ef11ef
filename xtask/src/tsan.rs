//! `cargo xtask tsan [FILTER...]`: the engine's tests under ThreadSanitizer.
//!
//! The standard library is built with the sanitizer too, for which a nightly toolchain with its
//! `rust-src` is needed; without that, whatever the library orders would look like a race. What the
//! sanitizer reports fails the test in whose process it happened, through its exit status.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// Reports that are none, each with its reason.
const SUPPRESSIONS: &str = "xtask/tsan.supp";

/// The one target that is built; named, so that the flags reach no build script.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A program of tests: its package, its name, and what it is told besides the filters.
struct Program {
    package: &'static str,
    test: &'static str,
    arguments: &'static [&'static str],
}

/// Bodies are run on the engine in their own process; on virtual threads there is nothing to find,
/// for of those one runs at a time.
const ENGINE_ONLY: &[&str] = &["--skip", "::native", "--skip", "::preload", "--skip", "::sim"];

const PROGRAMS: &[Program] = &[
    Program { package: "ringfence-host", test: "os", arguments: &[] },
    Program { package: "ringfence-uring", test: "waiters", arguments: &[] },
    Program {
        package: "ringfence-uring",
        test: "aio_lifetime",
        // The explored schedules, and the historic fault, which is a race.
        arguments: &["--skip", "of_two", "--skip", "of_three", "--skip", "historic"],
    },
    Program { package: "ringfence-conformance", test: "aio", arguments: ENGINE_ONLY },
    Program { package: "ringfence-conformance", test: "suite", arguments: ENGINE_ONLY },
];

/// Runs all programs, as far as filters let them; the first that fails ends the run.
pub(crate) fn run(filters: &[String]) -> Result<()> {
    let suppressions = std::path::absolute(SUPPRESSIONS)?;
    if !suppressions.exists() {
        bail!("{SUPPRESSIONS} is not here; run it at the project's root");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    // Bodies fork, and the child goes on with threads of its own.
    let options = format!("suppressions={} die_after_fork=0", suppressions.display());
    for Program { package, test, arguments } in PROGRAMS {
        eprintln!("== tsan: {package}, {test}");
        let status = Command::new("cargo")
            .args(["+nightly", "test", "-Zbuild-std", "--target", TARGET])
            .args(["--package", package, "--test", test, "--"])
            .args(*arguments)
            .args(filters)
            .env("CARGO_TARGET_DIR", target.join("tsan"))
            .env("RUSTFLAGS", "-Zsanitizer=thread")
            .env("TSAN_OPTIONS", &options)
            .status()
            .context("cannot start cargo")?;
        if !status.success() {
            bail!(
                "{package}, {test} failed, or `rustup component add rust-src --toolchain nightly` \
                 is needed"
            );
        }
    }
    Ok(())
}

//! `cargo xtask fuzz NAME [SECONDS]`: a coverage-guided fuzzer on one target of `fuzz/`.
//!
//! Needs a C++ compiler, and no other toolchain than the one that builds the project: the
//! instrumentation is asked of the compiler by flags that every release knows.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How long a target runs, unless told otherwise.
const SECONDS: u32 = 600;
/// An input that takes longer hangs, seconds.
const HANG: u32 = 25;
/// Memory of a target, MiB; beyond it something leaks.
const MEMORY: u32 = 2048;

/// Counters at edges, and comparisons told to the fuzzer.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1";

/// The targets: the files of `fuzz/fuzz_targets`.
fn targets() -> Result<Vec<String>> {
    let entries = std::fs::read_dir("fuzz/fuzz_targets").context("run it at the project's root")?;
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<String> = entries.filter_map(|entry| stem(entry.ok()?.path())).collect();
    names.sort();
    Ok(names)
}

/// Runs the target that the arguments name.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let names = targets()?;
    let Some(name) = args.first().filter(|name| names.contains(name)) else {
        bail!("name a target: {}", names.join(", "));
    };
    let seconds = match args.get(1) {
        Some(text) => text.parse().with_context(|| format!("{text:?} is no number of seconds"))?,
        None => SECONDS,
    };
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let home = std::path::absolute(target.join("fuzz"))?;
    build(&home, name)?;
    fuzz(&home, name, seconds)
}

fn build(home: &Path, name: &str) -> Result<()> {
    let status = Command::new("cargo")
        .args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--bin", name])
        // Named, so that the flags reach no build script.
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .env("CARGO_TARGET_DIR", home)
        .env("RUSTFLAGS", FLAGS)
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("the target {name} does not build");
    }
    Ok(())
}

fn fuzz(home: &Path, name: &str, seconds: u32) -> Result<()> {
    let corpus = home.join("corpus").join(name);
    let found = home.join("found").join(name);
    for dir in [&corpus, &found] {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let binary = home.join("x86_64-unknown-linux-gnu/release").join(name);
    let status = Command::new(&binary)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={HANG}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-artifact_prefix={}/", found.display()))
        // A write beyond the limit of file sizes is a result; the signal is ignored.
        .args(["-print_final_stats=1", "-max_len=4096", "-handle_xfsz=0"])
        .arg(&corpus)
        .status()
        .context("cannot start the target")?;
    let size = std::fs::read_dir(&corpus)?.count();
    eprintln!("fuzz {name}: {size} inputs in the corpus, {}", corpus.display());
    if !status.success() {
        bail!(
            "{name} failed; the input lies in {}; repeat it with: {} INPUT",
            found.display(),
            binary.display()
        );
    }
    Ok(())
}

//! The test program of the io-uring crate's repository: run on the kernel and under ringfence, and
//! compared line by line.
//!
//! The program is not kept in this tree. `RINGFENCE_IO_URING_TEST` names the built binary, as
//! `cargo build` in the directory `io-uring-test` of that repository leaves it.

use crate::host::Host;
use crate::place;
use crate::runner::{End, Outcome, Runner};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The variable that names the program.
const PROGRAM: &str = "RINGFENCE_IO_URING_TEST";

/// Run the io-uring crate's test program, on the kernel and under ringfence
///
/// Fails if it does not run the same tests with the same end on both, or if it passes where
/// io_uring is refused and nothing helps.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds until the program is killed
    #[arg(long, default_value_t = 120)]
    limit: u64,
}

/// The lines that name a test, in the order in which they were run.
fn tests(outcome: &Outcome) -> Vec<&str> {
    outcome.output.lines().filter(|line| line.starts_with("test ")).collect()
}

/// Runs it; the exit code says whether both agree.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let program = std::env::var_os(PROGRAM)
        .with_context(|| format!("{PROGRAM} must name the built io-uring-test program"))?;
    let path = PathBuf::from(&program);
    if !path.is_file() {
        bail!("{PROGRAM}: {} is no file", path.display());
    }
    let program = [std::fs::canonicalize(&path)?.into_os_string()];
    let directory = place::workshop()?.join("io-uring-test");
    std::fs::create_dir_all(&directory)?;
    let limit = Duration::from_secs(args.limit);
    let runner = Runner { directory, ringfence: place::ringfence()?, limit };
    let kernel = runner.run(&program, Host::Kernel)?;
    if kernel.end != End::Exit(0) {
        bail!("it does not pass on this kernel ({:?}); there is nothing to compare", kernel.end);
    }
    if runner.run(&program, Host::Refused)?.end == End::Exit(0) {
        bail!("it passes where io_uring is refused, and so proves nothing");
    }
    let ours = runner.run(&program, Host::Ringfence)?;
    let (there, here) = (tests(&kernel), tests(&ours));
    let missed: Vec<&&str> = there.iter().filter(|line| !here.contains(line)).collect();
    for line in &missed {
        println!("only on the kernel: {line}");
    }
    let operations: u64 = ours.operations.values().sum();
    println!(
        "kernel: {} tests in {:.1} s; ringfence: {} tests in {:.1} s, {operations} operations, {:?}",
        there.len(),
        kernel.time.as_secs_f64(),
        here.len(),
        ours.time.as_secs_f64(),
        ours.end,
    );
    if ours.end != End::Exit(0) {
        let last = ours.output.lines().filter(|line| !line.trim_start().starts_with("at "));
        let tail: Vec<&str> = last.collect();
        tail[tail.len().saturating_sub(20)..].iter().for_each(|line| println!("  {line}"));
    }
    let same = ours.end == End::Exit(0) && there == here;
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

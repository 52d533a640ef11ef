//! `ringfence bench`: workloads on the kernel's io_uring, on ringfence, and without io_uring.

use crate::bench::{self, Plan};
use anyhow::Result;
use ringfence_bench::{WORKLOADS, Workload};
use std::path::PathBuf;
use std::process::ExitCode;

/// Compare ringfence with the kernel's io_uring, and with plain system calls, by measuring
///
/// Each measurement is a process of its own; the modes take turns, round after round. Ratios are
/// ringfence's time divided by the other's within a round: their median, and in parentheses the
/// best and the worst round. Only ratios of one run mean anything, and on a busy or virtual
/// machine not the second digit. Times are wall-clock time per operation. Targets name what they
/// are a ratio to: k the kernel, p plain system calls.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Measure this workload only; may be repeated
    #[arg(long, value_name = "NAME", value_parser = workload)]
    workload: Vec<&'static Workload>,

    /// Rounds of each workload
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,

    /// Seconds of each measurement
    #[arg(long, default_value_t = 0.3, value_parser = seconds)]
    seconds: f64,

    /// Where to make the files to read; by default a temporary directory on a disk
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,

    /// Measure C programs over liburing, built here, instead of our own; needs cc and liburing-dev
    #[arg(long)]
    c: bool,
}

fn workload(name: &str) -> Result<&'static Workload, String> {
    WORKLOADS.iter().find(|workload| workload.name == name).ok_or_else(|| {
        let names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
        format!("there is no such workload; there are {}", names.join(", "))
    })
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("not a number from 0 to 600".to_owned()),
    }
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let workloads = match args.workload.is_empty() {
        true => WORKLOADS.iter().collect(),
        false => args.workload,
    };
    let directory = args.directory.unwrap_or_else(ringfence_bench::place);
    let plan = Plan { workloads, rounds: args.rounds, seconds: args.seconds, directory, c: args.c };
    let report = bench::run(&plan, !args.json)?;
    if args.json {
        println!("{report:#}");
    }
    Ok(ExitCode::SUCCESS)
}

//! `ringfence demo`: a program that is refused io_uring, without ringfence and with it.

use crate::demo;
use anyhow::Result;
use serde_json::json;
use std::process::ExitCode;

/// Show an io_uring program fail where io_uring is refused, and work there under ringfence
///
/// Refuses io_uring to a bundled program by a seccomp filter, as the container runtimes' default
/// profiles do: EPERM. The program fails. Under `ringfence run` the same binary, in the same
/// refusal, copies a file and serves TCP echoes; both are verified.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let shown = demo::show()?;
    if args.json {
        let report = json!({
            "refused": true,
            "refusal": shown.refusal,
            "bytes_copied": shown.bytes_copied,
            "echoes": shown.echoes,
            "operations": shown.operations,
        });
        println!("{report:#}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("in a seccomp refusal    {}", shown.refusal);
    println!("there, under ringfence  {} bytes copied and compared", shown.bytes_copied);
    println!("                        {} TCP echoes served and verified", shown.echoes);
    println!();
    println!("operation          completed");
    for (name, count) in &shown.operations {
        println!("{name:<16} {count:>11}");
    }
    Ok(ExitCode::SUCCESS)
}

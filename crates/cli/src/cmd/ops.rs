//! `ringfence ops`: what the engine supports, printed from its own table of operations.

use anyhow::Result;
use serde_json::{Value, json};
use std::process::ExitCode;

/// List io_uring's operations, and which of them ringfence has
///
/// Printed from the table that the engine works by, as is the answer to IORING_REGISTER_PROBE. An
/// operation that is not there fails with EINVAL, as on a kernel from before it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let rows = ringfence_uring::support();
    if args.json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| {
                json!({
                    "operation": row.op.name(),
                    "code": row.op as u8,
                    "since": row.op.since(),
                    "supported": row.supported,
                    "note": row.note,
                })
            })
            .collect();
        println!("{:#}", json!({ "operations": rows }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{:<16}  {:>5}  {:<9}  note", "operation", "Linux", "ringfence");
    for row in &rows {
        let answer = if row.supported { "yes" } else { "no" };
        let line =
            format!("{:<16}  {:>5}  {answer:<9}  {}", row.op.name(), row.op.since(), row.note);
        println!("{}", line.trim_end());
    }
    let supported = rows.iter().filter(|row| row.supported).count();
    println!("{supported} of {} operations", rows.len());
    Ok(ExitCode::SUCCESS)
}

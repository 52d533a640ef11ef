//! Measures one half of one workload, once, and prints the answer as JSON: what `ringfence bench`
//! starts, for each of its measurements.
//!
//! A program of its own, so that it is an ordinary client of io_uring: nothing of the engine is linked
//! into it, and whoever starts it decides who serves its ring.
//!
//! Usage: `ringfence-bench ring|plain WORKLOAD SECONDS SITE`, where SITE is a directory prepared for
//! the workload.

use ringfence_bench::suite::Answer;
use ringfence_bench::{Budget, Error, Half, WORKLOADS, measure};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some(answer) = run(&arguments) else {
        eprintln!("usage: ringfence-bench ring|plain WORKLOAD SECONDS SITE");
        return ExitCode::from(2);
    };
    match answer.and_then(|answer| Ok(serde_json::to_string(&answer)?)) {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ringfence-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the arguments say; `None` for arguments that say nothing.
fn run(arguments: &[OsString]) -> Option<Result<Answer, Box<dyn std::error::Error>>> {
    let [half, name, seconds, site] = arguments else { return None };
    let half = match half.to_str()? {
        "ring" => Half::Ring,
        "plain" => Half::Plain,
        _ => return None,
    };
    let name = name.to_str()?;
    let workload = WORKLOADS.iter().find(|workload| workload.name == name)?;
    let seconds = seconds.to_str()?.parse().ok()?;
    Some(match measure(workload, half, Path::new(site), Budget::seconds(seconds)) {
        Ok(sample) => Ok(Answer::Measured(sample)),
        Err(Error::Unavailable(why)) => Ok(Answer::Unavailable(why)),
        Err(error) => Err(error.into()),
    })
}

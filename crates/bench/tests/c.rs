//! The C programs build and run, so that they cannot rot. Nothing is timed.

use ringfence_bench::suite::Answer;
use ringfence_bench::{Error, Needs, Programs, Site, Size, WORKLOADS, place};
use std::process::Command;

#[test]
fn every_c_program_builds_and_answers() {
    let programs = match Programs::build() {
        Ok(programs) => programs,
        Err(Error::Unavailable(why)) => {
            eprintln!("skipped: {why}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let site = Site::prepare(&place(), &[Needs::Cached, Needs::Names], Size::Tiny).unwrap();
    let mut ran = 0;
    for workload in WORKLOADS {
        let Some((program, arguments)) = programs.command(workload, site.path(), 0.0) else {
            continue;
        };
        let output = Command::new(program).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", workload.name);
        match serde_json::from_slice(&output.stdout).unwrap() {
            Answer::Measured(sample) => assert!(sample.ops > 0 && sample.served_by.is_some()),
            Answer::Unavailable(why) => eprintln!("{}: skipped: {why}", workload.name),
        }
        ran += 1;
    }
    assert!(ran >= 6, "nops, reads, echoes, timers and statx exist in C");
}

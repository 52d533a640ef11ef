//! Every workload runs, so that none can rot. Nothing is timed.

use ringfence_bench::{Budget, Error, Half, Needs, Site, Size, WORKLOADS, Workload, measure};
use std::path::Path;
use std::process::Command;

const NEEDS: [Needs; 3] = [Needs::Cached, Needs::Direct, Needs::Names];

/// Made here and not by the process that measures, which may have mounted something in it.
fn site() -> Site {
    Site::prepare(&ringfence_bench::place(), &NEEDS, Size::Tiny).unwrap()
}

/// Measures in a process of its own, for a workload may pin its thread and change its namespaces.
/// The process is this very test, told by its environment what to do.
fn run(workload: &Workload, half: Half, site: &Site) -> Option<String> {
    let half = if half == Half::Ring { "ring" } else { "plain" };
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "one_workload", "--nocapture"])
        // On its main thread, as the only one: a user namespace and a fork ask for that.
        .env("RUST_TEST_THREADS", "1")
        .env("WORKLOAD", workload.name)
        .env("HALF", half)
        .env("SITE", site.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{} {half}: {said}", workload.name);
    let skipped = said.lines().find_map(|line| line.split_once("skipped: "));
    skipped.map(|(_, why)| format!("{} {half}: {why}", workload.name))
}

/// What the children of the other tests run; alone it has nothing to do.
#[test]
fn one_workload() {
    let [Ok(name), Ok(half), Ok(site)] = ["WORKLOAD", "HALF", "SITE"].map(std::env::var) else {
        return;
    };
    let workload = WORKLOADS.iter().find(|workload| workload.name == name).unwrap();
    let half = if half == "ring" { Half::Ring } else { Half::Plain };
    match measure(workload, half, Path::new(&site), Budget::smoke()) {
        Ok(sample) => {
            assert!(sample.ops > 0 && sample.ns_per_op > 0.0);
            assert_eq!(sample.served_by.is_some(), half == Half::Ring);
        }
        Err(Error::Unavailable(why)) => println!("skipped: {why}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn every_floor_runs() {
    let site = site();
    for workload in WORKLOADS {
        if let Some(why) = run(workload, Half::Plain, &site) {
            eprintln!("skipped: {why}");
        }
    }
}

#[test]
fn every_workload_runs_on_a_ring() {
    let site = site();
    for workload in WORKLOADS {
        if let Some(why) = run(workload, Half::Ring, &site) {
            eprintln!("skipped: {why}");
        }
    }
}

//! `ringfence bench` as a user sees it, with inputs too small to measure anything.

use std::path::Path;
use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.args(["bench", "--rounds=1", "--seconds=0", "--json"]).args(arguments);
    command.env_remove("LD_PRELOAD").output().unwrap()
}

/// Cargo builds no program of another package for tests, so it is asked to.
fn build_what_measures() {
    let directory = Path::new(env!("CARGO_BIN_EXE_ringfence")).parent().unwrap();
    let profile = match directory.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package=ringfence-bench", "--bin=ringfence-bench"]);
    cargo.args(["--profile", profile, "--target-dir"]).arg(directory.parent().unwrap());
    assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
}

#[test]
fn the_report_has_a_time_or_a_reason_for_every_mode() {
    build_what_measures();
    // A library that does nothing: the kernel serves what ringfence should, and that is noticed.
    let directory = tempfile::tempdir().unwrap();
    let library = directory.path().join("libringfence.so");
    let mut cc = Command::new("cc");
    let built = cc.args(["-shared", "-x", "c", "/dev/null", "-o"]).arg(&library);
    assert!(built.status().expect("the tests need a C compiler").success());
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.args(["bench", "--rounds=1", "--seconds=0", "--json", "--workload=nop32"]);
    let output = command.env_remove("LD_PRELOAD").env("RINGFENCE_LIBRARY", library).output();
    let Output { status, stdout, stderr } = output.unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{stderr}");
    let report: serde_json::Value = serde_json::from_slice(&stdout).unwrap();
    let times = &report["workloads"][0]["ns_per_op"];
    assert!(times["plain"]["median"].as_f64().unwrap() > 0.0);
    let kernel = &times["kernel"];
    assert!(kernel["median"].as_f64().is_some() || kernel["skipped"].is_string());
    assert!(times["ringfence"]["skipped"].is_string());
    assert!(stderr.contains("nop32, ringfence: skipped: "), "{stderr}");
}

#[test]
fn an_unknown_workload_names_the_known_ones() {
    let output = bench(&["--workload=naps"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("nop32, nop1, read"), "{stderr}");
}

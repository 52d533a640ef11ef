//! `ringfence doctor` in a refusal, and about programs.

use ringfence_refusal::{Answer, refuse_io_uring};
use serde_json::Value;
use std::process::{Command, Output};

/// The output of `ringfence doctor` where io_uring is answered with EPERM.
fn doctor_refused(arguments: &'static [&'static str]) -> Output {
    std::thread::spawn(move || {
        refuse_io_uring(Answer::Errno(libc::EPERM)).unwrap();
        Command::new(env!("CARGO_BIN_EXE_ringfence"))
            .arg("doctor")
            .args(arguments)
            // Any file will do: it is not loaded.
            .env("RINGFENCE_LIBRARY", "/proc/self/exe")
            .output()
            .unwrap()
    })
    .join()
    .unwrap()
}

#[test]
fn the_gate_and_its_remedy_are_named() {
    let output = doctor_refused(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("a seccomp filter answers io_uring_setup with EPERM"), "{text}");
    assert!(text.contains("seccomp profile"), "{text}");
    assert!(output.stderr.is_empty());
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn json_has_the_same_for_machines() {
    let output = doctor_refused(&["--json", "--", "sh", "-c", "exit 3"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["io_uring"]["granted"], false);
    assert_eq!(report["io_uring"]["gate"], "seccomp-errno");
    assert_eq!(report["facts"]["seccomp"], 2);
    assert_eq!(report["interception"]["patch"], true);
    assert_eq!(report["program"]["served"], true);
    assert_eq!(report["program"]["machine"], std::env::consts::ARCH);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn nothing_to_serve_with_is_a_one_and_no_such_program_a_127() {
    let output = doctor_refused(&["--", "no-such-command-anywhere"]);
    assert_eq!(output.status.code(), Some(127));
    assert!(output.stdout.is_empty());
    let status = std::thread::spawn(|| {
        refuse_io_uring(Answer::Errno(libc::EPERM)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command.arg("doctor").env("RINGFENCE_LIBRARY", "/no/such/library").output().unwrap().status
    });
    assert_eq!(status.join().unwrap().code(), Some(1));
}

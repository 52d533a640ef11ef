//! `ringfence report`: text and JSON, files and pipes, groups, and what cannot be read.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

/// Two failures of one bug, another one, and a line that is none.
const LOG: &str = "\
[    1.0] all is well
[    2.0] SYZFAIL: wrong 17
[    3.0] SYZFAIL: wrong 18
[    4.0] unregister_netdevice: waiting for lo to become free. Usage count = 2
";

fn ringfence_report(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.arg("report").args(arguments).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The output for a log on standard input.
fn of_pipe(arguments: &[&str], log: &str) -> Output {
    let mut child = ringfence_report(arguments).spawn().unwrap();
    child.stdin.take().unwrap().write_all(log.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn json_lists_every_failure_and_the_groups() {
    let output = of_pipe(&["--json", "--dedup"], LOG);
    assert_eq!(output.status.code(), Some(0));
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let titles: Vec<&str> =
        all["reports"].as_array().unwrap().iter().filter_map(|it| it["title"].as_str()).collect();
    let netdevice = "unregister_netdevice: waiting for DEV to become free";
    assert_eq!(titles, ["SYZFAIL: wrong NUM", "SYZFAIL: wrong NUM", netdevice]);
    let first = &all["reports"][0];
    for key in ["alt_titles", "type", "frame", "corrupted", "suppressed", "report"] {
        assert!(first.get(key).is_some(), "{key}");
    }
    assert_eq!((&first["type"], &first["line"]), (&"SYZ_FAILURE".into(), &2.into()));
    assert_eq!(all["groups"][0]["reports"], serde_json::json!([0, 1]));
    assert_eq!(all["groups"][1]["reports"], serde_json::json!([2]));
}

#[test]
fn a_log_without_failures_is_an_answer() {
    let output = of_pipe(&["--json"], "all is well\n");
    assert_eq!(output.status.code(), Some(0));
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all, serde_json::json!({ "reports": [] }));
    let output = of_pipe(&["-"], "all is well\n");
    assert_eq!((output.status.code(), output.stdout, output.stderr), (Some(0), vec![], vec![]));
}

#[test]
fn groups_as_text_count() {
    let output = of_pipe(&["--dedup"], LOG);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("2x SYZFAIL: wrong NUM\n    -:2\n    -:3\n1x unregister"), "{text}");
}

#[test]
fn several_logs_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let paths = ["one.log", "two.log"].map(|name| directory.path().join(name));
    paths.iter().for_each(|path| std::fs::write(path, LOG).unwrap());
    let names = paths.map(|path| path.display().to_string());
    let output = ringfence_report(&[&names[0], &names[1]]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for name in &names {
        assert!(text.contains(&format!("{name}:2: SYZFAIL: wrong NUM\ntype: SYZ_FAILURE\n")));
    }
}

#[test]
fn a_report_is_printed_when_it_is_complete_not_when_the_log_ends() {
    let mut child = ringfence_report(&[]).spawn().unwrap();
    let mut log = child.stdin.take().unwrap();
    log.write_all(LOG.repeat(20).as_bytes()).unwrap();
    log.flush().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "-:2: SYZFAIL: wrong NUM\n");
    // Only now the log ends. Nobody reads the rest, which is no failure of the reader's.
    drop(log);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn what_cannot_be_read_is_named() {
    let output = ringfence_report(&["/nonexistent/log"]).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("ringfence: cannot read /nonexistent/log: "), "{message}");
    assert!(output.stdout.is_empty());
}

//! `ringfence replay` as its users meet it: JSON, exit codes, the line that reproduces.

use std::process::{Command, Output};

fn replay(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringfence")).arg("replay").args(args).output().unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).expect("JSON and nothing else on standard output")
}

#[test]
fn json_has_what_is_asked_for_and_the_line_reproduces() {
    let output = replay(&["link-chain-race", "--runs", "2", "--seed", "7", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.stderr, b"");
    let value = json(&output);
    let one = &value["replays"][0];
    assert_eq!(one["name"], "link-chain-race");
    assert_eq!((&one["found"], &one["runs"]), (&2.into(), &2.into()));
    assert_eq!(one["mended_clean"], true);
    assert!(one["seconds"].as_f64().unwrap() > 0.0 && one["explored"].as_u64().unwrap() > 0);
    assert_eq!(one["title"], "BUG: KCSAN: data-race in historic_free / set_link_timeout");

    let line = one["reproduce"].as_str().unwrap();
    let args: Vec<&str> = line.strip_prefix("ringfence replay ").unwrap().split(' ').collect();
    let again = replay(&[&args[..], &["--json"]].concat());
    assert_eq!(again.status.code(), Some(0));
    let again = json(&again);
    assert_eq!(again["replays"][0]["found"], 1);
    assert_eq!(again["replays"][0]["title"], one["title"]);
    assert_eq!(again["replays"][0]["reproduce"], one["reproduce"]);
}

#[test]
fn a_report_is_printed_with_its_line() {
    let output = replay(&["context-revival", "--runs", "1"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "refcount_t: addition on 0",
        "asking",
        "found in 1 of 1 runs",
        "from seed 1",
        "as it is: clean in",
    ] {
        assert!(text.contains(part), "{part} not in {text}");
    }
    assert!(text.contains("again: ringfence replay context-revival --schedule "), "{text}");
}

#[test]
fn what_is_there_is_listed() {
    let text = String::from_utf8(replay(&[]).stdout).unwrap();
    assert_eq!(text.lines().count(), 5, "{text}");
}

/// A schedule under which the bug does not show is a search that found nothing: exit code 1.
#[test]
fn what_is_not_found_is_no_success() {
    let output = replay(&["context-revival", "--schedule", "steps:", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)["replays"][0]["found"], 0);
}

#[test]
fn bad_arguments_are_ours() {
    for args in [&["no-such-story"][..], &["--schedule", "nonsense"], &["--runs", "0"]] {
        let output = replay(args);
        assert_eq!(output.status.code(), Some(125), "{args:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.starts_with("ringfence: "), "{text}");
    }
}

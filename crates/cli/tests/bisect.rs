//! `ringfence bisect` as a user starts it: the forms of its result, interruption, bad input.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Fires in seven of ten runs where the bug is.
const TEST: &str = "grep -q . bug 2>/dev/null || exit 0
fate=$(echo \"$RINGFENCE_REVISION $RINGFENCE_RUN\" | cksum | cut -d' ' -f1)
[ $((fate % 10)) -lt 7 ] || exit 0
echo 'BUG: planted in here'; exit 1";

fn git(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(dir).args(["-c", "user.name=A U Thor", "-c", "user.email=a@example.org"]);
    // A run's fate hangs on the hash of its revision, so the hashes are the same every time.
    for date in ["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"] {
        command.env(date, "2001-09-17T00:00:00Z");
    }
    let output = command.args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Thirty commits and a merge of three; the bug comes in on the merged branch. Gives its hash.
fn repository(dir: &Path) -> String {
    git(dir, &["init", "-q", "-b", "main"]);
    let commit = |name: &str, text: &str| {
        std::fs::write(dir.join(name), text).unwrap();
        git(dir, &["add", "-A"]);
        git(
            dir,
            &["commit", "-q", "-m", &format!("{name} {text}"), "-m", "Acked-by: R <r@example.org>"],
        );
    };
    commit("n", "0");
    std::fs::write(dir.join("MAINTAINERS"), "BUGS\nM:\tB <b@example.org>\nF:\tbug\n").unwrap();
    (1..14).for_each(|at| commit("n", &at.to_string()));
    git(dir, &["tag", "v1", "main~13"]);
    git(dir, &["checkout", "-q", "-b", "side"]);
    commit("side", "1");
    commit("bug", "yes");
    let culprit = git(dir, &["rev-parse", "HEAD"]);
    commit("side", "2");
    git(dir, &["checkout", "-q", "main"]);
    commit("n", "14");
    git(dir, &["merge", "-q", "--no-ff", "-m", "merge side", "side"]);
    (15..30).for_each(|at| commit("n", &at.to_string()));
    culprit
}

fn bisect(repo: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.args(["bisect", "--build", "true", "--repo"]).arg(repo).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the user's checkout looks like.
fn checkout(repo: &Path) -> String {
    git(repo, &["rev-parse", "HEAD"]) + &git(repo, &["status", "--porcelain=v2", "--branch"])
}

#[test]
fn names_the_culprit_in_every_form_and_leaves_a_dirty_checkout_alone() {
    let dir = tempfile::tempdir().unwrap();
    let culprit = repository(dir.path());
    std::fs::write(dir.path().join("n"), "being edited").unwrap();
    let before = checkout(dir.path());
    let out = tempfile::tempdir().unwrap();
    let path = |name: &str| out.path().join(name).to_string_lossy().into_owned();
    let (log, svg, export) = (path("log"), path("svg"), path("json"));
    let output = bisect(dir.path(), &["--bad", "main", "--good", "v1", "--test", TEST, "--json"])
        .args(["--log", &log, "--svg", &svg, "--export-json", &export, "--jobs", "2"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "noise where stderr is no terminal");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["culprit"], culprit.as_str());
    assert!((0.99..=1.0).contains(&said["confidence"].as_f64().unwrap()));
    assert_eq!(said["suspects"][0]["hash"], culprit.as_str());
    assert!(said["suspects"][0]["probability"].as_f64().unwrap() > 0.98);
    for revision in said["revisions"].as_array().unwrap() {
        assert!(["good", "bad", "skip"].contains(&revision["verdict"].as_str().unwrap()));
        assert!(revision["hash"].as_str().unwrap().len() == 40 && revision["runs"].is_u64());
    }
    let to: Vec<&str> =
        said["recipients"]["to"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(to, ["a@example.org", "r@example.org", "b@example.org"]);
    assert_eq!(std::fs::read(&export).unwrap(), output.stdout);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.starts_with("bisecting cause commit starting from "), "{log}");
    for line in [
        format!("{culprit} is the first bad commit"),
        format!("first bad commit: {culprit} bug yes"),
        "recipients (to): [".to_owned(),
        format!(
            "culprit signature: {}",
            git(dir.path(), &["rev-parse", &format!("{culprit}^{{tree}}")])
        ),
    ] {
        assert!(log.contains(&line), "`{line}` is missing in\n{log}");
    }
    let a_run =
        |line: &str| line.starts_with("run #") && line.ends_with(": crashed: BUG: planted in here");
    assert!(log.lines().any(a_run), "no run that crashed in\n{log}");
    assert!(std::fs::read_to_string(svg).unwrap().starts_with("<svg "));
    assert_eq!(checkout(dir.path()), before);
    assert_eq!(git(dir.path(), &["worktree", "list"]).lines().count(), 1, "a work tree stayed");
}

/// The lines of a journal that tell of runs and builds.
fn journal(state: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(state.join("journal")).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until the journal holds so many more events than before, or the search ended.
fn wait_for(state: &Path, events: usize, child: &mut std::process::Child) -> bool {
    let start = Instant::now();
    while journal(state).len() < events {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no progress");
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

#[test]
fn killed_or_interrupted_it_goes_on_with_nothing_lost_or_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let culprit = repository(dir.path());
    let state = tempfile::tempdir().unwrap();
    let state_name = state.path().to_string_lossy().into_owned();
    let arguments =
        ["--bad", "main", "--good", "v1", "--test", TEST, "--json", "--state", &state_name];
    for (sitting, signal) in [Signal::KILL, Signal::INT, Signal::KILL].into_iter().enumerate() {
        let before = journal(state.path());
        let mut child = bisect(dir.path(), &arguments).spawn().unwrap();
        assert!(wait_for(state.path(), before.len() + 9, &mut child), "ended in sitting {sitting}");
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        if signal == Signal::INT {
            assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
            assert!(text(&output.stderr).contains("same command"), "{}", text(&output.stderr));
        }
        assert_eq!(journal(state.path())[..before.len()], before, "what was known is kept");
    }
    let output = bisect(dir.path(), &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["culprit"], culprit.as_str());
    let all = journal(state.path());
    let ran = all.iter().filter(|event| event["event"] == "ran").count() as u64;
    let told: u64 =
        said["revisions"].as_array().unwrap().iter().filter_map(|it| it["runs"].as_u64()).sum();
    assert_eq!(told, ran, "every run on record counts once");
    // Started again after its end, it says the same and runs nothing.
    let again = bisect(dir.path(), &arguments).output().unwrap();
    assert_eq!(again.stdout, output.stdout);
    assert_eq!(journal(state.path()), all);
}

#[test]
fn bad_input_gets_one_clear_line_and_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    repository(dir.path());
    let before = checkout(dir.path());
    let nowhere = tempfile::tempdir().unwrap();
    let said = |repo: &Path, arguments: &[&str]| {
        let output: Output = bisect(repo, arguments).output().unwrap();
        (output.status.code(), text(&output.stderr) + &text(&output.stdout))
    };
    let cases: [(&[&str], i32, &str); 7] = [
        (&["--bad", "nowhere", "--good", "v1", "--test", "true"], 125, "`nowhere` names no commit"),
        (&["--bad", "v1", "--good", "main", "--test", "true"], 125, "no ancestor of bad"),
        (&["--bad", "main", "--good", "main", "--test", "true"], 125, "same commit"),
        (&["--bad", "main", "--good", "v1", "--test", "exit 127"], 125, "not found (exit 127)"),
        (&["--bad", "main", "--good", "v1", "--test", "kill -9 $$"], 125, "ended with 137"),
        (&["--bad", "main", "--good", "v1", "--test", "true"], 1, "the failing end never failed"),
        (&["--bad", "main", "--good", "v1", "--test", "exit 1"], 1, "the sound end fails too"),
    ];
    let mut codes = HashSet::new();
    for (at, (arguments, code, words)) in cases.into_iter().enumerate() {
        let state = dir.path().join(format!(".git/state-{at}")).to_string_lossy().into_owned();
        let all: Vec<&str> = arguments.iter().copied().chain(["--state", &state]).collect();
        let (ended, text) = said(dir.path(), &all);
        assert!(text.contains(words), "{arguments:?}: {text}");
        assert_eq!(ended, Some(code), "{arguments:?}: {text}");
        codes.insert(ended);
    }
    assert_eq!(codes.len(), 2);
    let (_, text) = said(nowhere.path(), &["--bad", "HEAD", "--good", "v1", "--test", "true"]);
    assert!(text.starts_with("ringfence: "), "{text}");
    assert_eq!(checkout(dir.path()), before);
}

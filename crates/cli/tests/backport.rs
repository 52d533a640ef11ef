//! `ringfence backport` as its users meet it: JSON, exit codes, errors, interruption.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn git(dir: &Path, args: &[&str]) {
    let status = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "git {args:?}");
}

/// A repository whose last commit is a fix that `stable/1` takes as it is.
fn repository() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("run.c");
    git(dir.path(), &["init", "-q", "-b", "main"]);
    std::fs::write(&file, "int run_all(int count)\n{\n\treturn step(count);\n}\n").unwrap();
    git(dir.path(), &["add", "."]);
    git(dir.path(), &["commit", "-q", "-m", "Start"]);
    git(dir.path(), &["branch", "stable/1"]);
    std::fs::write(&file, "int run_all(int count)\n{\n\treturn step(count - 1);\n}\n").unwrap();
    git(dir.path(), &["commit", "-q", "-a", "-m", "run: stop in time"]);
    dir
}

fn backport(repo: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command
        .arg("backport")
        .args(args)
        .arg("--repo")
        .arg(repo)
        .arg("--cache")
        .arg(repo.join(".git/cache"));
    command
}

fn text(output: &Output) -> (String, String) {
    let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (of(&output.stdout), of(&output.stderr))
}

#[test]
fn json_names_each_branch_its_verdict_and_its_evidence() {
    let repo = repository();
    let output =
        backport(repo.path(), &["HEAD", "--branches", "stable/*", "--json"]).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let branch = &json["branches"][0];
    assert_eq!((&branch["branch"], &branch["verdict"]), (&"stable/1".into(), &"take".into()));
    let evidence = branch["evidence"].as_array().unwrap();
    assert!(evidence.iter().all(|item| item["command"].is_string() && item["output"].is_string()));
    assert!(!evidence.is_empty());
}

#[test]
fn a_written_report_verifies() {
    let repo = repository();
    let out = tempfile::tempdir().unwrap();
    let dir = out.path().to_str().unwrap();
    let output =
        backport(repo.path(), &["HEAD", "--branches", "stable/*", "--out", dir]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{:?}", text(&output));
    for name in ["report.txt", "report.json"] {
        let report = out.path().join(name);
        let output =
            backport(repo.path(), &["--verify", report.to_str().unwrap()]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{:?}", text(&output));
    }
}

#[test]
fn bad_input_is_named_with_the_code_of_our_own_failures() {
    let repo = repository();
    for (args, says) in [
        (&["nothing-like-it", "--branches", "stable/*"][..], "`nothing-like-it` names no commit"),
        (&["HEAD", "--branches", "none/*"], "`none/*` names no branch; there are stable/1, main"),
        (&["HEAD"], "--branches"),
    ] {
        let output = backport(repo.path(), args).output().unwrap();
        let (stdout, stderr) = text(&output);
        assert_eq!((output.status.code(), stdout.as_str()), (Some(125), ""), "{stderr}");
        assert!(stderr.starts_with("ringfence: ") && stderr.contains(says), "{stderr}");
    }
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let repo = repository();
    let temp = tempfile::tempdir().unwrap();
    let mark = temp.path().join("building");
    let build = format!("touch {}; sleep 600", mark.display());
    let mut child = backport(repo.path(), &["HEAD", "--branches", "stable/*", "--build", &build])
        .env("TMPDIR", temp.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !mark.exists() {
        assert!(start.elapsed() < Duration::from_secs(120), "the build never starts");
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    std::fs::remove_file(&mark).unwrap();
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
}

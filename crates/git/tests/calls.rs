//! Every call against a small real repository.

use ringfence_git::{Error, Oid, Repo, Worktree};
use std::path::Path;
use std::process::Command;

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(["-c", "user.name=A U", "-c", "user.email=a@example.org"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn commit(dir: &Path, file: &str, text: &str, message: &str) -> Oid {
    std::fs::write(dir.join(file), text).unwrap();
    git(dir, &["add", "."]);
    git(dir, &["commit", "-q", "-m", message]);
    git(dir, &["rev-parse", "HEAD"]).trim().parse().unwrap()
}

/// main: one - two - merge(side) - three; side: one - left.
fn sample() -> (tempfile::TempDir, Repo, [Oid; 4]) {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "-b", "main"]);
    let one = commit(dir.path(), "a", "1\n2\n3\n", "one");
    git(dir.path(), &["tag", "v1"]);
    git(dir.path(), &["checkout", "-q", "-b", "side"]);
    let left = commit(
        dir.path(),
        "b",
        "x\n",
        "left: side\n\nWhy.\n\nFixes: abc (\"x\")\nsigned-off-by: B <b@c>",
    );
    git(dir.path(), &["checkout", "-q", "main"]);
    let two = commit(dir.path(), "a", "1\n2\nthree\n", "two");
    git(dir.path(), &["merge", "-q", "--no-ff", "-m", "join", "side"]);
    let three = commit(dir.path(), "a", "1\n2\n3\n4\n", "three");
    let repo = Repo::open(dir.path()).unwrap();
    (dir, repo, [one, left, two, three])
}

#[test]
fn reads_commits_and_trailers() {
    let (_dir, repo, [one, left, ..]) = sample();
    let found = repo.commit(left).unwrap();
    assert_eq!((found.subject.as_str(), found.parents.as_slice()), ("left: side", &[one][..]));
    assert_eq!(found.author.email, "a@example.org");
    assert_eq!(found.trailer("Signed-off-by").collect::<Vec<_>>(), ["B <b@c>"]);
    assert_eq!(found.trailer("Fixes").collect::<Vec<_>>(), ["abc (\"x\")"]);
    let all = repo.log(["HEAD"]).unwrap();
    assert_eq!(all.len(), 5);
    assert!(repo.show_stat(left).unwrap().contains("1 file changed"));
    assert_eq!(repo.file(left, "b").unwrap().as_deref(), Some(&b"x\n"[..]));
    assert_eq!(repo.file(one, "b").unwrap(), None);
}

#[test]
fn reads_history() {
    let (_dir, repo, [one, left, two, three]) = sample();
    let dag = repo.dag(&[three], &[one]).unwrap();
    assert_eq!(dag.len(), 4);
    assert_eq!(dag.last().map(|node| node.id), Some(three));
    assert_eq!(dag.iter().filter(|node| node.parents.len() == 2).count(), 1);
    assert_eq!(repo.merge_bases(left, two).unwrap(), [one]);
    assert!(repo.is_ancestor(left, three).unwrap() && !repo.is_ancestor(left, two).unwrap());
    assert_eq!(repo.tags("v*", three).unwrap()[0].name, "v1");
    assert_eq!(repo.describe(one).unwrap().as_deref(), Some("v1"));
}

#[test]
fn merges_trees_and_names_conflicts() {
    let (_dir, repo, [one, left, two, three]) = sample();
    let clean = repo.merge_tree(one, two, left).unwrap();
    assert!(clean.conflicts.is_empty());
    let clash = repo.merge_tree(one, two, three).unwrap();
    assert_eq!(clash.conflicts.len(), 1);
    assert_eq!(clash.conflicts[0].path, "a");
    assert!(clash.messages.iter().any(|m| m.contains("CONFLICT")), "{:?}", clash.messages);
    assert!(repo.patch_id(left).unwrap().is_some());
    assert_ne!(repo.patch_id(left).unwrap(), repo.patch_id(two).unwrap());
}

#[test]
fn work_trees_leave_the_checkout_alone() {
    let (dir, repo, [one, left, ..]) = sample();
    std::fs::write(dir.path().join("a"), "dirty").unwrap();
    let before = git(dir.path(), &["status", "--porcelain", "--branch"]);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("tree");
    let tree = Worktree::add(&repo, &path, one).unwrap();
    assert!(!tree.path().join("b").exists());
    tree.checkout(left).unwrap();
    assert!(tree.path().join("b").exists());
    std::fs::write(tree.path().join("left-over"), "").unwrap();
    tree.clean().unwrap();
    assert!(!tree.path().join("left-over").exists());
    let again = Worktree::open_or_add(&repo, &path, one).unwrap();
    again.remove().unwrap();
    assert!(!path.exists());
    assert_eq!(git(dir.path(), &["status", "--porcelain", "--branch"]), before);
}

#[test]
fn errors_name_the_command_and_what_git_said() {
    let (dir, repo, _) = sample();
    assert!(matches!(repo.rev_parse("no-such"), Err(Error::NoCommit { .. })));
    assert!(matches!(repo.rev_parse("--help"), Err(Error::NoCommit { .. })));
    let error = repo.run(["log", "no-such"]).unwrap_err().to_string();
    assert!(error.contains("log no-such") && error.contains("unknown revision"), "{error}");
    let nowhere = tempfile::tempdir().unwrap();
    assert!(Repo::open(nowhere.path()).unwrap_err().to_string().contains("not a git repository"));
    drop(dir);
}

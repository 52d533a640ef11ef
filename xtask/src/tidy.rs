//! `cargo xtask tidy`: rules of the tree that no compiler checks.
//!
//! Every source file opens with a `//!` head, none grows much above 600 lines, `unsafe` code is
//! allowed in listed files only, no test is skipped, and every fault that `mutate` plants still has
//! its place.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// A file may not be longer than this many lines.
const LINES_MAX: usize = 650;

/// Every file that may hold `unsafe`, one path a line, each with its reason.
const UNSAFE_LIST: &str = "xtask/unsafe-files.txt";

/// Checks all files that git knows and prints each breach.
pub(crate) fn run() -> Result<()> {
    let list = std::fs::read_to_string(UNSAFE_LIST).context(UNSAFE_LIST)?;
    let allowed: Vec<&str> =
        list.lines().filter(|line| !line.starts_with('#')).filter_map(first_word).collect();
    let mut breaches = Vec::new();
    for path in tracked_sources()? {
        if Path::new(&path).exists() {
            let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
            check(&path, &text, &allowed, &mut breaches);
        }
    }
    for path in &allowed {
        if !Path::new(path).exists() {
            breaches.push(format!("{UNSAFE_LIST}: names {path}, which does not exist"));
        }
    }
    breaches.extend(crate::mutate::check()?);
    for breach in &breaches {
        eprintln!("tidy: {breach}");
    }
    if !breaches.is_empty() {
        bail!("{} breaches of the tree's rules", breaches.len());
    }
    Ok(())
}

fn first_word(line: &str) -> Option<&str> {
    line.split_whitespace().next()
}

fn tracked_sources() -> Result<Vec<String>> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"];
    let output = Command::new("git").args(args).output().context("git ls-files")?;
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

fn check(path: &str, text: &str, allowed_unsafe: &[&str], breaches: &mut Vec<String>) {
    if !text.starts_with("//!") {
        breaches.push(format!("{path}: must open with a //! line that says what the file is"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        breaches.push(format!("{path}: {lines} lines, {LINES_MAX} at most; split it"));
    }
    let opts_in = text.contains(concat!("unsafe", "_code, reason"));
    if opts_in != allowed_unsafe.contains(&path) {
        breaches.push(format!("{path}: unsafe code and {UNSAFE_LIST} must agree"));
    }
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with(concat!("#[", "ignore")) {
            breaches.push(format!("{path}:{}: a test that never runs", number + 1));
        }
    }
}

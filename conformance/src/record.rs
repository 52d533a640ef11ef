//! Tables too long to write by hand: recorded on the kernel, demanded of everyone.
//!
//! A program yields lines, each of which begins with a name and a colon. On the kernel that the
//! table was recorded on they must equal `recorded/NAME.txt`, which proves the record; the engine
//! must yield the same, but for the lines in `recorded/NAME.engine.txt`, which are what it does
//! not do as the kernel does: the list of what is left to do. A change in either direction fails.
//! With `RINGFENCE_RECORD=1` a run writes the file of its target anew.

use crate::{Outcome, Skip, Target, target};
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("recorded").join(format!("{name}.txt"))
}

fn read(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(path(name)).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn write(name: &str, head: &str, lines: &[String]) {
    if std::env::var_os("RINGFENCE_RECORD").is_none() {
        return;
    }
    if lines.is_empty() {
        let _ = std::fs::remove_file(path(name));
        return;
    }
    let text = format!("# {head}\n{}\n", lines.join("\n"));
    std::fs::write(path(name), text).expect("write the record");
}

/// Compares the lines that `target` yields with the record `name`.
///
/// # Errors
/// [`Skip`] on a kernel other than the record's.
pub fn check(target: &dyn Target, name: &str, lines: &[String]) -> Outcome {
    let (major, minor) = target::KERNEL_RELEASE;
    if target.is_kernel() {
        if !target::is_current_kernel() {
            return Err(Skip(format!("recorded on Linux {major}.{minor}, this kernel is older")));
        }
        write(name, &format!("Recorded on Linux {major}.{minor}; see src/record.rs."), lines);
        demand(name, &read(name), lines);
        return Ok(());
    }
    let differing: Vec<String> =
        difference(&read(name), lines).into_iter().map(|(_, now)| now).collect();
    let list = format!("{name}.engine");
    write(&list, "What differs from the kernel's record; see src/record.rs.", &differing);
    demand(&list, &read(&list), &differing);
    Ok(())
}

/// Panics with the differences if there are any.
fn demand(name: &str, recorded: &[String], now: &[String]) {
    let differences = difference(recorded, now);
    let shown: Vec<String> = differences
        .iter()
        .take(40)
        .map(|(recorded, now)| format!("  {recorded}  |  {now}"))
        .collect();
    let count = differences.len();
    assert!(count == 0, "{count} lines differ from recorded/{name}.txt:\n{}", shown.join("\n"));
}

/// Lines that differ, recorded and now.
fn difference(recorded: &[String], now: &[String]) -> Vec<(String, String)> {
    let line =
        |lines: &[String], i: usize| lines.get(i).cloned().unwrap_or_else(|| "(none)".to_owned());
    (0..recorded.len().max(now.len()))
        .map(|i| (line(recorded, i), line(now, i)))
        .filter(|(recorded, now)| recorded != now)
        .collect()
}

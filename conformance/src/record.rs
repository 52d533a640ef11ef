//! Tables too long to write by hand: recorded on the kernel, demanded of everyone.
//!
//! A program yields lines. On the kernel that the table was recorded on they must equal
//! `recorded/NAME.txt`, which proves the record; every other target must yield the same. With
//! `RINGFENCE_RECORD=1` the kernel's run writes the file anew.

use crate::{Outcome, Skip, Target, target};
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("recorded").join(format!("{name}.txt"))
}

/// Compares the lines that `target` yields with the record `name`.
///
/// # Errors
/// [`Skip`] on a kernel other than the record's.
pub fn check(target: &dyn Target, name: &str, lines: &[String]) -> Outcome {
    let (major, minor) = target::KERNEL_RELEASE;
    let mut text = format!("# Recorded on Linux {major}.{minor}; see conformance/src/record.rs.\n");
    lines.iter().for_each(|line| text.extend([line.as_str(), "\n"]));
    if target.is_kernel() {
        if !target::is_current_kernel() {
            return Err(Skip(format!("recorded on Linux {major}.{minor}, this kernel is older")));
        }
        if std::env::var_os("RINGFENCE_RECORD").is_some() {
            std::fs::write(path(name), &text).expect("write the record");
        }
    }
    let recorded = std::fs::read_to_string(path(name)).expect("the record");
    let differences: Vec<String> = difference(&recorded, &text);
    let count = differences.len();
    let shown: Vec<String> = differences.into_iter().take(40).collect();
    assert_eq!(count, 0, "{count} lines differ from recorded/{name}.txt:\n{}", shown.join("\n"));
    Ok(())
}

/// Lines that differ, as `recorded | now`.
fn difference(recorded: &str, now: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (recorded.lines().collect(), now.lines().collect());
    (0..old.len().max(new.len()))
        .map(|i| (old.get(i).unwrap_or(&"(none)"), new.get(i).unwrap_or(&"(none)")))
        .filter(|(old, new)| old != new)
        .map(|(old, new)| format!("  {old}  |  {new}"))
        .collect()
}

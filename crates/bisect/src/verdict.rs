//! What one run of the test says.

use crate::shell::Exit;
use serde::{Deserialize, Serialize};

/// The verdict of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing happened.
    Ok,
    /// It failed, with this title.
    Crashed(String),
    /// The revision did not come up, so the bug had no chance.
    BootFailed(Option<String>),
    /// It came up but could not do the simplest things.
    BasicFailed(Option<String>),
    /// The test could not tell.
    Unknown,
}

/// An exit that must stop the search: the test itself is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) String);

/// What an output that names no known failure is called.
pub const UNTITLED_FAILURE: &str = "test failed";

/// Reads a run: its exit as `git bisect run` does, its title from the output.
pub(crate) fn read(
    exit: Exit,
    output: &str,
    time_out_is_lost: bool,
    title: &dyn Fn(&str) -> Option<String>,
) -> Result<Verdict, Broken> {
    let code = match exit {
        Exit::TimedOut if time_out_is_lost => {
            return Ok(Verdict::BasicFailed(Some("timed out".to_owned())));
        }
        Exit::TimedOut => {
            return Ok(Verdict::Crashed(title(output).unwrap_or_else(|| "timed out".to_owned())));
        }
        Exit::Stopped => return Err(Broken("stopped".to_owned())),
        Exit::Code(code) => code,
    };
    if let Some(lost) = marked(output) {
        return Ok(lost);
    }
    match code {
        0 => Ok(Verdict::Ok),
        125 => Ok(Verdict::Unknown),
        1..=124 => {
            Ok(Verdict::Crashed(title(output).unwrap_or_else(|| UNTITLED_FAILURE.to_owned())))
        }
        126 => Err(Broken("the test command cannot be executed (exit 126)".to_owned())),
        127 => Err(Broken("the test command was not found (exit 127)".to_owned())),
        code => Err(Broken(format!(
            "the test command ended with {code}; 128 and more mean that the test itself is broken"
        ))),
    }
}

/// A title from the first line that looks like the head of a failure's report.
#[must_use]
pub fn plain_title(output: &str) -> Option<String> {
    const HEADS: [&str; 6] =
        ["BUG: ", "WARNING: ", "kernel BUG ", "ERROR: ", "Kernel panic", "panicked at "];
    let head = |line: &str| HEADS.iter().filter_map(|head| line.find(head)).min();
    output.lines().find_map(|line| Some(line[head(line)?..].trim().to_owned()))
}

/// The failure that a last line `verdict: ...` marks as not the bug.
fn marked(output: &str) -> Option<Verdict> {
    let last = output.lines().rev().find(|line| !line.trim().is_empty())?;
    let said = last.trim().strip_prefix("verdict: ")?;
    let title = |rest: &str| {
        let rest = rest.strip_prefix(':').map_or("", str::trim);
        (!rest.is_empty()).then(|| rest.to_owned())
    };
    if let Some(rest) = said.strip_prefix("boot failed") {
        return Some(Verdict::BootFailed(title(rest)));
    }
    said.strip_prefix("basic testing failed").map(|rest| Verdict::BasicFailed(title(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32, output: &str) -> Result<Verdict, Broken> {
        read(Exit::Code(code), output, false, &|text| text.lines().next().map(str::to_owned))
    }

    #[test]
    fn exits_follow_git_bisect_run() {
        assert_eq!(of(0, "x"), Ok(Verdict::Ok));
        assert_eq!(of(125, "x"), Ok(Verdict::Unknown));
        assert_eq!(of(1, "BUG: y"), Ok(Verdict::Crashed("BUG: y".to_owned())));
        assert_eq!(of(124, ""), Ok(Verdict::Crashed(UNTITLED_FAILURE.to_owned())));
        for code in [126, 127, 128, 137] {
            assert!(of(code, "x").is_err(), "{code}");
        }
    }

    #[test]
    fn a_last_line_marks_failures_that_are_not_the_bug() {
        let boot = Verdict::BootFailed(Some("WARNING in kvm_wait".to_owned()));
        assert_eq!(of(1, "x\nverdict: boot failed: WARNING in kvm_wait\n\n"), Ok(boot));
        assert_eq!(of(1, "verdict: boot failed"), Ok(Verdict::BootFailed(None)));
        assert_eq!(of(1, "verdict: basic testing failed"), Ok(Verdict::BasicFailed(None)));
    }

    #[test]
    fn a_time_out_is_the_bug_unless_told_otherwise() {
        let none = |_: &str| None;
        let crashed = Verdict::Crashed("timed out".to_owned());
        assert_eq!(read(Exit::TimedOut, "", false, &none), Ok(crashed));
        let lost = Verdict::BasicFailed(Some("timed out".to_owned()));
        assert_eq!(read(Exit::TimedOut, "", true, &none), Ok(lost));
    }
}

//! Running a report's commands again.

use super::build::run_in_tree;
use super::record::digest;
use super::scratch::{Scratch, ScratchError};
use crate::facts::Evidence;
use ringfence_git::{Error, Oid, Repo};

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The evidence's number.
    pub id: usize,
    /// The command line.
    pub command: String,
    /// How the answer differs from the report's; `None` when it is the same.
    pub differs: Option<String>,
}

/// Why a report cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Git failed.
    #[error(transparent)]
    Git(#[from] Error),
    /// There is no place to work in.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The file is no report.
    #[error("this is no report of `ringfence backport`: {0}")]
    Format(String),
}

/// Reads the evidence of a report, from its JSON or its text.
///
/// # Errors
///
/// [`VerifyError::Format`] when it is neither.
pub fn read(report: &str) -> Result<Vec<Evidence>, VerifyError> {
    let wrong = |what: String| VerifyError::Format(what);
    if report.trim_start().starts_with('{') {
        let mut value: serde_json::Value =
            serde_json::from_str(report).map_err(|error| wrong(error.to_string()))?;
        return serde_json::from_value(value["evidence"].take())
            .map_err(|error| wrong(error.to_string()));
    }
    let section = report.split_once("\n## Verification\n");
    let (_, section) =
        section.ok_or_else(|| wrong("it has no section \"Verification\"".to_owned()))?;
    let mut found: Vec<Evidence> = Vec::new();
    for line in section.lines() {
        if let Some(input) = line.strip_prefix("    |") {
            if let Some(last) = found.last_mut() {
                let text = last.input.get_or_insert_default();
                text.push_str(input);
                text.push('\n');
            }
        } else if line == "    \\ no line break" {
            if let Some(text) = found.last_mut().and_then(|last| last.input.as_mut()) {
                text.pop();
            }
        } else if line.starts_with("[E") {
            found.push(read_line(line).ok_or_else(|| wrong(format!("`{line}`")))?);
        }
    }
    if found.is_empty() { Err(wrong("it lists no command".to_owned())) } else { Ok(found) }
}

/// Reads `[E3] 0 SHA256 git …` or `[E4] 0 SHA256 tree T sh -c …`.
fn read_line(line: &str) -> Option<Evidence> {
    let (number, rest) = line.strip_prefix("[E")?.split_once("] ")?;
    let (status, rest) = rest.split_once(' ')?;
    let (sha256, rest) = rest.split_once(' ')?;
    let (tree, rest) = match rest.strip_prefix("tree ").and_then(|rest| rest.split_once(' ')) {
        Some((tree, rest)) => (Some(tree.to_owned()), rest),
        None => (None, rest.strip_prefix("git ")?),
    };
    Some(Evidence {
        id: number.parse().ok()?,
        argv: words(&rest.replace('\u{2028}', "\n"))?,
        input: None,
        tree,
        status: status.parse().ok()?,
        sha256: sha256.to_owned(),
        output: String::new(),
    })
}

/// Splits a command line at blanks, as a shell does with words and single quotes.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut found, mut word, mut open) = (Vec::new(), None::<String>, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                open = !open;
                word.get_or_insert_default();
            }
            '\\' if !open => word.get_or_insert_default().push(chars.next()?),
            ' ' if !open => found.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    found.extend(word.take());
    (!open).then_some(found)
}

/// Runs every command again, in a scratch repository, and compares status and output; of a build
/// or a test the status alone, for its output tells the time. A shell command runs only if `shell`
/// names it: a report comes from elsewhere, and what it says is not to be run unasked.
///
/// # Errors
///
/// When git cannot be started at all.
pub fn verify(
    user: &Repo,
    evidence: &[Evidence],
    shell: &[&str],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Outcome>, VerifyError> {
    let scratch = Scratch::new(user)?;
    let mut outcomes = Vec::new();
    // A tree may be built before the patch that leads to it was written down.
    let (shells, gits): (Vec<_>, Vec<_>) = evidence.iter().partition(|item| item.tree.is_some());
    let mut late = Vec::new();
    for (at, item) in gits.into_iter().chain(shells).enumerate() {
        progress(at, evidence.len());
        match again(&scratch, item, shell)? {
            // It may ask for a tree that a later command makes.
            Some(_) if !changes_something(item) => late.push(item),
            differs => outcomes.push(Outcome { id: item.id, command: item.line(), differs }),
        }
    }
    for item in late {
        let differs = again(&scratch, item, shell)?;
        outcomes.push(Outcome { id: item.id, command: item.line(), differs });
    }
    Ok(outcomes)
}

fn again(scratch: &Scratch, item: &Evidence, shell: &[&str]) -> Result<Option<String>, Error> {
    let (status, output) = match (&item.tree, &item.argv[..]) {
        (Some(_), [_, _, command]) if !shell.contains(&command.as_str()) => {
            return Ok(Some("not run: name this command with --build or --test".to_owned()));
        }
        (Some(tree), [sh, flag, command]) if sh == "sh" && flag == "-c" => {
            let Ok(tree) = tree.parse::<Oid>() else {
                return Ok(Some("its tree has no name".into()));
            };
            match run_in_tree(scratch, tree, command) {
                Ok((status, _)) => (status, None),
                Err(error) => return Ok(Some(error.to_string())),
            }
        }
        (None, argv) if is_harmless(argv) => {
            let input = item.input.as_deref().unwrap_or_default();
            let output = scratch.repo().call(argv, input.as_bytes())?;
            (output.code.unwrap_or(128), Some(output.stdout))
        }
        _ => return Ok(Some("not a command that a report may hold; it was not run".to_owned())),
    };
    if status != item.status {
        return Ok(Some(format!("status {status} instead of {}", item.status)));
    }
    let other = output.is_some_and(|output| digest(&output) != item.sha256);
    Ok(other.then(|| "another output".to_owned()))
}

/// The git commands that reports hold. A report comes from elsewhere: it must not be able to make
/// git run anything, nor to write outside of the scratch repository.
const COMMANDS: &[&str] = &[
    "apply",
    "blame",
    "cat-file",
    "describe",
    "diff-tree",
    "grep",
    "hash-object",
    "log",
    "ls-tree",
    "merge-base",
    "merge-tree",
    "patch-id",
    "range-diff",
    "read-tree",
    "rev-list",
    "rev-parse",
    "update-index",
    "write-tree",
];

/// Whether a command depends on those before it or takes long: it runs once, in its place.
fn changes_something(item: &Evidence) -> bool {
    let first = item.argv.first().map_or("", String::as_str);
    item.tree.is_some() || ["apply", "read-tree", "update-index", "write-tree"].contains(&first)
}

fn is_harmless(argv: &[String]) -> bool {
    let known = argv.first().is_some_and(|command| COMMANDS.contains(&command.as_str()));
    let writes = |word: &String| {
        [
            "--output",
            "--open-files-in-pager",
            "-O",
            "--ext-diff",
            "--textconv",
            "--no-index",
            "--directory",
            "--unsafe-paths",
        ]
        .iter()
        .any(|option| word.starts_with(option))
    };
    let applies = argv.first().is_none_or(|command| command != "apply")
        || argv.iter().any(|word| word == "--cached");
    let updates = argv.first().is_none_or(|command| command != "update-index")
        || argv.len() == 2 && argv[1] == "--index-info";
    known && applies && updates && !argv.iter().any(writes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_come_back_as_they_were_written() {
        let item = Evidence {
            id: 7,
            argv: ["log", "--format=%H%x01%s", "it's", "", "a b"].map(str::to_owned).to_vec(),
            input: None,
            tree: None,
            status: 0,
            sha256: "00".into(),
            output: String::new(),
        };
        let line = format!("[E7] 0 00 {}", item.line());
        assert_eq!(read_line(&line), Some(item));
    }

    #[test]
    fn a_report_cannot_make_git_run_or_write_anything() {
        let harmless = |line: &str| is_harmless(&words(line).unwrap());
        assert!(harmless("log -1 HEAD") && harmless("apply --cached -"));
        for line in
            ["apply -", "grep -Osh x", "diff-tree --output=/x a b", "push x", "log --ext-diff", ""]
        {
            assert!(!harmless(line), "{line}");
        }
    }
}

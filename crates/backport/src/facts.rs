//! What is known about a fix and a branch, and by which command.
//!
//! Nothing here is worked out: these are the findings that [`crate::verdict`] judges and
//! [`crate::report`] prints.

use crate::danger::Danger;
use crate::presence::{Presence, Seen};
use crate::settled::Settled;
use crate::tags::Tag;
use crate::there::Copy;
use serde::{Deserialize, Serialize};

/// A command that was run and what it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its number, from 1; statements name it.
    pub id: usize,
    /// The arguments of `git`, or for a build or test `sh`, `-c` and the command.
    pub argv: Vec<String>,
    /// What stood on its standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// For a build or test, the tree it ran in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// The exit status; 128 and more for a signal.
    pub status: i32,
    /// SHA-256 of the whole output.
    pub sha256: String,
    /// The output, cut to [`OUTPUT_KEPT`] bytes.
    pub output: String,
}

/// Bytes of a command's output that are kept in a report.
pub const OUTPUT_KEPT: usize = 4096;

impl Evidence {
    /// The command line as a shell takes it.
    #[must_use]
    pub fn line(&self) -> String {
        let program = if self.tree.is_some() { None } else { Some("git".to_owned()) };
        program
            .into_iter()
            .chain(self.argv.iter().map(|word| quote(word)))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// A word in the form a shell takes it.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,^~@%+{}".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// A sentence and the evidence that shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Statement {
    /// The sentence.
    pub text: String,
    /// The numbers of its evidence. A statement without any says "not established".
    pub by: Vec<usize>,
}

impl Statement {
    /// A sentence shown by these commands.
    #[must_use]
    pub fn shown(text: impl Into<String>, by: &[usize]) -> Statement {
        Statement { text: text.into(), by: by.to_vec() }
    }

    /// What no command can show.
    #[must_use]
    pub fn open(what: impl AsRef<str>) -> Statement {
        Statement { text: format!("Not established: {}", what.as_ref()), by: Vec::new() }
    }
}

/// A commit by name, subject and release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The full name.
    pub id: String,
    /// Its subject.
    pub subject: String,
}

impl Named {
    /// `0123456789ab ("subject")`.
    #[must_use]
    pub fn cite(&self) -> String {
        format!("{} (\"{}\")", self.id.get(..12).unwrap_or(&self.id), self.subject)
    }
}

/// What is known of the fix itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// The commit.
    pub id: String,
    /// Its subject.
    pub subject: String,
    /// The rest of its message.
    pub body: String,
    /// `Name <address>` of its author.
    pub author: String,
    /// When it was written, as a mail's `Date:` has it.
    pub date: String,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// `git diff --stat` of it.
    pub stat: String,
    /// The change itself.
    pub patch: String,
    /// Lines added and removed.
    pub lines: (usize, usize),
    /// The files it touches.
    pub paths: Vec<String>,
    /// The functions it touches.
    pub functions: Vec<String>,
    /// Commits whose `Fixes:` names it, or a fix of it.
    pub follow_ups: Vec<Named>,
    /// Commits that take it back.
    pub reverts: Vec<Named>,
    /// The other patches of its series.
    pub mates: Vec<Named>,
}

/// How the change goes on to a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "how")]
pub enum Apply {
    /// There was no need to try.
    NotTried,
    /// Git's merge does it; the lines are upstream's. `moved` when they stand elsewhere, `fuzz`
    /// when what is around them differs.
    Clean {
        /// At other line numbers than upstream.
        moved: bool,
        /// In other surroundings than upstream.
        fuzz: bool,
    },
    /// Git's merge does it, in files that have other names on the branch.
    Renamed {
        /// Upstream's path and the branch's.
        paths: Vec<(String, String)>,
    },
    /// Git's merge stops; the ladder of [`crate::merge`] carries it.
    Carried,
    /// It stays in conflict.
    Conflict {
        /// The files in conflict.
        paths: Vec<String>,
    },
}

/// A build's or test's outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Whether the command ended with success.
    pub passed: bool,
    /// Whether an earlier run in the same tree answered.
    pub cached: bool,
}

/// What is known of one branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Branch {
    /// Its name.
    pub name: String,
    /// Its newest commit.
    pub tip: String,
    /// Why git could not answer, if it could not.
    pub trouble: Option<String>,
    /// Where it left the fix's history; `None` without a common ancestor.
    pub base: Option<String>,
    /// The commit on it that carries the fix.
    pub copy: Option<Copy>,
    /// Carrying the fix over changes nothing.
    pub no_change: bool,
    /// What its files show of the faulty code, by file and hunk.
    pub seen: Vec<(String, usize, Seen, Presence)>,
    /// What follows from that.
    pub presence: Presence,
    /// The commit that the `Fixes:` tag names, and whether the branch has it or a copy.
    pub culprit: Option<(Named, bool)>,
    /// How the change goes on.
    pub apply: Apply,
    /// The files that needed more than git's merge.
    pub settled: Vec<Settled>,
    /// Names that the change uses and the branch does not know.
    pub missing: Vec<String>,
    /// Why the change may mean something else here.
    pub dangers: Vec<Danger>,
    /// Commits that have to come first, in this order.
    pub prerequisites: Vec<Named>,
    /// Commits that stand in the way and need not come first.
    pub incidental: Vec<Named>,
    /// The build with the change, where a command was given.
    pub build: Option<Run>,
    /// The tests with the change, where a command was given.
    pub test: Option<Run>,
    /// Evidence of the build and the tests.
    pub runs_by: Vec<usize>,
    /// The change as it goes on to the branch; several patches with prerequisites.
    pub patches: Vec<BackportPatch>,
    /// `git range-diff` of the fix against its backport.
    pub range_diff: String,
    /// What was found, in the order it was found, each with its evidence.
    pub findings: Vec<Statement>,
}

/// A patch made for a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackportPatch {
    /// The upstream commit it carries.
    pub upstream: Named,
    /// Its `Name <address>`.
    pub author: String,
    /// Its date, as a mail's `Date:` has it.
    pub date: String,
    /// The rest of upstream's message.
    pub body: String,
    /// `git diff --stat`.
    pub stat: String,
    /// The diff against the branch, byte for byte.
    #[serde(serialize_with = "as_text")]
    pub diff: Vec<u8>,
}

fn as_text<S: serde::Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&String::from_utf8_lossy(bytes))
}

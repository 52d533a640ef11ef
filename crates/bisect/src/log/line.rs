//! One line of a log.

use super::go::{GoDuration, quoted, unquoted};
use crate::verdict::Verdict;
use std::fmt;

/// What a run is said to have come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSaid(pub Verdict);

impl RunSaid {
    fn parse(text: &str) -> Option<RunSaid> {
        let title = |rest: &str| Some(rest.to_owned());
        let verdict = if text == "OK" {
            Verdict::Ok
        } else if let Some(rest) = text.strip_prefix("crashed: ") {
            Verdict::Crashed(rest.to_owned())
        } else if let Some(rest) = text.strip_prefix("boot failed: ") {
            Verdict::BootFailed(title(rest))
        } else if let Some(rest) = text.strip_prefix("basic kernel testing failed: ") {
            Verdict::BasicFailed(title(rest))
        } else if text == "boot failed" {
            Verdict::BootFailed(None)
        } else if text == "basic kernel testing failed" {
            Verdict::BasicFailed(None)
        } else if text == "cannot tell" {
            Verdict::Unknown
        } else {
            return None;
        };
        Some(RunSaid(verdict))
    }
}

impl fmt::Display for RunSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titled = |f: &mut fmt::Formatter<'_>, what: &str, title: &Option<String>| match title {
            Some(title) => write!(f, "{what}: {title}"),
            None => f.write_str(what),
        };
        match &self.0 {
            Verdict::Ok => f.write_str("OK"),
            Verdict::Crashed(title) => write!(f, "crashed: {title}"),
            Verdict::BootFailed(title) => titled(f, "boot failed", title),
            Verdict::BasicFailed(title) => titled(f, "basic kernel testing failed", title),
            Verdict::Unknown => f.write_str("cannot tell"),
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// `bisecting cause commit starting from HASH`.
    Cause(String),
    /// `bisecting fixing commit since HASH`.
    Fix(String),
    /// `building syzkaller on HASH`: the version of the tool that tested.
    Tool(String),
    /// `testing release NAME`.
    Release(String),
    /// `testing commit HASH with COMPILER`.
    Testing {
        /// The revision.
        hash: String,
        /// The toolchain, if the log names it.
        with: Option<String>,
    },
    /// `kernel signature: SIGNATURE`.
    Signature(String),
    /// `all runs: WHAT`.
    AllRuns(RunSaid),
    /// `run #N: WHAT`.
    Run(u32, RunSaid),
    /// `reproducer seems to be flaky`.
    SeemsFlaky,
    /// `# git bisect WORDS`.
    Git(Vec<String>),
    /// `Bisecting: N revisions left to test after this (roughly M steps)`.
    Left {
        /// Revisions left.
        revisions: u32,
        /// Steps left.
        steps: u32,
    },
    /// `[HASH] SUBJECT`.
    Next {
        /// The revision tested next.
        hash: String,
        /// Its subject.
        subject: String,
    },
    /// `HASH is the first bad commit`.
    FirstBad(String),
    /// `culprit signature: SIGNATURE`.
    CulpritSignature(String),
    /// `parent  signature: SIGNATURE`.
    ParentSignature(String),
    /// `Reproducer flagged being flaky`.
    FlaggedFlaky,
    /// `revisions tested: N, total time: T (build: T, test: T)`.
    Totals {
        /// Revisions tested.
        revisions: u32,
        /// Everything.
        total: GoDuration,
        /// Building.
        build: GoDuration,
        /// Testing.
        test: GoDuration,
    },
    /// `first bad commit: HASH SUBJECT`.
    Culprit {
        /// The commit.
        hash: String,
        /// Its subject.
        subject: String,
    },
    /// `recipients (to): [...]`.
    To(Vec<String>),
    /// `recipients (cc): [...]`.
    Cc(Vec<String>),
    /// `crash: TITLE`; the report follows.
    Crash(String),
    /// Any other line: the culprit's record as git prints it, blank lines, notes.
    Text(String),
}

impl Item {
    /// Reads a line without its end.
    #[must_use]
    pub fn parse(line: &str) -> Item {
        match Item::typed(line) {
            Some(item) if item.to_string() == line => item,
            _ => Item::Text(line.to_owned()),
        }
    }

    fn typed(line: &str) -> Option<Item> {
        let own = |text: &str| text.to_owned();
        let after = |prefix: &str| line.strip_prefix(prefix);
        let hash = |text: &str| {
            let long = text.len() == 40 || text.len() == 64;
            (long && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.to_owned())
        };
        match line {
            "reproducer seems to be flaky" => return Some(Item::SeemsFlaky),
            "Reproducer flagged being flaky" => return Some(Item::FlaggedFlaky),
            _ => {}
        }
        type Reader = fn(&str) -> Option<Item>;
        let simple: [(&str, Reader); 11] = [
            ("bisecting cause commit starting from ", |rest| Some(Item::Cause(rest.to_owned()))),
            ("bisecting fixing commit since ", |rest| Some(Item::Fix(rest.to_owned()))),
            ("building syzkaller on ", |rest| Some(Item::Tool(rest.to_owned()))),
            ("testing release ", |rest| Some(Item::Release(rest.to_owned()))),
            ("kernel signature: ", |rest| Some(Item::Signature(rest.to_owned()))),
            ("all runs: ", |rest| RunSaid::parse(rest).map(Item::AllRuns)),
            ("culprit signature: ", |rest| Some(Item::CulpritSignature(rest.to_owned()))),
            ("parent  signature: ", |rest| Some(Item::ParentSignature(rest.to_owned()))),
            ("recipients (to): ", |rest| unquoted(rest).map(Item::To)),
            ("recipients (cc): ", |rest| unquoted(rest).map(Item::Cc)),
            ("crash: ", |rest| Some(Item::Crash(rest.to_owned()))),
        ];
        if let Some((prefix, read)) = simple.iter().find(|(prefix, _)| line.starts_with(prefix)) {
            return read(&line[prefix.len()..]);
        }
        if let Some(rest) = after("testing commit ") {
            let (id, with) = rest.split_once(" with ").map_or((rest, None), |(h, w)| (h, Some(w)));
            return Some(Item::Testing { hash: hash(id)?, with: with.map(own) });
        }
        if let Some(rest) = after("run #") {
            let (number, said) = rest.split_once(": ")?;
            return Some(Item::Run(number.parse().ok()?, RunSaid::parse(said)?));
        }
        if let Some(rest) = after("# git bisect ") {
            return Some(Item::Git(rest.split(' ').map(own).collect()));
        }
        if let Some(rest) = after("Bisecting: ") {
            let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty());
            let mut number = || numbers.next()?.parse().ok();
            return Some(Item::Left { revisions: number()?, steps: number()? });
        }
        if let Some(rest) = after("revisions tested: ") {
            return totals(rest);
        }
        if let Some(rest) = after("first bad commit: ") {
            let (id, subject) = rest.split_once(' ')?;
            return Some(Item::Culprit { hash: hash(id)?, subject: own(subject) });
        }
        if let Some(rest) = after("[") {
            let (id, subject) = rest.split_once("] ")?;
            return Some(Item::Next { hash: hash(id)?, subject: own(subject) });
        }
        line.strip_suffix(" is the first bad commit").and_then(hash).map(Item::FirstBad)
    }
}

fn totals(rest: &str) -> Option<Item> {
    let (revisions, rest) = rest.split_once(", total time: ")?;
    let (total, rest) = rest.split_once(" (build: ")?;
    let (build, rest) = rest.split_once(", test: ")?;
    let read = GoDuration::parse;
    let (total, build, test) = (read(total)?, read(build)?, read(rest.strip_suffix(')')?)?);
    Some(Item::Totals { revisions: revisions.parse().ok()?, total, build, test })
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: u32| if n == 1 { "" } else { "s" };
        match self {
            Item::Cause(hash) => write!(f, "bisecting cause commit starting from {hash}"),
            Item::Fix(hash) => write!(f, "bisecting fixing commit since {hash}"),
            Item::Tool(hash) => write!(f, "building syzkaller on {hash}"),
            Item::Release(name) => write!(f, "testing release {name}"),
            Item::Testing { hash, with: Some(with) } => {
                write!(f, "testing commit {hash} with {with}")
            }
            Item::Testing { hash, with: None } => write!(f, "testing commit {hash}"),
            Item::Signature(signature) => write!(f, "kernel signature: {signature}"),
            Item::AllRuns(said) => write!(f, "all runs: {said}"),
            Item::Run(number, said) => write!(f, "run #{number}: {said}"),
            Item::SeemsFlaky => f.write_str("reproducer seems to be flaky"),
            Item::Git(words) => write!(f, "# git bisect {}", words.join(" ")),
            Item::Left { revisions, steps } => write!(
                f,
                "Bisecting: {revisions} revision{} left to test after this (roughly {steps} step{})",
                plural(*revisions),
                plural(*steps)
            ),
            Item::Next { hash, subject } => write!(f, "[{hash}] {subject}"),
            Item::FirstBad(hash) => write!(f, "{hash} is the first bad commit"),
            Item::CulpritSignature(signature) => write!(f, "culprit signature: {signature}"),
            Item::ParentSignature(signature) => write!(f, "parent  signature: {signature}"),
            Item::FlaggedFlaky => f.write_str("Reproducer flagged being flaky"),
            Item::Totals { revisions, total, build, test } => write!(
                f,
                "revisions tested: {revisions}, total time: {total} (build: {build}, test: {test})"
            ),
            Item::Culprit { hash, subject } => write!(f, "first bad commit: {hash} {subject}"),
            Item::To(people) => write!(f, "recipients (to): {}", quoted(people)),
            Item::Cc(people) => write!(f, "recipients (cc): {}", quoted(people)),
            Item::Crash(title) => write!(f, "crash: {title}"),
            Item::Text(text) => f.write_str(text),
        }
    }
}

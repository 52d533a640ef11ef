//! The report: nine phases of a stable decision, each statement with the command behind it.
//!
//! Its text is for people and for [`crate::repo::verify`]: the last section lists every command
//! with its status, the digest of its output and its input, so that they can be run again.

use crate::facts::{Evidence, Fix, Statement};
use crate::rules::{Answer, Line};
use crate::verdict::{Judgement, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A phase and its steps.
pub struct Phase {
    /// Its title.
    pub title: &'static str,
    /// Each step's number and what it is about.
    pub steps: &'static [(&'static str, &'static str)],
}

/// The nine phases.
pub const PHASES: &[Phase] = &[
    Phase {
        title: "Commit Message Forensics",
        steps: &[
            ("1.1", "the subsystem, the verb and the intent"),
            ("1.2", "the tags"),
            ("1.3", "the failure and its trigger as the message tells them"),
            ("1.4", "whether this is a fix that does not say so"),
        ],
    },
    Phase {
        title: "Diff Analysis",
        steps: &[
            ("2.1", "the scope"),
            ("2.2", "the code before and after"),
            ("2.3", "the kind of fault"),
            ("2.4", "the correctness and the risk of a regression"),
        ],
    },
    Phase {
        title: "Git History Investigation",
        steps: &[
            ("3.1", "the release that the changed lines come from"),
            ("3.2", "the commit at fault"),
            ("3.3", "related changes"),
            ("3.4", "the author and the maintainers"),
            ("3.5", "whether it stands alone"),
        ],
    },
    Phase {
        title: "Mailing List And External Research",
        steps: &[
            ("4.1", "the submission"),
            ("4.2", "the reviewers and recipients"),
            ("4.3", "a bug report"),
            ("4.4", "the series"),
            ("4.5", "a discussion on a stable list"),
        ],
    },
    Phase {
        title: "Code Semantic Analysis",
        steps: &[
            ("5.1", "the functions that change"),
            ("5.2", "their callers"),
            ("5.3", "what the change calls"),
            ("5.4", "whether it can be reached from outside"),
            ("5.5", "similar sites"),
        ],
    },
    Phase {
        title: "Cross-Referencing And Stable Tree Analysis",
        steps: &[
            ("6.1", "which branches have the faulty code"),
            ("6.2", "how it applies"),
            ("6.3", "which branches have it or a related fix"),
        ],
    },
    Phase {
        title: "Subsystem And Maintainer Context",
        steps: &[("7.1", "the subsystem"), ("7.2", "how active it is")],
    },
    Phase {
        title: "Impact And Risk Assessment",
        steps: &[
            ("8.1", "who is affected"),
            ("8.2", "what triggers it"),
            ("8.3", "how it fails"),
            ("8.4", "benefit against risk"),
        ],
    },
    Phase {
        title: "Final Synthesis",
        steps: &[
            ("9.1", "the evidence for and against"),
            ("9.2", "the stable rules"),
            ("9.3", "the exception category"),
            ("9.4", "the decision"),
        ],
    },
];

/// A branch, judged.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    /// What was found.
    pub facts: crate::facts::Branch,
    /// The verdict.
    pub judgement: Judgement,
    /// The rules.
    pub rules: Vec<Line>,
}

/// Everything that was found out.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The fix.
    pub fix: Fix,
    /// Statements by step; a step without any is not established.
    pub steps: BTreeMap<&'static str, Vec<Statement>>,
    /// The branches, newest first.
    pub branches: Vec<Judged>,
    /// Every command.
    pub evidence: Vec<Evidence>,
    /// Who signs the backports off.
    pub sign_off: Option<String>,
}

/// The width that text is folded to.
const WIDTH: usize = 76;

impl Report {
    /// The report as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{}\n{}\n",
            self.fix.subject,
            "=".repeat(self.fix.subject.chars().count().min(WIDTH))
        );
        let _ = writeln!(
            out,
            "Upstream commit {}\nAuthor: {}\nDate: {}\n",
            self.fix.id, self.fix.author, self.fix.date
        );
        for (number, phase) in PHASES.iter().enumerate() {
            let _ = writeln!(out, "## Phase {}: {}", number + 1, phase.title);
            for (step, about) in phase.steps {
                self.step(&mut out, step, about);
            }
        }
        self.verification(&mut out);
        out
    }

    fn step(&self, out: &mut String, step: &str, about: &str) {
        let nothing = [Statement::open(format!("{about}."))];
        let found = self.steps.get(step).filter(|list| !list.is_empty());
        let list = found.map_or(&nothing[..], Vec::as_slice);
        match list {
            [one] => fold(out, &format!("Step {step} Record: "), &cited(one)),
            many => {
                let _ = writeln!(out, "Step {step} Record:");
                for statement in many {
                    fold(out, "- ", &cited(statement));
                }
            }
        }
        out.push('\n');
    }

    fn verification(&self, out: &mut String) {
        out.push_str("## Verification\n");
        out.push_str(
            "Each line: number, exit status, SHA-256 of the output, command. Lines behind\n",
        );
        out.push_str("`|` are the command's input. A command that starts with `sh` runs in a work\ntree of the tree that is named.\n\n");
        for item in &self.evidence {
            let tree = item.tree.as_ref().map_or(String::new(), |tree| format!("tree {tree} "));
            let line = item.line().replace('\n', "\u{2028}");
            let _ = writeln!(out, "[E{}] {} {} {tree}{line}", item.id, item.status, item.sha256);
            for line in item.input.iter().flat_map(|input| input.split_inclusive('\n')) {
                let end = if line.ends_with('\n') { "" } else { "\n    \\ no line break\n" };
                let _ = write!(out, "    |{line}{end}");
            }
        }
        let takes =
            self.branches.iter().filter(|branch| branch.judgement.verdict.makes_patch()).count();
        let _ = writeln!(
            out,
            "\n**{}** ({takes} of {} branches)",
            if takes > 0 { "YES" } else { "NO" },
            self.branches.len()
        );
    }

    /// The table for the terminal: a line per branch, with its first reason.
    #[must_use]
    pub fn table(&self) -> String {
        let names = self.branches.iter().map(|branch| branch.facts.name.chars().count());
        let width = names.max().unwrap_or(0).max(6);
        let mut out = format!("{:<width$}  {:<23}  why\n", "branch", "verdict");
        for branch in &self.branches {
            let why = branch.judgement.why.first().map_or("", String::as_str);
            let phrase = branch.judgement.verdict.phrase();
            let _ = writeln!(out, "{:<width$}  {phrase:<23}  {why}", branch.facts.name);
        }
        out
    }

    /// The report as JSON: `branches` is a list of `branch`, `verdict`, `why` and `evidence`, each
    /// command of the evidence with its output.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let branches: Vec<_> =
            self.branches.iter().map(|branch| self.branch_json(branch)).collect();
        serde_json::json!({
            "format": 1,
            "fix": self.fix,
            "branches": branches,
            "steps": self.steps,
            "evidence": self.evidence,
        })
    }

    fn branch_json(&self, branch: &Judged) -> serde_json::Value {
        let numbers: std::collections::BTreeSet<usize> =
            branch.facts.findings.iter().flat_map(|finding| finding.by.iter().copied()).collect();
        let evidence: Vec<_> = numbers
            .iter()
            .filter_map(|number| self.evidence.get(number.checked_sub(1)?))
            .map(|item| {
                serde_json::json!({
                    "id": item.id, "command": item.line(), "status": item.status,
                    "sha256": item.sha256, "output": item.output,
                })
            })
            .collect();
        serde_json::json!({
            "branch": branch.facts.name,
            "verdict": branch.judgement.verdict,
            "why": branch.judgement.why,
            "rules": branch.rules,
            "evidence": evidence,
            "facts": branch.facts,
        })
    }

    /// The verdicts, newest branch first.
    #[must_use]
    pub fn verdicts(&self) -> Vec<(String, Verdict)> {
        self.branches
            .iter()
            .map(|branch| (branch.facts.name.clone(), branch.judgement.verdict))
            .collect()
    }
}

/// A rule's line as text.
#[must_use]
pub fn rule_text(number: usize, line: &Line) -> Statement {
    let answer = match line.answer {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::NotEstablished => "not established",
    };
    let text = format!("{number}. {}? {answer}: {}", line.rule, line.why.text);
    Statement { text, by: line.why.by.clone() }
}

fn cited(statement: &Statement) -> String {
    let numbers: Vec<_> = statement.by.iter().map(|number| format!("E{number}")).collect();
    if numbers.is_empty() {
        statement.text.clone()
    } else {
        format!("{} [{}]", statement.text, numbers.join(", "))
    }
}

/// Folds text at blanks; further lines of an item are set in.
fn fold(out: &mut String, head: &str, text: &str) {
    let indent = if head.starts_with('-') { "  " } else { "" };
    let mut line = head.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{}", line.trim_end());
            line = indent.to_owned();
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

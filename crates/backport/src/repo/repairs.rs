//! Upstream's later commits that bear on the fix.

use super::fix::Examined;
use super::index::Index;
use super::record::Record;
use crate::danger::{Danger, Sign};
use crate::facts::{Branch, Named, Statement};
use crate::fingerprint::Fingerprint;
use crate::repair::bears_on;
use ringfence_git::{Error, Oid};

/// Paths that history is asked about at once.
const PATHS_MAX: usize = 16;

/// A later commit and how it bears on the fix.
#[derive(Debug, Clone)]
pub struct Repair {
    /// The commit.
    pub commit: Named,
    /// How.
    pub sign: Sign,
    /// The commands that show it.
    pub by: Vec<usize>,
}

/// Finds upstream's later commits that rewrite what the fix wrote, or are for the same bug.
///
/// # Errors
///
/// When git fails.
pub fn look(
    record: &mut Record,
    index: &mut Index,
    fix: &Examined,
    print: &Fingerprint,
) -> Result<Vec<Repair>, Error> {
    let trunk = fix.trunk.to_string();
    let (dated, date) =
        record.git(&["log", "-1", "--no-show-signature", "--format=%ct", &trunk])?;
    let now = date.text().trim().parse().unwrap_or(print.committed);
    let range = format!("{}..{trunk}", fix.id);
    let until = format!("--until={}", print.committed + 366 * 86_400);
    let mut args = vec!["rev-list", "--no-merges", &until, &range, "--"];
    args.extend(print.paths.iter().take(PATHS_MAX).map(String::as_str));
    let mut found = Vec::new();
    if print.paths.is_empty() || fix.trunk == fix.id {
        return Ok(found);
    }
    let (by, output) = record.git(&args)?;
    let mut later = vec![(by, output.text())];
    // A commit is only looked at for its bug if it is a week old: see `bears_on`.
    for bug in print.bugs.iter().filter(|_| now - print.committed < 40 * 86_400).take(4) {
        let grep = format!("--grep={bug}");
        let (by, output) = record.git(&["rev-list", "--no-merges", "-F", &grep, &range])?;
        later.push((by, output.text()));
    }
    for (by, list) in later {
        let ids: Vec<Oid> = list.lines().filter_map(|line| line.parse().ok()).collect();
        let repo = record.repo().clone();
        index.learn(&repo, &ids, |_, _| {})?;
        for other in ids.iter().filter_map(|id| index.get(&id.to_string())) {
            let known = found.iter().any(|known: &Repair| known.commit.id == other.id);
            if let Some(sign) = bears_on(print, other, now).filter(|_| !known) {
                let commit = Named { id: other.id.clone(), subject: other.subject.clone() };
                found.push(Repair { commit, sign, by: vec![by, dated] });
            }
        }
    }
    Ok(found)
}

impl Repair {
    /// What it does, as a clause behind the commit's name.
    fn clause(&self) -> &'static str {
        match self.sign {
            Sign::FreshRepair | Sign::Repair => "corrects the fix",
            Sign::SameBug => "came right behind it for the same bug",
            _ => "rewrites lines of the fix",
        }
    }

    /// The sentence about the fix.
    #[must_use]
    pub fn statement(&self) -> Statement {
        Statement::shown(format!("Upstream's {} {}.", self.commit.cite(), self.clause()), &self.by)
    }

    /// What it means for a branch that takes the fix.
    pub fn warn(&self, branch: &mut Branch, path: &str) {
        branch.findings.push(self.statement());
        let what = format!("upstream's {} {}", self.commit.cite(), self.clause());
        branch.dangers.push(Danger { sign: self.sign, path: path.to_owned(), what });
    }
}

//! A whole run: from a fix and branches to a report.

use super::fix::Examined;
use super::pool::Pool;
use super::record::Record;
use super::repairs::{self, Repair};
use super::scratch::{Scratch, ScratchError};
use super::worker::{self, Common};
use super::{ahead, branch, fix, index::Index, steps, synthesis};
use crate::facts::Named;
use crate::report::{Judged, Report};
use crate::rules::{Case, checklist};
use crate::verdict::judge;
use ringfence_git::{Commit, Error, Oid, Repo};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

/// What a run is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// The fix, by any name git knows.
    pub fix: &'a str,
    /// Globs of branch names.
    pub branches: &'a [String],
    /// A shell command that builds.
    pub build: Option<&'a str>,
    /// A shell command that tests.
    pub test: Option<&'a str>,
    /// The text of the mbox that the fix's series was sent in.
    pub series: Option<&'a str>,
    /// `Name <address>` of who signs the backports off.
    pub sign_off: Option<&'a str>,
    /// Where fingerprints and build outcomes are kept between runs.
    pub cache: Option<&'a Path>,
}

/// Why a run gave no report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Git failed.
    #[error(transparent)]
    Git(#[from] Error),
    /// There is no place to work in.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// Git cannot merge trees as cherry-picks do.
    #[error("git {0} is too old: carrying a fix over takes git 2.40 or later")]
    OldGit(String),
    /// The fix is a merge.
    #[error("{0} is a merge: name the commit that it merged, or each of them in turn")]
    Merge(String),
    /// The fix has no parent.
    #[error("{0} has no parent: a first commit is no fix")]
    Root(String),
    /// The fix changes nothing.
    #[error("{0} changes no file: there is nothing to carry over")]
    Empty(String),
    /// The fix changes a binary file.
    #[error("{fix} changes the binary file {path}: its lines cannot be compared; carry it by hand")]
    Binary {
        /// The fix.
        fix: String,
        /// The file.
        path: String,
    },
    /// The repository's history is cut off.
    #[error(
        "{0} is a shallow clone: what lies behind its cut cannot be shown; run `git fetch --unshallow` there"
    )]
    Shallow(String),
    /// A glob names no branch.
    #[error("`{glob}` names no branch; there are {there}")]
    NoBranch {
        /// The glob.
        glob: String,
        /// Some branches that there are.
        there: String,
    },
}

/// Makes the report. `progress` hears what is being done.
///
/// # Errors
///
/// See [`RunError`]. The user's repository is only read, whatever happens.
pub fn run(
    user: &Repo,
    options: &Options<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<Report, RunError> {
    let commit = check_fix(user, options.fix)?;
    let branches = branches(user, options.branches)?;
    let scratch = Scratch::new(user)?;
    if let Some(cache) = options.cache {
        scratch.add_graph(cache);
    }
    // The scratch repository has the user's refs and answers sooner.
    let trunk = trunk(user, scratch.repo(), commit.id)?;
    let pool = Arc::new(Pool::new(scratch.repo().clone()));
    let mut record = Record::new(Arc::clone(&pool));
    progress("the fix");
    let fix = fix::examine(&mut record, &commit, trunk, options.series)?;
    if let Some(file) = fix.patch.files.iter().find(|file| file.binary) {
        return Err(RunError::Binary { fix: fix.fix.id, path: file.new_path.clone() });
    }
    if fix.patch.files.is_empty() {
        return Err(RunError::Empty(fix.fix.id));
    }
    let mut index = Index::open(options.cache);
    let (tell, told) = channel();
    // The branches' histories are read beside the fix's.
    let (learned, about) = std::thread::scope(|scope| {
        let (pool, index, commit, branches) = (&*pool, &mut index, &commit, &branches);
        let learning = scope.spawn(move || {
            ahead::learn(pool, index, commit, branches, |what| drop(tell.send(what)))
        });
        let about = study(&mut record, &fix, options);
        for what in told {
            progress(&what);
        }
        (learning.join(), about)
    });
    let since = learned.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let (mut steps, needs, culprit) = about?;
    let repaired = match index.get(&fix.fix.id).cloned() {
        Some(print) => repairs::look(&mut record, &mut index, &fix, &print)?,
        None => Vec::new(),
    };
    steps.entry("3.3").or_default().extend(repaired.iter().map(Repair::statement));
    let common = Common { options, scratch: &scratch, fix: &fix, needs, culprit, since, repaired };
    let examined = worker::examine(&common, &index, &mut record, &branches, progress)?;
    let mut judged: Vec<Judged> = Vec::new();
    for facts in examined {
        let judgement = judge(&fix.fix, &facts);
        let newer: Vec<_> = judged
            .iter()
            .map(|other| (other.facts.name.clone(), other.judgement.verdict))
            .collect();
        let case = Case {
            fix: &fix.fix,
            message: &fix.message,
            branch: &facts,
            judgement: &judgement,
            newer: &newer,
            by: (fix.by_message, fix.by_patch),
        };
        let rules = checklist(&case);
        judged.push(Judged { facts, judgement, rules });
    }
    synthesis::fill(&mut steps, &fix, &judged);
    let evidence = record.into_evidence();
    let sign_off = options.sign_off.map(str::to_owned);
    Ok(Report { fix: fix.fix, steps, branches: judged, evidence, sign_off })
}

type About = (steps::Steps, Vec<(String, Vec<String>)>, Option<Named>);

/// What upstream's history and files say of the fix: the report's steps, the names it needs, and
/// the commit at fault.
fn study(record: &mut Record, fix: &Examined, options: &Options<'_>) -> Result<About, Error> {
    let culprit = branch::culprit(record, fix)?;
    let steps = steps::fill(record, fix, culprit.as_ref(), options.series)?;
    let needs = branch::needs(record, fix)?;
    Ok((steps, needs, culprit.map(|(named, _)| named)))
}

/// The fix, if it is one commit with one parent in a whole history.
fn check_fix(user: &Repo, name: &str) -> Result<Commit, RunError> {
    let version = user.run(["version"])?;
    let version = version.trim().trim_start_matches("git version ");
    if !is_new_enough(version) {
        return Err(RunError::OldGit(version.to_owned()));
    }
    let id = user.rev_parse(name)?;
    if user.run(["rev-parse", "--is-shallow-repository"])?.trim() == "true" {
        return Err(RunError::Shallow(user.dir().display().to_string()));
    }
    let commit = user.commit(id)?;
    match commit.parents.len() {
        0 => Err(RunError::Root(id.to_string())),
        1 => Ok(commit),
        _ => Err(RunError::Merge(id.to_string())),
    }
}

/// Whether this git has `merge-tree --merge-base`; a version that cannot be read may.
fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (2, 40),
        _ => true,
    }
}

/// The branches that the globs name, the newest version first, each once.
fn branches(user: &Repo, globs: &[String]) -> Result<Vec<(String, Oid)>, RunError> {
    let list = |patterns: &[String]| {
        let fixed =
            ["for-each-ref", "--sort=-version:refname", "--format=%(objectname) %(refname)"];
        user.run(fixed.into_iter().map(str::to_owned).chain(patterns.iter().cloned()))
    };
    let mut all = Vec::new();
    for glob in globs {
        let bare = glob
            .strip_prefix("refs/heads/")
            .or_else(|| glob.strip_prefix("refs/remotes/"))
            .unwrap_or(glob);
        // `release/*` also means `release/2.31/master`.
        let patterns = ["", "/**"].map(|tail| format!("{bare}{tail}"));
        let patterns = ["refs/heads", "refs/remotes"]
            .iter()
            .flat_map(|place| patterns.iter().map(move |pattern| format!("{place}/{pattern}")));
        let patterns: Vec<String> = patterns.collect();
        let found = list(&patterns)?;
        if found.trim().is_empty() {
            let some = list(&["refs/heads".to_owned(), "refs/remotes".to_owned()])?;
            let names: Vec<&str> =
                some.lines().filter_map(|line| Some(short(line.split_once(' ')?.1))).collect();
            let more = if names.len() > 8 {
                format!(" and {} more", names.len() - 8)
            } else {
                String::new()
            };
            let there = names.iter().take(8).copied().collect::<Vec<_>>().join(", ") + &more;
            return Err(RunError::NoBranch { glob: glob.clone(), there });
        }
        all.extend(patterns);
    }
    let mut found: Vec<(String, Oid)> = Vec::new();
    for line in list(&all)?.lines() {
        let Some((id, name)) = line.split_once(' ') else { continue };
        // A remote's HEAD is another name of one of its branches.
        if let (Ok(id), false) = (id.parse(), name.ends_with("/HEAD"))
            && found.iter().all(|(known, _)| known != short(name))
        {
            found.push((short(name).to_owned(), id));
        }
    }
    Ok(found)
}

fn short(name: &str) -> &str {
    name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/remotes/")).unwrap_or(name)
}

/// A commit that contains the fix and what upstream did after it.
fn trunk(user: &Repo, scratch: &Repo, fix: Oid) -> Result<Oid, Error> {
    for name in ["HEAD", "main", "master", "trunk", "origin/HEAD", "origin/main", "origin/master"] {
        if let Ok(tip) = user.rev_parse(name)
            && scratch.is_ancestor(fix, tip)?
        {
            return Ok(tip);
        }
    }
    let contains = format!("--contains={fix}");
    let list = scratch.run([
        "for-each-ref",
        "--count=1",
        "--sort=-committerdate",
        "--format=%(objectname)",
        &contains,
    ])?;
    Ok(list.trim().parse().unwrap_or(fix))
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(!is_new_enough("2.39.5") && !is_new_enough("2.9.0"));
        assert!(is_new_enough("2.40.0") && is_new_enough("3.0") && is_new_enough("unknown"));
    }
}

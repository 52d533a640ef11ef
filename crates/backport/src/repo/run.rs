//! A whole run: from a fix and branches to a report.

use super::ahead;
use super::blobs::Blobs;
use super::branch::{self, Context};
use super::build::Builder;
use super::fix::{self, Examined, diff_args};
use super::index::Index;
use super::port::Port;
use super::prereq::{Found, Search};
use super::record::Record;
use super::repairs::{self, Repair};
use super::scratch::{Scratch, ScratchError};
use super::{steps, synthesis};
use crate::danger::Sign;
use crate::facts::{BackportPatch, Branch, Named};
use crate::presence::{Presence, is_beside_the_code};
use crate::report::{Judged, Report};
use crate::rules::{Case, checklist};
use crate::verdict::{Verdict, judge};
use ringfence_git::{Commit, Error, Oid, Repo};
use std::path::Path;

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
    let mut record = Record::new(scratch.repo().clone());
    progress("the fix");
    let fix = fix::examine(&mut record, &commit, trunk, options.series)?;
    if let Some(file) = fix.patch.files.iter().find(|file| file.binary) {
        return Err(RunError::Binary { fix: fix.fix.id, path: file.new_path.clone() });
    }
    if fix.patch.files.is_empty() {
        return Err(RunError::Empty(fix.fix.id));
    }
    let culprit = branch::culprit(&mut record, &fix)?;
    let mut steps = steps::fill(&mut record, &fix, culprit.as_ref(), options.series)?;
    let needs = branch::needs(&mut record, &fix)?;
    let mut worker = Worker {
        options,
        scratch: &scratch,
        builder: Builder::new(&scratch, options.cache),
        index: Index::open(options.cache),
        blobs: Blobs::open(scratch.repo())?,
        record,
        fix: &fix,
        needs,
        culprit: culprit.map(|(named, _)| named),
        since: None,
        repaired: Vec::new(),
    };
    ahead::of_every_branch(&mut worker.record, fix.id, &branches);
    worker.learn(&branches, progress)?;
    let since = worker.since.clone();
    ahead::of_open_branches(&mut worker.record, &worker.index, &fix, since.as_deref(), &branches);
    if let Some(print) = worker.index.get(&fix.fix.id).cloned() {
        worker.repaired = repairs::look(&mut worker.record, &mut worker.index, &fix, &print)?;
    }
    let repaired = worker.repaired.iter().map(Repair::statement);
    steps.entry("3.3").or_default().extend(repaired);
    let mut judged: Vec<Judged> = Vec::new();
    for (name, tip) in &branches {
        progress(name);
        let facts = worker.branch(name, *tip)?;
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
    let evidence = worker.record.into_evidence();
    let sign_off = options.sign_off.map(str::to_owned);
    Ok(Report { fix: fix.fix, steps, branches: judged, evidence, sign_off })
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

/// What a run carries from branch to branch.
struct Worker<'a> {
    options: &'a Options<'a>,
    scratch: &'a Scratch,
    builder: Builder<'a>,
    index: Index,
    blobs: Blobs,
    record: Record,
    fix: &'a Examined,
    needs: Vec<(String, Vec<String>)>,
    culprit: Option<Named>,
    /// The oldest commit at which a branch left the fix's history.
    since: Option<String>,
    /// Later upstream commits that bear on the fix.
    repaired: Vec<Repair>,
}

impl Worker<'_> {
    /// Fingerprints everything at once, so that progress can be told.
    fn learn(
        &mut self,
        branches: &[(String, Oid)],
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        let fix = self.fix.id.to_string();
        let mut args = vec!["rev-list".to_owned(), "--no-merges".to_owned()];
        for (_, tip) in branches {
            let tip = tip.to_string();
            // A branch that has the fix itself has all of upstream's later commits as its own.
            if self.record.git(&["merge-base", "--is-ancestor", &fix, &tip])?.1.code != Some(0) {
                args.push(tip);
            }
        }
        if args.len() == 2 {
            args.push("-n0".to_owned());
        }
        args.push(format!("^{fix}"));
        let list = self.scratch.repo().run(&args)?;
        let mut own: Vec<Oid> = list.lines().filter_map(|line| line.parse().ok()).collect();
        own.push(self.fix.id);
        self.index.learn(self.scratch.repo(), &own, |done, all| {
            progress(&format!("fingerprints: {done} of {all}"));
        })?;
        // Every branch's start is an ancestor of the fix, and this one of all the starts.
        let mut args = vec!["merge-base".to_owned(), "--octopus".to_owned(), fix];
        args.extend(branches.iter().map(|(_, tip)| tip.to_string()));
        let base = self.scratch.repo().call(&args, b"")?.text();
        self.since = base.lines().next().map(str::to_owned);
        Ok(())
    }

    fn branch(&mut self, name: &str, tip: Oid) -> Result<Branch, Error> {
        match self.examine(name, tip) {
            // A damaged or partial repository costs the branches that need what is missing.
            Err(Error::Failed { command, stderr, .. }) => {
                let mut facts = Branch::new(name, &tip.to_string());
                facts.trouble = Some(format!("git could not answer: {stderr} (`{command}`)"));
                Ok(facts)
            }
            other => other,
        }
    }

    fn examine(&mut self, name: &str, tip: Oid) -> Result<Branch, Error> {
        let fix = self.fix;
        let print = self.index.get(&fix.fix.id).cloned().unwrap_or_default();
        let context =
            Context { fix, print: &print, needs: &self.needs, culprit: self.culprit.as_ref() };
        let examined = branch::examine(
            &mut self.record,
            &mut self.index,
            &mut self.blobs,
            &context,
            name,
            tip,
        );
        let (mut facts, carried) = examined?;
        let Some(carried) = carried else { return Ok(facts) };
        if facts.no_change || matches!(facts.presence, Presence::Absent | Presence::Fixed) {
            return Ok(facts);
        }
        for repair in &self.repaired {
            repair.warn(&mut facts, &fix.fix.paths[0]);
        }
        // What would be decided if the tree built and passed?
        let verdict = judge(&fix.fix, &facts).verdict;
        let upright = verdict.makes_patch() || facts.missing.is_empty() && carried.tree.is_some();
        let mut trees = carried.tree.into_iter().collect::<Vec<_>>();
        if upright && verdict != Verdict::NotAffected {
            self.check(&mut facts, &trees)?;
        }
        let failed = [&facts.build, &facts.test].into_iter().flatten().any(|run| !run.passed);
        let wanted = failed || wants_prerequisites(&facts, &carried);
        if verdict != Verdict::NotAffected
            && wanted
            && let Some(found) = self.search(&mut facts, tip)?
        {
            trees = found.trees;
            self.check(&mut facts, &trees)?;
        }
        if judge(&fix.fix, &facts).verdict.makes_patch() {
            self.write_patches(&mut facts, &trees, tip)?;
        }
        Ok(facts)
    }

    /// Builds and tests the last of the trees.
    fn check(&mut self, facts: &mut Branch, trees: &[Oid]) -> Result<(), Error> {
        let Some(tree) = trees.last().copied() else { return Ok(()) };
        (facts.build, facts.test) = (None, None);
        facts.runs_by.clear();
        if let Some(command) = self.options.build {
            let (run, by) = self.builder.run(&mut self.record, tree, command)?;
            let outcome = if run.passed { "builds" } else { "does not build" };
            facts.say(format!("With the change it {outcome}."), &[by]);
            facts.runs_by.push(by);
            facts.build = Some(run);
        }
        if let Some(command) = self.options.test
            && facts.build.as_ref().is_none_or(|run| run.passed)
        {
            let (run, by) = self.builder.run(&mut self.record, tree, command)?;
            let outcome = if run.passed { "pass" } else { "fail" };
            facts.say(format!("With the change its tests {outcome}."), &[by]);
            facts.runs_by.push(by);
            facts.test = Some(run);
        }
        Ok(())
    }

    fn search(&mut self, facts: &mut Branch, tip: Oid) -> Result<Option<Found>, Error> {
        let (builder, options) = (&self.builder, self.options);
        let mut passes = |tree: Oid| {
            for command in [options.build, options.test].into_iter().flatten() {
                if !builder.passes(tree, command)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let mut search = Search {
            record: &mut self.record,
            index: &mut self.index,
            blobs: &mut self.blobs,
            fix: self.fix,
            since: self.since.as_deref(),
            passes: &mut passes,
        };
        let found = search.run(facts, tip)?;
        if let Some(found) = &found {
            let cite = |list: &[Named]| list.iter().map(Named::cite).collect::<Vec<_>>().join(", ");
            facts.say(format!("It goes on behind {}.", cite(&found.needed)), &found.by);
            if !found.incidental.is_empty() {
                let text = format!("In the way and not needed: {}.", cite(&found.incidental));
                facts.say(text, &found.by);
            }
            facts.prerequisites = found.needed.clone();
            facts.incidental = found.incidental.clone();
            // The search made sure that these bring the names along.
            facts.missing.clear();
            facts
                .dangers
                .retain(|danger| !matches!(danger.sign, Sign::MissingName | Sign::UnknownName));
        }
        Ok(found)
    }

    /// Writes the patches, shows that they give the trees, and compares them with upstream's.
    fn write_patches(&mut self, facts: &mut Branch, trees: &[Oid], tip: Oid) -> Result<(), Error> {
        let chain: Vec<Named> = facts
            .prerequisites
            .iter()
            .cloned()
            .chain([Named { id: self.fix.fix.id.clone(), subject: self.fix.fix.subject.clone() }])
            .collect();
        let (mut parent, mut before, mut shown) = (tip, tip, true);
        self.record.git_anew(&["read-tree", &tip.to_string()], None)?;
        for (upstream, tree) in chain.iter().zip(trees) {
            let (old, new) = (before.to_string(), tree.to_string());
            let (_, stat) = self.record.git(&diff_args("--stat", &old, &new))?;
            let (by, diff) = self.record.git(&diff_args("-p", &old, &new))?;
            let format = "--format=%an <%ae>%x01%aD%x01%an <%ae> %ad%x01%B";
            let (_, about) = self.record.git(&[
                "log",
                "-1",
                "--no-show-signature",
                "--date=raw",
                format,
                &upstream.id,
            ])?;
            let about = about.text();
            let mut fields = about.splitn(4, '\u{1}').map(str::to_owned);
            let mut next = || fields.next().unwrap_or_default();
            let (author, date, person, message) = (next(), next(), next(), next());
            let body = message.split_once('\n').map_or("", |(_, rest)| rest);
            shown &= self.show_patch(facts, &diff.stdout, *tree, by)?;
            let text = format!(
                "tree {tree}\nparent {parent}\nauthor {person}\ncommitter {person}\n\n{}\n\ncommit {} upstream.\n\n{}\n",
                upstream.subject,
                upstream.id,
                body.trim()
            );
            let args = ["hash-object", "-t", "commit", "-w", "--stdin"];
            let (_, made) = self.record.git_with(&args, Some(&text))?;
            let name = made.text();
            parent = name.trim().parse().map_err(|_| made.into_error())?;
            facts.patches.push(BackportPatch {
                upstream: upstream.clone(),
                author,
                date,
                body: body.trim_matches('\n').to_owned(),
                stat: stat.text(),
                diff: diff.stdout,
            });
            before = *tree;
        }
        let upstream = format!("{}..{}", self.fix.parent, self.fix.id);
        let here = format!("{parent}^..{parent}");
        let args = ["range-diff", "--no-color", "--no-notes", &upstream, &here];
        // Without the patch in the report nobody else could make the commit to compare with.
        if shown {
            let (by, output) = self.record.git(&args)?;
            facts.range_diff = output.text();
            facts.say("Upstream's change against the backport, by range-diff.".to_owned(), &[by]);
        }
        Ok(())
    }

    /// Shows that a patch, applied to the tree before it, gives the tree that was made.
    fn show_patch(
        &mut self,
        facts: &mut Branch,
        diff: &[u8],
        tree: Oid,
        made: usize,
    ) -> Result<bool, Error> {
        // A report is text; a patch of another encoding is in the mbox alone.
        let Ok(text) = std::str::from_utf8(diff) else {
            self.record.repo().run(["read-tree", &tree.to_string()])?;
            return Ok(false);
        };
        let (applied, output) =
            self.record.git_anew(&["apply", "--cached", "--whitespace=nowarn", "-"], Some(text))?;
        let (written, name) = self.record.git_anew(&["write-tree"], None)?;
        let same = output.code == Some(0) && name.text().trim() == tree.to_string();
        let outcome = if same { "gives" } else { "does not give" };
        facts.say(
            format!("The patch, applied as mailed, {outcome} the tree {tree}."),
            &[made, applied, written],
        );
        Ok(same)
    }
}

/// Whether earlier commits may be what the branch lacks.
fn wants_prerequisites(facts: &Branch, carried: &Port) -> bool {
    // Where none of the faulty lines are, the commits in the way are those that wrote them: to
    // carry them over would carry the fault over.
    let removes = facts.seen.iter().any(|(_, _, seen, _)| seen.removed.0 > 0);
    let found = facts.seen.iter().any(|(_, _, seen, _)| seen.removed.1 > 0);
    if facts.presence != Presence::Present && removes && !found {
        return false;
    }
    let dropped =
        facts.settled.iter().any(|file| file.leaves_out() && !is_beside_the_code(&file.path));
    carried.tree.is_none() || dropped || !facts.missing.is_empty()
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

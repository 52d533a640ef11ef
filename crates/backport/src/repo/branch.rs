//! What git knows about one branch and the fix.

use super::blobs::Blobs;
use super::fix::{Examined, diff_args};
use super::index::Index;
use super::port::{Port, port};
use super::record::Record;
use crate::danger::{self, Danger, Sign, Versions};
use crate::diff::{Change, Patch, Side};
use crate::facts::{Apply, Branch, Named, Statement};
use crate::fingerprint::{Fingerprint, is_release_note};
use crate::names::needed;
use crate::presence::{self, Presence, is_beside_the_code};
use crate::settled::Whole;
use crate::there::{Copy, Way, find};
use crate::{names, tags};
use ringfence_git::{Error, Oid};
use std::collections::BTreeSet;

/// What all branches share.
pub struct Context<'a> {
    /// The fix.
    pub fix: &'a Examined,
    /// Its fingerprint.
    pub print: &'a Fingerprint,
    /// Names that the fix needs and the files upstream that hold each.
    pub needs: &'a [(String, Vec<String>)],
    /// The commit that the first `Fixes:` tag names.
    pub culprit: Option<&'a Named>,
}

/// Whether a branch holds a commit: itself or a copy of it, which is looked for among what the branch
/// has and `trunk` has not. `trunk` contains the commit; with the same one for all commits of a
/// history, git lists a branch's own commits once.
pub fn holds(
    record: &mut Record,
    index: &mut Index,
    commit: &Named,
    trunk: &str,
    tip: Oid,
) -> Result<(Option<Copy>, usize), Error> {
    let tip_text = tip.to_string();
    let (by, output) = record.git(&["merge-base", "--is-ancestor", &commit.id, &tip_text])?;
    if output.code == Some(0) {
        let ways = vec![Way::Ancestor];
        let (id, subject) = (commit.id.clone(), commit.subject.clone());
        return Ok((Some(Copy { id, subject, ways, reverted_by: None }), by));
    }
    let id: Oid = commit.id.parse().map_err(|_| Error::NoCommit {
        rev: commit.id.clone(),
        repo: record.repo().dir().to_owned(),
    })?;
    let not = format!("^{trunk}");
    let (by, list) = record.git(&["rev-list", "--no-merges", &tip_text, &not])?;
    let own: Vec<Oid> = list.text().lines().filter_map(|line| line.parse().ok()).collect();
    let repo = record.repo().clone();
    index.learn(&repo, &own, |_, _| {})?;
    index.learn(&repo, &[id], |_, _| {})?;
    let Some(print) = index.get(&commit.id) else { return Ok((None, by)) };
    let prints: Vec<&Fingerprint> =
        own.iter().filter_map(|id| index.get(&id.to_string())).collect();
    Ok((find(print, &prints, true), by))
}

/// Examines a branch as far as commands that need no build can.
///
/// # Errors
///
/// When git fails.
pub fn examine(
    record: &mut Record,
    index: &mut Index,
    blobs: &mut Blobs,
    context: &Context<'_>,
    name: &str,
    tip: Oid,
) -> Result<(Branch, Option<Port>), Error> {
    let fix = context.fix;
    let tip_text = tip.to_string();
    let mut branch = Branch::new(name, &tip_text);
    let (by, base) = record.git(&["merge-base", &fix.fix.id, &tip_text])?;
    branch.base = base.text().lines().next().map(str::to_owned);
    let Some(base) = branch.base.clone() else {
        branch.say("The branch and the fix have no common ancestor.".to_owned(), &[by]);
        return Ok((branch, None));
    };
    branch.say(format!("The branch left the fix's history at {}.", &base[..12]), &[by]);
    let named = Named { id: fix.fix.id.clone(), subject: fix.fix.subject.clone() };
    let (copy, by) = holds(record, index, &named, &fix.fix.id, tip)?;
    if let Some(copy) = copy {
        cite_copy(record, &mut branch, &copy, by, fix)?;
        branch.copy = Some(copy);
        return Ok((branch, None));
    }
    branch.say("No commit that only the branch has is a copy of the fix.".to_owned(), &[by]);
    if let Some(culprit) = context.culprit {
        // A tag may name any commit, also one that is not in the fix's history.
        let (copy, by) = holds(record, index, culprit, &culprit.id, tip)?;
        let not = if copy.is_some() { "" } else { "not " };
        branch.say(format!("The commit at fault, {}, is {not}there.", culprit.cite()), &[by]);
        branch.culprit = Some((culprit.clone(), copy.is_some()));
    }
    let carried = port(record, true, blobs, fix.parent, fix.id, tip)?;
    let by = carried.by.unwrap_or_default();
    branch.settled = carried.settled.clone();
    let tip_tree = record.git(&["rev-parse", &format!("{tip_text}^{{tree}}")])?.1.text();
    // A fix whose files the branch does not have changes nothing there either, and is not there.
    let left_out = carried
        .settled
        .iter()
        .any(|file| file.whole == Some(Whole::NotOnBranch) || file.leaves_out());
    branch.no_change =
        !left_out && carried.tree.is_some_and(|tree| tree.to_string() == tip_tree.trim());
    let paths = paths_here(record, fix, &carried, &tip_text)?;
    look_for_code(record, blobs, &mut branch, fix, &paths, &tip_text)?;
    if branch.presence == Presence::Unclear && born_later(record, index, &mut branch, fix, tip)? {
        branch.presence = Presence::Absent;
    }
    classify(record, &mut branch, fix, &carried, &paths, by)?;
    if branch.presence != Presence::Absent && !branch.no_change {
        look_for_danger(record, blobs, &mut branch, context, &carried, &paths)?;
    }
    Ok((branch, Some(carried)))
}

/// Ties a copy to the commands that show each way of being one.
fn cite_copy(
    record: &mut Record,
    branch: &mut Branch,
    copy: &Copy,
    by: usize,
    fix: &Examined,
) -> Result<(), Error> {
    let mut shown = vec![by];
    if copy.ways != [Way::Ancestor] {
        let format = "--format=%H%n%an <%ae>%n%aD%n%B";
        shown.push(record.git(&["log", "-1", "--no-show-signature", format, &copy.id])?.0);
        if copy.ways.contains(&Way::PatchId) || copy.ways.contains(&Way::Containment) {
            let parent = format!("{}^", copy.id);
            let change = record.git(&diff_args("-p", &parent, &copy.id))?;
            shown.extend([fix.by_patch, change.0]);
            let both = [fix.fix.patch.as_str(), &change.1.text()].map(|patch| {
                record.git_with(&["patch-id", "--stable"], Some(patch)).map(|(id, _)| id)
            });
            for id in both {
                shown.push(id?);
            }
        }
    }
    let ways: Vec<_> = copy.ways.iter().map(|way| way.phrase()).collect();
    let id = copy.id.get(..12).unwrap_or(&copy.id);
    branch
        .say(format!("{id} (\"{}\") carries the fix: {}.", copy.subject, ways.join("; ")), &shown);
    if let Some(revert) = &copy.reverted_by {
        let (by, _) = record.git(&["log", "-1", "--no-show-signature", "--format=%B", revert])?;
        branch.say(format!("{revert} takes it back."), &[by]);
    }
    Ok(())
}

/// The fix's paths as the branch names them: upstream's path and the branch's, where there is one.
fn paths_here(
    record: &mut Record,
    fix: &Examined,
    carried: &Port,
    tip: &str,
) -> Result<Vec<(String, Option<String>)>, Error> {
    let tree = carried.tree.unwrap_or(carried.plain_tree).to_string();
    let (_, changed) =
        record.git(&["diff-tree", "-r", "--no-renames", "--name-only", tip, &tree])?;
    let changed: Vec<String> = changed.text().lines().map(str::to_owned).collect();
    let old: Vec<&str> = fix.patch.files.iter().map(|file| file.old_path.as_str()).collect();
    let mut args = vec!["ls-tree", "-r", "--name-only", tip, "--"];
    args.extend(&old);
    let here: BTreeSet<String> = record.git(&args)?.1.text().lines().map(str::to_owned).collect();
    let new: BTreeSet<&str> = fix.patch.files.iter().map(|file| file.new_path.as_str()).collect();
    let mut strangers: Vec<&String> = changed
        .iter()
        .filter(|path| !new.contains(path.as_str()) && !old.contains(&path.as_str()))
        .collect();
    let mut found = Vec::new();
    for file in &fix.patch.files {
        let path = file.old_path.clone();
        if here.contains(&path) || file.change == Change::Add {
            found.push((path.clone(), here.contains(&path).then_some(path)));
            continue;
        }
        // The merge followed a rename: the path it changed is the one that upstream's became.
        let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        let twin = strangers.iter().position(|other| base(other) == base(&path));
        let at = twin.or((!strangers.is_empty()).then_some(0));
        found.push((path, at.map(|at| strangers.remove(at).clone())));
    }
    Ok(found)
}

/// Is the faulty code there?
fn look_for_code(
    record: &mut Record,
    blobs: &mut Blobs,
    branch: &mut Branch,
    fix: &Examined,
    paths: &[(String, Option<String>)],
    tip: &str,
) -> Result<(), Error> {
    let beside = fix.patch.files.iter().all(|file| is_beside_the_code(&file.old_path));
    let mut judged = Vec::new();
    for (file, (_, here)) in fix.patch.files.iter().zip(paths) {
        let skip = file.change == Change::Add || file.binary || is_release_note(&file.old_path);
        if skip || !beside && is_beside_the_code(&file.old_path) {
            continue;
        }
        let name = here.as_ref().map(|path| format!("{tip}:{path}"));
        let text = match &name {
            Some(name) => blobs.text(name)?,
            None => None,
        };
        let path = here.as_deref().unwrap_or(&file.old_path);
        let shown = match &name {
            Some(name) => record.git(&["cat-file", "-p", name])?.0,
            None => record.git(&["ls-tree", "-r", "--name-only", tip, "--", path])?.0,
        };
        for (number, hunk) in file.hunks.iter().enumerate() {
            let seen = presence::look(hunk, text.as_deref().unwrap_or_default());
            let judgement = if text.is_none() { Presence::Absent } else { seen.judge() };
            let line = format!(
                "{path}, hunk {}: {} of {} removed lines, {} of {} lines around, {} of {} added lines are there{}.",
                number + 1,
                seen.removed.1,
                seen.removed.0,
                seen.context.1,
                seen.context.0,
                seen.added.1,
                seen.added.0,
                seen.function.as_ref().map_or(String::new(), |(name, found)| {
                    format!("; `{name}` is {}there", if *found { "" } else { "not " })
                }),
            );
            branch.say(line, &[fix.by_patch, shown]);
            judged.push(judgement);
            branch.seen.push((path.to_owned(), number + 1, seen, judgement));
        }
    }
    branch.presence = presence::overall(&judged);
    Ok(())
}

/// Whether the faulty lines were written after the branch left, where nothing stood before: then
/// code that merely looks alike is not the faulty code. A commit that *rewrote* lines proves
/// nothing, for what it replaced may have had the same fault.
fn born_later(
    record: &mut Record,
    index: &mut Index,
    branch: &mut Branch,
    fix: &Examined,
    tip: Oid,
) -> Result<bool, Error> {
    let removed: BTreeSet<&str> = fix
        .patch
        .files
        .iter()
        .flat_map(|file| &file.hunks)
        .flat_map(|hunk| hunk.only(Side::Removed))
        .collect();
    let found = branch.seen.iter().any(|(_, _, seen, _)| seen.removed.1 > 0);
    if removed.is_empty() || found || fix.blamed.is_empty() {
        return Ok(false);
    }
    let mut shown = Vec::new();
    for (named, by) in &fix.blamed {
        let (copy, held_by) = holds(record, index, named, &fix.fix.id, tip)?;
        let parent = format!("{}^", named.id);
        let (change_by, change) = record.git(&diff_args("-p", &parent, &named.id))?;
        let patch = Patch::read(&change.text());
        let mut hunks = patch.files.iter().flat_map(|file| &file.hunks);
        let rewrote = hunks.any(|hunk| {
            hunk.only(Side::Added).any(|line| removed.contains(line))
                && hunk.only(Side::Removed).next().is_some()
        });
        if copy.is_some() || rewrote || change.code != Some(0) {
            return Ok(false);
        }
        shown.extend([*by, held_by, change_by]);
    }
    let list: Vec<_> = fix.blamed.iter().map(|(named, _)| named.cite()).collect();
    let text = format!(
        "The lines that the fix removes were first written by {}, which the branch lacks.",
        list.join(", ")
    );
    branch.say(text, &shown);
    Ok(true)
}

/// How does it apply?
fn classify(
    record: &mut Record,
    branch: &mut Branch,
    fix: &Examined,
    carried: &Port,
    paths: &[(String, Option<String>)],
    by: usize,
) -> Result<(), Error> {
    let tip = branch.tip.clone();
    let conflicts: Vec<String> = carried.code_conflicts().map(|file| file.path.clone()).collect();
    let Some(tree) = carried.tree else {
        branch.say(
            format!("Git's merge stops in {}, and no rung settles it.", conflicts.join(", ")),
            &[by],
        );
        branch.apply = Apply::Conflict { paths: conflicts };
        return Ok(());
    };
    if !conflicts.is_empty() {
        branch.say(
            format!(
                "Git's merge stops in {}; the steps beyond it are listed.",
                conflicts.join(", ")
            ),
            &[by],
        );
        branch.apply = Apply::Carried;
        return Ok(());
    }
    let (shown, diff) = record.git(&diff_args("-p", &tip, &tree.to_string()))?;
    let here = Patch::read(&diff.text());
    let renamed: Vec<(String, String)> = paths
        .iter()
        .filter_map(|(old, new)| Some((old.clone(), new.clone()?)))
        .filter(|(old, new)| old != new)
        .collect();
    if !renamed.is_empty() {
        let moves: Vec<_> = renamed.iter().map(|(old, new)| format!("{old} is {new}")).collect();
        branch.say(
            format!("Git's merge is clean after a rename: {}.", moves.join(", ")),
            &[by, shown],
        );
        branch.apply = Apply::Renamed { paths: renamed };
        return Ok(());
    }
    let starts = |patch: &Patch| -> Vec<usize> {
        let code = patch.files.iter().filter(|file| !is_release_note(&file.new_path));
        code.flat_map(|file| &file.hunks).map(|hunk| hunk.old_start).collect()
    };
    let print = |patch: &Patch| Fingerprint::take("", "", 0, "", patch).patch;
    let moved = starts(&here) != starts(&fix.patch);
    let fuzz = print(&here) != print(&fix.patch);
    let how = match (moved, fuzz) {
        (false, false) => "at upstream's line numbers",
        (true, false) => "at other line numbers",
        (_, true) => "in other surroundings",
    };
    branch.say(format!("Git's merge is clean, {how}."), &[by, shown]);
    branch.apply = Apply::Clean { moved, fuzz };
    Ok(())
}

/// What says that it means something else here?
fn look_for_danger(
    record: &mut Record,
    blobs: &mut Blobs,
    branch: &mut Branch,
    context: &Context<'_>,
    carried: &Port,
    paths: &[(String, Option<String>)],
) -> Result<(), Error> {
    let fix = context.fix;
    let tree = carried.tree.unwrap_or(carried.plain_tree);
    for (file, (_, here)) in fix.patch.files.iter().zip(paths) {
        if file.binary || is_release_note(&file.new_path) {
            continue;
        }
        let path = here.as_deref().unwrap_or(&file.new_path);
        let names = [
            format!("{}:{}", fix.parent, file.old_path),
            format!("{}:{}", fix.id, file.new_path),
            format!("{}:{path}", branch.tip),
            format!("{tree}:{path}"),
        ];
        let mut texts = Vec::new();
        for name in &names {
            texts.push(blobs.text(name)?.unwrap_or_default());
        }
        let [base, theirs, ours, merged] = &texts[..] else { continue };
        let versions = Versions { path, base, theirs, ours, merged };
        branch.dangers.extend(danger::look(&versions));
        let mut has = |rev: &str, path: &str| {
            blobs.get(&format!("{rev}:{path}")).is_ok_and(|found| found.is_some())
        };
        // What the fix itself brings along is in the merged tree.
        let mut lacks = |path: &str| has(&fix.fix.id, path) && !has(&tree.to_string(), path);
        branch.dangers.extend(danger::unknown_files(file, &mut lacks));
    }
    missing_names(record, blobs, branch, context, paths)?;
    branch.dangers.sort();
    branch.dangers.dedup();
    Ok(())
}

/// Names that the change uses and the branch does not know.
fn missing_names(
    record: &mut Record,
    blobs: &mut Blobs,
    branch: &mut Branch,
    context: &Context<'_>,
    paths: &[(String, Option<String>)],
) -> Result<(), Error> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for (_, here) in paths {
        let Some(path) = here else { continue };
        let text = blobs.text(&format!("{}:{path}", branch.tip))?.unwrap_or_default();
        known.extend(text.lines().flat_map(names::identifiers).map(str::to_owned));
    }
    for (name, files) in context.needs {
        if known.contains(name) {
            continue;
        }
        let mut found = false;
        for file in files {
            let text = blobs.text(&format!("{}:{file}", branch.tip))?.unwrap_or_default();
            found |= text.lines().any(|line| line.contains(name.as_str()));
        }
        if found {
            continue;
        }
        // Not where upstream has it; only now is the whole tree worth asking.
        let (by, output) = record.git(&["grep", "-q", "-w", "-F", "-e", name, &branch.tip])?;
        if output.code == Some(1) {
            branch
                .say(format!("`{name}`, which the change uses, is nowhere on the branch."), &[by]);
            let path = files.first().cloned().unwrap_or_default();
            let what = format!("`{name}` is not on the branch");
            branch.dangers.push(Danger { sign: Sign::MissingName, path, what });
            branch.missing.push(name.clone());
        }
    }
    Ok(())
}

/// The names that the fix's code needs from elsewhere, each with the files upstream that hold it
/// before the fix.
///
/// # Errors
///
/// When git cannot be started.
pub fn needs(record: &mut Record, fix: &Examined) -> Result<Vec<(String, Vec<String>)>, Error> {
    let code = fix
        .patch
        .files
        .iter()
        .filter(|file| !is_beside_the_code(&file.new_path) && file.change != Change::Add);
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for (file, hunk) in code.flat_map(|file| file.hunks.iter().map(move |hunk| (file, hunk))) {
        let path = &file.new_path;
        let lines = names::added_code(path, hunk).into_iter();
        added.extend(lines.map(|line| names::naming_part(path, line)));
        removed.extend(hunk.pre_image());
    }
    let wanted = needed(added.into_iter(), removed.into_iter());
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let parent = fix.parent.to_string();
    let mut args = vec!["grep", "-I", "-w", "-F", "-o", "-m", "1"];
    for name in &wanted {
        args.extend(["-e", name]);
    }
    args.push(&parent);
    let (_, output) = record.git(&args)?;
    let text = output.text();
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        let Some((file, name)) =
            line.strip_prefix(&format!("{parent}:")).and_then(|rest| rest.rsplit_once(':'))
        else {
            continue;
        };
        match found.iter_mut().find(|(known, _)| known == name) {
            Some((_, files)) if files.len() < 40 => files.push(file.to_owned()),
            Some(_) => {}
            None => found.push((name.to_owned(), vec![file.to_owned()])),
        }
    }
    Ok(found)
}

/// The commit that the first `Fixes:` tag names, if the repository has it.
///
/// # Errors
///
/// When git cannot be started.
pub fn culprit(record: &mut Record, fix: &Examined) -> Result<Option<(Named, usize)>, Error> {
    for named in tags::fixes(&fix.fix.tags) {
        let (by, output) = record.git(&[
            "log",
            "-1",
            "--no-show-signature",
            "--format=%H%x01%s",
            &named.id,
            "--",
        ])?;
        if let (Some(0), Some((id, subject))) =
            (output.code, output.text().trim_end().split_once('\u{1}'))
        {
            return Ok(Some((Named { id: id.to_owned(), subject: subject.to_owned() }, by)));
        }
    }
    Ok(None)
}

impl Branch {
    /// A branch of which nothing is known.
    pub(crate) fn new(name: &str, tip: &str) -> Branch {
        Branch {
            name: name.to_owned(),
            tip: tip.to_owned(),
            trouble: None,
            base: None,
            copy: None,
            no_change: false,
            seen: Vec::new(),
            presence: Presence::Unclear,
            culprit: None,
            apply: Apply::NotTried,
            settled: Vec::new(),
            missing: Vec::new(),
            dangers: Vec::new(),
            prerequisites: Vec::new(),
            incidental: Vec::new(),
            build: None,
            test: None,
            runs_by: Vec::new(),
            patches: Vec::new(),
            range_diff: String::new(),
            findings: Vec::new(),
        }
    }

    /// Gives all evidence its new numbers, by the old ones.
    pub(crate) fn renumber(&mut self, numbers: &[usize]) {
        let lists = self.findings.iter_mut().map(|finding| &mut finding.by);
        for by in lists.chain([&mut self.runs_by]).flatten() {
            *by = numbers.get(*by).copied().unwrap_or(*by);
        }
    }

    /// Adds a finding.
    pub(crate) fn say(&mut self, text: String, by: &[usize]) {
        self.findings.push(Statement::shown(text, by));
    }
}

//! Examining the branches, several at once.

use super::blobs::Blobs;
use super::branch::{self, Context};
use super::build::Builder;
use super::fix::{Examined, diff_args};
use super::index::Index;
use super::pool::threads;
use super::port::Port;
use super::prereq::{Found, Search};
use super::record::Record;
use super::repairs::Repair;
use super::run::Options;
use super::scratch::Scratch;
use crate::danger::Sign;
use crate::facts::{BackportPatch, Branch, Named};
use crate::presence::{Presence, is_beside_the_code};
use crate::verdict::{Verdict, judge};
use ringfence_git::{Error, Oid};
use std::collections::VecDeque;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};

/// What all branches are examined with.
pub struct Common<'a> {
    /// What the run is asked for.
    pub options: &'a Options<'a>,
    /// Where trees are made.
    pub scratch: &'a Scratch,
    /// The fix.
    pub fix: &'a Examined,
    /// Names that the fix needs and the files upstream that hold each.
    pub needs: Vec<(String, Vec<String>)>,
    /// The commit that the first `Fixes:` tag names.
    pub culprit: Option<Named>,
    /// The oldest commit at which a branch left the fix's history.
    pub since: Option<String>,
    /// Later upstream commits that bear on the fix.
    pub repaired: Vec<Repair>,
}

/// What is told while branches are examined.
enum Told {
    Begun(usize),
    Done(usize, Box<Result<(Branch, Record), Error>>),
}

/// Examines all branches, several at once, and joins what was recorded in the order of the
/// branches: the record is the one that a single thread would have made.
///
/// # Errors
///
/// When git cannot be started; what a branch alone lacks is told as its trouble.
pub fn examine(
    common: &Common<'_>,
    index: &Index,
    record: &mut Record,
    branches: &[(String, Oid)],
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Branch>, Error> {
    let index_file = |at: usize| common.scratch.dir().join(format!("index.{at}"));
    let mut off = |at| (at, record.branch_off(&index_file(at)));
    let records: Mutex<VecDeque<_>> = Mutex::new((0..branches.len()).map(&mut off).collect());
    // Builds use all cores themselves.
    let alone = common.options.build.or(common.options.test).is_some();
    let threads = if alone { 1 } else { threads().min(branches.len()) };
    let (tell, told) = channel();
    let mut done: Vec<_> = branches.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (tell, records) = (tell.clone(), &records);
            scope.spawn(move || work(common, index, branches, records, &tell));
        }
        drop(tell);
        for what in told {
            match what {
                Told::Begun(at) => progress(&branches[at].0),
                Told::Done(at, outcome) => done[at] = Some(outcome),
            }
        }
    });
    let mut facts = Vec::new();
    for outcome in done.into_iter().flatten() {
        let (mut branch, own) = (*outcome)?;
        let numbers = record.join(own);
        branch.renumber(&numbers);
        facts.push(branch);
    }
    Ok(facts)
}

/// A thread: examines branches until none is left to begin.
fn work(
    common: &Common<'_>,
    index: &Index,
    branches: &[(String, Oid)],
    records: &Mutex<VecDeque<(usize, Record)>>,
    tell: &Sender<Told>,
) {
    let mut tools = None;
    loop {
        let next = records.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((at, record)) = next else { break };
        let (name, tip) = &branches[at];
        let one = || {
            let tools = match &mut tools {
                Some(tools) => tools,
                none => none.insert(Tools {
                    builder: Builder::new(common.scratch, common.options.cache),
                    index: index.clone(),
                    blobs: Blobs::open(common.scratch.repo())?,
                }),
            };
            let mut worker = Worker { common, tools, record };
            Ok((worker.branch(name, *tip)?, worker.record))
        };
        // Nobody listens any more once the run has failed.
        let _ = tell.send(Told::Begun(at));
        let _ = tell.send(Told::Done(at, Box::new(one())));
    }
}

/// What a thread keeps from branch to branch.
struct Tools<'a> {
    builder: Builder<'a>,
    index: Index,
    blobs: Blobs,
}

/// A thread at one branch.
struct Worker<'a, 'b> {
    common: &'a Common<'a>,
    tools: &'a mut Tools<'b>,
    record: Record,
}

impl Worker<'_, '_> {
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
        let fix = self.common.fix;
        let print = self.tools.index.get(&fix.fix.id).cloned().unwrap_or_default();
        let context = Context {
            fix,
            print: &print,
            needs: &self.common.needs,
            culprit: self.common.culprit.as_ref(),
        };
        let examined = branch::examine(
            &mut self.record,
            &mut self.tools.index,
            &mut self.tools.blobs,
            &context,
            name,
            tip,
        );
        let (mut facts, carried) = examined?;
        let Some(carried) = carried else { return Ok(facts) };
        if facts.no_change || matches!(facts.presence, Presence::Absent | Presence::Fixed) {
            return Ok(facts);
        }
        for repair in &self.common.repaired {
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
        if let Some(command) = self.common.options.build {
            let (run, by) = self.tools.builder.run(&mut self.record, tree, command)?;
            let outcome = if run.passed { "builds" } else { "does not build" };
            facts.say(format!("With the change it {outcome}."), &[by]);
            facts.runs_by.push(by);
            facts.build = Some(run);
        }
        if let Some(command) = self.common.options.test
            && facts.build.as_ref().is_none_or(|run| run.passed)
        {
            let (run, by) = self.tools.builder.run(&mut self.record, tree, command)?;
            let outcome = if run.passed { "pass" } else { "fail" };
            facts.say(format!("With the change its tests {outcome}."), &[by]);
            facts.runs_by.push(by);
            facts.test = Some(run);
        }
        Ok(())
    }

    fn search(&mut self, facts: &mut Branch, tip: Oid) -> Result<Option<Found>, Error> {
        let (builder, options) = (&self.tools.builder, self.common.options);
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
            index: &mut self.tools.index,
            blobs: &mut self.tools.blobs,
            fix: self.common.fix,
            since: self.common.since.as_deref(),
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
            .chain([Named {
                id: self.common.fix.fix.id.clone(),
                subject: self.common.fix.fix.subject.clone(),
            }])
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
        let upstream = format!("{}..{}", self.common.fix.parent, self.common.fix.id);
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

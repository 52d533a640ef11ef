//! Which commits have to come first?
//!
//! The commits that changed the lines a fix touches, between the branch's start and the fix, stand
//! in its way. They are tried: all of them and the fix behind, then without each in turn. What can
//! be left out is incidental; what remains is the smallest set in the sense that no member of it
//! can be left out.

use super::blobs::Blobs;
use super::branch::holds;
use super::fix::Examined;
use super::index::Index;
use super::port::port;
use super::record::Record;
use crate::diff::Patch;
use crate::facts::{Branch, Named};
use crate::presence::is_beside_the_code;
use ringfence_git::{Error, Oid};
use std::collections::BTreeSet;

/// More commits than this ahead of a fix are no backport of a fix any more.
const CHAIN_MAX: usize = 10;
/// Rounds in which commits are added for the sake of commits added before.
const ROUNDS_MAX: usize = 4;
/// Hunks whose history is looked at; a larger patch is known by its first ones.
const HUNKS_MAX: usize = 12;

/// The question who changed the lines that a patch touches, from `base` to `parent`: one walk
/// through the history for all of its hunks. `None` where it touches no code.
#[must_use]
pub fn line_log(patch: &Patch, base: &str, parent: Oid) -> Option<Vec<String>> {
    let code = patch.files.iter().filter(|file| !is_beside_the_code(&file.old_path));
    let hunks = code.flat_map(|file| file.hunks.iter().map(move |hunk| (file, hunk)));
    let changed = hunks.take(HUNKS_MAX).filter(|(_, hunk)| hunk.old_len > 0);
    let lines: Vec<String> = changed
        .map(|(file, hunk)| format!("-L{},+{}:{}", hunk.old_start, hunk.old_len, file.old_path))
        .collect();
    let mut args =
        ["log", "--no-show-signature", "-s", "--format=%H%x01%s"].map(str::to_owned).to_vec();
    let any = !lines.is_empty();
    args.extend(lines);
    args.push(format!("{base}..{parent}"));
    any.then_some(args)
}

/// Commits to put ahead of the fix.
#[derive(Debug)]
pub struct Found {
    /// Those that are needed, in order.
    pub needed: Vec<Named>,
    /// Those that stand in the way and are not needed.
    pub incidental: Vec<Named>,
    /// The tree after each needed commit, and last after the fix.
    pub trees: Vec<Oid>,
    /// Evidence of the candidates.
    pub by: Vec<usize>,
}

/// What the search asks with.
pub struct Search<'a> {
    /// The run's commands.
    pub record: &'a mut Record,
    /// Fingerprints.
    pub index: &'a mut Index,
    /// File contents.
    pub blobs: &'a mut Blobs,
    /// The fix.
    pub fix: &'a Examined,
    /// The oldest start of any branch: one question to the history serves all branches.
    pub since: Option<&'a str>,
    /// Whether a tree builds and passes.
    pub passes: &'a mut dyn FnMut(Oid) -> Result<bool, Error>,
}

impl Search<'_> {
    /// Looks for the smallest set of commits that lets the fix on to the branch.
    ///
    /// # Errors
    ///
    /// When git fails.
    pub fn run(&mut self, branch: &Branch, tip: Oid) -> Result<Option<Found>, Error> {
        let (mut chain, mut by) = (Vec::new(), Vec::new());
        let fix_patch = self.fix.patch.clone();
        let parent = self.fix.parent;
        self.add_candidates(branch, tip, &fix_patch, parent, &mut chain, &mut by)?;
        self.add_introducers(branch, tip, &mut chain, &mut by)?;
        for _ in 0..ROUNDS_MAX {
            if chain.is_empty() || chain.len() > CHAIN_MAX {
                return Ok(None);
            }
            self.order(&mut chain, &mut by)?;
            let Some(stuck) = self.first_stuck(&chain, tip)? else { break };
            let Some(commit) = chain.get(stuck).cloned() else { return Ok(None) };
            let before = chain.len();
            let id: Oid = commit.id.parse().map_err(|_| self.unknown(&commit.id))?;
            let made_on = self.record.repo().rev_parse(&format!("{id}^"))?;
            let patch = String::from_utf8_lossy(&self.record.repo().patch(id)?).into_owned();
            self.add_candidates(branch, tip, &Patch::read(&patch), made_on, &mut chain, &mut by)?;
            if chain.len() == before {
                // It cannot go on at all: the fix has to do without it.
                chain.retain(|other| other.id != commit.id);
            }
        }
        self.smallest(branch, chain, tip, by)
    }

    fn unknown(&self, rev: &str) -> Error {
        Error::NoCommit { rev: rev.to_owned(), repo: self.record.repo().dir().to_owned() }
    }

    /// Commits that changed the lines a patch touches and that the branch does not hold.
    fn add_candidates(
        &mut self,
        branch: &Branch,
        tip: Oid,
        patch: &Patch,
        parent: Oid,
        chain: &mut Vec<Named>,
        by: &mut Vec<usize>,
    ) -> Result<(), Error> {
        let Some(base) = self.since.or(branch.base.as_deref()) else { return Ok(()) };
        let Some(args) = line_log(patch, base, parent) else { return Ok(()) };
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (evidence, output) = self.record.git(&args)?;
        by.push(evidence);
        self.add_listed(&output.text(), tip, chain)
    }

    /// Commits that introduce the names that the branch misses.
    fn add_introducers(
        &mut self,
        branch: &Branch,
        tip: Oid,
        chain: &mut Vec<Named>,
        by: &mut Vec<usize>,
    ) -> Result<(), Error> {
        let Some(base) = branch.base.clone() else { return Ok(()) };
        let range = format!("{base}..{}", self.fix.parent);
        for name in &branch.missing {
            let word = format!("-S{name}");
            let args = [
                "log",
                "--no-show-signature",
                "--no-merges",
                "--reverse",
                "--format=%H%x01%s",
                &word,
                &range,
            ];
            let (evidence, output) = self.record.git(&args)?;
            by.push(evidence);
            let first: String = output.text().lines().take(1).collect();
            self.add_listed(&first, tip, chain)?;
        }
        Ok(())
    }

    fn add_listed(&mut self, list: &str, tip: Oid, chain: &mut Vec<Named>) -> Result<(), Error> {
        let trunk = &self.fix.fix.id;
        for line in list.lines() {
            let Some((id, subject)) = line.split_once('\u{1}') else { continue };
            let named = Named { id: id.to_owned(), subject: subject.to_owned() };
            let known = chain.iter().any(|other| other.id == id);
            if chain.len() <= CHAIN_MAX
                && !known
                && holds(self.record, self.index, &named, trunk, tip)?.0.is_none()
            {
                chain.push(named);
            }
        }
        Ok(())
    }

    /// Puts the chain into the order of upstream's history.
    fn order(&mut self, chain: &mut [Named], by: &mut Vec<usize>) -> Result<(), Error> {
        let Some(base) = self.since else { return Ok(()) };
        let range = format!("{base}..{}", self.fix.parent);
        let (evidence, output) =
            self.record.git(&["rev-list", "--topo-order", "--reverse", &range])?;
        by.push(evidence);
        let text = output.text();
        let place = |named: &Named| text.lines().position(|line| line == named.id);
        chain.sort_by_key(place);
        Ok(())
    }

    /// The trees after each commit of a chain and the fix behind it; or the number of the first
    /// that does not go on (the chain's length for the fix itself).
    fn pile(&mut self, chain: &[Named], tip: Oid) -> Result<Result<Vec<Oid>, usize>, Error> {
        let (mut onto, mut trees) = (tip, Vec::new());
        let fix = (self.fix.parent, self.fix.id);
        for at in 0..=chain.len() {
            let (before, after) = match chain.get(at) {
                Some(named) => {
                    let id = named.id.parse().map_err(|_| self.unknown(&named.id))?;
                    (self.record.repo().rev_parse(&format!("{id}^"))?, id)
                }
                None => fix,
            };
            let carried = port(self.record, false, self.blobs, before, after, onto)?;
            // Tests and build lists may be entered by the ladder; code goes on as it is or not.
            let clean = carried.code_conflicts().all(|file| is_beside_the_code(&file.path));
            match carried.tree.filter(|_| clean) {
                Some(tree) => {
                    trees.push(tree);
                    onto = tree;
                }
                None => return Ok(Err(at)),
            }
        }
        Ok(Ok(trees))
    }

    fn first_stuck(&mut self, chain: &[Named], tip: Oid) -> Result<Option<usize>, Error> {
        Ok(self.pile(chain, tip)?.err())
    }

    /// Whether a chain lets the fix on, gives it the names it needs, and builds and passes.
    fn enough(
        &mut self,
        branch: &Branch,
        chain: &[Named],
        tip: Oid,
    ) -> Result<Option<Vec<Oid>>, Error> {
        let Ok(trees) = self.pile(chain, tip)? else { return Ok(None) };
        let Some(last) = trees.last().copied() else { return Ok(None) };
        for name in &branch.missing {
            let tree = last.to_string();
            // The fix itself uses the name: someone else must have it, too.
            // Trees that are tried and dropped are no evidence.
            let args = ["grep", "-c", "-w", "-F", "-e", name, &tree];
            let output = self.record.repo().call(args, b"")?;
            let text = output.text();
            let count = |line: &str| line.rsplit(':').next().and_then(|n| n.parse::<usize>().ok());
            let all: usize = text.lines().filter_map(count).sum();
            let own = self
                .fix
                .fix
                .patch
                .lines()
                .filter(|line| line.starts_with('+') && line.contains(name.as_str()));
            if all <= own.count() {
                return Ok(None);
            }
        }
        let passes = (self.passes)(last)?;
        Ok(passes.then_some(trees))
    }

    fn smallest(
        &mut self,
        branch: &Branch,
        mut chain: Vec<Named>,
        tip: Oid,
        by: Vec<usize>,
    ) -> Result<Option<Found>, Error> {
        let Some(mut trees) = self.enough(branch, &chain, tip)? else { return Ok(None) };
        let mut incidental = Vec::new();
        for named in chain.clone().into_iter().rev() {
            let fewer: Vec<Named> =
                chain.iter().filter(|other| **other != named).cloned().collect();
            if let Some(found) = self.enough(branch, &fewer, tip)? {
                (chain, trees) = (fewer, found);
                incidental.push(named);
            }
        }
        let by: Vec<usize> = by.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        Ok((!chain.is_empty()).then_some(Found { needed: chain, incidental, trees, by }))
    }
}

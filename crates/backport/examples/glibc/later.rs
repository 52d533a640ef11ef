//! What upstream did after a fix, up to the day of its backport.

use crate::{Pair, Result, TRUNK, World};
use ringfence_backport::danger::{Danger, Sign};
use ringfence_backport::fingerprint::Fingerprint;
use ringfence_backport::message::bugs;
use ringfence_backport::repair::bears_on;
use ringfence_git::Oid;
use std::collections::{BTreeSet, HashMap, HashSet};

/// The trunk's commits by the files and the bugs they are about.
pub(crate) struct Later<'a> {
    by_path: HashMap<&'a str, Vec<&'a Fingerprint>>,
    by_bug: HashMap<u32, Vec<&'a Fingerprint>>,
}

/// A commit that changes more files than this is no repair of one fix.
const FILES_MAX: usize = 60;
/// Seconds after a fix within which `bears_on` looks for more than mere rewriting.
const WINDOW: i64 = 45 * 86_400;

/// Fingerprints the trunk's commits that touch a fix's files or name its bugs soon after it.
pub(crate) fn learn(world: &mut World) -> Result<Vec<Oid>> {
    let (mut by_path, mut by_bug) = (HashMap::new(), HashMap::new());
    let fixes: HashSet<Oid> = world.pairs.iter().map(|pair| pair.fix).collect();
    let mut oldest = i64::MAX;
    for print in fixes.iter().filter_map(|fix| world.index.get(&fix.to_string())) {
        oldest = oldest.min(print.committed);
        for path in &print.paths {
            by_path.entry(path.clone()).or_insert_with(Vec::new).push(print.committed);
        }
        for bug in &print.bugs {
            by_bug.entry(*bug).or_insert_with(Vec::new).push(print.committed);
        }
    }
    let since = format!("--since={}", oldest - 1);
    let format = "--format=%x01%H %ct%n%B%x02";
    let args = ["log", "--no-merges", "--no-renames", "--name-only", &since, format, TRUNK];
    let (log, mut ids) = (world.repo.run(args)?, Vec::new());
    for entry in log.split('\u{1}').skip(1) {
        let (head, paths) = entry.split_once('\u{2}').ok_or("a log entry without its end")?;
        let (first, message) = head.split_once('\n').unwrap_or((head, ""));
        let (id, time) = first.split_once(' ').ok_or("a log entry without its date")?;
        let time: i64 = time.parse()?;
        let soon = |fixes: &Vec<i64>| fixes.iter().any(|fix| (0..=WINDOW).contains(&(time - fix)));
        let paths: Vec<&str> = paths.split_whitespace().collect();
        let touches = paths.iter().any(|path| by_path.get(*path).is_some_and(soon));
        let names = bugs(message).iter().any(|bug| by_bug.get(bug).is_some_and(soon));
        if paths.len() <= FILES_MAX && (touches || names) {
            ids.push(id.parse()?);
        }
    }
    world.index.learn(&world.repo, &ids, |done, all| eprintln!("trunk: {done} of {all}"))?;
    Ok(ids)
}

impl<'a> Later<'a> {
    pub(crate) fn new(world: &'a World, trunk: &[Oid]) -> Later<'a> {
        let (mut by_path, mut by_bug) = (HashMap::new(), HashMap::new());
        for print in trunk.iter().filter_map(|id| world.index.get(&id.to_string())) {
            for path in &print.paths {
                by_path.entry(path.as_str()).or_insert_with(Vec::new).push(print);
            }
            for bug in &print.bugs {
                by_bug.entry(*bug).or_insert_with(Vec::new).push(print);
            }
        }
        Later { by_path, by_bug }
    }

    /// The signs that a person saw on the day of the backport: nothing later is looked at.
    pub(crate) fn signs(&self, world: &World, pair: &Pair) -> Vec<Danger> {
        let print = |id: &Oid| world.index.get(&id.to_string());
        let (Some(fix), Some(copy)) = (print(&pair.fix), print(&pair.copy)) else {
            return Vec::new();
        };
        let by_path = fix.paths.iter().filter_map(|path| self.by_path.get(path.as_str()));
        let by_bug = fix.bugs.iter().filter_map(|bug| self.by_bug.get(bug));
        let found: BTreeSet<Sign> = by_path
            .chain(by_bug)
            .flatten()
            .filter_map(|later| bears_on(fix, later, copy.committed))
            .collect();
        let danger = |sign| Danger { sign, path: String::new(), what: String::new() };
        found.into_iter().map(danger).collect()
    }
}

//! Measures this crate on the release branches of a real repository.
//!
//! `RINGFENCE_GLIBC_REPO=DIR cargo run --release -p ringfence-backport --example glibc -- there`
//!
//! Every commit of a release branch that says `(cherry picked from commit H)` with a known H is a
//! pair. `docs/BACKPORT.md` says what the figures mean.

#[path = "glibc/apply.rs"]
mod apply;
#[path = "glibc/curve.rs"]
mod curve;
#[path = "glibc/later.rs"]
mod later;
#[path = "glibc/names.rs"]
mod names;

use ringfence_backport::fingerprint::Fingerprint;
use ringfence_backport::message::same_id;
use ringfence_backport::repo::index::Index;
use ringfence_backport::there;
use ringfence_git::{Oid, Repo};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The trunk that fixes come from, and the branches they go to.
const TRUNK: &str = "refs/heads/master";
const BRANCHES: &str = "refs/heads/release/*/master";

/// A backport and what it was made from.
struct Pair {
    branch: usize,
    copy: Oid,
    fix: Oid,
}

struct World {
    repo: Repo,
    index: Index,
    /// Each branch's name and its own commits, newest first.
    branches: Vec<(String, Vec<Oid>)>,
    pairs: Vec<Pair>,
    /// The first parent of every commit of a pair.
    parents: HashMap<Oid, Oid>,
}

fn main() -> ExitCode {
    let Some(dir) = std::env::var_os("RINGFENCE_GLIBC_REPO") else {
        eprintln!("glibc: skipped: RINGFENCE_GLIBC_REPO names no repository");
        return ExitCode::SUCCESS;
    };
    let what = std::env::args().nth(1).unwrap_or_default();
    let run = || -> Result<()> {
        let mut world = World::open(&PathBuf::from(dir))?;
        // A part of the pairs: a fixed half by the backport's name, or those that a file lists.
        match std::env::args().nth(2).as_deref() {
            None => {}
            Some("half") => world.pairs.retain(|pair| pair.copy.to_string().as_bytes()[0] % 2 == 0),
            Some(file) => {
                let list = std::fs::read_to_string(file)?;
                let listed: HashSet<&str> = list.split_whitespace().collect();
                world.pairs.retain(|pair| listed.contains(pair.copy.to_string().as_str()));
            }
        }
        eprintln!("{} branches, {} pairs", world.branches.len(), world.pairs.len());
        match what.as_str() {
            "there" => world.there(),
            "apply" => {
                let trunk = later::learn(&mut world)?;
                apply::measure(&world, &trunk)
            }
            _ => Err("name a measurement: there, apply".into()),
        }
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("glibc: {error}");
            ExitCode::FAILURE
        }
    }
}

impl World {
    fn open(dir: &std::path::Path) -> Result<World> {
        let repo = Repo::open(dir)?;
        let mut branches = Vec::new();
        let refs = repo.run(["for-each-ref", "--format=%(refname)", BRANCHES])?;
        for name in refs.lines() {
            let not = format!("^{TRUNK}");
            let list = repo.run(["rev-list", "--no-merges", name, &not])?;
            let commits = list.lines().map(str::parse).collect::<std::result::Result<_, _>>()?;
            branches.push((name.to_owned(), commits));
        }
        let cache = std::env::var_os("RINGFENCE_CACHE").map(PathBuf::from);
        let mut index = Index::open(cache.as_deref());
        let own: Vec<Oid> =
            branches.iter().flat_map(|(_, own): &(_, Vec<Oid>)| own).copied().collect();
        index.learn(&repo, &own, |done, all| eprintln!("index: {done} of {all}"))?;
        let mut world = World { repo, index, branches, pairs: Vec::new(), parents: HashMap::new() };
        world.find_pairs()?;
        let fixes: Vec<Oid> = world.pairs.iter().map(|pair| pair.fix).collect();
        world.index.learn(&world.repo, &fixes, |done, all| eprintln!("index: {done} of {all}"))?;
        let ids: Vec<String> = world
            .pairs
            .iter()
            .flat_map(|pair| [pair.fix.to_string(), pair.copy.to_string()])
            .collect();
        let args = ["rev-list", "--no-walk=unsorted", "--parents", "--stdin"];
        let list = world.repo.run_with(args, (ids.join("\n") + "\n").as_bytes())?.text();
        for line in list.lines() {
            let mut names = line.split(' ').map(str::parse::<Oid>);
            if let (Some(Ok(id)), Some(Ok(parent))) = (names.next(), names.next()) {
                world.parents.insert(id, parent);
            }
        }
        Ok(world)
    }

    fn find_pairs(&mut self) -> Result<()> {
        let claims: HashSet<&str> = self
            .branches
            .iter()
            .flat_map(|(_, own)| own)
            .filter_map(|id| self.index.get(&id.to_string()))
            .flat_map(|print| print.origins.iter().map(|claim| claim.id.as_str()))
            .collect();
        let claims: Vec<&str> = claims.into_iter().collect();
        let asked: String = claims.iter().map(|id| format!("{id}^{{commit}}\n")).collect();
        let args = ["cat-file", "--batch-check=%(objectname)", "--buffer"];
        let answers = self.repo.run_with(args, asked.as_bytes())?.text();
        // An unknown name is answered by `NAME missing`.
        let names: HashMap<&str, Oid> = claims
            .iter()
            .zip(answers.lines())
            .filter_map(|(claim, answer)| Some((*claim, answer.parse().ok()?)))
            .collect();
        let (mut seen, mut pairs) = (HashSet::new(), Vec::new());
        for (branch, (_, own)) in self.branches.iter().enumerate() {
            for copy in own {
                let Some(print) = self.index.get(&copy.to_string()) else { continue };
                // What takes a backport back quotes its trailer.
                if !print.reverts.is_empty() {
                    continue;
                }
                for claim in &print.origins {
                    if let Some(fix) = names.get(claim.id.as_str())
                        && seen.insert(*copy)
                    {
                        pairs.push(Pair { branch, copy: *copy, fix: *fix });
                    }
                }
            }
        }
        self.pairs = pairs;
        Ok(())
    }

    fn print(&self, id: &Oid) -> Result<&Fingerprint> {
        self.index.get(&id.to_string()).ok_or_else(|| format!("no fingerprint of {id}").into())
    }

    /// Recall and precision of "already there", hash trailers not looked at.
    fn there(&self) -> Result<()> {
        let own: Vec<Vec<&Fingerprint>> = self
            .branches
            .iter()
            .map(|(_, own)| own.iter().filter_map(|id| self.index.get(&id.to_string())).collect())
            .collect();
        let (mut hit, mut ways) = (0, BTreeMap::new());
        for pair in &self.pairs {
            let fix = self.print(&pair.fix)?;
            match there::find(fix, &own[pair.branch], false) {
                Some(found) => {
                    hit += 1;
                    *ways.entry(found.ways).or_insert(0) += 1;
                }
                None => println!("missed {} as {} {}", pair.fix, pair.copy, fix.subject),
            }
        }
        let (mut wrong, negatives) = (0, self.negatives(&own)?);
        for (fix, branch) in &negatives {
            let fix = self.print(fix)?;
            if let Some(found) = there::find(fix, &own[*branch], false) {
                wrong += 1;
                println!(
                    "wrong {} on {} as {} {:?} {} | {}",
                    fix.id,
                    self.branches[*branch].0,
                    found.id,
                    found.ways,
                    fix.subject,
                    found.subject
                );
            }
        }
        for (ways, count) in ways {
            println!("{count:>6} by {ways:?}");
        }
        let all = self.pairs.len();
        println!("recall {:.3}% ({hit} of {all})", 100.0 * hit as f64 / all as f64);
        println!(
            "precision {:.3}% ({wrong} wrong among {} fixes that are not there)",
            100.0 * hit as f64 / (hit + wrong) as f64,
            negatives.len()
        );
        Ok(())
    }

    /// As many (fix, branch) as there are pairs, where no trailer on the branch names the fix and
    /// the fix is newer than the branch: chosen by a fixed order, not by chance.
    fn negatives(&self, own: &[Vec<&Fingerprint>]) -> Result<Vec<(Oid, usize)>> {
        let mut all = Vec::new();
        let fixes: HashSet<Oid> = self.pairs.iter().map(|pair| pair.fix).collect();
        for (branch, prints) in own.iter().enumerate() {
            let base = self.repo.run(["merge-base", TRUNK, &self.branches[branch].0])?;
            let range = format!("{}..{TRUNK}", base.trim());
            let newer = self.repo.run(["rev-list", &range])?;
            for id in newer.lines() {
                let id: Oid = id.parse()?;
                let full = id.to_string();
                let named = || {
                    let mut claims = prints.iter().flat_map(|print| &print.origins);
                    claims.any(|claim| same_id(&claim.id, &full))
                };
                if fixes.contains(&id) && !named() {
                    // A digest of both orders them in a way that no property of them shapes.
                    all.push((
                        ringfence_backport::fingerprint::line_hash(&format!("{full}{branch}")),
                        id,
                        branch,
                    ));
                }
            }
        }
        all.sort_unstable();
        all.truncate(self.pairs.len());
        Ok(all.into_iter().map(|(_, id, branch)| (id, branch)).collect())
    }
}

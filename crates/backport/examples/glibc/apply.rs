//! How much of what maintainers shipped the ladder makes, and how well the signs of danger find
//! the backports that merge cleanly and yet were shipped otherwise.

use crate::{Pair, Result, World};
use ringfence_backport::danger::{Danger, Sign, Versions, look, score, unknown_files};
use ringfence_backport::diff::Patch;
use ringfence_backport::fingerprint::{Fingerprint, is_release_note};
use ringfence_backport::repo::blobs::Blobs;
use ringfence_backport::repo::port::port;
use ringfence_backport::repo::record::Record;
use ringfence_backport::repo::run::repairs;
use ringfence_backport::repo::scratch::Scratch;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;

/// A pair whose plain merge is clean: whether it was shipped like that, and the signs.
struct Clean {
    same: bool,
    dangers: Vec<Danger>,
}

#[derive(Default)]
struct Counts {
    plain_same: usize,
    plain_other: usize,
    settled_same: usize,
    settled_other: usize,
    open: usize,
    failed: usize,
}

/// Carries every fix to the parent of its backport and compares the tree with the shipped one.
pub(crate) fn measure(world: &World) -> Result<()> {
    let scratch = Scratch::new(&world.repo)?;
    let mut record = Record::new(scratch.repo().clone());
    let mut blobs = Blobs::open(scratch.repo())?;
    let (mut counts, mut clean) = (Counts::default(), Vec::new());
    let later = later_fixes(world)?;
    let mut patches: HashMap<String, Patch> = HashMap::new();
    for (at, pair) in world.pairs.iter().enumerate() {
        if at % 500 == 0 {
            eprintln!("apply: {at} of {}", world.pairs.len());
        }
        let done = one(
            world,
            &mut record,
            &mut blobs,
            pair,
            &later,
            &mut patches,
            &mut counts,
            &mut clean,
        );
        if let Err(error) = done {
            // Snapshots of repositories lack objects here and there.
            println!("not measured: {}: {error}", pair.copy);
        }
    }
    let all = world.pairs.len();
    let share = |count: usize| 100.0 * count as f64 / all as f64;
    println!("pairs {all}");
    println!(
        "plain merge clean and as shipped {} ({:.2}%)",
        counts.plain_same,
        share(counts.plain_same)
    );
    println!(
        "plain merge clean and not as shipped {} ({:.2}%)",
        counts.plain_other,
        share(counts.plain_other)
    );
    println!(
        "settled by the ladder and as shipped {} ({:.2}%)",
        counts.settled_same,
        share(counts.settled_same)
    );
    println!("settled by the ladder and not as shipped {}", counts.settled_other);
    println!("left open {}, unreadable {}", counts.open, counts.failed);
    println!("code as shipped {:.2}%", share(counts.plain_same + counts.settled_same));
    curve(&clean);
    Ok(())
}

/// The fixes that are known, by the files they touch, for the sign of a follow-up.
fn later_fixes(world: &World) -> Result<Vec<&Fingerprint>> {
    let mut ids: Vec<String> = world.pairs.iter().map(|pair| pair.fix.to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids.iter().filter_map(|id| world.index.get(id)).collect())
}

#[expect(clippy::too_many_arguments, reason = "one loop's body with the loop's state")]
fn one(
    world: &World,
    record: &mut Record,
    blobs: &mut Blobs,
    pair: &Pair,
    later: &[&Fingerprint],
    patches: &mut HashMap<String, Patch>,
    counts: &mut Counts,
    clean: &mut Vec<Clean>,
) -> Result<()> {
    let parent = |id: &ringfence_git::Oid| world.parents.get(id).copied().ok_or("a first commit");
    let (before, onto) = (parent(&pair.fix)?, parent(&pair.copy)?);
    let Ok(carried) = port(record, false, blobs, before, pair.fix, onto) else {
        counts.failed += 1;
        return Ok(());
    };
    let plain = carried.code_conflicts().next().is_none();
    let Some(tree) = carried.tree else {
        counts.open += 1;
        return Ok(());
    };
    let args = [
        "diff-tree",
        "-r",
        "--no-renames",
        "--name-only",
        &tree.to_string(),
        &pair.copy.to_string(),
    ];
    let differ = record.repo().run(args)?;
    let same = differ.lines().all(is_release_note);
    match (plain, same) {
        (true, true) => counts.plain_same += 1,
        (true, false) => counts.plain_other += 1,
        (false, true) => counts.settled_same += 1,
        (false, false) => counts.settled_other += 1,
    }
    if !plain {
        return Ok(());
    }
    let id = pair.fix.to_string();
    if !patches.contains_key(&id) {
        let text = String::from_utf8_lossy(&world.repo.patch(pair.fix)?).into_owned();
        patches.insert(id.clone(), Patch::read(&text));
    }
    let mut dangers = Vec::new();
    for file in
        patches[&id].files.iter().filter(|file| !file.binary && !is_release_note(&file.new_path))
    {
        let mut text = |rev: &dyn std::fmt::Display, path: &str| -> Result<String> {
            Ok(blobs.text(&format!("{rev}:{path}")).ok().flatten().unwrap_or_default())
        };
        let (base, theirs) = (text(&before, &file.old_path)?, text(&pair.fix, &file.new_path)?);
        let (ours, merged) = (text(&onto, &file.old_path)?, text(&tree, &file.new_path)?);
        let versions = Versions {
            path: &file.new_path,
            base: &base,
            theirs: &theirs,
            ours: &ours,
            merged: &merged,
        };
        dangers.extend(look(&versions));
        let mut has = |rev: &ringfence_git::Oid, path: &str| {
            blobs.get(&format!("{rev}:{path}")).is_ok_and(|f| f.is_some())
        };
        dangers.extend(unknown_files(file, &mut |path| has(&pair.fix, path) && !has(&onto, path)));
    }
    if let Some(print) = world.index.get(&id) {
        let followed = later.iter().any(|other| repairs(print, other));
        dangers.extend(followed.then(|| Danger {
            sign: Sign::FollowUp,
            path: String::new(),
            what: String::new(),
        }));
    }
    if let Some(path) = std::env::var_os("RINGFENCE_SIGNS") {
        let signs: std::collections::BTreeSet<_> =
            dangers.iter().map(|d| format!("{:?}", d.sign)).collect();
        let signs: Vec<_> = signs.into_iter().collect();
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        writeln!(file, "{} {} {same} {}", pair.copy, pair.fix, signs.join(","))?;
    }
    clean.push(Clean { same, dangers });
    Ok(())
}

/// Prints, for each threshold, what share of the dangerous pairs is flagged and what share of the
/// others.
fn curve(clean: &[Clean]) {
    let mut by_score: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
    for pair in clean {
        let entry = by_score.entry((score(&pair.dangers) * 100.0) as u64).or_default();
        if pair.same { entry.1 += 1 } else { entry.0 += 1 }
    }
    let dangerous = clean.iter().filter(|pair| !pair.same).count();
    let harmless = clean.len() - dangerous;
    println!("\nthreshold  flagged of {dangerous} dangerous  false alarms of {harmless}");
    let (mut hits, mut alarms) = (0, 0);
    for (score, (hit, alarm)) in by_score.iter().rev() {
        (hits, alarms) = (hits + hit, alarms + alarm);
        println!(
            "{:>9.2}  {hits:>4} {:>5.1}%  {alarms:>4} {:>5.2}%",
            *score as f64 / 100.0,
            100.0 * hits as f64 / dangerous.max(1) as f64,
            100.0 * alarms as f64 / harmless.max(1) as f64
        );
    }
    for sign in ringfence_backport::danger::SIGNS {
        let count = |same| {
            clean
                .iter()
                .filter(|pair| pair.same == same && pair.dangers.iter().any(|d| d.sign == *sign))
                .count()
        };
        println!("{sign:?}: {} of the dangerous, {} of the others", count(false), count(true));
    }
}

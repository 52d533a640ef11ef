//! How much of what maintainers shipped the ladder makes, and how well the signs of danger find
//! the backports that merge cleanly and yet were shipped otherwise.

use crate::curve::{self, Clean};
use crate::later::Later;
use crate::names::Names;
use crate::{Pair, Result, World};
use ringfence_backport::danger::{Danger, Sign, Versions, look, unknown_files};
use ringfence_backport::diff::{Patch, Side};
use ringfence_backport::fingerprint::is_release_note;
use ringfence_backport::names::{identifiers, naming_part, needed};
use ringfence_backport::repo::blobs::Blobs;
use ringfence_backport::repo::port::{Becomes, Stages, conflicts, decide};
use ringfence_backport::repo::scratch::Scratch;
use ringfence_git::{Oid, Repo};
use std::collections::{BTreeMap, BTreeSet, HashMap};

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
pub(crate) fn measure(world: &World, trunk: &[Oid]) -> Result<()> {
    let scratch = Scratch::new(&world.repo)?;
    let repo = scratch.repo();
    let mut blobs = Blobs::open(repo)?;
    let mut merges = Vec::new();
    for batch in world.pairs.chunks(256) {
        merge(world, repo, batch, &mut merges)?;
        eprintln!("merged {} of {}", merges.len(), world.pairs.len());
    }
    let differ = differences(repo, &world.pairs, &merges)?;
    let (mut counts, mut clean) = (Counts::default(), Vec::new());
    let later = Later::new(world, trunk);
    let (mut patches, mut names) = (HashMap::new(), Names::default());
    for ((pair, merge), differ) in world.pairs.iter().zip(&merges).zip(&differ) {
        let Some(merge) = merge else {
            counts.failed += 1;
            continue;
        };
        let conflicts = merge.conflicts.keys().any(|path| !is_release_note(path));
        if conflicts && std::env::var_os("RINGFENCE_DUMP").is_some() {
            for path in differ.iter().filter(|path| !merge.conflicts.contains_key(*path)) {
                println!("OTHER {} {} {path}", pair.copy, pair.fix);
            }
        }
        let outcome = if conflicts {
            settled(&mut blobs, pair, merge, differ)?
        } else {
            Some(differ.is_empty())
        };
        match (conflicts, outcome) {
            (false, Some(true)) => counts.plain_same += 1,
            (false, _) => counts.plain_other += 1,
            (true, Some(true)) => counts.settled_same += 1,
            (true, Some(false)) => counts.settled_other += 1,
            (true, None) => counts.open += 1,
        }
        if !conflicts {
            if std::env::var_os("RINGFENCE_DUMP").is_some() {
                continue;
            }
            let mut dangers = signs(world, &mut blobs, pair, merge, &mut patches, &mut names)?;
            dangers.extend(later.signs(world, pair));
            if std::env::var_os("RINGFENCE_VERBOSE").is_some() {
                let signs: std::collections::BTreeSet<_> =
                    dangers.iter().map(|danger| danger.sign).collect();
                println!("{} {} as shipped: {} {signs:?}", pair.copy, pair.fix, differ.is_empty());
            }
            let same = differ.is_empty();
            clean.push(Clean { fix: pair.fix, same, dangers });
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
    curve::report(&clean)
}

/// The plain merge of one pair.
struct Merge {
    tree: String,
    conflicts: BTreeMap<String, Stages>,
}

/// Merges a batch in one git; where it cannot read an object, the halves of the batch.
fn merge(world: &World, repo: &Repo, batch: &[Pair], found: &mut Vec<Option<Merge>>) -> Result<()> {
    let parent = |id: &Oid| world.parents.get(id).map(Oid::to_string).unwrap_or_default();
    let line =
        |pair: &Pair| format!("{} -- {} {}\n", parent(&pair.fix), parent(&pair.copy), pair.fix);
    let input: String = batch.iter().map(line).collect();
    let output =
        repo.call(["merge-tree", "--write-tree", "--no-messages", "--stdin"], input.as_bytes())?;
    if output.code != Some(0) {
        if let [_] = batch {
            found.push(None);
        } else {
            let (left, right) = batch.split_at(batch.len() / 2);
            merge(world, repo, left, found)?;
            merge(world, repo, right, found)?;
        }
        return Ok(());
    }
    let text = output.text();
    let mut parts = text.split('\0');
    for _ in batch {
        let (_status, tree) = (parts.next(), parts.next().ok_or("merge-tree ended early")?);
        found.push(Some(Merge { tree: tree.to_owned(), conflicts: conflicts(&mut parts) }));
    }
    Ok(())
}

/// The paths, release notes aside, in which each merge differs from what was shipped.
fn differences(repo: &Repo, pairs: &[Pair], merges: &[Option<Merge>]) -> Result<Vec<Vec<String>>> {
    let ids: String = pairs.iter().map(|pair| format!("{}^{{tree}}\n", pair.copy)).collect();
    let trees = repo
        .run_with(["cat-file", "--batch-check=%(objectname)", "--buffer"], ids.as_bytes())?
        .text();
    let trees: Vec<&str> = trees.lines().collect();
    let mut input = String::new();
    for (merge, tree) in merges.iter().zip(&trees) {
        if let Some(merge) = merge {
            input.push_str(&format!("{} {tree}\n", merge.tree));
        }
    }
    let args = ["diff-tree", "-r", "--no-renames", "--name-only", "--stdin"];
    let text = repo.run_with(args, input.as_bytes())?.text();
    let mut lists = text.split_inclusive('\n').map(str::trim_end).peekable();
    let mut found = Vec::new();
    for (merge, tree) in merges.iter().zip(&trees) {
        let Some(merge) = merge else {
            found.push(Vec::new());
            continue;
        };
        let head = format!("{} {tree}", merge.tree);
        let mut differ = Vec::new();
        if lists.peek() == Some(&head.as_str()) {
            lists.next();
            while let Some(path) =
                lists.next_if(|line| !line.contains(' ') || line.len() != head.len())
            {
                if !is_release_note(path) {
                    differ.push(path.to_owned());
                }
            }
        }
        found.push(differ);
    }
    Ok(found)
}

/// Whether the ladder makes what was shipped; `None` when it leaves a conflict open.
fn settled(
    blobs: &mut Blobs,
    pair: &Pair,
    merge: &Merge,
    differ: &[String],
) -> Result<Option<bool>> {
    let mut same = differ.iter().all(|path| merge.conflicts.contains_key(path));
    for (path, stages) in merge.conflicts.iter().filter(|(path, _)| !is_release_note(path)) {
        let Ok((file, becomes)) = decide(blobs, path, stages) else { return Ok(None) };
        let shipped = blobs.get(&format!("{}:{path}", pair.copy))?;
        if let Some(dir) = std::env::var_os("RINGFENCE_DUMP") {
            let ok = match &becomes {
                Becomes::Gone => shipped.is_none(),
                Becomes::Ours => false,
                Becomes::Text { text, .. } => shipped.as_ref() == Some(text),
            };
            let ids: Vec<String> =
                stages.iter().map(|s| s.as_ref().map_or("-".into(), |s| s.1.clone())).collect();
            println!(
                "CONF {} {} {path} open={} ok={ok} steps={:?} whole={:?} {}",
                pair.copy,
                pair.fix,
                file.open,
                file.steps,
                file.whole,
                ids.join(" ")
            );
            if let Becomes::Text { text, .. } = &becomes {
                std::fs::write(
                    std::path::Path::new(&dir).join(format!(
                        "{}.{}",
                        &pair.copy.to_string()[..12],
                        path.replace('/', "_")
                    )),
                    text,
                )?;
            }
        }
        if file.open > 0 && std::env::var_os("RINGFENCE_DUMP").is_none() {
            return Ok(None);
        }
        same &= match becomes {
            Becomes::Gone => shipped.is_none(),
            Becomes::Ours => false,
            Becomes::Text { text, .. } => shipped == Some(text),
        };
    }
    Ok(Some(same))
}

/// The signs of danger of a clean merge.
fn signs(
    world: &World,
    blobs: &mut Blobs,
    pair: &Pair,
    merge: &Merge,
    patches: &mut HashMap<String, Patch>,
    names: &mut Names,
) -> Result<Vec<Danger>> {
    let tree = &merge.tree;
    let parent = |id: &Oid| world.parents.get(id).copied().ok_or("a first commit");
    let (before, onto) = (parent(&pair.fix)?, parent(&pair.copy)?);
    let id = pair.fix.to_string();
    if !patches.contains_key(&id) {
        let text = world.repo.patch(pair.fix).unwrap_or_default();
        patches.insert(id.clone(), Patch::read(&String::from_utf8_lossy(&text)));
    }
    let mut dangers = Vec::new();
    for file in
        patches[&id].files.iter().filter(|file| !file.binary && !is_release_note(&file.new_path))
    {
        let mut text = |rev: &dyn std::fmt::Display, path: &str| -> Result<String> {
            Ok(blobs.text(&format!("{rev}:{path}")).ok().flatten().unwrap_or_default())
        };
        let (base, theirs) = (text(&before, &file.old_path)?, text(&pair.fix, &file.new_path)?);
        let (ours, merged) = (text(&onto, &file.old_path)?, text(tree, &file.new_path)?);
        let versions = Versions {
            path: &file.new_path,
            base: &base,
            theirs: &theirs,
            ours: &ours,
            merged: &merged,
        };
        dangers.extend(look(&versions));
        let mut has =
            |rev: &Oid, path: &str| blobs.get(&format!("{rev}:{path}")).is_ok_and(|f| f.is_some());
        let merged: Oid = tree.parse()?;
        dangers
            .extend(unknown_files(file, &mut |path| has(&pair.fix, path) && !has(&merged, path)));
    }
    let wanted = unknown(&mut *blobs, &patches[&id], &onto)?;
    if !wanted.is_empty() {
        let gone = names.lacking(blobs, &format!("{onto}^{{tree}}"), &wanted)?;
        let new = names.lacking(blobs, &format!("{before}^{{tree}}"), &gone)?;
        for name in gone.iter().filter(|name| !new.contains(name)) {
            let what = format!("`{name}` is not on the branch");
            dangers.push(Danger { sign: Sign::MissingName, path: String::new(), what });
        }
    }
    Ok(dangers)
}

/// Names that the fix needs and that the branch's versions of its files do not hold.
fn unknown(blobs: &mut Blobs, patch: &Patch, onto: &Oid) -> Result<Vec<String>> {
    let (mut added, mut before) = (Vec::new(), Vec::new());
    let mut known: BTreeSet<String> = BTreeSet::new();
    for file in patch.files.iter().filter(|file| !is_release_note(&file.new_path)) {
        for hunk in &file.hunks {
            added.extend(hunk.only(Side::Added).map(|line| naming_part(&file.new_path, line)));
            before.extend(hunk.pre_image());
        }
        let text = blobs.text(&format!("{onto}:{}", file.old_path)).ok().flatten();
        let text = text.unwrap_or_default();
        known.extend(text.lines().flat_map(identifiers).map(str::to_owned));
    }
    let mut names = needed(added.into_iter(), before.into_iter());
    names.retain(|name| !known.contains(name));
    Ok(names.into_iter().collect())
}

//! Carrying a commit to a branch: git's three-way merge first, [`crate::merge`] where it stops.

use super::blobs::Blobs;
use super::record::Record;
use crate::fingerprint::is_release_note;
use crate::merge::carry;
use crate::settled::{Settled, Whole};
use ringfence_git::{Error, Oid, Output};
use std::collections::BTreeMap;

/// A commit carried to a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The evidence of the merge that was tried first, if it was kept.
    pub by: Option<usize>,
    /// The tree of that merge.
    pub plain_tree: Oid,
    /// The files it left in conflict, and what became of them.
    pub settled: Vec<Settled>,
    /// The whole result; `None` while a conflict is open.
    pub tree: Option<Oid>,
}

impl Port {
    /// Whether the plain merge was enough.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.settled.is_empty()
    }

    /// The files in conflict other than release notes.
    pub fn code_conflicts(&self) -> impl Iterator<Item = &Settled> {
        self.settled.iter().filter(|file| file.whole != Some(Whole::ReleaseNote))
    }
}

/// Reads the conflicts that `git merge-tree -z` lists, up to the empty part behind them.
pub fn conflicts<'a>(parts: &mut impl Iterator<Item = &'a str>) -> BTreeMap<String, Stages> {
    let mut found: BTreeMap<String, Stages> = BTreeMap::new();
    for part in parts.take_while(|part| !part.is_empty()) {
        let Some((head, path)) = part.split_once('\t') else { continue };
        let [mode, id, stage] = head.splitn(3, ' ').collect::<Vec<_>>()[..] else { continue };
        let stage = stage.parse::<usize>().unwrap_or(1).clamp(1, 3) - 1;
        found.entry(path.to_owned()).or_default()[stage] = Some((mode.to_owned(), id.to_owned()));
    }
    found
}

/// A path's three versions in a conflict: mode and object, by stage.
pub type Stages = [Option<(String, String)>; 3];

/// The arguments of git's three-way merge that carries a change to `onto`.
#[must_use]
pub fn merge_args(before: Oid, after: Oid, onto: Oid) -> [String; 7] {
    let base = format!("--merge-base={before}");
    let fixed = ["merge-tree", "--write-tree", "--no-messages", "-z"].map(str::to_owned);
    let [tree, write, quiet, z] = fixed;
    [tree, write, quiet, z, base, onto.to_string(), after.to_string()]
}

/// Carries the change from `before` to `after` (two commits or trees) to `onto`. With `keep`, what
/// the ladder does is kept as evidence, so that its tree can be made again from the report.
///
/// # Errors
///
/// When git lacks an object or refuses.
pub fn port(
    record: &mut Record,
    keep: bool,
    blobs: &mut Blobs,
    before: Oid,
    after: Oid,
    onto: Oid,
) -> Result<Port, Error> {
    let command = merge_args(before, after, onto);
    let output = record.ask(&command)?;
    if !matches!(output.code, Some(0 | 1)) {
        return Err(output.into_error());
    }
    let text = output.text();
    let mut parts = text.split('\0');
    let first = parts.next().unwrap_or_default();
    let plain_tree: Oid = first.trim().parse().map_err(|_| Error::Answer {
        command: output.command.clone(),
        what: first.chars().take(80).collect(),
    })?;
    let conflicts = conflicts(&mut parts);
    let by = keep.then(|| {
        let status = output.code.unwrap_or(128);
        record.keep(command.to_vec(), None, None, status, &output.stdout)
    });
    if conflicts.is_empty() {
        return Ok(Port { by, plain_tree, settled: Vec::new(), tree: Some(plain_tree) });
    }
    let mut settled = Vec::new();
    let mut entries = String::new();
    for (path, stages) in &conflicts {
        let (file, entry) = settle(record, keep, blobs, path, stages)?;
        settled.push(file);
        entries.push_str(&entry);
    }
    let resolved = settled.iter().all(|file| file.open == 0);
    let tree = if resolved { Some(write_tree(record, keep, plain_tree, &entries)?) } else { None };
    Ok(Port { by, plain_tree, settled, tree })
}

/// Writes the tree of the plain merge with these entries in it.
fn write_tree(record: &mut Record, keep: bool, plain: Oid, entries: &str) -> Result<Oid, Error> {
    let plain = plain.to_string();
    let mut last = None;
    for (args, input) in [
        (&["read-tree", &plain][..], None),
        (&["update-index", "--index-info"][..], Some(entries)),
        (&["write-tree"][..], None),
    ] {
        let output = run(record, keep, args, input)?;
        if output.code != Some(0) {
            return Err(output.into_error());
        }
        last = Some(output);
    }
    let name = last.as_ref().map(Output::text).unwrap_or_default();
    name.trim().parse().map_err(|_| Error::Answer { command: "git write-tree".into(), what: name })
}

fn run(
    record: &mut Record,
    keep: bool,
    args: &[&str],
    input: Option<&str>,
) -> Result<Output, Error> {
    if keep {
        Ok(record.git_anew(args, input)?.1)
    } else {
        record.repo().call(args, input.unwrap_or_default().as_bytes())
    }
}

/// Settles one file; also gives its line for `git update-index --index-info`.
fn settle(
    record: &mut Record,
    keep: bool,
    blobs: &mut Blobs,
    path: &str,
    stages: &Stages,
) -> Result<(Settled, String), Error> {
    let (file, becomes) = decide(blobs, path, stages)?;
    let id_len = stages.iter().flatten().map(|(_, id)| id.len()).max().unwrap_or(40);
    let gone = || format!("0 {}\t{path}\n", "0".repeat(id_len));
    let entry = match becomes {
        Becomes::Gone => gone(),
        Becomes::Ours => {
            stages[1].as_ref().map_or_else(gone, |(mode, id)| format!("{mode} {id}\t{path}\n"))
        }
        Becomes::Text { mode, text } => {
            let args = ["hash-object", "-w", "--stdin"];
            let id = match std::str::from_utf8(&text) {
                Ok(text) => run(record, keep, &args, Some(text))?.text(),
                // A report is text: what is not cannot be kept in it.
                Err(_) => record.repo().run_with(args, &text)?.text(),
            };
            format!("{mode} {}\t{path}\n", id.trim())
        }
    };
    Ok((file, entry))
}

/// What a file in conflict becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Becomes {
    /// It is not there.
    Gone,
    /// It stays as the branch has it.
    Ours,
    /// It is a file of this mode and text.
    Text {
        /// Git's mode.
        mode: String,
        /// Its contents; with conflict markers where conflicts are open.
        text: Vec<u8>,
    },
}

/// Decides about one file in conflict.
///
/// # Errors
///
/// When git cannot read one of its versions.
pub fn decide(blobs: &mut Blobs, path: &str, stages: &Stages) -> Result<(Settled, Becomes), Error> {
    let whole = |whole, open| {
        let file = Settled { path: path.to_owned(), steps: Vec::new(), open, whole: Some(whole) };
        let becomes = if matches!(whole, Whole::NotOnBranch | Whole::Removed) {
            Becomes::Gone
        } else {
            Becomes::Ours
        };
        Ok((file, becomes))
    };
    if is_release_note(path) {
        return whole(Whole::ReleaseNote, 0);
    }
    let ((mode, base), ours, theirs) = match stages {
        [Some(base), Some(ours), Some(theirs)] => (base.clone(), ours, theirs),
        [None, Some(ours), Some(theirs)] => ((ours.0.clone(), String::new()), ours, theirs),
        [Some(_), None, Some(_)] => return whole(Whole::NotOnBranch, 0),
        [Some(_), Some(_), None] => return whole(Whole::Removed, 0),
        // Added on one side under a name that a rename claims on the other.
        _ => return whole(Whole::NoText, 1),
    };
    let mut texts = Vec::new();
    for id in [&base, &ours.1, &theirs.1] {
        let text = if id.is_empty() { Some(Vec::new()) } else { blobs.get(id)? };
        texts.extend(text.filter(|text| !text.contains(&0)));
    }
    let plain_file = [&mode, &ours.0, &theirs.0].iter().all(|mode| mode.starts_with("100"));
    let ([base, mine, new], true) = (&texts[..], plain_file) else {
        return whole(Whole::NoText, 1);
    };
    let merged = carry(base, mine, new);
    let steps = merged.deviations.iter().map(|step| (step.rung, step.line)).collect();
    let mode = if mode == ours.0 { theirs.0.clone() } else { ours.0.clone() };
    let file = Settled { path: path.to_owned(), steps, open: merged.conflicts.len(), whole: None };
    Ok((file, Becomes::Text { mode, text: merged.text }))
}

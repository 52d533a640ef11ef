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

/// A path's three versions in a conflict: mode and object, by stage.
type Stages = [Option<(String, String)>; 3];

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
    let base = format!("--merge-base={before}");
    let (ours, theirs) = (onto.to_string(), after.to_string());
    let command = ["merge-tree", "--write-tree", "--no-messages", "-z", &base, &ours, &theirs];
    let output = record.repo().call(command, b"")?;
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
    let mut conflicts: BTreeMap<&str, Stages> = BTreeMap::new();
    for part in parts.take_while(|part| !part.is_empty()) {
        let Some((head, path)) = part.split_once('\t') else { continue };
        let [mode, id, stage] = head.splitn(3, ' ').collect::<Vec<_>>()[..] else { continue };
        let stage = stage.parse::<usize>().unwrap_or(1).clamp(1, 3) - 1;
        conflicts.entry(path).or_default()[stage] = Some((mode.to_owned(), id.to_owned()));
    }
    let by = keep.then(|| {
        let status = output.code.unwrap_or(128);
        record.keep(command.map(str::to_owned).to_vec(), None, None, status, &output.stdout)
    });
    if conflicts.is_empty() {
        return Ok(Port { by, plain_tree, settled: Vec::new(), tree: Some(plain_tree) });
    }
    let mut settled = Vec::new();
    let mut entries = String::new();
    for (path, stages) in conflicts {
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
    stages: Stages,
) -> Result<(Settled, String), Error> {
    let path_text = path.to_owned();
    let whole = |whole, open| Settled {
        path: path_text.clone(),
        steps: Vec::new(),
        open,
        whole: Some(whole),
    };
    let id_len = stages.iter().flatten().map(|(_, id)| id.len()).max().unwrap_or(40);
    let gone = format!("0 {}\t{path}\n", "0".repeat(id_len));
    let stay = |side: &Option<(String, String)>| match side {
        Some((mode, id)) => format!("{mode} {id}\t{path}\n"),
        None => gone.clone(),
    };
    if is_release_note(path) {
        return Ok((whole(Whole::ReleaseNote, 0), stay(&stages[1])));
    }
    let ((mode, base), ours, theirs) = match &stages {
        [Some(base), Some(ours), Some(theirs)] => (base.clone(), ours, theirs),
        [None, Some(ours), Some(theirs)] => ((ours.0.clone(), String::new()), ours, theirs),
        [Some(_), None, Some(_)] => return Ok((whole(Whole::NotOnBranch, 0), gone)),
        [Some(_), Some(_), None] => return Ok((whole(Whole::Removed, 0), gone)),
        // Added on one side under a name that a rename claims on the other.
        _ => return Ok((whole(Whole::NoText, 1), stay(&stages[1]))),
    };
    let mut texts = Vec::new();
    for id in [&base, &ours.1, &theirs.1] {
        let text = if id.is_empty() { Some(Vec::new()) } else { blobs.get(id)? };
        texts.extend(text.filter(|text| !text.contains(&0)));
    }
    let plain_file = [&mode, &ours.0, &theirs.0].iter().all(|mode| mode.starts_with("100"));
    let [base, mine, new] = &texts[..] else {
        return Ok((whole(Whole::NoText, 1), stay(&stages[1])));
    };
    if !plain_file {
        return Ok((whole(Whole::NoText, 1), stay(&stages[1])));
    }
    let merged = carry(base, mine, new);
    let args = ["hash-object", "-w", "--stdin"];
    let id = match std::str::from_utf8(&merged.text) {
        Ok(text) => run(record, keep, &args, Some(text))?.text(),
        // A report is text: what is not cannot be kept in it.
        Err(_) => record.repo().run_with(args, &merged.text)?.text(),
    };
    let steps = merged.deviations.iter().map(|step| (step.rung, step.line)).collect();
    let mode = if mode == ours.0 { &theirs.0 } else { &ours.0 };
    let file = Settled { path: path.to_owned(), steps, open: merged.conflicts.len(), whole: None };
    Ok((file, format!("{mode} {}\t{path}\n", id.trim())))
}

//! Carrying a commit to a branch: git's three-way merge first, [`crate::merge`] where it stops.

use super::blobs::Blobs;
use crate::fingerprint::is_release_note;
use crate::merge::carry;
use crate::settled::{Settled, Whole};
use ringfence_git::{Error, Oid, Repo};
use std::collections::BTreeMap;

/// A commit carried to a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The arguments of the merge that was tried first.
    pub command: Vec<String>,
    /// Its exit status and its output.
    pub answer: (i32, Vec<u8>),
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

/// Carries the change from `before` to `after` (two commits or trees) to `onto`, writing objects
/// to `repo`.
///
/// # Errors
///
/// When git lacks an object or refuses.
pub fn port(
    repo: &Repo,
    blobs: &mut Blobs,
    before: Oid,
    after: Oid,
    onto: Oid,
) -> Result<Port, Error> {
    let base = format!("--merge-base={before}");
    let (ours, theirs) = (onto.to_string(), after.to_string());
    let command = ["merge-tree", "--write-tree", "--no-messages", "-z", &base, &ours, &theirs];
    let output = repo.call(command, b"")?;
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
    let command = command.map(str::to_owned).to_vec();
    let answer = (output.code.unwrap_or(128), output.stdout.clone());
    if conflicts.is_empty() {
        return Ok(Port {
            command,
            answer,
            plain_tree,
            settled: Vec::new(),
            tree: Some(plain_tree),
        });
    }
    let mut settled = Vec::new();
    let mut entries = String::new();
    for (path, stages) in conflicts {
        let (file, entry) = settle(repo, blobs, path, stages)?;
        settled.push(file);
        entries.push_str(&entry);
    }
    let tree = if settled.iter().all(|file| file.open == 0) {
        repo.run(["read-tree", &plain_tree.to_string()])?;
        repo.run_with(["update-index", "-z", "--index-info"], entries.as_bytes())?;
        let output = repo.run_with(["write-tree"], b"")?;
        let text = output.text();
        Some(
            text.trim()
                .parse()
                .map_err(|_| Error::Answer { command: output.command, what: text })?,
        )
    } else {
        None
    };
    Ok(Port { command, answer, plain_tree, settled, tree })
}

/// Settles one file; also gives its line for `git update-index -z --index-info`.
fn settle(
    repo: &Repo,
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
    let gone = format!("0 {}\t{path}\0", "0".repeat(id_len));
    let keep = |side: &Option<(String, String)>| match side {
        Some((mode, id)) => format!("{mode} {id}\t{path}\0"),
        None => gone.clone(),
    };
    if is_release_note(path) {
        return Ok((whole(Whole::ReleaseNote, 0), keep(&stages[1])));
    }
    let ((mode, base), ours, theirs) = match &stages {
        [Some(base), Some(ours), Some(theirs)] => (base.clone(), ours, theirs),
        [None, Some(ours), Some(theirs)] => ((ours.0.clone(), String::new()), ours, theirs),
        [Some(_), None, Some(_)] => return Ok((whole(Whole::NotOnBranch, 0), gone)),
        [Some(_), Some(_), None] => return Ok((whole(Whole::Removed, 0), gone)),
        // Added on one side under a name that a rename claims on the other.
        _ => return Ok((whole(Whole::NoText, 1), keep(&stages[1]))),
    };
    let mut texts = Vec::new();
    for id in [&base, &ours.1, &theirs.1] {
        let text = if id.is_empty() { Some(Vec::new()) } else { blobs.get(id)? };
        texts.extend(text.filter(|text| !text.contains(&0)));
    }
    let plain_file = [&mode, &ours.0, &theirs.0].iter().all(|mode| mode.starts_with("100"));
    let [base, mine, new] = &texts[..] else {
        return Ok((whole(Whole::NoText, 1), keep(&stages[1])));
    };
    if !plain_file {
        return Ok((whole(Whole::NoText, 1), keep(&stages[1])));
    }
    let merged = carry(base, mine, new);
    let id = repo.run_with(["hash-object", "-w", "--stdin"], &merged.text)?.text();
    let steps = merged.deviations.iter().map(|step| (step.rung, step.line)).collect();
    let mode = if mode == ours.0 { &theirs.0 } else { &ours.0 };
    let file = Settled { path: path.to_owned(), steps, open: merged.conflicts.len(), whole: None };
    Ok((file, format!("{mode} {}\t{path}\0", id.trim())))
}

//! A store of fingerprints that outlives a run.
//!
//! A fingerprint depends on its commit alone, so an entry never goes stale, and one store serves
//! every branch and every fix. It is a file of JSON lines: a line that cannot be read (another
//! version, a disk that was full) is passed over and made again.

use crate::diff::Patch;
use crate::fingerprint::Fingerprint;
use ringfence_git::{Error, Oid, Repo};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Part of the file's name: another version of [`Fingerprint`] never reads this one's entries.
const VERSION: u32 = 2;

/// Commits handed to one `git log`.
const BATCH: usize = 512;

/// The store. Copies of it learn apart and share the file.
#[derive(Debug, Clone)]
pub struct Index {
    file: Option<PathBuf>,
    known: HashMap<String, Fingerprint>,
}

impl Index {
    /// Opens the store in `dir`, which may not exist yet; `None` keeps it in memory alone.
    #[must_use]
    pub fn open(dir: Option<&Path>) -> Index {
        let file = dir.map(|dir| dir.join(format!("fingerprints.v{VERSION}.jsonl")));
        let text = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        let lines = text.as_deref().unwrap_or_default().lines();
        let entries = lines.filter_map(|line| serde_json::from_str::<Fingerprint>(line).ok());
        Index { known: entries.map(|entry| (entry.id.clone(), entry)).collect(), file }
    }

    /// Fingerprints that are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The fingerprint of a commit that [`Index::learn`] has seen.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Fingerprint> {
        self.known.get(id)
    }

    /// Makes sure that all of `commits` are known; `progress` hears how many of how many are.
    /// Merges among them have no change of their own and get an entry without lines.
    ///
    /// # Errors
    ///
    /// When git does not have a commit. A store that cannot be written is no error: the next run
    /// is slower.
    pub fn learn(
        &mut self,
        repo: &Repo,
        commits: &[Oid],
        mut progress: impl FnMut(usize, usize),
    ) -> Result<(), Error> {
        let mut missing: Vec<String> = commits.iter().map(Oid::to_string).collect();
        missing.retain(|id| !self.known.contains_key(id));
        missing.sort_unstable();
        missing.dedup();
        for (done, batch) in missing.chunks(BATCH).enumerate() {
            progress(done * BATCH, missing.len());
            let mut made = Vec::new();
            self.read(repo, batch, &mut made)?;
            self.append(&made);
            self.known.extend(made.into_iter().map(|entry| (entry.id.clone(), entry)));
        }
        if !missing.is_empty() {
            progress(missing.len(), missing.len());
        }
        Ok(())
    }

    /// Reads a batch; when git cannot, its halves, so that one damaged commit costs itself alone.
    /// Such a commit is known by its message for this run and is not stored.
    fn read(
        &mut self,
        repo: &Repo,
        batch: &[String],
        made: &mut Vec<Fingerprint>,
    ) -> Result<(), Error> {
        match read_batch(repo, batch, "-p") {
            Ok(read) => made.extend(read),
            Err(_) if batch.len() > 1 => {
                let (left, right) = batch.split_at(batch.len() / 2);
                self.read(repo, left, made)?;
                self.read(repo, right, made)?;
            }
            Err(_) => {
                let read = read_batch(repo, batch, "-s")?;
                self.known.extend(read.into_iter().map(|entry| (entry.id.clone(), entry)));
            }
        }
        Ok(())
    }

    fn append(&self, made: &[Fingerprint]) {
        let Some(file) = &self.file else { return };
        let mut text = String::new();
        for entry in made {
            if let Ok(line) = serde_json::to_string(entry) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        // One write in append mode: two runs at once interleave whole batches at worst, and a
        // torn line is passed over when the store is read.
        let _ = file.parent().map(std::fs::create_dir_all);
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
        let _ = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    }
}

/// What opens a commit in the log: no patch git prints holds these bytes before a name.
const OPEN: &str = "\u{0}\u{1}commit ";

/// Reads commits with `-p`, or with `-s` without their patches.
fn read_batch(repo: &Repo, batch: &[String], patches: &str) -> Result<Vec<Fingerprint>, Error> {
    let args = [
        "log",
        "--no-walk=unsorted",
        "--stdin",
        "--no-color",
        "--no-show-signature",
        "--encoding=UTF-8",
        "--no-ext-diff",
        "--no-textconv",
        "-M",
        patches,
        "--format=tformat:%x00%x01commit %H%x01%ae%x01%at%x01%ct%x01%B%x02",
    ];
    let output = repo.run_with(args, format!("{}\n", batch.join("\n")).as_bytes())?;
    let text = output.text();
    let read = |record: &str| {
        let (head, patch) = record.split_once('\u{2}')?;
        let mut fields = head.splitn(5, '\u{1}');
        let (id, author) = (fields.next()?, fields.next()?);
        let (authored, committed) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let print = Fingerprint::take(id, author, authored, fields.next()?, &Patch::read(patch));
        Some(Fingerprint { committed, ..print })
    };
    Ok(text.split(OPEN).filter_map(read).collect())
}

//! The record of a search on disk: one event a line, each safely written before the next begins.
//!
//! The whole state of a search is this file. A line cut short by a crash is dropped on reading; a
//! search that goes on continues after the last whole line.

use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// What is searched; must be the same when a search goes on.
    Began {
        /// The failing revision.
        bad: String,
        /// The commands and ends, as one text to compare.
        question: String,
    },
    /// The range was settled: its sound and failing ends.
    Range {
        /// The failing end.
        bad: String,
        /// The sound end.
        good: String,
    },
    /// A revision was built.
    Built {
        /// The revision.
        hash: String,
        /// What it built to.
        signature: String,
        /// How long that took.
        seconds: f64,
    },
    /// A revision could not be built.
    Unbuildable {
        /// The revision.
        hash: String,
        /// Why, in a few words.
        why: String,
        /// How long that took.
        seconds: f64,
    },
    /// A run of the test ended.
    Ran {
        /// The revision.
        hash: String,
        /// The round it belongs to.
        round: u32,
        /// What it said.
        verdict: Verdict,
        /// How long it took.
        seconds: f64,
    },
}

/// The open record.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    events: Vec<Event>,
}

impl Journal {
    /// Opens or begins the record in a state directory and takes its lock.
    ///
    /// # Errors
    ///
    /// When the directory cannot be used, another search holds it, or a line in the middle of the
    /// record cannot be read.
    pub(crate) fn open(dir: &Path) -> io::Result<Journal> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join("journal");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        if file.try_lock().is_err() {
            let what = format!("{} is in use by another search", dir.display());
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, what));
        }
        let text = io::read_to_string(&file)?;
        let (events, whole) = read(&text).map_err(|line| {
            let what = format!("{}: line {line} cannot be read", path.display());
            io::Error::new(io::ErrorKind::InvalidData, what)
        })?;
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Journal { file, path, events })
    }

    /// Everything that happened, oldest first.
    #[must_use]
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// Where it is.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes an event and waits until the disk has it.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn add(&mut self, event: Event) -> io::Result<()> {
        let mut line = serde_json::to_string(&event)?;
        line.push('\n');
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()?;
        self.events.push(event);
        Ok(())
    }
}

impl Drop for Journal {
    /// Gives the lock back at once: a command being started at this moment still holds a copy of
    /// the file until it runs, and would hold the lock with it.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// The events of whole lines, and how many bytes those take; or the number of a bad line.
fn read(text: &str) -> Result<(Vec<Event>, usize), usize> {
    let mut events = Vec::new();
    let mut whole = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if !line.ends_with('\n') {
            break;
        }
        events.push(serde_json::from_str(line).map_err(|_| number + 1)?);
        whole += line.len();
    }
    Ok((events, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(round: u32) -> Event {
        Event::Ran { hash: "a".repeat(40), round, verdict: Verdict::Ok, seconds: 0.5 }
    }

    #[test]
    fn a_line_cut_anywhere_loses_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path()).unwrap();
        journal.add(ran(1)).unwrap();
        journal.add(ran(2)).unwrap();
        let path = journal.path().to_owned();
        drop(journal);
        let text = std::fs::read(&path).unwrap();
        let first = text.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for cut in first..text.len() {
            std::fs::write(&path, &text[..cut]).unwrap();
            let mut journal = Journal::open(dir.path()).unwrap();
            assert_eq!(journal.events(), [ran(1)], "cut at {cut}");
            journal.add(ran(3)).unwrap();
            drop(journal);
            assert_eq!(Journal::open(dir.path()).unwrap().events(), [ran(1), ran(3)]);
        }
    }

    #[test]
    fn two_searches_cannot_share_a_state() {
        let dir = tempfile::tempdir().unwrap();
        let _held = Journal::open(dir.path()).unwrap();
        assert!(Journal::open(dir.path()).unwrap_err().to_string().contains("another search"));
    }
}

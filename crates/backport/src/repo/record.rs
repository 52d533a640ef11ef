//! Running commands and keeping what they answered.

use super::pool::Pool;
use crate::facts::{Evidence, OUTPUT_KEPT};
use ringfence_git::{Error, Output, Repo};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// A command's arguments and its standard input.
type Key = (Vec<String>, Option<String>);

/// What commands answered and the numbers of their evidence, so that none is run twice.
type Known = HashMap<Key, (usize, Output)>;

/// The commands of a run, in the order they were first run.
///
/// Parts of a run that do not depend on each other are recorded apart ([`Record::branch_off`]), by
/// several threads if need be, and joined in the order that a single thread would have taken.
#[derive(Debug)]
pub struct Record {
    repo: Repo,
    pool: Arc<Pool>,
    /// Evidence of the record that this one branched off from: its numbers come first.
    first: usize,
    base: Arc<Known>,
    evidence: Vec<Evidence>,
    known: Known,
}

impl Record {
    /// An empty record of commands run in the pool's repository.
    #[must_use]
    pub fn new(pool: Arc<Pool>) -> Record {
        Record {
            repo: pool.repo().clone(),
            pool,
            first: 0,
            base: Arc::default(),
            evidence: Vec::new(),
            known: Known::new(),
        }
    }

    /// A record that goes on where this one stands, with an index file of its own; the other half
    /// is [`Record::join`].
    #[must_use]
    pub fn branch_off(&mut self, index_file: &Path) -> Record {
        if !self.known.is_empty() {
            Arc::make_mut(&mut self.base).extend(self.known.drain());
        }
        Record {
            repo: self.repo.with_index(index_file),
            pool: Arc::clone(&self.pool),
            first: self.evidence.len(),
            base: Arc::clone(&self.base),
            evidence: Vec::new(),
            known: Known::new(),
        }
    }

    /// Takes in what a record that branched off from this one has recorded; gives the new numbers
    /// of its evidence, by the old ones.
    pub fn join(&mut self, other: Record) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..=other.first).collect();
        let mut keys: HashMap<usize, (Key, Output)> =
            other.known.into_iter().map(|(key, (id, output))| (id, (key, output))).collect();
        for mut evidence in other.evidence {
            let keyed = keys.remove(&evidence.id);
            let there = keyed.as_ref().and_then(|(key, _)| self.look(key)).map(|(id, _)| *id);
            let id = there.unwrap_or(self.first + self.evidence.len() + 1);
            numbers.push(id);
            if there.is_none() {
                evidence.id = id;
                self.evidence.push(evidence);
                if let Some((key, output)) = keyed {
                    self.known.insert(key, (id, output));
                }
            }
        }
        numbers
    }

    fn look(&self, key: &Key) -> Option<&(usize, Output)> {
        self.known.get(key).or_else(|| self.base.get(key))
    }

    /// The repository.
    #[must_use]
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// Runs git, whatever its status; gives the number of the evidence and the answer.
    ///
    /// # Errors
    ///
    /// When git cannot be started.
    pub fn git(&mut self, args: &[&str]) -> Result<(usize, Output), Error> {
        self.git_with(args, None)
    }

    /// Runs git with text on its standard input.
    ///
    /// # Errors
    ///
    /// When git cannot be started.
    pub fn git_with(
        &mut self,
        args: &[&str],
        input: Option<&str>,
    ) -> Result<(usize, Output), Error> {
        let argv: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let key = (argv, input.map(str::to_owned));
        if let Some((id, output)) = self.look(&key) {
            return Ok((*id, output.clone()));
        }
        let output = match input {
            None => self.ask(&key.0)?,
            Some(input) => self.repo.call(args, input.as_bytes())?,
        };
        let id = self.keep(
            key.0.clone(),
            key.1.clone(),
            None,
            output.code.unwrap_or(128),
            &output.stdout,
        );
        self.known.insert(key, (id, output.clone()));
        Ok((id, output))
    }

    /// Runs git and keeps nothing.
    ///
    /// # Errors
    ///
    /// When git cannot be started.
    pub fn ask(&mut self, args: &[String]) -> Result<Output, Error> {
        self.pool.ask(args)
    }

    /// Runs git again even if it ran before: for commands that change the scratch repository.
    ///
    /// # Errors
    ///
    /// When git cannot be started.
    pub fn git_anew(
        &mut self,
        args: &[&str],
        input: Option<&str>,
    ) -> Result<(usize, Output), Error> {
        let argv: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let output = self.repo.call(args, input.unwrap_or_default().as_bytes())?;
        let status = output.code.unwrap_or(128);
        let id = self.keep(argv, input.map(str::to_owned), None, status, &output.stdout);
        Ok((id, output))
    }

    /// Keeps the answer of a command that was run elsewhere.
    pub fn keep(
        &mut self,
        argv: Vec<String>,
        input: Option<String>,
        tree: Option<String>,
        status: i32,
        output: &[u8],
    ) -> usize {
        let id = self.first + self.evidence.len() + 1;
        let text = String::from_utf8_lossy(output);
        let mut cut = text.len().min(OUTPUT_KEPT);
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        let sha256 = digest(output);
        self.evidence.push(Evidence {
            id,
            argv,
            input,
            tree,
            status,
            sha256,
            output: text[..cut].to_owned(),
        });
        id
    }

    /// Everything that was run.
    #[must_use]
    pub fn into_evidence(self) -> Vec<Evidence> {
        self.evidence
    }
}

/// SHA-256 in hexadecimal digits.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_recorded_apart_join_as_if_recorded_in_turn() {
        let dir = tempfile::tempdir().unwrap();
        let repo = || Repo::open(dir.path());
        let git = std::process::Command::new("git").args(["init", "-q"]).arg(dir.path()).status();
        assert!(git.unwrap().success());
        let asked = |record: &mut Record, form: &str| {
            record.git(&["rev-parse", form, "--is-bare-repository"]).unwrap().0
        };
        let mut record = Record::new(Arc::new(Pool::new(repo().unwrap())));
        assert_eq!(asked(&mut record, "--git-dir"), 1);
        let mut one = record.branch_off(&dir.path().join("one"));
        let mut two = record.branch_off(&dir.path().join("two"));
        assert_eq!(asked(&mut two, "--show-prefix"), 2);
        assert_eq!(asked(&mut two, "--show-cdup"), 3);
        assert_eq!((asked(&mut one, "--git-dir"), asked(&mut one, "--show-cdup")), (1, 2));
        // What the first has asked is the first's; the base's numbers stay.
        assert_eq!(record.join(one), [0, 1, 2]);
        assert_eq!(record.join(two), [0, 1, 3, 2]);
        assert_eq!(asked(&mut record, "--show-prefix"), 3);
        let ids: Vec<_> = record.into_evidence().iter().map(|evidence| evidence.id).collect();
        assert_eq!(ids, [1, 2, 3]);
    }
}

//! Running commands and keeping what they answered.

use super::ahead::{Answers, ask};
use crate::facts::{Evidence, OUTPUT_KEPT};
use ringfence_git::{Error, Output, Repo};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// The commands of a run, in the order they were first run.
#[derive(Debug)]
pub struct Record {
    repo: Repo,
    evidence: Vec<Evidence>,
    /// What a command answered, so that no command is run twice.
    known: HashMap<(Vec<String>, Option<String>), (usize, Output)>,
    /// Answers to questions that have not come up yet.
    ahead: Answers,
}

impl Record {
    /// An empty record of commands run in `repo`.
    #[must_use]
    pub fn new(repo: Repo) -> Record {
        Record { repo, evidence: Vec::new(), known: HashMap::new(), ahead: Answers::new() }
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
        if let Some((id, output)) = self.known.get(&key) {
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

    /// Has these questions answered at once, for when they come up.
    pub fn fetch(&mut self, questions: &[Vec<String>]) {
        self.ahead.extend(ask(&self.repo, questions));
    }

    /// An answer that was fetched and not yet asked for.
    #[must_use]
    pub fn fetched(&self, question: &[String]) -> Option<&Output> {
        self.ahead.get(question)
    }

    /// Runs git and keeps nothing.
    ///
    /// # Errors
    ///
    /// When git cannot be started.
    pub fn ask(&mut self, args: &[String]) -> Result<Output, Error> {
        self.ahead.remove(args).map_or_else(|| self.repo.call(args, b""), Ok)
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
        let id = self.evidence.len() + 1;
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

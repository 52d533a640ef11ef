//! Running git in a clean environment.

use crate::Oid;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a call of git gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The `git` binary could not be started or spoken to.
    #[error("cannot run `{command}`: {source}")]
    Start {
        /// The command line.
        command: String,
        /// The reason the system gave.
        source: std::io::Error,
    },
    /// Git ended with a failure.
    #[error("`{command}` failed ({status}): {stderr}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended, as the system words it.
        status: String,
        /// What git said, without the last newline.
        stderr: String,
    },
    /// Git's answer was not in the form its manual promises.
    #[error("`{command}` gave an answer that cannot be read: {what}")]
    Answer {
        /// The command line.
        command: String,
        /// What was wrong with it.
        what: String,
    },
    /// A name that git does not know as a commit.
    #[error("`{rev}` names no commit of {repo}")]
    NoCommit {
        /// The name as given.
        rev: String,
        /// The repository asked.
        repo: PathBuf,
    },
}

/// What a finished call of git left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// The exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Everything git wrote to standard output.
    pub stdout: Vec<u8>,
    /// Everything git wrote to standard error, trimmed.
    pub stderr: String,
}

impl Output {
    /// Standard output as text; bytes that are no UTF-8 become replacement characters.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The failure this output stands for.
    #[must_use]
    pub fn into_error(self) -> Error {
        let status = self.code.map_or("killed by a signal".to_owned(), |c| format!("status {c}"));
        Error::Failed { command: self.command, status, stderr: self.stderr }
    }

    pub(crate) fn unreadable(&self, what: impl Into<String>) -> Error {
        Error::Answer { command: self.command.clone(), what: what.into() }
    }
}

/// A repository, or a work tree of one, that git commands run in.
#[derive(Debug, Clone)]
pub struct Repo {
    dir: PathBuf,
    index: Option<PathBuf>,
}

impl Repo {
    /// Opens the repository that holds `dir`.
    ///
    /// # Errors
    ///
    /// When git is missing, or `dir` is in no repository.
    pub fn open(dir: impl AsRef<Path>) -> Result<Repo, Error> {
        let repo = Repo { dir: dir.as_ref().to_owned(), index: None };
        let git_dir = repo.run(["rev-parse", "--absolute-git-dir"])?;
        let top = repo.call(["rev-parse", "--show-toplevel"], b"")?;
        let found = if top.code == Some(0) { top.text() } else { git_dir };
        Ok(Repo { dir: PathBuf::from(found.trim_end_matches('\n')), index: None })
    }

    /// The same repository with the index in another file, so that two threads do not share one.
    #[must_use]
    pub fn with_index(&self, file: &Path) -> Repo {
        Repo { dir: self.dir.clone(), index: Some(file.to_owned()) }
    }

    /// The top of the work tree, or the git directory of a bare repository.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A `git` command in this repository with the clean environment of this crate.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"GIT_") {
                command.env_remove(name);
            }
        }
        command
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .arg("--no-pager")
            .arg("-C")
            .arg(&self.dir)
            .args(["-c", "core.quotePath=false", "-c", "advice.graftFileDeprecated=false"]);
        if let Some(index) = &self.index {
            command.env("GIT_INDEX_FILE", index);
        }
        command
    }

    /// Runs git with `input` on standard input and hands back whatever came of it.
    ///
    /// # Errors
    ///
    /// Only when git cannot be started or spoken to; look at [`Output::code`] for its own verdict.
    pub fn call<A>(&self, args: A, input: &[u8]) -> Result<Output, Error>
    where
        A: IntoIterator,
        A::Item: AsRef<OsStr>,
    {
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let words = args.iter().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let line = format!("git -C {} {words}", self.dir.display());
        let start = |source| Error::Start { command: line.clone(), source };
        let mut child = self
            .command()
            .args(&args)
            .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        let stdin = child.stdin.take();
        let output = std::thread::scope(|scope| {
            // Git may answer before it has read everything, so both ends must move at once. A
            // closed pipe only says that git needed no more.
            stdin.map(|mut pipe| scope.spawn(move || pipe.write_all(input)));
            child.wait_with_output()
        });
        let output = output.map_err(start)?;
        Ok(Output {
            command: line,
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Runs git and gives its standard output as text.
    ///
    /// # Errors
    ///
    /// When git cannot be started or ends with a failure.
    pub fn run<A>(&self, args: A) -> Result<String, Error>
    where
        A: IntoIterator,
        A::Item: AsRef<OsStr>,
    {
        self.run_with(args, b"").map(|output| output.text())
    }

    /// Runs git with `input` on standard input; success only.
    ///
    /// # Errors
    ///
    /// When git cannot be started or ends with a failure.
    pub fn run_with<A>(&self, args: A, input: &[u8]) -> Result<Output, Error>
    where
        A: IntoIterator,
        A::Item: AsRef<OsStr>,
    {
        let output = self.call(args, input)?;
        if output.code == Some(0) { Ok(output) } else { Err(output.into_error()) }
    }

    /// The commit that `rev` names, tags peeled.
    ///
    /// # Errors
    ///
    /// [`Error::NoCommit`] when there is none.
    pub fn rev_parse(&self, rev: &str) -> Result<Oid, Error> {
        let name = format!("{rev}^{{commit}}");
        let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", &name];
        let output = self.call(args, b"")?;
        output
            .text()
            .trim()
            .parse()
            .map_err(|_| Error::NoCommit { rev: rev.to_owned(), repo: self.dir.clone() })
    }

    /// The contents of `path` at `rev`, or `None` when that revision has no such file.
    ///
    /// # Errors
    ///
    /// When git cannot be started.
    pub fn file(&self, rev: Oid, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let output = self.call(["cat-file", "blob", &format!("{rev}:{path}")], b"")?;
        Ok((output.code == Some(0)).then_some(output.stdout))
    }
}

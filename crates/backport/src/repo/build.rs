//! Building and testing a tree, once per tree.

use super::record::{Record, digest};
use super::scratch::{BUILD, Scratch, halt_if_abandoned};
use crate::facts::Run;
use ringfence_git::{Error, Oid, Worktree};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

/// Part of the cache's name: what an entry means.
const VERSION: u32 = 1;

/// Runs commands in work trees of a scratch repository.
#[derive(Debug)]
pub struct Builder<'a> {
    scratch: &'a Scratch,
    cache: Option<PathBuf>,
}

impl<'a> Builder<'a> {
    /// Outcomes are kept under `cache`, where there is one.
    #[must_use]
    pub fn new(scratch: &'a Scratch, cache: Option<&Path>) -> Builder<'a> {
        Builder { scratch, cache: cache.map(|dir| dir.join(format!("builds.v{VERSION}"))) }
    }

    /// Runs a shell command in a work tree of `tree` and keeps it as evidence.
    ///
    /// # Errors
    ///
    /// When git cannot make the work tree or the shell cannot be started.
    pub fn run(
        &self,
        record: &mut Record,
        tree: Oid,
        command: &str,
    ) -> Result<(Run, usize), Error> {
        let (status, output, cached) = self.outcome(tree, command)?;
        let argv = ["sh", "-c", command].map(str::to_owned).to_vec();
        let by = record.keep(argv, None, Some(tree.to_string()), status, output.as_bytes());
        Ok((Run { passed: status == 0, cached }, by))
    }

    /// Whether a shell command ends well in a work tree of `tree`.
    ///
    /// # Errors
    ///
    /// As [`Builder::run`].
    pub fn passes(&self, tree: Oid, command: &str) -> Result<bool, Error> {
        Ok(self.outcome(tree, command)?.0 == 0)
    }

    /// The status and output of a command, and whether an earlier run told them.
    fn outcome(&self, tree: Oid, command: &str) -> Result<(i32, String, bool), Error> {
        let name = format!("{tree}-{}", &digest(command.as_bytes())[..16]);
        let entry = self.cache.as_ref().map(|dir| dir.join(name));
        if let Some(text) = entry.as_ref().and_then(|path| std::fs::read_to_string(path).ok())
            && let Some((status, output)) = text.split_once('\n')
            && let Ok(status) = status.parse::<i32>()
        {
            return Ok((status, output.to_owned(), true));
        }
        let (status, output) = run_in_tree(self.scratch, tree, command)?;
        if let Some(path) = entry {
            // Not kept is no harm: the next run builds again.
            let _ = path.parent().map(std::fs::create_dir_all);
            let _ = super::out::put(&path, format!("{status}\n{output}").as_bytes());
        }
        Ok((status, output, false))
    }
}

/// Runs a shell command in a clean work tree of `tree`; gives its status and its output.
///
/// # Errors
///
/// When git cannot make the work tree or the shell cannot be started.
pub fn run_in_tree(scratch: &Scratch, tree: Oid, command: &str) -> Result<(i32, String), Error> {
    let commit = commit(scratch, tree)?;
    let work = Worktree::open_or_add(scratch.repo(), &scratch.dir().join("work"), commit)?;
    work.clean()?;
    let start = |source| Error::Start { command: command.to_owned(), source };
    let log = scratch.dir().join("output");
    let file = std::fs::File::create(&log).map_err(start)?;
    let both = file.try_clone().map_err(start)?;
    let mut child = Command::new("sh")
        .args(["-c", command])
        .current_dir(work.path())
        .stdin(Stdio::null())
        .stdout(Stdio::from(file))
        .stderr(Stdio::from(both))
        // A group of its own, so that an interrupted run can end all of it.
        .process_group(0)
        .spawn()
        .map_err(start)?;
    BUILD.store(child.id(), Ordering::SeqCst);
    let status = child.wait();
    halt_if_abandoned();
    BUILD.store(0, Ordering::SeqCst);
    let status = status.map_err(start)?;
    let output = std::fs::read(&log).map_err(start)?;
    Ok((status.code().unwrap_or(128), String::from_utf8_lossy(&output).into_owned()))
}

/// Writes a commit of `tree`, since only commits can be checked out.
fn commit(scratch: &Scratch, tree: Oid) -> Result<Oid, Error> {
    let nobody = "ringfence <> 0 +0000";
    let text = format!("tree {tree}\nauthor {nobody}\ncommitter {nobody}\n\ntree under test\n");
    let args = ["hash-object", "-t", "commit", "-w", "--stdin"];
    let output = scratch.repo().run_with(args, text.as_bytes())?;
    let name = output.text();
    name.trim().parse().map_err(|_| Error::Answer { command: output.command, what: name })
}

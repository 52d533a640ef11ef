//! Answers that several threads share.
//!
//! A question is the arguments of a git command that reads objects by their full names, so its
//! answer never changes and whoever asks first answers for all. Asked twice at once, the second
//! waits for the first.

use ringfence_git::{Error, Output, Repo};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Threads, and thus gits, at work at once at most: more wait for the same disk.
const THREADS_MAX: usize = 4;

/// How many threads a run keeps busy.
#[must_use]
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().min(THREADS_MAX))
}

/// A place for an answer; `None` in it where git could not be asked.
type Cell = Arc<OnceLock<Option<Output>>>;

/// Questions and their answers.
#[derive(Debug)]
pub struct Pool {
    repo: Repo,
    cells: Mutex<HashMap<Vec<String>, Cell>>,
}

impl Pool {
    /// No answers yet; questions go to `repo`.
    #[must_use]
    pub fn new(repo: Repo) -> Pool {
        Pool { repo, cells: Mutex::default() }
    }

    /// The repository.
    #[must_use]
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    fn cell(&self, question: &[String]) -> Cell {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        match cells.get(question) {
            Some(cell) => Arc::clone(cell),
            None => Arc::clone(cells.entry(question.to_owned()).or_default()),
        }
    }

    /// Git's answer, whatever its status.
    ///
    /// # Errors
    ///
    /// When git cannot be started.
    pub fn ask(&self, question: &[String]) -> Result<Output, Error> {
        let cell = self.cell(question);
        let answer = cell.get_or_init(|| self.repo.call(question, b"").ok());
        answer.clone().map_or_else(|| self.repo.call(question, b""), Ok)
    }

    /// Puts in the answer to a question that was asked in another form.
    pub fn put(&self, question: &[String], code: i32, stdout: &[u8], stderr: &str) {
        let command = format!("git -C {} {}", self.repo.dir().display(), question.join(" "));
        let (stdout, stderr) = (stdout.to_owned(), stderr.to_owned());
        // Whoever answered before had the same answer.
        let _ = self.cell(question).set(Some(Output { command, code: Some(code), stdout, stderr }));
    }

    /// Asks all these questions, several at once.
    pub fn fetch(&self, questions: &[Vec<String>]) {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads().min(questions.len()) {
                scope.spawn(|| {
                    while let Some(question) = questions.get(next.fetch_add(1, Ordering::Relaxed)) {
                        // A git that cannot be asked is reported to whoever needs the answer.
                        let _ = self.ask(question);
                    }
                });
            }
        });
    }
}

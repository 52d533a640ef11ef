//! Reading many files of many revisions through one `git cat-file --batch`.

use ringfence_git::{Error, Repo};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// A running `git cat-file --batch`.
#[derive(Debug)]
pub struct Blobs {
    repo: Repo,
    child: Child,
    ask: Option<ChildStdin>,
    answer: BufReader<ChildStdout>,
}

const COMMAND: &str = "git cat-file --batch";

fn broken(source: std::io::Error) -> Error {
    Error::Start { command: COMMAND.to_owned(), source }
}

impl Blobs {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// When git cannot be started.
    pub fn open(repo: &Repo) -> Result<Blobs, Error> {
        let mut child = repo
            .command()
            .args(["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(broken)?;
        let closed = || broken(std::io::ErrorKind::BrokenPipe.into());
        let ask = Some(child.stdin.take().ok_or_else(closed)?);
        let answer = BufReader::new(child.stdout.take().ok_or_else(closed)?);
        Ok(Blobs { repo: repo.clone(), child, ask, answer })
    }

    /// The contents of an object by any name git knows, `REVISION:PATH` for a file; `None` when
    /// there is none, or it is no file.
    ///
    /// # Errors
    ///
    /// When git gives up, as it does at an object that is damaged or not there; the next question
    /// goes to another git.
    pub fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        if name.contains('\n') {
            return Ok(None);
        }
        self.put(name).or_else(|error| {
            *self = Blobs::open(&self.repo)?;
            let stderr = format!("{name} cannot be read ({error})");
            Err(Error::Failed {
                command: COMMAND.to_owned(),
                status: "it ended".to_owned(),
                stderr,
            })
        })
    }

    fn put(&mut self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        if let Some(ask) = &mut self.ask {
            ask.write_all(format!("{name}\n").as_bytes())
                .and_then(|()| ask.flush())
                .map_err(broken)?;
        }
        let mut head = String::new();
        self.answer.read_line(&mut head).map_err(broken)?;
        // `OID TYPE SIZE`, or `NAME missing`.
        let mut words = head.trim_end().rsplitn(3, ' ');
        let (last, kind) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let Ok(size) = last.parse::<usize>() else {
            if head.is_empty() {
                return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
            }
            return Ok(None);
        };
        let mut body = vec![0; size + 1];
        self.answer.read_exact(&mut body).map_err(broken)?;
        body.pop();
        Ok((kind == "blob").then_some(body))
    }

    /// Like [`Blobs::get`], as text; bytes that are no UTF-8 become replacement characters.
    ///
    /// # Errors
    ///
    /// As [`Blobs::get`].
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.get(name)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        // Git ends when its input does.
        self.ask = None;
        let _ = self.child.wait();
    }
}

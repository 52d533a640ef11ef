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
    /// The length of an object's name in a tree, as the last answer showed it.
    id_bytes: usize,
}

/// An entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whether it is a tree.
    pub is_tree: bool,
    /// Its name in the tree.
    pub name: String,
    /// Its object.
    pub id: String,
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
        Ok(Blobs { repo: repo.clone(), child, ask, answer, id_bytes: 20 })
    }

    /// The contents of an object by any name git knows, `REVISION:PATH` for a file; `None` when
    /// there is none, or it is no file.
    ///
    /// # Errors
    ///
    /// When git gives up, as it does at an object that is damaged or not there; the next question
    /// goes to another git.
    pub fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.object(name)?.and_then(|(kind, body)| (kind == "blob").then_some(body)))
    }

    /// The entries of a tree: of each whether it is a tree itself, its file name and its object;
    /// `None` when there is no such tree. Links to other repositories are left out.
    ///
    /// # Errors
    ///
    /// As [`Blobs::get`].
    pub fn tree(&mut self, name: &str) -> Result<Option<Vec<Entry>>, Error> {
        let Some((_, body)) = self.object(name)?.filter(|(kind, _)| kind == "tree") else {
            return Ok(None);
        };
        // An object's name is 20 bytes, or 32 in a repository of SHA-256.
        let length = self.id_bytes;
        let (mut rest, mut found) = (&body[..], Vec::new());
        while let Some(end) = rest.iter().position(|byte| *byte == 0) {
            let (head, tail) = (&rest[..end], &rest[end + 1..]);
            let Some((id, next)) = tail.split_at_checked(length) else { break };
            let head = String::from_utf8_lossy(head);
            if let Some((mode, name)) = head.split_once(' ').filter(|(mode, _)| *mode != "160000") {
                let id = id.iter().map(|byte| format!("{byte:02x}")).collect();
                found.push(Entry { is_tree: mode == "40000", name: name.to_owned(), id });
            }
            rest = next;
        }
        Ok(Some(found))
    }

    /// An object's type and contents.
    fn object(&mut self, name: &str) -> Result<Option<(String, Vec<u8>)>, Error> {
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

    fn put(&mut self, name: &str) -> Result<Option<(String, Vec<u8>)>, Error> {
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
        self.id_bytes = words.next().map_or(20, |id| id.len() / 2);
        Ok(Some((kind.to_owned(), body)))
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

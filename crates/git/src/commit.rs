//! Reading commits: who, when, why, and the tags at the end.

use crate::{Error, Oid, Repo};

/// A name and an address, as git records them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name; may be empty.
    pub name: String,
    /// The address without its angle brackets.
    pub email: String,
}

/// One commit's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub id: Oid,
    /// Its parents, first parent first.
    pub parents: Vec<Oid>,
    /// The tree it records.
    pub tree: Oid,
    /// Who wrote it.
    pub author: Person,
    /// When it was written, in git's default form (`Tue Feb 9 13:48:50 2021 -0700`).
    pub author_date: String,
    /// When it was committed, seconds since 1970.
    pub commit_time: i64,
    /// The first paragraph, on one line.
    pub subject: String,
    /// Everything after the subject, trailers included.
    pub body: String,
    /// The tags at its end (`Fixes`, `Signed-off-by`), in order, unfolded.
    pub trailers: Vec<(String, String)>,
}

/// Fields end with U+0001 and records with U+0002: git forbids neither in a message, but a
/// message that holds them would only garble its own record, which is then reported.
const FORMAT: &str = "--format=tformat:%H%x01%P%x01%T%x01%an%x01%ae%x01%ad%x01%ct%x01%s%x01%b%x01\
                      %(trailers:only,unfold,separator=%x03,key_value_separator=%x04)%x02";

impl Commit {
    /// The values of every trailer called `key`, whatever its case.
    pub fn trailer<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let same = move |(name, _): &&(String, String)| name.eq_ignore_ascii_case(key);
        self.trailers.iter().filter(same).map(|(_, value)| value.as_str())
    }

    fn read(record: &str) -> Option<Commit> {
        let fields: Vec<&str> = record.split('\u{1}').collect();
        let [id, parents, tree, name, email, date, time, subject, body, trailers] = fields[..]
        else {
            return None;
        };
        let pair = |line: &str| {
            let (key, value) = line.split_once('\u{4}')?;
            Some((key.to_owned(), value.trim().to_owned()))
        };
        Some(Commit {
            id: id.trim_start().parse().ok()?,
            parents: parents
                .split(' ')
                .filter(|p| !p.is_empty())
                .map(str::parse)
                .collect::<Result<_, _>>()
                .ok()?,
            tree: tree.parse().ok()?,
            author: Person { name: name.to_owned(), email: email.to_owned() },
            author_date: date.to_owned(),
            commit_time: time.parse().ok()?,
            subject: subject.to_owned(),
            body: body.to_owned(),
            trailers: trailers.split('\u{3}').filter_map(pair).collect(),
        })
    }
}

impl Repo {
    /// One commit.
    ///
    /// # Errors
    ///
    /// When git does not have it or its record cannot be read.
    pub fn commit(&self, id: Oid) -> Result<Commit, Error> {
        let mut found = self.log(["--no-walk=unsorted", &id.to_string()])?;
        found
            .pop()
            .ok_or_else(|| Error::NoCommit { rev: id.to_string(), repo: self.dir().to_owned() })
    }

    /// The commits that `git log` lists for these arguments (ranges, `-n`, `--grep`, paths...).
    ///
    /// # Errors
    ///
    /// When git refuses the arguments or a record cannot be read.
    pub fn log<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<Vec<Commit>, Error> {
        let fixed = [
            "log",
            "--no-color",
            "--no-show-signature",
            "--encoding=UTF-8",
            "--date=default",
            FORMAT,
        ];
        let output = self.run_with(fixed.into_iter().chain(args), b"")?;
        let text = output.text();
        text.split('\u{2}')
            .filter(|record| !record.trim().is_empty())
            .map(|record| {
                Commit::read(record)
                    .ok_or_else(|| output.unreadable(record.chars().take(80).collect::<String>()))
            })
            .collect()
    }

    /// `git show --stat` of a commit: its head, message and the files it touches, as git prints it.
    ///
    /// # Errors
    ///
    /// When git does not have it.
    pub fn show_stat(&self, id: Oid) -> Result<String, Error> {
        let args = ["show", "--no-color", "--no-show-signature", "--stat", "--format=medium"];
        self.run(args.into_iter().chain([id.to_string().as_str()]))
    }

    /// The patch of a commit against its first parent, without colours or external drivers.
    ///
    /// # Errors
    ///
    /// When git does not have it.
    pub fn patch(&self, id: Oid) -> Result<Vec<u8>, Error> {
        let args = [
            "diff-tree",
            "-p",
            "--root",
            "--no-commit-id",
            "--no-ext-diff",
            "--no-textconv",
            "--full-index",
            "--binary",
            "-m",
            "--first-parent",
        ];
        let id = id.to_string();
        self.run_with(args.into_iter().chain([id.as_str()]), b"").map(|output| output.stdout)
    }

    /// The stable patch id of a commit: equal for the same change on another base. `None` for a
    /// commit that changes nothing.
    ///
    /// # Errors
    ///
    /// When git does not have it or its answer cannot be read.
    pub fn patch_id(&self, id: Oid) -> Result<Option<Oid>, Error> {
        let output = self.run_with(["patch-id", "--stable"], &self.patch(id)?)?;
        match output.text().split_whitespace().next() {
            None => Ok(None),
            Some(word) => word.parse().map(Some).map_err(|_| output.unreadable(word)),
        }
    }
}

//! The shape of history: ranges, ancestry, tags.

use crate::{Error, Oid, Repo};

/// A commit and its parents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub id: Oid,
    /// Its parents, first parent first, whether they lie in the range or not.
    pub parents: Vec<Oid>,
    /// The tree it records.
    pub tree: Oid,
}

/// A tag and the commit it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its short name (`v5.12`).
    pub name: String,
    /// The commit, peeled.
    pub commit: Oid,
}

impl Repo {
    /// The commits reachable from `tips` but not from any of `without`; every parent comes before
    /// its children.
    ///
    /// # Errors
    ///
    /// When git does not have one of them.
    pub fn dag(&self, tips: &[Oid], without: &[Oid]) -> Result<Vec<Node>, Error> {
        let mut input = String::new();
        for tip in tips {
            input.push_str(&format!("{tip}\n"));
        }
        for tip in without {
            input.push_str(&format!("^{tip}\n"));
        }
        let args = [
            "rev-list",
            "--topo-order",
            "--reverse",
            "--no-commit-header",
            "--format=%H %T %P",
            "--stdin",
        ];
        let output = self.run_with(args, input.as_bytes())?;
        let read = |line: &str| {
            let mut words = line.split_whitespace().map(str::parse::<Oid>);
            let (id, tree) = (words.next()?.ok()?, words.next()?.ok()?);
            Some(Node { id, tree, parents: words.collect::<Result<_, _>>().ok()? })
        };
        let text = output.text();
        text.lines().map(|line| read(line).ok_or_else(|| output.unreadable(line))).collect()
    }

    /// The best common ancestors of two commits; empty when they share none.
    ///
    /// # Errors
    ///
    /// When git does not have one of them.
    pub fn merge_bases(&self, a: Oid, b: Oid) -> Result<Vec<Oid>, Error> {
        let output = self.call(["merge-base", "--all", &a.to_string(), &b.to_string()], b"")?;
        match output.code {
            Some(0 | 1) => {
                let text = output.text();
                text.lines().map(|l| l.parse().map_err(|_| output.unreadable(l))).collect()
            }
            _ => Err(output.into_error()),
        }
    }

    /// Whether `old` is `new` or one of its ancestors.
    ///
    /// # Errors
    ///
    /// When git does not have one of them.
    pub fn is_ancestor(&self, old: Oid, new: Oid) -> Result<bool, Error> {
        let args = ["merge-base", "--is-ancestor", &old.to_string(), &new.to_string()];
        let output = self.call(args, b"")?;
        match output.code {
            Some(code @ (0 | 1)) => Ok(code == 0),
            _ => Err(output.into_error()),
        }
    }

    /// The tags of commits that match `glob` and are ancestors of `rev`, newest release first
    /// (versions compared as versions; a release candidate is older than its release).
    ///
    /// # Errors
    ///
    /// When git does not have `rev`.
    pub fn tags(&self, glob: &str, rev: Oid) -> Result<Vec<Tag>, Error> {
        let output = self.run_with(
            [
                "-c",
                "versionsort.suffix=-rc",
                "-c",
                "versionsort.suffix=-pre",
                "for-each-ref",
                "--sort=-version:refname",
                &format!("--merged={rev}"),
                "--format=%(refname:strip=2) %(objectname) %(*objectname)",
                &format!("refs/tags/{glob}"),
            ],
            b"",
        )?;
        let read = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let commit = words.get(2).or(words.get(1))?.parse().ok()?;
            Some(Tag { name: (*words.first()?).to_owned(), commit })
        };
        let text = output.text();
        text.lines().map(|line| read(line).ok_or_else(|| output.unreadable(line))).collect()
    }

    /// What `git describe --tags` calls a commit, if any tag reaches it.
    ///
    /// # Errors
    ///
    /// When git cannot be started.
    pub fn describe(&self, rev: Oid) -> Result<Option<String>, Error> {
        let output = self.call(["describe", "--tags", &rev.to_string()], b"")?;
        Ok((output.code == Some(0)).then(|| output.text().trim().to_owned()))
    }
}

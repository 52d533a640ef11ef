//! Who should hear of a culprit: the commit's own people, and the maintainers of what it touches.

use crate::error::Error;
use ringfence_git::{Commit, Oid, Repo};
use serde::Serialize;

/// Addresses, each once; whoever is in `to` is not in `cc`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct People {
    /// Whose change or whose code it is, and its lists.
    pub to: Vec<String>,
    /// Who wants to see it.
    pub cc: Vec<String>,
}

/// Tags whose people answer for a commit. `Cc:` is left out: it names whoever was asked, not who
/// answered.
const TAGS: [&str; 4] = ["Signed-off-by", "Reviewed-by", "Acked-by", "Tested-by"];

impl People {
    /// Reads the tags of `culprit` and the MAINTAINERS file at `at`, where there is one.
    ///
    /// # Errors
    ///
    /// When git does not have one of them.
    pub fn of(repo: &Repo, culprit: Oid, at: Oid) -> Result<People, Error> {
        let commit = repo.commit(culprit)?;
        let mut people = People::default();
        people.own(&commit);
        if let Some(file) = repo.file(at, "MAINTAINERS")? {
            let listing = [
                "diff-tree",
                "--no-commit-id",
                "--name-only",
                "-r",
                "--root",
                "-m",
                "--first-parent",
            ];
            let id = culprit.to_string();
            let paths = repo.run(listing.into_iter().chain([id.as_str()]))?;
            let paths: Vec<&str> = paths.lines().collect();
            people.maintainers(&String::from_utf8_lossy(&file), &paths);
        }
        let to = people.to.clone();
        people.cc.retain(|one| !to.contains(one));
        Ok(people)
    }

    fn own(&mut self, commit: &Commit) {
        add(&mut self.to, &commit.author.email);
        for tag in TAGS {
            for value in commit.trailer(tag) {
                add(&mut self.to, address(value));
            }
        }
    }

    /// Adds the people of every section whose files include one of `paths`.
    fn maintainers(&mut self, file: &str, paths: &[&str]) {
        for section in file.split("\n\n") {
            let field = |letter: char| {
                let lines = section.lines().filter_map(move |line| {
                    let rest = line.strip_prefix(letter)?.strip_prefix(':')?;
                    Some(rest.trim())
                });
                lines.collect::<Vec<_>>()
            };
            let includes = |letter: char| {
                field(letter).iter().any(|pattern| paths.iter().any(|path| covers(pattern, path)))
            };
            if !includes('F') || includes('X') {
                continue;
            }
            field('M').iter().for_each(|one| add(&mut self.to, address(one)));
            field('L').iter().for_each(|one| add(&mut self.to, address(one)));
            field('R').iter().for_each(|one| add(&mut self.cc, address(one)));
        }
    }
}

fn add(list: &mut Vec<String>, address: &str) {
    let known = list.iter().any(|one| one.eq_ignore_ascii_case(address));
    if address.contains('@') && !known && !address.starts_with("stable@") {
        list.push(address.to_owned());
    }
}

/// The address in `Name <address> (remark)` or `address (remark)`.
fn address(text: &str) -> &str {
    match text.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        Some((address, _)) => address,
        None => text.split_whitespace().next().unwrap_or_default(),
    }
}

/// Whether a pattern of MAINTAINERS covers a path: a directory with all below it when it ends in
/// a slash, else a path in which `*` and `?` stay within one directory.
fn covers(pattern: &str, path: &str) -> bool {
    if pattern.ends_with('/') {
        return path.starts_with(pattern);
    }
    matches(pattern.as_bytes(), path.as_bytes())
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            let end = text.iter().position(|&byte| byte == b'/').unwrap_or(text.len());
            (0..=end).any(|at| matches(rest, &text[at..]))
        }
        (Some((b'?', rest)), Some((byte, text))) if *byte != b'/' => matches(rest, text),
        (Some((one, rest)), Some((two, text))) if one == two => matches(rest, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintainers_of_touched_files() {
        let file = "HEAD\n\nIO_URING\nM:\tA B <a@b>\nR:\tC <c@d>\nL:\tlist@e (moderated)\nF:\tio_uring/\nX:\tio_uring/not/\n\n\
                    OTHER\nM:\tO <o@p>\nF:\tfs/*.c\n";
        let of = |path: &str| {
            let mut people = People::default();
            people.maintainers(file, &[path]);
            people
        };
        assert_eq!(of("io_uring/rw.c").to, ["a@b", "list@e"]);
        assert_eq!(of("io_uring/rw.c").cc, ["c@d"]);
        assert_eq!(of("io_uring/not/x.c"), People::default());
        assert_eq!(of("fs/x.c").to, ["o@p"]);
        assert_eq!(of("fs/ext4/x.c"), People::default());
    }

    #[test]
    fn nobody_is_told_twice() {
        let mut list = vec!["a@b".to_owned()];
        add(&mut list, "A@B");
        add(&mut list, "stable@vger.example");
        add(&mut list, "no address");
        assert_eq!(list, ["a@b"]);
    }
}

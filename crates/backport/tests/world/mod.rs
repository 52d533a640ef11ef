//! A generated repository: files, commits and branches, the same on every machine.

use ringfence_git::Repo;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A repository in the making; every commit is a minute later than the one before.
pub(crate) struct World {
    dir: TempDir,
    minutes: u32,
}

/// The three people of the generated history.
pub(crate) const ADA: &str = "Ada <ada@example.org>";
pub(crate) const BOB: &str = "Bob <bob@example.org>";

impl World {
    pub(crate) fn new() -> World {
        let world = World { dir: tempfile::tempdir().unwrap(), minutes: 0 };
        world.git(&["init", "-q", "-b", "main"]);
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn repo(&self) -> Repo {
        Repo::open(self.path()).unwrap()
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.git_as(args, ADA, 0)
    }

    fn git_as(&self, args: &[&str], author: &str, minutes: u32) -> String {
        let (name, address) = author.split_once(" <").unwrap();
        let date = format!("{} +0000", 1_600_000_000 + 60 * minutes);
        let output = Command::new("git")
            .arg("-C")
            .arg(self.path())
            .args([
                "-c",
                "user.name=Cid",
                "-c",
                "user.email=cid@example.org",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_AUTHOR_NAME", name)
            .env("GIT_AUTHOR_EMAIL", address.trim_end_matches('>'))
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let full = self.path().join(path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(full, text).unwrap();
    }

    /// Replaces a text that the file must hold.
    pub(crate) fn edit(&self, path: &str, old: &str, new: &str) {
        let text = self.read(path);
        assert!(text.contains(old), "{path} lacks {old:?}:\n{text}");
        self.write(path, &text.replacen(old, new, 1));
    }

    /// Commits everything; gives the commit's name.
    pub(crate) fn commit(&mut self, author: &str, message: &str) -> String {
        self.minutes += 1;
        self.git(&["add", "-A"]);
        self.git_as(&["commit", "-q", "--allow-empty", "-m", message], author, self.minutes);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Goes to a new branch at `start`.
    pub(crate) fn branch(&self, name: &str, start: &str) {
        self.git(&["checkout", "-q", "-b", name, start]);
    }

    pub(crate) fn checkout(&self, name: &str) {
        self.git(&["checkout", "-q", name]);
    }
}

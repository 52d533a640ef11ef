//! A repository made for a test: the same commits, with the same names, every time.

use ringfence_git::Oid;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What to make.
pub(crate) struct Plan {
    /// Commits on the main line; side branches come on top.
    pub(crate) commits: usize,
    /// Whether the bug comes in on a side branch.
    pub(crate) on_side: bool,
}

/// A repository and its guilty commit.
pub(crate) struct Made {
    dir: tempfile::TempDir,
    /// The commit that planted the bug.
    pub(crate) culprit: Oid,
}

impl Made {
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Everything of the checkout that a search must leave alone.
    pub(crate) fn status(&self) -> String {
        let head = git(self.path(), &["rev-parse", "HEAD"]);
        head + &git(self.path(), &["status", "--porcelain=v2", "--branch"])
    }
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(dir).args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The stream of `git fast-import`, and the marks given out.
struct Stream {
    text: String,
    marks: usize,
}

impl Stream {
    /// A commit on a branch; `from` starts a branch, `merge` joins one.
    fn commit(
        &mut self,
        branch: &str,
        from: Option<usize>,
        merge: Option<usize>,
        files: &[(&str, Option<&str>)],
    ) -> usize {
        let message = format!("commit {}", self.marks + 1);
        self.said(branch, &message, (from, merge), files)
    }

    /// The same with a message.
    fn said(
        &mut self,
        branch: &str,
        message: &str,
        (from, merge): (Option<usize>, Option<usize>),
        files: &[(&str, Option<&str>)],
    ) -> usize {
        self.marks += 1;
        let mark = self.marks;
        let who = format!("A U Thor <author@example.org> {} +0000", 1_600_000_000 + mark * 60);
        writeln!(
            self.text,
            "commit refs/heads/{branch}\nmark :{mark}\nauthor {who}\ncommitter {who}"
        )
        .unwrap();
        writeln!(self.text, "data {}\n{message}", message.len()).unwrap();
        for (word, parent) in [("from", from), ("merge", merge)] {
            if let Some(parent) = parent {
                writeln!(self.text, "{word} :{parent}").unwrap();
            }
        }
        for (path, text) in files {
            match text {
                Some(text) => {
                    writeln!(self.text, "M 644 inline {path}\ndata {}\n{text}", text.len())
                }
                None => writeln!(self.text, "D {path}"),
            }
            .unwrap();
        }
        mark
    }

    fn tag(&mut self, name: &str, at: usize) {
        writeln!(self.text, "reset refs/tags/{name}\nfrom :{at}\n").unwrap();
    }
}

/// Makes a repository: a side branch of five commits every ten, a row of broken builds every
/// thirty, a release every tenth part, and a bug three fifths of the way.
pub(crate) fn generate(plan: &Plan) -> Made {
    let mut stream = Stream { text: String::new(), marks: 0 };
    let mut tip = stream.commit("main", None, None, &[("n", Some("0"))]);
    stream.tag("v1", tip);
    let aside = stream.commit("aside", Some(tip), None, &[("aside", Some("x"))]);
    stream.tag("aside", aside);
    let planted = plan.commits * 3 / 5 / 10 * 10 + 4;
    let (mut guilty, mut releases) = (0, 1);
    let mut side = None;
    for at in 1..plan.commits {
        let number = at.to_string();
        let mut files = vec![("n", Some(number.as_str()))];
        match at % 30 {
            12 => files.push(("broken", Some("yes"))),
            16 => files.push(("broken", None)),
            _ => {}
        }
        let plants = at == planted;
        if plants && !plan.on_side {
            files.push(("bug", Some("yes")));
        }
        let merge = (at % 10 == 9).then(|| side.take()).flatten();
        if plants
            && plan.on_side
            && let Some(from) = side
        {
            guilty = stream.commit("side", Some(from), None, &[("bug", Some("yes"))]);
            side = Some(stream.commit("side", Some(guilty), None, &[("after", Some(&number))]));
        }
        // Where the bug came from the side, the merge carries its file over by hand.
        if merge.is_some() && plan.on_side && at / 10 == planted / 10 {
            files.push(("bug", Some("yes")));
        }
        tip = stream.commit("main", Some(tip), merge, &files);
        if plants && !plan.on_side {
            guilty = tip;
        }
        if at % 10 == 1 {
            let mut last = tip;
            for step in 0..3 {
                let text = format!("{at} {step}");
                last = stream.commit("side", Some(last), None, &[("side", Some(&text))]);
            }
            side = Some(last);
        }
        if at % (plan.commits / 10).max(1) == 0 {
            releases += 1;
            stream.tag(&format!("v{releases}"), tip);
        }
    }
    import(&stream.text, guilty)
}

/// Makes a repository of one line of commits, each a message and the files it writes, and tags some.
/// The first is `v1`.
pub(crate) fn line(
    commits: &[(String, Vec<(String, String)>)],
    guilty: usize,
    tags: &[(&str, usize)],
) -> Made {
    let mut stream = Stream { text: String::new(), marks: 0 };
    let mut marks = Vec::new();
    for (message, files) in commits {
        let files: Vec<(&str, Option<&str>)> =
            files.iter().map(|(path, text)| (path.as_str(), Some(text.as_str()))).collect();
        marks.push(stream.said("main", message, (marks.last().copied(), None), &files));
    }
    for &(name, at) in [("v1", 0)].iter().chain(tags) {
        stream.tag(name, marks[at]);
    }
    import(&stream.text, marks[guilty])
}

fn import(stream: &str, guilty: usize) -> Made {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "-b", "main"]);
    let marks = dir.path().join(".git/made-marks");
    let export = format!("--export-marks={}", marks.display());
    let mut child = Command::new("git")
        .arg("-C")
        .arg(dir.path())
        .args(["fast-import", "--quiet", "--force", &export])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    git(dir.path(), &["checkout", "-q", "main"]);
    let wanted = format!(":{guilty} ");
    let marks = std::fs::read_to_string(marks).unwrap();
    let line = marks.lines().find_map(|line| line.strip_prefix(&wanted)).unwrap();
    Made { culprit: line.parse().unwrap(), dir }
}

//! Backports as mail, in the two forms that stable maintainers send.
//!
//! The *selection* mail proposes a fix for a range of branches: `[PATCH AUTOSEL 7.0-6.6]`, the
//! author in the body, `[ Upstream commit H ]`, the message, the evidence behind `---`, the diff.
//! The *review* mail announces what goes into one branch: `4.4-stable review patch. …`, the author,
//! `commit H upstream.`, the message, a quilt diff.

/// What a mail is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mail {
    /// The upstream commit.
    pub upstream: String,
    /// Its subject.
    pub subject: String,
    /// `Name <address>` of its author.
    pub author: String,
    /// When it was written, in the form of a mail's `Date:`.
    pub date: String,
    /// The rest of its message, tags included.
    pub body: String,
    /// `Name <address>` of who backports it.
    pub sign_off: Option<String>,
    /// Sentences on what differs from upstream.
    pub deviations: Vec<String>,
    /// `git diff --stat`.
    pub stat: String,
    /// The diff, byte for byte.
    pub diff: Vec<u8>,
}

/// Git's mark for "this mail was made from this commit"; readers of mailboxes look for the date.
const ENVELOPE_DATE: &str = "Mon Sep 17 00:00:00 2001";

impl Mail {
    /// The selection mail for a range of branches such as `7.0-6.6`; `notes` stand behind `---`.
    ///
    /// ```
    /// use ringfence_backport::mail::Mail;
    /// let mail = Mail { upstream: "20c39819a276".into(), subject: "io_uring: hold uring_lock".into(), ..Mail::default() };
    /// let text = String::from_utf8(mail.selection("7.0-6.6", "")).unwrap();
    /// assert!(text.contains("Subject: [PATCH AUTOSEL 7.0-6.6] io_uring: hold uring_lock\n"));
    /// assert!(text.contains("\n[ Upstream commit 20c39819a276 ]\n"));
    /// ```
    #[must_use]
    pub fn selection(&self, range: &str, notes: &str) -> Vec<u8> {
        let mut out = self.head(&format!("[PATCH AUTOSEL {range}] {}", self.subject));
        out.push_str(&format!(
            "From: {}\n\n[ Upstream commit {} ]\n\n",
            self.author, self.upstream
        ));
        out.push_str(&escaped(&self.message()));
        out.push_str("---\n");
        if !notes.is_empty() {
            out.push_str(&format!("\n{}\n", escaped(notes.trim_end())));
        }
        out.push_str(&format!("\n{}\n", self.stat.trim_end_matches('\n')));
        let mut bytes = out.into_bytes();
        bytes.extend_from_slice(b"\n");
        bytes.extend_from_slice(&self.diff);
        finish(bytes)
    }

    /// The review mail for one branch such as `4.4`.
    #[must_use]
    pub fn review(&self, version: &str) -> Vec<u8> {
        let mut out = self.head(&format!("[PATCH {version}] {}", self.subject));
        out.push_str(&format!(
            "{version}-stable review patch.  If anyone has any objections, please let me know.\n\n\
             ------------------\n\nFrom: {}\n\ncommit {} upstream.\n\n",
            self.author, self.upstream
        ));
        out.push_str(&escaped(&self.message()));
        out.push_str(&format!("\n---\n{}\n\n", self.stat.trim_end_matches('\n')));
        let mut bytes = out.into_bytes();
        bytes.extend(quilt(&self.diff));
        finish(bytes)
    }

    fn head(&self, subject: &str) -> String {
        let from = self.sign_off.as_deref().unwrap_or(&self.author);
        let date =
            if self.date.is_empty() { String::new() } else { format!("Date: {}\n", self.date) };
        format!(
            "From {} {ENVELOPE_DATE}\nFrom: {}\n{date}Subject: {}\nMIME-Version: 1.0\n\
             Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n",
            self.upstream,
            header(from),
            header(subject)
        )
    }

    /// The message with the deviations and the backporter's sign-off behind the author's tags.
    fn message(&self) -> String {
        let mut text = self.body.trim_matches('\n').to_owned();
        for deviation in &self.deviations {
            text.push_str(&format!("\n[ backport: {deviation} ]"));
        }
        if let Some(person) = &self.sign_off {
            // A message without tags gets a paragraph for this one.
            let tagged = text.lines().last().is_some_and(|line| {
                line.starts_with('[')
                    || line.split_once(": ").is_some_and(|(name, _)| !name.contains(' '))
            });
            let gap = if tagged || text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}\nSigned-off-by: {person}"));
        }
        text.push('\n');
        text.trim_start_matches('\n').to_owned()
    }
}

/// A header's value: not ASCII is encoded, as RFC 2047 asks.
fn header(value: &str) -> String {
    if value.is_ascii() {
        return value.to_owned();
    }
    let encode = |word: &str| -> String {
        let safe = |byte: u8| byte.is_ascii_alphanumeric();
        let each = word.bytes().map(|byte| {
            if safe(byte) { char::from(byte).to_string() } else { format!("={byte:02X}") }
        });
        format!("=?UTF-8?q?{}?=", each.collect::<String>())
    };
    // An address stays readable for machines; only the name in front of it is encoded.
    match value.rsplit_once(" <") {
        Some((name, address)) => format!("{} <{address}", encode(name)),
        None => encode(value),
    }
}

/// Lines that a mailbox would take for the start of the next mail.
fn escaped(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| if line.starts_with("From ") { format!(">{line}") } else { line.to_owned() })
        .collect()
}

fn finish(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend_from_slice(format!("-- \nringfence {}\n\n", env!("CARGO_PKG_VERSION")).as_bytes());
    bytes
}

/// A git diff without git's own head lines, where the plain form says the same.
fn quilt(diff: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for file in files(diff) {
        let head = file.split(|byte| *byte == b'\n').take_while(|line| !line.starts_with(b"--- "));
        let needs_git = |line: &[u8]| {
            [
                &b"rename "[..],
                b"copy ",
                b"old mode",
                b"new mode",
                b"new file",
                b"deleted",
                b"GIT binary",
                b"Binary",
            ]
            .iter()
            .any(|start| line.starts_with(start))
        };
        let heads: Vec<&[u8]> = head.collect();
        if heads.iter().any(|line| needs_git(line)) {
            out.extend_from_slice(file);
        } else {
            let skip: usize = heads.iter().map(|line| line.len() + 1).sum();
            out.extend_from_slice(file.get(skip..).unwrap_or_default());
        }
    }
    out
}

/// The files of a git diff, each from its `diff --git` line on.
fn files(diff: &[u8]) -> Vec<&[u8]> {
    let mark = b"diff --git ";
    let line_starts = std::iter::once(0)
        .chain(diff.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1));
    let mut starts: Vec<usize> = line_starts.filter(|at| diff[*at..].starts_with(mark)).collect();
    starts.push(diff.len());
    starts.windows(2).map(|pair| &diff[pair[0]..pair[1]]).collect()
}

/// The version that a branch's name speaks of: `2.31` for `release/2.31/master`; the name itself
/// where there is none.
///
/// ```
/// use ringfence_backport::mail::version_of;
/// assert_eq!(version_of("release/2.31/master"), "2.31");
/// assert_eq!(version_of("origin/linux-6.6.y"), "6.6");
/// assert_eq!(version_of("stable"), "stable");
/// ```
#[must_use]
pub fn version_of(branch: &str) -> &str {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let runs = branch.split(|c: char| !digits(c)).map(|run| run.trim_matches('.'));
    runs.filter(|run| !run.is_empty()).max_by_key(|run| run.contains('.')).unwrap_or(branch)
}

/// The range that a selection mail names: newest to oldest, or the one branch there is.
#[must_use]
pub fn range_of(branches: &[&str]) -> String {
    match branches {
        [] => String::new(),
        [one] => version_of(one).to_owned(),
        [newest, .., oldest] => format!("{}-{}", version_of(newest), version_of(oldest)),
    }
}

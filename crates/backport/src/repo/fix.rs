//! What git knows about the fix itself.

use super::record::Record;
use crate::diff::Patch;
use crate::facts::{Fix, Named};
use crate::message::reverted;
use crate::names::function_name;
use crate::tags::{self, series_of};
use ringfence_git::{Commit, Error, Oid};
use std::collections::BTreeSet;

/// The fix, its neighbourhood, and the numbers of the commands that the report cites.
#[derive(Debug)]
pub struct Examined {
    /// The findings.
    pub fix: Fix,
    /// Its name.
    pub id: Oid,
    /// Its parent.
    pub parent: Oid,
    /// Its change, read.
    pub patch: Patch,
    /// A commit that contains the fix and what came after it.
    pub trunk: Oid,
    /// The whole message.
    pub message: String,
    /// Evidence of the message.
    pub by_message: usize,
    /// Evidence of the change.
    pub by_patch: usize,
    /// Evidence of the file statistics.
    pub by_stat: usize,
    /// Evidence of follow-ups and reverts.
    pub by_follow_ups: Vec<usize>,
    /// Evidence of the series, if it was looked for in the history.
    pub by_mates: Vec<usize>,
    /// The commits that last changed the lines that the fix changes, with the evidence.
    pub blamed: Vec<(Named, usize)>,
}

/// Names of hunks blamed at most; a larger fix is known by its first ones.
const BLAMED_HUNKS: usize = 12;

/// Examines the fix; `mbox` is the text of its series, where the user has it.
///
/// # Errors
///
/// When git fails.
pub fn examine(
    record: &mut Record,
    commit: &Commit,
    trunk: Oid,
    mbox: Option<&str>,
) -> Result<Examined, Error> {
    let id = commit.id.to_string();
    let parent = commit.parents.first().copied().unwrap_or(commit.tree);
    let (by_message, message) =
        record.git(&["log", "-1", "--no-show-signature", "--format=%B", &id])?;
    let message = message.text().trim_end().to_owned() + "\n";
    let before = parent.to_string();
    let (by_patch, patch_text) = record.git(&diff_args("-p", &before, &id))?;
    let (by_stat, stat) = record.git(&diff_args("--stat", &before, &id))?;
    let patch = Patch::read(&patch_text.text());
    let (_, date) = record.git(&["log", "-1", "--no-show-signature", "--format=%aD", &id])?;
    let (follow_ups, reverts, by_follow_ups) = followed(record, commit.id, trunk)?;
    let (mates, by_mates) = mates(record, commit, &message, trunk, mbox)?;
    let blamed = blame(record, parent, &patch)?;
    let fix = Fix {
        id,
        subject: commit.subject.clone(),
        body: message
            .split_once('\n')
            .map_or("", |(_, rest)| rest)
            .trim_start_matches('\n')
            .to_owned(),
        author: format!("{} <{}>", commit.author.name, commit.author.email),
        date: date.text().trim().to_owned(),
        tags: tags::read(&message),
        stat: stat.text(),
        patch: patch_text.text(),
        lines: patch.counts(),
        paths: patch.files.iter().map(|file| file.new_path.clone()).collect(),
        functions: functions(&patch),
        follow_ups,
        reverts,
        mates,
    };
    Ok(Examined {
        fix,
        id: commit.id,
        parent,
        patch,
        trunk,
        message,
        by_message,
        by_patch,
        by_stat,
        by_follow_ups,
        by_mates,
        blamed,
    })
}

/// The arguments of every diff that is shown or mailed: free of the user's settings.
#[must_use]
pub fn diff_args<'a>(form: &'a str, before: &'a str, after: &'a str) -> [&'a str; 11] {
    [
        "diff-tree",
        "-r",
        "-M",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--src-prefix=a/",
        "--dst-prefix=b/",
        // The form that can be applied says `--binary`; it includes `-p`.
        if form == "-p" { "--binary" } else { form },
        before,
        after,
    ]
}

/// The functions that the hunks' heads name, each once.
fn functions(patch: &Patch) -> Vec<String> {
    let heads = patch.files.iter().flat_map(|file| &file.hunks).map(|hunk| hunk.section.as_str());
    let names: BTreeSet<&str> =
        heads.filter(|head| head.contains('(')).filter_map(function_name).collect();
    names.into_iter().map(str::to_owned).collect()
}

type Followed = (Vec<Named>, Vec<Named>, Vec<usize>);

/// Later commits that say they fix or revert the fix, and those that fix these, and so on.
fn followed(record: &mut Record, fix: Oid, trunk: Oid) -> Result<Followed, Error> {
    let (mut fixes, mut reverts, mut by) = (Vec::new(), Vec::new(), Vec::new());
    let mut open = vec![fix.to_string()];
    let mut seen: BTreeSet<String> = open.iter().cloned().collect();
    while let Some(id) = open.pop() {
        let grep = format!("--grep={}", &id[..8]);
        let range = format!("{id}..{trunk}");
        let args =
            ["log", "--no-show-signature", "-F", &grep, "--format=%H%x01%s%x01%B%x02", &range];
        let (evidence, output) = record.git(&args)?;
        by.push(evidence);
        let text = output.text();
        for entry in text.split('\u{2}') {
            let mut fields = entry.trim_start().splitn(3, '\u{1}');
            let (Some(later), Some(subject), Some(body)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let named = Named { id: later.to_owned(), subject: subject.to_owned() };
            let same = |other: &String| crate::message::same_id(other, &id);
            if reverted(body).iter().any(same) && id == fix.to_string() {
                reverts.push(named);
            } else if tags::fixes(&tags::read(body)).iter().any(|fixes| same(&fixes.id))
                && seen.insert(later.to_owned())
            {
                open.push(later.to_owned());
                fixes.push(named);
            }
        }
    }
    Ok((fixes, reverts, by))
}

/// The other patches of the fix's series: from the mbox, else from the neighbours in history that
/// share the beginning of a message id.
fn mates(
    record: &mut Record,
    commit: &Commit,
    message: &str,
    trunk: Oid,
    mbox: Option<&str>,
) -> Result<(Vec<Named>, Vec<usize>), Error> {
    let own: BTreeSet<String> =
        tags::read(message).iter().filter_map(|tag| Some(series_of(&tag.value)?.0)).collect();
    let id = commit.id.to_string();
    // Patches of a series are applied together: neighbours on the way to the trunk, by one author.
    let author = format!("--author=<{}>", commit.author.email);
    let format = "--format=%H%x01%s%x01%B%x02";
    let after = format!("{id}..{trunk}");
    let next = [
        "log",
        "--reverse",
        "--no-merges",
        "--no-show-signature",
        "--ancestry-path",
        "-F",
        &author,
        format,
        &after,
    ];
    let before = format!("{id}^");
    let last =
        ["log", "-n", "20", "--no-merges", "--no-show-signature", "-F", &author, format, &before];
    let titles: Vec<String> = mbox.map(series_titles).unwrap_or_default();
    if own.is_empty() && titles.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let (mut found, mut by) = (Vec::new(), Vec::new());
    for args in [&last[..], &next[..]] {
        let (evidence, output) = record.git(args)?;
        by.push(evidence);
        let text = output.text();
        for entry in text.split('\u{2}').take(200) {
            let mut fields = entry.trim_start().splitn(3, '\u{1}');
            let (Some(other), Some(subject), Some(body)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let mut series =
                tags::read(body).into_iter().filter_map(|tag| Some(series_of(&tag.value)?.0));
            let listed = titles.contains(&crate::message::title_key(subject));
            if listed || series.any(|series| own.contains(&series)) {
                found.push(Named { id: other.to_owned(), subject: subject.to_owned() });
            }
        }
    }
    Ok((found, by))
}

/// The reduced titles of the patches in an mbox, and of those a cover letter lists.
fn series_titles(mbox: &str) -> Vec<String> {
    let subjects = mbox.lines().filter_map(|line| line.strip_prefix("Subject: "));
    let listed = mbox.lines().filter(|line| line.starts_with("  ") && !line.contains('|'));
    subjects.chain(listed).map(crate::message::title_key).filter(|key| key.contains(' ')).collect()
}

/// Who last changed the lines that the fix removes, or those around what it adds.
fn blame(record: &mut Record, parent: Oid, patch: &Patch) -> Result<Vec<(Named, usize)>, Error> {
    let mut found: Vec<(Named, usize)> = Vec::new();
    let rev = parent.to_string();
    let code = patch.files.iter().filter(|file| {
        !crate::presence::is_beside_the_code(&file.new_path)
            && file.change != crate::diff::Change::Add
    });
    let hunks = code.flat_map(|file| file.hunks.iter().map(move |hunk| (file, hunk)));
    for (file, hunk) in hunks.take(BLAMED_HUNKS) {
        let lines = hunk.blamed_lines();
        let (Some(first), Some(last)) = (lines.iter().min(), lines.iter().max()) else { continue };
        let range = format!("-L{first},{last}");
        let args = ["blame", "--porcelain", "-w", &range, &rev, "--", &file.old_path];
        let (evidence, output) = record.git(&args)?;
        for (commit, line, subject) in blame_lines(&output.text()) {
            if lines.contains(&line) && found.iter().all(|(named, _)| named.id != commit) {
                found.push((Named { id: commit, subject }, evidence));
            }
        }
    }
    Ok(found)
}

/// Reads `git blame --porcelain`: commit, line number, subject.
fn blame_lines(text: &str) -> Vec<(String, usize, String)> {
    let mut subjects: std::collections::HashMap<String, String> = std::collections::HashMap::new();
    let mut found: Vec<(String, usize)> = Vec::new();
    for line in text.lines() {
        if let (Some(subject), Some((id, _))) = (line.strip_prefix("summary "), found.last()) {
            subjects.insert(id.clone(), subject.to_owned());
        } else if !line.starts_with('\t') {
            let words: Vec<&str> = line.split(' ').collect();
            let hex = words[0].len() >= 40 && words[0].bytes().all(|byte| byte.is_ascii_hexdigit());
            if let (true, Some(Ok(number))) = (hex, words.get(2).map(|word| word.parse())) {
                found.push((words[0].to_owned(), number));
            }
        }
    }
    let subject = |id: &String| subjects.get(id).cloned().unwrap_or_default();
    found.into_iter().map(|(id, line)| (id.clone(), line, subject(&id))).collect()
}

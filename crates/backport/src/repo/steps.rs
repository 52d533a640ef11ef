//! The statements of the report's steps that come from the fix and its history.

use super::fix::Examined;
use super::record::Record;
use crate::category;
use crate::diff::Side;
use crate::facts::{Named, Statement};
use crate::names::{function_name, identifiers};
use crate::presence::is_beside_the_code;
use crate::rules::request;
use ringfence_git::Error;
use std::collections::{BTreeMap, BTreeSet};

/// Statements by step.
pub type Steps = BTreeMap<&'static str, Vec<Statement>>;

/// Lines of an answer that a statement quotes.
const QUOTED: usize = 6;

/// Fills the steps of the first five phases and the seventh.
///
/// # Errors
///
/// When git cannot be started.
pub fn fill(
    record: &mut Record,
    fix: &Examined,
    culprit: Option<&(Named, usize)>,
    series: Option<&str>,
) -> Result<Steps, Error> {
    let mut steps = Steps::new();
    message(&mut steps, fix);
    diff(&mut steps, fix);
    history(record, &mut steps, fix, culprit)?;
    people(record, &mut steps, fix)?;
    lists(&mut steps, fix, series);
    semantics(record, &mut steps, fix)?;
    Ok(steps)
}

fn say(steps: &mut Steps, step: &'static str, text: impl Into<String>, by: &[usize]) {
    steps.entry(step).or_default().push(Statement::shown(text, by));
}

fn message(steps: &mut Steps, fix: &Examined) {
    let by = [fix.by_message];
    let subject = &fix.fix.subject;
    let (subsystem, rest) = subject.split_once(": ").unwrap_or(("", subject));
    let verb = rest.split_whitespace().next().unwrap_or_default();
    let place = if subsystem.is_empty() {
        "no subsystem named".to_owned()
    } else {
        format!("subsystem `{subsystem}`")
    };
    say(steps, "1.1", format!("{place}; action verb `{verb}`; stated intent: \"{rest}\"."), &by);
    let tags: Vec<_> =
        fix.fix.tags.iter().map(|tag| format!("`{}: {}`", tag.name, tag.value)).collect();
    let names: BTreeSet<&str> = fix.fix.tags.iter().map(|tag| tag.name).collect();
    let wanted = ["Fixes", "Reported-by", "Tested-by", "Reviewed-by", "Acked-by", "Link", "Closes"];
    let absent: Vec<_> = wanted
        .iter()
        .filter(|name| !names.contains(*name))
        .map(|name| format!("`{name}:`"))
        .collect();
    if !tags.is_empty() {
        say(steps, "1.2", format!("Tags present: {}.", tags.join("; ")), &by);
    }
    say(
        steps,
        "1.2",
        request(&fix.fix).unwrap_or_else(|| "No tag asks for the stable branches.".to_owned()),
        &by,
    );
    if !absent.is_empty() {
        say(steps, "1.2", format!("Tags absent: {}.", absent.join(", ")), &by);
    }
    for sentence in category::telling_sentences(&fix.message) {
        say(steps, "1.3", format!("The message says: \"{sentence}\""), &by);
    }
    let title = subject.to_ascii_lowercase();
    let open = ["fix", "bug", "regression", "cve"].iter().find(|word| title.contains(**word));
    let kinds = category::added(&fix.patch);
    match open {
        Some(word) => say(steps, "1.4", format!("The subject says so itself (\"{word}\")."), &by),
        None => {
            for (kind, name) in &kinds {
                let text =
                    format!("The subject does not say \"fix\"; the diff adds `{name}` ({kind}).");
                say(steps, "1.4", text, &[fix.by_message, fix.by_patch]);
            }
        }
    }
}

fn diff(steps: &mut Steps, fix: &Examined) {
    let (added, removed) = fix.fix.lines;
    let functions = if fix.fix.functions.is_empty() {
        "no function named".to_owned()
    } else {
        format!("functions: `{}`", fix.fix.functions.join("`, `"))
    };
    let files = fix.fix.paths.len();
    let text = format!("{files} files, {added} insertions, {removed} deletions; {functions}.");
    say(steps, "2.1", text, &[fix.by_stat, fix.by_patch]);
    let code = fix.patch.files.iter().filter(|file| !is_beside_the_code(&file.new_path));
    for (file, hunk) in
        code.flat_map(|file| file.hunks.iter().map(move |hunk| (file, hunk))).take(QUOTED)
    {
        let quote = |side| {
            let lines: Vec<&str> =
                hunk.only(side).map(str::trim).filter(|line| !line.is_empty()).take(3).collect();
            if lines.is_empty() { "nothing".to_owned() } else { format!("`{}`", lines.join(" ")) }
        };
        let place =
            function_name(&hunk.section).map_or(String::new(), |name| format!(" in `{name}`"));
        let text = format!(
            "{}{place}: before {}, after {}.",
            file.new_path,
            quote(Side::Removed),
            quote(Side::Added)
        );
        say(steps, "2.2", text, &[fix.by_patch]);
    }
    for (kind, word) in category::said(&fix.message) {
        say(steps, "2.3", format!("The message speaks of {kind} (\"{word}\")."), &[fix.by_message]);
    }
    for (kind, name) in category::added(&fix.patch) {
        say(steps, "2.3", format!("The diff adds `{name}` ({kind})."), &[fix.by_patch]);
    }
    let text = format!(
        "Size is all that a command shows: {} changed lines in {files} files.",
        added + removed
    );
    say(steps, "2.4", text, &[fix.by_stat]);
    steps
        .entry("2.4")
        .or_default()
        .push(Statement::open("correctness by inspection and the risk of a regression."));
    let text = category::exception(&fix.message, &fix.patch).map_or(
        "None: not a device id, quirk, device tree, build or documentation change.".to_owned(),
        |kind| format!("{kind}."),
    );
    say(steps, "9.3", text, &[fix.by_message, fix.by_patch]);
}

fn history(
    record: &mut Record,
    steps: &mut Steps,
    fix: &Examined,
    culprit: Option<&(Named, usize)>,
) -> Result<(), Error> {
    for (named, by) in fix.blamed.iter().take(QUOTED) {
        let (describe, release) = record.git(&["describe", "--contains", &named.id])?;
        let release = release.text();
        let since = if release.trim().is_empty() {
            "in no release".to_owned()
        } else {
            format!("first released in `{}`", release.trim())
        };
        say(
            steps,
            "3.1",
            format!("The changed lines come from {}, {since}.", named.cite()),
            &[*by, describe],
        );
    }
    match culprit {
        Some((named, by)) => {
            let (describe, release) = record.git(&["describe", "--contains", &named.id])?;
            let release = release.text();
            let since = if release.trim().is_empty() { "in no release" } else { release.trim() };
            say(
                steps,
                "3.2",
                format!("The Fixes: tag names {}, {since}.", named.cite()),
                &[fix.by_message, *by, describe],
            );
        }
        None if fix.fix.tags.iter().any(|tag| tag.name == "Fixes") => {
            say(
                steps,
                "3.2",
                "The Fixes: tag names a commit that the repository does not have.",
                &[fix.by_message],
            );
        }
        None => say(steps, "3.2", "No Fixes: tag names a commit to follow.", &[fix.by_message]),
    }
    let parent = fix.parent.to_string();
    let mut args = vec![
        "log",
        "--no-show-signature",
        "--no-merges",
        "-n",
        "5",
        "--format=%h (\"%s\")",
        &parent,
        "--",
    ];
    args.extend(fix.fix.paths.iter().take(8).map(String::as_str));
    let (by, recent) = record.git(&args)?;
    let recent: Vec<_> = recent.text().lines().map(str::to_owned).collect();
    if !recent.is_empty() {
        say(
            steps,
            "3.3",
            format!("Before it the same files changed in {}.", recent.join(", ")),
            &[by],
        );
    }
    let cite = |list: &[Named]| list.iter().map(Named::cite).collect::<Vec<_>>().join(", ");
    if fix.fix.follow_ups.is_empty() && fix.fix.reverts.is_empty() {
        say(steps, "3.3", "No later commit says that it fixes or reverts it.", &fix.by_follow_ups);
    }
    if !fix.fix.follow_ups.is_empty() {
        say(
            steps,
            "3.3",
            format!("Followed up by {}.", cite(&fix.fix.follow_ups)),
            &fix.by_follow_ups,
        );
    }
    if !fix.fix.reverts.is_empty() {
        say(steps, "3.3", format!("Reverted by {}.", cite(&fix.fix.reverts)), &fix.by_follow_ups);
    }
    Ok(())
}

fn people(record: &mut Record, steps: &mut Steps, fix: &Examined) -> Result<(), Error> {
    let id = fix.id.to_string();
    let dir = directory(fix);
    let author = format!("--author={}", fix.fix.author);
    let (dated, date) = record.git(&["log", "-1", "--no-show-signature", "--format=%ct", &id])?;
    let date = date.text().trim().parse::<i64>().ok();
    if let Some(date) = date {
        // Who knows the code today is told by the last years, in a tenth of the walk.
        let since = format!("--since={}", date - 5 * 365 * 86_400);
        let args = ["rev-list", "--count", "-F", &author, &since, &id, "--", &dir];
        let (by, own) = record.git(&args)?;
        let (author, count) = (&fix.fix.author, own.text());
        let text =
            format!("{author} has {} commits in `{dir}` in the five years up to it.", count.trim());
        say(steps, "3.4", text, &[dated, by]);
    }
    let name = format!("{id}:MAINTAINERS");
    let (by, file) = record.git(&["cat-file", "-p", &name])?;
    if file.code == Some(0) {
        for (section, people) in maintainers(&file.text(), &fix.fix.paths) {
            say(steps, "3.4", format!("MAINTAINERS, {section}: {}.", people.join(", ")), &[by]);
            say(steps, "7.1", format!("Section {section} of MAINTAINERS covers it."), &[by]);
        }
    }
    say(steps, "7.1", format!("It lies in `{dir}`."), &[fix.by_patch]);
    if let Some(date) = date {
        let since = format!("--since={}", date - 365 * 86_400);
        let (count_by, count) = record.git(&["rev-list", "--count", &since, &id, "--", &dir])?;
        let text = format!("{} commits in `{dir}` in the year before it.", count.text().trim());
        say(steps, "7.2", text, &[dated, count_by]);
    }
    Ok(())
}

/// The directory that all touched code shares.
fn directory(fix: &Examined) -> String {
    let code: Vec<&String> =
        fix.fix.paths.iter().filter(|path| !is_beside_the_code(path)).collect();
    let all: Vec<&String> = if code.is_empty() { fix.fix.paths.iter().collect() } else { code };
    let mut dir = all.first().map_or("", |path| path.rsplit_once('/').map_or("", |(dir, _)| dir));
    while !dir.is_empty() && !all.iter().all(|path| path.starts_with(&format!("{dir}/"))) {
        dir = dir.rsplit_once('/').map_or("", |(up, _)| up);
    }
    if dir.is_empty() { ".".to_owned() } else { dir.to_owned() }
}

/// The sections of a MAINTAINERS file that cover a path, with their people.
fn maintainers(text: &str, paths: &[String]) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for block in text.split("\n\n") {
        let values = |key: &str| -> Vec<&str> {
            block.lines().filter_map(|line| line.strip_prefix(key)).map(str::trim).collect()
        };
        let covers = |pattern: &&str| {
            let stem = pattern.trim_end_matches('*');
            paths.iter().any(|path| {
                path == pattern || pattern.ends_with(['/', '*']) && path.starts_with(stem)
            })
        };
        if values("F:").iter().any(covers) {
            let title = block.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            found.push((
                title.trim().to_owned(),
                values("M:").iter().map(|person| (*person).to_owned()).collect(),
            ));
        }
    }
    found
}

fn lists(steps: &mut Steps, fix: &Examined, series: Option<&str>) {
    let by = [fix.by_message];
    let values = |names: &[&str]| -> Vec<String> {
        let tags = fix.fix.tags.iter().filter(|tag| names.contains(&tag.name));
        tags.map(|tag| tag.value.clone()).collect()
    };
    for (step, names, text) in [
        ("4.1", &["Link", "Message-Id", "Message-ID"][..], "The message links to"),
        ("4.2", &["Reviewed-by", "Acked-by", "Tested-by", "Cc"], "The message names"),
        (
            "4.3",
            &["Reported-by", "Reported-and-tested-by", "Closes", "Bug", "Bugzilla"],
            "The message names",
        ),
    ] {
        let found = values(names);
        if !found.is_empty() {
            say(steps, step, format!("{text} {}.", found.join(", ")), &by);
        }
    }
    if !fix.fix.mates.is_empty() {
        let list: Vec<_> = fix.fix.mates.iter().map(Named::cite).collect();
        let source = if series.is_some() {
            "The given mbox and the history"
        } else {
            "Message ids in the history"
        };
        say(
            steps,
            "4.4",
            format!("{source} make it one of a series with {}.", list.join(", ")),
            &fix.by_mates,
        );
        say(
            steps,
            "3.5",
            format!("It is one of a series; the others are {}.", list.join(", ")),
            &fix.by_mates,
        );
    }
    if let Some(text) = request(&fix.fix) {
        say(steps, "4.5", text, &by);
    }
}

fn semantics(record: &mut Record, steps: &mut Steps, fix: &Examined) -> Result<(), Error> {
    let parent = fix.parent.to_string();
    let functions = &fix.fix.functions;
    if !functions.is_empty() {
        say(
            steps,
            "5.1",
            format!("`{}`, by the heads of the hunks.", functions.join("`, `")),
            &[fix.by_patch],
        );
    }
    let code = fix.patch.files.iter().filter(|file| !is_beside_the_code(&file.new_path));
    let hunks: Vec<_> = code.flat_map(|file| &file.hunks).collect();
    let called: BTreeSet<&str> = hunks
        .iter()
        .flat_map(|hunk| hunk.only(Side::Added))
        .flat_map(|line| identifiers(line).filter(move |name| calls(line, name)))
        .collect();
    let telling = hunks.iter().flat_map(|hunk| hunk.only(Side::Removed));
    let telling = telling
        .map(str::trim)
        .filter(|line| identifiers(line).count() >= 2)
        .max_by_key(|line| line.len());
    // One walk over the tree answers for callers and for similar sites.
    let mut args = vec!["grep", "-I", "-n", "-F"];
    let wanted: Vec<&str> = functions.iter().map(String::as_str).chain(telling).take(8).collect();
    for word in &wanted {
        args.extend(["-e", word]);
    }
    args.push(&parent);
    if wanted.is_empty() {
        return Ok(());
    }
    // A caller is written in the language of what it calls; most of a tree's bytes are data.
    let kinds = crate::names::file_kinds(&fix.fix.paths);
    if !kinds.is_empty() {
        args.push("--");
        args.extend(kinds.iter().map(String::as_str));
    }
    let (by, output) = record.git(&args)?;
    let text = output.text();
    let sites: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix(&format!("{parent}:")))
        .filter_map(|line| {
            let (path, rest) = line.split_once(':')?;
            let (number, code) = rest.split_once(':')?;
            Some((&line[..path.len() + 1 + number.len()], code))
        })
        .collect();
    for name in functions {
        let uses: Vec<&str> = sites
            .iter()
            .filter(|(place, code)| {
                calls(code, name)
                    && !code.starts_with(|c: char| c.is_alphabetic())
                    && !is_beside_the_code(place.split(':').next().unwrap_or_default())
            })
            .map(|(place, _)| *place)
            .take(QUOTED)
            .collect();
        if !uses.is_empty() {
            say(
                steps,
                "5.2",
                format!("`{name}` is called or named at {}.", uses.join(", ")),
                &[by],
            );
        }
    }
    if !called.is_empty() {
        let list: Vec<_> = called.iter().take(10).copied().collect();
        say(
            steps,
            "5.3",
            format!("The added lines call `{}`.", list.join("`, `")),
            &[fix.by_patch],
        );
    }
    if let Some(line) = telling {
        let files: BTreeSet<&str> =
            sites.iter().filter(|(_, code)| code.contains(line)).map(|(place, _)| *place).collect();
        let list: Vec<_> = files.iter().take(QUOTED).copied().collect();
        let text = format!(
            "`{line}` stands at {} places in files of its kind before the fix: {}.",
            files.len(),
            list.join(", ")
        );
        say(steps, "5.5", text, &[by]);
    }
    Ok(())
}

/// Whether a line calls a function: its name with an opening bracket behind it.
fn calls(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + name.len()..].trim_start();
        after.starts_with('(') && !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

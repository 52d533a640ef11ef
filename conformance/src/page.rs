//! The page `docs/conformance.md`, made from the bodies themselves.
//!
//! A body's comment is the behaviour, its text names the operations it is about, and the table of
//! known failures says what our engine does not do. The page cannot say more than the tests prove,
//! and the test that compares it with this text fails when it is stale.

use crate::KNOWN;
use ringfence_abi::Op;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// One body, as its source tells.
struct Body {
    /// `file::name`.
    name: String,
    behaviour: String,
    ops: BTreeSet<&'static str>,
}

/// One file of bodies.
struct Mechanism {
    name: String,
    about: String,
    bodies: Vec<Body>,
}

/// The page, from the sources under `root` (this crate's directory).
///
/// # Panics
/// If a source cannot be read.
pub fn page(root: &Path) -> String {
    let read = |path: &Path| std::fs::read_to_string(path).expect("a source of this crate");
    let constructors: BTreeMap<_, _> = functions(&read(&root.join("src/sqe.rs")), &BTreeMap::new())
        .into_iter()
        .map(|(name, ops)| (format!("sqe::{name}"), ops))
        .collect();
    let mut paths: Vec<_> = std::fs::read_dir(root.join("tests/suite"))
        .expect("the bodies")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.file_name().is_some_and(|name| name != "main.rs"))
        .collect();
    paths.sort();
    let mechanisms: Vec<Mechanism> = paths
        .iter()
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            mechanism(name, &read(path), &constructors)
        })
        .collect();
    let mut text = head(&mechanisms);
    records(&mut text, &root.join("recorded"));
    operations(&mut text, &mechanisms);
    known(&mut text);
    behaviours(&mut text, &mechanisms);
    text
}

/// Why the engine fails a body, if it does.
fn reason(body: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(_, bodies)| bodies.contains(&body)).map(|(reason, _)| *reason)
}

/// Functions of a source, and the operations that each is about, by what it names and calls.
fn functions(
    source: &str,
    outer: &BTreeMap<String, BTreeSet<&'static str>>,
) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut found = outer.clone();
    let mut chunks: Vec<(String, &str)> = Vec::new();
    for chunk in source.split("\nfn ").skip(1).chain(source.split("\npub fn ").skip(1)) {
        let end = chunk.find("\n}").unwrap_or(chunk.len());
        let name: String = chunk.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        chunks.push((name, &chunk[..end]));
    }
    // Functions call each other; the depth of that is small.
    for _ in 0..3 {
        for (name, text) in &chunks {
            let ops = ops_of(text, &found);
            found.entry(name.clone()).or_default().extend(ops);
        }
    }
    found
}

/// The operations that a text names, or that functions it calls are about.
fn ops_of(
    text: &str,
    functions: &BTreeMap<String, BTreeSet<&'static str>>,
) -> BTreeSet<&'static str> {
    let mut ops: BTreeSet<&'static str> = Op::ALL
        .iter()
        .filter(|op| mentions(text, &format!("Op::{op:?}"), |c| !c.is_alphanumeric()))
        .map(|op| op.name())
        .collect();
    for (function, about) in functions {
        if mentions(text, function, |c| c == '(') {
            ops.extend(about);
        }
    }
    ops
}

/// Whether a text has a word that stands alone, and before a character that `next` accepts.
fn mentions(text: &str, word: &str, next: fn(char) -> bool) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().unwrap_or(' ');
        let after = text[at + word.len()..].chars().next().unwrap_or(' ');
        !(before.is_alphanumeric() || "_.:".contains(before)) && next(after)
    })
}

fn mechanism(
    name: String,
    source: &str,
    constructors: &BTreeMap<String, BTreeSet<&'static str>>,
) -> Mechanism {
    let about: Vec<&str> = source
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .map(|line| line.trim_start_matches("//!").trim())
        .take_while(|line| !line.is_empty())
        .collect();
    let helpers = functions(source, constructors);
    let mut bodies = Vec::new();
    let parts: Vec<&str> = source.split("ring_test!(").collect();
    for (before, body) in parts.iter().zip(&parts[1..]) {
        let ident: String = body.chars().take_while(|c| *c != ',').collect();
        let behaviour = comment_at_end(before);
        let end = body.find("\n});").unwrap_or(body.len());
        let ops = ops_of(&body[..end], &helpers);
        bodies.push(Body { name: format!("{name}::{}", ident.trim()), behaviour, ops });
    }
    Mechanism { name, about: about.join(" "), bodies }
}

/// The comment that ends a text, in one line.
fn comment_at_end(text: &str) -> String {
    let mut lines: Vec<&str> = text
        .lines()
        .rev()
        .skip_while(|line| line.trim().is_empty())
        .take_while(|line| line.starts_with("// "))
        .map(|line| line.trim_start_matches("// "))
        .collect();
    lines.reverse();
    lines.join(" ").replace('|', "\\|")
}

fn head(mechanisms: &[Mechanism]) -> String {
    let bodies: Vec<&Body> = mechanisms.iter().flat_map(|mechanism| &mechanism.bodies).collect();
    let failed = bodies.iter().filter(|body| reason(&body.name).is_some()).count();
    format!(
        "# Conformance\n\n\
         Each row below is a test body: one behaviour of io_uring, run on the kernel's io_uring\n\
         (Linux 6.18), on ringfence's engine in-process, and as an unmodified program under\n\
         `libringfence.so` with io_uring refused by seccomp. Of {} bodies the kernel fails none;\n\
         ringfence passes {}. Those it fails are named with the reason, and a change in either\n\
         direction fails the test run.\n\n\
         Run them all: `cargo build -p ringfence-preload && cargo test -p ringfence-conformance`.\n\
         One: `cargo test -p ringfence-conformance --test suite -- link::runs_in_order`.\n\
         This page is generated: `RINGFENCE_RECORD=1 cargo test -p ringfence-conformance --test page`.\n",
        bodies.len(),
        bodies.len() - failed,
    )
}

/// Long tables: how many lines, and how many of them differ.
fn records(text: &mut String, directory: &Path) {
    let lines = |name: &str| {
        let text = std::fs::read_to_string(directory.join(name)).unwrap_or_default();
        text.lines().filter(|line| !line.starts_with('#')).count()
    };
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .expect("the records")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.ends_with(".engine.txt"))
        .collect();
    names.sort();
    text.push_str("\n## Recorded tables\n\n");
    text.push_str("Enumerated on the kernel and compared line by line; what differs stands in\n");
    text.push_str("`conformance/recorded/*.engine.txt`.\n\n");
    text.push_str("| Table | Lines | Ringfence differs in |\n|---|---:|---:|\n");
    for name in names {
        let stem = name.trim_end_matches(".txt");
        let differs = lines(&format!("{stem}.engine.txt"));
        let _ = writeln!(text, "| {stem} | {} | {differs} |", lines(&name));
    }
}

fn operations(text: &mut String, mechanisms: &[Mechanism]) {
    text.push_str("\n## Operations\n\n");
    text.push_str("| Operation | Since | Ringfence | Bodies | Failed |\n|---|---|---|---:|---:|\n");
    for support in ringfence_uring::support() {
        let about = |body: &&Body| body.ops.contains(support.op.name());
        let bodies: Vec<&Body> =
            mechanisms.iter().flat_map(|mechanism| &mechanism.bodies).filter(about).collect();
        let failed = bodies.iter().filter(|body| reason(&body.name).is_some()).count();
        let state = if support.supported { "yes" } else { "no" };
        let (name, since) = (support.op.name(), support.op.since());
        let _ = writeln!(text, "| {name} | {since} | {state} | {} | {failed} |", bodies.len());
    }
}

fn known(text: &mut String) {
    text.push_str("\n## What ringfence fails\n\n| Cause | Bodies |\n|---|---|\n");
    for (reason, bodies) in KNOWN {
        let bodies: Vec<String> = bodies.iter().map(|body| format!("`{body}`")).collect();
        let _ = writeln!(text, "| {reason} | {} |", bodies.join(", "));
    }
}

fn behaviours(text: &mut String, mechanisms: &[Mechanism]) {
    for mechanism in mechanisms {
        let _ = writeln!(text, "\n## {}\n\n{}\n", mechanism.name, mechanism.about);
        text.push_str("| Behaviour | Body | Ringfence |\n|---|---|---|\n");
        for body in &mechanism.bodies {
            let state = reason(&body.name).unwrap_or("yes");
            let name = body.name.split_once("::").map_or("", |(_, name)| name);
            let _ = writeln!(text, "| {} | `{name}` | {state} |", body.behaviour);
        }
    }
}

//! Reports in the kernel's words, from what the validator and the oracles say: a reader of crash logs
//! knows them.

use ringfence_lockdep::reports;
use ringfence_sim::{Found, Kind};
use std::backtrace::Backtrace;
use std::collections::HashMap;
use std::fmt::Write;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

/// The functions that touch links, by their place in the source.
static NAMES: LazyLock<Mutex<HashMap<String, &'static str>>> = LazyLock::new(Mutex::default);

/// Whether stacks are worth their time: in the run whose report is shown.
static WITH_STACKS: AtomicBool = AtomicBool::new(false);

/// Says whether reports have stacks from here on.
pub(crate) fn with_stacks(wanted: bool) {
    WITH_STACKS.store(wanted, Ordering::Relaxed);
    ringfence_lockdep::validator().capture_stacks(wanted);
}

/// Remembers which function stands at a place.
pub(crate) fn name(place: &Location<'_>, by: &'static str) {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.insert(place.to_string(), by);
}

/// The title and the text of a failure.
pub(crate) fn of(found: &Found) -> (String, String) {
    let failure = &found.failure;
    if let Some(report) = reports().first() {
        return (report.title.clone(), report.to_string());
    }
    let message = &failure.message;
    let steps = steps(found);
    if failure.kind == Kind::Race
        && let Some(parts) = race(message)
    {
        return (parts.0, parts.1 + &steps);
    }
    if failure.kind == Kind::Panic && message.contains(REVIVED) {
        let by = "look_up";
        let text = warning("addition on 0; use-after-free", by);
        return (format!("WARNING: refcount bug in {by}"), format!("{text}{message}\n{steps}"));
    }
    if failure.kind == Kind::Panic
        && let Some((_, rest)) = message.split_once(CUT)
    {
        let by = rest.split_once("by ").and_then(|(_, by)| by.lines().next()).unwrap_or_default();
        return (format!("WARNING: refcount bug in {by}"), format!("{CUT}{rest}{steps}"));
    }
    let line = message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    (format!("{:?}: {line}", failure.kind), failure.to_string())
}

/// Rows of an interleaving that are shown.
const ROWS: usize = 24;

/// The interleaving, a column for each thread.
fn steps(found: &Found) -> String {
    let failure = &found.failure;
    let rows = failure.trace.iter().filter(|row| row.label != "unlock");
    let rows: Vec<_> = rows.collect();
    let rows = &rows[rows.len().saturating_sub(ROWS)..];
    let mut threads: Vec<usize> = rows.iter().map(|row| row.thread).collect();
    threads.sort_unstable();
    threads.dedup();
    let name = |thread: usize| failure.names.get(thread).map_or("", String::as_str);
    let mut text = String::from("\nThe last steps before it:\n\n");
    let heads: Vec<String> = threads.iter().map(|&one| format!("{:<30}", name(one))).collect();
    let _ = writeln!(text, "  {}", heads.concat().trim_end());
    for row in rows {
        let column = threads.iter().position(|&one| one == row.thread).unwrap_or_default();
        let file = row.place.file().rsplit('/').next().unwrap_or_default();
        let cell = match file {
            // The host's own: its line says nothing.
            "mod.rs" => row.label.to_owned(),
            _ => format!("{} {file}:{}", row.label, row.place.line()),
        };
        let _ = writeln!(text, "  {:width$}{cell}", "", width = column * 30);
    }
    text
}

const BAR: &str = "==================================================================";

/// "data race: A writes what B read at PLACE, unordered, at PLACE".
fn race(message: &str) -> Option<(String, String)> {
    let (mine, rest) = message.strip_prefix("data race: ")?.split_once(" what ")?;
    let (other, here) = rest.split_once(", unordered, at ")?;
    let (other, there) = other.split_once(" at ")?;
    let functions = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let of = |place: &str| functions.get(place.trim()).copied().unwrap_or("unknown");
    let (first, second) = (of(here), of(there));
    let access = |who: &str| {
        let (name, verb) = who.rsplit_once(' ').unwrap_or((who, ""));
        let verb = if verb.starts_with("wr") { "write" } else { "read" };
        format!("{verb} to link by {name}")
    };
    // In the order of their names, whoever came first: one race has one title.
    let names = [first.min(second), first.max(second)];
    let title = format!("BUG: KCSAN: data-race in {}", names.join(" / "));
    let text = format!(
        "{BAR}\n{title}\n\n{} on cpu 0:\n {first}+0x0/0x0 {}\n\n{} on cpu 1:\n {second}+0x0/0x0 {}\n\n{BAR}\n",
        access(mine),
        short(here),
        access(other),
        short(there),
    );
    Some((title, text))
}

/// A place without the directories above the project.
fn short(place: &str) -> &str {
    place.trim().rsplit_once("crates/").map_or(place.trim(), |(_, rest)| rest)
}

/// What the engine says when a context is used whose end is over.
const REVIVED: &str = "a context was used after its end";

const CUT: &str = "------------[ cut here ]------------\n";

/// The report of a reference that is dropped once more than it was taken.
pub(crate) fn underflow(by: &str) -> String {
    warning("underflow; use-after-free", by)
}

fn warning(what: &str, by: &str) -> String {
    let mut text = format!(
        "{CUT}refcount_t: {what}.\n\
         WARNING: CPU: 0 PID: 1 at lib/refcount.c:28 refcount_warn_saturate+0x0/0x0, by {by}\n\
         Call Trace:\n refcount_warn_saturate+0x0/0x0\n {by}+0x0/0x0\n"
    );
    if WITH_STACKS.load(Ordering::Relaxed) {
        for frame in engine_frames(&Backtrace::force_capture().to_string()) {
            if !frame.starts_with(by) {
                let _ = writeln!(text, " {frame}");
            }
        }
    }
    text
}

/// The engine's frames of a stack, innermost first.
fn engine_frames(stack: &str) -> Vec<String> {
    let mut frames = Vec::new();
    let mut lines = stack.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((_, path)) = line.split_once(": ") else { continue };
        let at = lines.peek().and_then(|next| next.trim().strip_prefix("at "));
        if path.contains("ringfence_uring")
            && let Some(at) = at
        {
            let path = path.trim_end_matches("::{{closure}}");
            let function = path.rsplit("::").next().unwrap_or(path);
            frames.push(format!("{function}+0x0/0x0 {}", short(at)));
        }
    }
    frames
}

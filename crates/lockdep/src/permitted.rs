//! The locking document of a project: which lock may be taken under which, as accepted by people.
//!
//! It is printed from a test run and kept in the project. A later run may show less than it says;
//! more is an error until somebody has looked at it and accepted it.

use crate::snapshot::{SeenClass, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter, Write};
use std::path::Path;
use std::{fs, io};

/// The variable that makes [`Permitted::check_file`] accept what is new: set to anything.
pub const ACCEPT_VARIABLE: &str = "RINGFENCE_LOCKING_ACCEPT";

/// What a locking document permits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permitted {
    edges: BTreeSet<(String, String)>,
    taken_in: BTreeSet<(String, String)>,
    /// The classes in the document, each with its line.
    classes: Vec<(String, String)>,
}

/// What a run did that the document does not permit.
#[derive(Debug, PartialEq, Eq)]
pub struct NotPermitted {
    /// A lock taken under another, as outer and inner.
    pub edges: Vec<(String, String)>,
    /// A lock taken in a context, as lock and context.
    pub taken_in: Vec<(String, String)>,
}

impl Display for NotPermitted {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "locks were used in ways that the locking document does not permit:")?;
        for (outer, inner) in &self.edges {
            writeln!(f, "  `{inner}` was taken under `{outer}`")?;
        }
        for (lock, context) in &self.taken_in {
            writeln!(f, "  `{lock}` was taken in the context `{context}`")?;
        }
        write!(f, "accept it by running again with {ACCEPT_VARIABLE}=1, or mend the code")
    }
}

impl std::error::Error for NotPermitted {}

const CLASSES: &str = "## Classes, outermost first";
const EDGES: &str = "## Taken under one another";
const CONTEXTS: &str = "## Taken in contexts";

impl Permitted {
    /// Reads a document that [`document`] printed; what else stands in it does not matter.
    pub fn parse(text: &str) -> Permitted {
        let mut permitted = Permitted::default();
        let mut section = "";
        for line in text.lines() {
            if line.starts_with("## ") {
                section = line.trim_end();
            }
            if section == CLASSES
                && let Some(name) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next())
            {
                permitted.classes.push((name.to_owned(), line.to_owned()));
            }
            let Some((first, second)) = pair(line) else { continue };
            match section {
                EDGES => permitted.edges.insert((first, second)),
                CONTEXTS => permitted.taken_in.insert((first, second)),
                _ => false,
            };
        }
        permitted
    }

    /// Whether all that `seen` shows is permitted.
    ///
    /// # Errors
    ///
    /// What is not.
    pub fn check(&self, seen: &Snapshot) -> Result<(), NotPermitted> {
        let of_run = Permitted::of(seen);
        let edges: Vec<_> = of_run.edges.difference(&self.edges).cloned().collect();
        let taken_in: Vec<_> = of_run.taken_in.difference(&self.taken_in).cloned().collect();
        if edges.is_empty() && taken_in.is_empty() {
            return Ok(());
        }
        Err(NotPermitted { edges, taken_in })
    }

    /// Checks `seen` against the document at `path`; where [`ACCEPT_VARIABLE`] is set, adds what is
    /// new to it instead and keeps what this run did not show.
    ///
    /// # Errors
    ///
    /// What is not permitted, or that the file cannot be read or written.
    pub fn check_file(path: &Path, seen: &Snapshot) -> Result<(), Box<dyn std::error::Error>> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| format!("{}: {error}", path.display()))?,
        };
        let permitted = Permitted::parse(&text);
        let checked = permitted.check(seen);
        if checked.is_err() && std::env::var_os(ACCEPT_VARIABLE).is_some() {
            let write = fs::write(path, document(seen, &permitted));
            return write.map_err(|error| format!("{}: {error}", path.display()).into());
        }
        Ok(checked?)
    }

    /// What a run did.
    fn of(seen: &Snapshot) -> Permitted {
        let edge = |edge: &crate::SeenEdge| (edge.outer.clone(), edge.inner.clone());
        let inside = |class: &SeenClass| {
            let name = class.name.clone();
            let pairs = class.taken_in.iter().map(move |context| (name.clone(), context.clone()));
            pairs.collect::<Vec<_>>()
        };
        Permitted {
            edges: seen.edges.iter().map(edge).collect(),
            taken_in: seen.classes.iter().flat_map(inside).collect(),
            classes: seen.classes.iter().map(|class| (class.name.clone(), row(class))).collect(),
        }
    }
}

/// The line of a class. Lines of source move with every change, so it names the file only.
fn row(class: &SeenClass) -> String {
    let open = if class.open_to.is_empty() { "nothing".into() } else { class.open_to.join(", ") };
    let at = class.declared_at.as_deref().and_then(|at| at.split(':').next()).unwrap_or("");
    format!("| `{}` | `{}` | {open} | {at} |", class.name, class.usage)
}

/// The locking document of a run, with what was permitted before: what is printed into a project's
/// `docs/LOCKING.md`.
pub fn document(seen: &Snapshot, before: &Permitted) -> String {
    let run = Permitted::of(seen);
    let mut text = format!(
        "# Locking\n\nPrinted by ringfence-lockdep from what test runs did; a use that is not listed \
         fails them.\n\n{CLASSES}\n\n\
         | class | use | may break in while held | declared in |\n| --- | --- | --- | --- |\n",
    );
    let edges: BTreeSet<&(String, String)> = run.edges.union(&before.edges).collect();
    let mut known: BTreeMap<&str, &(String, String)> = BTreeMap::new();
    for class in before.classes.iter().chain(&run.classes) {
        let kept = known.entry(&class.0).or_insert(class);
        // Each run shows a part of how a class is used; the line that says most stays.
        if unused(&class.1) <= unused(&kept.1) {
            *kept = class;
        }
    }
    let mut classes: Vec<&(String, String)> = known.into_values().collect();
    classes.sort_by_cached_key(|(name, _)| (depth(&edges, name, edges.len()), name));
    for (_, line) in classes {
        let _ = writeln!(text, "{line}");
    }
    let mut section = |title: &str, pairs: BTreeSet<&(String, String)>, word: &str| {
        let _ = writeln!(text, "\n{title}\n");
        for (first, second) in pairs {
            let _ = writeln!(text, "- `{first}` {word} `{second}`");
        }
    };
    section(EDGES, edges, "->");
    section(CONTEXTS, run.taken_in.union(&before.taken_in).collect(), "in");
    text
}

/// How much the usage in a class's line leaves open: a dot for each way in which it was not used.
fn unused(line: &str) -> usize {
    line.split('`').nth(3).map_or(0, |usage| usage.matches('.').count())
}

/// How many classes are taken outside of `name` at most, one under the other; `most` ends the search
/// where edges make a circle.
fn depth(edges: &BTreeSet<&(String, String)>, name: &str, most: usize) -> usize {
    let outer = edges.iter().filter(|(_, inner)| inner == name && most > 0);
    outer.map(|(outer, _)| 1 + depth(edges, outer, most - 1)).max().unwrap_or(0)
}

/// The two names of a line such as "- `a` -> `b`".
fn pair(line: &str) -> Option<(String, String)> {
    let mut names = line.strip_prefix("- ")?.split('`').skip(1).step_by(2);
    Some((names.next()?.to_owned(), names.next()?.to_owned()))
}

//! The planted faults: `xtask/faults.toml`.

use super::suites;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The table.
const TABLE: &str = "xtask/faults.toml";

/// Only what is shipped is harmed, and of that what these directories hold.
const HARMED: &[&str] = &["crates/uring/src/", "crates/host/src/"];

/// What a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A lock that is held too long, too short, or in the wrong order.
    Lock,
    /// A reference or a count that is taken or given back wrongly.
    Count,
    /// Steps in the wrong order, a wake that is lost, a word published too early.
    Order,
    /// What is done when something fails, ends or is cancelled.
    Error,
}

/// A planted fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The source file, from the root of the tree.
    pub(crate) file: String,
    /// Text that stands in the file once.
    pub(crate) old: String,
    /// What stands there instead.
    pub(crate) new: String,
    /// What goes wrong then.
    pub(crate) breaks: String,
    /// The tests that ought to find it: a suite, and a filter.
    pub(crate) first: Vec<String>,
}

impl Fault {
    /// The text of its file with the fault in it.
    ///
    /// # Errors
    /// If what it replaces does not stand there exactly once.
    pub(crate) fn planted(&self, text: &str) -> Result<String> {
        let found = text.matches(&self.old).count();
        ensure!(
            found == 1,
            "{TABLE}: {}: its old text stands {found} times in {}; it has to stand there once",
            self.name,
            self.file
        );
        Ok(text.replacen(&self.old, &self.new, 1))
    }

    fn check(&self) -> Result<()> {
        let name = &self.name;
        ensure!(self.old != self.new, "{TABLE}: {name} changes nothing");
        ensure!(!self.breaks.is_empty(), "{TABLE}: {name} does not say what it breaks");
        ensure!(!self.first.is_empty(), "{TABLE}: {name} names no test that ought to find it");
        let is_harmed = HARMED.iter().any(|dir| self.file.starts_with(dir));
        ensure!(is_harmed, "{TABLE}: {name} harms {}, which is not the engine's", self.file);
        for selection in &self.first {
            suites::parse(selection).with_context(|| format!("{TABLE}: {name}"))?;
        }
        let text = std::fs::read_to_string(&self.file)
            .with_context(|| format!("{TABLE}: {name}: {}", self.file))?;
        self.planted(&text).map(|_| ())
    }
}

#[derive(Deserialize)]
struct Table {
    fault: Vec<Fault>,
}

fn all() -> Result<Vec<Fault>> {
    let text = std::fs::read_to_string(TABLE)
        .with_context(|| format!("{TABLE}: run it at the project's root"))?;
    let table: Table = toml::from_str(&text).context(TABLE)?;
    Ok(table.fault)
}

/// The faults of these names, all for none.
///
/// # Errors
/// If there is no fault of a name, or one does not apply.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Fault>> {
    let all = all()?;
    for name in names {
        if !all.iter().any(|fault| fault.name == *name) {
            bail!("there is no fault {name}; `cargo xtask mutate --list` names them");
        }
    }
    let wanted = |fault: &Fault| names.is_empty() || names.contains(&fault.name);
    let chosen: Vec<Fault> = all.into_iter().filter(wanted).collect();
    chosen.iter().try_for_each(Fault::check)?;
    Ok(chosen)
}

/// What is wrong with the table: rows that no longer apply, above all.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn check() -> Result<Vec<String>> {
    let all = all()?;
    let mut wrong: Vec<String> =
        all.iter().filter_map(|fault| Some(format!("{:#}", fault.check().err()?))).collect();
    let mut names = BTreeSet::new();
    let twice = all.iter().filter(|fault| !names.insert(&fault.name));
    wrong.extend(twice.map(|fault| format!("{TABLE}: two rows are named {}", fault.name)));
    Ok(wrong)
}

//! `cargo xtask mutate [NAME...] [--list] [--json]`: plants faults in a copy of the sources, one at a
//! time, and sees whether the tests find them.
//!
//! The faults are the rows of `xtask/faults.toml`. Each is put into a copy of the tree below the
//! target directory, never into the checkout, and the copy is built incrementally there. The tests
//! that the row names first run first, then all suites from the fastest on; the first failure, crash
//! or hang kills the fault and ends its run. Before that, every suite that will judge must pass on
//! the copy without a fault: a test that fails anyway kills nothing.

mod report;
mod suites;
mod table;
mod tree;
mod watch;

pub(crate) use table::check;

use anyhow::{Result, bail};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;
use suites::{Outcome, SUITES};
use table::Fault;
use tree::Tree;

/// The share of the planted faults that the tests must kill, percent.
const KILLED_MIN: usize = 95;

/// What the arguments ask for.
struct Options {
    names: Vec<String>,
    json: bool,
    list: bool,
}

fn options(args: &[String]) -> Result<Options> {
    let (flags, names): (Vec<_>, Vec<_>) =
        args.iter().cloned().partition(|arg| arg.starts_with('-'));
    if let Some(unknown) = flags.iter().find(|flag| !["--json", "--list"].contains(&flag.as_str()))
    {
        bail!("{unknown} is no option; there are --json and --list");
    }
    let has = |flag: &str| flags.iter().any(|given| given == flag);
    Ok(Options { names, json: has("--json"), list: has("--list") })
}

/// Runs the command.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = options(args)?;
    let faults = table::chosen(&options.names)?;
    if options.list {
        return report::list(&faults, options.json);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let home = std::path::absolute(target.join("mutate"))?;
    let tree = Tree::prepare(&home)?;
    watch::catch_interrupts()?;
    pass_unharmed(&tree, &faults, !options.names.is_empty())?;
    let mut verdicts = Vec::new();
    for fault in &faults {
        let begin = Instant::now();
        let outcome = judge(&tree, fault)?;
        let verdict = report::Verdict::new(fault, outcome, begin.elapsed());
        eprintln!("{verdict}");
        verdicts.push(verdict);
    }
    report::print(&verdicts, options.json)?;
    let killed = verdicts.iter().filter(|verdict| verdict.is_killed()).count();
    if killed * 100 < verdicts.len() * KILLED_MIN {
        bail!("{killed} of {} faults were killed; {KILLED_MIN}% must be", verdicts.len());
    }
    Ok(())
}

/// Every suite must pass without a fault. Where only some faults were asked for, the tests that ought
/// to find them must.
fn pass_unharmed(tree: &Tree, faults: &[Fault], only_some: bool) -> Result<()> {
    if !only_some {
        return SUITES.iter().try_for_each(|suite| expect_pass(tree, suite.name));
    }
    let first: BTreeSet<&str> =
        faults.iter().flat_map(|fault| &fault.first).map(String::as_str).collect();
    first.into_iter().try_for_each(|selection| expect_pass(tree, selection))
}

fn expect_pass(tree: &Tree, selection: &str) -> Result<()> {
    let begin = Instant::now();
    match suites::run(tree, selection)? {
        Outcome::Passed => {
            let seconds = begin.elapsed().as_secs_f64();
            eprintln!("without a fault: {selection} passes, {seconds:.1} s");
            Ok(())
        }
        other => bail!("{selection} does not pass without a fault: {other}"),
    }
}

/// Plants a fault and runs tests until one of them finds it.
fn judge(tree: &Tree, fault: &Fault) -> Result<Outcome> {
    let _planted = tree.plant(fault)?;
    let all = SUITES.iter().map(|suite| suite.name);
    for selection in fault.first.iter().map(String::as_str).chain(all) {
        let outcome = suites::run(tree, selection)?;
        match outcome {
            Outcome::Passed => {}
            Outcome::DoesNotBuild(text) => bail!("{} does not build:\n{text}", fault.name),
            killed => return Ok(killed),
        }
    }
    Ok(Outcome::Passed)
}

//! A library's own test programs, built and run, never copied in.

use crate::expected::{Expected, Verdict};
use crate::host::Host;
use crate::place;
use crate::runner::{End, Outcome, Runner};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The test programs of a library.
pub(crate) struct Suite {
    /// The library.
    pub(crate) name: &'static str,
    /// A test program's code for "cannot test this here".
    pub(crate) skipped: i32,
    /// Finds the sources, or fetches them below the workshop.
    pub(crate) find: fn(&Path) -> Result<Release>,
    /// Builds the programs among the sources, as far as they are not yet; their names and files.
    pub(crate) build: fn(&Path) -> Result<BTreeMap<String, PathBuf>>,
    /// The command that runs one, in an empty directory.
    pub(crate) command: fn(&Path) -> Vec<OsString>,
}

/// A release whose programs are run.
pub(crate) struct Release {
    /// As the library itself counts them, such as `2.3`.
    pub(crate) version: String,
    /// Where its sources stand.
    pub(crate) sources: PathBuf,
}

/// Run a library's own test programs and compare with the expected results.
///
/// Without --on, each runs refused and under ringfence, and a result other than the expected one
/// fails, better ones too. With --on, results are printed and compared with nothing.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run on this host alone and print each result
    #[arg(long, value_enum)]
    on: Option<Host>,

    /// Take the results over into the file of expected ones
    #[arg(long, conflicts_with = "on")]
    bless: bool,

    /// Programs that run at the same time
    #[arg(long, default_value_t = 2)]
    jobs: usize,

    /// Seconds until a program is killed
    #[arg(long, default_value_t = 180)]
    limit: u64,

    /// Only these programs, by name
    programs: Vec<String>,
}

/// Runs the programs; the exit code says whether all is as expected.
pub(crate) fn run(suite: &Suite, args: &Args) -> Result<ExitCode> {
    let workshop = place::workshop()?;
    let release = (suite.find)(&workshop)?;
    eprintln!("clients: building {} {}", suite.name, release.version);
    let programs = select(suite, (suite.build)(&release.sources)?, &args.programs)?;
    let directory = workshop.join(format!("{}-run", suite.name));
    std::fs::create_dir_all(&directory)?;
    let ringfence = match args.on {
        Some(Host::Kernel | Host::Refused) => PathBuf::new(),
        _ => place::ringfence()?,
    };
    let runner = Runner { directory, ringfence, limit: Duration::from_secs(args.limit) };
    match args.on {
        Some(host) => observe(suite, &runner, host, &programs, args.jobs),
        None => compare(suite, &runner, &release, &programs, args),
    }
}

/// The programs of those names, or all if none is named.
fn select(
    suite: &Suite,
    mut all: BTreeMap<String, PathBuf>,
    names: &[String],
) -> Result<BTreeMap<String, PathBuf>> {
    if let Some(unknown) = names.iter().find(|name| !all.contains_key(*name)) {
        bail!("{unknown}: {} has no such test program", suite.name);
    }
    all.retain(|name, _| names.is_empty() || names.contains(name));
    Ok(all)
}

/// Runs `work` on every program, `jobs` at a time, and returns its results by name.
fn for_each<T: Send>(
    programs: &BTreeMap<String, PathBuf>,
    jobs: usize,
    work: impl Fn(&str, &Path) -> Result<T> + Sync,
) -> Result<BTreeMap<String, T>> {
    let list: Vec<_> = programs.iter().collect();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        let worker = || -> Result<()> {
            while let Some((name, path)) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
                let result = work(name, path).with_context(|| (*name).clone())?;
                let mut results = results.lock().expect("no worker panics");
                results.insert((*name).clone(), result);
                if std::io::stderr().is_terminal() {
                    eprint!("\r{} of {}: {name:<26}\r", results.len(), list.len());
                }
            }
            Ok(())
        };
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    Ok(results.into_inner().expect("no worker panics"))
}

fn observe(
    suite: &Suite,
    runner: &Runner,
    host: Host,
    programs: &BTreeMap<String, PathBuf>,
    jobs: usize,
) -> Result<ExitCode> {
    let results = for_each(programs, jobs, |name, path| {
        let outcome = runner.run(&(suite.command)(path), host)?;
        let result = result(suite, &outcome);
        println!("{name:<26} {:6.2} s  {}", outcome.time.as_secs_f64(), text(&result));
        if !matches!(result, Verdict::Pass) && programs.len() < 4 {
            println!("{}", outcome.output);
        }
        Ok(result)
    })?;
    tally(results.values());
    Ok(ExitCode::SUCCESS)
}

fn compare(
    suite: &Suite,
    runner: &Runner,
    release: &Release,
    programs: &BTreeMap<String, PathBuf>,
    args: &Args,
) -> Result<ExitCode> {
    let file = format!("{}-{}.toml", suite.name, release.version);
    let mut expected = Expected::read(&place::own_file(&file))?;
    // Most of those that are known to fail hang, and would take all the time there is.
    let hasty = Runner { limit: runner.limit / 6, ..runner.clone() };
    let results = for_each(programs, args.jobs, |name, path| {
        let fails = matches!(expected.of(name), Some(Verdict::Fail(_)));
        let runner = if fails { &hasty } else { runner };
        let command = (suite.command)(path);
        let with = result(suite, &runner.run(&command, Host::Ringfence)?);
        let proves_nothing =
            || runner.run(&command, Host::Refused).map(|run| run.end == End::Exit(0));
        Ok(if with == Verdict::Pass && proves_nothing()? { Verdict::Void } else { with })
    })?;
    let mut changes = 0;
    for (name, verdict) in &results {
        let before = expected.of(name);
        // Whether a program passes with nothing to help may hang on a race of its own: libaio's 17 waits
        // ten seconds for the end of a child that ended before it was listened for.
        let proves = before == Some(&Verdict::Void) && *verdict == Verdict::Pass;
        if !proves && !before.is_some_and(|before| before.agrees(verdict)) {
            let before = before.map_or("nothing".to_owned(), text);
            println!("{name}: expected {before}; now {}", text(verdict));
            changes += 1;
        }
    }
    if args.programs.is_empty() {
        let mut gone = expected.programs().filter(|name| !results.contains_key(*name));
        if let Some(gone) = gone.next() {
            bail!("{file} names {gone}, which is no program");
        }
    }
    tally(results.values());
    if args.bless {
        results.into_iter().for_each(|(name, verdict)| expected.accept(&name, verdict));
        expected.write()?;
    } else if changes > 0 {
        println!("{changes} results are not those of {file}; if they should be: --bless");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// What one run shows by itself.
fn result(suite: &Suite, outcome: &Outcome) -> Verdict {
    let last = outcome.output.lines().rev().find(|line| !line.trim().is_empty());
    let said = last.map_or(String::new(), |line| format!("; {}", line.trim()));
    match outcome.end {
        End::Exit(0) => Verdict::Pass,
        End::Exit(code) if code == suite.skipped => {
            Verdict::Skip(format!("says it cannot test here{said}"))
        }
        End::Exit(code) => Verdict::Fail(format!("exit {code}{said}")),
        End::Signal(signal) => Verdict::Fail(format!("signal {signal}{said}")),
        End::TimedOut => Verdict::Fail(format!("no end in {:.0?}{said}", outcome.time)),
    }
}

fn text(verdict: &Verdict) -> String {
    verdict.to_string()
}

fn tally<'a>(verdicts: impl Iterator<Item = &'a Verdict> + Clone) {
    let count = |like: Verdict| verdicts.clone().filter(|verdict| verdict.agrees(&like)).count();
    println!(
        "of {}: {} pass, {} void, {} skip, {} fail",
        verdicts.clone().count(),
        count(Verdict::Pass),
        count(Verdict::Void),
        count(Verdict::Skip(String::new())),
        count(Verdict::Fail(String::new()))
    );
}

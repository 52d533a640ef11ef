//! `ringfence backport`: may a fix go to the stable branches, and in which form?

use anyhow::{Context, Result, bail};
use ringfence_backport::mailbox::Mailbox;
use ringfence_backport::repo::{out, record, run as runs, scratch, verify};
use ringfence_backport::report::Report;
use ringfence_git::Repo;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Decide for each stable branch whether a fix goes there, with the command behind every statement
///
/// Prints a table over the branches. The repository is only read: what a run needs to write goes
/// to a scratch repository that ends with it. The exit code is 0 if no branch needs a person, and 1
/// if one does; with --verify, 1 if a command answers otherwise than the report says.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The fix: one commit, by any name git knows
    #[arg(required_unless_present = "verify", conflicts_with = "verify")]
    fix: Option<String>,

    /// The repository
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,

    /// Branches, local or remote; a directory of them or a glob
    #[arg(long, value_name = "GLOB", num_args = 1.., required_unless_present = "verify")]
    branches: Vec<String>,

    /// Build each result with this shell command
    #[arg(long, value_name = "CMD")]
    build: Option<String>,

    /// Test each result with this shell command
    #[arg(long, value_name = "CMD")]
    test: Option<String>,

    /// Read the fix's series from this mailbox
    #[arg(long, value_name = "FILE")]
    series: Option<PathBuf>,

    /// Write the backports as mails, in both forms
    #[arg(long, value_name = "FILE")]
    mbox: Option<PathBuf>,

    /// Write report.txt, report.json and the mails into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Sign the backports off as `Name <address>`
    #[arg(long, value_name = "NAME")]
    sign_off: Option<String>,

    /// Keep fingerprints and build outcomes here between runs
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,

    /// Run every command of a report again and compare; of shell commands only those that --build
    /// and --test name
    #[arg(long, value_name = "REPORT")]
    verify: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    // An interrupted run takes its scratch repository along.
    ctrlc::set_handler(|| {
        scratch::abandon();
        std::process::exit(130);
    })?;
    let repo = Repo::open(&args.repo)?;
    match &args.verify {
        Some(report) => check(&repo, report, &args),
        None => decide(&repo, &args),
    }
}

fn decide(repo: &Repo, args: &Args) -> Result<ExitCode> {
    let series = match &args.series {
        Some(path) => Some(read(path)?),
        None => None,
    };
    let cache = args.cache.clone().or_else(|| default_cache(repo));
    let options = runs::Options {
        fix: args.fix.as_deref().unwrap_or_default(),
        branches: &args.branches,
        build: args.build.as_deref(),
        test: args.test.as_deref(),
        series: series.as_deref(),
        sign_off: args.sign_off.as_deref(),
        cache: cache.as_deref(),
    };
    let mut progress = Progress::new();
    let report = runs::run(repo, &options, &mut |what| progress.show(what))?;
    progress.end();
    write(&report, args)?;
    if args.json {
        println!("{:#}", report.json());
    } else {
        print!("{}", report.table());
    }
    let open = report
        .verdicts()
        .iter()
        .any(|(_, verdict)| *verdict == ringfence_backport::verdict::Verdict::NeedsPerson);
    Ok(ExitCode::from(u8::from(open)))
}

fn write(report: &Report, args: &Args) -> Result<()> {
    if let Some(dir) = &args.out {
        out::write(report, dir).with_context(|| format!("cannot write to {}", dir.display()))?;
    }
    if let Some(file) = &args.mbox {
        let mails = Mailbox::of(report).whole();
        out::put(file, &mails).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn check(repo: &Repo, path: &Path, args: &Args) -> Result<ExitCode> {
    let evidence = verify::read(&read(path)?).with_context(|| path.display().to_string())?;
    let shell: Vec<&str> =
        [&args.build, &args.test].into_iter().flatten().map(String::as_str).collect();
    let mut progress = Progress::new();
    let outcomes = verify::verify(repo, &evidence, &shell, &mut |done, all| {
        progress.show(&format!("{done} of {all} commands"));
    })?;
    progress.end();
    let differ: Vec<_> = outcomes.iter().filter(|outcome| outcome.differs.is_some()).collect();
    if args.json {
        let list = differ.iter().map(|outcome| {
            serde_json::json!({"id": outcome.id, "command": outcome.command, "differs": outcome.differs})
        });
        let list: Vec<_> = list.collect();
        println!("{:#}", serde_json::json!({"commands": outcomes.len(), "differ": list}));
    } else {
        for outcome in &differ {
            println!(
                "E{}: {}: {}",
                outcome.id,
                outcome.differs.as_deref().unwrap_or_default(),
                outcome.command
            );
        }
        println!(
            "{} of {} commands answer as the report says",
            outcomes.len() - differ.len(),
            outcomes.len()
        );
    }
    Ok(ExitCode::from(u8::from(!differ.is_empty())))
}

fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.is_empty() {
        bail!("{} is empty", path.display());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A directory of the user's cache for this repository.
fn default_cache(repo: &Repo) -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .or_else(home)?;
    let name = record::digest(repo.dir().as_os_str().as_encoded_bytes());
    Some(cache.join("ringfence/backport").join(&name[..16]))
}

/// A line on a terminal's standard error that says what is being done; nothing elsewhere.
struct Progress {
    shown: bool,
}

impl Progress {
    fn new() -> Progress {
        Progress { shown: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, what: &str) {
        if self.shown {
            eprint!("\r\x1b[K{what}");
        }
    }

    fn end(&mut self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

//! `ringfence bisect`: which commit brought a flaky failure in.

use crate::exit::Failure;
use anyhow::{Context, Result};
use clap::ValueEnum;
use ringfence_bisect::log::Log;
use ringfence_bisect::{Config, Job, Mode, News, Outcome, Sense, replay};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Find the commit that brought a failure in, even one that fails only now and then
///
/// Builds and tests revisions in work trees of its own until one commit is as sure as you ask,
/// then tests it and its parents again. Interrupted, it goes on when started again. A test ends
/// with 0 when nothing happened, 125 when it cannot tell, 1 to 124 for the failure; a last line
/// `verdict: boot failed` or `verdict: basic testing failed` marks a failure that is not the bug.
///
/// Exit codes: 0 a commit is named (with --replay: the log is confirmed), 1 not, 130 interrupted.
#[derive(clap::Args)]
#[command(
    after_help = "Example: ringfence bisect --bad HEAD --good v1.2 --build make --test ./repro.sh"
)]
pub(crate) struct Args {
    /// The repository
    #[arg(long, default_value = ".", value_name = "DIR")]
    repo: PathBuf,
    /// A revision that fails
    #[arg(long, value_name = "REV", required_unless_present = "replay")]
    bad: Option<String>,
    /// A revision that does not; without it releases are walked back
    #[arg(long, value_name = "REV")]
    good: Option<String>,
    /// Which tags are releases
    #[arg(long, value_name = "GLOB", default_value = "v*")]
    releases: String,
    /// Builds a revision, in a work tree of it, with its hash in RINGFENCE_REVISION
    #[arg(long, value_name = "CMD", required_unless_present = "replay")]
    build: Option<String>,
    /// Tests it once
    #[arg(long, value_name = "CMD", required_unless_present = "replay")]
    test: Option<String>,
    /// Prints what a build is known by; equal builds are never tested twice
    #[arg(long, value_name = "CMD", conflicts_with = "artifact")]
    signature: Option<String>,
    /// A file of the build that it is known by, from the top of the work tree
    #[arg(long, value_name = "PATH")]
    artifact: Vec<PathBuf>,
    /// Runs in a round; the failing end gets twice as many at first
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// How sure the culprit must be
    #[arg(long, default_value_t = 0.99, value_name = "P", value_parser = confidence)]
    confidence: f64,
    /// What to save: time on the clock, or runs
    #[arg(long, value_enum, default_value_t = Saved::Clock)]
    mode: Saved,
    /// Tests at once
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    jobs: u32,
    /// A command prefix that carries build and test elsewhere, such as 'srun sh -c'
    #[arg(long, value_name = "CMD")]
    runner: Option<String>,
    /// Gives a build up after this long (90s, 10m, 2h); it counts as failed
    #[arg(long, value_name = "TIME", value_parser = time)]
    build_timeout: Option<Duration>,
    /// Ends a test after this long; it counts as the failure
    #[arg(long, value_name = "TIME", value_parser = time)]
    test_timeout: Option<Duration>,
    /// A test that runs out of time says nothing
    #[arg(long)]
    timeout_is_lost: bool,
    /// A commit to put on revisions that carry the bug named in its Fixes: tag
    #[arg(long, value_name = "REV")]
    with_fix: Vec<String>,
    /// Look for the commit that mended it: --bad is older than --good
    #[arg(long, requires = "good")]
    fix: bool,
    /// Give up after this many runs
    #[arg(long, default_value_t = 3000, value_name = "N")]
    max_runs: u32,
    /// Builds kept in work trees
    #[arg(long, default_value_t = 4, value_name = "N")]
    keep: usize,
    /// Where the search keeps what it knows (default: in the git directory)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Write the log of the bisection
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Draw the belief over the history
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
    /// Judge the log of an earlier bisection by its own runs
    #[arg(long, value_name = "LOG", conflicts_with_all = ["bad", "build", "test"])]
    replay: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Saved {
    Clock,
    Frugal,
}

fn confidence(text: &str) -> Result<f64, String> {
    let value = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.5..1.0).contains(&value) { Ok(value) } else { Err("must be 0.5 to below 1".to_owned()) }
}

fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let worth = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("use s, m or h".to_owned()),
    };
    let number: f64 = digits.parse().map_err(|_| "not a time".to_owned())?;
    Duration::try_from_secs_f64(number * worth).map_err(|e| e.to_string())
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    if let Some(path) = &args.replay {
        return judge(path, &args);
    }
    let repo = ringfence_git::Repo::open(&args.repo)?;
    let job = job(&args, &repo)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let terminal = std::io::stderr().is_terminal();
    let mut news = |news: &News<'_>| {
        if terminal {
            tell(news)
        }
    };
    let finished = match ringfence_bisect::bisect(&job, &title, &stop, &mut news) {
        Err(error @ ringfence_bisect::Error::Stopped(_)) => {
            return Err(Failure::new(130, error.to_string()).into());
        }
        other => other?,
    };
    let outcome = Outcome::of(&finished, &repo)?;
    let log = ringfence_bisect::compose(&finished, &outcome, &job, &repo)?.to_string();
    let json = serde_json::to_string_pretty(&outcome)? + "\n";
    write(args.log.as_deref(), &log)?;
    write(args.export_json.as_deref(), &json)?;
    write(args.svg.as_deref(), &ringfence_bisect::picture(&finished))?;
    print!("{}", if args.json { &json } else { &log });
    Ok(ExitCode::from(u8::from(outcome.culprit.is_none())))
}

fn write(path: Option<&Path>, text: &str) -> Result<()> {
    path.map_or(Ok(()), |path| {
        std::fs::write(path, text).with_context(|| path.display().to_string())
    })
}

fn job(args: &Args, repo: &ringfence_git::Repo) -> Result<Job> {
    let git_dir = repo.run(["rev-parse", "--absolute-git-dir"])?;
    let kept = || PathBuf::from(git_dir.trim_end()).join("ringfence-bisect");
    let given = |text: &Option<String>| text.clone().unwrap_or_default();
    Ok(Job {
        repo: args.repo.clone(),
        bad: given(&args.bad),
        good: args.good.clone(),
        releases: args.releases.clone(),
        build: given(&args.build),
        test: given(&args.test),
        signature: args.signature.clone(),
        artifacts: args.artifact.clone(),
        runner: args.runner.clone(),
        jobs: args.jobs as usize,
        keep: args.keep,
        build_timeout: args.build_timeout,
        test_timeout: args.test_timeout,
        time_out_is_lost: args.timeout_is_lost,
        with_fix: args.with_fix.clone(),
        state: args.state.clone().unwrap_or_else(kept),
        config: Config {
            sense: if args.fix { Sense::Mended } else { Sense::Introduced },
            mode: match args.mode {
                Saved::Clock => Mode::Clock,
                Saved::Frugal => Mode::Frugal,
            },
            confidence: args.confidence,
            first_runs: 2 * args.runs,
            batch: args.runs,
            at_once: args.jobs,
            max_runs: args.max_runs,
            ..Config::default()
        },
    })
}

/// One line on the terminal, over the one before.
fn tell(news: &News<'_>) {
    let line = match news {
        News::Building(id) => format!("building {}", id.short()),
        News::Unbuildable(id, why) => format!("{}: {why}; skipped", id.short()),
        News::Ran(id, verdict) => {
            format!("{}: {}", id.short(), ringfence_bisect::log::RunSaid((*verdict).clone()))
        }
        News::Standing { suspects, confidence, spent, expected } => format!(
            "{suspects} suspects, likeliest {:.1}%, {} so far, about {} to go",
            100.0 * confidence,
            ringfence_bisect::log::GoDuration::from_seconds(spent.round()),
            ringfence_bisect::log::GoDuration::from_seconds(expected.round()),
        ),
    };
    let line: String = line.chars().take(100).collect();
    // A terminal that went away is no reason to stop.
    let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
}

fn judge(path: &Path, args: &Args) -> Result<ExitCode> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let judged = replay::replay(&Log::parse(&text), args.confidence);
    let json = serde_json::to_string_pretty(&judged)? + "\n";
    write(args.export_json.as_deref(), &json)?;
    print!("{}", if args.json { json } else { judged.to_string() });
    Ok(ExitCode::from(u8::from(!judged.confirmed)))
}

/// The title of the first failure in a test's output, as the crash-log reader has it; failures that
/// it does not know still have their first line.
fn title(output: &str) -> Option<String> {
    let read = ringfence_report::first(output).map(|report| report.title);
    read.or_else(|| ringfence_bisect::plain_title(output))
}

//! Running a comparison: who is started how, and what is said meanwhile.

use crate::exit::{self, Failure};
use anyhow::{Context, Result, bail};
use ringfence_bench::suite::{self, Answer, Mode};
use ringfence_bench::{Half, Programs, Site, Size, Workload, report};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is to be compared.
pub(crate) struct Plan {
    pub(crate) workloads: Vec<&'static Workload>,
    pub(crate) rounds: u32,
    /// Seconds of each measurement.
    pub(crate) seconds: f64,
    /// Where to make the files.
    pub(crate) directory: PathBuf,
    /// The C programs, instead of our own.
    pub(crate) c: bool,
}

/// Runs the comparison, printing the table as it grows if `table`; returns the report.
///
/// # Errors
/// A measuring process failed, or was interrupted.
pub(crate) fn run(plan: &Plan, table: bool) -> Result<Value> {
    let programs = if plan.c { Some(Programs::build()?) } else { None };
    let known = |workload: &&Workload| !plan.c || Programs::has(workload);
    let workloads: Vec<&'static Workload> = plan.workloads.iter().copied().filter(known).collect();
    if workloads.is_empty() {
        bail!("none of these workloads exists in C");
    }
    let needs: Vec<_> = workloads.iter().map(|workload| workload.needs).collect();
    let size = if plan.seconds > 0.0 { Size::Full } else { Size::Tiny };
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let site = Site::prepare(&plan.directory, &needs, size)
        .with_context(|| plan.directory.display().to_string())?;
    let bench = Bench {
        plan,
        programs,
        site,
        interrupted,
        binary: std::env::current_exe()?,
        program: crate::beside::program("ringfence-bench")?,
    };
    let machine = bench.machine();
    if table {
        say(&format!("{}\n\n{}", line(&machine), report::head()))?;
    }
    let mut results = Vec::new();
    for workload in workloads {
        let modes = if plan.c { &Mode::ALL[..2] } else { &Mode::ALL[..] };
        let mut step = 0;
        let comparison = suite::compare(workload, modes, plan.rounds, |mode| {
            step += 1;
            progress(&format!("{}: {} ({step})", workload.name, mode.name()));
            bench.measure(workload, mode)
        })?;
        progress("");
        if table {
            say(&report::row(&comparison))?;
        }
        for line in report::skipped(&comparison).iter().filter(|line| !line.ends_with("asked for"))
        {
            eprintln!("ringfence: {line}");
        }
        results.push(report::json(&comparison));
    }
    Ok(json!({ "machine": machine, "rounds": plan.rounds, "seconds": plan.seconds,
        "programs": if plan.c { "C, liburing" } else { "Rust, io-uring" },
        "workloads": results, "load_after": load() }))
}

struct Bench<'a> {
    plan: &'a Plan,
    programs: Option<Programs>,
    /// Removed at the end, so a signal that would end us is only noted.
    site: Site,
    interrupted: Arc<AtomicBool>,
    binary: PathBuf,
    /// What measures.
    program: PathBuf,
}

impl Bench<'_> {
    /// One measurement, in a process of its own.
    fn measure(&self, workload: &Workload, mode: Mode) -> Result<Answer> {
        let (program, arguments) = self.command_line(workload, mode);
        let mut command = match mode {
            Mode::Ringfence => {
                let mut command = Command::new(&self.binary);
                command.args(["run", "--backend=user", "--aio=user", "--"]).arg(program);
                command
            }
            Mode::Kernel | Mode::Plain => {
                let mut command = Command::new(program);
                command.env_remove("LD_PRELOAD");
                command
            }
        };
        let output = command.args(arguments).output().context("starting a measurement")?;
        if self.interrupted.load(Ordering::Relaxed) {
            progress("");
            return Err(Failure::new(exit::INTERRUPTED, "interrupted").into());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let (name, mode) = (workload.name, mode.name());
        if !output.status.success() {
            bail!("{name}, {mode}: {}: {}", output.status, said.trim());
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("{name}, {mode}"))
    }

    fn command_line(&self, workload: &Workload, mode: Mode) -> (PathBuf, Vec<OsString>) {
        let (site, seconds) = (self.site.path(), self.plan.seconds);
        let in_c =
            self.programs.as_ref().and_then(|programs| programs.command(workload, site, seconds));
        in_c.unwrap_or_else(|| {
            let half = if mode.half() == Half::Ring { "ring" } else { "plain" };
            let arguments: [OsString; 4] =
                [half.into(), workload.name.into(), seconds.to_string().into(), site.into()];
            (self.program.clone(), arguments.into())
        })
    }

    /// What the figures depend on.
    fn machine(&self) -> Value {
        let name = rustix::system::uname();
        json!({
            "kernel": name.release().to_string_lossy(),
            "cpus": std::thread::available_parallelism().map_or(0, usize::from),
            "load": load(),
            "file_system": self.site.file_system(),
            "page_cache": match self.site.unpinned() {
                None => "pinned".to_owned(),
                Some(why) => format!("not pinned: {why}"),
            },
        })
    }
}

fn line(machine: &Value) -> String {
    let text = |key: &str| machine[key].as_str().unwrap_or_default().to_owned();
    format!(
        "Linux {}, {} CPUs, load {}; files on {}, page cache {}",
        text("kernel"),
        machine["cpus"],
        text("load"),
        text("file_system"),
        text("page_cache"),
    )
}

/// The load averages of the last 1, 5 and 15 minutes.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Prints a part of the table. Where nobody reads it any more this fails, and does not end the
/// process on the spot, for the files must be removed.
fn say(text: &str) -> Result<()> {
    let printed = writeln!(std::io::stdout(), "{text}");
    printed.map_err(|_| Failure::new(exit::NO_READER, "nobody reads the table any more").into())
}

/// Shows what is being done, in place of what was shown before; nothing where nobody looks.
fn progress(text: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{text}");
    }
}

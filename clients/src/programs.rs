//! Programs of the distribution that use io_uring, doing their work where io_uring is refused.
//!
//! Each is a row of a table: what to install, and a function that has it do something whose result
//! can be checked. On ringfence, the engine's counters must show that the program really used a
//! ring, since most of them fall back on something else when they cannot.

mod aio;
mod demo;
mod fio;
mod mariadb;
mod node;
mod plocate;
mod qemu;

use crate::apt;
use crate::host::Host;
use crate::place;
use crate::runner::{End, Runner};
use anyhow::{Context, Result, bail};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// A program, and how it is tried.
struct Program {
    name: &'static str,
    /// What it needs: pairs of a program and the package that has it.
    needs: &'static [(&'static str, &'static str)],
    /// Has it work; fails unless the result is right.
    attempt: fn(&Stage) -> Result<()>,
}

const PROGRAMS: &[Program] = &[
    Program { name: "demo", needs: &[], attempt: demo::attempt },
    Program { name: "fio", needs: &[("fio", "fio")], attempt: fio::attempt },
    Program { name: "aio", needs: aio::NEEDS, attempt: aio::attempt },
    Program { name: "qemu", needs: &[("qemu-img", "qemu-utils")], attempt: qemu::attempt },
    Program { name: "plocate", needs: &[("plocate", "plocate")], attempt: plocate::attempt },
    Program { name: "mariadb", needs: mariadb::NEEDS, attempt: mariadb::attempt },
    // Not in the distribution in a version that uses io_uring: tried where it is installed.
    Program { name: "node", needs: &[], attempt: node::attempt },
];

/// Run fio, qemu and other programs of the distribution that use io_uring.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where they run
    #[arg(long, value_enum, default_value_t = Host::Ringfence)]
    on: Host,

    /// Only these programs, by name
    programs: Vec<String>,
}

/// Tries each program; the exit code says whether all worked.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let known = |name: &String| PROGRAMS.iter().any(|program| program.name == name);
    if let Some(unknown) = args.programs.iter().find(|name| !known(name)) {
        bail!("{unknown}: no such program here");
    }
    let directory = place::workshop()?.join("programs");
    std::fs::create_dir_all(&directory)?;
    let ringfence = if args.on == Host::Ringfence { place::ringfence()? } else { PathBuf::new() };
    let limit = Duration::from_secs(180);
    let runner = Runner { directory: directory.clone(), ringfence, limit };
    let mut failures = 0;
    for program in PROGRAMS {
        if !args.programs.is_empty() && !args.programs.iter().any(|name| name == program.name) {
            continue;
        }
        apt::install(program.needs)?;
        let directory = tempfile::Builder::new().prefix(program.name).tempdir_in(&directory)?;
        let stage = Stage { runner: &runner, host: args.on, directory: directory.path() };
        let name = program.name;
        if let Err(error) = (program.attempt)(&stage) {
            println!("{name}: FAILED: {error:#}");
            failures += 1;
        }
    }
    Ok(ExitCode::from(u8::from(failures > 0)))
}

/// What a program is given to work with.
struct Stage<'a> {
    runner: &'a Runner,
    host: Host,
    /// Empty, and the program's own.
    directory: &'a Path,
}

impl Stage<'_> {
    /// A path in the directory.
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Runs a command on the host, where it has to succeed and to use a ring; what it printed.
    fn with_ring<S: AsRef<OsStr>>(&self, title: &str, command: &[S]) -> Result<String> {
        let (output, operations) = self.checked(title, command)?;
        if self.host == Host::Ringfence && operations == 0 {
            bail!("{title}: it worked, but used no ring of ringfence's: {}", output.trim());
        }
        match self.host {
            Host::Ringfence => println!("{title}: ok, {operations} operations by ringfence"),
            _ => println!("{title}: ok"),
        }
        Ok(output)
    }

    /// Runs a command that need not use a ring; what it printed.
    fn plainly<S: AsRef<OsStr>>(&self, title: &str, command: &[S]) -> Result<String> {
        let (output, _) = self.checked(title, command)?;
        println!("{title}: ok");
        Ok(output)
    }

    fn checked<S: AsRef<OsStr>>(&self, title: &str, command: &[S]) -> Result<(String, u64)> {
        let command: Vec<OsString> = command.iter().map(|word| word.as_ref().to_owned()).collect();
        let outcome = self.runner.run(&command, self.host).with_context(|| title.to_owned())?;
        if outcome.end != End::Exit(0) {
            bail!("{title}: {:?}\n{}", outcome.end, outcome.output.trim());
        }
        Ok((outcome.output, outcome.operations.values().sum()))
    }
}

//! Becoming a program that is refused io_uring and AIO, and does not outlive who started it.

use anyhow::{Context, Result};
use ringfence_refusal::{Answer, refuse_aio, refuse_io_uring};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Become a program that is refused io_uring, as in a container, and Linux AIO.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How they are refused; granted leaves it to the kernel
    #[arg(long, value_enum, default_value_t = Refusal::Eperm)]
    refusal: Refusal,

    /// Kill the program when the thread that started it ends
    #[arg(long)]
    bound: bool,

    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// The answers that hosts give.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Refusal {
    Granted,
    Eperm,
    Enosys,
    Trap,
    Kill,
}

/// Returns only if the program cannot be run.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    if args.bound {
        let signal = Some(rustix::process::Signal::KILL);
        rustix::process::set_parent_process_death_signal(signal).context("prctl")?;
    }
    let answer = match args.refusal {
        Refusal::Granted => None,
        Refusal::Eperm => Some(Answer::Errno(libc::EPERM)),
        Refusal::Enosys => Some(Answer::Errno(libc::ENOSYS)),
        Refusal::Trap => Some(Answer::Trap),
        Refusal::Kill => Some(Answer::Kill),
    };
    if let Some(answer) = answer {
        refuse_io_uring(answer)?;
        refuse_aio(answer)?;
    }
    let error = Command::new(&args.command[0]).args(&args.command[1..]).exec();
    Err(error).with_context(|| args.command[0].display().to_string())
}

//! `ringfence run`: prepare the environment, then become the program.

use crate::exit::{self, Failure};
use crate::preload;
use crate::program::{self, Program};
use anyhow::Result;
use clap::ValueEnum;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// Run a program with io_uring and Linux AIO in user space
///
/// Sets LD_PRELOAD and becomes the program: process id, terminal, signals and exit status are the
/// program's. Each option may be given by its environment variable instead, and
/// `LD_PRELOAD=.../libringfence.so CMD` with those variables does the same.
#[derive(clap::Args)]
#[command(override_usage = "ringfence run [OPTIONS] [--] CMD [ARGS]...")]
pub(crate) struct Args {
    /// Who serves io_uring; auto leaves it to the kernel where the kernel grants it
    #[arg(long, env = "RINGFENCE_BACKEND", value_enum, default_value_t = Backend::Auto)]
    backend: Backend,

    /// Who serves Linux AIO; auto leaves it to the kernel until the kernel refuses a context
    #[arg(long, env = "RINGFENCE_AIO", value_enum, default_value_t = Backend::Auto)]
    aio: Backend,

    /// How raw system calls are intercepted; auto takes the first that works here
    #[arg(long, env = "RINGFENCE_TIER", value_enum, default_value_t = Tier::Auto)]
    tier: Tier,

    /// Give the library also to programs that it executes with an environment without it, or leave
    /// those to the kernel
    #[arg(long, env = "RINGFENCE_CHILDREN", value_enum, default_value_t = Children::Follow)]
    children: Children,

    /// Print counters on stderr at exit, or append them to FILE, a line of JSON for each process
    #[arg(long, env = "RINGFENCE_STATS", value_name = "FILE", num_args = 0..=1,
          require_equals = true, default_missing_value = "1")]
    stats: Option<String>,

    /// Bytes of requests that each ring may have in flight (such as 64K or 1M); none by default. At
    /// the limit a submission returns the count so far, or fails with EAGAIN if that is none
    #[arg(long, env = "RINGFENCE_REQUEST_MEMORY", value_name = "LIMIT",
          value_parser = checked::<usize>(ringfence::parse_bytes))]
    request_memory: Option<String>,

    /// Worker threads for bounded and for unbounded work (such as 8,64), one for all rings
    #[arg(long, env = "RINGFENCE_WORKERS", value_name = "BOUNDED,UNBOUNDED",
          value_parser = checked::<[u32; 2]>(ringfence::parse_workers))]
    workers: Option<String>,

    /// What the library says on stderr
    #[arg(long, env = "RINGFENCE_LOG", value_enum, default_value_t = Log::Error)]
    log: Log,

    /// The program and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CMD"
    )]
    command: Vec<OsString>,
}

/// Takes a text that the library will be able to read.
fn checked<T>(
    parse: fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<String, String> + Clone {
    move |text| parse(text).map(|_| text.to_owned())
}

/// Who serves io_uring, or AIO.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    Auto,
    User,
    Kernel,
}

/// Whether programs that the program executes are served too.
#[derive(Clone, Copy, ValueEnum)]
enum Children {
    Follow,
    Leave,
}

/// The ways to intercept, cheapest first.
#[derive(Clone, Copy, ValueEnum)]
enum Tier {
    Auto,
    Symbols,
    Patch,
    Dispatch,
    Filter,
}

/// Levels of the library's log.
#[derive(Clone, Copy, ValueEnum)]
enum Log {
    Error,
    Info,
    Debug,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let path = program::resolve(&args.command[0])?;
    let mut settings = vec![
        ("RINGFENCE_BACKEND", OsString::from(name(args.backend))),
        ("RINGFENCE_AIO", name(args.aio).into()),
        ("RINGFENCE_TIER", name(args.tier).into()),
        ("RINGFENCE_CHILDREN", name(args.children).into()),
        ("RINGFENCE_LOG", name(args.log).into()),
    ];
    if let Some(stats) = args.stats {
        settings.push(("RINGFENCE_STATS", counters(stats)));
    }
    if let Some(limit) = args.request_memory {
        settings.push(("RINGFENCE_REQUEST_MEMORY", limit.into()));
    }
    if let Some(workers) = args.workers {
        settings.push(("RINGFENCE_WORKERS", workers.into()));
    }
    let needed = args.backend != Backend::Kernel || args.aio == Backend::User;
    if needed || args.aio == Backend::Auto {
        match preloading(&path) {
            Ok(list) => settings.push(("LD_PRELOAD", list)),
            Err(error) if needed => return Err(error),
            // AIO alone may be left to the kernel where nothing can be preloaded.
            Err(_) => {}
        }
    }
    let error = crate::sys::become_program(&path, &args.command, &settings);
    let message = format!("{}: {error}", path.display());
    Err(Failure::new(exit::CANNOT_RUN, message).into())
}

/// Where counters go: a file is the same one for all processes, wherever they have gone by then.
fn counters(stats: String) -> OsString {
    match stats.as_str() {
        "" | "0" | "1" => stats.into(),
        file => std::path::absolute(file).map_or(stats.clone().into(), Into::into),
    }
}

/// What `LD_PRELOAD` has to be for a program.
///
/// # Errors
/// It cannot be preloaded, or the library is missing; the text says why.
fn preloading(path: &Path) -> Result<OsString> {
    let program = Program::examine(path)?;
    if let Some(obstacle) = program.obstacle() {
        let image = program.image.display();
        let message = match program.scripts.first() {
            Some(script) => format!("{}: run by {image}: {obstacle}", script.display()),
            None => format!("{image}: {obstacle}"),
        };
        return Err(Failure::new(exit::CANNOT_RUN, message).into());
    }
    preload::list(&preload::library()?, &program)
}

/// The word that the command line and the environment variable use for a value.
fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().expect("no value is hidden").get_name().to_owned()
}

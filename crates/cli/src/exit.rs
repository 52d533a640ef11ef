//! Exit codes, in one place.
//!
//! | code | meaning |
//! |------|---------|
//! | 0    | done, or what was asked about is as it should be |
//! | 1    | the question has an answer, and it is no: a gate is shut, a check failed |
//! | 125  | ringfence itself failed: bad usage, bad input, nothing done |
//! | 126  | the program exists but cannot be run, or cannot be run under ringfence |
//! | 127  | the program does not exist |
//! | 130  | interrupted by a signal; what was made for the while is removed |
//! | 141  | nobody reads our output any more, as for SIGPIPE |
//!
//! 125 to 127 are those of env(1). After `ringfence run` has become the program, the code is the
//! program's own. Subcommands with codes of their own name them in their help.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

/// Ringfence itself failed; nothing was done.
pub(crate) const OURS: u8 = 125;
/// The program exists but cannot be run.
pub(crate) const CANNOT_RUN: u8 = 126;
/// The program does not exist.
pub(crate) const NOT_FOUND: u8 = 127;
/// Ended by SIGINT or its like, with nothing left behind.
pub(crate) const INTERRUPTED: u8 = 130;
/// Our reader went away.
pub(crate) const NO_READER: u8 = 141;

/// The text of the table above, for help and man page.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done, or what was asked about is as it should be
  1    the answer is no: a gate is shut, a check failed
  125  ringfence itself failed: bad usage, bad input, nothing done
  126  the program cannot be run, or cannot be run under ringfence
  127  the program does not exist
  130  interrupted; what was made for the while is removed
  141  nobody reads the output any more";

/// An error that asks for an exit code other than [`OURS`].
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// A failure that ends the process with `code` after `message`.
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }

    /// The exit code asked for.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Prints `error` as ours and chooses the exit code.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("ringfence: {error:#}");
    ExitCode::from(error.downcast_ref::<Failure>().map_or(OURS, Failure::code))
}

/// Prints what the parser has to say: help and version are no failure, all else is ours.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match error.print() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(NO_READER),
        };
    }
    let text = error.render().to_string();
    match text.strip_prefix("error: ") {
        Some(text) => eprint!("ringfence: {text}"),
        None => eprint!("{text}"),
    }
    ExitCode::from(OURS)
}

/// Makes `ringfence ... | head` end without a word once `head` has gone, and says why if what is
/// printed cannot be written for another reason, such as a full disk.
///
/// The standard library ignores SIGPIPE and panics on the failed print instead.
pub(crate) fn when_nothing_can_be_printed() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        match message.strip_prefix("failed printing to std") {
            Some(why) if why.contains("Broken pipe") => std::process::exit(NO_READER.into()),
            Some(why) => {
                // Standard error itself may be what cannot be written.
                let _ = writeln!(std::io::stderr(), "ringfence: cannot print to std{why}");
                std::process::exit(OURS.into());
            }
            None => default(panic),
        }
    }));
}

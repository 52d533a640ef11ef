//! The `ringfence` command.
//!
//! It parses, calls the crate that does the work, and prints. Each subcommand is one file in `cmd/`
//! and one row of the table in `cmd.rs`; exit codes stand in `exit.rs`. Nothing of the engine
//! lives here: `ringfence run` only prepares the environment and becomes the program.

mod bench;
mod beside;
mod cmd;
mod demo;
mod exit;
mod preload;
mod program;
mod sys;

use std::process::ExitCode;

fn main() -> ExitCode {
    exit::when_nothing_can_be_printed();
    let matches = match cmd::cli().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return exit::usage(&error),
    };
    match cmd::dispatch(&matches) {
        Ok(code) => code,
        Err(error) => exit::failure(&error),
    }
}

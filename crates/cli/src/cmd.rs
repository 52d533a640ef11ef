//! The table of subcommands.
//!
//! A new one is a file `cmd/NAME.rs` with `pub(crate) struct Args` (its doc comment is the help)
//! and `pub(crate) fn run(Args) -> anyhow::Result<ExitCode>`, a `mod` line and a row here.

mod backport;
mod bench;
mod bisect;
mod completions;
mod demo;
mod doctor;
mod man;
mod ops;
mod replay;
mod report;
mod run;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use std::process::ExitCode;

/// One subcommand: its name, how it extends the parser, how it runs.
struct Row {
    name: &'static str,
    augment: fn(Command) -> Command,
    run: fn(&ArgMatches) -> anyhow::Result<ExitCode>,
}

/// The row of the module of that name.
macro_rules! row {
    ($module:ident) => {
        Row {
            name: stringify!($module),
            augment: $module::Args::augment_args,
            run: |matches| $module::run($module::Args::from_arg_matches(matches)?),
        }
    };
}

/// In the order of the help text.
const COMMANDS: &[Row] = &[
    row!(run),
    row!(doctor),
    row!(demo),
    row!(ops),
    row!(bench),
    row!(report),
    row!(bisect),
    row!(backport),
    row!(replay),
    // Shells and manuals.
    row!(completions),
    row!(man),
];

/// The whole parser, for parsing, completions and man pages.
pub(crate) fn cli() -> Command {
    let root = Command::new("ringfence")
        .version(env!("CARGO_PKG_VERSION"))
        .about(
            "io_uring and Linux AIO in user space, for programs that run where the kernel refuses",
        )
        .after_help(crate::exit::HELP)
        .subcommand_required(true)
        .arg_required_else_help(true);
    COMMANDS.iter().fold(root, |root, row| {
        let command = (row.augment)(Command::new(row.name));
        // Help and man pages must not depend on the environment they were made in.
        root.subcommand(command.mut_args(|arg| arg.hide_env_values(true)))
    })
}

/// Runs the subcommand that was named.
pub(crate) fn dispatch(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let (name, matches) = matches.subcommand().expect("the parser requires a subcommand");
    let row = COMMANDS.iter().find(|row| row.name == name).expect("the parser knows our rows only");
    (row.run)(matches)
}

#[cfg(test)]
mod tests {
    /// Clap's own consistency checks over every row: clashing flags, missing values and the like.
    #[test]
    fn parser_is_consistent() {
        super::cli().debug_assert();
    }

    /// A subcommand without a line of help is one that nobody finds.
    #[test]
    fn every_subcommand_says_what_it_does() {
        for command in super::cli().get_subcommands() {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
        }
    }
}

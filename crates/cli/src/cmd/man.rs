//! `ringfence man`: the man pages, from the same table as the help.

use anyhow::Context;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print the man page, or write one for each subcommand
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write ringfence.1 and one page for each subcommand into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(directory) = args.out {
        std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        clap_mangen::generate_to(super::cli().disable_help_subcommand(true), &directory)
            .with_context(|| directory.display().to_string())?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(super::cli()).render(&mut page)?;
        print!("{}", String::from_utf8(page)?);
    }
    Ok(ExitCode::SUCCESS)
}

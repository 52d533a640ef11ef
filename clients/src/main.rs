//! Real programs that use io_uring or Linux AIO, run where both are refused, with ringfence and
//! without.
//!
//! The programs come from the distribution and are fetched and built when first needed; none is
//! kept in this tree. Each runs in a seccomp refusal, so that nothing can fall through to the
//! kernel's io_uring unseen.

mod apt;
mod expected;
mod host;
mod io_uring_test;
mod launch;
mod libaio;
mod liburing;
mod place;
mod programs;
mod runner;
mod suite;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Real io_uring programs, run where io_uring is refused.
#[derive(Parser)]
#[command(name = "clients", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run liburing's own test programs and compare with the expected results
    ///
    /// RINGFENCE_LIBURING=DIRECTORY takes the sources of another release from there.
    Liburing(suite::Args),
    /// Run libaio's own test programs and compare with the expected results
    Libaio(suite::Args),
    /// Run the io-uring crate's test program, which RINGFENCE_IO_URING_TEST names
    IoUringTest(io_uring_test::Args),
    /// Run fio, qemu and other programs of the distribution that use io_uring
    Programs(programs::Args),
    /// Become a program that is refused io_uring, as in a container
    Launch(launch::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Liburing(args) => suite::run(&liburing::SUITE, &args),
        Command::Libaio(args) => suite::run(&libaio::SUITE, &args),
        Command::IoUringTest(args) => io_uring_test::run(&args),
        Command::Programs(args) => programs::run(&args),
        Command::Launch(args) => launch::run(args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("clients: {error:#}");
            ExitCode::FAILURE
        }
    }
}

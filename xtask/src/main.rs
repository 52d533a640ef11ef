//! The project's chores, as `cargo xtask NAME`.
//!
//! `test` is what CI runs; `tidy` checks rules that no compiler knows.

mod fuzz;
mod mutate;
mod test;
mod tidy;
mod tsan;

use std::process::ExitCode;

/// A chore: its name, what it does, and the function that does it.
struct Chore {
    name: &'static str,
    about: &'static str,
    /// Takes the arguments after the name.
    run: fn(&[String]) -> anyhow::Result<()>,
}

const CHORES: &[Chore] = &[
    Chore {
        name: "test",
        about: "install what the tests need and pass them",
        run: |_| test::run(),
    },
    Chore { name: "tidy", about: "check the rules of the tree", run: |_| tidy::run() },
    Chore {
        name: "fuzz",
        about: "TARGET [SECONDS]: run a fuzz target, ten minutes",
        run: fuzz::run,
    },
    Chore {
        name: "mutate",
        about: "[NAME...] [--list] [--json]: plant faults and see the tests find them",
        run: mutate::run,
    },
    Chore {
        name: "tsan",
        about: "[FILTER...]: the engine's tests under ThreadSanitizer; needs a nightly toolchain",
        run: tsan::run,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let name = args.first().cloned().unwrap_or_default();
    let Some(chore) = CHORES.iter().find(|chore| chore.name == name) else {
        eprintln!("usage: cargo xtask CHORE");
        for chore in CHORES {
            eprintln!("  {:<8} {}", chore.name, chore.about);
        }
        return ExitCode::from(2);
    };
    match (chore.run)(&args[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! The project's chores, as `cargo xtask NAME`.
//!
//! `test` is what CI runs; `tidy` checks rules that no compiler knows.

mod test;
mod tidy;

use std::process::ExitCode;

/// A chore: its name, what it does, and the function that does it.
struct Chore {
    name: &'static str,
    about: &'static str,
    run: fn() -> anyhow::Result<()>,
}

const CHORES: &[Chore] = &[
    Chore { name: "test", about: "install what the tests need and pass them", run: test::run },
    Chore { name: "tidy", about: "check the rules of the tree", run: tidy::run },
];

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let Some(chore) = CHORES.iter().find(|chore| chore.name == name) else {
        eprintln!("usage: cargo xtask CHORE");
        for chore in CHORES {
            eprintln!("  {:<8} {}", chore.name, chore.about);
        }
        return ExitCode::from(2);
    };
    match (chore.run)() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! Programs of ours that stand beside this one.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Where they may stand, from the directory of this binary.
const PLACES: &[&str] = &[".", "../libexec/ringfence"];

/// The path of the program called `name`.
///
/// # Errors
/// It is not where it should be.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let binary = std::env::current_exe().context("cannot tell where this binary stands")?;
    let directory = binary.parent().unwrap_or(Path::new("/"));
    let found = PLACES.iter().map(|place| directory.join(place).join(name));
    found.into_iter().find(|path| path.exists()).with_context(|| {
        format!("{name} is not beside this binary; build it with `cargo build --release`")
    })
}

//! Where things are kept: everything fetched and built stands under the build directory.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The build directory's corner for clients, made if need be.
pub(crate) fn workshop() -> Result<PathBuf> {
    let path = target()?.join("clients");
    std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
    Ok(path)
}

/// The release build of `ringfence`.
pub(crate) fn ringfence() -> Result<PathBuf> {
    let path = target()?.join("release/ringfence");
    if !path.exists() {
        bail!("{} is not built; run: cargo build --release", path.display());
    }
    Ok(path)
}

/// A file that belongs to this crate.
pub(crate) fn own_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The build directory: this program runs from a profile's directory in it.
fn target() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot tell where this binary stands")?;
    let target = this.ancestors().nth(2).context("this binary does not stand in a build tree")?;
    Ok(target.to_owned())
}

//! liburing's own test programs: Debian's source package, or the sources of any release in a
//! directory that `RINGFENCE_LIBURING` names.

use crate::apt::{Source, must};
use crate::suite::{Release, Suite};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) const SUITE: Suite =
    Suite { name: "liburing", skipped: 77, find, build, command: |program| vec![program.into()] };

const SOURCE: Source =
    Source { name: "liburing", version: "2.3-3", release: "bookworm", directory: "liburing-2.3" };
/// The sources of another release: unpacked, and built there if they are not yet.
const PATH: &str = "RINGFENCE_LIBURING";

/// The release that the environment names, else the distribution's, fetched if need be.
///
/// # Errors
/// The directory holds no liburing, or nothing could be fetched.
fn find(workshop: &Path) -> Result<Release> {
    let Some(path) = std::env::var_os(PATH) else {
        let sources = SOURCE.unpacked(workshop)?;
        return Ok(Release { version: version(&sources)?, sources });
    };
    let sources = PathBuf::from(&path).canonicalize();
    let sources = sources.with_context(|| format!("{PATH}: {}", path.display()))?;
    let version = version(&sources).with_context(|| format!("{PATH} names no liburing"))?;
    Ok(Release { version, sources })
}

/// The version in the package description, which liburing's own build reads too.
fn version(sources: &Path) -> Result<String> {
    let path = sources.join("liburing.spec");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let version = text.lines().find_map(|line| line.strip_prefix("Version:"));
    Ok(version.with_context(|| format!("{}: no version", path.display()))?.trim().to_owned())
}

fn build(sources: &Path) -> Result<BTreeMap<String, PathBuf>> {
    if !sources.join("config-host.mak").exists() {
        must(Command::new("./configure").current_dir(sources).stdout(Stdio::null()))?;
    }
    for directory in ["src", "test"] {
        let mut make = Command::new("make");
        must(make.args(["-s", "-j2", "-C", directory]).current_dir(sources))?;
    }
    let mut programs = BTreeMap::new();
    for entry in sources.join("test").read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "t") {
            let name = path.file_stem().context("a file without a name")?;
            programs.insert(name.to_string_lossy().into_owned(), path.clone());
        }
    }
    Ok(programs)
}

//! liburing's own test programs.

use crate::apt::{Source, must};
use crate::suite::Suite;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) const SUITE: Suite = Suite {
    source: Source {
        name: "liburing",
        version: "2.3-3",
        release: "bookworm",
        directory: "liburing-2.3",
    },
    expected: "liburing-2.3.toml",
    skipped: 77,
    build,
    programs,
    command: |program| vec![program.into()],
};

fn build(source: &Path) -> Result<()> {
    must(Command::new("./configure").current_dir(source).stdout(Stdio::null()))?;
    for directory in ["src", "test"] {
        let mut make = Command::new("make");
        must(make.args(["-s", "-j2", "-C", directory]).current_dir(source))?;
    }
    Ok(())
}

fn programs(source: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut programs = BTreeMap::new();
    for entry in source.join("test").read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "t") {
            let name = path.file_stem().context("a file without a name")?;
            programs.insert(name.to_string_lossy().into_owned(), path.clone());
        }
    }
    Ok(programs)
}

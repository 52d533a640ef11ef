//! The copy of the tree that faults are planted in.

use super::table::Fault;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The copy, and its target directory. One process has it at a time.
pub(crate) struct Tree {
    /// The copy's root.
    pub(crate) root: PathBuf,
    /// Where it is built.
    pub(crate) target: PathBuf,
    _lock: File,
}

impl Tree {
    /// Makes the copy below `home` what the checkout is. Files that are the same already are left
    /// alone, so that only what changed is built again; a fault that an interrupted run left behind
    /// goes.
    pub(crate) fn prepare(home: &Path) -> Result<Tree> {
        let (root, target) = (home.join("tree"), home.join("target"));
        fs::create_dir_all(&root).with_context(|| root.display().to_string())?;
        let lock = File::create(home.join("lock")).context("the lock of the copy")?;
        if lock.try_lock().is_err() {
            bail!("another run of mutate uses {}", home.display());
        }
        let wanted = sources()?;
        for path in &wanted {
            copy(path, &root.join(path)).with_context(|| format!("cannot copy {path}"))?;
        }
        remove_others(&root, &root, &wanted)?;
        Ok(Tree { root, target, _lock: lock })
    }

    /// Plants a fault, until what is returned is dropped.
    pub(crate) fn plant(&self, fault: &Fault) -> Result<Planted> {
        let path = self.root.join(&fault.file);
        let whole = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        fs::write(&path, fault.planted(&whole)?)?;
        Ok(Planted { path, whole })
    }
}

/// A fault in the copy; dropped, it is gone.
pub(crate) struct Planted {
    path: PathBuf,
    whole: String,
}

impl Drop for Planted {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.path, &self.whole) {
            eprintln!("xtask mutate: {} keeps its fault: {error}", self.path.display());
        }
    }
}

/// What git knows of, and what is new.
fn sources() -> Result<BTreeSet<String>> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(args).output().context("git ls-files")?;
    let names = String::from_utf8(output.stdout)?;
    Ok(names.lines().filter(|path| Path::new(path).is_file()).map(str::to_owned).collect())
}

fn copy(from: &str, to: &Path) -> Result<()> {
    let bytes = fs::read(from)?;
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(to, bytes)?;
    Ok(())
}

/// Removes files of the copy that the checkout no longer has.
fn remove_others(root: &Path, dir: &Path, wanted: &BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(root, &path, wanted)?;
        } else if !path.strip_prefix(root)?.to_str().is_some_and(|name| wanted.contains(name)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

//! libaio's own test programs, each built twice: with libaio's system calls in the program itself,
//! where call sites are patched, and with its library, whose functions are stood before.
//!
//! Left out are the two cases that need a file system mounted from an image.

use crate::apt::{Source, must};
use crate::suite::{Release, Suite};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) const SUITE: Suite = Suite { name: "libaio", skipped: 3, find, build, command };

const SOURCE: Source = Source {
    name: "libaio",
    version: "0.3.113-4",
    release: "bookworm",
    directory: "libaio-0.3.113",
};

fn find(workshop: &Path) -> Result<Release> {
    Ok(Release { version: "0.3.113".to_owned(), sources: SOURCE.unpacked(workshop)? })
}

/// Cases that mount a file system.
const MOUNTING: [&str; 2] = ["8", "10"];

/// How a case is linked: the name that it is known by, and what is linked.
const LINKED: [(&str, &[&str]); 2] = [
    ("inline", &["../src/libaio.a"]),
    ("library", &["../src/libaio.so.1", "-Wl,-rpath,$ORIGIN/../../src"]),
];

fn build(sources: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut make = Command::new("make");
    must(make.args(["-s", "-C", "src"]).current_dir(sources).stdout(Stdio::null()))?;
    let library = sources.join("src/libaio.so.1");
    if !library.exists() {
        std::os::unix::fs::symlink("libaio.so.1.0.2", library)?;
    }
    let harness = sources.join("harness");
    let directory = harness.join("programs");
    std::fs::create_dir_all(&directory)?;
    let mut programs = BTreeMap::new();
    for entry in harness.join("cases").read_dir()? {
        let case = entry?.path();
        let number = case.file_stem().context("a file without a name")?.to_string_lossy();
        let is_case = case.extension().is_some_and(|extension| extension == "t");
        if !is_case || MOUNTING.contains(&&*number) {
            continue;
        }
        for (kind, libraries) in LINKED {
            let name = format!("{number}-{kind}");
            let program = directory.join(&name);
            if !program.exists() {
                compile(&harness, &number, libraries, &program)?;
            }
            programs.insert(name, program);
        }
    }
    Ok(programs)
}

fn compile(harness: &Path, number: &str, libraries: &[&str], to: &Path) -> Result<()> {
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-w", "-I../src", &format!("-DTEST_NAME=\"cases/{number}.t\"")]);
    cc.arg("-o").arg(to).arg("main.c").args(libraries).arg("-lpthread");
    must(cc.current_dir(harness))
}

/// The files that the cases work on, then the case.
fn command(program: &Path) -> Vec<OsString> {
    let script = "mkdir testdir && for file in rofile:400 wofile:200 rwfile:600; do \
                  echo test > testdir/${file%:*}; chmod ${file#*:} testdir/${file%:*}; done; \
                  exec \"$0\"";
    ["sh".into(), "-c".into(), script.into(), program.into()].into()
}

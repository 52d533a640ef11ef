//! The same workloads as C programs over liburing, built here and run unmodified.
//!
//! Each prints what a measuring process of ours prints, so that both are compared alike.

use crate::error::{Context, Error, Result};
use crate::site;
use crate::workload::Workload;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A source, or the header that all share.
struct Source {
    name: &'static str,
    text: &'static str,
}

macro_rules! source {
    ($name:literal) => {
        Source { name: $name, text: include_str!(concat!("../c/", $name)) }
    };
}

const SOURCES: &[Source] = &[
    source!("bench.h"),
    source!("nop.c"),
    source!("read.c"),
    source!("echo.c"),
    source!("timers.c"),
    source!("statx.c"),
];

/// How a workload is run: the program, and its arguments before the seconds.
struct Row {
    workload: &'static str,
    program: &'static str,
    argument: fn(&Path) -> OsString,
}

const ROWS: &[Row] = &[
    Row { workload: "nop32", program: "nop", argument: |_| "32".into() },
    Row { workload: "nop1", program: "nop", argument: |_| "1".into() },
    Row { workload: "read", program: "read", argument: |site| site::cached(site).into() },
    Row { workload: "echo1", program: "echo", argument: |_| "1".into() },
    Row { workload: "echo64", program: "echo", argument: |_| "64".into() },
    Row { workload: "echo1024", program: "echo", argument: |_| "1024".into() },
    Row { workload: "timers", program: "timers", argument: |_| "1024".into() },
    Row { workload: "statx", program: "statx", argument: |site| site::names(site).into() },
];

/// The programs, built in a temporary directory that is removed when this is dropped.
#[derive(Debug)]
pub struct Programs {
    directory: TempDir,
}

impl Programs {
    /// Compiles them with `cc` against the liburing that is installed.
    ///
    /// # Errors
    /// There is no C compiler, or no liburing to compile against.
    pub fn build() -> Result<Programs> {
        let directory = tempfile::Builder::new().prefix("ringfence-bench-c-").tempdir();
        let directory = directory.during("making a temporary directory")?;
        let path = directory.path();
        for source in SOURCES {
            std::fs::write(path.join(source.name), source.text).during("writing a source")?;
        }
        for source in SOURCES {
            let Some(program) = source.name.strip_suffix(".c") else { continue };
            let mut cc = Command::new("cc");
            cc.current_dir(path).args(["-O2", "-Wall", "-Wextra", "-Werror", "-o", program]);
            let output = cc.args([source.name, "-luring"]).output();
            let output = output.or_skip("cc")?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                let said = said.lines().next().unwrap_or_default();
                let why = format!("{}: {said} (is liburing-dev installed?)", source.name);
                return Err(Error::Unavailable(why));
            }
        }
        Ok(Programs { directory })
    }

    /// Whether a workload exists in C.
    pub fn has(workload: &Workload) -> bool {
        ROWS.iter().any(|row| row.workload == workload.name)
    }

    /// The command line that measures `workload` for `seconds`; `None` if it does not exist in C.
    pub fn command(
        &self,
        workload: &Workload,
        site: &Path,
        seconds: f64,
    ) -> Option<(PathBuf, Vec<OsString>)> {
        let row = ROWS.iter().find(|row| row.workload == workload.name)?;
        let arguments = vec![(row.argument)(site), seconds.to_string().into()];
        Some((self.directory.path().join(row.program), arguments))
    }
}

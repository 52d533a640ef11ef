//! Asking for the attributes of files by name.

use crate::error::{Context, Result, expect};
use crate::meter::{Budget, Sample};
use crate::ring::{Ring, statx_answers};
use crate::site::{self, NAMES};
use rustix::fs::{AtFlags, StatxFlags};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

fn names() -> Vec<&'static CStr> {
    let name = |number| CString::new(site::name(number)).expect("a name of digits");
    (0..NAMES).map(|number| &*Box::leak(name(number).into_boxed_c_str())).collect()
}

fn directory(site: &Path) -> Result<File> {
    File::open(site::names(site)).during("opening the directory")
}

pub(crate) fn ring(site: &Path, budget: Budget) -> Result<Sample> {
    let directory = directory(site)?;
    let mut ring = Ring::new(NAMES as u32)?;
    let (names, answers) = (names(), statx_answers(NAMES));
    let sample = budget.run(|| {
        let mut entries = ring.batch();
        for (tag, (name, answer)) in names.iter().zip(&answers).enumerate() {
            entries.statx(directory.as_raw_fd(), name, answer, tag as u64);
        }
        drop(entries);
        ring.submit_and_take(NAMES, |_, result| expect("statx", result.into(), 0))?;
        Ok(NAMES as u64)
    })?;
    Ok(Sample { served_by: ring.served_by(), ..sample })
}

pub(crate) fn plain(site: &Path, budget: Budget) -> Result<Sample> {
    let directory = directory(site)?;
    let names = names();
    budget.run(|| {
        for name in &names {
            let basic = StatxFlags::BASIC_STATS;
            let answer = rustix::fs::statx(&directory, *name, AtFlags::empty(), basic);
            std::hint::black_box(answer.during("statx")?);
        }
        Ok(NAMES as u64)
    })
}

//! fio: every block that it writes carries a checksum and is read back.

use super::Stage;
use anyhow::Result;

/// What is common to all jobs.
const COMMON: &[&str] = &[
    "--ioengine=io_uring",
    "--size=32m",
    "--bs=4k",
    "--iodepth=32",
    "--verify=crc32c",
    "--verify_fatal=1",
    "--end_fsync=1",
    "--group_reporting",
];

/// Jobs by title: the paths through io_uring that fio can take.
const JOBS: &[(&str, &[&str])] = &[
    ("fio, buffered", &["--rw=randwrite", "--direct=0"]),
    ("fio, O_DIRECT", &["--rw=randwrite", "--direct=1"]),
    ("fio, vectored", &["--rw=randwrite", "--direct=0", "--nonvectored=0"]),
    (
        "fio, registered files and buffers",
        &["--rw=randwrite", "--direct=1", "--fixedbufs=1", "--registerfiles=1"],
    ),
    ("fio, batches", &["--rw=randrw", "--direct=0", "--iodepth_batch_submit=16"]),
    ("fio, punted", &["--rw=randwrite", "--direct=0", "--force_async=1"]),
    ("fio, polling thread", &["--rw=randwrite", "--direct=0", "--sqthread_poll=1"]),
];

pub(super) fn attempt(stage: &Stage) -> Result<()> {
    for (title, options) in JOBS {
        let command = job(stage, options.iter().chain(&["--thread=1"]));
        stage.with_ring(title, &command)?;
    }
    // Processes of their own, which fio ends without a chance for counters to be told. But fio has
    // nothing to fall back on: that it works is proof enough.
    let forked = ["--rw=randwrite", "--direct=0", "--numjobs=2"];
    stage.plainly("fio, a process for each of two jobs", &job(stage, forked.iter()))?;
    Ok(())
}

fn job<'a>(stage: &Stage, options: impl Iterator<Item = &'a &'a str>) -> Vec<String> {
    let place = format!("--directory={}", stage.directory.display());
    let fixed = ["fio", "--name=job", "--unlink=1"].iter().chain(COMMON).chain(options);
    fixed.map(|word| (*word).to_owned()).chain([place]).collect()
}

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
    ("fio, two threads", &["--rw=randwrite", "--direct=0", "--numjobs=2", "--thread=1"]),
];

pub(super) fn attempt(stage: &Stage) -> Result<()> {
    for (number, (title, options)) in JOBS.iter().enumerate() {
        let directory = stage.path(&number.to_string());
        std::fs::create_dir(&directory)?;
        let place = format!("--directory={}", directory.display());
        let command = ["fio", "--name=job", &place].into_iter();
        let command = command.chain(COMMON.iter().copied()).chain(options.iter().copied());
        stage.with_ring(title, &command.collect::<Vec<_>>())?;
        std::fs::remove_dir_all(&directory)?;
    }
    Ok(())
}

//! Linux AIO: fio's libaio engine, which verifies what it wrote, and qemu's, called native there.

use super::Stage;
use anyhow::Result;

pub(super) const NEEDS: &[(&str, &str)] = &[("fio", "fio"), ("qemu-img", "qemu-utils")];

/// What is common to all jobs of fio.
const COMMON: &[&str] = &[
    "--ioengine=libaio",
    "--thread=1",
    "--size=16m",
    "--bs=4k",
    "--verify=crc32c",
    "--verify_fatal=1",
    "--end_fsync=1",
    "--group_reporting",
];

/// Jobs by title.
const JOBS: &[(&str, &[&str])] = &[
    ("fio by AIO, buffered, one deep", &["--rw=randwrite", "--direct=0", "--iodepth=1"]),
    ("fio by AIO, buffered", &["--rw=randwrite", "--direct=0", "--iodepth=32"]),
    ("fio by AIO, buffered, 128 deep", &["--rw=randrw", "--direct=0", "--iodepth=128"]),
    ("fio by AIO, O_DIRECT, one deep", &["--rw=randwrite", "--direct=1", "--iodepth=1"]),
    ("fio by AIO, O_DIRECT", &["--rw=randwrite", "--direct=1", "--iodepth=32"]),
    ("fio by AIO, O_DIRECT, 128 deep", &["--rw=randrw", "--direct=1", "--iodepth=128"]),
    (
        "fio by AIO, reaped from the ring, buffered",
        &["--rw=randwrite", "--direct=0", "--iodepth=32", "--userspace_reap=1"],
    ),
    (
        "fio by AIO, reaped from the ring, O_DIRECT",
        &["--rw=randrw", "--direct=1", "--iodepth=128", "--userspace_reap=1"],
    ),
    (
        "fio by AIO, in batches",
        &[
            "--rw=randwrite",
            "--direct=0",
            "--iodepth=64",
            "--iodepth_batch_submit=16",
            "--iodepth_batch_complete_min=8",
        ],
    ),
];

pub(super) fn attempt(stage: &Stage) -> Result<()> {
    for (title, options) in JOBS {
        let place = format!("--directory={}", stage.directory.display());
        let words = ["fio", "--name=job", "--unlink=1"].iter().chain(COMMON).chain(*options);
        let command: Vec<String> = words.map(|word| (*word).to_owned()).chain([place]).collect();
        stage.with_ring(title, &command)?;
    }
    qemu(stage)
}

fn qemu(stage: &Stage) -> Result<()> {
    let image = stage.path("native.raw").to_string_lossy().into_owned();
    stage.plainly("qemu-img create", &["qemu-img", "create", "-q", "-f", "raw", &image, "64M"])?;
    let native = ["qemu-io", "-f", "raw", "-t", "none", "-i", "native"];
    let tasks = ["write -P 0x5a 0 8M", "write -P 0xa5 12M 1M", "read -P 0x5a 0 8M", "flush"];
    let tasks = tasks.iter().flat_map(|task| ["-c", *task]);
    let command: Vec<&str> = native.into_iter().chain(tasks).chain([image.as_str()]).collect();
    stage.with_ring("qemu-io by AIO", &command)?;
    let threads = ["qemu-io", "-f", "raw", "-t", "none", "-i", "threads"];
    let tasks = ["-c", "read -P 0x5a 0 8M", "-c", "read -P 0xa5 12M 1M"];
    let command: Vec<&str> = threads.into_iter().chain(tasks).chain([image.as_str()]).collect();
    stage.plainly("qemu-io by AIO, read back by threads", &command)?;
    let bench = ["qemu-img", "bench", "-i", "native", "-t", "none", "-f", "raw", "-c", "4000"];
    let command: Vec<&str> = bench.into_iter().chain(["-d", "32", image.as_str()]).collect();
    stage.with_ring("qemu-img bench by AIO", &command)?;
    Ok(())
}

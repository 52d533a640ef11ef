//! qemu's block layer: patterns written to an image and read back, and a queue of requests.

use super::Stage;
use anyhow::Result;
use std::path::Path;

pub(super) fn attempt(stage: &Stage) -> Result<()> {
    for (title, cache) in [("qemu-io, cached", "writeback"), ("qemu-io, O_DIRECT", "none")] {
        for format in ["raw", "qcow2"] {
            let image = stage.path(&format!("{cache}.{format}"));
            exchange(stage, &format!("{title}, {format}"), cache, format, &image)?;
        }
    }
    let image = stage.path("none.raw");
    let bench = ["bench", "-i", "io_uring", "-t", "none", "-f", "raw", "-c", "4000", "-d", "32"];
    let command = ["qemu-img"].into_iter().chain(bench).map(Path::new).chain([image.as_path()]);
    stage.with_ring("qemu-img bench", &command.collect::<Vec<_>>())?;
    Ok(())
}

/// Writes patterns by io_uring and has qemu compare what it reads back, by io_uring and by threads.
fn exchange(stage: &Stage, title: &str, cache: &str, format: &str, image: &Path) -> Result<()> {
    let create = ["qemu-img", "create", "-q", "-f", format].map(Path::new);
    let create = create.into_iter().chain([image, Path::new("64M")]);
    stage.plainly("qemu-img create", &create.collect::<Vec<_>>())?;
    let writes = ["write -P 0x5a 0 8M", "write -P 0xa5 12345344 1M", "write -z 1M 64k", "flush"];
    let reads = ["read -P 0x5a 0 1M", "read -P 0 1M 64k", "read -P 0xa5 12345344 1M"];
    let qemu_io = |aio: &str, tasks: &[&str]| {
        let options = ["qemu-io", "-f", format, "-t", cache, "-i", aio].map(str::to_owned);
        let tasks = tasks.iter().flat_map(|task| ["-c".to_owned(), (*task).to_owned()]);
        let image = image.to_string_lossy().into_owned();
        options.into_iter().chain(tasks).chain([image]).collect::<Vec<_>>()
    };
    stage.with_ring(title, &qemu_io("io_uring", &[&writes[..], &reads[..]].concat()))?;
    stage.plainly(&format!("{title}, read back by threads"), &qemu_io("threads", &reads))?;
    Ok(())
}

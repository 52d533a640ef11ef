//! plocate: reads its database by io_uring, and must find exactly what is there.

use super::Stage;
use anyhow::{Result, ensure};

/// Files in the tree that is searched: enough for several batches of reads.
const FILES: usize = 5000;

pub(super) fn attempt(stage: &Stage) -> Result<()> {
    let (tree, database) = (stage.path("tree"), stage.path("database"));
    for directory in 0..FILES / 100 {
        let directory = tree.join(format!("directory{directory}"));
        std::fs::create_dir_all(&directory)?;
        for file in 0..100 {
            std::fs::write(directory.join(format!("needle-{file}")), "")?;
        }
    }
    let [tree, database] = [tree, database].map(|path| path.to_string_lossy().into_owned());
    let prune = ["--prune-bind-mounts", "no", "--prunepaths", "", "--prunefs", ""];
    let update = ["updatedb", "-l", "no", "-U", &tree, "-o", &database].into_iter().chain(prune);
    stage.plainly("updatedb", &update.collect::<Vec<_>>())?;
    let found = stage.with_ring("plocate", &["plocate", "-d", &database, "needle"])?;
    let lines = found.lines().filter(|line| line.starts_with(&tree)).count();
    ensure!(lines == FILES, "plocate found {lines} of {FILES} files");
    Ok(())
}

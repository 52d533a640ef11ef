//! Node.js from 20 on: libuv uses io_uring for files where UV_USE_IO_URING is set.

use super::Stage;
use crate::apt;
use anyhow::{Result, ensure};

/// Writes files, reads them back, renames and removes them, many at a time.
const SCRIPT: &str = r"
const fs = require('fs/promises'), path = require('path'), dir = process.argv[1];
const body = i => Buffer.alloc(10000 + i, i & 255);
async function one(i) {
  const name = path.join(dir, 'file' + i);
  await fs.writeFile(name, body(i));
  await fs.rename(name, name + '.done');
  const stat = await fs.stat(name + '.done');
  const back = await fs.readFile(name + '.done');
  if (stat.size !== 10000 + i || !back.equals(body(i))) throw new Error('file ' + i + ' differs');
  await fs.unlink(name + '.done');
}
Promise.all(Array.from({length: 500}, (_, i) => one(i)))
  .then(() => console.log('500 files agree'), e => { console.error(e); process.exit(1); });
";

pub(super) fn attempt(stage: &Stage) -> Result<()> {
    if apt::which("node").is_none() {
        println!("node: skipped: not installed, and not in Debian 12 in a version with io_uring");
        return Ok(());
    }
    let version = stage.plainly("node --version", &["node", "--version"])?;
    let major = version.trim().trim_start_matches('v').split('.').next().unwrap_or_default();
    if major.parse::<u32>().unwrap_or(0) < 20 {
        println!("node: skipped: {} is from before libuv used io_uring", version.trim());
        return Ok(());
    }
    let place = stage.directory.to_string_lossy().into_owned();
    let command = ["env", "UV_USE_IO_URING=1", "node", "-e", SCRIPT, &place];
    let said = stage.with_ring("node", &command)?;
    ensure!(said.contains("500 files agree"), "node: {said}");
    Ok(())
}

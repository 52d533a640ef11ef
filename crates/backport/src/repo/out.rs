//! Writing a report's files.

use crate::mailbox::Mailbox;
use crate::report::Report;
use std::io;
use std::path::Path;

/// Writes `report.txt`, `report.json`, `selection.mbox` and for each branch that takes the fix
/// `BRANCH.mbox` into `dir`, which is made if need be. Each file appears whole or not at all.
///
/// # Errors
///
/// When the disk refuses.
pub fn write(report: &Report, dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    put(&dir.join("report.txt"), report.text().as_bytes())?;
    put(&dir.join("report.json"), format!("{:#}\n", report.json()).as_bytes())?;
    let mails = Mailbox::of(report);
    put(&dir.join("selection.mbox"), &mails.selection)?;
    for (branch, bytes) in &mails.review {
        put(&dir.join(format!("{}.mbox", branch.replace('/', "-"))), bytes)?;
    }
    Ok(())
}

/// Writes a file under another name first.
///
/// # Errors
///
/// When the disk refuses.
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}

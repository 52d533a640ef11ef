//! What the lock validator says of the engine that ran in this process.
//!
//! `docs/LOCKING.md` lists which lock is taken under which; the validator prints it, and a use that
//! it does not list fails the test that shows it. `RINGFENCE_LOCKING_ACCEPT=1` accepts what is new.

use ringfence_lockdep::{Permitted, reports, validator};
use std::error::Error;
use std::fs::File;
use std::path::Path;

/// The project's locking document.
pub const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/LOCKING.md");

/// Whether the validator has reported nothing so far.
///
/// # Errors
/// What it has reported.
pub fn unreported() -> Result<(), String> {
    let texts: Vec<String> = reports().iter().map(ToString::to_string).collect();
    if texts.is_empty() {
        return Ok(());
    }
    Err(format!("the lock validator reports:\n{}", texts.concat()))
}

/// Panics with what the validator has reported, if anything.
pub fn assert_unreported() {
    if let Err(error) = unreported() {
        panic!("{error}");
    }
}

/// Whether the engine's locks were used as they may be, so far.
///
/// # Errors
/// The validator's reports, or what the document does not permit.
pub fn check() -> Result<(), Box<dyn Error>> {
    unreported()?;
    let seen = validator().snapshot();
    if seen.classes.is_empty() {
        return Ok(());
    }
    let document = Path::new(DOCUMENT);
    // Each body is a process of its own: one at a time reads, accepts and writes.
    let file = File::open(document)?;
    file.lock()?;
    Permitted::check_file(document, &seen)
}

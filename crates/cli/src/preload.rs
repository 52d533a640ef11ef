//! The library, and the list of libraries to preload.

use crate::program::Program;
use anyhow::{Context, Result, bail};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const LIBRARY: &str = "libringfence.so";

/// Where the library may stand, from the directory of the binary: a build tree, then an installation.
const PLACES: &[&str] = &[".", "deps", "../lib", "../lib/ringfence"];

/// Runtimes that insist on coming first in the list of libraries.
const SANITIZERS: &[&str] =
    &["libasan", "libtsan", "libmsan", "liblsan", "libubsan", "libclang_rt"];

/// The absolute path of libringfence.so: RINGFENCE_LIBRARY, else one of [`PLACES`].
///
/// # Errors
/// No library where it should be, or a path that LD_PRELOAD cannot express.
pub(crate) fn library() -> Result<PathBuf> {
    let path = match std::env::var_os("RINGFENCE_LIBRARY") {
        Some(path) => std::fs::canonicalize(&path)
            .with_context(|| format!("RINGFENCE_LIBRARY={}", path.display()))?,
        None => beside_the_binary()?,
    };
    // The linker splits the list at spaces and colons and expands $ORIGIN and its like.
    if path.as_os_str().as_bytes().iter().any(|byte| b" :$".contains(byte)) {
        bail!(
            "{}: LD_PRELOAD cannot express a path with a space, a colon or a dollar sign; name a \
             copy of the library elsewhere by RINGFENCE_LIBRARY",
            path.display()
        );
    }
    Ok(path)
}

fn beside_the_binary() -> Result<PathBuf> {
    let binary = std::env::current_exe().context("cannot tell where this binary stands")?;
    let directory = binary.parent().unwrap_or(Path::new("/"));
    let places = PLACES.iter().map(|place| directory.join(place).join(LIBRARY));
    for place in places {
        if let Ok(found) = std::fs::canonicalize(place) {
            return Ok(found);
        }
    }
    bail!(
        "{LIBRARY} is neither in {} nor in the lib directory beside it; build it with \
         `cargo build --release`, or name it by RINGFENCE_LIBRARY",
        directory.display()
    )
}

/// The value for LD_PRELOAD: sanitizer runtimes, what was there, then the library.
///
/// A program built with a dynamic sanitizer refuses to start unless that runtime comes first.
pub(crate) fn list(library: &Path, program: &Program) -> Result<OsString> {
    let current = std::env::var_os("LD_PRELOAD").unwrap_or_default();
    let needed = program.elf.as_ref().map_or(&[][..], |elf| elf.needed());
    Ok(join(library, &current, needed))
}

fn join(library: &Path, current: &OsStr, needed: &[String]) -> OsString {
    let current = current.as_bytes().split(|byte| b" :".contains(byte));
    let current: Vec<&[u8]> = current.filter(|entry| !entry.is_empty()).collect();
    let is_sanitizer = |entry: &&[u8]| {
        let name = Path::new(OsStr::from_bytes(entry)).file_name().unwrap_or_default();
        SANITIZERS.iter().any(|prefix| name.as_bytes().starts_with(prefix.as_bytes()))
    };
    let needed = needed.iter().map(String::as_bytes).filter(is_sanitizer);
    let first = current.iter().copied().filter(is_sanitizer);
    let rest = current.iter().copied().filter(|entry| !is_sanitizer(entry));
    let mut entries: Vec<&[u8]> = Vec::new();
    for entry in first.chain(needed).chain(rest).chain([library.as_os_str().as_bytes()]) {
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    OsStr::from_bytes(&entries.join(&b':')).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(current: &str, needed: &[&str]) -> String {
        let needed: Vec<String> = needed.iter().map(|name| (*name).to_owned()).collect();
        join(Path::new("/l/libringfence.so"), OsStr::new(current), &needed).into_string().unwrap()
    }

    #[test]
    fn what_was_preloaded_stays_and_we_are_last_and_once() {
        assert_eq!(joined("", &["libc.so.6"]), "/l/libringfence.so");
        assert_eq!(joined("/a.so /b.so", &[]), "/a.so:/b.so:/l/libringfence.so");
        assert_eq!(joined("/a.so:/l/libringfence.so", &[]), "/a.so:/l/libringfence.so");
    }

    #[test]
    fn sanitizer_runtimes_come_first() {
        assert_eq!(joined("/a.so", &["libasan.so.8"]), "libasan.so.8:/a.so:/l/libringfence.so");
        assert_eq!(
            joined("/a.so:/x/libtsan.so.2", &[]),
            "/x/libtsan.so.2:/a.so:/l/libringfence.so"
        );
    }
}

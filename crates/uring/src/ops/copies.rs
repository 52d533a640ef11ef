//! Small things copied in prep: paths and structures.

use ringfence_abi::{Errno, OpenHow, Result};
use ringfence_host::Host;

/// Longest path with its NUL, bytes.
const PATH_MAX: usize = 4096;

/// Where a copy may fault: pages.
const PAGE: u64 = 4096;

/// What an operation copied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copies {
    /// Up to two paths, each with its NUL.
    pub(crate) paths: [Vec<u8>; 2],
    /// The value of an attribute.
    pub(crate) value: Vec<u8>,
    /// How to open.
    pub(crate) how: OpenHow,
}

/// One past the last address that a program can have, with five levels of page tables; with four, what
/// lies between is found bad when it is used.
const USER_END: u64 = (1 << 56) - PAGE;

/// Whether memory can be the program's at all, as far as its address tells.
///
/// # Errors
/// `EFAULT`.
pub(crate) fn check_range(addr: u64, len: u64) -> Result<()> {
    match addr.checked_add(len) {
        Some(end) if end <= USER_END => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Copies the path of a file, NUL included.
///
/// # Errors
/// `ENOENT` for an empty one, and those of [`read_path`].
pub(crate) fn read_name<H: Host>(host: &H, addr: u64) -> Result<Vec<u8>> {
    let path = read_path(host, addr)?;
    if path.len() > 1 { Ok(path) } else { Err(Errno::ENOENT) }
}

/// Copies a string, NUL included.
///
/// # Errors
/// `EFAULT`, and `ENAMETOOLONG` without a NUL in the first 4096 bytes.
pub(crate) fn read_path<H: Host>(host: &H, addr: u64) -> Result<Vec<u8>> {
    let mut path = Vec::with_capacity(64);
    while path.len() < PATH_MAX {
        // A string may end just before a page that is not there: never read across one.
        let at = addr.wrapping_add(path.len() as u64);
        let step = (PAGE - at % PAGE).min(64) as usize;
        let start = path.len();
        path.resize(start + step, 0);
        host.copy_in(at, &mut path[start..])?;
        if let Some(nul) = path[start..].iter().position(|byte| *byte == 0) {
            path.truncate(start + nul + 1);
            return Ok(path);
        }
    }
    Err(Errno::from_raw(libc::ENAMETOOLONG))
}

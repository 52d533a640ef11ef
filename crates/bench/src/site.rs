//! The directory that the workloads work in, and the files that they need there.

use crate::error::{Context, Result};
use crate::sys::{Pinned, Random};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// How many names there are to ask about.
pub(crate) const NAMES: usize = 32;

/// What a workload needs in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// A file in the page cache.
    Cached,
    /// A file on the disk, to be read around the page cache.
    Direct,
    /// Some files to ask about.
    Names,
}

/// How large the files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// For measurements: 64 MiB cached, 256 MiB for O_DIRECT.
    Full,
    /// For seeing that it works.
    Tiny,
}

impl Size {
    fn cached(self) -> usize {
        if self == Size::Full { 64 << 20 } else { 256 << 10 }
    }

    fn direct(self) -> usize {
        if self == Size::Full { 256 << 20 } else { 1 << 20 }
    }
}

/// A temporary directory with those files; removed when this is dropped.
#[derive(Debug)]
pub struct Site {
    directory: TempDir,
    pinned: Option<Pinned>,
    /// Why the cached file could not be pinned, if it could not.
    unpinned: Option<String>,
}

impl Site {
    /// Makes it below `parent`, with what `needs` asks for.
    ///
    /// # Errors
    /// No directory could be made there, or no file of that size.
    pub fn prepare(parent: &Path, needs: &[Needs], size: Size) -> Result<Site> {
        let directory = tempfile::Builder::new().prefix("ringfence-bench-").tempdir_in(parent);
        let directory = directory.during("making a temporary directory")?;
        let mut site = Site { directory, pinned: None, unpinned: None };
        let path = site.path();
        if needs.contains(&Needs::Cached) {
            for part in overlay(path) {
                std::fs::create_dir(part).during("making a directory")?;
            }
            let file = fill(&cached(path), size.cached()).during("writing the file to read")?;
            match Pinned::new(&file, size.cached()) {
                Ok(pinned) => site.pinned = Some(pinned),
                Err(error) => site.unpinned = Some(error.to_string()),
            }
        }
        let path = site.path();
        if needs.contains(&Needs::Direct) {
            fill(&direct(path), size.direct()).during("writing the file to read")?;
        }
        if needs.contains(&Needs::Names) {
            std::fs::create_dir(names(path)).during("making a directory")?;
            for number in 0..NAMES {
                let path = names(path).join(name(number));
                std::fs::write(path, b"").during("making a file")?;
            }
        }
        Ok(site)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Why the pages of the cached file may leave the page cache, if they may.
    pub fn unpinned(&self) -> Option<&str> {
        self.unpinned.as_deref()
    }

    /// The name of the file system it is on.
    pub fn file_system(&self) -> String {
        file_system(self.path())
    }
}

/// A directory for a [`Site`]: the first of the usual ones that is on a disk.
pub fn place() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let places = [std::env::temp_dir(), PathBuf::from("/var/tmp"), here];
    let on_disk = |place: &&PathBuf| {
        !matches!(file_system(place).as_str(), "tmpfs" | "ramfs" | "overlayfs" | "unknown")
    };
    places.iter().find(on_disk).unwrap_or(&places[1]).clone()
}

/// Names of file systems, by the number that statfs gives.
const FILE_SYSTEMS: &[(u64, &str)] = &[
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0xf2f5_2010, "f2fs"),
    (0x2fc1_2fc1, "zfs"),
    (0xca45_1a4e, "bcachefs"),
    (0x6969, "nfs"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
    (0x0102_1994, "tmpfs"),
    (0x8584_58f6, "ramfs"),
    (0x794c_7630, "overlayfs"),
];

fn file_system(path: &Path) -> String {
    let Ok(statfs) = rustix::fs::statfs(path) else { return "unknown".to_owned() };
    let number = statfs.f_type as u64 & 0xffff_ffff;
    let known = FILE_SYSTEMS.iter().find(|(magic, _)| *magic == number);
    known.map_or_else(|| format!("{number:#x}"), |(_, name)| (*name).to_owned())
}

/// Writes a file of random content to the disk: holes and unwritten extents would be read without
/// asking the device.
fn fill(path: &Path, length: usize) -> std::io::Result<File> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create_new(path)?);
    let mut random = Random::new();
    for _ in 0..length / 8 {
        file.write_all(&random.below(u64::MAX).to_le_bytes())?;
    }
    file.into_inner()?.sync_all()?;
    File::open(path)
}

pub(crate) fn cached(site: &Path) -> PathBuf {
    site.join("lower").join("cached")
}

pub(crate) fn direct(site: &Path) -> PathBuf {
    site.join("direct")
}

pub(crate) fn names(site: &Path) -> PathBuf {
    site.join("names")
}

pub(crate) fn name(number: usize) -> String {
    format!("{number:02}")
}

/// The directories of an overlayfs: lower, upper, work, and where to mount it.
pub(crate) fn overlay(site: &Path) -> [PathBuf; 4] {
    ["lower", "upper", "work", "merged"].map(|name| site.join(name))
}

//! Our engine under an unmodified program: the preload, where io_uring is refused.
//!
//! The body makes the calls that it makes on the kernel; the process it runs in has the preload
//! before libc and a seccomp filter that refuses io_uring behind it, so that nothing falls through
//! to the kernel unseen.

use crate::{Native, Skip, Target};
use ringfence_abi::Result;
use ringfence_refusal::{Answer, refuse_aio, refuse_io_uring};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::SystemTime;

/// The engine, by way of the preload.
pub struct Preload;

/// The library: the file that `RINGFENCE_LIBRARY` names, else the one that cargo built last.
fn library() -> std::result::Result<PathBuf, Skip> {
    let named = std::env::var_os("RINGFENCE_LIBRARY").map(PathBuf::from);
    if let Some(named) = named {
        return Ok(named);
    }
    let binary = std::env::current_exe().expect("the test binary");
    let target = binary.ancestors().nth(3).expect("the target directory");
    let profiles = ["debug", "release"].map(|profile| target.join(profile));
    let made = |path: PathBuf| {
        let changed = path.metadata().and_then(|metadata| metadata.modified()).ok()?;
        Some((changed, path))
    };
    let found = profiles.iter().filter_map(|path| made(path.join("libringfence.so"))).max();
    let Some((made, built)) = found else {
        return Err(Skip(format!("no libringfence.so: build it with `{BUILD}`")));
    };
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let crates = ["abi", "host", "uring", "ringfence", "preload"];
    let newest = crates.iter().filter_map(|name| newest(&sources.join(name).join("src"))).max();
    assert!(newest <= Some(made), "libringfence.so is older than its sources: `{BUILD}`");
    Ok(built)
}

/// What builds the library.
const BUILD: &str = "cargo build -p ringfence-preload";

/// When the newest file under a directory was changed.
fn newest(directory: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(directory).ok()?.flatten();
    let changed = |entry: std::fs::DirEntry| match entry.file_type().ok()?.is_dir() {
        true => newest(&entry.path()),
        false => entry.metadata().ok()?.modified().ok(),
    };
    entries.filter_map(changed).max()
}

impl Target for Preload {
    fn name(&self) -> &'static str {
        "preload"
    }

    fn launch(&self, command: &mut Command) -> std::result::Result<Child, Skip> {
        command
            .env("LD_PRELOAD", library()?)
            .env("RINGFENCE_BACKEND", "user")
            .env("RINGFENCE_AIO", "user");
        // The filter holds for the thread that asks for it, and for what it starts.
        let start = || {
            for refuse in [refuse_io_uring, refuse_aio] {
                refuse(Answer::Errno(libc::EPERM)).map_err(|error| Skip(error.to_string()))?;
            }
            Ok(command.spawn().expect("start the test binary"))
        };
        std::thread::scope(|scope| scope.spawn(start).join().expect("the thread panicked"))
    }

    fn setup(&self, entries: u32, params: u64) -> Result<i32> {
        Native.setup(entries, params)
    }

    fn enter(
        &self,
        fd: i32,
        to_submit: u32,
        min_complete: u32,
        flags: u32,
        arg: u64,
        argsz: u64,
    ) -> Result<u32> {
        Native.enter(fd, to_submit, min_complete, flags, arg, argsz)
    }

    fn register(&self, fd: i32, opcode: u32, arg: u64, nr_args: u32) -> Result<u32> {
        Native.register(fd, opcode, arg, nr_args)
    }

    fn mmap(&self, fd: i32, len: usize, offset: u64) -> Result<u64> {
        Native.mmap(fd, len, offset)
    }

    fn close(&self, fd: i32) -> Result<()> {
        Native.close(fd)
    }

    fn dup(&self, fd: i32) -> Result<i32> {
        Native.dup(fd)
    }

    fn aio(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        Native.aio(number, args)
    }

    fn poll(&self, fd: i32, events: i16, timeout_ms: i32) -> Result<i16> {
        Native.poll(fd, events, timeout_ms)
    }
}

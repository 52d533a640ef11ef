//! The memory of a ring: a sealed memfd, and the watch that tells when the program let go of it.
//!
//! The program gets a *second* open of the memfd. An inotify watch for closes on it fires exactly
//! when the last descriptor and the last mapping of that open are gone, across fork, dup, exec and
//! descriptors in flight: the kernel's own point of release (measured on 6.18).

use super::{Os, syscall};
use crate::{RingMemory, calls};
use ringfence_abi::{Errno, Result};
use std::sync::atomic::{AtomicI32, Ordering};

/// The process's inotify descriptor, or one of the two below.
static INOTIFY: AtomicI32 = AtomicI32::new(NOT_MADE);
const NOT_MADE: i32 = -2;
const NONE: i32 = -1;

/// What a file position is parked at: reads and writes of more than a byte then fail with EINVAL,
/// as they do on a ring, while mmap works.
const POSITION_PARKED: u64 = i64::MAX as u64 - 1;

fn inotify() -> Option<i32> {
    if INOTIFY.load(Ordering::Acquire) == NOT_MADE {
        let flags = libc::IN_NONBLOCK | libc::IN_CLOEXEC;
        let made = syscall(libc::SYS_inotify_init1, [flags as u64, 0, 0, 0, 0, 0])
            .map_or(NONE, |fd| calls::make_private(&Os, fd as i32));
        let raced =
            INOTIFY.compare_exchange(NOT_MADE, made, Ordering::AcqRel, Ordering::Acquire).is_err();
        if raced && made != NONE {
            let _ = calls::close(&Os, made);
        }
    }
    release_fd()
}

/// The inotify descriptor, readable when a ring was released; for whoever waits on many things.
pub(super) fn release_fd() -> Option<i32> {
    Some(INOTIFY.load(Ordering::Acquire)).filter(|&fd| fd >= 0)
}

/// In a forked child: the descriptor is the parent's, and would take the parent's events.
pub(super) fn forked() {
    let parents = INOTIFY.swap(NOT_MADE, Ordering::AcqRel);
    if parents >= 0 {
        let _ = calls::close(&Os, parents);
    }
}

/// `/proc/self/fd/N`, with a NUL.
fn proc_path(fd: i32) -> Vec<u8> {
    format!("/proc/self/fd/{fd}\0").into_bytes()
}

/// Makes memory of `size` bytes at most, sparse, with a descriptor for the program.
pub(super) fn create(size: u64) -> Result<RingMemory> {
    let name = b"io_uring\0";
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let low =
        syscall(libc::SYS_memfd_create, [name.as_ptr() as u64, u64::from(flags), 0, 0, 0, 0])?;
    let first = calls::make_private(&Os, low as i32);
    let result = prepare(first, size).and_then(|()| second_open(first));
    if result.is_err() {
        let _ = calls::close(&Os, first);
    }
    result
}

fn prepare(fd: i32, size: u64) -> Result<()> {
    set_size(fd, size)?;
    // A program's ftruncate on its ring must not turn the engine's mapping into SIGBUS.
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    syscall(libc::SYS_fcntl, [fd as u64, libc::F_ADD_SEALS as u64, seals as u64, 0, 0, 0])?;
    Ok(())
}

/// Gives the memory its size, which the kernel's rings have without any limit on files.
///
/// Beyond the soft limit the call would fail *and* raise SIGXFSZ, which kills. The limit is raised
/// for the moment of the call: no page is allocated, and a write of another thread that would have
/// failed in this moment may succeed.
fn set_size(fd: i32, size: u64) -> Result<()> {
    let truncate = || syscall(libc::SYS_ftruncate, [fd as u64, size, 0, 0, 0, 0]).map(|_| ());
    let old = file_size_limit(None)?;
    if old.rlim_cur >= size {
        return truncate();
    }
    if old.rlim_max < size {
        return Err(Errno::ENOMEM);
    }
    file_size_limit(Some(libc::rlimit64 { rlim_cur: old.rlim_max, ..old }))?;
    let result = truncate();
    file_size_limit(Some(old))?;
    result
}

/// `RLIMIT_FSIZE`, after setting it if a new one is given.
fn file_size_limit(new: Option<libc::rlimit64>) -> Result<libc::rlimit64> {
    let mut old = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let new = new.as_ref().map_or(0, |new| std::ptr::from_ref(new) as u64);
    let resource = libc::RLIMIT_FSIZE as u64;
    syscall(libc::SYS_prlimit64, [0, resource, new, calls::addr_mut(&mut old), 0, 0])?;
    Ok(old)
}

fn second_open(first: i32) -> Result<RingMemory> {
    let path = proc_path(first);
    let flags = (libc::O_RDWR | libc::O_CLOEXEC) as u64;
    let at = path.as_ptr() as u64;
    let Ok(fd) = syscall(libc::SYS_openat, [libc::AT_FDCWD as u64, at, flags, 0, 0, 0]) else {
        // Without /proc the program shares the first open, and release is told by close alone.
        let fd = syscall(libc::SYS_dup, [first as u64, 0, 0, 0, 0, 0])? as i32;
        return Ok(RingMemory { fd, own: first, watch: -1 });
    };
    let fd = fd as i32;
    let watch = inotify().map_or(-1, |inotify| {
        let mask = u64::from(libc::IN_CLOSE);
        let args = [inotify as u64, at, mask, 0, 0, 0];
        syscall(libc::SYS_inotify_add_watch, args).map_or(-1, |watch| watch as i32)
    });
    let parked = syscall(libc::SYS_lseek, [fd as u64, POSITION_PARKED, 0, 0, 0, 0]);
    if let Err(error) = parked {
        let _ = calls::close(&Os, fd);
        return Err(if error == Errno::EINVAL { Errno::ENOMEM } else { error });
    }
    Ok(RingMemory { fd, own: first, watch })
}

/// Collects the watches that fired.
pub(super) fn released(out: &mut Vec<i32>) {
    let Some(inotify) = release_fd() else { return };
    // Events of a watch without names are 16 bytes each.
    let mut buffer = [[0i32; 4]; 64];
    loop {
        let at = buffer.as_mut_ptr() as u64;
        let Ok(got) = calls::read(&Os, inotify, at, size_of_val(&buffer)) else { return };
        for event in &buffer[..got / 16] {
            // IN_IGNORED tells that the watch itself went with its inode; nothing new.
            if event[1] as u32 & libc::IN_CLOSE != 0 {
                out.push(event[0]);
                // The inode dies with the engine's mapping; the watch goes with it.
            }
        }
    }
}

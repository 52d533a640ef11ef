//! Memory that cannot be registered though it is there: shared mappings of files on a disk.
//!
//! The kernel does not pin such memory for long, since the file system must hear of every write to
//! it. What lies behind a range is asked of the kernel by one call, which Linux has since 6.11; an
//! older one is not asked, and such memory registers.

use ringfence_abi::{Errno, Result};
use ringfence_host::{Host, calls};

/// `PROCMAP_QUERY`: `_IOWR('f', 17, struct procmap_query)`.
const PROCMAP_QUERY: u64 = 0xc068_6611;
/// Ask for the first shared (8) mapping of a file (0x20) that ends behind the address (0x10).
const SHARED_FILE_FROM: u64 = 0x38;

/// File systems whose memory is not written to any disk.
const IN_MEMORY: [&str; 4] = ["tmpfs", "devtmpfs", "ramfs", "hugetlbfs"];
/// What lies below an overlay cannot be seen from above.
const UNKNOWN: &str = "overlay";

/// `struct procmap_query`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct Query {
    size: u64,
    flags: u64,
    addr: u64,
    start: u64,
    end: u64,
    vma_flags: u64,
    page_size: u64,
    offset: u64,
    inode: u64,
    device: [u32; 2],
    name_size: u32,
    build_id_size: u32,
    name_addr: u64,
    build_id_addr: u64,
}

const _: () = assert!(size_of::<Query>() == 0x68);

/// Refuses memory from `start` to `end` if any of it is a shared mapping of a file on a disk.
///
/// # Errors
/// `EFAULT` then.
pub(super) fn check<H: Host>(host: &H, start: u64, end: u64) -> Result<()> {
    let Ok(maps) = open(host, c"/proc/self/maps") else { return Ok(()) };
    let mut refused = false;
    let mut addr = start;
    while addr < end && !refused {
        let size = size_of::<Query>() as u64;
        let mut query = Query { size, flags: SHARED_FILE_FROM, addr, ..Query::default() };
        let at = calls::addr_mut(&mut query);
        let found = host.syscall(libc::SYS_ioctl, [maps as u64, PROCMAP_QUERY, at, 0, 0, 0]);
        if found.is_err() || query.start >= end {
            break;
        }
        refused = is_on_disk(host, query.device);
        addr = query.end;
    }
    let _ = calls::close(host, maps);
    if refused { Err(Errno::EFAULT) } else { Ok(()) }
}

/// Whether a file system's device is a disk, or stands for something of that kind.
fn is_on_disk<H: Host>(host: &H, [major, minor]: [u32; 2]) -> bool {
    if major != 0 {
        return true;
    }
    // A device of no driver: what it is, the list of mounts tells; the kernel's own are not in it.
    let device = format!("0:{minor}");
    let mounts = read_all(host, c"/proc/self/mountinfo").unwrap_or_default();
    let mounts = String::from_utf8_lossy(&mounts);
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some(&device));
    let kind = mount.and_then(|line| line.split_once(" - ")?.1.split(' ').next());
    kind.is_some_and(|kind| kind != UNKNOWN && !IN_MEMORY.contains(&kind))
}

fn open<H: Host>(host: &H, path: &std::ffi::CStr) -> Result<i32> {
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as u64;
    let args = [libc::AT_FDCWD as u64, path.as_ptr() as u64, flags, 0, 0, 0];
    host.syscall(libc::SYS_openat, args).map(|fd| fd as i32)
}

fn read_all<H: Host>(host: &H, path: &std::ffi::CStr) -> Result<Vec<u8>> {
    let fd = open(host, path)?;
    let (mut all, mut part) = (Vec::new(), [0u8; 4096]);
    while let Ok(len @ 1..) = calls::read(host, fd, calls::addr_mut(&mut part), part.len()) {
        all.extend_from_slice(&part[..len]);
    }
    let _ = calls::close(host, fd);
    Ok(all)
}

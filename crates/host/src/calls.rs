//! Typed forms of the system calls that the engine makes for itself.

use crate::Host;
use ringfence_abi::Result;

/// Puts a C structure's address into an argument.
fn addr<T>(value: &T) -> u64 {
    std::ptr::from_ref(value) as u64
}

/// Puts the address of what a call writes into an argument. It must be a mutable reference: what
/// lies behind a shared one is taken to stay as it is.
pub fn addr_mut<T>(value: &mut T) -> u64 {
    std::ptr::from_mut(value) as u64
}

/// `read(2)`; `buf` is an address.
///
/// # Errors
/// As the call.
pub fn read<H: Host>(host: &H, fd: i32, buf: u64, len: usize) -> Result<usize> {
    host.syscall(libc::SYS_read, [fd as u64, buf, len as u64, 0, 0, 0]).map(|n| n as usize)
}

/// `write(2)`; `buf` is an address.
///
/// # Errors
/// As the call.
pub fn write<H: Host>(host: &H, fd: i32, buf: u64, len: usize) -> Result<usize> {
    host.syscall(libc::SYS_write, [fd as u64, buf, len as u64, 0, 0, 0]).map(|n| n as usize)
}

/// `close(2)`.
///
/// # Errors
/// As the call.
pub fn close<H: Host>(host: &H, fd: i32) -> Result<()> {
    host.syscall(libc::SYS_close, [fd as u64, 0, 0, 0, 0, 0]).map(drop)
}

/// `pipe2(2)`: the reading and the writing end.
///
/// # Errors
/// As the call.
pub fn pipe2<H: Host>(host: &H, flags: i32) -> Result<(i32, i32)> {
    let mut fds = [0i32; 2];
    host.syscall(libc::SYS_pipe2, [addr_mut(&mut fds), flags as u64, 0, 0, 0, 0])?;
    Ok((fds[0], fds[1]))
}

/// `eventfd2(2)`, non-blocking and close-on-exec.
///
/// # Errors
/// As the call.
pub fn eventfd<H: Host>(host: &H) -> Result<i32> {
    let flags = libc::EFD_NONBLOCK | libc::EFD_CLOEXEC;
    host.syscall(libc::SYS_eventfd2, [0, flags as u64, 0, 0, 0, 0]).map(|fd| fd as i32)
}

/// Adds one to an eventfd's counter.
pub fn eventfd_signal<H: Host>(host: &H, fd: i32) {
    let one = 1u64;
    // A full counter is as good a signal as another one.
    let _ = write(host, fd, addr(&one), 8);
}

/// Resets an eventfd's counter.
pub fn eventfd_drain<H: Host>(host: &H, fd: i32) {
    let mut count = 0u64;
    let _ = read(host, fd, addr_mut(&mut count), 8);
}

/// `epoll_create1(2)`, close-on-exec.
///
/// # Errors
/// As the call.
pub fn epoll_create<H: Host>(host: &H) -> Result<i32> {
    host.syscall(libc::SYS_epoll_create1, [libc::EPOLL_CLOEXEC as u64, 0, 0, 0, 0, 0])
        .map(|fd| fd as i32)
}

/// `epoll_ctl(2)`; `op` is `EPOLL_CTL_*`.
///
/// # Errors
/// As the call.
pub fn epoll_ctl<H: Host>(
    host: &H,
    epfd: i32,
    op: i32,
    fd: i32,
    events: u32,
    data: u64,
) -> Result<()> {
    let event = crate::Event { events, data };
    let args = [epfd as u64, op as u64, fd as u64, addr(&event), 0, 0];
    host.syscall(libc::SYS_epoll_ctl, args).map(drop)
}

/// Which of `events` (`POLL*` bits) hold on `fd` now, and always `POLLERR` and `POLLHUP`.
///
/// # Errors
/// `EBADF` if it is not open.
pub fn poll_now<H: Host>(host: &H, fd: i32, events: u32) -> Result<u32> {
    let mut entry = libc::pollfd { fd, events: events as i16, revents: 0 };
    host.syscall(libc::SYS_poll, [addr_mut(&mut entry), 1, 0, 0, 0, 0])?;
    let revents = entry.revents;
    if revents & libc::POLLNVAL != 0 {
        return Err(ringfence_abi::Errno::EBADF);
    }
    Ok(u32::from(revents as u16))
}

/// `st_mode` of an open file.
///
/// # Errors
/// `EBADF` if it is not open.
pub fn file_mode<H: Host>(host: &H, fd: i32) -> Result<u32> {
    // struct stat, of which st_mode stands in the low half of the fourth word on x86-64.
    let mut stat = [0u64; 18];
    host.syscall(libc::SYS_fstat, [fd as u64, addr_mut(&mut stat), 0, 0, 0, 0])?;
    Ok(stat[3] as u32)
}

/// File systems that live in memory: tmpfs, ramfs, hugetlbfs.
const IN_MEMORY: [u64; 3] = [0x0102_1994, 0x8584_58f6, 0x9584_58f6];

/// Whether an open file is one of a file system in memory, which never waits for a disk.
pub fn is_in_memory<H: Host>(host: &H, fd: i32) -> bool {
    // struct statfs, which begins with the type.
    let mut statfs = [0u64; 15];
    let asked = host.syscall(libc::SYS_fstatfs, [fd as u64, addr_mut(&mut statfs), 0, 0, 0, 0]);
    asked.is_ok() && IN_MEMORY.contains(&statfs[0])
}

/// Descriptors of the engine sit at or above this number, out of the program's way.
pub const PRIVATE_FD_MIN: u64 = 700;

/// A second descriptor for an open file: close-on-exec, with a number out of the program's way.
///
/// # Errors
/// `EBADF`, `EMFILE`.
pub fn dup_private<H: Host>(host: &H, fd: i32) -> Result<i32> {
    let dup = |min: u64| {
        let args = [fd as u64, libc::F_DUPFD_CLOEXEC as u64, min, 0, 0, 0];
        host.syscall(libc::SYS_fcntl, args).map(|fd| fd as i32)
    };
    // Under a low RLIMIT_NOFILE the high numbers do not exist: EINVAL.
    dup(PRIVATE_FD_MIN).or_else(|error| match error {
        ringfence_abi::Errno::EINVAL | ringfence_abi::Errno::EMFILE => dup(0),
        other => Err(other),
    })
}

/// Moves a descriptor of the engine's own out of the program's way.
pub fn make_private<H: Host>(host: &H, fd: i32) -> i32 {
    match dup_private(host, fd) {
        Ok(high) => {
            let _ = close(host, fd);
            high
        }
        Err(_) => fd,
    }
}

//! Real calls in the turn of a virtual thread: none of them may block.

use super::SimHost;
use crate::state::Probe;
use crate::thread;
use ringfence_abi::{Iovec, Result};
use ringfence_host::{Host, Os, calls, plain};

/// Calls that wait for a descriptor, and for what. Those of the engine's that carry a flag against
/// waiting are never kept.
const WAITING: &[(i64, &str, i16)] = &[
    (libc::SYS_read, "read", libc::POLLIN),
    (libc::SYS_readv, "readv", libc::POLLIN),
    (libc::SYS_preadv2, "preadv2", libc::POLLIN),
    (libc::SYS_recvfrom, "recvfrom", libc::POLLIN),
    (libc::SYS_recvmsg, "recvmsg", libc::POLLIN),
    (libc::SYS_write, "write", libc::POLLOUT),
    (libc::SYS_writev, "writev", libc::POLLOUT),
    (libc::SYS_pwritev2, "pwritev2", libc::POLLOUT),
    (libc::SYS_sendto, "sendto", libc::POLLOUT),
    (libc::SYS_sendmsg, "sendmsg", libc::POLLOUT),
    (libc::SYS_splice, "splice", libc::POLLIN),
    (libc::SYS_tee, "tee", libc::POLLIN),
];

/// Other calls that are worth a name in a trace.
const OTHERS: &[(i64, &str)] = &[
    (libc::SYS_accept4, "accept4"),
    (libc::SYS_close, "close"),
    (libc::SYS_connect, "connect"),
    (libc::SYS_epoll_create1, "epoll_create1"),
    (libc::SYS_epoll_ctl, "epoll_ctl"),
    (libc::SYS_eventfd2, "eventfd2"),
    (libc::SYS_fcntl, "fcntl"),
    (libc::SYS_fstat, "fstat"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_openat, "openat"),
    (libc::SYS_openat2, "openat2"),
    (libc::SYS_pipe2, "pipe2"),
    (libc::SYS_poll, "poll"),
    (libc::SYS_shutdown, "shutdown"),
    (libc::SYS_socket, "socket"),
    (libc::SYS_statx, "statx"),
];

/// A call's name.
pub(super) fn name(number: i64) -> &'static str {
    let waiting = WAITING.iter().map(|(call, name, _)| (*call, *name));
    waiting
        .chain(OTHERS.iter().copied())
        .find(|(call, _)| *call == number)
        .map_or("system call", |(_, name)| name)
}

/// Whether a call may wait for what no descriptor tells: a futex, a child, a FIFO's other end.
pub(super) fn waits_elsewhere(number: i64) -> bool {
    let waiting = [
        libc::SYS_futex,
        libc::SYS_futex_waitv,
        libc::SYS_waitid,
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_epoll_wait,
    ];
    waiting.contains(&number)
}

/// Whether a call reads or writes a file.
pub(super) fn is_transfer(number: i64) -> bool {
    let transfers = [libc::SYS_readv, libc::SYS_writev, libc::SYS_preadv2, libc::SYS_pwritev2];
    transfers.contains(&number)
}

/// Whether any of `events` holds on `fd` now, or it is no descriptor.
fn is_ready(fd: i32, events: i16) -> bool {
    calls::poll_now(&Os, fd, u32::from(events as u16)) != Ok(0)
}

/// Asks for one of `events` on `fd`.
pub(super) fn probe(fd: i32, events: i16) -> Probe {
    Box::new(move || is_ready(fd, events))
}

/// What a call waits for, unless a flag of its own or of the descriptor says that it never waits.
fn waits_for(number: i64, args: &[u64; 6]) -> Option<i16> {
    let events = WAITING.iter().find(|(call, ..)| *call == number)?.2;
    let (flags, never) = match number {
        libc::SYS_preadv2 | libc::SYS_pwritev2 => (args[5], libc::RWF_NOWAIT as u64),
        libc::SYS_recvfrom | libc::SYS_sendto => (args[3], libc::MSG_DONTWAIT as u64),
        libc::SYS_recvmsg | libc::SYS_sendmsg => (args[2], libc::MSG_DONTWAIT as u64),
        libc::SYS_splice => (args[5], u64::from(libc::SPLICE_F_NONBLOCK)),
        libc::SYS_tee => (args[3], u64::from(libc::SPLICE_F_NONBLOCK)),
        _ => (0, 1),
    };
    if flags & never != 0 {
        return None;
    }
    let status = Os.syscall(libc::SYS_fcntl, [args[0], libc::F_GETFL as u64, 0, 0, 0, 0]);
    let never_waits = status.map_or(true, |status| status & libc::O_NONBLOCK as u64 != 0);
    (!never_waits).then_some(events)
}

impl SimHost {
    /// Makes a call once it does not block, or a part of it.
    #[track_caller]
    pub(super) fn real_call(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        if let Some(events) = waits_for(number, &args) {
            while !is_ready(args[0] as i32, events) {
                thread::wait_ready(probe(args[0] as i32, events), None);
            }
        }
        if self.is_cut(number, &args) {
            return cut_call(number, args);
        }
        Os.syscall(number, args)
    }
}

/// A transfer of a part of what it was asked to: of the first memory that is not empty, a drawn
/// number of bytes.
fn cut_call(number: i64, args: [u64; 6]) -> Result<u64> {
    for index in 0..args[2].min(1024) {
        let whole: Iovec = plain::read_at(&Os, args[1], index)?;
        if whole.len == 0 {
            continue;
        }
        let part = Iovec { len: 1 + thread::draw(whole.len), ..whole };
        let list = std::ptr::from_ref(&part) as u64;
        return Os.syscall(number, [args[0], list, 1, args[3], args[4], args[5]]);
    }
    Os.syscall(number, args)
}

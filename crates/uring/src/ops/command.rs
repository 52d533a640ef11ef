//! URING_CMD: the commands that sockets know. Other files' commands are their drivers' own, and are
//! answered as on a host without the driver.

use crate::issue::Cx;
use crate::ops::net::socket_option;
use crate::request::{Outcome, Req, result_of};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::{Host, calls, plain};

// `SOCKET_URING_OP_*`.
const SIOCINQ: u32 = 0;
const SIOCOUTQ: u32 = 1;
const GETSOCKOPT: u32 = 2;
const SETSOCKOPT: u32 = 3;
const TX_TIMESTAMP: u32 = 4;
const GETSOCKNAME: u32 = 5;

/// `SIOCINQ` and `SIOCOUTQ` as ioctl takes them.
const FIONREAD: u64 = libc::FIONREAD;
const TIOCOUTQ: u64 = libc::TIOCOUTQ;

/// `IORING_URING_CMD_MULTISHOT`: takes its buffers from a group.
const MULTISHOT: u32 = 1 << 1;

pub(crate) fn prep<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    let flags = sqe.op_flags;
    let selects = req.has(IOSQE_BUFFER_SELECT);
    let unknown = flags & !(IORING_URING_CMD_FIXED | MULTISHOT) != 0 || sqe.off >> 32 != 0;
    if unknown || flags & IORING_URING_CMD_FIXED != 0 && selects {
        return Err(Errno::EINVAL);
    }
    if (flags & MULTISHOT != 0) != selects { Err(Errno::EINVAL) } else { Ok(()) }
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    match domain(req, cx) {
        Ok(_) if req.sqe.cmd_op() == TX_TIMESTAMP => crate::ops::timestamp::issue(req, cx),
        Ok(domain) => Outcome::Done(result_of(command(req, cx, domain))),
        Err(Errno::EOPNOTSUPP) if takes_all(req, cx) => Outcome::Done(0),
        Err(errno) => Outcome::Done(errno.as_result()),
    }
}

/// Whether it is `/dev/null`, which takes every command and does nothing.
fn takes_all<H: Host>(req: &Req<H>, cx: &Cx<'_, H>) -> bool {
    !cx.ring.has(IORING_SETUP_IOPOLL) && crate::kind::is_null(&cx.ring.host, req.file.fd())
}

/// The socket's address family.
///
/// # Errors
/// `EBADF`, and `EOPNOTSUPP` for what is no socket or is not served on this ring.
fn domain<H: Host>(req: &Req<H>, cx: &Cx<'_, H>) -> Result<i32> {
    match socket_option(&cx.ring.host, req.file.fd(), libc::SO_DOMAIN) {
        Err(Errno::EBADF) => Err(Errno::EBADF),
        Ok(domain) if !cx.ring.has(IORING_SETUP_IOPOLL) => Ok(domain),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

fn command<H: Host>(req: &Req<H>, cx: &Cx<'_, H>, domain: i32) -> Result<u64> {
    let fd = req.file.fd();
    match req.sqe.cmd_op() {
        SIOCINQ => queued(cx, fd, domain, FIONREAD),
        SIOCOUTQ => queued(cx, fd, domain, TIOCOUTQ),
        GETSOCKOPT => get_option(req, cx, fd),
        SETSOCKOPT => set_option(req, cx, fd),
        GETSOCKNAME => get_name(req, cx, fd),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

/// Bytes in one of a socket's queues; only IP sockets tell.
fn queued<H: Host>(cx: &Cx<'_, H>, fd: i32, domain: i32, request: u64) -> Result<u64> {
    if domain != libc::AF_INET && domain != libc::AF_INET6 {
        return Err(Errno::EOPNOTSUPP);
    }
    let mut count = 0i32;
    let at = calls::addr_mut(&mut count);
    cx.call(libc::SYS_ioctl, [fd as u64, request, at, 0, 0, 0])?;
    Ok(count as u64)
}

/// The level and the name of an option, which stand in `addr`.
fn option<H: Host>(req: &Req<H>) -> (u64, u64) {
    (req.sqe.addr & 0xffff_ffff, req.sqe.addr >> 32)
}

/// The value's length, which is the result.
fn get_option<H: Host>(req: &Req<H>, cx: &Cx<'_, H>, fd: i32) -> Result<u64> {
    let (level, name) = option(req);
    if level != libc::SOL_SOCKET as u64 {
        return Err(Errno::EOPNOTSUPP);
    }
    let mut len = req.sqe.file_index;
    let len_at = calls::addr_mut(&mut len);
    let args = [fd as u64, level, name, req.sqe.addr3, len_at, 0];
    cx.call(libc::SYS_getsockopt, args)?;
    Ok(u64::from(len))
}

fn set_option<H: Host>(req: &Req<H>, cx: &Cx<'_, H>, fd: i32) -> Result<u64> {
    let (level, name) = option(req);
    let len = u64::from(req.sqe.file_index);
    cx.call(libc::SYS_setsockopt, [fd as u64, level, name, req.sqe.addr3, len, 0])
}

/// A socket's own name into `addr`, or with `optlen` 1 its peer's; `addr3` points to the length.
fn get_name<H: Host>(req: &Req<H>, cx: &Cx<'_, H>, fd: i32) -> Result<u64> {
    let sqe = &req.sqe;
    if sqe.file_index > 1 || sqe.op_flags != 0 || sqe.len != 0 {
        return Err(Errno::EINVAL);
    }
    let call = if sqe.file_index == 1 { libc::SYS_getpeername } else { libc::SYS_getsockname };
    let mut len: u32 = plain::read(&cx.ring.host, sqe.addr3)?;
    let at = calls::addr_mut(&mut len);
    cx.call(call, [fd as u64, sqe.addr, at, 0, 0, 0])?;
    plain::write(&cx.ring.host, sqe.addr3, &len)?;
    Ok(0)
}

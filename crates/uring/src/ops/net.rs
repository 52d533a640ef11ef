//! ACCEPT, CONNECT, SOCKET, BIND, LISTEN, SHUTDOWN, and what transfers on sockets share.

use crate::issue::Cx;
use crate::ops::message::Address;
use crate::ops::open::install;
use crate::request::{Extra, Outcome, Req, result_of};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::{Host, calls};

pub(crate) const DONTWAIT: u32 = libc::MSG_DONTWAIT as u32;
pub(crate) const WAITALL: u32 = libc::MSG_WAITALL as u32;
pub(crate) const NOSIGNAL: u32 = libc::MSG_NOSIGNAL as u32;
pub(crate) const IN: u32 = libc::EPOLLIN as u32;
pub(crate) const OUT: u32 = libc::EPOLLOUT as u32;
const SOCK_FLAGS: u32 = (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u32;

/// Flags in `ioprio` that a request knows.
pub(crate) fn check_ioprio(ioprio: u16, known: u16) -> Result<()> {
    if ioprio & !known != 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

/// Whether readiness is to be waited for before the first try.
pub(crate) fn is_poll_first<H: Host>(req: &Req<H>) -> bool {
    !req.polled && req.sqe.ioprio & IORING_RECVSEND_POLL_FIRST != 0
}

/// What is to be done instead of a first try, if readiness is to be waited for before that. A RECV
/// alone does not look first whether there is a socket.
pub(crate) fn poll_first<H: Host>(req: &Req<H>, cx: &Cx<'_, H>, events: u32) -> Option<Outcome> {
    if !is_poll_first(req) {
        return None;
    }
    Some(match check_socket(req, cx) {
        Ok(()) => Outcome::WaitUntried(events),
        Err(errno) => Outcome::Done(errno.as_result()),
    })
}

/// The end of a transfer that gets no buffer: what is no socket comes before that.
pub(crate) fn without_buffer<H: Host>(req: &Req<H>, cx: &Cx<'_, H>, errno: Errno) -> Outcome {
    Outcome::Done(check_socket(req, cx).err().unwrap_or(errno).as_result())
}

/// The system call says so by itself; this is for what the kernel does after it has looked.
///
/// # Errors
/// `ENOTSOCK`.
fn check_socket<H: Host>(req: &Req<H>, cx: &Cx<'_, H>) -> Result<()> {
    socket_option(&cx.ring.host, req.file.fd(), libc::SO_TYPE).map(drop)
}

/// What a transfer that would block comes to.
pub(crate) fn blocked<H: Host>(req: &Req<H>, events: u32) -> Outcome {
    if req.sqe.op_flags & DONTWAIT != 0 {
        return Outcome::Done(if req.done > 0 {
            req.done as i32
        } else {
            Errno::EAGAIN.as_result()
        });
    }
    Outcome::Wait(events)
}

pub(crate) fn prep_accept<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.len != 0 || sqe.buf_index != 0 || sqe.op_flags & !SOCK_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let known = IORING_ACCEPT_MULTISHOT | IORING_ACCEPT_DONTWAIT | IORING_ACCEPT_POLL_FIRST;
    check_ioprio(sqe.ioprio, known)?;
    if sqe.file_index != 0 {
        let multishot = sqe.ioprio & IORING_ACCEPT_MULTISHOT != 0;
        let one_slot = sqe.file_index != IORING_FILE_INDEX_ALLOC;
        if sqe.op_flags & libc::SOCK_CLOEXEC as u32 != 0 || multishot && one_slot {
            return Err(Errno::EINVAL);
        }
    }
    Ok(())
}

pub(crate) fn accept<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let ioprio = req.sqe.ioprio;
    if !req.polled && ioprio & IORING_ACCEPT_POLL_FIRST != 0 {
        return Outcome::WaitUntried(IN);
    }
    loop {
        let fd = match accept_once(req, cx) {
            Ok(fd) => fd,
            Err(Errno::EAGAIN) if ioprio & IORING_ACCEPT_DONTWAIT != 0 => {
                return Outcome::Done(Errno::EAGAIN.as_result());
            }
            Err(Errno::EAGAIN) => return Outcome::Wait(IN),
            Err(Errno::ECONNABORTED) => continue,
            Err(errno) => return Outcome::Done(errno.as_result()),
        };
        let res = install(req.sqe.file_index, fd, cx);
        req.cqe_flags = 0;
        if calls::poll_now(&cx.ring.host, req.file.fd(), IN).is_ok_and(|ready| ready & IN != 0) {
            req.cqe_flags = IORING_CQE_F_SOCK_NONEMPTY;
        }
        if ioprio & IORING_ACCEPT_MULTISHOT == 0 || res < 0 || !cx.post_more(req, res) {
            return Outcome::Done(res);
        }
        req.cqe_flags = 0;
    }
}

/// Accepts without waiting, on a listener that may be a blocking one.
fn accept_once<H: Host>(req: &Req<H>, cx: &Cx<'_, H>) -> Result<i32> {
    let fd = req.file.fd();
    let ready = calls::poll_now(&cx.ring.host, fd, IN)?;
    if ready == 0 {
        return Err(if listens(fd, cx)? { Errno::EAGAIN } else { Errno::EINVAL });
    }
    let (name, len) = (req.sqe.addr, req.sqe.off);
    let args = [fd as u64, name, len, u64::from(req.sqe.op_flags), 0, 0];
    nonblocking(&cx.ring.host, fd, || cx.call(libc::SYS_accept4, args)).map(|fd| fd as i32)
}

/// Whether a socket is a listener, on which alone it makes sense to wait for connections.
///
/// # Errors
/// `ENOTSOCK`.
fn listens<H: Host>(fd: i32, cx: &Cx<'_, H>) -> Result<bool> {
    socket_option(&cx.ring.host, fd, libc::SO_ACCEPTCONN).map(|accepts| accepts != 0)
}

/// An integer option of a socket.
///
/// # Errors
/// `ENOTSOCK`.
pub(crate) fn socket_option<H: Host>(host: &H, fd: i32, name: i32) -> Result<i32> {
    let (mut value, mut len) = (0i32, 4u32);
    let (at, len_at) = (calls::addr_mut(&mut value), calls::addr_mut(&mut len));
    let args = [fd as u64, libc::SOL_SOCKET as u64, name as u64, at, len_at, 0];
    host.syscall(libc::SYS_getsockopt, args)?;
    Ok(value)
}

/// Whether a short transfer goes on: under `MSG_WAITALL`, where there are no message boundaries
/// that end it.
pub(crate) fn goes_on<H: Host>(req: &Req<H>, cx: &Cx<'_, H>) -> bool {
    if req.sqe.op_flags & WAITALL == 0 {
        return false;
    }
    let kind = socket_option(&cx.ring.host, req.file.fd(), libc::SO_TYPE);
    matches!(kind, Ok(libc::SOCK_STREAM | libc::SOCK_SEQPACKET))
}

/// Makes a call on a socket that must not block, though the socket may be a blocking one; the
/// flag is back as it was when this returns.
fn nonblocking<H: Host, T>(host: &H, fd: i32, call: impl FnOnce() -> Result<T>) -> Result<T> {
    let control = |command: i32, arg: u64| {
        host.syscall(libc::SYS_fcntl, [fd as u64, command as u64, arg, 0, 0, 0])
    };
    let flags = control(libc::F_GETFL, 0)?;
    let nonblock = libc::O_NONBLOCK as u64;
    if flags & nonblock != 0 {
        return call();
    }
    control(libc::F_SETFL, flags | nonblock)?;
    let result = call();
    control(libc::F_SETFL, flags)?;
    result
}

pub(crate) fn prep_connect<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.len != 0 || sqe.buf_index != 0 || sqe.op_flags != 0 || sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    let address = Address::read(&cx.ring.host, sqe.addr, sqe.off)?;
    req.extra = Extra::Address(Box::new(address));
    Ok(())
}

pub(crate) fn connect<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if req.done > 0 {
        return connected(req, cx);
    }
    let Extra::Address(address) = &req.extra else {
        return Outcome::Done(Errno::EINVAL.as_result());
    };
    let (fd, (name, len)) = (req.file.fd(), address.as_args());
    let call = || cx.call(libc::SYS_connect, [fd as u64, name, len, 0, 0, 0]);
    match nonblocking(&cx.ring.host, fd, call) {
        Err(Errno::EINPROGRESS) => {
            req.done = 1;
            Outcome::WaitUntried(OUT)
        }
        Err(Errno::EAGAIN) => Outcome::WaitUntried(OUT),
        other => Outcome::of(other),
    }
}

/// A connection that was under way: a second call tells its outcome, and takes note of it, so
/// that a third one finds the socket connected.
fn connected<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let Extra::Address(address) = &req.extra else {
        return Outcome::Done(Errno::EINVAL.as_result());
    };
    let (fd, (name, len)) = (req.file.fd(), address.as_args());
    let call = || cx.call(libc::SYS_connect, [fd as u64, name, len, 0, 0, 0]);
    match nonblocking(&cx.ring.host, fd, call) {
        Err(Errno::EALREADY | Errno::EINPROGRESS) => Outcome::Wait(OUT),
        other => Outcome::of(other),
    }
}

pub(crate) fn prep_socket<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.addr != 0 || sqe.op_flags != 0 || sqe.buf_index != 0 {
        return Err(Errno::EINVAL);
    }
    let flags = sqe.off as u32 & !0xf;
    if flags & !SOCK_FLAGS != 0 || sqe.file_index != 0 && flags & libc::SOCK_CLOEXEC as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub(crate) fn socket<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let sqe = &req.sqe;
    let args = [sqe.fd as i64 as u64, sqe.off, u64::from(sqe.len), 0, 0, 0];
    match cx.call(libc::SYS_socket, args) {
        Ok(fd) => Outcome::Done(install(req.sqe.file_index, fd as i32, cx)),
        Err(errno) => Outcome::Done(errno.as_result()),
    }
}

pub(crate) fn prep_bind<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.len != 0 || sqe.buf_index != 0 || sqe.op_flags != 0 || sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    let address = Address::read(&cx.ring.host, sqe.addr, sqe.off)?;
    req.extra = Extra::Address(Box::new(address));
    Ok(())
}

pub(crate) fn bind<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let Extra::Address(address) = &req.extra else {
        return Outcome::Done(Errno::EINVAL.as_result());
    };
    let (name, len) = address.as_args();
    Outcome::of(cx.call(libc::SYS_bind, [req.file.fd() as u64, name, len, 0, 0, 0]))
}

pub(crate) fn prep_listen<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    let unused = sqe.addr != 0
        || sqe.off != 0
        || sqe.buf_index != 0
        || sqe.op_flags != 0
        || sqe.file_index != 0;
    if unused { Err(Errno::EINVAL) } else { Ok(()) }
}

pub(crate) fn listen<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let args = [req.file.fd() as u64, u64::from(req.sqe.len), 0, 0, 0, 0];
    Outcome::of(cx.call(libc::SYS_listen, args))
}

pub(crate) fn prep_shutdown<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    let unused = sqe.off != 0
        || sqe.addr != 0
        || sqe.op_flags != 0
        || sqe.buf_index != 0
        || sqe.file_index != 0;
    if unused { Err(Errno::EINVAL) } else { Ok(()) }
}

pub(crate) fn shutdown<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let args = [req.file.fd() as u64, u64::from(req.sqe.len), 0, 0, 0, 0];
    let result = cx.call(libc::SYS_shutdown, args);
    // What is a socket is shut down, or not, and the chain goes on.
    req.fails_quietly = result != Err(Errno::from_raw(libc::ENOTSOCK));
    Outcome::Done(result_of(result))
}

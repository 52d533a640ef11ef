//! SENDMSG and RECVMSG, and socket addresses.

use crate::issue::Cx;
use crate::kbuf;
use crate::ops::net::{
    DONTWAIT, IN, OUT, WAITALL, blocked, check_ioprio, goes_on, poll_first, without_buffer,
};
use crate::ops::recv::{check_multishot, is_multishot, more, note_non_empty};
use crate::ops::rw::read_iovecs;
use crate::request::{Extra, Outcome, Req, Request};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::{Host, plain};

/// Longest socket address, bytes.
const ADDRESS_MAX: u64 = 128;

/// A copied socket address.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    bytes: [u8; ADDRESS_MAX as usize],
    len: u64,
}

impl Address {
    /// Copies an address of `len` bytes.
    ///
    /// # Errors
    /// `EINVAL` if it is too long, `EFAULT`.
    pub(crate) fn read<H: Host>(host: &H, addr: u64, len: u64) -> Result<Address> {
        if len > ADDRESS_MAX {
            return Err(Errno::EINVAL);
        }
        let mut address = Address { bytes: [0; ADDRESS_MAX as usize], len };
        host.copy_in(addr, &mut address.bytes[..len as usize])?;
        Ok(address)
    }

    /// Its address and length, for a system call.
    pub(crate) fn as_args(&self) -> (u64, u64) {
        (self.bytes.as_ptr() as u64, self.len)
    }
}

/// A copied message header.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The header as the program wrote it.
    header: Msghdr,
    iovecs: Vec<Iovec>,
    /// The peer's address, of a message to be sent.
    name: Option<Address>,
}

impl Message {
    /// Bytes asked for.
    pub(crate) fn wanted(&self) -> u64 {
        self.iovecs.iter().fold(0u64, |sum, iovec| sum.saturating_add(iovec.len))
    }

    /// Where its bytes are.
    pub(crate) fn iovecs(&self) -> &[Iovec] {
        &self.iovecs
    }

    fn read<H: Host>(host: &H, addr: u64, sends: bool) -> Result<Message> {
        // Its flags, the last word, are an answer.
        let mut header = Msghdr::default();
        host.copy_in(addr, &mut plain::bytes_mut(&mut header)[..48])?;
        if header.iovlen > 1024 {
            return Err(Errno::EMSGSIZE);
        }
        let iovecs = read_iovecs(host, header.iov, header.iovlen)?;
        let name = if sends && header.name != 0 && header.namelen != 0 {
            Some(Address::read(host, header.name, u64::from(header.namelen).min(ADDRESS_MAX))?)
        } else {
            None
        };
        Ok(Message { header, iovecs, name })
    }

    /// A header for one call, over what is left after `done` bytes.
    fn call_header(&self, done: u64) -> (Msghdr, Vec<Iovec>) {
        let mut iovecs = self.iovecs.clone();
        let mut skip = done;
        for iovec in &mut iovecs {
            let part = skip.min(iovec.len);
            iovec.base = iovec.base.wrapping_add(part);
            iovec.len -= part;
            skip -= part;
        }
        let mut header = self.header;
        header.iov = iovecs.as_ptr() as u64;
        header.iovlen = iovecs.len() as u64;
        if let Some(name) = &self.name {
            header.name = name.as_args().0;
        }
        (header, iovecs)
    }
}

/// Under `MSG_WAITALL` a short transfer breaks a link; otherwise it is a success.
pub(crate) fn is_short<H: Host>(req: &Request<H>, res: i32) -> bool {
    let Extra::Message(message) = &req.extra else { return false };
    req.sqe.op_flags & WAITALL != 0 && (res as u64) < message.wanted()
}

pub(crate) fn prep_send<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    crate::ops::send::check_len(&req.sqe)?;
    check_ioprio(req.sqe.ioprio, IORING_RECVSEND_POLL_FIRST | IORING_SEND_VECTORIZED)?;
    copy(req, cx)
}

/// Copies the message to be sent.
pub(crate) fn copy<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.off != 0 || sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    let message = Message::read(&cx.ring.host, sqe.addr, true)?;
    req.extra = Extra::Message(Box::new(message));
    Ok(())
}

pub(crate) fn send<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if let Some(outcome) = poll_first(req, cx, OUT) {
        return outcome;
    }
    let flags = u64::from(req.sqe.op_flags | DONTWAIT | libc::MSG_NOSIGNAL as u32);
    loop {
        let Extra::Message(message) = &req.extra else {
            return Outcome::Done(Errno::EINVAL.as_result());
        };
        let wanted = message.wanted();
        let (header, iovecs) = message.call_header(req.done);
        if header.controllen > 0
            && cx.ring.shared.sends_ring(&cx.ring.host, header.control, header.controllen)
        {
            return Outcome::Done(Errno::EINVAL.as_result());
        }
        let at = std::ptr::from_ref(&header) as u64;
        let result = cx.call(libc::SYS_sendmsg, [req.file.fd() as u64, at, flags, 0, 0, 0]);
        drop(iovecs);
        match result {
            Ok(n) => {
                req.done += n;
                if req.done >= wanted || !goes_on(req, cx) {
                    return Outcome::Done(req.done as i32);
                }
            }
            Err(Errno::EAGAIN) => return blocked(req, OUT),
            Err(_) if req.done > 0 => return Outcome::Done(req.done as i32),
            Err(errno) => return Outcome::Done(errno.as_result()),
        }
    }
}

pub(crate) fn prep_recv<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    crate::ops::send::check_len(&req.sqe)?;
    let sqe = &req.sqe;
    if sqe.off != 0 || sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    check_ioprio(sqe.ioprio, IORING_RECVSEND_POLL_FIRST | IORING_RECV_MULTISHOT)?;
    check_multishot(req)?;
    let mut message = Message::read(&cx.ring.host, sqe.addr, false)?;
    if req.has(IOSQE_BUFFER_SELECT) {
        if message.iovecs.len() > 1 {
            return Err(Errno::EINVAL);
        }
        message.iovecs.truncate(1);
    }
    req.extra = Extra::Message(Box::new(message));
    Ok(())
}

pub(crate) fn recv<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if let Some(outcome) = poll_first(req, cx, IN) {
        return outcome;
    }
    loop {
        if req.has(IOSQE_BUFFER_SELECT)
            && req.buffer.is_none()
            && let Err(errno) = select(req, cx)
        {
            req.cqe_flags = 0;
            return without_buffer(req, cx, errno);
        }
        let outcome = if is_multishot(req) { recv_multishot(req, cx) } else { recv_once(req, cx) };
        match outcome {
            Outcome::Done(res) if res > 0 && is_multishot(req) => {
                if !more(req, cx, res) {
                    return outcome;
                }
            }
            Outcome::Wait(_) => {
                if req.done == 0 {
                    kbuf::put_back(cx.sub, req);
                }
                return outcome;
            }
            _ => return outcome,
        }
    }
}

fn select<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Result<()> {
    let Extra::Message(message) = &req.extra else { return Err(Errno::EINVAL) };
    let len = message.iovecs.first().map_or(0, |iovec| iovec.len);
    let whole = is_multishot(req) || len == 0;
    kbuf::select(cx.sub, &cx.ring.host, req, if whole { 0 } else { len as u32 })
}

fn recv_once<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let flags = u64::from(req.sqe.op_flags & !WAITALL | DONTWAIT);
    loop {
        let buffer = req.buffer;
        let Extra::Message(message) = &mut req.extra else {
            return Outcome::Done(Errno::EINVAL.as_result());
        };
        if let Some(buffer) = buffer {
            message.iovecs = vec![Iovec { base: buffer.addr, len: u64::from(buffer.len) }];
        }
        let wanted = message.wanted();
        let (mut header, iovecs) = message.call_header(req.done);
        let at = std::ptr::from_mut(&mut header) as u64;
        let result = cx.call(libc::SYS_recvmsg, [req.file.fd() as u64, at, flags, 0, 0, 0]);
        drop(iovecs);
        match result {
            Ok(n) => {
                write_back(&cx.ring.host, req.sqe.addr, &header);
                req.done += n;
                if req.done >= wanted || n == 0 || !goes_on(req, cx) {
                    if n > 0 && req.done >= wanted {
                        note_non_empty(req, cx);
                    }
                    return Outcome::Done(req.done as i32);
                }
            }
            Err(Errno::EAGAIN) => return blocked(req, IN),
            Err(_) if req.done > 0 => return Outcome::Done(req.done as i32),
            Err(errno) => return Outcome::Done(errno.as_result()),
        }
    }
}

/// Writes what a receive changes into the program's header.
fn write_back<H: Host>(host: &H, addr: u64, header: &Msghdr) {
    let at = |field: usize| addr + field as u64;
    // The header was readable in prep; if it is gone now, that is the program's own doing.
    let _ = plain::write(host, at(std::mem::offset_of!(Msghdr, namelen)), &header.namelen);
    let _ = plain::write(host, at(std::mem::offset_of!(Msghdr, controllen)), &header.controllen);
    let _ = plain::write(host, at(std::mem::offset_of!(Msghdr, flags)), &header.flags);
}

/// One message of a multishot: header, address, control data and payload in one buffer.
fn recv_multishot<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let Some(buffer) = req.buffer else { return Outcome::Done(Errno::ENOBUFS.as_result()) };
    let Extra::Message(message) = &req.extra else {
        return Outcome::Done(Errno::EINVAL.as_result());
    };
    let (name_room, control_room) = (u64::from(message.header.namelen), message.header.controllen);
    let head = size_of::<RecvmsgOut>() as u64;
    let Some(room) = u64::from(buffer.len)
        .checked_sub(head.saturating_add(name_room).saturating_add(control_room))
    else {
        return Outcome::Done(Errno::EFAULT.as_result());
    };
    let name_at = buffer.addr + head;
    let control_at = name_at + name_room;
    let iovec = Iovec { base: control_at + control_room, len: room };
    let mut header = Msghdr {
        name: if name_room > 0 { name_at } else { 0 },
        namelen: name_room as u32,
        iov: std::ptr::from_ref(&iovec) as u64,
        iovlen: 1,
        control: if control_room > 0 { control_at } else { 0 },
        controllen: control_room,
        ..Msghdr::default()
    };
    // MSG_TRUNC makes the call return the real size, which payloadlen reports.
    let flags = u64::from(req.sqe.op_flags | DONTWAIT);
    let at = std::ptr::from_mut(&mut header) as u64;
    let result = cx.call(libc::SYS_recvmsg, [req.file.fd() as u64, at, flags, 0, 0, 0]);
    match result {
        Ok(0) if req.file.fd() >= 0 && header.flags & libc::MSG_TRUNC as u32 == 0 && room > 0 => {
            finish_multishot(req, cx, &header, buffer.addr, 0, room)
        }
        Ok(n) => finish_multishot(req, cx, &header, buffer.addr, n, room),
        Err(Errno::EAGAIN) => blocked(req, IN),
        Err(errno) => Outcome::Done(errno.as_result()),
    }
}

fn finish_multishot<H: Host>(
    req: &Req<H>,
    cx: &Cx<'_, H>,
    header: &Msghdr,
    at: u64,
    n: u64,
    room: u64,
) -> Outcome {
    let Extra::Message(message) = &req.extra else {
        return Outcome::Done(Errno::EINVAL.as_result());
    };
    let out = RecvmsgOut {
        namelen: header.namelen,
        controllen: header.controllen as u32,
        payloadlen: n as u32,
        flags: header.flags & !(libc::MSG_CMSG_CLOEXEC as u32),
    };
    if let Err(errno) = plain::write(&cx.ring.host, at, &out) {
        return Outcome::Done(errno.as_result());
    }
    let head = size_of::<RecvmsgOut>() as u64
        + u64::from(message.header.namelen)
        + message.header.controllen;
    if n == 0 {
        return Outcome::Done(0);
    }
    Outcome::Done((head + n.min(room)) as i32)
}

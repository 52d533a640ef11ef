//! READ, WRITE, their vectored and their fixed forms.
//!
//! A read or write is tried with `RWF_NOWAIT`. What would block waits for readiness, if the file
//! knows readiness, or goes to a worker. Files that refuse `RWF_NOWAIT` are served inline until
//! it hurts ([`crate::patience`]). `O_DIRECT` always waits for the device, so it goes to workers.

use crate::issue::Cx;
use crate::kind::{Kind, Kinds, Name};
use crate::parked::{Key, Waits};
use crate::request::{Extra, FileRef, Outcome, Req, Request, result_of};
use crate::residence;
use crate::ring::Ring;
use crate::submit::{Prep, Submit};
use ringfence_abi::*;
use ringfence_host::kernel_aio::{self, Iocb};
use ringfence_host::sync::Ordering;
use ringfence_host::{Host, calls, plain};

/// Most bytes of one transfer, as the kernel has it.
pub(crate) const TRANSFER_MAX: u64 = 0x7fff_f000;

const RWF_NOWAIT: u32 = libc::RWF_NOWAIT as u32;
const RWF_HIPRI: u32 = libc::RWF_HIPRI as u32;
const RWF_KNOWN: u32 = 0x1ff;

/// `attr_type_mask`: protection information at `attr_ptr`.
const ATTR_PI: u64 = 1;

/// Most iovecs of one call.
const IOV_MAX: u32 = 1024;

/// The direction of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Read,
    Write,
}

impl Way {
    fn readiness(self) -> u32 {
        (if self == Way::Read { libc::EPOLLIN } else { libc::EPOLLOUT }) as u32
    }

    /// The call without flags and without a list of memory.
    fn plain(self, own_position: bool) -> i64 {
        match (self, own_position) {
            (Way::Read, false) => libc::SYS_pread64,
            (Way::Read, true) => libc::SYS_read,
            (Way::Write, false) => libc::SYS_pwrite64,
            (Way::Write, true) => libc::SYS_write,
        }
    }

    fn vectored(self) -> i64 {
        if self == Way::Read { libc::SYS_preadv2 } else { libc::SYS_pwritev2 }
    }
}

fn check_flags<H: Host>(req: &Req<H>) -> Result<()> {
    if req.sqe.op_flags & !RWF_KNOWN != 0 { Err(Errno::EOPNOTSUPP) } else { Ok(()) }
}

pub(crate) fn prep<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    check_priority(sqe.ioprio)?;
    match sqe.pad2 {
        0 => Ok(()),
        // Protection information: the structure must be there, but no file here takes it.
        ATTR_PI => cx.ring.host.copy_in(sqe.addr3, &mut [0; 32]).and(Err(Errno::EINVAL)),
        _ => Err(Errno::EINVAL),
    }
}

/// An I/O priority: a class in the upper bits, a level in the lower.
///
/// # Errors
/// `EINVAL` for a class that is not there, or a level without a class.
fn check_priority(ioprio: u16) -> Result<()> {
    match ioprio >> 13 {
        0 if ioprio & 7 != 0 => Err(Errno::EINVAL),
        0..=3 => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

pub(crate) fn prep_vectored<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    prep(req, cx)?;
    let count = req.sqe.len;
    if req.has(IOSQE_BUFFER_SELECT) {
        // One iovec only, whose length is that of the buffer.
        if count > 1 {
            return Err(Errno::EINVAL);
        }
        let iovec: Iovec = plain::read(&cx.ring.host, req.sqe.addr)?;
        req.extra = Extra::Number(iovec.len);
        return Ok(());
    }
    req.extra = Extra::Iovecs(read_iovecs(&cx.ring.host, req.sqe.addr, u64::from(count))?);
    Ok(())
}

/// Copies an iovec array.
///
/// # Errors
/// `EFAULT`, and `EINVAL` for more than 1024 or for lengths that overflow.
pub(crate) fn read_iovecs<H: Host>(host: &H, addr: u64, count: u64) -> Result<Vec<Iovec>> {
    if count > u64::from(IOV_MAX) {
        return Err(Errno::EINVAL);
    }
    let mut iovecs = Vec::with_capacity(count as usize);
    for index in 0..count {
        let iovec: Iovec = plain::read_at(host, addr, index)?;
        if (iovec.len as i64) < 0 {
            return Err(Errno::EINVAL);
        }
        iovecs.push(iovec);
    }
    Ok(iovecs)
}

pub(crate) fn prep_fixed<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    prep(req, cx)
}

/// The memory of a transfer, as iovecs left to do.
fn memory<H: Host>(req: &Request<H>) -> Vec<Iovec> {
    let mut iovecs = match &req.extra {
        Extra::Iovecs(iovecs) => iovecs.clone(),
        _ => vec![single(req)],
    };
    let mut skip = req.done;
    for iovec in &mut iovecs {
        let part = skip.min(iovec.len);
        iovec.base = iovec.base.wrapping_add(part);
        iovec.len -= part;
        skip -= part;
    }
    iovecs
}

fn single<H: Host>(req: &Request<H>) -> Iovec {
    match req.buffer {
        Some(buffer) => Iovec { base: buffer.addr, len: u64::from(buffer.len) },
        None => Iovec { base: req.sqe.addr, len: u64::from(req.sqe.len) },
    }
}

/// Bytes asked for.
fn wanted<H: Host>(req: &Request<H>) -> u64 {
    match &req.extra {
        Extra::Iovecs(iovecs) => {
            iovecs.iter().fold(0u64, |sum, iovec| sum.saturating_add(iovec.len)).min(TRANSFER_MAX)
        }
        _ => single(req).len.min(TRANSFER_MAX),
    }
}

/// A short transfer breaks a link.
pub(crate) fn is_short<H: Host>(req: &Request<H>, res: i32) -> bool {
    (res as u64) < wanted(req)
}

/// The offset to use: -1 for the file's own position.
fn offset<H: Host>(req: &Request<H>, stream: bool) -> u64 {
    if stream || req.sqe.off == u64::MAX { u64::MAX } else { req.sqe.off.wrapping_add(req.done) }
}

/// One call. `flags` are `RWF_*`. It stands in its caller, with few frames around it: the kernel's own
/// calls wash out of the processor where to return to, so that each return after one is guessed wrong.
#[inline(always)]
fn transfer<H: Host>(
    req: &Request<H>,
    host: &H,
    way: Way,
    flags: u32,
    stream: bool,
) -> Result<u64> {
    let fd = req.file.fd() as u64;
    let at = offset(req, stream);
    let plain_memory = !matches!(req.extra, Extra::Iovecs(_)) && req.done == 0;
    if plain_memory {
        let iovec = single(req);
        if flags == 0 {
            // No list of memory to be copied: some 40 ns less.
            let number = way.plain(at == u64::MAX);
            return host.syscall(number, [fd, iovec.base, iovec.len, at, 0, 0]);
        }
        return call(host, way, fd, std::slice::from_ref(&iovec), at, flags);
    }
    transfer_list(req, host, way, at, flags)
}

/// A transfer of many pieces, or what is left of one.
#[inline(never)]
fn transfer_list<H: Host>(
    req: &Request<H>,
    host: &H,
    way: Way,
    at: u64,
    flags: u32,
) -> Result<u64> {
    call(host, way, req.file.fd() as u64, &memory(req), at, flags)
}

#[inline(always)]
fn call<H: Host>(
    host: &H,
    way: Way,
    fd: u64,
    iovecs: &[Iovec],
    at: u64,
    flags: u32,
) -> Result<u64> {
    let (list, count) = (iovecs.as_ptr() as u64, iovecs.len() as u64);
    if flags == 0 && at == u64::MAX {
        let number = if way == Way::Read { libc::SYS_readv } else { libc::SYS_writev };
        return host.syscall(number, [fd, list, count, 0, 0, 0]);
    }
    host.syscall(way.vectored(), [fd, list, count, at, 0, u64::from(flags)])
}

pub(crate) fn read<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if is_fixed(req)
        && let Err(errno) = check_fixed(req, cx)
    {
        return Outcome::Done(errno.as_result());
    }
    if req.has(IOSQE_BUFFER_SELECT) && req.buffer.is_none() {
        let len = if let Extra::Number(len) = req.extra { len as u32 } else { req.sqe.len };
        if let Err(errno) = crate::kbuf::select(cx.sub, &cx.ring.host, req, len) {
            return Outcome::Done(errno.as_result());
        }
    }
    let outcome = rw(req, cx, Way::Read);
    if matches!(outcome, Outcome::Wait(_) | Outcome::WaitUntried(_)) {
        crate::kbuf::put_back(cx.sub, req);
    }
    outcome
}

pub(crate) fn write<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if is_fixed(req)
        && let Err(errno) = check_fixed(req, cx)
    {
        return Outcome::Done(errno.as_result());
    }
    rw(req, cx, Way::Write)
}

/// Whether it reads into, or writes from, a registered buffer.
fn is_fixed<H: Host>(req: &Req<H>) -> bool {
    const FIXED: [u8; 4] =
        [Op::ReadFixed as u8, Op::WriteFixed as u8, Op::ReadvFixed as u8, Op::WritevFixed as u8];
    FIXED.contains(&req.sqe.opcode)
}

/// Looks the buffer up at the first try, and keeps it whatever becomes of its slot.
fn check_fixed<H: Host>(req: &mut Req<H>, cx: &Cx<'_, H>) -> Result<()> {
    if req.polled {
        return Ok(());
    }
    let buffer = cx.sub.registered.buffers.get(req.sqe.buf_index)?;
    match &req.extra {
        Extra::Iovecs(iovecs) => {
            iovecs.iter().try_for_each(|iovec| buffer.check(iovec.base, iovec.len))?;
        }
        _ => buffer.check(req.sqe.addr, u64::from(req.sqe.len))?,
    }
    req.held = buffer.tag;
    Ok(())
}

#[inline(always)]
fn rw<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>, way: Way) -> Outcome {
    if let Err(errno) = check_flags(req) {
        return Outcome::Done(errno.as_result());
    }
    if req.sqe.op_flags & RWF_HIPRI != 0 && !cx.ring.has(IORING_SETUP_IOPOLL) {
        return Outcome::Done(Errno::EINVAL.as_result());
    }
    let name = req.file.name();
    let trusted = cx.ring.shared.trusts_closes.load(Ordering::Relaxed)
        || matches!(req.file, FileRef::Owned(_));
    let position = req.sqe.off != u64::MAX;
    let kind = match cx.sub.kinds.get(&cx.ring.host, name, trusted, position) {
        Ok(kind) => kind,
        Err(errno) => return Outcome::Done(errno.as_result()),
    };
    if cx.ring.has(IORING_SETUP_IOPOLL) && !kind.direct {
        return Outcome::Done(Errno::EOPNOTSUPP.as_result());
    }
    if kind.regular && req.buffer.is_some() {
        // A file that never waits uses its buffer up at once, as far as it was asked to.
        crate::kbuf::commit(cx.sub, req);
    }
    if kind.direct {
        return if req.sqe.op_flags & RWF_NOWAIT != 0 {
            try_once(req, cx, way, kind)
        } else if suits_device(req, way, kind) && cx.sub.direct.has_room() {
            Outcome::Device
        } else {
            Outcome::Work
        };
    }
    if req.force_async && kind.regular && !req.polled {
        return Outcome::WorkUntried;
    }
    if kind.instant {
        return done_so_far(req, transfer(req, &cx.ring.host, way, req.sqe.op_flags, kind.stream));
    }
    if kind.no_nowait[way as usize] {
        return without_nowait(req, cx, way, kind);
    }
    if cx.sub.reads_plainly && trusted && position && suits_memory(req, way, kind) {
        return Outcome::Resident;
    }
    let result = transfer(req, &cx.ring.host, way, req.sqe.op_flags | RWF_NOWAIT, kind.stream);
    tried(req, cx, way, kind, result)
}

/// Whether a transfer is a short read of a file, to be made plainly where pages are in memory.
fn suits_memory<H: Host>(req: &Req<H>, way: Way, kind: Kind) -> bool {
    let plain = matches!(req.extra, Extra::None) && req.buffer.is_none() && req.sqe.op_flags == 0;
    let first = !req.polled && req.credentials.is_none();
    way == Way::Read && kind.regular && plain && first && req.sqe.len <= residence::LEN_MAX
}

/// Tries without blocking.
fn try_once<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>, way: Way, kind: Kind) -> Outcome {
    let result = transfer(req, &cx.ring.host, way, req.sqe.op_flags | RWF_NOWAIT, kind.stream);
    tried(req, cx, way, kind, result)
}

/// What a try without blocking came to.
fn tried<H: Host>(
    req: &mut Req<H>,
    cx: &mut Cx<'_, H>,
    way: Way,
    kind: Kind,
    result: Result<u64>,
) -> Outcome {
    let no_wait = req.sqe.op_flags & RWF_NOWAIT != 0;
    match result {
        Ok(n) => {
            if way == Way::Read && kind.regular {
                cx.sub.residence.hit();
            }
            moved(req, cx, way, kind, n)
        }
        Err(Errno::EAGAIN) if no_wait => done_so_far(req, Err(Errno::EAGAIN)),
        Err(Errno::EAGAIN) if kind.regular => {
            cx.sub.residence.miss();
            Outcome::Work
        }
        Err(Errno::EAGAIN) => Outcome::Wait(way.readiness()),
        Err(Errno::EOPNOTSUPP) if no_wait => done_so_far(req, Err(Errno::EOPNOTSUPP)),
        Err(Errno::EOPNOTSUPP) => {
            // What follows may block, so the kind must be certain.
            let mut kind = match cx.sub.kinds.ask(&cx.ring.host, req.file.name()) {
                Ok(kind) => kind,
                Err(errno) => return done_so_far(req, Err(errno)),
            };
            kind.no_nowait[way as usize] = true;
            cx.sub.kinds.learn(req.file.name(), kind);
            without_nowait(req, cx, way, kind)
        }
        Err(Errno::ESPIPE) if kind.regular => {
            // Regular files have positions: the number names another file now.
            match cx.sub.kinds.ask(&cx.ring.host, req.file.name()) {
                Ok(kind) if kind.regular => done_so_far(req, Err(Errno::ESPIPE)),
                Ok(kind) => try_once(req, cx, way, kind),
                Err(errno) => done_so_far(req, Err(errno)),
            }
        }
        Err(Errno::ESPIPE) if !kind.stream => {
            // Character devices and the like without positions.
            let kind = Kind { stream: true, ..kind };
            cx.sub.kinds.learn(req.file.name(), kind);
            try_once(req, cx, way, kind)
        }
        Err(errno) => done_so_far(req, Err(errno)),
    }
}

/// A file that refuses `RWF_NOWAIT`.
fn without_nowait<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>, way: Way, kind: Kind) -> Outcome {
    if kind.regular {
        if cx.ring.layout.io_events > 0 && !calls::is_in_memory(&cx.ring.host, req.file.fd()) {
            // AIO promises that a submission never waits for a disk.
            return Outcome::Work;
        }
        return cx.sub.blocking(way as usize);
    }
    match calls::poll_now(&cx.ring.host, req.file.fd(), way.readiness()) {
        Ok(0) => Outcome::Wait(way.readiness()),
        Ok(_) => Outcome::Done(result_of(transfer(
            req,
            &cx.ring.host,
            way,
            req.sqe.op_flags,
            kind.stream,
        ))),
        Err(errno) => Outcome::Done(errno.as_result()),
    }
}

/// A transfer moved `n` bytes: that is all for streams; regular files go on to the end.
fn moved<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>, way: Way, kind: Kind, n: u64) -> Outcome {
    req.done += n;
    if !kind.regular || n == 0 || req.done >= wanted(req) {
        return done_so_far(req, Ok(0));
    }
    if kind.no_nowait[way as usize] {
        without_nowait(req, cx, way, kind)
    } else {
        try_once(req, cx, way, kind)
    }
}

/// What a transfer ends with: the bytes moved if there are any, else the error.
fn done_so_far<H: Host>(req: &Req<H>, result: Result<u64>) -> Outcome {
    if req.done > 0 { Outcome::Done(req.done as i32) } else { Outcome::Done(result_of(result)) }
}

/// Whether kernel AIO can do a transfer: at a position, and with flags that it knows.
fn suits_device<H: Host>(req: &Req<H>, way: Way, kind: Kind) -> bool {
    const FLAGS: u32 = (libc::RWF_DSYNC | libc::RWF_SYNC | libc::RWF_HIPRI) as u32;
    !req.force_async
        && !req.polled
        && !kind.no_nowait[way as usize]
        && req.sqe.off != u64::MAX
        && req.sqe.op_flags & !FLAGS == 0
}

/// The direction of a request.
fn way_of<H: Host>(req: &Request<H>) -> Way {
    let writes = [Op::Write, Op::Writev, Op::WriteFixed].map(|op| op as u8);
    if writes.contains(&req.sqe.opcode) { Way::Write } else { Way::Read }
}

/// What the kernel's AIO is to do for a request.
pub(crate) fn iocb<H: Host>(req: &Request<H>) -> Iocb {
    let writes = way_of(req) == Way::Write;
    let (opcode, buf, nbytes) = match &req.extra {
        Extra::Iovecs(iovecs) => {
            let opcode = if writes { kernel_aio::PWRITEV } else { kernel_aio::PREADV };
            (opcode, iovecs.as_ptr() as u64, iovecs.len() as u64)
        }
        _ => {
            let memory = single(req);
            let opcode = if writes { kernel_aio::PWRITE } else { kernel_aio::PREAD };
            (opcode, memory.base, memory.len.min(TRANSFER_MAX))
        }
    };
    Iocb {
        opcode,
        buf,
        nbytes,
        fd: req.file.fd() as u32,
        offset: req.sqe.off,
        rw_flags: req.sqe.op_flags & !RWF_HIPRI | RWF_NOWAIT,
        ..Iocb::default()
    }
}

/// Whether the kernel's AIO leaves something of a transfer to be done, after this result.
pub(crate) fn wants_worker<H: Host>(sub: &mut Submit<H>, key: Key, res: i32) -> bool {
    let Some(Waits::Device { req }) = sub.parked.get_mut(key).map(|entry| &mut entry.waits) else {
        return false;
    };
    if res > 0 {
        // Mostly the end of the file.
        req.done = res as u64;
        return req.done < wanted(req);
    }
    if res == Errno::EOPNOTSUPP.as_result() {
        sub.kinds.refuses_nowait(req.file.name(), way_of(req) as usize);
        return true;
    }
    res == Errno::EAGAIN.as_result()
}

fn work<H: Host>(req: &mut Req<H>, host: &H, way: Way) -> i32 {
    loop {
        let mut result = transfer(req, host, way, req.sqe.op_flags, false);
        if result == Err(Errno::ESPIPE) {
            result = transfer(req, host, way, req.sqe.op_flags, true);
        }
        match result {
            Ok(0) => return req.done as i32,
            Ok(n) => {
                req.done += n;
                if req.done >= wanted(req) {
                    return req.done as i32;
                }
            }
            Err(Errno::EINTR) => {}
            Err(_) if req.done > 0 => return req.done as i32,
            Err(errno) => return errno.as_result(),
        }
    }
}

/// Whether a read may be made plainly as it stands in its entry, without a request being made of it.
#[inline]
pub(crate) fn suits_memory_as_entry<H: Host>(ring: &Ring<H>, kinds: &mut Kinds, sqe: &Sqe) -> bool {
    let extras = u32::from(sqe.ioprio) | u32::from(sqe.personality) | sqe.op_flags;
    let plain = sqe.opcode == Op::Read as u8 && sqe.flags == 0 && extras == 0 && sqe.pad2 == 0;
    let at_position = sqe.off != u64::MAX && sqe.len <= residence::LEN_MAX && sqe.fd >= 0;
    let trusted = ring.shared.trusts_closes.load(Ordering::Relaxed);
    plain
        && at_position
        && trusted
        && !ring.has(IORING_SETUP_IOPOLL)
        && kinds
            .get(&ring.host, Name::of_program(sqe.fd), true, true)
            .is_ok_and(Kind::may_be_resident)
}

/// One `pread`; the call stands in its caller, as in [`transfer`].
#[inline(always)]
pub(crate) fn pread<H: Host>(host: &H, fd: i32, sqe: &Sqe) -> Result<u64> {
    let args = [fd as u64, sqe.addr, u64::from(sqe.len), sqe.off, 0, 0];
    host.syscall(libc::SYS_pread64, args)
}

/// A read for which [`suits_memory`] holds.
#[inline(always)]
pub(crate) fn read_plainly<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    match pread(host, req.file.fd(), &req.sqe) {
        Ok(n) if n == u64::from(req.sqe.len) => n as i32,
        result => go_on_plainly(req, host, result),
    }
}

/// After a read that came short, or failed.
#[cold]
fn go_on_plainly<H: Host>(req: &mut Req<H>, host: &H, result: Result<u64>) -> i32 {
    match result {
        Ok(0) | Err(_) if result != Err(Errno::EINTR) => result_of(result),
        _ => {
            req.done = result.unwrap_or(0);
            work(req, host, Way::Read)
        }
    }
}

pub(crate) fn work_read<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    work(req, host, Way::Read)
}

pub(crate) fn work_write<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    work(req, host, Way::Write)
}

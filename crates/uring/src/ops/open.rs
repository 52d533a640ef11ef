//! OPENAT and OPENAT2, into a descriptor or a slot of the registered files.
//!
//! An open that needs no disk is made inline: from cached directory entries, and without the wait
//! that a FIFO would ask for, as the kernel does. What creates, truncates or misses the cache
//! goes to a worker.

use crate::issue::Cx;
use crate::ops::copies::{Copies, read_path};
use crate::request::{Extra, Outcome, OwnedFile, Req, result_of};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::{Host, plain};

const O_NONBLOCK: u64 = libc::O_NONBLOCK as u64;
const O_CLOEXEC: u64 = libc::O_CLOEXEC as u64;
/// Opens that may have to wait whatever is cached.
const SLOW: u64 = (libc::O_TRUNC | libc::O_CREAT | libc::O_TMPFILE & !libc::O_DIRECTORY) as u64;
const RESOLVE_CACHED: u64 = 0x20;

pub(crate) fn prep_openat<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    let flags = u64::from(req.sqe.op_flags);
    let creates = flags & (libc::O_CREAT as u64 | libc::O_TMPFILE as u64 & !0o200000) != 0;
    let mode = if creates { u64::from(req.sqe.len) & 0o7777 } else { 0 };
    prep(req, cx, OpenHow { flags, mode, resolve: 0 })
}

pub(crate) fn prep_openat2<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    if u64::from(req.sqe.len) < size_of::<OpenHow>() as u64 {
        return Err(Errno::EINVAL);
    }
    let how: OpenHow = plain::read(&cx.ring.host, req.sqe.off)?;
    prep(req, cx, how)
}

fn prep<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>, how: OpenHow) -> Result<()> {
    if req.sqe.buf_index != 0 {
        return Err(Errno::EINVAL);
    }
    if req.has(IOSQE_FIXED_FILE) {
        return Err(Errno::EBADF);
    }
    // Descriptors in slots have no close-on-exec.
    if req.sqe.file_index != 0 && how.flags & O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    let path = read_path(&cx.ring.host, req.sqe.addr)?;
    req.extra =
        Extra::Copies(Box::new(Copies { paths: [path, Vec::new()], how, ..Copies::default() }));
    Ok(())
}

fn open<H: Host>(
    req: &Req<H>,
    how: &OpenHow,
    call: impl Fn(i64, [u64; 6]) -> Result<u64>,
) -> Result<u64> {
    let Extra::Copies(copies) = &req.extra else { return Err(Errno::EINVAL) };
    let path = copies.paths[0].as_ptr() as u64;
    let at = std::ptr::from_ref(how) as u64;
    let dir = req.sqe.fd as i64 as u64;
    if req.sqe.opcode == Op::Openat as u8 && how.resolve == 0 {
        // openat ignores flags that openat2 refuses.
        return call(libc::SYS_openat, [dir, path, how.flags, how.mode, 0, 0]);
    }
    call(libc::SYS_openat2, [dir, path, at, size_of::<OpenHow>() as u64, 0, 0])
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let Extra::Copies(copies) = &req.extra else { return Outcome::Done(Errno::EINVAL.as_result()) };
    let mut how = copies.how;
    if how.flags & SLOW != 0 || how.resolve & RESOLVE_CACHED != 0 {
        return if how.resolve & RESOLVE_CACHED != 0 {
            let result = open(req, &how, |number, args| cx.call(number, args));
            done(req, result_of(result), cx)
        } else {
            Outcome::WorkUntried
        };
    }
    let asked = how.flags;
    how.flags |= O_NONBLOCK;
    how.resolve |= RESOLVE_CACHED;
    match open(req, &how, |number, args| cx.call(number, args)) {
        Ok(fd) => {
            let is_path = asked & libc::O_PATH as u64 != 0;
            if asked & O_NONBLOCK == 0 && !is_path {
                let set = [fd, libc::F_SETFL as u64, asked & !O_NONBLOCK, 0, 0, 0];
                let _ = cx.call(libc::SYS_fcntl, set);
            }
            done(req, fd as i32, cx)
        }
        // EINVAL: flags that openat takes and openat2 does not; the plain call decides.
        Err(_) => Outcome::Work,
    }
}

/// What an open that was interrupted yields: the kernel's own ERESTARTSYS, which no system call shows.
const INTERRUPTED: i32 = -512;

pub(crate) fn work<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    let Extra::Copies(copies) = &req.extra else { return Errno::EINVAL.as_result() };
    match open(req, &copies.how, |number, args| host.interruptible(number, args)) {
        Err(Errno::EINTR) => INTERRUPTED,
        result => result_of(result),
    }
}

/// Puts an opened file where it belongs.
pub(crate) fn done<H: Host>(req: &mut Req<H>, res: i32, cx: &mut Cx<'_, H>) -> Outcome {
    if res < 0 {
        return Outcome::Done(res);
    }
    Outcome::Done(install(req.sqe.file_index, res, cx))
}

/// Puts a new descriptor into the slot that `file_index` asks for, or tells of a plain one; the
/// result for the completion.
pub(crate) fn install<H: Host>(file_index: u32, fd: i32, cx: &mut Cx<'_, H>) -> i32 {
    if file_index == 0 {
        cx.ring.shared.fd_opened(cx.sub, fd);
        return fd;
    }
    let file = OwnedFile::adopt(&cx.ring.host, fd);
    let installed = cx.sub.registered.install(file_index, file, &mut cx.sub.batch);
    match installed {
        Ok(res) => res as i32,
        Err(errno) => errno.as_result(),
    }
}

//! SPLICE and TEE.

use crate::issue::Cx;
use crate::ops::net::{IN, OUT};
use crate::request::{FileRef, Outcome, Req, Request};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::{Host, calls};

const KNOWN: u32 = 0xf | SPLICE_F_FD_IN_FIXED;
const NONBLOCK: u32 = 0x2;

pub(crate) fn is_short<H: Host>(req: &Request<H>, res: i32) -> bool {
    (res as u32) != req.sqe.len
}

pub(crate) fn prep<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    if req.sqe.op_flags & !KNOWN != 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

pub(crate) fn prep_tee<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    // splice_off_in stands in addr.
    if req.sqe.addr != 0 || req.sqe.off != 0 {
        return Err(Errno::EINVAL);
    }
    prep(req, cx)
}

/// The input's file.
fn input<H: Host>(req: &Req<H>, cx: &Cx<'_, H>) -> Result<FileRef<H>> {
    let fd = req.sqe.file_index as i32;
    if req.sqe.op_flags & SPLICE_F_FD_IN_FIXED != 0 {
        return Ok(FileRef::Owned(cx.sub.registered.files.get(fd as u32)?));
    }
    if fd < 0 { Err(Errno::EBADF) } else { Ok(FileRef::Plain(fd)) }
}

pub(crate) fn splice<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let (off_in, off_out) = ([req.sqe.addr; 1], [req.sqe.off; 1]);
    let at = |offset: &[u64; 1]| if offset[0] == u64::MAX { 0 } else { offset.as_ptr() as u64 };
    let (at_in, at_out) = (at(&off_in), at(&off_out));
    transfer(req, cx, |cx, input, output, len, flags| {
        cx.call(libc::SYS_splice, [input, at_in, output, at_out, len, flags])
    })
}

pub(crate) fn tee<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    transfer(req, cx, |cx, input, output, len, flags| {
        cx.call(libc::SYS_tee, [input, output, len, flags, 0, 0])
    })
}

/// Tries without blocking; what would block waits for the side that is not ready.
fn transfer<H: Host>(
    req: &mut Req<H>,
    cx: &mut Cx<'_, H>,
    call: impl Fn(&Cx<'_, H>, u64, u64, u64, u64) -> Result<u64>,
) -> Outcome {
    let (output, input) = match (output(req, cx), input(req, cx)) {
        (Ok(output), Ok(input)) => (output, input),
        (Err(errno), _) | (_, Err(errno)) => return Outcome::Done(errno.as_result()),
    };
    if req.sqe.len == 0 {
        return Outcome::Done(0);
    }
    let flags = u64::from(req.sqe.op_flags & !SPLICE_F_FD_IN_FIXED | NONBLOCK);
    let (from, to) = (input.fd(), output.fd());
    match call(cx, from as u64, to as u64, u64::from(req.sqe.len), flags) {
        Err(Errno::EAGAIN) if req.sqe.op_flags & NONBLOCK == 0 => {
            let input_ready = calls::poll_now(&cx.ring.host, from, IN).unwrap_or(IN);
            let wait_input = input_ready == 0;
            req.file = if wait_input { input } else { output };
            Outcome::WaitUntried(if wait_input { IN } else { OUT })
        }
        // The kernel's operation looks at how the files are open before it looks at offsets.
        Err(Errno::ESPIPE) if !(is_open_for(cx, from, READS) && is_open_for(cx, to, WRITES)) => {
            Outcome::Done(Errno::EBADF.as_result())
        }
        result => Outcome::of(result),
    }
}

const READS: [i32; 2] = [libc::O_RDONLY, libc::O_RDWR];
const WRITES: [i32; 2] = [libc::O_WRONLY, libc::O_RDWR];

/// Whether a descriptor is open in one of these modes.
fn is_open_for<H: Host>(cx: &Cx<'_, H>, fd: i32, modes: [i32; 2]) -> bool {
    let flags = cx.call(libc::SYS_fcntl, [fd as u64, libc::F_GETFL as u64, 0, 0, 0, 0]);
    flags.is_ok_and(|flags| modes.contains(&(flags as i32 & libc::O_ACCMODE)))
}

/// The output's file, looked up again since a wait may have put the input in its place.
fn output<H: Host>(req: &Req<H>, cx: &Cx<'_, H>) -> Result<FileRef<H>> {
    if req.has(IOSQE_FIXED_FILE) {
        return Ok(FileRef::Owned(cx.sub.registered.files.get(req.sqe.fd as u32)?));
    }
    Ok(FileRef::Plain(req.sqe.fd))
}

//! STATX, RENAMEAT, UNLINKAT, MKDIRAT, SYMLINKAT, LINKAT.

use crate::issue::Cx;
use crate::ops::copies::{Copies, read_path};
use crate::request::{Extra, Outcome, Req, result_of};
use crate::submit::{PATIENCE_META, Prep};
use ringfence_abi::*;
use ringfence_host::Host;

/// They change directories and may wait for the disk: workers make them, as in the kernel.
pub(crate) fn issue<H: Host>(_: &mut Req<H>, _: &mut Cx<'_, H>) -> Outcome {
    Outcome::WorkUntried
}

/// Copies one or two paths; a registered file makes no sense here.
fn copy_paths<H: Host>(
    req: &mut Req<H>,
    cx: &Prep<'_, H>,
    first: u64,
    second: Option<u64>,
) -> Result<()> {
    if req.has(IOSQE_FIXED_FILE) {
        return Err(Errno::EBADF);
    }
    let mut copies = Copies::default();
    copies.paths[0] = read_path(&cx.ring.host, first)?;
    if let Some(second) = second {
        copies.paths[1] = read_path(&cx.ring.host, second)?;
    }
    req.extra = Extra::Copies(Box::new(copies));
    Ok(())
}

/// The address of a copied path.
fn path<H: Host>(req: &Req<H>, index: usize) -> u64 {
    match &req.extra {
        Extra::Copies(copies) => copies.paths[index].as_ptr() as u64,
        _ => 0,
    }
}

fn dir(fd: i32) -> u64 {
    fd as i64 as u64
}

pub(crate) fn prep_statx<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    if req.sqe.buf_index != 0 || req.sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    let path = req.sqe.addr;
    if path == 0 && !req.has(IOSQE_FIXED_FILE) {
        // A null path with AT_EMPTY_PATH stands for the descriptor itself.
        let empty = req.sqe.op_flags & libc::AT_EMPTY_PATH as u32 != 0;
        req.extra = Extra::None;
        return if empty { Ok(()) } else { Err(Errno::EFAULT) };
    }
    // What is tried before the submission returns needs no copy, but a bad address is refused here.
    if cx.at_once && !req.has(IOSQE_FIXED_FILE) {
        return cx.ring.host.copy_in(path, &mut [0]);
    }
    copy_paths(req, cx, path, None)
}

/// Nearly always served from memory: inline until it hurts.
pub(crate) fn issue_statx<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if !req.force_async && cx.sub.blocking(PATIENCE_META) == Outcome::Here(PATIENCE_META) {
        return Outcome::Here(PATIENCE_META);
    }
    match keep_path(req, &cx.ring.host) {
        Ok(()) => Outcome::WorkUntried,
        Err(errno) => Outcome::Done(errno.as_result()),
    }
}

/// Copies the path for a worker, if prep did not.
///
/// # Errors
/// `EFAULT`.
pub(crate) fn keep_path<H: Host>(req: &mut Req<H>, host: &H) -> Result<()> {
    if matches!(req.extra, Extra::None) && req.sqe.addr != 0 {
        let path = read_path(host, req.sqe.addr)?;
        let copies = Copies { paths: [path, Vec::new()], ..Copies::default() };
        req.extra = Extra::Copies(Box::new(copies));
    }
    Ok(())
}

/// The path to call with: the copy, or the program's own while its submission lasts.
fn statx_path<H: Host>(req: &Req<H>) -> u64 {
    if matches!(req.extra, Extra::Copies(_)) { path(req, 0) } else { req.sqe.addr }
}

pub(crate) fn statx<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    let sqe = &req.sqe;
    let args =
        [dir(sqe.fd), statx_path(req), u64::from(sqe.op_flags), u64::from(sqe.len), sqe.off, 0];
    result_of(host.syscall(libc::SYS_statx, args))
}

pub(crate) fn prep_renameat<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    if req.sqe.buf_index != 0 || req.sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    let (old, new) = (req.sqe.addr, req.sqe.off);
    copy_paths(req, cx, old, Some(new))
}

pub(crate) fn renameat<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    let sqe = &req.sqe;
    let (from, to) = (dir(sqe.fd), dir(sqe.len as i32));
    let args = [from, path(req, 0), to, path(req, 1), u64::from(sqe.op_flags), 0];
    result_of(host.syscall(libc::SYS_renameat2, args))
}

pub(crate) fn prep_unlinkat<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.off != 0 || sqe.len != 0 || sqe.buf_index != 0 || sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    if sqe.op_flags & !(libc::AT_REMOVEDIR as u32) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = sqe.addr;
    copy_paths(req, cx, path, None)
}

pub(crate) fn unlinkat<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    let args = [dir(req.sqe.fd), path(req, 0), u64::from(req.sqe.op_flags), 0, 0, 0];
    result_of(host.syscall(libc::SYS_unlinkat, args))
}

pub(crate) fn prep_mkdirat<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.off != 0 || sqe.op_flags != 0 || sqe.buf_index != 0 || sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    let path = sqe.addr;
    copy_paths(req, cx, path, None)
}

pub(crate) fn mkdirat<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    let args = [dir(req.sqe.fd), path(req, 0), u64::from(req.sqe.len), 0, 0, 0];
    result_of(host.syscall(libc::SYS_mkdirat, args))
}

pub(crate) fn prep_symlinkat<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    if sqe.len != 0 || sqe.op_flags != 0 || sqe.buf_index != 0 || sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    let (target, link) = (sqe.addr, sqe.off);
    copy_paths(req, cx, target, Some(link))
}

pub(crate) fn symlinkat<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    let args = [path(req, 0), dir(req.sqe.fd), path(req, 1), 0, 0, 0];
    result_of(host.syscall(libc::SYS_symlinkat, args))
}

pub(crate) fn prep_linkat<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    if req.sqe.buf_index != 0 || req.sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    let (old, new) = (req.sqe.addr, req.sqe.off);
    copy_paths(req, cx, old, Some(new))
}

pub(crate) fn linkat<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    let sqe = &req.sqe;
    let (from, to) = (dir(sqe.fd), dir(sqe.len as i32));
    let args = [from, path(req, 0), to, path(req, 1), u64::from(sqe.op_flags), 0];
    result_of(host.syscall(libc::SYS_linkat, args))
}

//! WAITID: one child by its pidfd, whose readiness tells of its end; several children, and what
//! else can happen to one, by a thread that only looks.

use crate::blocked::Wait;
use crate::issue::Cx;
use crate::request::{Extra, FileRef, Outcome, OwnedFile, Req, result_of};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::Host;
use ringfence_host::sync::Arc;

const WNOHANG: u32 = libc::WNOHANG as u32;
const WNOWAIT: u32 = libc::WNOWAIT as u32;
/// Events of which a pidfd does not tell, and children that it cannot name.
const NOT_BY_PIDFD: u32 =
    (libc::WSTOPPED | libc::WCONTINUED | libc::__WCLONE | libc::__WALL) as u32;
/// Children of the calling thread only: not for a thread that looks for another.
const WNOTHREAD: u32 = libc::__WNOTHREAD as u32;

/// The first words of a `siginfo_t`: signal, errno, code, padding, process, user, status.
type Info = [u32; 32];

/// Which children, and what of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child {
    which: u32,
    id: i32,
    options: u32,
}

impl Child {
    /// `waitid(2)`: what happened, of which the first word is 0 for nothing.
    fn wait<H: Host>(self, host: &H, options: u32) -> Result<Info> {
        let mut info: Info = [0; 32];
        let at = info.as_mut_ptr() as u64;
        let args = [u64::from(self.which), self.id as u64, at, u64::from(options), 0, 0];
        host.syscall(libc::SYS_waitid, args)?;
        Ok(info)
    }

    /// Blocks until there is something to take, and leaves it there.
    pub(crate) fn block<H: Host>(&self, host: &H) -> Option<i32> {
        loop {
            let result = self.wait(host, self.options & !(WNOHANG | WNOTHREAD) | WNOWAIT);
            if !matches!(result, Err(Errno::EINTR)) {
                // Whatever it is, the request itself finds out.
                return Some(0);
            }
        }
    }
}

fn child<H: Host>(req: &Req<H>) -> Child {
    Child { which: req.sqe.len, id: req.sqe.fd, options: req.sqe.file_index }
}

pub(crate) fn prep<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    let unused = sqe.addr != 0 || sqe.buf_index != 0 || sqe.addr3 != 0 || sqe.op_flags != 0;
    if unused { Err(Errno::EINVAL) } else { Ok(()) }
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let child = child(req);
    let host = &cx.ring.host;
    match child.wait(host, child.options | WNOHANG) {
        Ok(info) if info[0] != 0 || child.options & WNOHANG != 0 => {
            Outcome::Done(tell(req, host, &info, Ok(0)))
        }
        Ok(_) => park(req, host, child),
        Err(Errno::ECHILD) => Outcome::Done(tell(req, host, &[0; 32], Err(Errno::ECHILD))),
        Err(errno) => Outcome::Done(errno.as_result()),
    }
}

/// Writes what happened where the program wants it; the result.
fn tell<H: Host>(req: &Req<H>, host: &H, info: &Info, result: Result<u64>) -> i32 {
    let at = req.sqe.off;
    if at == 0 {
        return result_of(result);
    }
    // All but the padding.
    for part in [0..3, 4..7] {
        let start = part.start as u64 * 4;
        let bytes: Vec<u8> = info[part].iter().flat_map(|word| word.to_ne_bytes()).collect();
        if let Err(errno) = host.copy_out(at.wrapping_add(start), &bytes) {
            return errno.as_result();
        }
    }
    result_of(result)
}

fn park<H: Host>(req: &mut Req<H>, host: &H, child: Child) -> Outcome {
    if req.file.fd() >= 0 {
        return Outcome::Wait(libc::EPOLLIN as u32);
    }
    match pidfd(host, child) {
        Some(file) => {
            req.file = FileRef::Owned(file);
            Outcome::WaitUntried(libc::EPOLLIN as u32)
        }
        None => {
            req.extra = Extra::Wait(Arc::new(Wait::Child(child)));
            Outcome::Block
        }
    }
}

/// A descriptor that becomes readable at the child's end, if one can.
fn pidfd<H: Host>(host: &H, child: Child) -> Option<Arc<OwnedFile<H>>> {
    if child.options & NOT_BY_PIDFD != 0 {
        return None;
    }
    match child.which {
        libc::P_PID => {
            let args = [child.id as u64, 0, 0, 0, 0, 0];
            let fd = host.syscall(libc::SYS_pidfd_open, args).ok()?;
            Some(OwnedFile::adopt(host, fd as i32))
        }
        libc::P_PIDFD => OwnedFile::dup(host, child.id).ok(),
        _ => None,
    }
}

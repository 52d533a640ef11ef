//! SETXATTR, FSETXATTR, GETXATTR, FGETXATTR: they may wait for the disk, so workers make them.

use crate::ops::copies::{Copies, read_path};
use crate::request::{Extra, Req, result_of};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::Host;

/// Longest name of an attribute without its NUL, and longest value, bytes.
const NAME_MAX: usize = 255;
const VALUE_MAX: u32 = 65_536;

const KNOWN: u32 = (libc::XATTR_CREATE | libc::XATTR_REPLACE) as u32;

/// Copies a name, NUL included.
///
/// # Errors
/// `EFAULT`, and `ERANGE` for none or one too long.
fn read_name<H: Host>(host: &H, addr: u64) -> Result<Vec<u8>> {
    let range = Errno::from_raw(libc::ERANGE);
    let too_long = |errno: Errno| if errno == Errno::EFAULT { errno } else { range };
    let name = read_path(host, addr).map_err(too_long)?;
    if (2..=NAME_MAX + 1).contains(&name.len()) { Ok(name) } else { Err(range) }
}

fn set_copies<H: Host>(req: &Req<H>, cx: &Prep<'_, H>) -> Result<Copies> {
    let (host, sqe) = (&cx.ring.host, &req.sqe);
    if sqe.op_flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let name = read_name(host, sqe.addr)?;
    if sqe.len > VALUE_MAX {
        return Err(Errno::from_raw(libc::E2BIG));
    }
    let mut value = vec![0; sqe.len as usize];
    host.copy_in(sqe.off, &mut value)?;
    Ok(Copies { paths: [name, Vec::new()], value, ..Copies::default() })
}

fn get_copies<H: Host>(req: &Req<H>, cx: &Prep<'_, H>) -> Result<Copies> {
    if req.sqe.op_flags != 0 {
        return Err(Errno::EINVAL);
    }
    let name = read_name(&cx.ring.host, req.sqe.addr)?;
    Ok(Copies { paths: [name, Vec::new()], ..Copies::default() })
}

pub(crate) fn prep_fset<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    req.extra = Extra::Copies(Box::new(set_copies(req, cx)?));
    Ok(())
}

pub(crate) fn prep_fget<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    req.extra = Extra::Copies(Box::new(get_copies(req, cx)?));
    Ok(())
}

/// The forms by path: the path stands at `addr3`, and a registered file makes no sense.
fn with_path<H: Host>(
    req: &mut Req<H>,
    cx: &Prep<'_, H>,
    copies: impl FnOnce(&Req<H>, &Prep<'_, H>) -> Result<Copies>,
) -> Result<()> {
    if req.has(IOSQE_FIXED_FILE) {
        return Err(Errno::EBADF);
    }
    let mut copies = copies(req, cx)?;
    copies.paths[1] = crate::ops::copies::read_name(&cx.ring.host, req.sqe.addr3)?;
    req.extra = Extra::Copies(Box::new(copies));
    Ok(())
}

pub(crate) fn prep_set<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    with_path(req, cx, set_copies)
}

pub(crate) fn prep_get<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    with_path(req, cx, get_copies)
}

/// The call: `of` is the file or the address of its path.
fn call<H: Host>(req: &Req<H>, host: &H, number: i64, of: impl FnOnce(&Copies) -> u64) -> i32 {
    let Extra::Copies(copies) = &req.extra else { return Errno::EINVAL.as_result() };
    let sqe = &req.sqe;
    let sets = number == libc::SYS_setxattr || number == libc::SYS_fsetxattr;
    let value = if sets { copies.value.as_ptr() as u64 } else { sqe.off };
    let (name, len) = (copies.paths[0].as_ptr() as u64, u64::from(sqe.len));
    result_of(host.syscall(number, [of(copies), name, value, len, u64::from(sqe.op_flags), 0]))
}

pub(crate) fn fset<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    let fd = req.file.fd() as u64;
    call(req, host, libc::SYS_fsetxattr, |_| fd)
}

pub(crate) fn set<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    call(req, host, libc::SYS_setxattr, |copies| copies.paths[1].as_ptr() as u64)
}

pub(crate) fn fget<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    let fd = req.file.fd() as u64;
    call(req, host, libc::SYS_fgetxattr, |_| fd)
}

pub(crate) fn get<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    call(req, host, libc::SYS_getxattr, |copies| copies.paths[1].as_ptr() as u64)
}

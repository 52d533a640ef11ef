//! Descriptors and mappings.
#![expect(unsafe_code, reason = "stands before libc's functions")]

use crate::window::{Inside, from_program};
use crate::{backend, process, raw, real};
use libc::{c_int, c_uint, c_void, off_t, size_t};

use super::readiness;

/// The offset at which the kernel maps the CQ ring, which is the memory of the SQ ring.
const IORING_OFF_CQ_RING: off_t = 0x800_0000;

/// Whether hooks have anything to look at.
#[inline]
pub(super) fn concerned() -> bool {
    if !backend::any_ring() || !from_program() {
        return false;
    }
    // A child that copies the process has no ring of ours.
    process::notice_fork();
    backend::any_ring()
}

/// `mmap`, whose mapping of a ring's CQ is one of its SQ.
///
/// # Safety
/// As `mmap(2)`.
pub unsafe extern "C-unwind" fn mmap(
    at: *mut c_void,
    len: size_t,
    prot: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    let ring = offset == IORING_OFF_CQ_RING && concerned() && {
        let _inside = Inside::enter();
        backend::is_ring(fd)
    };
    // SAFETY: the program's call.
    unsafe { real::mmap(at, len, prot, flags, fd, if ring { 0 } else { offset }) }
}

pub(super) fn before_close(first: c_uint, last: c_uint) {
    let _inside = Inside::enter();
    readiness::forget(first, last);
    backend::before_close(first, last);
}

/// Descriptors were closed, which may be what their other ends were waited for; if `told` is what
/// [`tell_close`] answered.
pub(super) fn after_close(told: bool) {
    if told {
        let _inside = Inside::enter();
        let errno = raw::errno();
        backend::after_close();
        raw::set_errno(errno);
    }
}

/// Tells that a descriptor is about to be closed, if there is anybody to hear; whether there was.
pub(super) fn tell_close(fd: c_int) -> bool {
    let tells = fd >= 0 && concerned();
    if tells {
        before_close(fd as c_uint, fd as c_uint);
    }
    tells
}

fn after_dup(old: c_int, new: c_int) {
    let _inside = Inside::enter();
    let errno = raw::errno();
    backend::after_dup(old, new);
    raw::set_errno(errno);
}

/// `close`.
///
/// # Safety
/// As `close(2)`.
pub unsafe extern "C-unwind" fn close(fd: c_int) -> c_int {
    let told = tell_close(fd);
    // SAFETY: the program's call.
    let result = unsafe { real::close(fd) };
    after_close(told);
    result
}

/// `dup`.
///
/// # Safety
/// As `dup(2)`.
pub unsafe extern "C-unwind" fn dup(fd: c_int) -> c_int {
    // SAFETY: the program's call.
    let new = unsafe { real::dup(fd) };
    if new >= 0 && concerned() {
        after_dup(fd, new);
    }
    new
}

/// `dup2`.
///
/// # Safety
/// As `dup2(2)`.
pub unsafe extern "C-unwind" fn dup2(old: c_int, new: c_int) -> c_int {
    let told = old != new && tell_close(new);
    // SAFETY: the program's call.
    let result = unsafe { real::dup2(old, new) };
    if result >= 0 && old != new && concerned() {
        after_dup(old, new);
    }
    after_close(told);
    result
}

/// `dup3`.
///
/// # Safety
/// As `dup3(2)`.
pub unsafe extern "C-unwind" fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int {
    let told = old != new && tell_close(new);
    // SAFETY: the program's call.
    let result = unsafe { real::dup3(old, new, flags) };
    if result >= 0 && concerned() {
        after_dup(old, new);
    }
    after_close(told);
    result
}

fn after_fcntl(fd: c_int, command: c_int, result: c_int) -> c_int {
    let duplicates = matches!(command, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC);
    if duplicates && result >= 0 && concerned() {
        after_dup(fd, result);
    }
    result
}

/// `fcntl`; the third argument may be missing, and is passed on whatever it is.
///
/// # Safety
/// As `fcntl(2)`.
pub unsafe extern "C-unwind" fn fcntl(fd: c_int, command: c_int, arg: usize) -> c_int {
    // SAFETY: the program's call.
    after_fcntl(fd, command, unsafe { real::fcntl(fd, command, arg) })
}

/// `fcntl64`, likewise.
///
/// # Safety
/// As `fcntl(2)`.
pub unsafe extern "C-unwind" fn fcntl64(fd: c_int, command: c_int, arg: usize) -> c_int {
    // SAFETY: the program's call.
    after_fcntl(fd, command, unsafe { real::fcntl64(fd, command, arg) })
}

/// `close_range`; descriptors of the engine's own inside the range stay open.
///
/// # Safety
/// As `close_range(2)`.
pub unsafe extern "C-unwind" fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    let concerned = concerned();
    let result = close_all(first, last, flags as u64, concerned);
    after_close(concerned);
    raw::libc_result(result) as c_int
}

/// `close_range`, as the kernel answers it; if rings are concerned, all but the engine's own.
fn close_all(first: u32, last: u32, flags: u64, concerned: bool) -> i64 {
    let close = |first: u32, last: u32| {
        raw::call(libc::SYS_close_range, [first.into(), last.into(), flags, 0, 0, 0])
    };
    if !concerned || flags as u32 & libc::CLOSE_RANGE_CLOEXEC != 0 || first > last {
        return close(first, last);
    }
    before_close(first, last);
    let mut from = first;
    for private in backend::private_fds() {
        if private < from || private > last {
            continue;
        }
        if private > from {
            let result = close(from, private - 1);
            if result < 0 {
                return result;
            }
        }
        from = private + 1;
    }
    if from > last { 0 } else { close(from, last) }
}

/// `close`, `dup2`, `dup3` or `close_range` by the program's own instruction; the kernel's answer.
pub(crate) fn close_by_instruction(number: i64, args: [u64; 6]) -> i64 {
    if crate::window::is_inside() {
        // Only a handler that was installed without our knowledge runs inside the engine. The
        // engine cannot be told now, so it must not rely on being told.
        crate::init::distrust_closes();
    }
    if !concerned() {
        return raw::call(number, args);
    }
    let errno = raw::errno();
    let (first, second) = (args[0] as u32, args[1] as u32);
    let result = match number {
        libc::SYS_close_range => close_all(first, second, args[2], true),
        libc::SYS_close => {
            before_close(first, first);
            raw::call(number, args)
        }
        _ => {
            if first != second {
                before_close(second, second);
            }
            let result = raw::call(number, args);
            if result >= 0 && first != second {
                after_dup(first as i32, second as i32);
            }
            result
        }
    };
    after_close(true);
    raw::set_errno(errno);
    result
}

/// `closefrom`.
///
/// # Safety
/// As `closefrom(3)`.
pub unsafe extern "C-unwind" fn closefrom(first: c_int) {
    // SAFETY: the same, in the kernel's words.
    unsafe { close_range(first.max(0) as c_uint, c_uint::MAX, 0) };
}

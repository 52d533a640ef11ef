//! Calls that make the other end of something ready: what the same thread has waiting for that in a
//! ring is completed when they return, as the kernel does it.
#![expect(unsafe_code, reason = "stands before libc's functions")]

use super::files::concerned;
use crate::window::Inside;
use crate::{backend, raw, real};
use libc::{c_int, c_void, iovec, size_t, sockaddr, socklen_t, ssize_t};

/// A call has returned, and may have made something ready.
#[inline]
pub(super) fn after_write() {
    if concerned() && backend::uses_ring() {
        let errno = raw::errno();
        let _inside = Inside::enter();
        backend::after_write();
        raw::set_errno(errno);
    }
}

/// `write`.
///
/// # Safety
/// As `write(2)`.
pub unsafe extern "C-unwind" fn write(fd: c_int, from: *const c_void, len: size_t) -> ssize_t {
    // SAFETY: the program's call.
    let result = unsafe { real::write(fd, from, len) };
    after_write();
    result
}

/// `writev`.
///
/// # Safety
/// As `writev(2)`.
pub unsafe extern "C-unwind" fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: the program's call.
    let result = unsafe { real::writev(fd, parts, count) };
    after_write();
    result
}

/// `eventfd_write`.
///
/// # Safety
/// As `eventfd_write(3)`.
pub unsafe extern "C-unwind" fn eventfd_write(fd: c_int, value: u64) -> c_int {
    // SAFETY: the program's call.
    let result = unsafe { real::eventfd_write(fd, value) };
    after_write();
    result
}

/// `send`.
///
/// # Safety
/// As `send(2)`.
pub unsafe extern "C-unwind" fn send(
    fd: c_int,
    from: *const c_void,
    len: size_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: the program's call.
    let result = unsafe { real::send(fd, from, len, flags) };
    after_write();
    result
}

/// `sendto`.
///
/// # Safety
/// As `sendto(2)`.
pub unsafe extern "C-unwind" fn sendto(
    fd: c_int,
    from: *const c_void,
    len: size_t,
    flags: c_int,
    to: *const sockaddr,
    to_len: socklen_t,
) -> ssize_t {
    // SAFETY: the program's call.
    let result = unsafe { real::sendto(fd, from, len, flags, to, to_len) };
    after_write();
    result
}

/// `shutdown`.
///
/// # Safety
/// As `shutdown(2)`.
pub unsafe extern "C-unwind" fn shutdown(fd: c_int, how: c_int) -> c_int {
    // SAFETY: the program's call.
    let result = unsafe { real::shutdown(fd, how) };
    after_write();
    result
}

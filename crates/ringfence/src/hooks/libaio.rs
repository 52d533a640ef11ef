//! Linux AIO's calls through libaio's exported functions: an error is a negated number, and `errno`
//! is left alone. The others of libaio's functions make the calls by their instruction, and are met
//! there.
#![expect(unsafe_code, reason = "stands before libaio's functions")]

use super::calls::serve;
use crate::aio::SYS_IO_PGETEVENTS;
use libc::{c_int, c_long, c_void};

/// `io_setup` of libaio.
///
/// # Safety
/// As the system call.
pub unsafe extern "C" fn io_setup(events: c_int, context: *mut c_void) -> c_int {
    serve(libc::SYS_io_setup, [events as u64, context as u64, 0, 0, 0, 0]) as c_int
}

/// `io_destroy` of libaio.
///
/// # Safety
/// As the system call.
pub unsafe extern "C" fn io_destroy(context: *mut c_void) -> c_int {
    serve(libc::SYS_io_destroy, [context as u64, 0, 0, 0, 0, 0]) as c_int
}

/// `io_submit` of libaio.
///
/// # Safety
/// As the system call.
pub unsafe extern "C" fn io_submit(
    context: *mut c_void,
    count: c_long,
    requests: *mut *mut c_void,
) -> c_int {
    serve(libc::SYS_io_submit, [context as u64, count as u64, requests as u64, 0, 0, 0]) as c_int
}

/// `io_cancel` of libaio.
///
/// # Safety
/// As the system call.
pub unsafe extern "C" fn io_cancel(
    context: *mut c_void,
    request: *mut c_void,
    event: *mut c_void,
) -> c_int {
    serve(libc::SYS_io_cancel, [context as u64, request as u64, event as u64, 0, 0, 0]) as c_int
}

/// `io_getevents` of libaio.
///
/// # Safety
/// As the system call.
pub unsafe extern "C" fn io_getevents(
    context: *mut c_void,
    least: c_long,
    count: c_long,
    events: *mut c_void,
    timeout: *mut libc::timespec,
) -> c_int {
    let args = [context as u64, least as u64, count as u64, events as u64, timeout as u64, 0];
    serve(libc::SYS_io_getevents, args) as c_int
}

/// `io_pgetevents` of libaio.
///
/// # Safety
/// As the system call.
pub unsafe extern "C" fn io_pgetevents(
    context: *mut c_void,
    least: c_long,
    count: c_long,
    events: *mut c_void,
    timeout: *mut libc::timespec,
    mask: *mut libc::sigset_t,
) -> c_int {
    let set = ringfence_abi::AioSigset { sigmask: mask as u64, size: 8 };
    let at = std::ptr::from_ref(&set) as u64;
    let args = [context as u64, least as u64, count as u64, events as u64, timeout as u64, at];
    serve(SYS_IO_PGETEVENTS, args) as c_int
}

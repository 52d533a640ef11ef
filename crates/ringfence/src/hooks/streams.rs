//! libc's functions that close a descriptor by themselves: of streams and directories.
#![expect(unsafe_code, reason = "stands before libc's functions")]

use super::files::{before_close, concerned};
use crate::real;
use libc::{DIR, FILE, c_char, c_int, c_uint};

/// The descriptor of a stream is about to be closed.
///
/// # Safety
/// `stream` must be null or a stream.
unsafe fn before_stream(stream: *mut FILE) {
    if stream.is_null() || !concerned() {
        return;
    }
    // SAFETY: a stream, as the caller says.
    let fd = unsafe { libc::fileno(stream) };
    if fd >= 0 {
        before_close(fd as c_uint, fd as c_uint);
    }
}

/// `fclose`.
///
/// # Safety
/// As `fclose(3)`.
pub unsafe extern "C-unwind" fn fclose(stream: *mut FILE) -> c_int {
    // SAFETY: the program's call.
    unsafe {
        before_stream(stream);
        real::fclose(stream)
    }
}

/// `pclose`.
///
/// # Safety
/// As `pclose(3)`.
pub unsafe extern "C-unwind" fn pclose(stream: *mut FILE) -> c_int {
    // SAFETY: the program's call.
    unsafe {
        before_stream(stream);
        real::pclose(stream)
    }
}

/// `freopen`.
///
/// # Safety
/// As `freopen(3)`.
pub unsafe extern "C-unwind" fn freopen(
    path: *const c_char,
    mode: *const c_char,
    stream: *mut FILE,
) -> *mut FILE {
    // SAFETY: the program's call.
    unsafe {
        before_stream(stream);
        real::freopen(path, mode, stream)
    }
}

/// `freopen64`, likewise.
///
/// # Safety
/// As `freopen(3)`.
pub unsafe extern "C-unwind" fn freopen64(
    path: *const c_char,
    mode: *const c_char,
    stream: *mut FILE,
) -> *mut FILE {
    // SAFETY: the program's call.
    unsafe {
        before_stream(stream);
        real::freopen64(path, mode, stream)
    }
}

/// `closedir`.
///
/// # Safety
/// As `closedir(3)`.
pub unsafe extern "C-unwind" fn closedir(stream: *mut DIR) -> c_int {
    if !stream.is_null() && concerned() {
        // SAFETY: a directory stream.
        let fd = unsafe { libc::dirfd(stream) };
        if fd >= 0 {
            before_close(fd as c_uint, fd as c_uint);
        }
    }
    // SAFETY: the program's call.
    unsafe { real::closedir(stream) }
}

//! libc's functions that close a descriptor by themselves: of streams and directories.
#![expect(unsafe_code, reason = "stands before libc's functions")]

use super::files::{after_close, concerned, tell_close};
use crate::real;
use libc::{DIR, FILE, c_char, c_int};

/// The descriptor of a stream is about to be closed; whether somebody was told.
///
/// # Safety
/// `stream` must be null or a stream.
unsafe fn before_stream(stream: *mut FILE) -> bool {
    if stream.is_null() || !concerned() {
        return false;
    }
    // SAFETY: a stream, as the caller says.
    tell_close(unsafe { libc::fileno(stream) })
}

/// `fclose`.
///
/// # Safety
/// As `fclose(3)`.
pub unsafe extern "C-unwind" fn fclose(stream: *mut FILE) -> c_int {
    // SAFETY: the program's call.
    unsafe {
        let told = before_stream(stream);
        let result = real::fclose(stream);
        after_close(told);
        result
    }
}

/// `pclose`.
///
/// # Safety
/// As `pclose(3)`.
pub unsafe extern "C-unwind" fn pclose(stream: *mut FILE) -> c_int {
    // SAFETY: the program's call.
    unsafe {
        let told = before_stream(stream);
        let result = real::pclose(stream);
        after_close(told);
        result
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
        let told = before_stream(stream);
        let result = real::freopen(path, mode, stream);
        after_close(told);
        result
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
        let told = before_stream(stream);
        let result = real::freopen64(path, mode, stream);
        after_close(told);
        result
    }
}

/// `closedir`.
///
/// # Safety
/// As `closedir(3)`.
pub unsafe extern "C-unwind" fn closedir(stream: *mut DIR) -> c_int {
    // SAFETY: a directory stream, if it is one.
    let told = !stream.is_null() && concerned() && tell_close(unsafe { libc::dirfd(stream) });
    // SAFETY: the program's call.
    let result = unsafe { real::closedir(stream) };
    after_close(told);
    result
}

//! Messages with descriptors in them: a ring cannot be sent.
#![expect(unsafe_code, reason = "stands before libc's functions")]

use super::files::concerned;
use super::writes::after_write;
use crate::window::Inside;
use crate::{backend, raw, real};
use libc::{c_int, c_uint, mmsghdr, msghdr};
use ringfence_host::fault;
use std::mem::offset_of;

/// Whether a message holds a ring; one that cannot be read is for the kernel to refuse.
fn sends_ring(message: u64) -> bool {
    let _inside = Inside::enter();
    let word = |offset: usize| {
        let mut word = [0; 8];
        fault::copy_in(message.wrapping_add(offset as u64), &mut word).ok()?;
        Some(u64::from_le_bytes(word))
    };
    let control = word(offset_of!(msghdr, msg_control));
    let len = word(offset_of!(msghdr, msg_controllen));
    match (control, len) {
        (Some(control), Some(len)) if len > 0 => backend::sends_ring(control, len),
        _ => false,
    }
}

fn refuse() -> c_int {
    raw::set_errno(libc::EINVAL);
    -1
}

/// `sendmsg`.
///
/// # Safety
/// As `sendmsg(2)`.
pub unsafe extern "C-unwind" fn sendmsg(
    fd: c_int,
    message: *const msghdr,
    flags: c_int,
) -> libc::ssize_t {
    if concerned() && sends_ring(message as u64) {
        return refuse() as libc::ssize_t;
    }
    // SAFETY: the program's call.
    let result = unsafe { real::sendmsg(fd, message, flags) };
    after_write();
    result
}

/// `sendmmsg`, which sends the messages before the first that is refused.
///
/// # Safety
/// As `sendmmsg(2)`.
pub unsafe extern "C-unwind" fn sendmmsg(
    fd: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
) -> c_int {
    let mut sent = count;
    if concerned() {
        let at = |index: c_uint| messages as u64 + u64::from(index) * size_of::<mmsghdr>() as u64;
        sent = (0..count.min(1024)).find(|&index| sends_ring(at(index))).unwrap_or(count);
    }
    if sent == 0 && count > 0 {
        return refuse();
    }
    // SAFETY: the program's call, of fewer messages perhaps.
    let result = unsafe { real::sendmmsg(fd, messages, sent, flags) };
    after_write();
    result
}

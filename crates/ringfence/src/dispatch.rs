//! The one way in: each intercepted call, from whatever tier, passes here.

use crate::scan::NUMBERS;
use crate::window::Inside;
use crate::{backend, hooks, process};

/// Serves a system call of io_uring; the answer is the kernel's, an error a negated number.
#[inline]
pub(crate) fn serve(number: i64, args: [u64; 6]) -> i64 {
    process::notice_fork();
    let _inside = Inside::enter();
    backend::serve(number, args)
}

/// Serves a call that a patched site or a trap led here: one of io_uring's, or one that closes.
#[inline]
pub(crate) fn serve_site(number: u32, args: [u64; 6]) -> i64 {
    if NUMBERS.contains(&number) {
        serve(i64::from(number), args)
    } else {
        hooks::close_by_instruction(i64::from(number), args)
    }
}

//! The one way in: each intercepted call, from whatever tier, passes here.

use crate::backend;
use crate::process;
use crate::window::Inside;

/// Serves a system call of io_uring; the answer is the kernel's, an error a negated number.
#[inline]
pub(crate) fn serve(number: i64, args: [u64; 6]) -> i64 {
    process::notice_fork();
    let _inside = Inside::enter();
    backend::serve(number, args)
}

//! The one place where the engine lets signals in: a blocking wait, made by an interceptor that
//! knows how, if there is one.

use ringfence_abi::{Errno, Result};
use std::sync::OnceLock;

/// Makes a system call that may block, with the program's signal handlers let in while it does;
/// the answer is the kernel's, an error a negated number.
pub type BlockingCall = fn(number: i64, args: &[u64; 6]) -> i64;

static CALL: OnceLock<BlockingCall> = OnceLock::new();

/// Sets who makes blocking calls, once per process; later calls change nothing.
pub fn set_blocking_call(call: BlockingCall) {
    let _ = CALL.set(call);
}

/// Makes a system call that may block.
pub(crate) fn blocking(number: i64, args: [u64; 6]) -> Result<u64> {
    match CALL.get() {
        Some(call) => match call(number, &args) {
            error @ -4095..0 => Err(Errno::from_raw(-error as i32)),
            value => Ok(value as u64),
        },
        None => crate::os::syscall(number, args),
    }
}

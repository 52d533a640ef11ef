//! What an interceptor of signals does for the engine, if there is one: it lets them in at the one
//! place where that may be, a blocking wait, and keeps them out where the engine is entered by
//! itself.

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

/// Runs a body with the program's signal handlers put off.
pub type Guard = fn(body: &mut dyn FnMut());

static GUARD: OnceLock<Guard> = OnceLock::new();

/// Sets who puts signals off where nobody called the engine, once per process.
pub fn set_guard(guard: Guard) {
    let _ = GUARD.set(guard);
}

/// Runs `body`, which nobody called, as a part of the engine.
pub(crate) fn guarded(body: &mut dyn FnMut()) {
    match GUARD.get() {
        Some(guard) => guard(body),
        None => body(),
    }
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

//! The one place where the engine lets signals in.

use ringfence_abi::{Errno, Result};
use std::sync::OnceLock;

/// Makes a system call that may block, by its number and arguments, so that the program's signal
/// handlers may run on this thread meanwhile; returns what the kernel returns, and `-EINTR` if a
/// handler ran before the call could start.
///
/// What lets signals in has to be what makes the call: a handler that runs between the two would
/// not interrupt it.
pub type Wait = fn(number: i64, args: &[u64; 6]) -> i64;

static WAIT: OnceLock<Wait> = OnceLock::new();

/// Sets what makes the engine's blocking waits, once per process; later calls change nothing.
pub fn set_wait(wait: Wait) {
    let _ = WAIT.set(wait);
}

/// Makes a blocking call with signals let in.
pub(crate) fn wait(number: i64, args: [u64; 6]) -> Result<u64> {
    match WAIT.get() {
        Some(wait) => match wait(number, &args) {
            result @ -4095..0 => Err(Errno::from_raw(-result as i32)),
            result => Ok(result as u64),
        },
        None => crate::os::syscall(number, args),
    }
}

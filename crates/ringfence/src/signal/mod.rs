//! Signals are the engine's interrupts.
//!
//! A handler of the program may exit, fork, jump out with longjmp, or submit to a ring, so it must
//! not run while its thread is inside the engine. Blocking signals on each entry would cost two
//! system calls. Instead every handler of the program is installed behind [`on_signal`]: outside of
//! the engine it runs at once; inside, the signal is queued again for the thread and all signals are
//! blocked in the interrupted context, until the engine lets them in: at its exit, or in its one
//! blocking wait (see `window`). The kernel keeps the queue, with its order and `siginfo`.

mod action;
mod mask;
mod wrapper;

pub(crate) use action::{has_foreign, own, set_trial_handler, sigaction, start};
pub(crate) use mask::{KEPT, change_mask, stripped};
pub(crate) use wrapper::{SigInfo, hold, let_in, set_mask};

/// The highest signal number.
pub(crate) const SIGNAL_MAX: usize = 64;

/// A signal's bit in the kernel's masks.
pub(crate) const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

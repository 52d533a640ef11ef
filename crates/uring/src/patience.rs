//! When to make a call inline that may block: until it hurts.
//!
//! Some calls have no form that refuses to block: writes to most file systems, reads of those
//! without `RWF_NOWAIT`, metadata. Nearly always they are served from memory at once, and a
//! worker would cost ten times the call. So they are made inline and timed; one that took long
//! sends the next ones to workers, and then one is tried inline again.

use ringfence_host::{Clock, Host};

/// A call that took this long should have been a worker's, nanoseconds.
const LONG_NS: u64 = 200_000;

/// How many calls go to workers after one that took long.
const PENANCE: u32 = 64;

/// The experience with one class of calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    to_workers: u32,
}

impl Patience {
    /// Whether the next call may be made inline.
    pub(crate) fn allows(&mut self) -> bool {
        let inline = self.to_workers == 0;
        self.to_workers = self.to_workers.saturating_sub(1);
        inline
    }

    /// Makes a call inline and remembers whether it took long.
    pub(crate) fn time<H: Host, T>(&mut self, host: &H, call: impl FnOnce() -> T) -> T {
        let start = host.now(Clock::Monotonic);
        let result = call();
        if host.now(Clock::Monotonic).saturating_sub(start) > LONG_NS {
            self.to_workers = PENANCE;
        }
        result
    }
}

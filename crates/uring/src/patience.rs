//! When to make a call inline that may block: until it hurts.
//!
//! Some calls have no form that refuses to block: writes to most file systems, reads of those
//! without `RWF_NOWAIT`, metadata. Nearly always they are served from memory at once, and a
//! worker would cost ten times the call. So they are made by the submitting thread, when it holds no
//! lock, and timed. Two in a row that took
//! long send the next ones to workers, and then one is tried inline again; each time that is found
//! too early, the pause doubles. One alone means nothing: the thread may have been preempted.

use ringfence_host::{Clock, Host};

/// A call that took this long should have been a worker's, nanoseconds.
const LONG_NS: u64 = 200_000;

/// How many calls go to workers after the first two that took long, and at most.
const PAUSE_MIN: u32 = 8;
const PAUSE_MAX: u32 = 256;

/// The experience with one class of calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    /// Calls that are still to go to workers.
    to_workers: u32,
    /// Calls in a row that took long.
    long: u32,
}

impl Patience {
    /// Whether the next call may be made inline.
    pub(crate) fn allows(&mut self) -> bool {
        let inline = self.to_workers == 0;
        self.to_workers = self.to_workers.saturating_sub(1);
        inline
    }

    /// Whether calls are made inline at present.
    pub(crate) fn is_patient(self) -> bool {
        self.to_workers == 0
    }

    /// Makes a call inline and remembers whether it took long.
    pub(crate) fn time<H: Host, T>(&mut self, host: &H, call: impl FnOnce() -> T) -> T {
        let start = host.now(Clock::Monotonic);
        let result = call();
        self.learn(host.now(Clock::Monotonic).saturating_sub(start));
        result
    }

    fn learn(&mut self, took: u64) {
        if took <= LONG_NS {
            self.long = 0;
            return;
        }
        self.long += 1;
        if self.long >= 2 {
            self.to_workers = PAUSE_MIN.saturating_mul(1 << (self.long - 2).min(8)).min(PAUSE_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_long_call_is_forgiven_two_are_not() {
        let mut patience = Patience::default();
        patience.learn(LONG_NS + 1);
        assert!(patience.allows());
        patience.learn(1);
        patience.learn(LONG_NS + 1);
        assert!(patience.allows());
        patience.learn(LONG_NS + 1);
        let paused = (0..1000).take_while(|_| !patience.allows()).count();
        assert_eq!(paused, PAUSE_MIN as usize);
    }

    #[test]
    fn the_pause_grows_to_its_bound_and_ends_with_a_quick_call() {
        let mut patience = Patience::default();
        for _ in 0..20 {
            patience.learn(LONG_NS + 1);
        }
        assert_eq!((0..1000).take_while(|_| !patience.allows()).count(), PAUSE_MAX as usize);
        patience.learn(1);
        assert!(patience.allows());
    }
}

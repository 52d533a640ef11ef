//! The life of a context: who uses it, and that nobody does who came too late.
//!
//! A word counts the calls that use a context, and has a bit for its end. A reference is taken
//! only while the bit is clear, in one step with looking at it. A look-up may have found the
//! context long before: between finding and taking stands nothing that keeps it alive, since the
//! table's lock is held for the look alone, and threads remember the context they used last. The
//! end waits until the count is 0. Whoever takes a reference regardless may do so when that has
//! been seen, and then works on a context whose memory the program has back: that was
//! CVE-worthy in fs/aio.c (commit baf10564fbb6), and is [`Historic`] here, for tests to find.

use ringfence_host::Host;
use ringfence_host::atomic::AtomicU32;
use ringfence_host::sync::Ordering;

/// Set once the context is being destroyed.
const DEAD: u32 = 1 << 31;

/// How a reference is taken.
pub trait Rule: Send + Sync + 'static {
    /// Takes a reference in `life`; false if the context must not be used.
    fn take<H: Host>(life: &Life<H>) -> bool;
}

/// On a live context only: the rule in force.
#[derive(Clone, Copy, Debug)]
pub struct OnlyLive;

impl Rule for OnlyLive {
    #[inline]
    fn take<H: Host>(life: &Life<H>) -> bool {
        let mut word = life.word.load(Ordering::Relaxed);
        while word & DEAD == 0 {
            // Pairs with the exchange in `end`: either it sees this user, or this sees its bit.
            let taken = life.word.compare_exchange_weak(
                word,
                word + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            match taken {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }
}

/// Unconditionally: the historic fault, for tests that must find it.
#[derive(Clone, Copy, Debug)]
pub struct Historic;

impl Rule for Historic {
    fn take<H: Host>(life: &Life<H>) -> bool {
        // As if preempted right here: any schedule of threads may do so.
        std::thread::yield_now();
        life.word.fetch_add(1, Ordering::Acquire);
        true
    }
}

/// The count of users and the bit.
#[derive(Debug)]
pub struct Life<H> {
    word: AtomicU32<H>,
}

impl<H: Host> Default for Life<H> {
    fn default() -> Self {
        Life { word: AtomicU32::default() }
    }
}

impl<H: Host> Life<H> {
    /// Takes a reference by the rule `R`.
    #[inline]
    pub(super) fn take<R: Rule>(&self) -> bool {
        R::take(self)
    }

    /// Gives a reference back.
    #[inline]
    pub(super) fn put(&self, host: &H) {
        // Pairs with the load in `wait_unused`: what this user did is seen there.
        let before = self.word.fetch_sub(1, Ordering::Release);
        assert!(before & !DEAD > 0, "a reference was given back that nobody had");
        if before == DEAD + 1 {
            host.futex_wake(self.word.word(), u32::MAX);
        }
    }

    /// Ends it; false if it was ended before.
    pub(super) fn end(&self) -> bool {
        self.word.fetch_or(DEAD, Ordering::AcqRel) & DEAD == 0
    }

    /// Waits until nobody uses it; to be called after `end`.
    pub(super) fn wait_unused(&self, host: &H) {
        loop {
            let word = self.word.load(Ordering::Acquire);
            if word == DEAD {
                return;
            }
            host.futex_wait(self.word.word(), word, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_comes_after_the_end() {
        let life = Life::<ringfence_host::Os>::default();
        assert!(life.take::<OnlyLive>());
        assert!(life.end());
        assert!(!life.end());
        assert!(!life.take::<OnlyLive>());
        life.put(&ringfence_host::Os);
        life.wait_unused(&ringfence_host::Os);
        assert!(life.take::<Historic>());
    }
}

//! Vector clocks: which event is known to have come before which.

/// How far a thread knows of every thread's steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock(Vec<u32>);

impl Clock {
    /// One that knows of nothing.
    pub(crate) const NEW: Clock = Clock(Vec::new());

    /// The step of `thread` that is known of.
    pub(crate) fn of(&self, thread: usize) -> u32 {
        self.0.get(thread).copied().unwrap_or(0)
    }

    /// Notes a step of `thread`.
    pub(crate) fn set(&mut self, thread: usize, step: u32) {
        if self.0.len() <= thread {
            self.0.resize(thread + 1, 0);
        }
        self.0[thread] = step;
    }

    /// The next step of `thread`.
    pub(crate) fn tick(&mut self, thread: usize) {
        self.set(thread, self.of(thread) + 1);
    }

    /// Learns what `other` knows.
    pub(crate) fn join(&mut self, other: &Clock) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = (*mine).max(*theirs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_joined_is_known() {
        let (mut a, mut b) = (Clock::default(), Clock::default());
        a.tick(0);
        b.tick(1);
        assert_eq!((a.of(0), b.of(0), b.of(1)), (1, 0, 1));
        b.join(&a);
        assert_eq!((b.of(0), b.of(1)), (1, 1));
        assert_eq!(a.of(1), 0);
    }
}

//! The historic bugs of io_uring that the engine can be given, to be found again.
//!
//! They are constants of the host's type, not a cargo feature: features of one build unify, and the
//! shipped library would carry them. On [`crate::Os`] all are false, and so the code behind them is
//! not compiled at all.

/// Which of them an engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bugs {
    /// Seed 000: what a flush of the overflow finds is queued under the completion lock, which
    /// arming a linked timeout takes.
    pub overflow_recursion: bool,
    /// Seed 001: timeouts are flushed under the completion lock, and what is left of them goes to
    /// task work under its lock, which is taken elsewhere with timers let in.
    pub timer_inversion: bool,
    /// Seed 001, its first crash: a linked timeout that has fired stays linked to its target, and
    /// both put it.
    pub link_timeout_double_put: bool,
    /// Seed 003: a worker that frees a request reads and clears its link without a lock.
    pub link_chain_race: bool,
}

impl Bugs {
    /// None: the engine as it is.
    pub const NONE: Bugs = Bugs {
        overflow_recursion: false,
        timer_inversion: false,
        link_timeout_double_put: false,
        link_chain_race: false,
    };
}

/// What is shipped has none.
const _: () = {
    let Bugs { overflow_recursion, timer_inversion, link_timeout_double_put, link_chain_race } =
        <crate::Os as crate::Host>::BUGS;
    assert!(!overflow_recursion && !timer_inversion && !link_timeout_double_put);
    assert!(!link_chain_race);
};

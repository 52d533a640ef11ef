//! Verdicts of the kernel's self-test that have no meaning here, each with its reason.

/// What is not restated: how many verdicts, of what, and why.
pub(crate) struct Inapplicable {
    pub(crate) verdicts: usize,
    pub(crate) what: &'static str,
    pub(crate) why: &'static str,
}

const API: &str =
    "checks the arguments of the kernel's wound/wait API, no locking rule; Rust has no such mutex";
const BACK_OFF: &str =
    "checks that the caller backs off as wound/wait asks after -EDEADLK; no lock here returns that";
const RECLAIM: &str = "checks allocation flags that forbid entering file systems; allocating takes no lock of a program here";

/// Every one of them.
pub(crate) const ALL: &[Inapplicable] = &[
    Inapplicable { verdicts: 1, what: "wound/wait: a lock its context holds already", why: API },
    Inapplicable { verdicts: 1, what: "wound/wait: plain mutex calls on it", why: API },
    Inapplicable { verdicts: 1, what: "wound/wait: slow path when not needed", why: API },
    Inapplicable { verdicts: 1, what: "wound/wait: context of another class", why: API },
    Inapplicable { verdicts: 1, what: "wound/wait: context done twice", why: API },
    Inapplicable { verdicts: 1, what: "wound/wait: context finished early", why: API },
    Inapplicable { verdicts: 1, what: "wound/wait: lock after done", why: API },
    Inapplicable { verdicts: 1, what: "wound/wait: count of held locks off", why: API },
    Inapplicable { verdicts: 1, what: "wound/wait: stale context in the lock", why: API },
    Inapplicable { verdicts: 10, what: "wound/wait: back-off after -EDEADLK", why: BACK_OFF },
    Inapplicable { verdicts: 3, what: "file-system reclaim nesting", why: RECLAIM },
];

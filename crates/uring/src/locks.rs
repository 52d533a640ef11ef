//! The locks of the engine, and the classes they are declared as, outermost first.
//!
//! No lock is held across the blocking wait, nor while a worker makes its call. Two rings'
//! submission locks are never waited for together: a message to another ring takes that ring's
//! completion lock, and its submission lock only if that is free.
//!
//! A link chain is walked or changed only by its owner, the holder of the box of its head; there
//! is no reference to a request beside it (seed 003). A timer that names its target holds a
//! [`crate::parked::Key`], which finds nothing once the target is gone (seeds 001 and 004).

use ringfence_host::sync::LockClass;

/// Declares the classes and the list of them.
macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident: $text:literal,)+) => {
        $($(#[$doc])* pub(crate) static $name: LockClass = LockClass::new($text);)+

        /// The classes of the engine's locks, outermost first: while a lock of one is held, only
        /// those behind it may be waited for.
        pub static LOCK_CLASSES: &[&LockClass] = &[$(&$name),+];
    };
}

classes! {
    /// `Ring::submit`, the submission lock: requests, link chains, parked requests, timers,
    /// registered resources. Taken by whoever submits, drives or completes. System calls made
    /// under it do not block.
    SUBMIT: "submission lock",
    /// `Context::reader`: who takes events out of an AIO context's ring, for the copy to the
    /// program.
    AIO_READER: "reader of an AIO ring",
    /// `Job::state`: a request on its way to a worker, until one of worker and cancel takes it.
    JOB: "job",
    /// `Shared::rings`: the table of rings. Held for a look-up or a change of the table only.
    RINGS: "table of rings",
    /// `Shared::inherited`: rings that a forked child has not used yet; a leaf.
    INHERITED: "inherited rings",
    /// `Contexts::by_id`: the table of AIO contexts. Held for a look-up or a change of the table.
    AIO_CONTEXTS: "table of AIO contexts",
    /// `Attendant::charges`: the attendant's list.
    CHARGES: "attendant's list",
    /// `Ring::cq`, the completion lock: a leaf. Nothing that can queue, free or complete a request
    /// runs under it (seed 000); what must be done is returned to the caller, who does it after
    /// unlocking.
    CQ: "completion lock",
    /// `Ring::task_work`: what workers are done with, for rings whose owner alone posts; a leaf.
    TASK_WORK: "task work",
    /// `Ring::eventfd`: the registered eventfd, held for a copy; a leaf.
    EVENTFD: "eventfd",
    /// `Pollers::rings`: the rings that poll a ring, held for a copy; a leaf.
    POLLERS: "rings that poll",
    /// `Pool::state`: the worker pool's queue; a leaf.
    POOL: "worker pool",
    /// `Shared::past`: what rings did that are gone; a leaf.
    COUNTS: "operation counts",
}

//! The locks of the engine, outermost first.
//!
//! 1. `Engine::rings`: the table of rings. Held for a look-up or a change of the table only.
//! 2. `Ring::submit`, the submission lock: requests, link chains, parked requests, timers,
//!    registered resources. Taken by whoever submits, drives or completes. System calls made
//!    under it do not block.
//! 3. `Ring::cq`, the completion lock: a leaf. Nothing that can queue, free or complete a request
//!    runs under it (seed 000); what must be done is returned to the caller, who does it after
//!    unlocking.
//! 4. `Ring::task_work`, the work pool's queue, the attendant's list: leaves, of one list each.
//!
//! No lock is held across the blocking wait, nor while a worker makes its call. Two rings'
//! submission locks are never held together: a message to another ring takes that ring's
//! completion lock only.
//!
//! A link chain is walked or changed only by its owner, the holder of the box of its head; there
//! is no reference to a request beside it (seed 003). A timer that names its target holds a
//! [`crate::parked::Key`], which finds nothing once the target is gone (seeds 001 and 004).

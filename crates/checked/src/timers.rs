//! The engine's timer callbacks as a context of the validator's.

use ringfence_lockdep::{Context, InContext, Opened, enter};
use std::cell::RefCell;

/// What runs when a timer is due.
pub(crate) static TIMER: Context = Context::new("timer callback");

thread_local! {
    static RUNNING: RefCell<Vec<InContext>> = const { RefCell::new(Vec::new()) };
    static OPEN: RefCell<Vec<Opened>> = const { RefCell::new(Vec::new()) };
}

/// Callbacks run on this thread from here on.
pub(crate) fn begin() {
    RUNNING.with_borrow_mut(|running| running.push(enter(&TIMER)));
}

/// They have run.
pub(crate) fn end() {
    drop(RUNNING.with_borrow_mut(Vec::pop));
}

/// They may break in from here on.
pub(crate) fn open() {
    OPEN.with_borrow_mut(|open| open.push(ringfence_lockdep::open(&TIMER)));
}

/// They may no longer.
pub(crate) fn close() {
    drop(OPEN.with_borrow_mut(Vec::pop));
}

/// This thread was unwound: what it was in is over, without a word to the validator.
pub(crate) fn forget() {
    RUNNING.take().into_iter().for_each(std::mem::forget);
    OPEN.take().into_iter().for_each(std::mem::forget);
}

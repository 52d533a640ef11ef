//! What serves the intercepted calls: for now the kernel, with the calls counted.

use crate::raw;
use crate::window;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters, by call: setup, enter, register.
static CALLS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// Serves a call; the thread is inside.
#[inline]
pub(crate) fn serve(number: i64, args: [u64; 6]) -> i64 {
    if let Some(counter) = CALLS.get((number - 425) as usize) {
        counter.fetch_add(1, Relaxed);
    }
    if number == 426 { window::wait(number, &args) } else { raw::call(number, args) }
}

/// How often each call was served.
pub(crate) fn counts() -> [u64; 3] {
    [0, 1, 2].map(|index: usize| CALLS[index].load(Relaxed))
}

/// Whether there may be a ring, so that hooks have something to look for.
#[inline]
pub(crate) fn any_ring() -> bool {
    false
}

/// Whether `fd` is a ring of ours.
pub(crate) fn is_ring(_fd: i32) -> bool {
    false
}

/// To be called before descriptors `first..=last` are closed.
pub(crate) fn before_close(_first: u32, _last: u32) {}

/// To be called when `new` has become another name of `old`.
pub(crate) fn after_dup(_old: i32, _new: i32) {}

/// The descriptor that can be polled for a ring.
pub(crate) fn poll_fd(_fd: i32) -> Option<i32> {
    None
}

/// To be called when a wait that watches a ring starts.
pub(crate) fn attend(_fd: i32) {}

/// To be called in the child of a fork.
pub(crate) fn fork_child() {}

/// Descriptors of the engine's own, ascending.
pub(crate) fn private_fds() -> Vec<u32> {
    Vec::new()
}

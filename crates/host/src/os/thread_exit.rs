//! What is to be done when a thread ends.

use std::cell::RefCell;

/// The bodies of one thread. Dropped by the C library when the thread ends, which runs them.
struct Bodies(RefCell<Vec<Box<dyn FnOnce() + Send>>>);

impl Drop for Bodies {
    fn drop(&mut self) {
        let mut bodies = self.0.take();
        crate::signal::guarded(&mut || bodies.drain(..).for_each(|body| body()));
    }
}

thread_local! {
    static BODIES: Bodies = const { Bodies(RefCell::new(Vec::new())) };
}

/// Keeps `body` for the end of this thread. A thread that is ending already drops it.
pub(super) fn push(body: Box<dyn FnOnce() + Send>) {
    let _ = BODIES.try_with(|bodies| bodies.0.borrow_mut().push(body));
}

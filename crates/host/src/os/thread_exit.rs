//! What is to be done when a thread ends.

use std::cell::RefCell;

/// The bodies of one thread. Dropped by the C library when the thread ends, which runs them.
struct Bodies(RefCell<Vec<Box<dyn FnOnce() + Send>>>);

impl Drop for Bodies {
    fn drop(&mut self) {
        // They take the engine's locks, for which a handler that came meanwhile would wait for good.
        let mut bodies = self.0.take();
        crate::signal::guarded(&mut || bodies.drain(..).for_each(|body| body()));
    }
}

thread_local! {
    static BODIES: Bodies = const { Bodies(RefCell::new(Vec::new())) };
}

/// In a forked child: what the thread had to do is the parent's, whose locks nobody lets go of here. Where
/// the thread that forked ends, or the child exits, it would wait for them.
pub(super) fn forked() {
    let _ = BODIES.try_with(|bodies| std::mem::forget(bodies.0.take()));
}

/// Keeps `body` for the end of this thread. A thread that is ending already drops it.
pub(super) fn push(body: Box<dyn FnOnce() + Send>) {
    let _ = BODIES.try_with(|bodies| bodies.0.borrow_mut().push(body));
}

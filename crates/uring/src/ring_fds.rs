//! The rings that a thread has registered, and their end with the thread.

use crate::engine::{RING_FDS_MAX, Rings, Shared, is_named};
use crate::ring::Ring;
use ringfence_host::Host;
use ringfence_host::sync::{Arc, Ordering};

/// The registered rings of one thread, by index.
pub(crate) type Slots<H> = [Option<Arc<Ring<H>>>; RING_FDS_MAX];

impl<H: Host> Shared<H> {
    /// The calling thread's registered rings. The first time, their end is tied to the thread's:
    /// they would stay for good, and be found by a later thread of the same number.
    pub(crate) fn slots<'a>(
        self: &Arc<Self>,
        host: &H,
        rings: &'a mut Rings<H>,
    ) -> &'a mut Slots<H> {
        let thread = host.thread_id();
        rings.registered.entry(thread).or_insert_with(|| {
            let shared = Arc::downgrade(self);
            host.at_thread_exit(Box::new(move || {
                if let Some(shared) = shared.upgrade() {
                    shared.thread_gone(thread);
                }
            }));
            Slots::default()
        })
    }

    /// A thread has ended: what it had registered is let go of.
    fn thread_gone(&self, thread: u32) {
        let slots = self.rings.lock().registered.remove(&thread).unwrap_or_default();
        self.reap();
        let rings = self.rings.lock();
        let is_last = |ring: &Arc<Ring<H>>| {
            let is_there = rings.all.iter().any(|other| Arc::ptr_eq(other, ring));
            is_there && !is_named(&rings, ring) && ring.released.load(Ordering::Acquire)
        };
        let mut unnamed: Vec<Arc<Ring<H>>> = slots.into_iter().flatten().filter(is_last).collect();
        drop(rings);
        // One ring may have had several indices; one that was just reaped is gone already.
        unnamed.dedup_by(|a, b| Arc::ptr_eq(a, b));
        unnamed.iter().for_each(|ring| self.release(ring));
    }
}

//! Rings that poll this ring: each has its completion before the call that posted the event
//! returns, as if both rings shared one thread of control.

use crate::locks;
use crate::ring::Ring;
use crate::wait::Role;
use ringfence_host::Host;
use ringfence_host::atomic::AtomicBool;
use ringfence_host::sync::{Arc, Mutex, Ordering, mutex};
use std::sync::Weak;

/// The rings that have polled a ring, and whether this one is being looked after already.
pub(crate) struct Pollers<H: Host> {
    rings: Mutex<H, Vec<Weak<Ring<H>>>>,
    any: AtomicBool<H>,
    /// Somebody drives this ring on behalf of one that it polls; ends cycles of rings that poll
    /// each other.
    nudged: AtomicBool<H>,
}

impl<H: Host> Pollers<H> {
    pub(crate) fn new(host: &H) -> Self {
        Pollers {
            rings: mutex(host, &locks::POLLERS, Vec::new()),
            any: AtomicBool::new(false),
            nudged: AtomicBool::new(false),
        }
    }
}

impl<H: Host> Ring<H> {
    /// Takes note that `poller` polls this ring. A ring that polls itself drives itself anyway.
    pub(crate) fn note_poller(self: &Arc<Self>, poller: &Arc<Ring<H>>) {
        if Arc::ptr_eq(self, poller) {
            return;
        }
        let poller = Arc::downgrade(poller);
        let mut rings = self.pollers.rings.lock();
        rings.retain(|other| other.strong_count() > 0);
        if !rings.iter().any(|other| other.ptr_eq(&poller)) {
            rings.push(poller);
        }
        self.pollers.any.store(true, Ordering::Release);
    }

    /// Something was posted here: rings that poll this one look at it. No lock is held.
    pub(crate) fn nudge_pollers(&self) {
        if !self.pollers.any.load(Ordering::Acquire) {
            return;
        }
        let pollers: Vec<Arc<Ring<H>>> =
            self.pollers.rings.lock().iter().filter_map(Weak::upgrade).collect();
        for poller in pollers {
            // The owner alone may post on a deferring ring; it looks when it enters.
            if poller.is_deferred() || poller.pollers.nudged.swap(true, Ordering::AcqRel) {
                continue;
            }
            let _ = poller.drive(Role::Guest, Some(0), None);
            poller.pollers.nudged.store(false, Ordering::Release);
        }
    }
}

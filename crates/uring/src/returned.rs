//! What a thread does on its way out of a call of its own.
//!
//! In the kernel a thread runs its task work whenever it returns from a system call: what a write or
//! a close has made ready is completed by the time the call returns, if the same thread had a
//! request waiting for it. Here those calls go to the kernel without us, so interception tells of
//! them afterwards. Requests of other threads are theirs, or the attendant's, to complete.

use crate::engine::Engine;
use crate::ring::Ring;
use crate::submit::Submit;
use crate::wait::Role;
use ringfence_abi::{IORING_SETUP_SQPOLL, IORING_SETUP_TASKRUN_FLAG};
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Event, Host};

/// Events taken at once.
const EVENTS: usize = 32;

impl<H: Host> Engine<H> {
    /// The calling thread has made a call that may have made files ready: its requests that wait for
    /// them go on.
    pub fn after_call(&self) {
        let me = self.host.thread_id();
        let rings: Vec<Arc<Ring<H>>> = {
            let rings = self.shared.rings.lock();
            rings.all.iter().filter(|ring| ring.waits_for(me)).cloned().collect()
        };
        rings.iter().for_each(Ring::after_call);
    }
}

impl<H: Host> Ring<H> {
    /// Whether requests of a thread may wait for files here, with nobody else to look at them.
    fn waits_for(&self, thread: u32) -> bool {
        self.pending.load(Ordering::Acquire) > 0
            && self.parker.load(Ordering::Relaxed) == thread
            && self.epfd.load(Ordering::Acquire) >= 0
            && self.waiting.load(Ordering::Acquire) == 0
            && !self.has(IORING_SETUP_SQPOLL)
    }

    /// The same as [`Engine::after_call`] for one ring.
    pub fn after_call(self: &Arc<Self>) {
        if !self.waits_for(self.host.thread_id()) {
            return;
        }
        if !self.is_deferred() {
            // A ring that dies meanwhile has nothing to complete.
            let _ = self.drive(Role::Guest, Some(0), None);
        } else if self.tells_of_task_work() && self.gather() {
            self.announce_task_work();
        }
    }

    /// Whether anybody learns that a deferring ring has something to do for its owner.
    pub(crate) fn tells_of_task_work(&self) -> bool {
        self.announces.load(Ordering::Acquire) || self.has(IORING_SETUP_TASKRUN_FLAG)
    }

    /// Takes the events of a deferring ring and keeps those requests in mind that its owner has to
    /// let go on; true if there are any.
    pub(crate) fn gather(self: &Arc<Self>) -> bool {
        if self.has_task_work.load(Ordering::Acquire) {
            return true;
        }
        let mut events = [Event::default(); EVENTS];
        let Ok(count) = self.wait_events(&mut events, Some(0), None) else { return false };
        if count == 0 {
            return false;
        }
        self.with_submit(|ring, sub| {
            for event in &events[..count] {
                match sub.polled.note(event) {
                    None => _ = ring.handle_events(sub, Role::Guest, std::slice::from_ref(event)),
                    Some(waiting) => {
                        let parked = &sub.parked;
                        let wanted = waiting.iter().filter(|key| parked.wants(**key, event.events));
                        sub.gathered.extend(wanted.map(|key| (*key, event.events)));
                    }
                }
            }
            !sub.gathered.is_empty()
        })
    }

    /// Lets the requests go on that were found ready.
    pub(crate) fn run_gathered(self: &Arc<Self>, sub: &mut Submit<H>) {
        for (key, revents) in std::mem::take(&mut sub.gathered) {
            // One that has left since is found by nobody, and its file forgets it in time.
            self.let_go(sub, key, revents);
        }
    }
}

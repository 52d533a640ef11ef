//! The engine as io_uring was when it had the bugs of [`ringfence_host::bugs`]: what each of them
//! did in place of what the engine does.
//!
//! Nothing of this is compiled for a host without bugs, and so nothing of it is shipped. It is here
//! for `ringfence replay` to find again.

use crate::parked::Waits;
use crate::ring::Ring;
use crate::submit::Submit;
use crate::work::{Finished, Job};
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Host, Point};

impl<H: Host> Ring<H> {
    /// Seed 000, teardown: the overflow is flushed, and what was held back behind a drain is
    /// queued while the completion lock is held.
    pub(crate) fn historic_overflow_flush(self: &Arc<Self>, sub: &mut Submit<H>) {
        let mut cq = self.cq.lock();
        cq.flush_overflow(&self.shm, &self.layout);
        sub.ready.extend(sub.drain.take_all());
        self.run_ready(sub);
        drop(cq);
    }

    /// Seed 000, arming: the list of timeouts is the completion lock's, so that is taken for it.
    pub(crate) fn historic_timeout_lock(&self) {
        drop(self.cq.lock());
    }

    /// Seed 001, posting: timeouts that are due by the count of completions are killed under the
    /// completion lock, which the caller holds, and their last reference goes to task work.
    pub(crate) fn historic_flush_timeouts(&self, sub: &mut Submit<H>, posted: u32) {
        for key in crate::timeout::counted_due(sub, posted) {
            let entry = sub.parked.remove(key);
            sub.timers.forget(key);
            if let Some(Waits::Time { req }) = entry.map(|entry| entry.waits) {
                self.task_work.lock().push(Finished::Work(key, req, 0));
                self.has_task_work.store(true, Ordering::Release);
            }
        }
    }

    /// Seed 001, task work: its lock is taken with timers let in.
    pub(crate) fn historic_task_work(&self) -> Vec<Finished<H>> {
        self.host.at(Point::TimersOpen);
        let done = std::mem::take(&mut *self.task_work.lock());
        self.host.at(Point::TimersClosed);
        done
    }
}

impl<H: Host> Job<H> {
    /// Seed 003, a worker that frees a request: it takes the linked timeout off the chain, without
    /// the submission lock that who changes the chain holds.
    pub(crate) fn historic_free(&self, req: &mut crate::request::Req<H>, host: &H) {
        host.at(self.link_access(false, "historic_free"));
        req.link_timeout = self.clear_link();
        host.at(self.link_access(true, "historic_free"));
    }
}

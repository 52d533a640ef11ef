//! What workers do for a thread that ends: the kernel's workers are the thread's, and go with it.
//!
//! A transfer that was tried is not concerned: the kernel has given it to the device by then.

use crate::engine::Shared;
use crate::opdef::{LOOKS_FIRST, Table as Ops};
use crate::parked::Waits;
use crate::request::Req;
use crate::ring::Ring;
use crate::submit::Submit;
use crate::work::Job;
use ringfence_host::Host;
use ringfence_host::sync::Arc;

impl<H: Host> Ring<H> {
    /// The thread with which the work on a request ends, if it is one of the program's: 0 for none.
    pub(crate) fn task_of(&self, sub: &Submit<H>, req: &Req<H>, tried: bool) -> u32 {
        let looks = Ops::<H>::get(req.sqe.opcode).is_some_and(|def| def.has(LOOKS_FIRST));
        if sub.submitting && !(tried && looks) { self.host.thread_id() } else { 0 }
    }

    /// Cancels the work of a thread, as far as it can be.
    fn cancel_work_of(self: &Arc<Self>, thread: u32) {
        self.with_submit(|_, sub| {
            if sub.at_workers == 0 {
                return;
            }
            let mut at = 0;
            while let Some((key, entry, next)) = sub.parked.next_at(at) {
                at = next;
                if matches!(&entry.waits, Waits::Work { job } if job.task == thread) {
                    let _ = crate::cancel::cancel_parked(sub, key);
                }
            }
        });
    }
}

impl<H: Host> Shared<H> {
    /// The calling thread is about to give these to workers: their end is tied to its own.
    pub(crate) fn tie_to_thread(self: &Arc<Self>, host: &H, jobs: &[Arc<Job<H>>]) {
        if jobs.iter().any(|job| job.task != 0) {
            self.slots(host, &mut self.rings.lock());
        }
    }

    /// Ends the work of a thread that ends. The first thread mostly ends by the process's exit, of
    /// which a part is yet to come.
    pub(crate) fn cancel_work_of(&self, host: &H, thread: u32) {
        let first = host.syscall(libc::SYS_getpid, [0; 6]);
        if first == Ok(u64::from(thread)) {
            return;
        }
        let rings = self.rings.lock().all.clone();
        rings.iter().for_each(|ring| ring.cancel_work_of(thread));
    }
}

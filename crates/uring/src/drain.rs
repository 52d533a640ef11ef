//! `IOSQE_IO_DRAIN`: requests held back until all before them are done.

use crate::request::Req;
use crate::ring::Ring;
use crate::submit::Submit;
use ringfence_abi::{Errno, IOSQE_IO_DRAIN, Result};
use ringfence_host::Host;
use ringfence_host::sync::Arc;
use std::collections::VecDeque;

/// The requests held back, in order, and what the ring knows of drains.
pub(crate) struct Drain<H: Host> {
    deferred: VecDeque<Req<H>>,
    /// Requests in the list, members of chains counted.
    held: usize,
    /// A drain was seen and the list has not run empty since.
    active: bool,
    /// The first request after the chain being built drains too.
    next: bool,
    /// The ring has seen `IOSQE_CQE_SKIP_SUCCESS`, which drains cannot be counted with.
    disabled: bool,
}

impl<H: Host> Drain<H> {
    pub(crate) fn new() -> Self {
        Drain { deferred: VecDeque::new(), held: 0, active: false, next: false, disabled: false }
    }

    /// Whether requests must ask before they start.
    pub(crate) fn is_active(&self) -> bool {
        self.active
    }

    /// Whether the next request may have to drain.
    pub(crate) fn is_pending(&self) -> bool {
        self.next
    }

    /// From now on drains are refused.
    pub(crate) fn disable(&mut self) {
        self.disabled = true;
    }

    /// A request asks to drain; `chain` is the chain it will belong to.
    ///
    /// # Errors
    /// `EOPNOTSUPP` once the ring has seen `IOSQE_CQE_SKIP_SUCCESS`.
    pub(crate) fn begin(&mut self, chain: &mut [Req<H>]) -> Result<()> {
        if self.disabled {
            return Err(Errno::EOPNOTSUPP);
        }
        self.active = true;
        if let Some(head) = chain.first_mut() {
            // A drain inside a chain drains its head and whatever follows the chain.
            head.sqe.flags |= IOSQE_IO_DRAIN;
            self.next = true;
        }
        Ok(())
    }

    /// Takes the order to drain at the first request after a chain.
    pub(crate) fn take_next(&mut self) -> bool {
        let next = std::mem::take(&mut self.next);
        self.active |= next;
        next
    }

    /// Everything held back, for teardown.
    pub(crate) fn take_all(&mut self) -> VecDeque<Req<H>> {
        self.held = 0;
        std::mem::take(&mut self.deferred)
    }

    /// Takes out the first request held back that `wanted` accepts.
    pub(crate) fn held(&self) -> usize {
        self.held
    }
}

fn members<H: Host>(head: &Req<H>) -> usize {
    let mut count = 1;
    let mut at = head;
    while let Some(next) = &at.next {
        count += 1;
        at = next;
    }
    count
}

impl<H: Host> Ring<H> {
    /// Puts a request behind the drain, and starts what may start.
    pub(crate) fn drain_or_issue(self: &Arc<Self>, sub: &mut Submit<H>, req: Req<H>) {
        let drains = req.has(IOSQE_IO_DRAIN);
        let count = sub.drain.deferred.len() + 1;
        if !crate::room::has_room(&mut sub.drain.deferred, count) {
            return self.fail(sub, req, Errno::ENOMEM);
        }
        sub.drain.held += members(&req);
        sub.drain.deferred.push_back(req);
        self.run_drain(sub);
        if !drains && sub.drain.deferred.is_empty() {
            sub.drain.active = false;
        }
    }

    /// Moves what is no longer held back to the ready queue. The first of the list waits until
    /// nothing else is alive; so does every drain, and all that stands behind one.
    pub(crate) fn run_drain(self: &Arc<Self>, sub: &mut Submit<H>) {
        let mut wait_for_all = true;
        let mut drain_seen = false;
        while let Some(first) = sub.drain.deferred.front() {
            drain_seen |= first.has(IOSQE_IO_DRAIN);
            if (wait_for_all || drain_seen) && sub.alive != sub.drain.held {
                return;
            }
            wait_for_all = false;
            if let Some(req) = sub.drain.deferred.pop_front() {
                sub.drain.held -= members(&req);
                sub.ready.push_back(req);
            }
        }
    }
}

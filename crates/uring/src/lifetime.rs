//! A ring's birth and death, and what else it does on its own: its header, its poll descriptor,
//! memory mapped later, messages from other rings.

use crate::cancel::Match;
use crate::engine::File;
use crate::ring::Ring;
use crate::stats::Past;
use crate::submit::Submit;
use crate::wait::Role;
use ringfence_abi::*;
use ringfence_host::atomic::AtomicI32;
use ringfence_host::shm::Shm;
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Clock, Event, Host, calls, plain};

/// In [`Ring::users`], once the ring's descriptors close with the last user of them.
const ENDED: usize = 1 << (usize::BITS - 1);

/// Whoever has it uses the ring's descriptors.
pub(crate) struct Held<'a, H: Host> {
    ring: &'a Ring<H>,
}

impl<H: Host> Drop for Held<'_, H> {
    #[inline]
    fn drop(&mut self) {
        if self.ring.users.fetch_sub(1, Ordering::SeqCst) == ENDED + 1 {
            self.ring.close_descriptors();
        }
    }
}

/// A word holds this minus a descriptor while that is being closed: for whoever uses it there is none
/// any more, for whoever closes all others it is still one of ours.
const CLOSING: i32 = -2;

impl<H: Host> Ring<H> {
    /// Fills in the words that never change.
    pub(crate) fn write_header(&self) {
        let store = |at: u32, value: u32| self.shm.store(at, value, Ordering::Relaxed);
        store(layout::SQ_MASK, self.layout.sq_entries() - 1);
        store(layout::CQ_MASK, self.layout.cq_entries() - 1);
        store(layout::SQ_ENTRIES, self.layout.sq_entries());
        store(layout::CQ_ENTRIES, self.layout.cq_entries());
    }

    /// Tears the ring down: everything parked is cancelled and every descriptor closed. What was
    /// done on it, by opcode.
    pub(crate) fn tear_down(self: &Arc<Self>) -> Past {
        self.dead.store(true, Ordering::SeqCst);
        let (past, files, direct) = self.with_submit(|ring, sub| {
            if const { H::BUGS.overflow_recursion } {
                ring.historic_overflow_flush(sub);
            }
            sub.closing = true;
            for req in sub.drain.take_all() {
                sub.ready.push_back(req);
            }
            ring.cancel_everything(sub);
            ring.run_ready(sub);
            let mut tags = Vec::new();
            sub.registered.buffers.clear(&mut tags);
            let files = std::mem::take(&mut sub.registered.files);
            sub.leaving = files.fds();
            sub.leaving.push(sub.direct.fd());
            (sub.past(), files, sub.direct.close())
        });
        // Closing files may block or lead back here; no lock is held.
        drop(files);
        drop(direct);
        self.submit.lock().leaving = Vec::new();
        if let Some(held) = self.hold_descriptors() {
            // Pairs with `wait_events`: of its count and this ring's death one side sees the other's.
            if self.users.fetch_or(ENDED, Ordering::SeqCst) != 1 {
                self.wake_waiter();
            }
            drop(held);
        }
        past
    }

    /// Keeps the ring's descriptors open, and their numbers from being anybody else's: a number that was
    /// read before it was closed would name another file. `None` once they are closed.
    #[inline]
    pub(crate) fn hold_descriptors(&self) -> Option<Held<'_, H>> {
        let mut users = self.users.load(Ordering::SeqCst);
        while users != ENDED {
            let (success, failure) = (Ordering::SeqCst, Ordering::SeqCst);
            match self.users.compare_exchange_weak(users, users + 1, success, failure) {
                Ok(_) => return Some(Held { ring: self }),
                Err(now) => users = now,
            }
        }
        None
    }

    /// Closes the descriptors of a dead ring, which nobody uses any more.
    fn close_descriptors(&self) {
        for word in self.words() {
            let fd = word.load(Ordering::Acquire);
            if fd >= 0 {
                word.store(CLOSING - fd, Ordering::Release);
                let _ = calls::close(&self.host, fd);
                word.store(-1, Ordering::Release);
            }
        }
        {
            // The close of an eventfd does not block.
            let mut eventfd = self.eventfd.lock();
            if let Some(eventfd) = *eventfd {
                let _ = calls::close(&self.host, eventfd.fd);
            }
            *eventfd = None;
        }
        self.shared.left(self);
    }

    /// Waits in the ring's epoll set. A ring that is torn down meanwhile keeps its descriptors
    /// until the last one has left it: another file might get the number, and the set made anew for
    /// a dead ring would have nobody to ring its bell.
    ///
    /// # Errors
    /// `EBADF` for a dead ring; `EINTR` when a signal handler ran, or forked; see [`Ring::is_left`].
    pub(crate) fn wait_events(
        &self,
        events: &mut [Event],
        timeout: Option<u64>,
        sigmask: Option<u64>,
    ) -> Result<usize> {
        let held = self.hold_descriptors().ok_or(Errno::EBADF)?;
        let result = if self.dead.load(Ordering::SeqCst) {
            Err(Errno::EBADF)
        } else {
            self.epoll().and_then(|epfd| self.host.wait(epfd, events, timeout, sigmask))
        };
        if self.shared.left.load(Ordering::Acquire) {
            // A handler forked in that call, and this is the child: what came is the parent's.
            std::mem::forget(held);
            return Err(Errno::EINTR);
        }
        if self.dead.load(Ordering::SeqCst) {
            // The next of those who wait.
            self.wake_waiter();
        }
        drop(held);
        result
    }

    /// The words that hold its own descriptors.
    fn words(&self) -> [&AtomicI32<H>; 6] {
        [&self.epfd, &self.waker, &self.sq_waker, &self.sq_process, &self.poll_fd, &self.memory]
    }

    /// The ring's own descriptors until each is closed, -1 for those it has not.
    pub(crate) fn fds(&self) -> Vec<i32> {
        let open = |word: &AtomicI32<H>| match word.load(Ordering::Acquire) {
            closing @ ..=CLOSING => CLOSING - closing,
            fd => fd,
        };
        let mut fds: Vec<i32> = self.words().into_iter().map(open).collect();
        fds.push(self.eventfd.lock().map_or(-1, |eventfd| eventfd.fd));
        let sub = self.submit.lock();
        fds.extend(&sub.leaving);
        fds.push(sub.direct.fd());
        fds.extend(sub.registered.files.fds());
        fds.extend(sub.parked.iter().filter_map(|(_, entry)| match &entry.waits {
            crate::parked::Waits::Ready { fd, req, .. } => {
                matches!(req.file, crate::request::FileRef::Owned(_)).then_some(*fd)
            }
            _ => None,
        }));
        fds
    }

    /// From now on the ring holds something that others see it let go of.
    pub(crate) fn hold(self: &Arc<Self>) {
        self.holds.store(true, Ordering::Release);
        self.shared.attendant.notice(self);
    }

    /// Cancels all that is parked; what a worker has ends when the worker is done.
    fn cancel_everything(self: &Arc<Self>, sub: &mut Submit<H>) {
        let mut at = 0;
        while let Some((key, _, next)) = sub.parked.next_at(at) {
            at = next;
            let _ = crate::cancel::cancel_parked(sub, key);
        }
    }

    /// Maps more of the ring's own memory, as for buffer rings that the engine allocates.
    pub(crate) fn map_more(&self, offset: u64, len: usize) -> Result<Shm> {
        Shm::map(self.memory.load(Ordering::Acquire), offset, len, len).ok_or(Errno::ENOMEM)
    }

    /// `POLL*` bits that hold for the ring now.
    pub(crate) fn readiness(&self) -> u32 {
        let ready = self.cq.lock().ready(&self.shm, &self.layout);
        let mut events = if self.sq_is_full() { 0 } else { libc::EPOLLOUT as u32 };
        if ready > 0 {
            events |= libc::EPOLLIN as u32;
        }
        events
    }

    /// The descriptor that is readable while completions are there.
    pub(crate) fn make_poll_fd(self: &Arc<Self>) -> Result<i32> {
        let fd = self.poll_fd.load(Ordering::Acquire);
        if fd >= 0 {
            return Ok(fd);
        }
        let _held = self.hold_descriptors().ok_or(Errno::EBADF)?;
        let fd = calls::make_private(&self.host, calls::eventfd(&self.host)?);
        let made = self.poll_fd.compare_exchange(-1, fd, Ordering::AcqRel, Ordering::Acquire);
        if let Err(other) = made {
            let _ = calls::close(&self.host, fd);
            return Ok(other);
        }
        self.announces.store(true, Ordering::Release);
        self.refresh_poll_fd();
        if self.must_be_looked_at() {
            self.look_from_time_to_time();
        }
        Ok(fd)
    }

    /// Makes the poll descriptor tell the truth: the program takes completions without a call.
    pub(crate) fn refresh_poll_fd(&self) {
        let Some(_held) = self.hold_descriptors() else { return };
        let fd = self.poll_fd.load(Ordering::Acquire);
        if fd < 0 {
            return;
        }
        calls::eventfd_drain(&self.host, fd);
        if self.cq.lock().ready(&self.shm, &self.layout) > 0 {
            calls::eventfd_signal(&self.host, fd);
        }
    }

    /// A file sent by another ring.
    ///
    /// # Errors
    /// `EAGAIN` if the ring is busy, else as for installing a file.
    pub(crate) fn install_message(&self, file_index: u32, file: File<H>) -> Result<u32> {
        // Never two submission locks at once, but by trying.
        let mut sub = self.submit.try_lock().ok_or(Errno::EAGAIN)?;
        if file_index == 0 {
            return Err(Errno::EINVAL);
        }
        let sub = &mut *sub;
        sub.registered.install(file_index, file, &mut sub.batch)
    }

    /// Before this ring itself closes a descriptor, under its lock.
    pub(crate) fn keep_before_close(self: &Arc<Self>, sub: &mut Submit<H>, fd: i32) {
        sub.kinds.forget(fd as u32, fd as u32);
        self.keep_file(sub, fd);
        // The one place where a call is awaited under the lock; it has an end.
        let begun = self.keep_at_workers(sub, fd as u32, fd as u32);
        begun.iter().for_each(|job| job.await_call());
    }

    /// `IORING_REGISTER_SYNC_CANCEL`: cancels, and waits while a match is running.
    pub(crate) fn sync_cancel(self: &Arc<Self>, arg: u64, nr: u32) -> Result<u32> {
        if arg == 0 || nr != 1 {
            return Err(Errno::EINVAL);
        }
        let what: SyncCancelReg = plain::read(&self.host, arg)?;
        if what.pad != [0; 7] || what.pad2 != [0; 3] {
            return Err(Errno::EINVAL);
        }
        let wanted =
            Match { user_data: what.addr, fd: what.fd, opcode: what.opcode, flags: what.flags };
        wanted.check()?;
        let endless = what.timeout.tv_sec == -1 && what.timeout.tv_nsec == -1;
        let limit = (what.timeout.tv_sec.max(0) as u64)
            .saturating_mul(1_000_000_000)
            .saturating_add(what.timeout.tv_nsec.max(0) as u64);
        let start = self.host.now(Clock::Monotonic);
        let mut waited = false;
        loop {
            let result =
                self.with_submit(|ring, sub| crate::cancel::cancel(&ring.host, sub, &wanted));
            match result {
                Ok(_) | Err(Errno::ENOENT) if waited => return Ok(0),
                Ok(count) => return Ok(count as u32),
                Err(Errno::EALREADY) => waited = true,
                Err(errno) => return Err(errno),
            }
            if !endless && self.host.now(Clock::Monotonic).saturating_sub(start) >= limit {
                return Err(Errno::ETIME);
            }
            self.drive(Role::Guest, Some(1_000_000), None)?;
        }
    }
}

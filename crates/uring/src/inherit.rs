//! Rings that a child of fork inherits.
//!
//! The ring's memory is shared with the parent, the engine is not. A child that uses such a ring
//! *adopts* it: its own engine goes on where the shared counters say, and what it submits is done in
//! its own process. From then on the ring is *shared*, which a word in its memory tells both: each
//! round under the submission lock starts with the counters of the other, within a file lock on the
//! ring's memory, and waits look at the ring from time to time, as nobody rings a bell across
//! processes. Requests stay with the process that submitted them, and so do registered files and
//! buffers. A ring that is not used by two processes pays one load for this.

use crate::cq::Cq;
use crate::engine::{Engine, Shared};
use crate::ring::{Layout, Ring};
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::shm::Shm;
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::words::{Word, Words};
use ringfence_host::{Host, RingMemory, calls};
use std::collections::HashMap;

/// A word of the ring's first page that is no counter and that the kernel leaves unused: not 0 once a
/// second process has adopted the ring.
const SHARED: u32 = 48;

/// How long a wait on a shared ring sleeps before it looks again, nanoseconds.
pub(crate) const LOOK_NS: u64 = 2_000_000;

/// The parent's rings as they were at the fork, by descriptor. Their locks are the parent's threads'
/// and are never taken here.
pub(crate) type Inherited<H> = HashMap<i32, Arc<Ring<H>>>;

/// Whether another process uses the ring too; never so of a context of Linux AIO, whose memory has
/// another form.
#[inline]
pub(crate) fn is_shared(shm: &impl Words, ring: &Layout) -> bool {
    ring.io_events == 0 && shm.load(SHARED, Ordering::Acquire) != 0
}

impl<H: Host> Shared<H> {
    /// The rings that a child is to inherit. Where nobody told of the fork beforehand there are none if
    /// another thread was changing the table just then: its lock is never let go of in the child.
    pub(crate) fn to_inherit(&self) -> Inherited<H> {
        let prepared = self.at_fork.try_lock().and_then(|mut rings| rings.take());
        prepared.unwrap_or_else(|| {
            let unused = self.inherited.try_lock().map(|rings| rings.clone()).unwrap_or_default();
            let rings = self.rings.try_lock().map(|rings| rings.by_fd.clone()).unwrap_or_default();
            unused.into_iter().chain(rings).collect()
        })
    }
}

impl<H: Host> Engine<H> {
    /// Whether there are rings of a parent's that may be used yet.
    pub fn inherits(&self) -> bool {
        self.shared.inherits.load(Ordering::Acquire)
    }

    /// Before a fork: the child's rings are noted while nobody changes the table, and each gets the
    /// waker by which a child can tell a sleeper that it has adopted the ring. One fork at a time.
    pub fn before_fork(&self) {
        let own = self.shared.rings.lock().by_fd.clone();
        for ring in own.values() {
            let _ = ring.epoll();
        }
        if own.values().any(|ring| ring.has(IORING_SETUP_SQPOLL)) {
            self.shared.open_process(&self.host);
        }
        let unused = self.shared.inherited.lock().clone();
        *self.shared.at_fork.lock() = Some(unused.into_iter().chain(own).collect());
    }

    /// After it in the parent.
    pub fn after_fork_here(&self) {
        let rings = self.shared.at_fork.lock().take();
        drop(rings);
    }

    /// The ring a call means, adopted if it is a parent's.
    pub(crate) fn named(&self, fd: i32, registered: bool) -> Result<Arc<Ring<H>>> {
        self.shared.named(&self.host, fd, registered)
    }
}

impl<H: Host> Shared<H> {
    /// A pidfd of this process, for children.
    fn open_process(&self, host: &H) {
        if self.process.load(Ordering::Acquire) < 0
            && let Ok(pid) = host.syscall(libc::SYS_getpid, [0; 6])
            && let Ok(fd) = host.syscall(libc::SYS_pidfd_open, [pid, 0, 0, 0, 0, 0])
        {
            self.process.store(calls::make_private(host, fd as i32), Ordering::Release);
        }
    }

    /// Whether a descriptor is a ring of the parent's that has not been used.
    pub(crate) fn is_inherited(&self, fd: i32) -> bool {
        self.inherits.load(Ordering::Acquire) && self.inherited.lock().contains_key(&fd)
    }

    /// Takes over a ring of the parent's; `None` if the descriptor is none, or cannot be.
    pub(crate) fn adopt(self: &Arc<Self>, fd: i32) -> Option<Arc<Ring<H>>> {
        if !self.inherits.load(Ordering::Acquire) {
            return None;
        }
        let (parents, names) = {
            let mut inherited = self.inherited.lock();
            let parents = inherited.remove(&fd)?;
            let others = inherited.extract_if(|_, ring| Arc::ptr_eq(ring, &parents));
            let others: Vec<i32> = others.map(|(fd, _)| fd).collect();
            self.inherits.store(!inherited.is_empty(), Ordering::Release);
            (parents, others)
        };
        if parents.has(IORING_SETUP_NO_MMAP) {
            // Nobody knows whether the child's memory is its parent's.
            return None;
        }
        let own = parents.memory.load(Ordering::Acquire);
        let (sq_entries, cq_entries) = (parents.layout.sq_entries(), parents.layout.cq_entries());
        let layout = Layout::new(sq_entries, cq_entries, parents.layout.flags);
        let [rings_max, sqes_max] = crate::register::resize::room(&layout);
        let shm = Shm::map(own, IORING_OFF_SQ_RING, layout.rings_len(), rings_max)?;
        let sqes = Shm::map(own, IORING_OFF_SQES, layout.sqes_len(), sqes_max)?;
        let memory = RingMemory { fd, own, watch: -1 };
        let params = Params { flags: layout.flags, ..Params::default() };
        let engine = Engine { host: parents.host.clone(), shared: Arc::clone(self) };
        let mut ring = crate::engine::new_ring(&engine, memory, layout, shm, sqes, &params);
        *ring.owner.get_mut() = parents.owner.load(Ordering::Acquire);
        *ring.disabled.get_mut() = parents.disabled.load(Ordering::Acquire);
        // The parent's thread consumes the queue of such a ring, and is woken by its own waker.
        *ring.sq_waker.get_mut() = parents.sq_waker.load(Ordering::Acquire);
        if ring.has(IORING_SETUP_SQPOLL) {
            // A grandparent's, or the parent's own.
            let far = parents.sq_process.load(Ordering::Acquire);
            let near = parents.shared.process.load(Ordering::Acquire);
            let process = if far >= 0 { far } else { near };
            *ring.sq_process.get_mut() = calls::dup_private(&engine.host, process).unwrap_or(-1);
        }
        ring.shm.store(SHARED, 1, Ordering::Release);
        // Who sleeps there learns that it must look for itself from now on; so does who polls the ring.
        for bell in [&parents.waker, &parents.poll_fd] {
            let bell = bell.load(Ordering::Acquire);
            if bell >= 0 {
                calls::eventfd_signal(&engine.host, bell);
            }
        }
        let ring = self.enlist(Arc::new(ring));
        let mut rings = self.rings.lock();
        rings.by_fd.extend(names.into_iter().map(|name| (name, Arc::clone(&ring))));
        drop(rings);
        Some(ring)
    }
}

impl<H: Host> Ring<H> {
    /// Whether another process may post to this ring unheard while something polls it here.
    pub(crate) fn must_be_looked_at(&self) -> bool {
        self.poll_fd.load(Ordering::Acquire) >= 0 && is_shared(&self.shm, &self.layout)
    }

    /// Has the attendant look at the ring every 2 ms.
    pub(crate) fn look_from_time_to_time(self: &Arc<Self>) {
        self.shared.attendant.notice(self);
    }

    /// One such look: whoever polls the ring is told what another process has posted or taken.
    pub(crate) fn look_for_others(&self) {
        let fd = self.poll_fd.load(Ordering::Acquire);
        let told = calls::poll_now(&self.host, fd, libc::POLLIN as u32).is_ok_and(|now| now != 0);
        let ready = self.look().0 > 0;
        // Told once: each time it is, an edge-triggered watch wakes up.
        if ready != told {
            self.refresh_poll_fd();
            if ready {
                self.nudge_pollers();
            }
        }
    }

    /// Whether a handler that interrupted a wait on this ring forked, and this is the child, on its way
    /// out of its parent's call. Nothing of the ring may be touched: its locks are the parent's, and
    /// nobody lets go of them here. To the child the wait was interrupted, as it is to the kernel's.
    #[cold]
    pub(crate) fn is_left(&self, errno: Errno) -> bool {
        errno == Errno::EINTR && self.shared.left.load(Ordering::Acquire)
    }
}

/// The lock between the processes; dropped, it is free.
pub(crate) struct Turn<'a, H: Host> {
    ring: &'a Ring<H>,
}

impl<H: Host> Ring<H> {
    /// Waits for this process's turn on a shared ring, and takes the counters over.
    #[inline]
    pub(crate) fn begin_turn(&self, sub: &mut Submit<H>) -> Option<Turn<'_, H>> {
        is_shared(&self.shm, &self.layout).then(|| self.take_turn(sub))
    }

    #[cold]
    fn take_turn(&self, sub: &mut Submit<H>) -> Turn<'_, H> {
        self.lock_memory(libc::F_WRLCK, libc::F_SETLKW);
        sub.go_on_at(self.shm.load(layout::SQ_HEAD, Ordering::Acquire));
        Turn { ring: self }
    }

    fn lock_memory(&self, kind: i32, command: i32) {
        let fd = self.memory.load(Ordering::Acquire);
        let lock = libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 1,
            l_pid: 0,
        };
        let at = std::ptr::from_ref(&lock) as u64;
        let args = [fd as u64, command as u64, at, 0, 0, 0];
        while self.host.syscall(libc::SYS_fcntl, args) == Err(Errno::EINTR) {}
    }

    /// Wakes the parent's SQPOLL thread of an adopted ring, which looks at the flag only.
    pub(crate) fn ask_other_sq_thread(&self) {
        if is_shared(&self.shm, &self.layout) {
            self.shm.clear_bits(layout::SQ_FLAGS, IORING_SQ_NEED_WAKEUP);
        }
    }
}

impl<H: Host> Drop for Turn<'_, H> {
    fn drop(&mut self) {
        self.ring.lock_memory(libc::F_UNLCK, libc::F_SETLK);
    }
}

impl<W: Word> Cq<W> {
    /// Where the next completion goes: behind those of the other process too.
    #[inline]
    pub(crate) fn catch_up(&mut self, shm: &impl Words, ring: &Layout) {
        if is_shared(shm, ring) {
            self.go_on_at(shm.load(layout::CQ_TAIL, Ordering::Acquire));
        }
    }
}

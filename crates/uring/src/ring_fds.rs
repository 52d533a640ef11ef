//! The rings that a thread has registered, and their end with the thread.

use crate::engine::{Rings, Shared, no_ring};
use crate::ring::Ring;
use ringfence_abi::*;
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Host, plain};

/// Registered rings a thread may have.
pub(crate) const RING_FDS_MAX: usize = 16;

/// The registered rings of one thread, by index.
pub(crate) type Slots<H> = [Option<Arc<Ring<H>>>; RING_FDS_MAX];

impl<H: Host> Shared<H> {
    /// The calling thread's registered rings. The first time, their end is tied to the thread's, and
    /// that of its work: they would stay for good, and be found by a later thread of the same number.
    pub(crate) fn slots<'a>(
        self: &Arc<Self>,
        host: &H,
        rings: &'a mut Rings<H>,
    ) -> &'a mut Slots<H> {
        let thread = host.thread_id();
        rings.registered.entry(thread).or_insert_with(|| {
            let (shared, here) = (Arc::downgrade(self), host.clone());
            host.at_thread_exit(Box::new(move || {
                if let Some(shared) = shared.upgrade() {
                    shared.thread_gone(thread);
                    shared.cancel_work_of(&here, thread);
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

    /// `IORING_REGISTER_RING_FDS`: how many of `nr` rows at `arg` were registered.
    pub(crate) fn register_ring_fds(self: &Arc<Self>, host: &H, arg: u64, nr: u32) -> Result<u32> {
        if nr == 0 || nr as usize > RING_FDS_MAX {
            return Err(Errno::EINVAL);
        }
        for index in 0..nr {
            if let Err(errno) = self.register_ring_fd(host, arg, index) {
                return if index > 0 { Ok(index) } else { Err(errno) };
            }
        }
        Ok(nr)
    }

    fn register_ring_fd(self: &Arc<Self>, host: &H, arg: u64, index: u32) -> Result<()> {
        let mut row: FilesUpdate = plain::read_at(host, arg, u64::from(index))?;
        if row.resv != 0 {
            return Err(Errno::EINVAL);
        }
        let ring = self.ring(row.fds as i32).ok_or_else(|| no_ring(host, row.fds as i32))?;
        let mut rings = self.rings.lock();
        let slots = self.slots(host, &mut rings);
        let slot = match row.offset {
            u32::MAX => slots.iter().position(Option::is_none).ok_or(Errno::EBUSY)?,
            slot if (slot as usize) < RING_FDS_MAX => slot as usize,
            _ => return Err(Errno::EINVAL),
        };
        if slots[slot].is_some() {
            return Err(Errno::EBUSY);
        }
        slots[slot] = Some(ring);
        drop(rings);
        row.offset = slot as u32;
        plain::write(
            host,
            arg.wrapping_add(u64::from(index) * size_of::<FilesUpdate>() as u64),
            &row,
        )
    }

    /// `IORING_UNREGISTER_RING_FDS`, likewise.
    pub(crate) fn unregister_ring_fds(&self, host: &H, arg: u64, nr: u32) -> Result<u32> {
        if nr == 0 || nr as usize > RING_FDS_MAX {
            return Err(Errno::EINVAL);
        }
        for index in 0..nr {
            let row: FilesUpdate = plain::read_at(host, arg, u64::from(index))?;
            if row.resv != 0 || row.fds != 0 || row.offset as usize >= RING_FDS_MAX {
                return if index > 0 { Ok(index) } else { Err(Errno::EINVAL) };
            }
            let mut rings = self.rings.lock();
            let gone = rings
                .registered
                .get_mut(&host.thread_id())
                .and_then(|slots| slots[row.offset as usize].take());
            let unnamed = gone
                .filter(|ring| !is_named(&rings, ring) && ring.released.load(Ordering::Acquire));
            drop(rings);
            if let Some(ring) = unnamed {
                self.release(&ring);
            }
        }
        Ok(nr)
    }
}

/// Whether a thread has the ring registered.
pub(crate) fn is_named<H: Host>(rings: &Rings<H>, ring: &Arc<Ring<H>>) -> bool {
    rings.registered.values().flatten().flatten().any(|other| Arc::ptr_eq(other, ring))
}

//! `IORING_REGISTER_RESIZE_RINGS`: the queues get other sizes, and keep what stands in them.
//!
//! The memory of a ring that may be resized has room for the largest queues, of which only the
//! pages in use exist. The queues stay where they are and their entries move: a mapping made
//! before sees them at other places, one made after as setup would have laid them out.

use crate::cq::Cq;
use crate::ring::{Layout, Ring};
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::shm::Shm;
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::words::Word;
use ringfence_host::{Host, plain};

/// What a resize may ask for besides sizes.
const KNOWN: u32 = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;

/// What the ring keeps of its flags.
const KEPT: u32 = IORING_SETUP_NO_SQARRAY
    | IORING_SETUP_SQE128
    | IORING_SETUP_CQE32
    | IORING_SETUP_NO_MMAP
    | IORING_SETUP_CQE_MIXED
    | IORING_SETUP_SQE_MIXED;

/// Lengths of the mappings of both queues and of the entries that leave room to grow, bytes.
pub(crate) fn room(ring: &Layout) -> [usize; 2] {
    if !ring.has(IORING_SETUP_DEFER_TASKRUN) {
        return [ring.rings_len(), ring.sqes_len()];
    }
    let largest = Layout::new(SQ_ENTRIES_MAX, CQ_ENTRIES_MAX, ring.flags);
    [largest.rings_len(), largest.sqes_len()]
}

/// A queue's entries that wait, as bytes taken out and put back.
struct Queue<'a> {
    shm: &'a Shm,
    /// Where entries begin, and how long one is, bytes.
    base: usize,
    size: usize,
}

impl Queue<'_> {
    fn words(&self, entry: u32) -> impl Iterator<Item = usize> {
        let at = self.base + entry as usize * self.size;
        (at..at + self.size).step_by(8)
    }

    /// The entries from `head`, `count` of them, in a queue of `entries`.
    fn take(&self, head: u32, count: u32, entries: u32) -> Vec<u64> {
        let places = (0..count).map(|index| head.wrapping_add(index) & (entries - 1));
        places.flat_map(|place| self.words(place)).map(|at| self.shm.read(at)).collect()
    }

    /// Puts them into a queue of `entries`.
    fn put(&self, head: u32, entries: u32, taken: &[u64]) {
        for (index, entry) in taken.chunks(self.size / 8).enumerate() {
            let place = head.wrapping_add(index as u32) & (entries - 1);
            for (at, word) in self.words(place).zip(entry) {
                self.shm.write(at, *word);
            }
        }
    }
}

/// Moves what waits in both queues to where it stands with the new sizes.
fn move_entries<H: Host>(
    ring: &Ring<H>,
    head: u32,
    cq: &Cq<impl Word>,
    new: &Layout,
) -> Result<()> {
    let old = &ring.layout;
    let waiting = ring.shm.load(layout::SQ_TAIL, Ordering::Acquire).wrapping_sub(head);
    let ready = cq.tail().wrapping_sub(ring.shm.load(layout::CQ_HEAD, Ordering::Acquire));
    if waiting > new.sq_entries() || ready > new.cq_entries() {
        return Err(Errno::EOVERFLOW);
    }
    let sqes = Queue { shm: &ring.sqes, base: 0, size: old.sqe_size as usize };
    let cqes = Queue { shm: &ring.shm, base: old.cqe_at(0), size: old.cqe_size() };
    // No more than the queues hold, whatever the program says.
    let (waiting, ready) = (waiting.min(old.sq_entries()), ready.min(old.cq_entries()));
    let cq_head = cq.tail().wrapping_sub(ready);
    let sq = sqes.take(head, waiting, old.sq_entries());
    let cq = cqes.take(cq_head, ready, old.cq_entries());
    if let Some(array) = new.array() {
        (0..new.sq_entries()).for_each(|at| ring.shm.store(array + at * 4, 0, Ordering::Relaxed));
    }
    sqes.put(head, new.sq_entries(), &sq);
    cqes.put(cq_head, new.cq_entries(), &cq);
    Ok(())
}

pub(super) fn resize<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg == 0 || nr != 1 || !ring.is_deferred() {
        return Err(Errno::EINVAL);
    }
    let mut params: Params = plain::read(&ring.host, arg)?;
    if params.flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    params.flags |= ring.layout.flags & KEPT;
    let new = crate::setup::sizes(params.sq_entries, &params)?;
    if new.rings_len() > ring.shm.len() || new.sqes_len() > ring.sqes.len() {
        // The program's own memory, which a ring cannot be given anew.
        return Err(Errno::ENOMEM);
    }
    crate::setup::describe(&new, &mut params);
    plain::write(&ring.host, arg, &params)?;
    let cq = ring.cq.lock();
    move_entries(ring, sub.head(), &cq, &new)?;
    ring.layout.resize(&new);
    drop(cq);
    ring.write_header();
    Ok(0)
}

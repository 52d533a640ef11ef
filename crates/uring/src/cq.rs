//! The completion queue: the entries in shared memory, what overflowed, and who waits.
//!
//! Everything here happens under the completion lock, the innermost one. Nothing here queues,
//! frees or completes a request; who must be woken is returned to the caller, who wakes after
//! unlocking.

use crate::ring::Layout;
use crate::room::has_room;
use ringfence_abi::{
    Cqe, IORING_CQ_EVENTFD_DISABLED, IORING_CQE_F_32, IORING_CQE_F_SKIP, IORING_SQ_CQ_OVERFLOW,
    layout,
};
use ringfence_host::sync::{Arc, AtomicBool, Ordering};
use ringfence_host::words::{Word, Words};
use std::collections::VecDeque;

/// A completion on its way to the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) cqe: Cqe,
    /// The second half, in rings with 32-byte entries.
    pub(crate) big: [u64; 2],
    /// A 32-byte entry in a mixed ring.
    pub(crate) wide: bool,
}

/// A thread that waits for completions.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    id: u64,
    /// How many completions it waits for; what counts for AIO, whose events it takes itself.
    want: u32,
    /// Where the tail will be when they have come, whoever takes them meanwhile.
    until: u32,
    /// The count of fired timeouts when it began; a new one wakes it whatever it waits for.
    timeouts: u32,
}

/// What is to be done after unlocking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wake {
    /// A waiter has what it waits for.
    pub(crate) waiters: bool,
    /// Something was posted: who polls the ring must see it.
    pub(crate) posted: bool,
    /// The registered eventfd is due as well.
    pub(crate) eventfd: bool,
}

impl Wake {
    pub(crate) fn merge(&mut self, other: Wake) {
        self.waiters |= other.waiters;
        self.posted |= other.posted;
        self.eventfd |= other.eventfd;
    }
}

/// What can be known of the queue without its lock: written under it, at each publication.
#[derive(Debug, Default)]
pub(crate) struct View<W: Word> {
    tail: W,
    /// Not 0 while completions wait outside the ring.
    overflowed: W,
    timeouts: W,
    /// Completions were lost and nobody has been told.
    lost: AtomicBool,
}

impl<W: Word> View<W> {
    /// Whether completions were lost since this was asked last.
    pub(crate) fn take_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed) && self.lost.swap(false, Ordering::Relaxed)
    }

    /// Entries in the ring and the count of fired timeouts, unless completions wait outside the
    /// ring, which must be moved into it first.
    pub(crate) fn look(&self, shm: &impl Words, ring: &Layout) -> Option<(u32, u32)> {
        if self.overflowed.load(Ordering::Acquire) != 0 || crate::inherit::is_shared(shm, ring) {
            return None;
        }
        let head = shm.load(layout::CQ_HEAD, Ordering::Acquire);
        let ready = ring.used(head, self.tail.load(Ordering::Acquire));
        Some((ready, self.timeouts.load(Ordering::Acquire)))
    }
}

/// The completion queue of a ring.
#[derive(Debug)]
pub(crate) struct Cq<W: Word> {
    view: Arc<View<W>>,
    tail: u32,
    overflow: VecDeque<Entry>,
    waiters: Vec<Waiter>,
    next_waiter: u64,
    /// Timeouts that fired so far; they count apart from other completions.
    pub(crate) timeouts: u32,
    /// Entries posted so far, overflowed ones included.
    pub(crate) posted: u32,
    /// Nothing is waited for any more.
    pub(crate) closed: bool,
}

impl<W: Word> Cq<W> {
    pub(crate) fn new(view: Arc<View<W>>) -> Cq<W> {
        Cq {
            view,
            tail: 0,
            overflow: VecDeque::new(),
            waiters: Vec::new(),
            next_waiter: 0,
            timeouts: 0,
            posted: 0,
            closed: false,
        }
    }

    /// The next completion goes here.
    pub(crate) fn go_on_at(&mut self, tail: u32) {
        self.tail = tail;
        self.view.tail.store(tail, Ordering::Release);
    }

    /// Where the next entry goes.
    pub(crate) fn tail(&self) -> u32 {
        self.tail
    }

    /// Entries in the ring that the program has not taken. The program's head is believed only
    /// as far as it makes sense.
    pub(crate) fn ready(&self, shm: &impl Words, ring: &Layout) -> u32 {
        ring.used(shm.load(layout::CQ_HEAD, Ordering::Acquire), self.tail)
    }

    /// Whether `slots` more entries fit.
    fn has_room(&self, shm: &impl Words, ring: &Layout, slots: u32) -> bool {
        ring.cq_entries() - self.ready(shm, ring) >= slots
    }

    /// Whether completions wait outside the ring.
    pub(crate) fn has_overflow(&self) -> bool {
        !self.overflow.is_empty()
    }

    /// Posts entries, in order; what does not fit is kept.
    pub(crate) fn post(&mut self, shm: &impl Words, ring: &Layout, entries: &[Entry]) -> Wake {
        if entries.is_empty() {
            return Wake::default();
        }
        self.catch_up(shm, ring);
        let mut entries = entries;
        if self.overflow.is_empty() && !ring.mixed && !ring.cqe32 && ring.io_events == 0 {
            entries = self.write_plain(shm, ring, entries);
        }
        for entry in entries {
            self.posted = self.posted.wrapping_add(1);
            // Once anything overflowed, later ones queue behind it, or order would be lost.
            if !self.overflow.is_empty() || !self.write(shm, ring, entry) {
                self.keep(shm, entry);
                if ring.io_events == 0 {
                    shm.set_bits(layout::SQ_FLAGS, IORING_SQ_CQ_OVERFLOW);
                }
            }
        }
        self.publish(shm, ring)
    }

    /// Posts an entry only if it fits in the ring; false if it does not.
    pub(crate) fn try_post(
        &mut self,
        shm: &impl Words,
        ring: &Layout,
        entry: &Entry,
    ) -> Option<Wake> {
        self.catch_up(shm, ring);
        if !self.overflow.is_empty() || !self.write(shm, ring, entry) {
            return None;
        }
        self.posted = self.posted.wrapping_add(1);
        Some(self.publish(shm, ring))
    }

    /// Keeps a completion outside the ring; without memory for it it is lost, and counted.
    fn keep(&mut self, shm: &impl Words, entry: &Entry) {
        let count = self.overflow.len() + 1;
        if has_room(&mut self.overflow, count) {
            return self.overflow.push_back(*entry);
        }
        let lost = shm.load(layout::CQ_OVERFLOW, Ordering::Relaxed).wrapping_add(1);
        shm.store(layout::CQ_OVERFLOW, lost, Ordering::Relaxed);
        self.view.lost.store(true, Ordering::Relaxed);
    }

    fn publish(&mut self, shm: &impl Words, ring: &Layout) -> Wake {
        // Pairs with the program's acquire load of the tail: entries before it are written.
        shm.store(layout::CQ_TAIL, self.tail, Ordering::Release);
        // After it: a wait that sees these returns to a program that must see the tail.
        self.view.overflowed.store(u32::from(!self.overflow.is_empty()), Ordering::Release);
        self.view.tail.store(self.tail, Ordering::Release);
        self.view.timeouts.store(self.timeouts, Ordering::Release);
        let disabled = ring.io_events == 0
            && shm.load(layout::CQ_FLAGS, Ordering::Relaxed) & IORING_CQ_EVENTFD_DISABLED != 0;
        Wake { waiters: self.any_satisfied(shm, ring), posted: true, eventfd: !disabled }
    }

    /// Writes as many 16-byte entries as fit; those that do not are returned.
    fn write_plain<'a>(
        &mut self,
        shm: &impl Words,
        ring: &Layout,
        entries: &'a [Entry],
    ) -> &'a [Entry] {
        let room = ring.cq_entries() - self.ready(shm, ring);
        let (fit, rest) = entries.split_at(entries.len().min(room as usize));
        let mask = ring.cq_entries() - 1;
        for entry in fit {
            shm.write(layout::CQES as usize + ((self.tail & mask) as usize) * 16, entry.cqe);
            self.tail = self.tail.wrapping_add(1);
        }
        self.posted = self.posted.wrapping_add(fit.len() as u32);
        rest
    }

    fn write(&mut self, shm: &impl Words, ring: &Layout, entry: &Entry) -> bool {
        if ring.io_events > 0 {
            return self.write_event(shm, ring, entry);
        }
        let wide = entry.wide && ring.mixed;
        let mask = ring.cq_entries() - 1;
        let last = self.tail & mask == mask;
        let slots = if wide { 2 + u32::from(last) } else { 1 };
        if !self.has_room(shm, ring, slots) {
            return false;
        }
        if wide && last {
            // A 32-byte entry never wraps: fill the last slot.
            let filler = Cqe { flags: IORING_CQE_F_SKIP, ..Cqe::default() };
            shm.write(ring.cqe_at(self.tail & mask), filler);
            self.tail = self.tail.wrapping_add(1);
        }
        let at = ring.cqe_at(self.tail & mask);
        let mut cqe = entry.cqe;
        if wide {
            cqe.flags |= IORING_CQE_F_32;
        }
        shm.write(at, cqe);
        if wide || ring.cqe32 {
            shm.write(at + size_of::<Cqe>(), entry.big);
        }
        self.tail = self.tail.wrapping_add(if wide { 2 } else { 1 });
        true
    }

    /// Writes an `io_event`. There is room but for a program that damages its own head: requests
    /// are accepted for free places only.
    fn write_event(&mut self, shm: &impl Words, ring: &Layout, entry: &Entry) -> bool {
        if !self.has_room(shm, ring, 1) {
            return false;
        }
        crate::aio::ring::write(shm, self.tail, entry);
        self.tail = (self.tail + 1) % ring.io_events;
        true
    }

    /// Moves kept completions into the ring as far as they fit.
    pub(crate) fn flush_overflow(&mut self, shm: &impl Words, ring: &Layout) -> Wake {
        self.catch_up(shm, ring);
        if self.overflow.is_empty() {
            return Wake::default();
        }
        while let Some(entry) = self.overflow.front().copied() {
            if !self.write(shm, ring, &entry) {
                break;
            }
            self.overflow.pop_front();
        }
        if self.overflow.is_empty() && ring.io_events == 0 {
            shm.clear_bits(layout::SQ_FLAGS, IORING_SQ_CQ_OVERFLOW);
        }
        self.publish(shm, ring)
    }

    /// Begins a wait for `want` completions; the id names it.
    pub(crate) fn begin_wait(
        &mut self,
        want: u32,
        timeouts: u32,
        shm: &impl Words,
        ring: &Layout,
    ) -> u64 {
        self.next_waiter += 1;
        let until = self.tail_after(want, shm, ring);
        self.waiters.push(Waiter { id: self.next_waiter, want, until, timeouts });
        self.next_waiter
    }

    /// Where the tail is once `want` completions were there beyond what the program has taken by now.
    fn tail_after(&self, want: u32, shm: &impl Words, ring: &Layout) -> u32 {
        self.tail.wrapping_sub(self.ready(shm, ring)).wrapping_add(want)
    }

    /// A wait is content with less from now on.
    pub(crate) fn want_less(&mut self, id: u64, want: u32, shm: &impl Words, ring: &Layout) {
        let until = self.tail_after(want, shm, ring);
        for waiter in self.waiters.iter_mut().filter(|waiter| waiter.id == id) {
            (waiter.want, waiter.until) = (want, until);
        }
    }

    /// Ends a wait; true if another waiter has what it waits for and must be told.
    pub(crate) fn end_wait(&mut self, id: u64, shm: &impl Words, ring: &Layout) -> bool {
        self.waiters.retain(|waiter| waiter.id != id);
        self.any_satisfied(shm, ring)
    }

    /// Whether a wait is over.
    pub(crate) fn is_over(&self, id: u64, shm: &impl Words, ring: &Layout) -> bool {
        let waiter = self.waiters.iter().find(|waiter| waiter.id == id);
        waiter.is_none_or(|waiter| self.satisfies(waiter, shm, ring))
    }

    fn satisfies(&self, waiter: &Waiter, shm: &impl Words, ring: &Layout) -> bool {
        if self.timeouts != waiter.timeouts || self.closed {
            return true;
        }
        match ring.io_events {
            0 => self.tail.wrapping_sub(waiter.until) as i32 >= 0,
            _ => self.ready(shm, ring) >= waiter.want,
        }
    }

    /// Whether any waiter has what it waits for.
    pub(crate) fn any_satisfied(&self, shm: &impl Words, ring: &Layout) -> bool {
        self.waiters.iter().any(|waiter| self.satisfies(waiter, shm, ring))
    }
}

//! Timeouts: the timer heap, timeouts that count completions, and linked timeouts.
//!
//! A cancelled timer leaves a tombstone in the heap, a key that finds nothing; the heap is
//! rebuilt when tombstones outnumber the living. Arming and cancelling so cost a push and a
//! hash, whatever the number of live timers.

use crate::parked::{Key, Parked, Waits};
use crate::request::{Extra, Req};
use crate::ring::Ring;
use crate::room::has_room;
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Clock, Host, Point};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A timeout's parameters, as prep read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time {
    /// Nanoseconds: a length, or a point of `clock` if `absolute`.
    pub(crate) nanos: u64,
    pub(crate) clock: Clock,
    pub(crate) absolute: bool,
    /// Expiry does not break links.
    pub(crate) etime_success: bool,
    pub(crate) multishot: bool,
    /// Completions to wait for, or firings of a multishot; 0 for none.
    pub(crate) count: u32,
    /// The count of completions at which it is done.
    pub(crate) target: u32,
    /// When it fires next, MONOTONIC nanoseconds.
    pub(crate) deadline: u64,
}

/// Fewer tombstones than this are not worth a rebuild.
const TOMBSTONES_MIN: usize = 64;

/// The armed timers of a ring.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(u64, u64, KeyOrder)>>,
    /// Breaks ties in the order of arming.
    sequence: u64,
    live: usize,
    /// Timeouts that count completions.
    counted: Vec<Key>,
    /// There has been a timeout.
    used: bool,
}

/// A key in the heap; its order means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KeyOrder(Key);

impl PartialOrd for KeyOrder {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KeyOrder {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_u64().cmp(&other.0.as_u64())
    }
}

/// The heap has room for so many tombstones, and for one to each so many requests, besides requests.
const TOMBSTONES_ROOM: usize = 16;
const TOMBSTONES_SHARE: usize = 4;

impl Timers {
    /// A timeout comes, `counts` completions perhaps, in a ring of `requests`.
    ///
    /// # Errors
    /// `ENOMEM` without room for as many timers as requests.
    pub(crate) fn expect(&mut self, requests: usize, counts: bool) -> Result<()> {
        self.used = true;
        let room = !counts || has_room(&mut self.counted, requests);
        if room && self.has_room(requests) { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// Whether any of them counts completions.
    pub(crate) fn counts(&self) -> bool {
        !self.counted.is_empty()
    }

    /// Whether so many requests may all be timers, if any are.
    pub(crate) fn has_room(&mut self, requests: usize) -> bool {
        let heap = requests + requests / TOMBSTONES_SHARE + TOMBSTONES_ROOM;
        let counted = self.counted.capacity() == 0 || has_room(&mut self.counted, requests);
        counted && (!self.used || has_room(&mut self.heap, heap))
    }

    fn push(&mut self, deadline: u64, key: Key) {
        self.live += 1;
        if deadline != u64::MAX {
            self.sequence += 1;
            self.heap.push(Reverse((deadline, self.sequence, KeyOrder(key))));
        }
    }

    /// The earliest deadline, tombstones included, `u64::MAX` for none.
    fn earliest(&self) -> u64 {
        self.heap.peek().map_or(u64::MAX, |Reverse((deadline, ..))| *deadline)
    }

    /// A timer is no longer armed; its key finds nothing already.
    pub(crate) fn forget(&mut self, key: Key) {
        self.live = self.live.saturating_sub(1);
        if !self.counted.is_empty() {
            self.counted.retain(|counted| *counted != key);
        }
    }

    fn compact(&mut self, is_live: impl Fn(Key) -> bool) {
        let full = self.heap.len() == self.heap.capacity();
        if full || self.heap.len() > 2 * self.live + TOMBSTONES_MIN {
            self.heap.retain(|Reverse((_, _, key))| is_live(key.0));
        }
    }
}

/// The `timespec` at an address, as nanoseconds.
///
/// # Errors
/// `EFAULT`, and `EINVAL` for negative parts.
pub(crate) fn read_time<H: Host>(host: &H, addr: u64) -> Result<u64> {
    let time: Timespec = ringfence_host::plain::read(host, addr)?;
    if time.tv_sec < 0 || time.tv_nsec < 0 {
        return Err(Errno::EINVAL);
    }
    Ok((time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64))
}

/// When a time is over, MONOTONIC nanoseconds.
pub(crate) fn deadline_of<H: Host>(host: &H, nanos: u64, clock: Clock, absolute: bool) -> u64 {
    if absolute && clock == Clock::Monotonic {
        return nanos;
    }
    let now = host.now(Clock::Monotonic);
    if !absolute {
        return now.saturating_add(nanos);
    }
    let left = nanos.saturating_sub(host.now(clock));
    now.saturating_add(left)
}

/// As [`deadline_of`], with one look at the clock for all timers that are armed in a row.
pub(crate) fn deadline_in<H: Host>(host: &H, sub: &mut Submit<H>, time: &Time) -> u64 {
    if time.absolute {
        return deadline_of(host, time.nanos, time.clock, true);
    }
    let now = *sub.clock.get_or_insert_with(|| host.now(Clock::Monotonic));
    now.saturating_add(time.nanos)
}

impl<H: Host> Ring<H> {
    fn arm(&self, sub: &mut Submit<H>, key: Key, deadline: u64) {
        let parked = &sub.parked;
        sub.timers.compact(|key| parked.get(key).is_some());
        sub.timers.push(deadline, key);
        self.publish_deadline(sub);
    }

    fn publish_deadline(&self, sub: &Submit<H>) {
        let earliest = sub.timers.earliest();
        let before = self.deadline.swap(earliest, Ordering::AcqRel);
        // A sleeper that reckons with a later time must look again.
        if earliest < before && self.waiting.load(Ordering::Acquire) > 0 {
            self.wake_waiter();
        }
    }

    /// Parks a timeout until its time.
    pub(crate) fn park_timer(
        self: &Arc<Self>,
        sub: &mut Submit<H>,
        mut req: Req<H>,
        deadline: u64,
    ) {
        let counted = matches!(&req.extra, Extra::Time(time) if time.count > 0 && !time.multishot);
        let bound = crate::issue::take_link_timeout(&mut req);
        let key = sub.parked.insert(parked_timer(req, None));
        if counted {
            sub.timers.counted.push(key);
        }
        self.arm(sub, key, deadline);
        if let Some(bound) = bound {
            self.arm_link_timeout(sub, key, bound);
        }
    }

    /// Arms a linked timeout for a target that has just been parked.
    pub(crate) fn arm_link_timeout(
        self: &Arc<Self>,
        sub: &mut Submit<H>,
        target: Key,
        mut timeout: Req<H>,
    ) {
        let Extra::Time(time) = &mut timeout.extra else { return };
        if time.deadline == 0 {
            // It starts when its target is first parked; a retry does not start it again.
            time.deadline = deadline_of(&self.host, time.nanos, time.clock, time.absolute);
        }
        let deadline = time.deadline;
        if const { H::BUGS.overflow_recursion } {
            self.historic_timeout_lock();
        }
        let key = sub.parked.insert(parked_timer(timeout, Some(target)));
        if let Some(entry) = sub.parked.get_mut(target) {
            match &mut entry.waits {
                Waits::Ready { req, .. }
                | Waits::Blocked { req, .. }
                | Waits::Time { req }
                | Waits::LinkTime { req, .. }
                | Waits::Device { req } => req.link_timeout = Some(key),
                Waits::Work { job } => job.set_link_timeout(key),
            }
        }
        self.host.at(Point::Get(key.as_u64()));
        self.arm(sub, key, deadline);
    }

    /// A parked target is issued again: if it parks again, its timeout goes on, for the new key.
    pub(crate) fn rejoin_link_timeout(&self, sub: &mut Submit<H>, req: &mut Req<H>) {
        let Some(key) = req.link_timeout else { return };
        // Put the timeout back in front of the chain; its deadline stands.
        let Some(entry) = sub.parked.remove(key) else {
            req.link_timeout = None;
            return;
        };
        self.host.at(Point::Put { object: key.as_u64(), by: "rejoin_link_timeout" });
        sub.timers.forget(key);
        req.link_timeout = None;
        if let Waits::LinkTime { req: mut timeout, .. } = entry.waits {
            timeout.next = req.next.take();
            req.next = Some(timeout);
        }
    }

    /// A request completes whose linked timeout runs: the timeout is over too.
    pub(crate) fn end_link_timeout(self: &Arc<Self>, sub: &mut Submit<H>, req: &mut Req<H>) {
        let Some(key) = req.link_timeout.take() else { return };
        // Whoever takes the entry owns the timeout: here, or the timer that fired.
        let entry = sub.parked.remove(key);
        if entry.is_some() || const { H::BUGS.link_timeout_double_put } {
            self.host.at(Point::Put { object: key.as_u64(), by: "end_link_timeout" });
        }
        let Some(entry) = entry else { return };
        sub.timers.forget(key);
        if let Waits::LinkTime { req: mut timeout, .. } = entry.waits {
            timeout.next = req.next.take();
            req.next = Some(timeout);
        }
    }

    /// Completes a linked timeout whose target is done.
    pub(crate) fn end_unarmed_timeout(self: &Arc<Self>, sub: &mut Submit<H>, mut timeout: Req<H>) {
        if let Some(errno) = timeout.fate {
            // It was refused when prepared, and that is what it tells.
            return self.fail(sub, timeout, errno);
        }
        // Being cancelled by its target's end is no failure of the timeout.
        timeout.silent = timeout.has(IOSQE_CQE_SKIP_SUCCESS);
        self.complete(sub, timeout, Errno::ECANCELED.as_result());
    }

    /// Fires all timers whose time has come.
    pub(crate) fn expire(self: &Arc<Self>, sub: &mut Submit<H>) {
        let now = self.host.now(Clock::Monotonic);
        while let Some(Reverse((deadline, _, key))) = sub.timers.heap.peek() {
            if *deadline > now {
                break;
            }
            let key = key.0;
            sub.timers.heap.pop();
            self.fire(sub, key);
        }
        self.publish_deadline(sub);
    }

    fn fire(self: &Arc<Self>, sub: &mut Submit<H>, key: Key) {
        let Some(entry) = sub.parked.remove(key) else { return };
        sub.timers.forget(key);
        match entry.waits {
            Waits::Time { req } => self.fire_timeout(sub, req),
            Waits::LinkTime { target, req } => {
                self.host.at(Point::Put { object: key.as_u64(), by: "fire" });
                self.fire_link_timeout(sub, target, req);
            }
            _ => {}
        }
    }

    fn fire_timeout(self: &Arc<Self>, sub: &mut Submit<H>, mut req: Req<H>) {
        let res = Errno::ETIME.as_result();
        if let Extra::Time(mut time) = req.extra
            && time.multishot
        {
            let last = time.count == 1;
            time.count = time.count.saturating_sub(1);
            time.deadline = time.deadline.saturating_add(time.nanos.max(1));
            req.extra = Extra::Time(time);
            if !last {
                let mut cx = crate::issue::Cx { ring: self, sub };
                if cx.post_more(&mut req, res) {
                    return self.park_timer(sub, req, time.deadline);
                }
            }
        }
        sub.fired = sub.fired.wrapping_add(1);
        self.complete(sub, req, res);
    }

    fn fire_link_timeout(self: &Arc<Self>, sub: &mut Submit<H>, target: Key, mut req: Req<H>) {
        // Expiry is what it is for: no failure, and so nothing to post if it is marked to skip.
        req.silent = req.has(IOSQE_CQE_SKIP_SUCCESS);
        let result = crate::cancel::cancel_parked(sub, target);
        let res = match result {
            Ok(0) => Errno::ETIME.as_result(),
            Ok(count) => count,
            // The kernel goes on to look for the target among what waits, and finds nothing.
            Err(Errno::EALREADY) => Errno::ENOENT.as_result(),
            Err(errno) => errno.as_result(),
        };
        self.complete(sub, req, res);
    }
}

/// Completes the timeouts that waited for this many completions.
pub(crate) fn expire_counted<H: Host>(ring: &Arc<Ring<H>>, sub: &mut Submit<H>, posted: u32) {
    if sub.timers.counted.is_empty() {
        return;
    }
    for key in counted_due(sub, posted) {
        let entry = sub.parked.remove(key);
        sub.timers.forget(key);
        if let Some(Waits::Time { req }) = entry.map(|entry| entry.waits) {
            // What posts nothing must not be counted as posted by a timeout.
            let posts = !req.has(IOSQE_CQE_SKIP_SUCCESS);
            sub.fired = sub.fired.wrapping_add(u32::from(posts));
            ring.complete(sub, req, 0);
        }
    }
}

/// The timeouts that waited for this many completions.
pub(crate) fn counted_due<H: Host>(sub: &Submit<H>, posted: u32) -> Vec<Key> {
    let is_due = |key: &Key| match sub.parked.get(*key).map(|entry| &entry.waits) {
        Some(Waits::Time { req }) => {
            matches!(req.extra, Extra::Time(time) if posted.wrapping_sub(time.target) as i32 >= 0)
        }
        _ => true,
    };
    sub.timers.counted.iter().copied().filter(is_due).collect()
}

/// Takes a timeout out by its key; the caller owns it.
pub(crate) fn disarm<H: Host>(sub: &mut Submit<H>, key: Key) -> Option<Req<H>> {
    let entry = sub.parked.remove(key)?;
    sub.timers.forget(key);
    match entry.waits {
        Waits::Time { req } | Waits::LinkTime { req, .. } => Some(req),
        _ => None,
    }
}

/// Changes the time of an armed linked timeout in place.
pub(crate) fn rearm_linked<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    key: Key,
    deadline: u64,
) {
    let Some(entry) = sub.parked.remove(key) else { return };
    sub.timers.forget(key);
    if let Waits::LinkTime { target, req } = entry.waits {
        ring.host.at(Point::Put { object: key.as_u64(), by: "rearm_linked" });
        let key = sub.parked.insert(parked_timer(req, Some(target)));
        ring.host.at(Point::Get(key.as_u64()));
        if let Some(entry) = sub.parked.get_mut(target) {
            match &mut entry.waits {
                Waits::Ready { req, .. }
                | Waits::Blocked { req, .. }
                | Waits::Time { req }
                | Waits::LinkTime { req, .. }
                | Waits::Device { req } => req.link_timeout = Some(key),
                Waits::Work { job } => job.set_link_timeout(key),
            }
        }
        ring.arm(sub, key, deadline);
    }
}

fn parked_timer<H: Host>(req: Req<H>, target: Option<Key>) -> Parked<H> {
    Parked {
        user_data: req.sqe.user_data,
        fd: req.sqe.fd,
        opcode: req.sqe.opcode,
        fixed: false,
        waits: match target {
            Some(target) => Waits::LinkTime { target, req },
            None => Waits::Time { req },
        },
    }
}

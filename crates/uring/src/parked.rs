//! Requests that wait: for readiness, for a time, or for a worker; found by key or by user_data.
//!
//! A slab with generations, so that a key whose request is gone finds nothing, and an intrusive
//! hash over user_data. Whoever removes an entry owns its request; that is the whole of the race
//! between a linked timeout and its target, or a cancel and a completion.

use crate::blocked::Blocked;
use crate::request::Req;
use crate::work::Job;
use ringfence_host::Host;
use ringfence_host::sync::Arc;

/// Names a parked request; finds nothing once it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// What [`Key::as_u64`] made a number of.
    pub(crate) fn from_u64(number: u64) -> Self {
        Key { index: number as u32, generation: (number >> 32) as u32 }
    }

    /// As a number, for event data.
    pub(crate) fn as_u64(self) -> u64 {
        u64::from(self.index) | u64::from(self.generation) << 32
    }
}

/// What a parked request waits for.
pub(crate) enum Waits<H: Host> {
    /// Readiness of a file: one of these `EPOLL*` events on this descriptor.
    Ready { fd: i32, events: u32, req: Req<H> },
    /// A time, which stands in the timer heap.
    Time { req: Req<H> },
    /// A linked timeout: a time, or the end of its target.
    LinkTime { target: Key, req: Req<H> },
    /// A device, which the kernel asks; nobody can call that back.
    Device { req: Req<H> },
    /// A thread that blocks for it.
    Blocked { req: Req<H>, blocked: Arc<Blocked<H>> },
    /// A worker; the request is in the job until a worker starts it.
    Work { job: Arc<Job<H>> },
}

/// A parked entry: what cancellation matches on, and what it waits for.
pub(crate) struct Parked<H: Host> {
    /// The request's user_data.
    pub(crate) user_data: u64,
    /// The descriptor in its entry.
    pub(crate) fd: i32,
    /// Its opcode.
    pub(crate) opcode: u8,
    /// Whether its descriptor is a registered file.
    pub(crate) fixed: bool,
    /// When it was parked: cancellation takes the oldest match first.
    pub(crate) waits: Waits<H>,
}

const NONE: u32 = u32::MAX;

struct Slot<H: Host> {
    generation: u32,
    /// Neighbours in the bucket, or the next free slot in `next`.
    prev: u32,
    next: u32,
    entry: Option<Parked<H>>,
}

/// The table.
pub(crate) struct Table<H: Host> {
    slots: Vec<Slot<H>>,
    free: u32,
    buckets: Vec<u32>,
    len: usize,
}

impl<H: Host> Table<H> {
    pub(crate) fn new() -> Self {
        Table { slots: Vec::new(), free: NONE, buckets: vec![NONE; 16], len: 0 }
    }

    /// Whether there is room for so many in all.
    pub(crate) fn has_room(&mut self, count: usize) -> bool {
        crate::room::has_room(&mut self.slots, count)
    }

    /// How many are parked.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn bucket(&self, user_data: u64) -> usize {
        // Fibonacci hashing: pointers and counters, the usual user_data, spread well.
        let mixed = user_data.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 40) as usize & (self.buckets.len() - 1)
    }

    /// The key that the next insertion will return.
    pub(crate) fn next_key(&self) -> Key {
        match self.slots.get(self.free as usize) {
            Some(slot) => Key { index: self.free, generation: slot.generation },
            None => Key { index: self.slots.len() as u32, generation: 0 },
        }
    }

    /// Parks an entry.
    pub(crate) fn insert(&mut self, entry: Parked<H>) -> Key {
        // Where there is no memory for it, that is tried again with twice as many.
        if self.len >= self.buckets.len() * 2 && self.len.is_power_of_two() {
            self.grow();
        }
        let bucket = self.bucket(entry.user_data);
        let key = self.next_key();
        if key.index as usize == self.slots.len() {
            self.slots.push(Slot { generation: 0, prev: NONE, next: NONE, entry: None });
        } else {
            self.free = self.slots[key.index as usize].next;
        }
        let slot = &mut self.slots[key.index as usize];
        slot.entry = Some(entry);
        self.link(key.index, bucket);
        self.len += 1;
        key
    }

    fn link(&mut self, index: u32, bucket: usize) {
        let head = self.buckets[bucket];
        let slot = &mut self.slots[index as usize];
        (slot.prev, slot.next) = (NONE, head);
        if head != NONE {
            self.slots[head as usize].prev = index;
        }
        self.buckets[bucket] = index;
    }

    fn grow(&mut self) {
        let (count, mut buckets) = (self.buckets.len() * 4, Vec::new());
        if buckets.try_reserve_exact(count).is_err() {
            return;
        }
        buckets.resize(count, NONE);
        self.buckets = buckets;
        for index in 0..self.slots.len() {
            if let Some(entry) = &self.slots[index].entry {
                let bucket = self.bucket(entry.user_data);
                self.link(index as u32, bucket);
            }
        }
    }

    /// The entry of a key, if it is still parked.
    pub(crate) fn get(&self, key: Key) -> Option<&Parked<H>> {
        let slot = self.slots.get(key.index as usize)?;
        if slot.generation == key.generation { slot.entry.as_ref() } else { None }
    }

    /// Whether the request of a key waits for one of these events of its file.
    pub(crate) fn wants(&self, key: Key, revents: u32) -> bool {
        let waits = self.get(key).map(|entry| &entry.waits);
        matches!(waits, Some(Waits::Ready { events, .. }) if events & revents != 0)
    }

    /// The entry of a key, to be changed.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Parked<H>> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation == key.generation { slot.entry.as_mut() } else { None }
    }

    /// Takes an entry out; the caller now owns its request.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Parked<H>> {
        self.get(key)?;
        let slot = &mut self.slots[key.index as usize];
        let entry = slot.entry.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        let (prev, next) = (slot.prev, slot.next);
        slot.next = self.free;
        self.free = key.index;
        if prev == NONE {
            let bucket = self.bucket(entry.user_data);
            self.buckets[bucket] = next;
        } else {
            self.slots[prev as usize].next = next;
        }
        if next != NONE {
            self.slots[next as usize].prev = prev;
        }
        self.len -= 1;
        Some(entry)
    }

    /// The first entry with this user_data that also passes `wanted`.
    pub(crate) fn find(
        &self,
        user_data: u64,
        mut wanted: impl FnMut(&Parked<H>) -> bool,
    ) -> Option<Key> {
        let mut index = self.buckets[self.bucket(user_data)];
        while index != NONE {
            let slot = &self.slots[index as usize];
            if let Some(entry) = &slot.entry
                && entry.user_data == user_data
                && wanted(entry)
            {
                return Some(Key { index, generation: slot.generation });
            }
            index = slot.next;
        }
        None
    }

    /// The first entry from a place on, and the place after it: a walk during which entries are taken
    /// out.
    pub(crate) fn next_at(&self, index: usize) -> Option<(Key, &Parked<H>, usize)> {
        self.slots.iter().enumerate().skip(index).find_map(|(index, slot)| {
            let key = Key { index: index as u32, generation: slot.generation };
            slot.entry.as_ref().map(|entry| (key, entry, index + 1))
        })
    }

    /// Every entry, to be changed, in no promised order.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut Parked<H>)> {
        self.slots.iter_mut().enumerate().filter_map(|(index, slot)| {
            let key = Key { index: index as u32, generation: slot.generation };
            slot.entry.as_mut().map(|entry| (key, entry))
        })
    }

    /// Every entry, in no promised order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &Parked<H>)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let key = Key { index: index as u32, generation: slot.generation };
            slot.entry.as_ref().map(|entry| (key, entry))
        })
    }
}

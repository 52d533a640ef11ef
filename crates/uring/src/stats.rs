//! What an engine has done and holds: operations by name, memory by ring.

use crate::engine::Engine;
use crate::request::Request;
use crate::ring::Ring;
use crate::submit::Submit;
use crate::work::op_name;
use ringfence_abi::Op;
use ringfence_host::Host;
use ringfence_host::sync::Arc;
use std::collections::BTreeMap;

/// What the engine has done and holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Completed operations by name.
    pub operations: BTreeMap<&'static str, u64>,
    /// Rings alive.
    pub rings: usize,
    /// Contexts of Linux AIO alive.
    pub contexts: usize,
    /// Worker threads alive.
    pub workers: u32,
    /// Bytes held for requests, live and recycled, of all rings and contexts.
    pub request_bytes: usize,
    /// The most bytes of requests that any one ring or context has held, those that are gone included.
    pub request_bytes_max: usize,
    /// The same for each ring alive.
    pub by_ring: Vec<RingStats>,
}

/// What a ring holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingStats {
    /// Its first descriptor, which may be closed by now.
    pub fd: i32,
    /// Bytes held for requests, live and recycled.
    pub request_bytes: usize,
    /// The most that they have been.
    pub request_bytes_max: usize,
}

/// What rings did that are gone, or one of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past {
    /// Operations done, by opcode.
    counts: [u64; Op::COUNT],
    /// The most requests that a ring had memory for.
    held_max: usize,
}

impl Default for Past {
    fn default() -> Self {
        Past { counts: [0; Op::COUNT], held_max: 0 }
    }
}

impl Past {
    /// Adds what another did.
    pub(crate) fn add(&mut self, other: &Past) {
        for (total, count) in self.counts.iter_mut().zip(other.counts) {
            *total += count;
        }
        self.held_max = self.held_max.max(other.held_max);
    }
}

impl<H: Host> Submit<H> {
    /// What the ring did so far.
    pub(crate) fn past(&self) -> Past {
        Past { counts: self.counts, held_max: self.held_max }
    }
}

impl<H: Host> Engine<H> {
    /// What has been done so far.
    pub fn stats(&self) -> Stats {
        let bytes = |requests: usize| requests * size_of::<Request<H>>();
        let mut past = *self.shared.past.lock();
        let rings: Vec<Arc<Ring<H>>> = self.shared.rings.lock().all.clone();
        let contexts = self.shared.aio.rings();
        let mut stats = Stats { rings: rings.len(), contexts: contexts.len(), ..Stats::default() };
        for ring in rings.iter().chain(&contexts) {
            let sub = ring.submit.lock();
            past.add(&sub.past());
            let (now, most) = (bytes(sub.held()), bytes(sub.held_max));
            drop(sub);
            stats.request_bytes += now;
            if ring.fd >= 0 {
                let (fd, request_bytes, request_bytes_max) = (ring.fd, now, most);
                stats.by_ring.push(RingStats { fd, request_bytes, request_bytes_max });
            }
        }
        stats.request_bytes_max = bytes(past.held_max);
        stats.workers = self.shared.pools.threads();
        for (opcode, count) in past.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            stats.operations.insert(op_name(opcode), *count);
        }
        stats
    }
}

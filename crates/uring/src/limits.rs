//! Limits that whoever runs the engine sets.

use crate::engine::Engine;
use crate::request::Request;
use ringfence_host::Host;
use ringfence_host::sync::Ordering;

/// What the engine may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of requests in flight in each ring, for at least one request. At the limit a submission
    /// stops and returns the count so far, or `EAGAIN` if that is none.
    pub request_bytes: Option<usize>,
    /// Worker threads for bounded and for unbounded work; 0 leaves the engine's own limit.
    pub workers: [u32; 2],
}

impl<H: Host> Engine<H> {
    /// Limits what the engine takes.
    pub fn limit(&self, limits: &Limits) {
        if let Some(bytes) = limits.request_bytes {
            let requests = (bytes / size_of::<Request<H>>()).max(1);
            self.shared.requests_max.store(requests, Ordering::Relaxed);
        }
        self.shared.pools.set_limits(limits.workers);
    }

    /// Ends, soon, the threads of the engine that have nothing to do or only look after rings, for a
    /// call that a process with several threads is refused.
    pub fn send_threads_away(&self) {
        self.shared.attendant.send_away();
        self.shared.pools.send_away(true);
    }

    /// Whether any thread that was sent away has not come to know of it.
    pub fn threads_leave(&self) -> bool {
        self.shared.attendant.is_running() || self.shared.pools.idle() > 0
    }

    /// Threads may have come to have a directory, a root or namespaces of their own: workers are
    /// from now on chosen by these too.
    pub fn tell_parted(&self) {
        self.shared.pools.tell_parted();
    }

    /// Threads may have come to have a user or a group of their own, by `setfsuid` for the file system or
    /// altogether: workers are from now on chosen by the former too, and what goes on later, in a chain or
    /// behind a drain, is done as the user that submitted it.
    pub fn tell_own_ids(&self) {
        self.shared.pools.tell_own_ids();
    }

    /// Lets the engine have threads again.
    pub fn call_threads_back(&self) {
        self.shared.pools.send_away(false);
        self.shared.attendant.call_back();
    }

    /// Linux AIO in this process.
    pub fn aio(&self) -> crate::Aio<'_, H> {
        self.aio_of(&self.shared.aio)
    }

    /// Linux AIO with a table of contexts of its own, for tests of other rules.
    #[doc(hidden)]
    pub fn aio_of<'a, R: crate::aio::Rule>(
        &'a self,
        contexts: &'a crate::aio::Contexts<H, R>,
    ) -> crate::Aio<'a, H, R> {
        crate::Aio { host: &self.host, shared: &self.shared, contexts }
    }
}

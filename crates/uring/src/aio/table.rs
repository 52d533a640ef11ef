//! The contexts of a process, by id, and how a call comes to use one.

use super::context::Context;
use super::life::{OnlyLive, Rule};
use super::ring;
use crate::engine::Shared;
use crate::locks;
use crate::ring::Ring;
use ringfence_abi::{AIO_RING_MAGIC, AioRing, Errno, Result};
use ringfence_host::atomic::AtomicUsize;
use ringfence_host::sync::{Arc, AtomicU32, Mutex, Ordering, mutex};
use ringfence_host::{Host, plain};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Weak;

/// The table of contexts. `R` is how a look-up takes its reference.
pub struct Contexts<H: Host, R: Rule = OnlyLive> {
    by_id: Mutex<H, HashMap<u64, Arc<Context<H, R>>>>,
    /// How many there are; a look without the lock.
    count: AtomicUsize<H>,
    /// Tells this table from that of the process it was forked from.
    number: u32,
}

static TABLES: AtomicU32 = AtomicU32::new(0);

/// The context that a thread used last. It keeps no context alive and may outlive any.
pub struct Recent<H: Host, R: Rule = OnlyLive> {
    id: u64,
    table: u32,
    context: Weak<Context<H, R>>,
}

impl<H: Host, R: Rule> Default for Recent<H, R> {
    fn default() -> Self {
        Recent { id: 0, table: 0, context: Weak::new() }
    }
}

/// A context in use by a call: while this lives, `io_destroy` does not return.
pub(super) struct User<H: Host, R: Rule = OnlyLive> {
    context: Arc<Context<H, R>>,
}

impl<H: Host, R: Rule> User<H, R> {
    /// Uses a context, if it is still alive.
    pub(super) fn of(context: Arc<Context<H, R>>) -> Option<User<H, R>> {
        // Lazily: a user that is dropped gives a reference back.
        let alive = context.life.take::<R>();
        alive.then(|| User { context })
    }

    /// The context, used no more.
    pub(super) fn leave(self) -> Arc<Context<H, R>> {
        Arc::clone(&self.context)
    }
}

impl<H: Host, R: Rule> Deref for User<H, R> {
    type Target = Context<H, R>;

    fn deref(&self) -> &Context<H, R> {
        &self.context
    }
}

impl<H: Host, R: Rule> Drop for User<H, R> {
    fn drop(&mut self) {
        self.context.life.put(&self.context.ring.host);
    }
}

impl<H: Host, R: Rule> Contexts<H, R> {
    /// No contexts.
    #[doc(hidden)]
    pub fn new(host: &H) -> Self {
        let by_id = mutex(host, &locks::AIO_CONTEXTS, HashMap::new());
        let number = TABLES.fetch_add(1, Ordering::Relaxed) + 1;
        Contexts { by_id, count: AtomicUsize::new(0), number }
    }

    /// Makes a context with room for `nr_events` requests; its id.
    ///
    /// # Errors
    /// `EINVAL`, `EAGAIN` for sizes that are none, `ENOMEM`.
    pub(super) fn open(&self, shared: &Arc<Shared<H>>, host: &H, nr_events: u32) -> Result<u64> {
        let context = Context::new(shared, host, nr_events)?;
        let id = context.id();
        let mut by_id = self.by_id.lock();
        // Whoever unmaps a ring may get its address again; the old context is then beyond reach.
        let lost = by_id.insert(id, context);
        self.count.store(by_id.len(), Ordering::Release);
        drop(by_id);
        if let Some(lost) = lost {
            lost.ring.shared.leaves(&lost.ring);
            lost.end(false);
        }
        Ok(id)
    }

    /// Whether there is such a context.
    pub(super) fn has(&self, host: &H, id: u64) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.find(host, id).is_some()
    }

    /// The context of an id; one whose ring the program has moved, as `mremap` does, is found by its
    /// number, and has the new address for its id from then on.
    fn find(&self, host: &H, id: u64) -> Option<Arc<Context<H, R>>> {
        if let Some(context) = self.by_id.lock().get(&id) {
            return Some(Arc::clone(context));
        }
        let header: AioRing = plain::read(host, id).ok()?;
        if header.magic != AIO_RING_MAGIC || !id.is_multiple_of(4096) {
            return None;
        }
        let mut by_id = self.by_id.lock();
        let moved = by_id.values().find(|context| {
            // A stale id may be the address where the engine has a ring since: no id of a program's.
            let shm = &context.ring.shm;
            context.number == header.id && shm.addr() != id && ring::is_at(shm, host, id)
        });
        let moved = Arc::clone(moved?);
        by_id.remove(&moved.id());
        by_id.insert(id, Arc::clone(&moved));
        moved.move_to(id);
        Some(moved)
    }

    /// Finds a context, first where the thread found one last, and takes a reference if it is
    /// alive. A miss is `None`, whatever the reason.
    #[inline]
    pub(super) fn look_up(
        &self,
        host: &H,
        id: u64,
        recent: &mut Recent<H, R>,
    ) -> Option<User<H, R>> {
        if recent.id == id
            && recent.table == self.number
            && let Some(user) = recent.context.upgrade().and_then(User::of)
            && user.id() == id
        {
            return Some(user);
        }
        self.look_up_slow(host, id, recent)
    }

    #[cold]
    fn look_up_slow(&self, host: &H, id: u64, recent: &mut Recent<H, R>) -> Option<User<H, R>> {
        let context = self.find(host, id)?;
        *recent = Recent { id, table: self.number, context: Arc::downgrade(&context) };
        User::of(context)
    }

    /// Destroys a context and waits for its end.
    ///
    /// # Errors
    /// `EINVAL` if there is none.
    pub(super) fn close(&self, host: &H, id: u64) -> Result<()> {
        let found = self.find(host, id).ok_or(Errno::EINVAL)?;
        found.ring.shared.leaves(&found.ring);
        let context = {
            let mut by_id = self.by_id.lock();
            let context = by_id.remove(&id).ok_or(Errno::EINVAL)?;
            self.count.store(by_id.len(), Ordering::Release);
            context
        };
        drop(found);
        context.end(true);
        Ok(())
    }

    /// The rings of all contexts.
    pub(crate) fn rings(&self) -> Vec<Arc<Ring<H>>> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        self.by_id.lock().values().map(|context| Arc::clone(&context.ring)).collect()
    }

    /// Waits for what workers have in hand, in all contexts.
    pub(super) fn settle(&self) {
        let contexts: Vec<_> = self.by_id.lock().values().cloned().collect();
        for context in contexts {
            context.settle();
        }
    }
}

//! A context, from `io_setup` to `io_destroy`.

use super::life::{Life, OnlyLive, Rule};
use super::ring;
use crate::engine::{Shared, aio_ring};
use crate::locks;
use crate::parked::Waits;
use crate::ring::Ring;
use crate::submit::Submit;
use crate::wait::Role;
use ringfence_abi::{Errno, Result};
use ringfence_host::Host;
use ringfence_host::atomic::{AtomicBool, AtomicU64};
use ringfence_host::shm::Shm;
use ringfence_host::sync::{self, Arc, Mutex, Ordering, mutex};

/// A context.
pub(super) struct Context<H: Host, R: Rule = OnlyLive> {
    /// The address of its ring, as the program sees it, who may move it.
    id: AtomicU64<H>,
    /// The number in its ring's header.
    pub(super) number: u32,
    pub(super) ring: Arc<Ring<H>>,
    pub(super) life: Life<H>,
    /// Who takes events out of the ring; held while they are copied to the program.
    pub(super) reader: Mutex<H, ()>,
    /// A request waits for readiness, or did: then somebody must look after it.
    pub(super) polls: AtomicBool<H>,
    /// The same of a device.
    pub(super) devices: AtomicBool<H>,
    /// The end is over; whoever uses it now came by a reference it must not have.
    gone: AtomicBool<H>,
    rule: std::marker::PhantomData<R>,
}

/// How long a look at a device's results may wait, nanoseconds.
const LOOK_NS: u64 = 1_000_000;

/// Numbers contexts, as the kernel's headers do, and none as they do.
static NUMBERS: sync::AtomicU32 = sync::AtomicU32::new(1 << 30);

impl<H: Host, R: Rule> Context<H, R> {
    /// A context with room for `asked` requests.
    ///
    /// # Errors
    /// `ENOMEM`, and those of [`ring::size`].
    pub(super) fn new(shared: &Arc<Shared<H>>, host: &H, asked: u32) -> Result<Arc<Self>> {
        let (nr, len) = ring::size(asked, host.cpus())?;
        let (shm, id) = Shm::with_alias(len).ok_or(Errno::ENOMEM)?;
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        ring::write_header(&shm, number, nr);
        Ok(Arc::new(Context {
            id: AtomicU64::new(id),
            number,
            ring: Arc::new(aio_ring(shared, host, nr, shm)),
            life: Life::default(),
            reader: mutex(host, &locks::AIO_READER, ()),
            polls: AtomicBool::new(false),
            devices: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            rule: std::marker::PhantomData,
        }))
    }

    /// Its id, the address of its ring.
    #[inline]
    pub(super) fn id(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    /// Its ring was moved to another address, which is its id now.
    pub(super) fn move_to(&self, id: u64) {
        self.id.store(id, Ordering::Relaxed);
    }

    /// Ends it, once it is out of the table: wakes who waits, waits until no call uses it and
    /// until what is under way is done. `unmap` gives the program's mapping back too.
    pub(super) fn end(&self, unmap: bool) {
        if !self.life.end() {
            return;
        }
        self.ring.cq.lock().closed = true;
        self.ring.wake_waiter();
        self.life.wait_unused(&self.ring.host);
        self.ring.with_submit(|ring, sub| {
            sub.closing = true;
            cancel_waiting(sub);
            ring.run_ready(sub);
        });
        self.wait_settled();
        self.gone.store(true, Ordering::Release);
        if unmap {
            let args = [self.id(), self.ring.shm.len() as u64, 0, 0, 0, 0];
            let _ = self.ring.host.syscall(libc::SYS_munmap, args);
        }
    }

    /// Panics if the context's end is over: its memory is the program's again.
    pub(super) fn assert_in_use(&self) {
        assert!(!self.gone.load(Ordering::Acquire), "a context was used after its end");
    }

    /// A call leaves: what waits for readiness or for a device needs someone to look after it.
    pub(super) fn leave(&self) {
        if self.polls.load(Ordering::Relaxed) || self.devices.load(Ordering::Relaxed) {
            self.ring.leave();
        }
    }

    /// Waits until a closing ring's last request is done.
    fn wait_settled(&self) {
        while self.ring.settled.load(Ordering::Acquire) == 0 {
            if self.devices.load(Ordering::Relaxed) {
                // Results of a device are taken by whoever looks.
                let _ = self.ring.drive(Role::Guest, Some(LOOK_NS), None);
            } else {
                self.ring.host.futex_wait(self.ring.settled.word(), 0, None);
            }
        }
    }

    /// Waits for what workers have in hand; the process is about to end.
    pub(super) fn settle(&self) {
        self.ring.with_submit(|ring, sub| {
            sub.closing = true;
            cancel_waiting(sub);
            ring.run_ready(sub);
        });
        self.wait_settled();
    }
}

/// Cancels what waits for readiness; reads and writes that workers have are done in any case.
fn cancel_waiting<H: Host>(sub: &mut Submit<H>) {
    let waiting = sub.parked.iter().filter(|(_, entry)| matches!(entry.waits, Waits::Ready { .. }));
    let keys: Vec<_> = waiting.map(|(key, _)| key).collect();
    for key in keys {
        let _ = crate::cancel::cancel_parked(sub, key);
    }
}

impl<H: Host, R: Rule> Drop for Context<H, R> {
    /// The last one lets go: a waiter may have slept on the ring's descriptors until now.
    fn drop(&mut self) {
        self.ring.shared.tear_down(&self.ring);
    }
}

//! Transfers that wait for a device: files opened with `O_DIRECT`, by the kernel's own asynchronous
//! I/O where the host has it.
//!
//! Such a transfer never ends at once, so without it each would need a thread. With it a whole
//! submission goes down by one `io_submit`, and an eventfd in the ring's epoll set tells of results.
//! Requests go down marked not to block, as the kernel's io_uring does it; what would have blocked
//! comes back and goes to a worker. So `io_submit` is made under the submission lock, and before the
//! program can close the file: from there on the kernel holds it.

use crate::parked::{Key, Parked, Waits};
use crate::request::{Outcome, Req};
use crate::ring::{DEVICE_EVENT, Ring};
use crate::submit::Submit;
use ringfence_abi::{Errno, IOSQE_FIXED_FILE, Result};
use ringfence_host::kernel_aio::{self, FLAG_RESFD, IoEvent, Iocb};
use ringfence_host::sync::Arc;
use ringfence_host::{Host, calls};

/// Requests in flight for which a context is made: what the submission queue holds, within these.
const ENTRIES: std::ops::RangeInclusive<u32> = 32..=256;

/// Results taken by one call.
const RESULTS: usize = 64;

/// A context of the kernel's; gone with the last result when this is dropped.
struct Context<H: Host> {
    host: H,
    id: u64,
    /// Signalled at each result.
    event: i32,
}

impl<H: Host> Context<H> {
    fn new(host: &H, epfd: i32, entries: u32) -> Result<Context<H>> {
        let event = calls::make_private(host, calls::eventfd(host)?);
        // Edge-triggered, so that nobody has to read it.
        let events = (libc::EPOLLIN | libc::EPOLLET) as u32;
        let added = calls::epoll_ctl(host, epfd, libc::EPOLL_CTL_ADD, event, events, DEVICE_EVENT);
        match added.and_then(|()| kernel_aio::setup(host, entries)) {
            Ok(id) => Ok(Context { host: host.clone(), id, event }),
            Err(errno) => {
                let _ = calls::close(host, event);
                Err(errno)
            }
        }
    }
}

impl<H: Host> Drop for Context<H> {
    fn drop(&mut self) {
        kernel_aio::destroy(&self.host, self.id);
        let _ = calls::close(&self.host, self.event);
    }
}

/// Whether there is a context.
enum State<H: Host> {
    /// Nothing has asked for it.
    Unused,
    /// It is asked for, and made when no lock is held.
    Wanted,
    /// Someone makes it.
    Making,
    Ready(Context<H>),
    /// The host refuses it.
    Refused,
}

/// What a ring has at devices.
pub(crate) struct Direct<H: Host> {
    state: State<H>,
    /// To go down by the next `io_submit`.
    queue: Vec<Iocb>,
    in_flight: usize,
    room: usize,
}

impl<H: Host> Direct<H> {
    pub(crate) fn new() -> Self {
        Direct { state: State::Unused, queue: Vec::new(), in_flight: 0, room: 0 }
    }

    /// Whether a request can go down now. The first to ask cannot.
    pub(crate) fn has_room(&mut self) -> bool {
        if matches!(self.state, State::Unused) {
            self.state = State::Wanted;
        }
        matches!(self.state, State::Ready(_)) && self.in_flight + self.queue.len() < self.room
    }

    /// Whether there is something to go down.
    pub(crate) fn is_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether something is at the device.
    pub(crate) fn is_busy(&self) -> bool {
        self.in_flight > 0
    }

    /// Whether somebody is to make the context.
    pub(crate) fn is_wanted(&self) -> bool {
        matches!(self.state, State::Wanted)
    }

    /// Whether the caller is to make the context, once it holds no lock.
    pub(crate) fn begin_making(&mut self) -> bool {
        let wanted = self.is_wanted();
        if wanted {
            self.state = State::Making;
        }
        wanted
    }

    /// What is to be dropped when no lock is held, for that waits for the device.
    pub(crate) fn close(&mut self) -> impl Sized + use<H> {
        std::mem::replace(&mut self.state, State::Refused)
    }

    /// Its descriptor, -1 if it has none.
    pub(crate) fn fd(&self) -> i32 {
        if let State::Ready(context) = &self.state { context.event } else { -1 }
    }
}

impl<H: Host> Ring<H> {
    /// Makes the context; no lock is held.
    #[cold]
    pub(crate) fn make_direct(self: &Arc<Self>) {
        let entries = self.layout.sq_entries().clamp(*ENTRIES.start(), *ENTRIES.end());
        let made = match self.host.allows_kernel_aio() {
            true => self.epoll().and_then(|epfd| Context::new(&self.host, epfd, entries)).ok(),
            false => None,
        };
        let mut sub = self.submit.lock();
        sub.direct.room = entries as usize;
        // A ring that was torn down meanwhile has no use for it.
        let unused = match made {
            Some(context) if !sub.closing => {
                sub.direct.state = State::Ready(context);
                None
            }
            other => {
                sub.direct.state = State::Refused;
                other
            }
        };
        drop(sub);
        drop(unused);
    }

    /// Parks a request and queues what the kernel is to do for it.
    pub(crate) fn park_direct(self: &Arc<Self>, sub: &mut Submit<H>, mut req: Req<H>) {
        let mut iocb = crate::ops::rw::iocb(&req);
        req.polled = true;
        let timeout = crate::issue::take_link_timeout(&mut req);
        let key = sub.parked.insert(Parked {
            user_data: req.sqe.user_data,
            fd: req.sqe.fd,
            opcode: req.sqe.opcode,
            fixed: req.has(IOSQE_FIXED_FILE),
            waits: Waits::Device { req },
        });
        iocb.data = key.as_u64();
        iocb.flags = FLAG_RESFD;
        iocb.resfd = sub.direct.fd() as u32;
        sub.direct.queue.push(iocb);
        if let Some(timeout) = timeout {
            self.arm_link_timeout(sub, key, timeout);
        }
    }

    /// Sends down what is queued. What is refused goes to workers, who will be told why.
    pub(crate) fn submit_direct(self: &Arc<Self>, sub: &mut Submit<H>) {
        let queue = std::mem::take(&mut sub.direct.queue);
        let addresses: Vec<u64> =
            queue.iter().map(|iocb| std::ptr::from_ref(iocb) as u64).collect();
        let mut sent = 0;
        while sent < queue.len() {
            let result = match &sub.direct.state {
                State::Ready(context) => {
                    kernel_aio::submit(&self.host, context.id, &addresses[sent..])
                }
                _ => Err(Errno::EINVAL),
            };
            match result {
                Ok(count) if count > 0 => {
                    sub.direct.in_flight += count;
                    sent += count;
                }
                _ => {
                    self.give_to_worker(sub, Key::from_u64(queue[sent].data));
                    sent += 1;
                }
            }
        }
    }

    fn give_to_worker(self: &Arc<Self>, sub: &mut Submit<H>, key: Key) {
        let Some(entry) = sub.parked.remove(key) else { return };
        if let Waits::Device { mut req } = entry.waits {
            self.rejoin_link_timeout(sub, &mut req);
            self.conclude(sub, req, Outcome::Work);
        }
    }

    /// Completes what devices are done with.
    pub(crate) fn take_direct(self: &Arc<Self>, sub: &mut Submit<H>) {
        let mut events = [IoEvent::default(); RESULTS];
        loop {
            let State::Ready(context) = &sub.direct.state else { return };
            let result = kernel_aio::results(&self.host, context.id, &mut events);
            let count = result.unwrap_or(0);
            sub.direct.in_flight = sub.direct.in_flight.saturating_sub(count);
            for event in &events[..count] {
                self.end_direct(sub, Key::from_u64(event.data), event.res as i32);
            }
            if count < RESULTS {
                return;
            }
        }
    }

    fn end_direct(self: &Arc<Self>, sub: &mut Submit<H>, key: Key, res: i32) {
        if crate::ops::rw::wants_worker(sub, key, res) {
            return self.give_to_worker(sub, key);
        }
        let Some(entry) = sub.parked.remove(key) else { return };
        if let Waits::Device { req } = entry.waits {
            self.complete(sub, req, res);
        }
    }
}

//! Readiness: requests that wait for a file, and the events that let them go on.
//!
//! A ring has one epoll descriptor, and each open file that a request waited for one persistent,
//! edge-triggered registration in it, for all events. An armed request costs no system call when
//! the registration is known to be alive. No edge is lost: a request tries first and is armed
//! under the submission lock, and events are looked up under it too, so an edge that comes in
//! between is still in the epoll queue, or waits for the lock.

use crate::issue::take_link_timeout;
use crate::parked::{Key, Parked, Table, Waits};
use crate::request::{FileRef, OwnedFile, Req};
use crate::ring::{DEVICE_EVENT, Ring, SQ_WAKER_EVENT, WAKER_EVENT};
use crate::submit::Submit;
use crate::wait::Role;
use crate::work::Job;
use ringfence_abi::{Errno, IOSQE_FIXED_FILE, Op, Result};
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Event, Host, calls};
use std::collections::HashMap;

/// All events; `EPOLLERR` and `EPOLLHUP` come by themselves.
const ALL_EVENTS: u32 =
    (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLPRI | libc::EPOLLRDHUP | libc::EPOLLET) as u32;

/// After these a short receive no longer means an empty socket: its end raises no second event,
/// and a receive stops at urgent data.
const ENDS_DRAINING: u32 =
    (libc::EPOLLERR | libc::EPOLLHUP | libc::EPOLLRDHUP | libc::EPOLLPRI) as u32;

/// Events that end every wait.
pub(crate) const ALWAYS: u32 = (libc::EPOLLERR | libc::EPOLLHUP) as u32;

/// One registered file: who waits for it.
#[derive(Debug, Default)]
struct Watched {
    /// Who waits, in the order of arming; keys of those that were taken away find nothing.
    waiting: Vec<Key>,
    /// At most so many of them find nothing.
    gone: usize,
    /// Tells events of this registration from those of an earlier file with the same number.
    generation: u32,
    /// It is in the epoll set, as far as we know.
    registered: bool,
    /// A receive has emptied it, and no event has come since.
    drained: bool,
    /// Its end, an error or urgent data has been told.
    ended: bool,
    /// Whether it is a TCP socket, once that was asked.
    tcp: Option<bool>,
}

/// The files that requests of a ring wait for, by descriptor.
#[derive(Debug, Default)]
pub(crate) struct Files {
    watched: HashMap<i32, Watched, FdHash>,
    generation: u32,
    /// Registrations whose number the program has closed, by their events' data, and the number
    /// under which their file is kept. They stand as long as the file is open.
    moved: Vec<(u64, i32)>,
}

/// Hashes descriptors: small numbers, spread already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FdHash(u64);

impl std::hash::BuildHasher for FdHash {
    type Hasher = FdHash;
    fn build_hasher(&self) -> FdHash {
        FdHash(0)
    }
}

impl std::hash::Hasher for FdHash {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    fn write_i32(&mut self, value: i32) {
        self.0 = (value as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Files {
    /// Whether a request waits for a descriptor from `first` to `last`.
    pub(crate) fn waits_in(&self, first: u32, last: u32) -> Vec<i32> {
        let inside = |fd: &i32| (first..=last).contains(&(*fd as u32));
        self.watched.keys().copied().filter(inside).collect()
    }

    /// The file that an event tells of, if its registration still counts.
    fn source(&mut self, data: u64) -> Option<&mut Watched> {
        let (fd, generation) = (data as u32 as i32, (data >> 32) as u32);
        let counts = |watched: &Watched| watched.generation == generation;
        let fd = match self.watched.get(&fd) {
            Some(watched) if counts(watched) => fd,
            _ => self.moved.iter().find(|(moved, _)| *moved == data)?.1,
        };
        self.watched.get_mut(&fd).filter(|watched| counts(watched))
    }

    /// The program closes `fd`; what stood under that number goes on under `kept`.
    fn move_to(&mut self, watched: Watched, fd: i32, kept: i32) {
        let data = event_data(fd, watched.generation);
        self.watched.insert(kept, watched);
        let watched = &self.watched;
        self.moved.retain(|(data, kept)| {
            watched.get(kept).is_some_and(|watched| watched.generation == (data >> 32) as u32)
        });
        self.moved.push((data, kept));
    }

    /// Takes note of a file's event; who waits for that file, if it is a file's.
    pub(crate) fn note(&mut self, event: &Event) -> Option<&[Key]> {
        let watched = self.source(event.data)?;
        watched.drained = false;
        watched.ended |= event.events & ENDS_DRAINING != 0;
        Some(&watched.waiting)
    }

    /// A request no longer waits for a file; its key finds nothing already. The list is cleared of
    /// such keys when they outnumber the others, so that thousands of requests for one file cost
    /// as much each as one.
    pub(crate) fn remove<H: Host>(&mut self, fd: i32, parked: &Table<H>) {
        let Some(watched) = self.watched.get_mut(&fd) else { return };
        watched.gone += 1;
        if watched.gone * 2 > watched.waiting.len() {
            watched.waiting.retain(|key| parked.get(*key).is_some());
            watched.gone = 0;
        }
    }
}

fn event_data(fd: i32, generation: u32) -> u64 {
    u64::from(fd as u32) | u64::from(generation) << 32
}

impl<H: Host> Ring<H> {
    /// Parks a request until its file is ready. `tried` says that it was just tried and would
    /// have blocked; if not, readiness that holds already must count.
    pub(crate) fn park_ready(
        self: &Arc<Self>,
        sub: &mut Submit<H>,
        mut req: Req<H>,
        events: u32,
        tried: bool,
    ) {
        let fd = req.file.fd();
        // The engine's own descriptors are closed without a word to this table.
        let told = matches!(req.file, FileRef::Plain(_)) && self.trusts_closes();
        if let Err(errno) = self.watch(sub, fd, tried, told) {
            return self.park_unpollable(sub, req, errno);
        }
        req.polled = true;
        if req.task == 0 {
            req.task = self.host.thread_id();
            self.parker.store(req.task, Ordering::Relaxed);
        }
        let timeout = take_link_timeout(&mut req);
        let key = sub.parked.insert(Parked {
            user_data: req.sqe.user_data,
            fd: req.sqe.fd,
            opcode: req.sqe.opcode,
            fixed: req.has(IOSQE_FIXED_FILE),
            waits: Waits::Ready { fd, events: events | ALWAYS, req },
        });
        if let Some(watched) = sub.polled.watched.get_mut(&fd) {
            watched.waiting.push(key);
        }
        if let Some(timeout) = timeout {
            self.arm_link_timeout(sub, key, timeout);
        }
    }

    /// A file that epoll does not take is one that never blocks for readiness.
    fn park_unpollable(self: &Arc<Self>, sub: &mut Submit<H>, req: Req<H>, errno: Errno) {
        let can_work = crate::opdef::Table::<H>::get(req.sqe.opcode)
            .is_some_and(|def| def.has(crate::opdef::CAN_WORK));
        if errno != Errno::EPERM {
            return self.complete(sub, req, errno.as_result());
        }
        if can_work {
            let mut req = req;
            req.force_async = true;
            req.polled = false;
            sub.ready.push_back(req);
        } else {
            // What never blocks for readiness has no events to wait for.
            let is_poll = req.sqe.opcode == Op::PollAdd as u8;
            let errno = if is_poll { Errno::EINVAL } else { Errno::EAGAIN };
            self.complete(sub, req, errno.as_result());
        }
    }

    fn trusts_closes(&self) -> bool {
        self.shared.trusts_closes.load(Ordering::Relaxed)
    }

    /// Whether a receive is in vain: the socket was emptied and nothing has come since.
    pub(crate) fn is_drained(&self, sub: &Submit<H>, req: &Req<H>) -> bool {
        let FileRef::Plain(fd) = req.file else { return false };
        self.trusts_closes() && sub.polled.watched.get(&fd).is_some_and(|watched| watched.drained)
    }

    /// A receive came short. On TCP that means that the socket is empty, and that whatever comes
    /// next raises an event, unless the end of the stream has been told already.
    pub(crate) fn note_drained(
        &self,
        sub: &mut Submit<H>,
        req: &Req<H>,
        is_tcp: impl FnOnce() -> bool,
    ) {
        let FileRef::Plain(fd) = req.file else { return };
        if !self.trusts_closes() {
            return;
        }
        if let Some(watched) = sub.polled.watched.get_mut(&fd)
            && watched.registered
            && !watched.ended
        {
            watched.drained = *watched.tcp.get_or_insert_with(is_tcp);
        }
    }

    /// Puts the file of a request that was not tried yet into the epoll set.
    ///
    /// # Errors
    /// `EPERM` for a file that epoll does not take, `EBADF`.
    pub(crate) fn watch_first(&self, sub: &mut Submit<H>, req: &Req<H>) -> Result<()> {
        let told = matches!(req.file, FileRef::Plain(_)) && self.trusts_closes();
        self.watch(sub, req.file.fd(), true, told)
    }

    /// Makes sure that `fd` is in the epoll set.
    fn watch(&self, sub: &mut Submit<H>, fd: i32, tried: bool, trusted: bool) -> Result<()> {
        let epfd = self.epoll()?;
        let files = &mut sub.polled;
        files.watched.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let watched = files.watched.entry(fd).or_default();
        let count = watched.waiting.len() + 1;
        if !crate::room::has_room(&mut watched.waiting, count) {
            return Err(Errno::ENOMEM);
        }
        if watched.registered && tried && trusted {
            return Ok(());
        }
        files.generation = files.generation.wrapping_add(1) & 0x7fff_ffff;
        let data = event_data(fd, files.generation);
        // ADD also finds out whether the number now names another file: then the old
        // registration went with the old file. MOD looks at readiness afresh.
        let mut op =
            if watched.registered && trusted { libc::EPOLL_CTL_MOD } else { libc::EPOLL_CTL_ADD };
        let mut result = calls::epoll_ctl(&self.host, epfd, op, fd, ALL_EVENTS, data);
        if let Err(Errno::EEXIST | Errno::ENOENT) = result {
            // The number may name a file again that is kept, whose registration is taken away now.
            let taken = files.moved.iter().filter(|(data, _)| *data as u32 as i32 == fd);
            for (data, kept) in taken {
                let add = libc::EPOLL_CTL_ADD;
                let _ = calls::epoll_ctl(&self.host, epfd, add, *kept, ALL_EVENTS, *data);
            }
            op = if op == libc::EPOLL_CTL_ADD { libc::EPOLL_CTL_MOD } else { libc::EPOLL_CTL_ADD };
            result = calls::epoll_ctl(&self.host, epfd, op, fd, ALL_EVENTS, data);
        }
        if result.is_err() {
            if watched.waiting.is_empty() {
                files.watched.remove(&fd);
            }
            return result;
        }
        watched.registered = true;
        watched.drained = false;
        watched.generation = files.generation;
        Ok(())
    }

    /// Handles events of the epoll set: requests that were waiting for them are issued again. True
    /// if one of them is another thread's to take.
    pub(crate) fn handle_events(
        self: &Arc<Self>,
        sub: &mut Submit<H>,
        role: Role,
        events: &[Event],
    ) -> bool {
        let mut passed_by = false;
        for event in events {
            let (data, revents) = (event.data, event.events);
            if data == WAKER_EVENT || data == SQ_WAKER_EVENT {
                passed_by |= self.take_waker(role, data);
                continue;
            }
            if data == DEVICE_EVENT {
                self.take_direct(sub);
                continue;
            }
            let Some(watched) = sub.polled.source(data) else { continue };
            watched.drained = false;
            watched.ended |= revents & ENDS_DRAINING != 0;
            watched.gone = 0;
            let mut waiting = std::mem::take(&mut watched.waiting);
            waiting.retain(|key| !self.let_go(sub, *key, revents));
            // Issuing happens after the scan, from the ready queue, so nobody was added since
            // but a multishot that was put back at once.
            if let Some(watched) = sub.polled.source(data) {
                waiting.append(&mut watched.waiting);
                watched.waiting = waiting;
            }
        }
        passed_by
    }

    /// A waker is drained by the one it is for; whoever else sees it leaves it standing, and is
    /// told so. One that was for a thread which has left stands for nobody, and would keep whoever
    /// drives the ring awake.
    fn take_waker(&self, role: Role, data: u64) -> bool {
        let waits = || self.waiting.load(Ordering::SeqCst) > 0;
        let for_me = match role {
            Role::Waiter | Role::Sleeper => data == WAKER_EVENT,
            Role::SqThread => data == SQ_WAKER_EVENT,
            Role::Guest => false,
        };
        let mine = for_me || data == WAKER_EVENT && !waits();
        if mine {
            let waker = if data == WAKER_EVENT { &self.waker } else { &self.sq_waker };
            if let Some(_held) = self.hold_descriptors() {
                calls::eventfd_drain(&self.host, waker.load(Ordering::Acquire));
            }
        }
        if mine && !for_me && waits() {
            // A waiter has come since, and this may have been its call.
            self.wake_waiter();
        }
        !mine
    }

    /// Lets a waiting request go on if `revents` is what it waits for; true if it has left.
    pub(crate) fn let_go(self: &Arc<Self>, sub: &mut Submit<H>, key: Key, revents: u32) -> bool {
        let Some(entry) = sub.parked.get(key) else { return true };
        let Waits::Ready { events, req, .. } = &entry.waits else { return true };
        if events & revents == 0 {
            return false;
        }
        if self.is_orphan(req) {
            return self.give_up(sub, key);
        }
        if entry.opcode == Op::PollAdd as u8 {
            return crate::ops::poll::event(self, sub, key, revents);
        }
        let Some(entry) = sub.parked.remove(key) else { return true };
        if let Waits::Ready { mut req, .. } = entry.waits {
            self.rejoin_link_timeout(sub, &mut req);
            sub.ready.push_back(req);
        }
        true
    }

    /// Whether the thread that a request belongs to has ended.
    fn is_orphan(&self, req: &Req<H>) -> bool {
        req.task != self.host.thread_id() && !self.host.thread_lives(req.task)
    }

    /// A request whose thread has ended is cancelled when its time comes, and not before.
    fn give_up(&self, sub: &mut Submit<H>, key: Key) -> bool {
        if let Some(Waits::Ready { mut req, .. }) = sub.parked.remove(key).map(|entry| entry.waits)
        {
            self.rejoin_link_timeout(sub, &mut req);
            req.result = Some(Errno::ECANCELED.as_result());
            sub.ready.push_back(req);
        }
        true
    }

    /// The program is about to close descriptors: requests that wait for them keep the file.
    pub(crate) fn keep_files(self: &Arc<Self>, first: u32, last: u32) {
        let begun = self.with_submit(|ring, sub| {
            sub.kinds.forget(first, last);
            sub.signals.forget(first, last);
            for fd in sub.polled.waits_in(first, last) {
                ring.keep_file(sub, fd);
            }
            ring.keep_at_workers(sub, first, last)
        });
        begun.iter().for_each(|job| job.await_call());
    }

    /// The same for requests that workers have, or will have if a device refuses them; the jobs whose
    /// call is to be awaited.
    pub(crate) fn keep_at_workers(
        &self,
        sub: &mut Submit<H>,
        first: u32,
        last: u32,
    ) -> Vec<Arc<Job<H>>> {
        let mut begun = Vec::new();
        if sub.at_workers == 0 && !sub.direct.is_busy() {
            return begun;
        }
        let mut kept: HashMap<i32, Option<Arc<OwnedFile<H>>>, FdHash> = HashMap::default();
        for (_, entry) in sub.parked.iter_mut() {
            if entry.fixed || !(first..=last).contains(&(entry.fd as u32)) {
                continue;
            }
            let fd = entry.fd;
            match &mut entry.waits {
                Waits::Work { job } if !job.keep_file(fd, kept.entry(fd).or_default()) => {
                    begun.push(Arc::clone(job));
                }
                Waits::Device { req } => {
                    keep_plain(&self.host, req, fd, kept.entry(fd).or_default());
                }
                _ => {}
            }
        }
        begun
    }

    /// A file that requests wait for is kept, and so is its registration: it is for the open file,
    /// and goes on to tell of it without the number by which it was made. So no edge is lost, and
    /// none is told again.
    pub(crate) fn keep_file(self: &Arc<Self>, sub: &mut Submit<H>, fd: i32) {
        let Some(watched) = sub.polled.watched.remove(&fd) else { return };
        if !watched.waiting.iter().any(|key| sub.parked.get(*key).is_some()) {
            let epfd = self.epfd.load(Ordering::Acquire);
            if epfd >= 0 && watched.registered {
                let _ = calls::epoll_ctl(&self.host, epfd, libc::EPOLL_CTL_DEL, fd, 0, 0);
            }
            return;
        }
        let Ok(kept) = OwnedFile::dup(&self.host, fd) else { return };
        for key in &watched.waiting {
            let entry = sub.parked.get_mut(*key).map(|entry| &mut entry.waits);
            let Some(Waits::Ready { fd, req, .. }) = entry else { continue };
            *fd = kept.fd();
            req.file = FileRef::Owned(Arc::clone(&kept));
        }
        sub.polled.move_to(watched, fd, kept.fd());
    }
}

/// Has a request keep the file that it names by the program's descriptor `fd`: `kept`, made at need.
pub(crate) fn keep_plain<H: Host>(
    host: &H,
    req: &mut Req<H>,
    fd: i32,
    kept: &mut Option<Arc<OwnedFile<H>>>,
) {
    if !matches!(req.file, FileRef::Plain(plain) if plain == fd) {
        return;
    }
    if kept.is_none() {
        *kept = OwnedFile::dup(host, fd).ok();
    }
    if let Some(kept) = kept {
        req.file = FileRef::Owned(Arc::clone(kept));
    }
}

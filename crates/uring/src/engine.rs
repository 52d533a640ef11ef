//! The engine of a process: its rings, its worker pool, its attendant.

use crate::attend::Attendant;
use crate::cq::Cq;
use crate::homes::Pools;
use crate::inherit::Inherited;
use crate::locks;
use crate::request::OwnedFile;
use crate::ring::Ring;
use crate::ring_fds::{Slots, is_named};
use crate::stats::Past;
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize};
use ringfence_host::shm::Shm;
use ringfence_host::sync::{Arc, Mutex, Ordering, mutex};
use ringfence_host::{Host, Point, RingMemory, calls, plain};
use std::collections::HashMap;

/// What all rings share.
pub(crate) struct Shared<H: Host> {
    /// Of a forked child: rings of its parent's that it has not used.
    pub(crate) inherited: Mutex<H, Inherited<H>>,
    /// While the process is being forked: what the child is to inherit.
    pub(crate) at_fork: Mutex<H, Option<Inherited<H>>>,
    /// This is a forked child, and the engine its parent's.
    pub(crate) left: AtomicBool<H>,
    /// There are inherited rings; a look without the lock.
    pub(crate) inherits: AtomicBool<H>,
    /// A pidfd of this process, by which a child can tell whether its threads are there; -1 until a fork
    /// with an SQPOLL ring.
    pub(crate) process: AtomicI32<H>,
    pub(crate) rings: Mutex<H, Rings<H>>,
    /// How many rings there are; a look without the lock.
    count: AtomicUsize<H>,
    epoch: AtomicU64<H>,
    /// Requests that a ring may have alive.
    pub(crate) requests_max: AtomicUsize<H>,
    /// Every close of a descriptor is told before it happens.
    pub(crate) trusts_closes: AtomicBool<H>,
    pub(crate) pools: Pools<H>,
    pub(crate) attendant: Arc<Attendant<H>>,
    /// The contexts of Linux AIO.
    pub(crate) aio: crate::aio::Contexts<H>,
    /// What rings did that are gone.
    pub(crate) past: Mutex<H, Past>,
}

pub(crate) struct Rings<H: Host> {
    pub(crate) by_fd: HashMap<i32, Arc<Ring<H>>>,
    /// Rings whose descriptors are all closed, or nearly, until they are released.
    pub(crate) all: Vec<Arc<Ring<H>>>,
    /// Rings and contexts that are not found any more, until their last descriptor is closed: whoever
    /// closes all but the engine's descriptors must hear of these, or they are closed twice.
    leaving: Vec<Arc<Ring<H>>>,
    /// Registered rings, by thread.
    pub(crate) registered: HashMap<u32, Slots<H>>,
}

impl<H: Host> Rings<H> {
    fn leave(&mut self, ring: &Arc<Ring<H>>) {
        // Without the memory for it the descriptors are not spared.
        if self.leaving.try_reserve(1).is_ok() {
            self.leaving.push(Arc::clone(ring));
        }
    }
}

impl<H: Host> Shared<H> {
    /// The ring of a descriptor; one of a parent's is adopted with that.
    pub(crate) fn ring(self: &Arc<Self>, fd: i32) -> Option<Arc<Ring<H>>> {
        self.listed(fd).or_else(|| self.adopt(fd))
    }

    fn listed(&self, fd: i32) -> Option<Arc<Ring<H>>> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.rings.lock().by_fd.get(&fd).cloned()
    }

    /// Puts a ring on the table.
    pub(crate) fn enlist(&self, ring: Arc<Ring<H>>) -> Arc<Ring<H>> {
        let stale = {
            let mut rings = self.rings.lock();
            rings.all.push(Arc::clone(&ring));
            let stale = rings.by_fd.insert(ring.fd, Arc::clone(&ring));
            self.count.store(rings.all.len(), Ordering::Release);
            stale
        };
        // The number was a ring's before and nobody told of its close, the host least of all.
        if let Some(stale) = stale.filter(|stale| stale.watch < 0) {
            self.release(&stale);
        }
        self.epoch.fetch_add(1, Ordering::AcqRel);
        ring
    }

    /// The ring a call means: by descriptor, or by index of the registered rings.
    pub(crate) fn named(
        self: &Arc<Self>,
        host: &H,
        fd: i32,
        registered: bool,
    ) -> Result<Arc<Ring<H>>> {
        if registered {
            let rings = self.rings.lock();
            let slots = rings.registered.get(&host.thread_id()).ok_or(Errno::EINVAL)?;
            let slot = slots.get(fd as u32 as usize).ok_or(Errno::EINVAL)?;
            return slot.clone().ok_or(Errno::EBADF);
        }
        self.ring(fd).ok_or_else(|| no_ring(host, fd))
    }

    pub(crate) fn is_ring(&self, fd: i32) -> bool {
        let listed =
            self.count.load(Ordering::Acquire) > 0 && self.rings.lock().by_fd.contains_key(&fd);
        listed || self.is_inherited(fd)
    }

    /// An operation made a new descriptor: what was known of the number is void.
    pub(crate) fn fd_opened(&self, sub: &mut Submit<H>, fd: i32) {
        sub.kinds.forget(fd as u32, fd as u32);
    }

    /// Releases rings that their program has let go of.
    pub(crate) fn reap(&self) {
        let mut watches = Vec::new();
        let Some(host) = self.rings.lock().all.first().map(|ring| ring.host.clone()) else {
            return;
        };
        host.released(&mut watches);
        for watch in watches {
            let gone = {
                let rings = self.rings.lock();
                let ring = rings.all.iter().find(|ring| ring.watch == watch);
                // What is told once is kept for when the last thread that registered it lets go.
                ring.inspect(|ring| ring.released.store(true, Ordering::Release))
                    .filter(|ring| !is_named(&rings, ring))
                    .cloned()
            };
            if let Some(ring) = gone {
                self.release(&ring);
            }
        }
    }

    /// Tears a ring down.
    pub(crate) fn release(&self, ring: &Arc<Ring<H>>) {
        {
            let mut rings = self.rings.lock();
            rings.by_fd.retain(|_, other| !Arc::ptr_eq(other, ring));
            rings.all.retain(|other| !Arc::ptr_eq(other, ring));
            rings.leave(ring);
            self.count.store(rings.all.len(), Ordering::Release);
        }
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.tear_down(ring);
    }

    /// A ring or context is about to be not found any more.
    pub(crate) fn leaves(&self, ring: &Arc<Ring<H>>) {
        self.rings.lock().leave(ring);
    }

    /// The last descriptor of a dead ring is closed.
    pub(crate) fn left(&self, ring: &Ring<H>) {
        self.rings.lock().leaving.retain(|other| !std::ptr::eq(&raw const **other, ring));
    }

    /// Tears a ring down that nothing leads to any more, and keeps its counts.
    pub(crate) fn tear_down(&self, ring: &Arc<Ring<H>>) {
        let past = ring.tear_down();
        self.attendant.forget(ring);
        self.past.lock().add(&past);
    }
}

/// The error for a descriptor that names no ring: `EBADF` if it names nothing.
pub(crate) fn no_ring<H: Host>(host: &H, fd: i32) -> Errno {
    let args = [fd as u64, libc::F_GETFD as u64, 0, 0, 0, 0];
    host.syscall(libc::SYS_fcntl, args).err().unwrap_or(Errno::EOPNOTSUPP)
}

/// The program's limit of open descriptors.
pub(crate) fn nofile_limit<H: Host>(host: &H) -> u64 {
    let mut limits = [u64::MAX; 2];
    let at = calls::addr_mut(&mut limits);
    let _ = host.syscall(libc::SYS_prlimit64, [0, libc::RLIMIT_NOFILE as u64, 0, at, 0, 0]);
    limits[0]
}

/// The io_uring of one process.
pub struct Engine<H: Host> {
    pub(crate) host: H,
    pub(crate) shared: Arc<Shared<H>>,
}

impl<H: Host> Engine<H> {
    /// An engine without rings; it starts no thread and opens nothing.
    pub fn new(host: H) -> Self {
        let () = crate::opdef::Table::<H>::IN_ABI_ORDER;
        let rings = Rings {
            by_fd: HashMap::new(),
            all: Vec::new(),
            leaving: Vec::new(),
            registered: HashMap::new(),
        };
        let shared = Arc::new(Shared {
            inherited: mutex(&host, &locks::INHERITED, HashMap::new()),
            at_fork: mutex(&host, &locks::INHERITED, None),
            left: AtomicBool::new(false),
            inherits: AtomicBool::new(false),
            process: AtomicI32::new(-1),
            rings: mutex(&host, &locks::RINGS, rings),
            count: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
            requests_max: AtomicUsize::new(usize::MAX),
            trusts_closes: AtomicBool::new(false),
            pools: Pools::new(&host),
            attendant: Arc::new(Attendant::new(host.clone())),
            aio: crate::aio::Contexts::new(&host),
            past: mutex(&host, &locks::COUNTS, Past::default()),
        });
        Engine { host, shared }
    }

    /// Says whether from now on [`Engine::before_close`] is called before every close, so that what
    /// is known of a descriptor can be kept between calls.
    pub fn trust_closes(&self, trusted: bool) {
        self.shared.trusts_closes.store(trusted, Ordering::Release);
    }

    /// `io_uring_setup`; `params` is an address in the program.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn setup(&self, entries: u32, params: u64) -> Result<i32> {
        self.shared.reap();
        let mut p: Params = plain::read(&self.host, params)?;
        let asked = p;
        let layout = crate::setup::plan(entries, &mut p)?;
        if layout.has(IORING_SETUP_ATTACH_WQ) && self.ring(asked.wq_fd as i32).is_none() {
            // Workers serve all rings here; the descriptor must name one all the same.
            return Err(match no_ring(&self.host, asked.wq_fd as i32) {
                Errno::EOPNOTSUPP => Errno::EINVAL,
                _ => Errno::ENXIO,
            });
        }
        if layout.has(IORING_SETUP_SQ_AFF) && p.sq_thread_cpu >= self.host.cpus() {
            return Err(Errno::EINVAL);
        }
        if layout.has(IORING_SETUP_ATTACH_WQ) {
            // Workers are shared by all rings anyway; the other one must be a ring.
            self.shared.named(&self.host, p.wq_fd as i32, false).map_err(|errno| match errno {
                Errno::EOPNOTSUPP => Errno::EINVAL,
                other => other,
            })?;
        }
        let (memory, shm, sqes) = self.memory(&layout, &asked)?;
        let fd = memory.fd;
        let ring = Arc::new(new_ring(self, memory, layout, shm, sqes, &p));
        ring.write_header();
        if let Err(errno) = plain::write(&self.host, params, &p) {
            let _ = calls::close(&self.host, fd);
            return Err(errno);
        }
        if ring.has(IORING_SETUP_SINGLE_ISSUER) && !ring.has(IORING_SETUP_R_DISABLED) {
            ring.owner.store(self.host.thread_id(), Ordering::Release);
        }
        let ring = self.shared.enlist(ring);
        let set_up = self.furnish(&ring, &p).inspect_err(|_| {
            // The program has not heard of it, so nobody else lets go of it.
            let _ = calls::close(&self.host, fd);
            self.shared.release(&ring);
        });
        self.host.at(Point::Return);
        set_up
    }

    /// What a ring has besides its memory; what it is known by.
    fn furnish(&self, ring: &Arc<Ring<H>>, p: &Params) -> Result<i32> {
        if ring.has(IORING_SETUP_SQPOLL) {
            ring.start_sqpoll(p)?;
            ring.hold();
        }
        if ring.has(IORING_SETUP_REGISTERED_FD_ONLY) {
            return self.register_only(ring);
        }
        Ok(ring.fd)
    }

    /// The ring is known by an index of the registered rings only.
    fn register_only(&self, ring: &Arc<Ring<H>>) -> Result<i32> {
        let mut rings = self.shared.rings.lock();
        let slots = self.shared.slots(&self.host, &mut rings);
        let slot = slots.iter().position(Option::is_none).ok_or(Errno::EBUSY)?;
        slots[slot] = Some(Arc::clone(ring));
        rings.by_fd.remove(&ring.fd);
        drop(rings);
        ring.released.store(ring.watch < 0, Ordering::Release);
        let _ = calls::close(&self.host, ring.fd);
        Ok(slot as i32)
    }

    fn memory(
        &self,
        layout: &crate::ring::Layout,
        asked: &Params,
    ) -> Result<(RingMemory, Shm, Shm)> {
        let (rings_len, sqes_len) = (layout.rings_len(), layout.sqes_len());
        let sparse = IORING_OFF_PBUF_RING + (1 << 32);
        let small = IORING_OFF_SQES + sqes_len as u64;
        let memory = self.host.ring_memory(sparse).or_else(|_| self.host.ring_memory(small))?;
        let mapped = if layout.has(IORING_SETUP_NO_MMAP) {
            program_memory(&self.host, asked, rings_len, sqes_len)
        } else {
            let [rings_max, sqes_max] = crate::register::resize::room(layout);
            let shm = Shm::map(memory.own, IORING_OFF_SQ_RING, rings_len, rings_max);
            let sqes = Shm::map(memory.own, IORING_OFF_SQES, sqes_len, sqes_max);
            let (shm, sqes) = (shm.ok_or(Errno::ENOMEM), sqes.ok_or(Errno::ENOMEM));
            shm.and_then(|shm| sqes.map(|sqes| (shm, sqes)))
        };
        match mapped {
            Ok((shm, sqes)) => Ok((memory, shm, sqes)),
            Err(errno) => {
                let _ = calls::close(&self.host, memory.fd);
                let _ = calls::close(&self.host, memory.own);
                Err(errno)
            }
        }
    }

    /// The ring of a descriptor, if it is one of ours. A caller may keep it per thread as long as
    /// [`Engine::epoch`] stays the same.
    pub fn ring(&self, fd: i32) -> Option<Arc<Ring<H>>> {
        self.shared.ring(fd)
    }

    /// Changes whenever a descriptor may have come to name another ring, or none.
    pub fn epoch(&self) -> u64 {
        self.shared.epoch.load(Ordering::Acquire)
    }

    /// `io_uring_enter`.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn enter(
        &self,
        fd: i32,
        to_submit: u32,
        min_complete: u32,
        flags: u32,
        arg: u64,
        argsz: u64,
    ) -> Result<u32> {
        crate::wait::check_flags(flags)?;
        let ring = self.named(fd, flags & IORING_ENTER_REGISTERED_RING != 0)?;
        ring.enter(to_submit, min_complete, flags, arg, argsz)
    }

    /// `io_uring_register`.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn register(&self, fd: i32, opcode: u32, arg: u64, nr_args: u32) -> Result<u32> {
        let registered = opcode & IORING_REGISTER_USE_REGISTERED_RING != 0;
        let opcode = opcode & !IORING_REGISTER_USE_REGISTERED_RING;
        if opcode as usize >= RegisterOp::ALL.len() {
            return Err(Errno::EINVAL);
        }
        let result = match RegisterOp::from_code(opcode) {
            // These need no ring.
            Some(RegisterOp::SendMsgRing) if fd == -1 => {
                crate::ops::msg_ring::send_directly(&self.shared, &self.host, arg, nr_args)
            }
            Some(RegisterOp::Query) if fd == -1 => {
                crate::register::query::query(&self.host, arg, nr_args)
            }
            _ if fd == -1 && !registered => Err(Errno::EINVAL),
            _ => self.named(fd, registered)?.register(opcode, arg, nr_args),
        };
        self.host.at(Point::Return);
        result
    }

    /// Descriptors from `first` to `last` are about to be closed or replaced.
    pub fn before_close(&self, first: u32, last: u32) {
        self.shared.inherited.lock().retain(|fd, _| !(first..=last).contains(&(*fd as u32)));
        for ring in self.shared.aio.rings() {
            ring.keep_files(first, last);
        }
        if self.shared.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let rings: Vec<Arc<Ring<H>>> = self.shared.rings.lock().all.clone();
        for ring in rings {
            if (first..=last).contains(&(ring.fd as u32))
                && ring.pending.load(Ordering::Acquire) > 0
            {
                // What is ready is posted while a thread can still be asked for it by this number:
                // the program may take it from the ring without another call.
                let _ = ring.drive(crate::wait::Role::Guest, Some(0), None);
            }
            ring.keep_files(first, last);
        }
        self.forget_rings(first, last);
    }

    /// Ring descriptors among those closed no longer name their rings; the ring itself lives on
    /// until its last descriptor and mapping are gone.
    fn forget_rings(&self, first: u32, last: u32) {
        let mut rings = self.shared.rings.lock();
        let closed = rings.by_fd.extract_if(|fd, _| (first..=last).contains(&(*fd as u32)));
        let mut closed: Vec<Arc<Ring<H>>> = closed.map(|(_, ring)| ring).collect();
        if closed.is_empty() {
            return;
        }
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
        // Where the host cannot tell of the last mapping, the close of the last descriptor is the end.
        // So it is where there is none to tell of: the program may free its memory after this.
        closed.retain(|ring| {
            let has_other = rings.by_fd.values().any(|other| Arc::ptr_eq(other, ring));
            let ends = !has_other && (ring.watch < 0 || ring.has(IORING_SETUP_NO_MMAP));
            if ends && is_named(&rings, ring) {
                ring.released.store(true, Ordering::Release);
                return false;
            }
            ends
        });
        drop(rings);
        closed.dedup_by(|a, b| Arc::ptr_eq(a, b));
        closed.iter().for_each(|ring| self.shared.release(ring));
    }

    /// `new` has become another descriptor of what `old` names.
    pub fn after_dup(&self, old: i32, new: i32) {
        if let Some(ring) = self.shared.ring(old) {
            self.shared.rings.lock().by_fd.insert(new, ring);
            self.shared.epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Releases the rings that the program let go of; called by itself at each setup, and by the
    /// attendant while requests are pending.
    pub fn reap(&self) {
        self.shared.reap();
    }

    /// Whether control messages of the program's, at this address and of this many bytes, hold a ring,
    /// which the kernel refuses to send.
    pub fn sends_ring(&self, control: u64, len: u64) -> bool {
        self.shared.sends_ring(&self.host, control, len)
    }

    /// The descriptor to poll in place of a ring's: readable while completions are there, if
    /// [`Engine::attend`] is called before each wait on it.
    pub fn poll_fd(&self, fd: i32) -> Option<i32> {
        self.shared.ring(fd)?.make_poll_fd().ok()
    }

    /// To be called before a wait that watches a ring: its poll descriptor is made true, and
    /// someone looks after its pending requests while the thread sleeps.
    pub fn attend(&self, fd: i32) {
        if let Some(ring) = self.shared.ring(fd) {
            ring.refresh_poll_fd();
            if ring.pending.load(Ordering::Acquire) > 0 || ring.must_be_looked_at() {
                self.shared.attendant.urge(&ring);
            }
        }
    }

    /// In a forked child, before anything else: the parent's rings are the parent's, until the child
    /// uses one.
    #[must_use]
    pub fn after_fork(&self) -> Engine<H> {
        self.host.forked();
        self.shared.left.store(true, Ordering::Release);
        let child = Engine::new(self.host.clone());
        let inherited = self.shared.to_inherit();
        child.shared.inherits.store(!inherited.is_empty(), Ordering::Release);
        *child.shared.inherited.lock() = inherited;
        child.shared.pools.inherit(&self.shared.pools);
        // What threads remember of the parent's rings is void.
        child.shared.epoch.store(self.epoch() + 1, Ordering::Release);
        child
    }

    /// Descriptors of the engine's own, ascending: what a close of all descriptors must spare.
    pub fn private_fds(&self) -> Vec<u32> {
        let mut fds = self.shared.attendant.fds();
        // Contexts first: one that is not found any more is among those that leave by then.
        let mut rings = self.shared.aio.rings();
        {
            let table = self.shared.rings.lock();
            rings.extend(table.all.iter().chain(&table.leaving).cloned());
        }
        for ring in rings {
            fds.extend(ring.fds());
        }
        fds.extend(self.host.private_fds());
        fds.push(self.shared.process.load(Ordering::Acquire));
        let mut fds: Vec<u32> = fds.into_iter().filter(|fd| *fd >= 0).map(|fd| fd as u32).collect();
        fds.sort_unstable();
        fds.dedup();
        fds
    }
}

/// The ring of an AIO context: without a descriptor, and its completions are `io_event`s.
pub(crate) fn aio_ring<H: Host>(shared: &Arc<Shared<H>>, host: &H, nr: u32, shm: Shm) -> Ring<H> {
    let memory = RingMemory { fd: -1, own: -1, watch: -1 };
    let engine = Engine { host: host.clone(), shared: Arc::clone(shared) };
    let (layout, sqes) = (crate::ring::Layout::aio(nr), Shm::of_program(0, 0));
    new_ring(&engine, memory, layout, shm, sqes, &Params::default())
}

/// The memory that a `NO_MMAP` program brings.
fn program_memory<H: Host>(
    host: &H,
    params: &Params,
    rings: usize,
    sqes: usize,
) -> Result<(Shm, Shm)> {
    let (cq, sq) = (params.cq_off.user_addr, params.sq_off.user_addr);
    if cq == 0 || sq == 0 || cq % 4096 != 0 || sq % 4096 != 0 {
        return Err(if cq == 0 || sq == 0 { Errno::EFAULT } else { Errno::EINVAL });
    }
    for (addr, len) in [(cq, rings), (sq, sqes)] {
        let args = [addr, len as u64, 23, 0, 0, 0];
        if host.syscall(libc::SYS_madvise, args).is_err() {
            return Err(Errno::EFAULT);
        }
    }
    Ok((Shm::of_program(cq, rings), Shm::of_program(sq, sqes)))
}

pub(crate) fn new_ring<H: Host>(
    engine: &Engine<H>,
    memory: RingMemory,
    layout: crate::ring::Layout,
    shm: Shm,
    sqes: Shm,
    params: &Params,
) -> Ring<H> {
    let view = Arc::default();
    let host = &engine.host;
    Ring {
        shared: Arc::clone(&engine.shared),
        host: host.clone(),
        fd: memory.fd,
        memory: AtomicI32::new(memory.own),
        watch: memory.watch,
        layout,
        shm,
        sqes,
        submit: mutex(host, &locks::SUBMIT, Submit::new()),
        cq: mutex(host, &locks::CQ, Cq::new(Arc::clone(&view))),
        view,
        task_work: mutex(host, &locks::TASK_WORK, Vec::new()),
        epfd: AtomicI32::new(-1),
        waker: AtomicI32::new(-1),
        sq_waker: AtomicI32::new(-1),
        sq_process: AtomicI32::new(-1),
        waiting: AtomicUsize::new(0),
        users: AtomicUsize::new(0),
        pending: AtomicUsize::new(0),
        deadline: AtomicU64::new(u64::MAX),
        visits: AtomicU32::new(0),
        attended: AtomicBool::new(false),
        has_task_work: AtomicBool::new(false),
        parker: AtomicU32::new(0),
        owner: AtomicU32::new(0),
        disabled: AtomicBool::new(params.flags & IORING_SETUP_R_DISABLED != 0),
        dead: AtomicBool::new(false),
        released: AtomicBool::new(false),
        announces: AtomicBool::new(false),
        holds: AtomicBool::new(false),
        sq_user: std::sync::OnceLock::new(),
        sq_asked: AtomicBool::new(false),
        poll_fd: AtomicI32::new(-1),
        eventfd: mutex(host, &locks::EVENTFD, None),
        rang: AtomicBool::new(false),
        pollers: crate::pollers::Pollers::new(host),
        undriven: AtomicU32::new(0),
        settled: AtomicU32::new(0),
    }
}

/// A file of the engine's own.
pub(crate) type File<H> = Arc<OwnedFile<H>>;

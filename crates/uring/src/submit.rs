//! Consuming the submission queue: entries become requests, requests become chains.

use crate::cq::Entry;
use crate::drain::Drain;
use crate::here::Read;
use crate::opdef::{OpDef, Table as Ops};
use crate::ops::zero_copy::is_notified;
use crate::parked::Table;
use crate::poll::Files as Polled;
use crate::register::Registered;
use crate::register::personality::Credentials;
use crate::request::{FileRef, Outcome, Req};
use crate::residence::BATCH_MIN;
use crate::ring::{After, Ring};
use crate::sq;
use crate::timeout::Timers;
use crate::work::Job;
use ringfence_abi::*;
use ringfence_host::Host;
use ringfence_host::memory::has_reserve;
use ringfence_host::sync::{Arc, Ordering};
use std::collections::VecDeque;

/// Entry flags by which it, or what follows, goes on later.
const DEFERS: u8 = IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_IO_DRAIN;

/// Most recycled requests a ring keeps.
pub(crate) const CACHE_MAX: usize = 512;

/// The place of metadata in [`Submit::patience`]; reads and writes stand before it.
pub(crate) const PATIENCE_META: usize = 2;

/// Entry flags that exist.
pub(crate) const SQE_FLAGS_KNOWN: u8 = IOSQE_FIXED_FILE
    | IOSQE_IO_DRAIN
    | IOSQE_IO_LINK
    | IOSQE_IO_HARDLINK
    | IOSQE_ASYNC
    | IOSQE_BUFFER_SELECT
    | IOSQE_CQE_SKIP_SUCCESS;

/// All that the submission lock guards.
pub(crate) struct Submit<H: Host> {
    /// Position in the submission queue; the shared word is written, never read back.
    head: u32,
    /// Entries with an invalid index so far.
    dropped: u32,
    /// Recycled requests.
    pub(crate) cache: Vec<Req<H>>,
    /// Whom the requests of this submission are made as, if the calling thread need not be that when
    /// they are.
    pub(crate) on_behalf: Option<Arc<Credentials>>,
    /// Some thread was seen to be another user, or `on_behalf` is set.
    users_differ: bool,
    /// The link chain being put together.
    pub(crate) chain: Vec<Req<H>>,
    /// Requests to be issued next, before the lock is released.
    pub(crate) ready: VecDeque<Req<H>>,
    /// Completions to be posted, in order.
    pub(crate) batch: Vec<Entry>,
    /// Timeouts among them.
    pub(crate) fired: u32,
    /// Work for the pool, handed over once the lock is released.
    pub(crate) jobs: Vec<Arc<Job<H>>>,
    /// Waits for threads, handed over once the lock is released.
    pub(crate) blocked: Vec<Arc<crate::blocked::Blocked<H>>>,
    /// Calls for the submitting thread itself to make once the lock is released, and their classes.
    pub(crate) here: Vec<(usize, Arc<Job<H>>)>,
    /// Reads from memory for it to make likewise; the numbers are for their results.
    pub(crate) reads: Vec<(Read<H>, i32)>,
    /// Such reads under way.
    pub(crate) reading: usize,
    /// They may be made so: many come in this submission, and experience is good.
    pub(crate) reads_plainly: bool,
    /// The submission was left to make them, with entries to go.
    pub(crate) paused: bool,
    /// The results of such calls are being taken in, and more may follow.
    pub(crate) goes_on: bool,
    /// Whom to wake once the lock is released.
    pub(crate) after: After,
    /// Requests that wait.
    pub(crate) parked: Table<H>,
    /// Readiness of files.
    pub(crate) polled: Polled,
    /// Requests of a deferring ring that are ready, and the events, for its owner to let go on.
    pub(crate) gathered: Vec<(crate::parked::Key, u32)>,
    /// Requests at workers.
    pub(crate) at_workers: usize,
    /// Transfers at devices.
    pub(crate) direct: crate::direct::Direct<H>,
    /// User data and operation of what waited for files and was cancelled in this submission. The kernel
    /// takes such a request out once the submission is over, and until then finds it again.
    pub(crate) struck: Vec<(u64, u8)>,
    /// Timers.
    pub(crate) timers: Timers,
    /// Requests held back by a drain.
    pub(crate) drain: Drain<H>,
    /// Registered files, buffers and the rest.
    pub(crate) registered: Registered<H>,
    /// Kinds of files, by descriptor.
    pub(crate) kinds: crate::kind::Kinds,
    /// Whether calls that may block are made inline: reads, writes, metadata.
    pub(crate) patience: [crate::patience::Patience; 3],
    /// Whether reads find their pages in memory.
    pub(crate) residence: crate::residence::Residence,
    /// The time, read by a request of this batch since which nothing took any.
    pub(crate) clock: Option<u64>,
    /// Requests alive: prepared and not completed.
    pub(crate) alive: usize,
    /// Requests that exist, recycled ones included; there is a place for each wherever they stand.
    pub(crate) made: usize,
    /// The most requests that there was memory for.
    pub(crate) held_max: usize,
    /// The last submission stopped where no more requests are allowed.
    pub(crate) starved: bool,
    /// Operations done, by opcode.
    pub(crate) counts: [u64; Op::COUNT],
    /// The eventfds of an AIO context's requests.
    pub(crate) signals: crate::aio::signal::Signals<H>,
    /// Inside a submission by the program; completions are then not asynchronous.
    pub(crate) submitting: bool,
    /// The ring is being torn down; nothing is issued any more.
    pub(crate) closing: bool,
    /// Descriptors that are being closed with it, no lock held.
    pub(crate) leaving: Vec<i32>,
}

impl<H: Host> Submit<H> {
    pub(crate) fn new() -> Self {
        Submit {
            head: 0,
            dropped: 0,
            cache: Vec::new(),
            on_behalf: None,
            users_differ: false,
            chain: Vec::new(),
            ready: VecDeque::new(),
            batch: Vec::with_capacity(32),
            fired: 0,
            jobs: Vec::new(),
            blocked: Vec::new(),
            here: Vec::new(),
            reads: Vec::new(),
            reading: 0,
            reads_plainly: false,
            paused: false,
            goes_on: false,
            after: After::default(),
            parked: Table::new(),
            struck: Vec::new(),
            polled: Polled::default(),
            gathered: Vec::new(),
            at_workers: 0,
            direct: crate::direct::Direct::new(),
            timers: Timers::default(),
            drain: Drain::new(),
            registered: Registered::default(),
            kinds: crate::kind::Kinds::default(),
            patience: [crate::patience::Patience::default(); 3],
            residence: crate::residence::Residence::default(),
            clock: None,
            alive: 0,
            made: 0,
            held_max: 0,
            starved: false,
            counts: [0; Op::COUNT],
            signals: crate::aio::signal::Signals::default(),
            submitting: false,
            closing: false,
            leaving: Vec::new(),
        }
    }

    /// How far the submission queue is consumed.
    pub(crate) fn head(&self) -> u32 {
        self.head
    }

    /// A request for an entry; that there is one was asked before.
    #[inline(always)]
    pub(crate) fn new_request(&mut self, sqe: &Sqe) -> Req<H> {
        self.alive += 1;
        debug_assert!(!self.cache.is_empty());
        let mut req = self.cache.pop().unwrap_or_else(Self::another);
        req.reset(sqe);
        req
    }

    /// A request that nobody asked for room for; there is no such caller.
    #[cold]
    fn another() -> Req<H> {
        Req::default()
    }

    /// Takes a completed request back.
    #[inline(always)]
    pub(crate) fn recycle(&mut self, mut req: Req<H>) {
        self.alive -= 1;
        if matches!(req.file, FileRef::Owned(_)) {
            req.file = FileRef::Unset;
        }
        if self.registered.files.has_leaving() {
            self.registered.files.let_go(&mut self.batch);
        }
        req.held = None;
        if self.registered.buffers.has_leaving() {
            self.registered.buffers.let_go(&mut self.batch);
        }
        if self.cache.len() < CACHE_MAX {
            self.cache.push(req);
        } else {
            self.made -= 1;
        }
    }

    /// How a call of this class is to be made that has no form which refuses to block: by the thread
    /// that submits, if that is who is here, until it hurts.
    pub(crate) fn blocking(&mut self, class: usize) -> Outcome {
        let by_submitter = self.submitting || self.goes_on;
        if by_submitter && self.patience[class].allows() {
            Outcome::Here(class)
        } else {
            Outcome::Work
        }
    }

    /// Whom an entry's request is made as, if that need not be the thread that makes it.
    #[cold]
    fn user_of(&self, sqe: &Sqe) -> Result<Option<Arc<Credentials>>> {
        match sqe.personality {
            0 => Ok(self.on_behalf.clone()),
            personality => self.registered.personalities.get(personality).map(Some),
        }
    }

    /// The next entry to consume is this one.
    pub(crate) fn go_on_at(&mut self, head: u32) {
        self.head = head;
    }

    /// Requests that there is memory for: the recycled and the live ones.
    pub(crate) fn held(&self) -> usize {
        self.cache.len() + self.alive
    }
}

impl<H: Host> Ring<H> {
    /// Consumes up to `count` entries; how many it took.
    pub(crate) fn submit_entries(self: &Arc<Self>, sub: &mut Submit<H>, count: u32) -> u32 {
        let rewinds = self.has(IORING_SETUP_SQ_REWIND);
        let queued = sq::queued(&self.shm, sub.head);
        let queued = if rewinds { u32::MAX } else { queued };
        let entries = queued.min(self.layout.sq_entries()).min(count);
        if rewinds {
            // Such a program puts its entries at the start, and leaves head and tail at 0.
            sub.head = 0;
        }
        let (mut taken, deferred) = (0, self.is_deferred());
        sub.submitting = true;
        let allowed = self.shared.requests_max.load(Ordering::Relaxed);
        let alive_max = if has_reserve() { allowed } else { 0 };
        sub.on_behalf = None;
        if entries > 0
            && let Some(user) = self.sq_user.get()
        {
            sub.on_behalf = Some(user).filter(|user| user.were_callers(&self.host)).cloned();
        }
        sub.users_differ = sub.on_behalf.is_some() || self.shared.pools.have_own_ids();
        sub.starved = false;
        sub.paused = false;
        // A submission that rewinds cannot be left and taken up again.
        sub.reads_plainly = entries >= BATCH_MIN && !rewinds && sub.residence.is_believed();
        while taken < entries {
            if sub.alive >= alive_max || !sub.has_request(deferred) {
                sub.starved = true;
                break;
            }
            let Some((sqe, slots)) = self.next_sqe(sub, entries - taken) else { break };
            taken += slots;
            let went = self.submit_one(sub, &sqe);
            if went.is_err() && !self.has(IORING_SETUP_SUBMIT_ALL) {
                break;
            }
            if sub.batch.len() >= 32 {
                self.flush(sub);
            }
            if !sub.reads.is_empty() && taken < entries && self.must_make_reads(sub) {
                sub.paused = true;
                break;
            }
        }
        if !sub.chain.is_empty() {
            self.close_chain(sub);
        }
        if !rewinds {
            sq::consumed(&self.shm, sub.head);
        }
        self.run_ready(sub);
        self.flush(sub);
        sub.struck.clear();
        sub.submitting = false;
        sub.reads_plainly = false;
        taken
    }

    /// Whether the next entry may notice that the reads before it are yet to be made.
    fn must_make_reads(&self, sub: &Submit<H>) -> bool {
        if !sub.chain.is_empty() {
            return false;
        }
        let Ok(index) = sq::index(&self.shm, &self.layout, sub.head) else { return true };
        let sqe: Sqe = self.sqes.read(index as usize * self.layout.sqe_size as usize);
        let reads = [Op::Read as u8, Op::ReadFixed as u8].contains(&sqe.opcode);
        !reads || sqe.flags & (IOSQE_IO_DRAIN | IOSQE_ASYNC | IOSQE_BUFFER_SELECT) != 0
    }

    /// The next of `left` entries, copied, and how many slots it takes; `None` for an index that
    /// is out of range.
    #[inline]
    fn next_sqe(&self, sub: &mut Submit<H>, left: u32) -> Option<(Sqe, u32)> {
        let index = sq::index(&self.shm, &self.layout, sub.head);
        sub.head = sub.head.wrapping_add(1);
        let Ok(index) = index else {
            sub.dropped = sub.dropped.wrapping_add(1);
            self.shm.store(layout::SQ_DROPPED, sub.dropped, Ordering::Relaxed);
            return None;
        };
        let sqe: Sqe = self.sqes.read(index as usize * self.layout.sqe_size as usize);
        if Op::is_wide(sqe.opcode) {
            return Some(self.next_wide(sub, sqe, index, left));
        }
        Some((sqe, 1))
    }

    /// An entry of 128 bytes: one slot in a ring of such slots, two neighbours in a mixed ring, and
    /// elsewhere an unknown operation.
    #[cold]
    fn next_wide(&self, sub: &mut Submit<H>, sqe: Sqe, index: u32, left: u32) -> (Sqe, u32) {
        if self.has(IORING_SETUP_SQE128) {
            return (sqe, 1);
        }
        let fits = left >= 2 && index + 1 < self.layout.sq_entries();
        if self.has(IORING_SETUP_SQE_MIXED) && fits {
            sub.head = sub.head.wrapping_add(1);
            return (sqe, 2);
        }
        (Sqe { opcode: u8::MAX, ..sqe }, 1)
    }

    /// Turns an entry into a request and starts it, or adds it to the chain.
    ///
    /// # Errors
    /// The error of an entry that was refused outside of a chain; it has its completion already.
    #[inline]
    fn submit_one(self: &Arc<Self>, sub: &mut Submit<H>, sqe: &Sqe) -> Result<()> {
        let alone = sqe.flags & !IOSQE_FIXED_FILE == 0
            && sub.chain.is_empty()
            && !sub.drain.is_active()
            && !sub.drain.is_pending()
            && !sub.registered.restricted;
        if sub.reads_plainly && alone && self.read_later(sub, sqe) {
            return Ok(());
        }
        match Ops::<H>::get(sqe.opcode) {
            Some(def) if alone => self.submit_alone(sub, sqe, def),
            _ => self.submit_any(sub, sqe),
        }
    }

    /// The common case: an entry without flags, outside of every chain and drain. Nothing hangs
    /// on its result, so one that is done at once takes the shortest way out.
    #[inline]
    fn submit_alone(
        self: &Arc<Self>,
        sub: &mut Submit<H>,
        sqe: &Sqe,
        def: &'static OpDef<H>,
    ) -> Result<()> {
        let mut req = sub.new_request(sqe);
        if let Err(errno) = self.prepare(sub, &mut req, def, true) {
            self.fail(sub, req, errno);
            return Err(errno);
        }
        match self.attempt(sub, &mut req, def) {
            Outcome::Done(res) if req.buffer.is_none() && !is_notified(&req) => {
                let res = self.judged(&req, res);
                self.complete_alone(sub, req, res);
            }
            Outcome::Resident => sub.reads.push((Read::Request(req), 0)),
            outcome => self.conclude(sub, req, outcome),
        }
        Ok(())
    }

    /// An entry of any kind.
    fn submit_any(self: &Arc<Self>, sub: &mut Submit<H>, sqe: &Sqe) -> Result<()> {
        let mut req = sub.new_request(sqe);
        if sub.users_differ {
            self.note_user(sub, sqe);
        }
        let prepared = self.init(sub, &mut req);
        let linked = req.is_linked();
        if let Err(errno) = prepared {
            req.fate = Some(errno);
            // A bad member dooms the whole chain, the earlier members too.
            if let Some(head) = sub.chain.first_mut()
                && head.fate.is_none()
            {
                head.fate = Some(Errno::ECANCELED);
            }
        }
        if linked || !sub.chain.is_empty() {
            sub.chain.push(req);
            if !linked {
                self.close_chain(sub);
            }
            return if linked { Ok(()) } else { prepared };
        }
        self.start(sub, req);
        prepared
    }

    /// What goes on later is let go on by whoever comes along: so the user it is made as goes with it.
    #[cold]
    fn note_user(&self, sub: &mut Submit<H>, sqe: &Sqe) {
        let goes_on_later =
            !sub.chain.is_empty() || sub.drain.is_active() || sqe.flags & DEFERS != 0;
        if goes_on_later && sub.on_behalf.is_none() {
            sub.on_behalf = Credentials::of_caller(&self.host);
        }
    }

    /// Ends the chain and starts it.
    fn close_chain(self: &Arc<Self>, sub: &mut Submit<H>) {
        let mut head = None;
        while let Some(mut req) = sub.chain.pop() {
            req.next = head;
            head = Some(req);
        }
        if let Some(head) = head {
            self.start(sub, head);
        }
    }

    /// Starts a request or the head of a chain, or holds it back.
    fn start(self: &Arc<Self>, sub: &mut Submit<H>, req: Req<H>) {
        if let Some(errno) = req.fate {
            self.fail(sub, req, errno);
        } else if sub.drain.is_active() {
            self.drain_or_issue(sub, req);
        } else {
            self.issue(sub, req);
        }
    }

    /// The checks common to all operations, from the traits in their rows; then prep.
    #[inline]
    fn init(self: &Arc<Self>, sub: &mut Submit<H>, req: &mut Req<H>) -> Result<()> {
        let Some(def) = Ops::<H>::get(req.sqe.opcode) else {
            req.sqe.opcode = Op::Nop as u8;
            return Err(Errno::EINVAL);
        };
        if req.sqe.flags != 0 {
            self.init_flags(sub, req, def)?;
        }
        if sub.drain.is_pending() {
            self.init_after_drain(sub, req);
        }
        if sub.registered.restricted {
            sub.registered.check_sqe(&req.sqe)?;
        }
        self.prepare(sub, req, def, false)
    }

    /// The checks that an entry without flags needs too; then prep.
    #[inline(always)]
    fn prepare(
        self: &Arc<Self>,
        sub: &mut Submit<H>,
        req: &mut Req<H>,
        def: &OpDef<H>,
        at_once: bool,
    ) -> Result<()> {
        if req.sqe.ioprio != 0 && !def.has(crate::opdef::IOPRIO) {
            return Err(Errno::EINVAL);
        }
        if self.has(IORING_SETUP_IOPOLL) && !def.has(crate::opdef::IOPOLL) {
            return Err(Errno::EINVAL);
        }
        if req.sqe.personality != 0 || sub.users_differ {
            req.credentials = sub.user_of(&req.sqe)?;
        }
        (def.prep)(req, &mut Prep { ring: self, sub, at_once })
    }

    fn init_flags(&self, sub: &mut Submit<H>, req: &mut Req<H>, def: &OpDef<H>) -> Result<()> {
        let flags = req.sqe.flags;
        if flags & !SQE_FLAGS_KNOWN != 0 {
            req.sqe.flags &= SQE_FLAGS_KNOWN;
            return Err(Errno::EINVAL);
        }
        if flags & IOSQE_BUFFER_SELECT != 0 && !def.has(crate::opdef::BUFFER_SELECT) {
            return Err(Errno::EOPNOTSUPP);
        }
        if flags & IOSQE_CQE_SKIP_SUCCESS != 0 {
            sub.drain.disable();
        }
        if flags & IOSQE_IO_DRAIN != 0 {
            sub.drain.begin(&mut sub.chain)?;
        }
        req.force_async = flags & IOSQE_ASYNC != 0;
        Ok(())
    }

    fn init_after_drain(&self, sub: &mut Submit<H>, req: &mut Req<H>) {
        if sub.chain.is_empty() && sub.drain.take_next() {
            req.sqe.flags |= IOSQE_IO_DRAIN;
        }
    }
}

/// What prep may look at besides the request itself.
pub(crate) struct Prep<'a, H: Host> {
    pub(crate) ring: &'a Arc<Ring<H>>,
    pub(crate) sub: &'a mut Submit<H>,
    /// The request is tried right after prep, before anything else can change what it points to.
    pub(crate) at_once: bool,
}

//! The worker pool: threads for what blocks.
//!
//! One pool serves all rings of the process. A thread is started when work is queued and none is
//! idle, and ends after five idle seconds, so that none exists while nothing blocks. Work on
//! files and paths is bounded, as in the kernel; work that may wait for long is not.

use crate::blocked::{Blocked, Wait};
use crate::homes::{Cpus, Home, run_on};
use crate::locks;
use crate::opdef::{FAILS_QUIETLY, Table as Ops, UNBOUNDED};
use crate::parked::Key;
use crate::request::{OwnedFile, Req};
use crate::ring::Ring;
use crate::room::has_room;
use ringfence_abi::Op;
use ringfence_host::atomic::{AtomicBool, AtomicU32};
use ringfence_host::sync::{Arc, Mutex, Ordering, mutex};
use ringfence_host::{Clock, Host, Point};
use std::collections::VecDeque;

/// How long a thread stays idle before it ends, nanoseconds.
const IDLE_NS: u64 = 5_000_000_000;

/// How many threads one rouses, where the submitter does not rouse all.
const FANOUT: u32 = 2;

/// A close waits so long, nanoseconds, for a worker's call on the file. One that takes longer sleeps in
/// the kernel, which holds the file then; and what lets it go on may be the closing thread's to do.
const CALL_MAX_NS: u64 = 100_000_000;

/// How often it yields before it pauses, and for how many nanoseconds then.
const YIELDS: u32 = 200;
const PAUSE_NS: u64 = 50_000;

/// Threads for work of one class unless a program sets another limit.
const BOUNDED_MAX: u32 = 64;
const UNBOUNDED_MAX: u32 = 4096;

/// What a thread has done for a ring whose owner alone may post.
pub(crate) enum Finished<H: Host> {
    /// A worker's call, and its result.
    Work(Key, Req<H>, i32),
    /// A wait, and what ended it.
    Wait(Key, Arc<Wait>, i32),
}

/// What a thread does next.
enum Task<H: Host> {
    Job(Arc<Job<H>>),
    Wait(Arc<Blocked<H>>),
}

impl<H: Host> Task<H> {
    /// Where it is to be done, if that was said.
    fn cpus(&self) -> Option<&Arc<Cpus>> {
        match self {
            Task::Job(job) => job.cpus.as_ref(),
            Task::Wait(_) => None,
        }
    }

    /// Does it, on the worker `thread`; whether it was bounded work, and whether a wait.
    fn run(self, thread: u32) -> (bool, bool) {
        match self {
            Task::Job(job) => {
                job.run(At::Worker(thread));
                (!job.unbounded, false)
            }
            Task::Wait(wait) => {
                wait.run();
                (false, true)
            }
        }
    }
}

/// A request at a worker. Until a worker takes it, it can be cancelled; then the worker's call can
/// be interrupted.
pub(crate) struct Job<H: Host> {
    ring: Arc<Ring<H>>,
    pub(crate) key: Key,
    unbounded: bool,
    cpus: Option<Arc<Cpus>>,
    /// The thread with which it ends, 0 for none.
    pub(crate) task: u32,
    /// The worker that took it has made its call.
    made: AtomicBool<H>,
    state: Mutex<H, JobState<H>>,
}

struct JobState<H: Host> {
    req: Option<Req<H>>,
    link_timeout: Option<Key>,
    at: At,
}

/// Who makes the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Nobody yet or any longer, or a thread of the program's.
    Nobody,
    /// The worker of this id.
    Worker(u32),
    /// A worker that was interrupted.
    Interrupted,
}

impl<H: Host> Job<H> {
    pub(crate) fn new(
        ring: &Arc<Ring<H>>,
        key: Key,
        req: Req<H>,
        cpus: Option<Arc<Cpus>>,
        task: u32,
    ) -> Arc<Self> {
        let unbounded = Ops::<H>::get(req.sqe.opcode).is_some_and(|def| def.has(UNBOUNDED));
        let state = JobState { req: Some(req), link_timeout: None, at: At::Nobody };
        let state = mutex(&ring.host, &locks::JOB, state);
        Arc::new(Job {
            ring: Arc::clone(ring),
            key,
            unbounded,
            cpus,
            task,
            made: AtomicBool::new(false),
            state,
        })
    }

    /// Takes the request; `None` once a worker, or a cancel, has.
    pub(crate) fn take(&self) -> Option<Req<H>> {
        self.take_by(At::Nobody)
    }

    fn take_by(&self, at: At) -> Option<Req<H>> {
        let mut state = self.state.lock();
        let mut req = state.req.take()?;
        state.at = at;
        self.ring.host.at(self.link_access(false, "take"));
        req.link_timeout = state.link_timeout;
        Some(req)
    }

    /// The program is about to close the descriptor `fd`. A request that names it keeps `kept`, if
    /// no worker has taken it; false if one has, and its call is to be awaited.
    pub(crate) fn keep_file(&self, fd: i32, kept: &mut Option<Arc<OwnedFile<H>>>) -> bool {
        let mut state = self.state.lock();
        let Some(req) = &mut state.req else { return self.made.load(Ordering::Acquire) };
        crate::poll::keep_plain(&self.ring.host, req, fd, kept);
        true
    }

    /// Waits until the call of a worker that has taken it is made: before it is in the kernel, and
    /// from one part of a transfer to the next, nobody holds the file but the program.
    pub(crate) fn await_call(&self) {
        let host = &self.ring.host;
        let begin = host.now(Clock::Monotonic);
        let mut looks = 0;
        while !self.made.load(Ordering::Acquire) {
            if looks < YIELDS {
                let _ = host.syscall(libc::SYS_sched_yield, [0; 6]);
            } else {
                let pause = [0, PAUSE_NS];
                let _ = host.syscall(libc::SYS_nanosleep, [pause.as_ptr() as u64, 0, 0, 0, 0, 0]);
                if host.now(Clock::Monotonic).saturating_sub(begin) > CALL_MAX_NS {
                    return;
                }
            }
            looks += 1;
        }
    }

    /// The linked timeout that runs for it.
    pub(crate) fn link_timeout(&self) -> Option<Key> {
        let state = self.state.lock();
        self.ring.host.at(self.link_access(false, "link_timeout"));
        state.link_timeout
    }

    /// Changes the link to it; the caller holds the submission lock.
    pub(crate) fn set_link_timeout(&self, key: Key) {
        let mut state = self.state.lock();
        self.ring.host.at(self.link_access(true, "set_link_timeout"));
        state.link_timeout = Some(key);
    }

    /// Takes the link away.
    pub(crate) fn clear_link(&self) -> Option<Key> {
        self.state.lock().link_timeout.take()
    }

    /// An access to the link, for hosts that watch it.
    #[inline(always)]
    pub(crate) fn link_access(&self, writes: bool, by: &'static str) -> Point {
        Point::Link { of: std::ptr::from_ref(self) as usize, writes, by }
    }

    /// Copies what the submission points to, for its memory may go when the submission returns; false
    /// if that cannot be had.
    pub(crate) fn keep_memory(&self) -> bool {
        let mut state = self.state.lock();
        let Some(req) = &mut state.req else { return true };
        req.sqe.opcode != Op::Statx as u8 || crate::ops::fs::keep_path(req, &self.ring.host).is_ok()
    }

    /// Interrupts the worker that has taken it, in its call or before. The lock keeps the worker from
    /// going on to another job with the interruption under way.
    pub(crate) fn interrupt(&self) {
        let mut state = self.state.lock();
        if let At::Worker(thread) = state.at {
            self.ring.host.interrupt(thread);
            state.at = At::Interrupted;
        }
    }

    /// The call is made: what interrupted it must not interrupt the next.
    fn call_made(&self) {
        let at = std::mem::replace(&mut self.state.lock().at, At::Nobody);
        if at == At::Interrupted {
            self.ring.host.recover();
        }
    }

    /// Makes the blocking call; `None` if the request was taken before.
    pub(crate) fn call(&self) -> Option<(Req<H>, i32)> {
        self.call_by(At::Nobody)
    }

    fn call_by(&self, at: At) -> Option<(Req<H>, i32)> {
        let mut req = self.take_by(at)?;
        let work = Ops::<H>::get(req.sqe.opcode).map(|def| def.work);
        let host = &self.ring.host;
        host.at(Point::WorkerCall);
        let res = match (work, req.credentials.clone()) {
            (None, _) => ringfence_abi::Errno::EINVAL.as_result(),
            (Some(work), None) => work(&mut req, host),
            (Some(work), Some(credentials)) => credentials
                .during(host, || work(&mut req, host))
                .unwrap_or_else(|errno| errno.as_result()),
        };
        self.made.store(true, Ordering::Release);
        if at != At::Nobody {
            self.call_made();
        }
        if const { H::BUGS.link_chain_race } {
            self.historic_free(&mut req, host);
        }
        Some((req, res))
    }

    /// There is no memory to queue it.
    fn refuse(&self) {
        if let Some(req) = self.take() {
            self.ring.work_done(self.key, req, ringfence_abi::Errno::ENOMEM.as_result());
        }
    }

    /// Makes the call and gives the result back to the ring.
    fn run(&self, at: At) {
        if let Some((req, res)) = self.call_by(at) {
            self.ring.work_done(self.key, req, res);
        }
    }
}

impl<H: Host> Ring<H> {
    /// A worker is done with a request.
    fn work_done(self: &Arc<Self>, key: Key, req: Req<H>, res: i32) {
        if self.is_deferred() && !self.dead.load(Ordering::Acquire) {
            self.task_work.lock().push(Finished::Work(key, req, res));
            self.announce_task_work();
            return;
        }
        self.with_submit(|ring, sub| ring.finish_work(sub, key, req, res));
    }

    /// Completes what a worker has done.
    pub(crate) fn finish_work(
        self: &Arc<Self>,
        sub: &mut crate::submit::Submit<H>,
        key: Key,
        mut req: Req<H>,
        res: i32,
    ) {
        if let Some(entry) = sub.parked.remove(key)
            && let crate::parked::Waits::Work { job } = entry.waits
        {
            sub.at_workers -= 1;
            // It may have been armed after the worker took the request.
            req.link_timeout = job.link_timeout();
        }
        let def = Ops::<H>::get(req.sqe.opcode);
        req.fails_quietly = def.is_some_and(|def| def.has(FAILS_QUIETLY));
        let done = def.map(|def| def.done);
        let mut cx = crate::issue::Cx { ring: self, sub };
        let outcome = match done {
            Some(done) => done(&mut req, res, &mut cx),
            None => crate::request::Outcome::Done(res),
        };
        match outcome {
            crate::request::Outcome::Done(res) => self.complete(sub, req, res),
            _ => sub.ready.push_back(req),
        }
    }
}

struct PoolState<H: Host> {
    bounded: VecDeque<Arc<Job<H>>>,
    unbounded: VecDeque<Arc<Job<H>>>,
    /// Waits, which need a thread each and count against no limit.
    waits: VecDeque<Arc<Blocked<H>>>,
    at_waits: u32,
    /// Whose calls its threads can make.
    home: Home,
    /// Callers about to queue something.
    reserved: u32,
    /// Threads that serve, by their number.
    serving: Vec<u64>,
    /// Threads alive and threads idle.
    threads: u32,
    idle: u32,
    /// Threads at bounded work.
    at_bounded: u32,
    limits: [u32; 2],
    /// Who is idle is to end.
    sent_away: bool,
    /// Who takes a job rouses others for the rest.
    passes_on: bool,
}

impl<H: Host> PoolState<H> {
    /// The next wait, or job that its class's limit allows.
    fn next(&mut self) -> Option<Task<H>> {
        if let Some(wait) = self.waits.pop_front() {
            self.at_waits += 1;
            return Some(Task::Wait(wait));
        }
        if self.at_bounded < self.limits[0]
            && let Some(job) = self.bounded.pop_front()
        {
            self.at_bounded += 1;
            return Some(Task::Job(job));
        }
        self.unbounded.pop_front().map(Task::Job)
    }

    /// Counts one more thread if there is work for it, which the caller then starts.
    fn hire(&mut self) -> bool {
        if !self.wants_thread() {
            return false;
        }
        self.threads += 1;
        // Counted as idle until it takes a job, so that the next job does not start one.
        self.idle += 1;
        true
    }

    /// Whether a thread that took a job has to rouse others, and how many of them are new.
    fn pass_on(&mut self) -> Option<u32> {
        self.passes_on &= !self.bounded.is_empty() || !self.unbounded.is_empty();
        self.passes_on.then(|| (0..FANOUT).take_while(|_| self.hire()).count() as u32)
    }

    /// Whether there is room for more.
    fn has_room(&mut self, jobs: usize, waits: usize) -> bool {
        let [bounded, unbounded] = [self.bounded.len() + jobs, self.unbounded.len() + jobs];
        let count = self.waits.len() + waits;
        has_room(&mut self.bounded, bounded)
            && has_room(&mut self.unbounded, unbounded)
            && has_room(&mut self.waits, count)
    }

    fn wants_thread(&self) -> bool {
        let bounded = self.limits[0].saturating_sub(self.at_bounded);
        let jobs = self.bounded.len().min(bounded as usize) + self.unbounded.len();
        let at_jobs = self.threads - self.at_waits;
        let may_start = !self.waits.is_empty() || at_jobs < self.limits[0] + self.limits[1];
        self.waits.len() + jobs > self.idle as usize && may_start
    }
}

/// The pool.
pub(crate) struct Pool<H: Host> {
    host: H,
    state: Mutex<H, PoolState<H>>,
    /// Bumped for each queued job; idle threads sleep on it.
    bell: Arc<AtomicU32<H>>,
}

impl<H: Host> Pool<H> {
    pub(crate) fn new(host: H) -> Self {
        let state = PoolState {
            bounded: VecDeque::new(),
            unbounded: VecDeque::new(),
            waits: VecDeque::new(),
            at_waits: 0,
            home: Home::default(),
            reserved: 0,
            serving: Vec::new(),
            threads: 0,
            idle: 0,
            at_bounded: 0,
            limits: [BOUNDED_MAX, UNBOUNDED_MAX],
            sent_away: false,
            passes_on: false,
        };
        let state = mutex(&host, &locks::POOL, state);
        Pool { host, state, bell: Arc::new(AtomicU32::new(0)) }
    }

    /// Whether its threads have these surroundings; it is the caller's then to queue something. A
    /// pool without threads takes on whatever surroundings are asked for. `parted`: the user is not
    /// all that may differ.
    pub(crate) fn is_reserved_for(&self, home: Home, parted: bool) -> bool {
        let known = {
            let mut state = self.state.lock();
            state.reserved += 1;
            if state.reserved == 1 && state.threads == 0 {
                state.home = home;
            }
            state.home.by(state.serving.first())
        };
        let is = home.is_user_of(&known) && (!parted || home.is(&known, &self.host));
        if !is {
            self.state.lock().reserved -= 1;
        }
        is
    }

    /// Queues work, and starts threads for it as far as none is idle. The pool is reserved by the
    /// caller, and no longer then.
    pub(crate) fn queue(self: &Arc<Self>, jobs: Vec<Arc<Job<H>>>, waits: &[Arc<Blocked<H>>]) {
        let count = (jobs.len() + waits.len()) as u32;
        // An AIO submission is to take no time: it rouses two threads, and each of them two more.
        let is_aio = jobs.first().is_some_and(|job| job.ring.layout.io_events > 0);
        let rouse = if is_aio { count.min(FANOUT) } else { count };
        let mut start = 0;
        {
            let mut state = self.state.lock();
            state.reserved -= 1;
            if !state.has_room(jobs.len(), waits.len()) {
                drop(state);
                jobs.iter().for_each(|job| job.refuse());
                return waits.iter().for_each(|wait| wait.refuse());
            }
            state.passes_on |= rouse < count;
            state.waits.extend(waits.iter().cloned());
            for job in jobs {
                if job.unbounded {
                    state.unbounded.push_back(job)
                } else {
                    state.bounded.push_back(job)
                }
            }
            while start < rouse && state.hire() {
                start += 1;
            }
        }
        self.bell.fetch_add(1, Ordering::Release);
        self.host.futex_wake(self.bell.word(), rouse);
        for _ in 0..start {
            self.start_thread();
        }
    }

    fn start_thread(self: &Arc<Self>) {
        let pool = Arc::clone(self);
        if self.host.spawn("ringfence/work", Box::new(move || pool.serve())).is_ok() {
            return;
        }
        let (alone, waits) = {
            let mut state = self.state.lock();
            state.threads -= 1;
            state.idle -= 1;
            let taken = state.waits.len().min(state.idle as usize);
            (state.threads == 0, state.waits.split_off(taken))
        };
        waits.iter().for_each(|wait| wait.refuse());
        // No thread can be had: the work is done here rather than never.
        if alone {
            while let Some(job) = self.take_for_caller() {
                job.run(At::Nobody);
            }
        }
    }

    fn take_for_caller(&self) -> Option<Arc<Job<H>>> {
        let mut state = self.state.lock();
        state.bounded.pop_front().or_else(|| state.unbounded.pop_front())
    }

    /// A thread's life.
    fn serve(self: &Arc<Self>) {
        let thread = self.host.syscall(libc::SYS_gettid, [0; 6]).unwrap_or(0);
        self.state.lock().serving.push(thread);
        // A handler must not be the first to touch what is noted for this thread.
        self.host.recover();
        let (mut cpus, mut begun) = (None, None);
        loop {
            let seen = self.bell.load(Ordering::Acquire);
            let (next, start) = {
                let mut state = self.state.lock();
                let next = state.next();
                if next.is_some() {
                    state.idle -= 1;
                }
                let start = if next.is_some() { state.pass_on() } else { None };
                (next, start)
            };
            if let Some(start) = start {
                self.host.futex_wake(self.bell.word(), FANOUT);
                (0..start).for_each(|_| self.start_thread());
            }
            if let Some(task) = next {
                run_on(&self.host, task.cpus(), &mut cpus, &mut begun);
                let (bounded, wait) = task.run(thread as u32);
                let mut state = self.state.lock();
                state.idle += 1;
                state.at_bounded -= u32::from(bounded);
                state.at_waits -= u32::from(wait);
                continue;
            }
            let start = self.host.now(Clock::Monotonic);
            self.host.futex_wait(self.bell.word(), seen, Some(IDLE_NS));
            let slept = self.host.now(Clock::Monotonic).saturating_sub(start);
            let goes = slept >= IDLE_NS || self.state.lock().sent_away;
            if goes && self.retire(thread) {
                return;
            }
        }
    }

    /// Ends an idle thread, unless work has come.
    fn retire(&self, thread: u64) -> bool {
        let mut state = self.state.lock();
        if !state.bounded.is_empty() || !state.unbounded.is_empty() || !state.waits.is_empty() {
            return false;
        }
        state.serving.retain(|serving| *serving != thread);
        state.threads -= 1;
        state.idle -= 1;
        true
    }

    /// Sets the limits of bounded and unbounded threads, 0 leaving one as it is; what they were.
    pub(crate) fn set_limits(&self, limits: [u32; 2]) -> [u32; 2] {
        let mut state = self.state.lock();
        let before = state.limits;
        for (limit, wanted) in state.limits.iter_mut().zip(limits) {
            if wanted > 0 {
                *limit = wanted;
            }
        }
        before
    }

    /// Ends idle threads soon, or lets them stay idle again.
    pub(crate) fn send_away(&self, away: bool) {
        self.state.lock().sent_away = away;
        if away {
            self.bell.fetch_add(1, Ordering::AcqRel);
            self.host.futex_wake(self.bell.word(), u32::MAX);
        }
    }

    /// Threads alive.
    pub(crate) fn threads(&self) -> u32 {
        self.state.lock().threads
    }

    /// Those of them that have nothing to do.
    pub(crate) fn idle(&self) -> u32 {
        self.state.lock().idle
    }
}

/// The name under which an operation is counted.
pub(crate) fn op_name(opcode: usize) -> &'static str {
    Op::from_code(opcode as u8).map_or("?", Op::name)
}

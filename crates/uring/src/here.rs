//! What is left to do once the submission lock is free: what workers are given, and the calls that
//! the submitting thread makes itself, holding no lock. Those are calls that have no form which
//! refuses to block, while they do not take long ([`crate::patience`]), and short reads of what is in
//! memory ([`crate::residence`]).

use crate::aio::signal::Due;
use crate::blocked::Blocked;
use crate::cq::Entry;
use crate::ops::rw;
use crate::parked::Key;
use crate::patience::Patience;
use crate::request::{FileRef, Req, result_of};
use crate::residence::Residence;
use crate::ring::Ring;
use crate::submit::Submit;
use crate::work::Job;
use ringfence_abi::{Cqe, Errno, Op, Sqe};
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Clock, Host, Point};

/// All that a round under the lock leaves behind, besides completions.
pub(crate) struct Rest<H: Host> {
    jobs: Vec<Arc<Job<H>>>,
    blocked: Vec<Arc<Blocked<H>>>,
    here: Here<H>,
    signals: Due<H>,
    make_direct: bool,
    settled: bool,
}

/// What is to be called.
pub(crate) struct Here<H: Host> {
    /// The calls, and their classes.
    jobs: Vec<(usize, Arc<Job<H>>)>,
    patience: [Patience; 3],
    /// Reads from memory; the numbers are their results.
    reads: Vec<(Read<H>, i32)>,
    residence: Residence,
}

/// What was called.
pub(crate) struct Done<H: Host> {
    results: Vec<(Key, Req<H>, i32)>,
    patience: [Patience; 3],
    reads: Vec<(Read<H>, i32)>,
    residence: Residence,
}

/// A read to be made plainly.
pub(crate) enum Read<H: Host> {
    /// An entry on which nothing hangs: what it gives is its completion, unless that is not all that
    /// was asked for; then it is made a request after all.
    Entry(Sqe),
    /// Any other.
    Request(Req<H>),
}

impl<H: Host> Read<H> {
    /// Makes it.
    #[inline(always)]
    fn make(&mut self, host: &H) -> i32 {
        match self {
            Read::Entry(sqe) => result_of(rw::pread(host, sqe.fd, sqe)),
            Read::Request(req) => rw::read_plainly(req, host),
        }
    }

    /// Pages asked for.
    fn pages(&self) -> u64 {
        let len = match self {
            Read::Entry(sqe) => sqe.len,
            Read::Request(req) => req.sqe.len,
        };
        u64::from(len).div_ceil(4096)
    }
}

impl<H: Host> Rest<H> {
    /// Whether there is anything; mostly there is not.
    #[inline]
    pub(crate) fn is_any(sub: &Submit<H>) -> bool {
        let calls = !sub.jobs.is_empty() || !sub.here.is_empty() || !sub.reads.is_empty();
        let others = !sub.blocked.is_empty() || sub.signals.is_due();
        calls || others || sub.direct.is_wanted() || Self::is_settled(sub)
    }

    /// The ring is being closed, and nothing is under way any more.
    #[inline]
    fn is_settled(sub: &Submit<H>) -> bool {
        sub.closing && sub.parked.len() == 0 && sub.reading == 0
    }

    /// Takes what there is.
    pub(crate) fn take(sub: &mut Submit<H>) -> Rest<H> {
        let (make_direct, settled) = (sub.direct.begin_making(), Self::is_settled(sub));
        sub.reading += sub.reads.len();
        Rest {
            jobs: std::mem::take(&mut sub.jobs),
            blocked: std::mem::take(&mut sub.blocked),
            here: Here {
                jobs: std::mem::take(&mut sub.here),
                patience: sub.patience,
                reads: std::mem::take(&mut sub.reads),
                residence: sub.residence,
            },
            signals: sub.signals.take_due(),
            make_direct,
            settled,
        }
    }

    /// Gives to the pool what is the pool's.
    pub(crate) fn queue(&mut self, ring: &Arc<Ring<H>>) {
        if !self.jobs.is_empty() || !self.blocked.is_empty() {
            ring.shared.tie_to_thread(&ring.host, &self.jobs);
            ring.shared.pools.queue(std::mem::take(&mut self.jobs), &self.blocked);
        }
    }

    /// Does the rest, after waiters were woken, but for the calls that are to be made here.
    pub(crate) fn settle(self, ring: &Arc<Ring<H>>) -> Option<Here<H>> {
        if self.make_direct {
            ring.make_direct();
        }
        for wait in &self.blocked {
            wait.settle();
        }
        if self.settled {
            ring.settled.store(1, Ordering::Release);
            ring.host.futex_wake(ring.settled.word(), u32::MAX);
        }
        self.signals.send(&ring.host);
        let calls = !self.here.jobs.is_empty() || !self.here.reads.is_empty();
        calls.then_some(self.here)
    }
}

impl<H: Host> Here<H> {
    /// Makes the calls; once they take long, the rest go to workers.
    pub(crate) fn make(mut self, ring: &Arc<Ring<H>>) -> Done<H> {
        self.read(&ring.host);
        let mut patience = self.patience;
        let mut results = Vec::with_capacity(self.jobs.len());
        let mut others = Vec::new();
        for (class, job) in self.jobs {
            if !patience[class].is_patient() && job.keep_memory() {
                others.push(job);
                continue;
            }
            if let Some((req, res)) = patience[class].time(&ring.host, || job.call()) {
                results.push((job.key, req, res));
            }
        }
        if !others.is_empty() {
            ring.shared.pools.queue(others, &[]);
        }
        Done { results, patience, reads: self.reads, residence: self.residence }
    }

    fn read(&mut self, host: &H) {
        if self.reads.is_empty() {
            return;
        }
        host.at(Point::WorkerCall);
        let start = host.now(Clock::Monotonic);
        let mut pages = 0;
        for (read, res) in &mut self.reads {
            pages += read.pages();
            *res = read.make(host);
        }
        let took = host.now(Clock::Monotonic).saturating_sub(start);
        self.residence.learn(pages, took);
    }
}

impl<H: Host> Ring<H> {
    /// Completes what was called.
    pub(crate) fn finish_here(self: &Arc<Self>, sub: &mut Submit<H>, done: Done<H>) {
        self.finish_reads(sub, done.reads, done.residence);
        sub.patience = done.patience;
        for (key, req, res) in done.results {
            self.finish_work(sub, key, req, res);
        }
    }

    /// Puts an entry that is a plain read, and suits, with those to be made later; else it must be made
    /// a request.
    #[inline]
    pub(crate) fn read_later(&self, sub: &mut Submit<H>, sqe: &Sqe) -> bool {
        let suits = rw::suits_memory_as_entry(self, &mut sub.kinds, sqe);
        if suits {
            sub.alive += 1;
            sub.reads.push((Read::Entry(*sqe), 0));
        }
        suits
    }

    fn finish_reads(
        self: &Arc<Self>,
        sub: &mut Submit<H>,
        mut reads: Vec<(Read<H>, i32)>,
        residence: Residence,
    ) {
        sub.reading -= reads.len();
        sub.residence = residence;
        // They are completed by the submission that brought them, as if it had never let go.
        sub.submitting = true;
        for (read, res) in reads.drain(..) {
            match read {
                Read::Entry(sqe) => self.finish_entry(sub, &sqe, res),
                Read::Request(req) => self.complete(sub, req, res),
            }
        }
        if sub.drain.held() > 0 {
            self.run_drain(sub);
        }
        sub.submitting = false;
        if sub.reads.capacity() == 0 {
            sub.reads = reads;
        }
    }

    #[inline]
    fn finish_entry(self: &Arc<Self>, sub: &mut Submit<H>, sqe: &Sqe, res: i32) {
        sub.alive -= 1;
        if res as u32 == sqe.len {
            sub.counts[Op::Read as usize] += 1;
            let cqe = Cqe { user_data: sqe.user_data, res, flags: 0 };
            sub.batch.push(Entry { cqe, ..Entry::default() });
            return;
        }
        if !sub.has_request(self.is_deferred()) {
            let res = Errno::ENOMEM.as_result();
            let cqe = Cqe { user_data: sqe.user_data, res, flags: 0 };
            return sub.batch.push(Entry { cqe, ..Entry::default() });
        }
        // The end of the file, or an error: it is read again, as any other.
        let mut req = sub.new_request(sqe);
        req.file = FileRef::Plain(sqe.fd);
        self.issue(sub, req);
    }
}

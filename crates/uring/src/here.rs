//! Calls that the submitting thread makes itself, holding no lock: those that have no form which
//! refuses to block, while they do not take long ([`crate::patience`]).

use crate::parked::Key;
use crate::patience::Patience;
use crate::request::Req;
use crate::ring::Ring;
use crate::submit::Submit;
use crate::work::Job;
use ringfence_host::Host;
use ringfence_host::sync::Arc;

/// What is to be called.
pub(crate) struct Here<H: Host> {
    /// The calls, and their classes.
    pub(crate) jobs: Vec<(usize, Arc<Job<H>>)>,
    pub(crate) patience: [Patience; 3],
}

/// What was called.
pub(crate) struct Done<H: Host> {
    results: Vec<(Key, Req<H>, i32)>,
    patience: [Patience; 3],
}

impl<H: Host> Here<H> {
    /// Makes the calls; once they take long, the rest go to workers.
    pub(crate) fn make(self, ring: &Arc<Ring<H>>) -> Done<H> {
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
            ring.shared.pool.queue(others, &[]);
        }
        Done { results, patience }
    }
}

impl<H: Host> Ring<H> {
    /// Completes what was called.
    pub(crate) fn finish_here(self: &Arc<Self>, sub: &mut Submit<H>, done: Done<H>) {
        sub.patience = done.patience;
        for (key, req, res) in done.results {
            self.finish_work(sub, key, req, res);
        }
    }
}

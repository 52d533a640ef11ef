//! The search on a real repository: builds, runs, the journal, and going on after a stop.

use crate::book::Book;
use crate::choose::Probe;
use crate::error::Error;
use crate::job::{Job, TitleOf};
use crate::journal::{Event, Journal};
use crate::mend::{self, Mend};
use crate::next::{End, Step};
use crate::range::Range;
use crate::releases;
use crate::search::{Costs, Search};
use crate::shell::{Exit, Shell};
use crate::trees::Trees;
use crate::verdict::{self, Verdict};
use ringfence_git::{Oid, Repo};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Something worth telling while the search goes on.
#[derive(Debug, Clone)]
pub enum News<'a> {
    /// A revision is about to be built.
    Building(Oid),
    /// A revision cannot be built.
    Unbuildable(Oid, &'a str),
    /// A run ended.
    Ran(Oid, &'a Verdict),
    /// A round is over; this is what is known now.
    Standing {
        /// Suspects that together hold the confidence asked for.
        suspects: usize,
        /// The likeliest suspect's probability.
        confidence: f64,
        /// Seconds spent on builds and tests, in this and earlier sittings.
        spent: f64,
        /// Seconds it may still take.
        expected: f64,
    },
}

/// A search that ended, with all it knows.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub end: End,
    /// The search.
    pub search: Search,
    /// The range it searched.
    pub range: Range,
    /// Every record.
    pub book: Book,
}

/// The search under way.
pub(crate) struct Drive<'a> {
    pub(crate) job: &'a Job,
    pub(crate) repo: Repo,
    pub(crate) journal: Journal,
    pub(crate) book: Book,
    bench: Bench<'a>,
    trees: Trees,
    mends: Vec<Mend>,
}

/// What starts commands; shared by all that run at once.
struct Bench<'a> {
    job: &'a Job,
    title: &'a TitleOf,
    stop: &'a AtomicBool,
    runs_dir: PathBuf,
}

/// Runs or goes on with a search until it ends.
///
/// # Errors
///
/// When the range makes no sense, the test is broken, the system refuses, or `stop` was set; the
/// state stays usable in every case.
pub fn bisect(
    job: &Job,
    title: &TitleOf,
    stop: &AtomicBool,
    news: &mut dyn FnMut(&News<'_>),
) -> Result<Finished, Error> {
    let mut drive = Drive::open(job, title, stop)?;
    let range = drive.settle_range(news)?;
    let mut config = job.config.clone();
    config.costs = drive.costs();
    config.noise = drive.book.noise();
    let mut search = drive.book.search(&range, &config);
    let end = loop {
        search.set_costs(drive.costs());
        let probes = match search.next() {
            Step::Done(end) => break end,
            Step::Test(probes) => probes,
        };
        drive.step(&range, &search, &probes, news)?;
        config.noise = drive.book.noise();
        search = drive.book.search(&range, &config);
        news(&drive.standing(&search));
    };
    drive.trees.remove()?;
    Ok(Finished { end, search, range, book: drive.book })
}

impl<'a> Drive<'a> {
    fn open(job: &'a Job, title: &'a TitleOf, stop: &'a AtomicBool) -> Result<Drive<'a>, Error> {
        let repo = Repo::open(&job.repo)?;
        let bad = repo.rev_parse(&job.bad)?;
        let state = &job.state;
        let mut journal = Journal::open(state).map_err(|e| Error::io(state, e))?;
        let question = job.question(&repo)?;
        match journal.events().first() {
            None => {
                let began = Event::Began { bad: bad.to_string(), question };
                journal.add(began).map_err(|e| Error::io(state, e))?;
            }
            Some(Event::Began { bad: held, question: asked }) => {
                if *held != bad.to_string() || *asked != question {
                    let held = format!("--bad {held}, {asked}");
                    return Err(Error::OtherSearch { dir: state.clone(), held });
                }
            }
            Some(_) => {
                let held = "an unknown one".to_owned();
                return Err(Error::OtherSearch { dir: state.clone(), held });
            }
        }
        end_leftovers(&state.join("running"));
        let runs_dir = state.join("runs");
        std::fs::create_dir_all(&runs_dir).map_err(|e| Error::io(&runs_dir, e))?;
        let mut book = Book::default();
        journal.events().iter().for_each(|event| book.note(event));
        let mends =
            job.with_fix.iter().map(|rev| Mend::read(&repo, rev)).collect::<Result<_, _>>()?;
        let trees = Trees::new(&repo, &state.join("trees"), job.keep)?;
        let bench = Bench { job, title, stop, runs_dir };
        Ok(Drive { job, repo, journal, book, bench, trees, mends })
    }

    fn add(&mut self, event: Event) -> Result<(), Error> {
        self.book.note(&event);
        self.journal.add(event).map_err(|e| Error::io(self.journal.path(), e))
    }

    /// The range, from the journal or worked out now.
    fn settle_range(&mut self, news: &mut dyn FnMut(&News<'_>)) -> Result<Range, Error> {
        let sense = self.job.config.sense;
        let held = self.journal.events().iter().find_map(|event| match event {
            Event::Range { bad, good } => Some((bad.clone(), good.clone())),
            _ => None,
        });
        if let Some((bad, good)) = held {
            let (bad, good) = (self.repo.rev_parse(&bad)?, self.repo.rev_parse(&good)?);
            return Range::between(&self.repo, good, bad, sense);
        }
        let bad = self.repo.rev_parse(&self.job.bad)?;
        let (bad, good) = match &self.job.good {
            Some(good) => (bad, self.repo.rev_parse(good)?),
            None => releases::walk(self, bad, news)?,
        };
        let range = Range::between(&self.repo, good, bad, sense)?;
        self.add(Event::Range { bad: bad.to_string(), good: good.to_string() })?;
        Ok(range)
    }

    /// Mean costs as measured; before that, a build is taken to cost as much as a few runs.
    fn costs(&self) -> Costs {
        let mean = |(seconds, count): (f64, u32), guess: f64| {
            if count == 0 { guess } else { (seconds / f64::from(count)).max(1e-3) }
        };
        let wave = mean(self.book.testing, 1.0);
        Costs { build: mean(self.book.building, 3.0 * wave), wave }
    }

    fn standing(&self, search: &Search) -> News<'static> {
        let mut parts = search.posterior_with_doubt();
        parts.sort_by(|a, b| b.total_cmp(a));
        let mut sum = 0.0;
        let within = parts.iter().take_while(|part| {
            let more = sum < search.config().confidence;
            sum += **part;
            more
        });
        let suspects = within.count();
        let bits: f64 = parts.iter().filter(|p| **p > 0.0).map(|p| -p * p.log2()).sum();
        let costs = self.costs();
        // A good step teaches a bit or a little less; the proof at the end takes about two more.
        let steps = bits / search.rate().clamp(0.05, 0.9) + 2.0;
        News::Standing {
            suspects,
            confidence: search.confidence(),
            spent: self.book.building.0 + self.book.testing.0,
            expected: steps * (costs.build.min(costs.wave * 10.0) + costs.wave),
        }
    }

    /// Builds what the probes need, then runs them all, `jobs` at once.
    fn step(
        &mut self,
        range: &Range,
        search: &Search,
        probes: &[Probe],
        news: &mut dyn FnMut(&News<'_>),
    ) -> Result<(), Error> {
        let mut known = search.clone();
        let mut tasks = Vec::new();
        for probe in probes {
            let id = range.id(probe.node);
            let Some((dir, signature)) = self.ready(id, news)? else { continue };
            if !known.is_built(probe.node) && known.built(probe.node, &signature).is_some() {
                continue;
            }
            tasks.extend((0..probe.runs).map(|_| (id, dir.clone())));
        }
        self.run_all(&tasks, news)
    }

    /// A tree with the build of a revision; none when it cannot be built.
    pub(crate) fn ready(
        &mut self,
        id: Oid,
        news: &mut dyn FnMut(&News<'_>),
    ) -> Result<Option<(PathBuf, String)>, Error> {
        let record = self.book.records.get(&id.to_string());
        if record.is_some_and(|record| record.unbuildable.is_some()) {
            return Ok(None);
        }
        let signature = record.and_then(|record| record.signature.clone());
        if let (Some(dir), Some(signature)) = (self.trees.built(id), signature) {
            return Ok(Some((dir, signature)));
        }
        news(&News::Building(id));
        let start = Instant::now();
        let built = self.build(id);
        let seconds = start.elapsed().as_secs_f64();
        let hash = id.to_string();
        match built {
            Ok((dir, signature)) => {
                let event = Event::Built { hash, signature: signature.clone(), seconds };
                self.add(event)?;
                Ok(Some((dir, signature)))
            }
            Err(Error::Unbuildable(why)) => {
                news(&News::Unbuildable(id, &why));
                self.add(Event::Unbuildable { hash, why, seconds })?;
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    fn build(&mut self, id: Oid) -> Result<(PathBuf, String), Error> {
        let tree = mend::tree(&self.repo, id, &self.mends)?;
        let (at, place) = self.trees.place(id)?;
        if tree != self.repo.commit(id)?.tree {
            place.repo().run(["read-tree", "-u", "--reset", &tree.to_string()])?;
        }
        let dir = place.path().to_owned();
        let log = self.bench.runs_dir.join(format!("{id}.build"));
        self.bench.prepare(id, &dir, &self.job.build, &log, "build")?;
        let signature = self.bench.signature(id, &dir, tree)?;
        self.trees.done(at, id)?;
        Ok((dir, signature))
    }

    /// Runs tests, `jobs` at once, and journals each as it ends.
    pub(crate) fn run_all(
        &mut self,
        tasks: &[(Oid, PathBuf)],
        news: &mut dyn FnMut(&News<'_>),
    ) -> Result<(), Error> {
        let round = self.book.round + 1;
        let before = self.book.testing.1 as usize;
        let next = AtomicUsize::new(0);
        let (sender, receiver) = std::sync::mpsc::channel();
        let bench = &self.bench;
        let next = &next;
        let mut first_error = None;
        let (journal, book) = (&mut self.journal, &mut self.book);
        std::thread::scope(|scope| {
            for slot in 0..self.job.jobs.min(tasks.len()) {
                let sender = sender.clone();
                scope.spawn(move || {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some((id, dir)) = tasks.get(at) else { break };
                        let ended = bench.test(*id, dir, before + at, slot + 1);
                        if ended.is_err() {
                            next.store(tasks.len(), Ordering::Relaxed);
                        }
                        let _ = sender.send((*id, ended));
                    }
                });
            }
            drop(sender);
            for (id, ended) in &receiver {
                let noted = ended.and_then(|(verdict, seconds)| {
                    news(&News::Ran(id, &verdict));
                    let event = Event::Ran { hash: id.to_string(), round, verdict, seconds };
                    book.note(&event);
                    journal.add(event).map_err(|e| Error::io(journal.path(), e))
                });
                if let Err(error) = noted {
                    next.store(tasks.len(), Ordering::Relaxed);
                    first_error.get_or_insert(error);
                }
            }
        });
        first_error.map_or(Ok(()), Err)
    }
}

impl Bench<'_> {
    /// Runs a command that must succeed for a revision to be testable.
    fn prepare(
        &self,
        id: Oid,
        dir: &Path,
        line: &str,
        log: &Path,
        what: &str,
    ) -> Result<(), Error> {
        let limit = self.job.build_timeout;
        match self.command(id, dir, line, limit, log, (0, 0))?.0 {
            Exit::Code(0) => Ok(()),
            Exit::Code(code) => Err(Error::Unbuildable(format!("{what} failed ({code})"))),
            Exit::TimedOut => Err(Error::Unbuildable(format!("{what} timed out"))),
            Exit::Stopped => Err(Error::Stopped(self.job.state.clone())),
        }
    }

    /// What a build is known by: the user's word, its artifacts, or its tree.
    fn signature(&self, id: Oid, dir: &Path, tree: Oid) -> Result<String, Error> {
        if let Some(line) = &self.job.signature {
            let log = self.runs_dir.join(format!("{id}.signature"));
            self.prepare(id, dir, line, &log, "signature")?;
            let said = std::fs::read_to_string(&log).map_err(|e| Error::io(&log, e))?;
            return Ok(said.trim().to_owned());
        }
        if self.job.artifacts.is_empty() {
            return Ok(tree.to_string());
        }
        let mut all = Sha256::new();
        for artifact in &self.job.artifacts {
            let path = dir.join(artifact);
            let Ok(bytes) = std::fs::read(&path) else {
                let what = format!("artifact {} is missing", artifact.display());
                return Err(Error::Unbuildable(what));
            };
            all.update(Sha256::digest(&bytes));
        }
        Ok(all.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn command(
        &self,
        id: Oid,
        dir: &Path,
        line: &str,
        limit: Option<Duration>,
        log: &Path,
        (slot, number): (usize, usize),
    ) -> Result<(Exit, Duration), Error> {
        let file = File::create(log).map_err(|e| Error::io(log, e))?;
        let env = [
            ("RINGFENCE_REVISION", id.to_string()),
            ("RINGFENCE_JOB", slot.to_string()),
            ("RINGFENCE_RUN", number.to_string()),
            (STATE_VARIABLE, self.job.state.display().to_string()),
        ];
        let runner = self.job.runner.as_deref();
        let shell = Shell { line, runner, dir, env: &env, limit };
        let note = self.job.state.join("running").join(slot.to_string());
        let started = |group: u32| {
            // Only a help for cleaning up after a crash; the search does not depend on it.
            let _ = std::fs::create_dir_all(note.parent().unwrap_or(&note));
            let _ = std::fs::write(&note, group.to_string());
        };
        let ended = shell.run(&file, self.stop, &started).map_err(|e| Error::io(log, e))?;
        let _ = std::fs::remove_file(&note);
        Ok(ended)
    }

    fn test(
        &self,
        id: Oid,
        dir: &Path,
        number: usize,
        slot: usize,
    ) -> Result<(Verdict, f64), Error> {
        let log = self.runs_dir.join(format!("{id}.{number}"));
        let (exit, took) =
            self.command(id, dir, &self.job.test, self.job.test_timeout, &log, (slot, number))?;
        if exit == Exit::Stopped {
            return Err(Error::Stopped(self.job.state.clone()));
        }
        let bytes = std::fs::read(&log).map_err(|e| Error::io(&log, e))?;
        let output = String::from_utf8_lossy(&bytes);
        verdict::read(exit, &output, self.job.time_out_is_lost, self.title)
            .map(|verdict| (verdict, took.as_secs_f64()))
            .map_err(|broken| Error::BrokenTest { what: broken.0, hash: id.to_string(), log })
    }
}

/// Set in every command, so that what a killed search left running can be told from others.
const STATE_VARIABLE: &str = "RINGFENCE_BISECT_STATE";

/// Ends process groups that a search killed before this one left running.
fn end_leftovers(notes: &Path) {
    let Ok(entries) = std::fs::read_dir(notes) else { return };
    for entry in entries.flatten() {
        let group = std::fs::read_to_string(entry.path()).ok().and_then(|text| text.parse().ok());
        let _ = std::fs::remove_file(entry.path());
        let Some(pid) = group.and_then(rustix::process::Pid::from_raw) else { continue };
        let environ = std::fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()));
        let ours = environ.is_ok_and(|all| {
            all.split(|byte| *byte == 0).any(|one| one.starts_with(STATE_VARIABLE.as_bytes()))
        });
        if ours {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

//! Running a body under many schedules, and telling what came of it.

use crate::choose::{Chooser, Search};
use crate::failure::Failure;
use crate::rng::derive;
use crate::schedule::Schedule;
use crate::state::Limits;
use crate::thread::start;
use crate::world::World;
use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Names a schedule to be run in place of all others: see [`Strategy::or_environment`].
pub const SCHEDULE_VARIABLE: &str = "RINGFENCE_SCHEDULE";

/// Which schedules are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// `runs` schedules, each choice drawn.
    Random {
        /// From which the seeds of the runs are made.
        seed: u64,
        /// How many.
        runs: u64,
    },
    /// `runs` schedules by probabilistic concurrency testing: good at bugs that need few, far
    /// apart preemptions.
    Pct {
        /// From which the seeds of the runs are made.
        seed: u64,
        /// How many.
        runs: u64,
        /// How many ordering constraints the bug is thought to need; 3 finds most.
        depth: u32,
    },
    /// All schedules with at most so many preemptions, depth first; switches where a thread waits
    /// or ends are free.
    Exhaustive {
        /// The bound.
        preemptions: u32,
        /// Where to give up; the report then says that it is not complete.
        runs_max: u64,
    },
    /// One schedule.
    Replay(Schedule),
}

impl Strategy {
    /// This strategy, unless the environment names a schedule in `RINGFENCE_SCHEDULE`.
    ///
    /// # Panics
    /// If what it names is no schedule.
    #[must_use]
    pub fn or_environment(self) -> Strategy {
        match std::env::var(SCHEDULE_VARIABLE) {
            Ok(text) => match text.parse() {
                Ok(schedule) => Strategy::Replay(schedule),
                Err(error) => panic!("{SCHEDULE_VARIABLE}: {error}"),
            },
            Err(_) => self,
        }
    }
}

/// What is explored, and how far.
#[derive(Clone, Debug)]
pub struct Explorer {
    strategy: Strategy,
    steps_max: u64,
    slack: u64,
}

/// A failure and the schedule that leads to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The schedule; its text reproduces the failure.
    pub schedule: Schedule,
    /// The run that found it, from 1 on.
    pub run: u64,
    /// What went wrong.
    pub failure: Failure,
}

/// What came of an exploration; it ends with the first failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Schedules run.
    pub runs: u64,
    /// How many of them differ in a choice.
    pub distinct: u64,
    /// All schedules within the bound were run.
    pub complete: bool,
    /// Switch points passed, of all runs together and of the longest.
    pub steps: u64,
    /// Those of the longest run.
    pub longest: u64,
    /// Threads that serve others and had to be ended with their world, in the last run.
    pub left: Vec<String>,
    /// The failure.
    pub found: Option<Found>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { runs, distinct, longest, .. } = self;
        match &self.found {
            Some(found) => {
                writeln!(f, "run {} of {runs} failed: {}", found.run, found.failure)?;
                write!(f, "reproduce: {SCHEDULE_VARIABLE}='{}'", found.schedule)
            }
            None => {
                let all = if self.complete { ", all there are within the bound" } else { "" };
                write!(
                    f,
                    "{runs} schedules, {distinct} distinct{all}, {longest} steps at most: clean"
                )
            }
        }
    }
}

impl Report {
    /// Fails the calling test if the exploration found something, with the line that reproduces it.
    ///
    /// # Panics
    /// Then.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.found.is_none(), "{self}");
    }
}

impl Explorer {
    /// An exploration by `strategy`, with bounds that suit tests.
    pub fn new(strategy: Strategy) -> Explorer {
        Explorer { strategy, steps_max: 200_000, slack: 10_000_000 }
    }

    /// Switch points after which a run is a livelock; 200,000 unless set.
    #[must_use]
    pub fn steps_max(mut self, steps: u64) -> Explorer {
        self.steps_max = steps;
        self
    }

    /// How far time may run ahead while some thread could run, as on a slow machine; 10 ms unless
    /// set, nanoseconds.
    #[must_use]
    pub fn slack(mut self, nanos: u64) -> Explorer {
        self.slack = nanos;
        self
    }

    /// Runs `body` under one schedule after the other, until one fails or none is left. Each run
    /// is over when all threads that it spawned are.
    pub fn explore(&self, body: impl Fn() + Send + Sync + 'static) -> Report {
        let mut tour = Tour {
            explorer: self,
            body: Arc::new(body),
            report: Report::default(),
            seen: HashSet::new(),
        };
        match &self.strategy {
            Strategy::Random { seed, runs } => tour.each(*runs, |run, _| Schedule::Random {
                // The first run's seed is the one that was given.
                seed: if run == 0 { *seed } else { derive(*seed, run) },
            }),
            Strategy::Pct { seed, runs, depth } => tour.each(*runs, |run, longest| Schedule::Pct {
                seed: derive(*seed, run),
                depth: *depth,
                length: longest.max(32),
            }),
            Strategy::Exhaustive { preemptions, runs_max } => tour.search(*preemptions, *runs_max),
            Strategy::Replay(schedule) => tour.each(1, |_, _| schedule.clone()),
        }
        tour.report.distinct = tour.seen.len() as u64;
        tour.report
    }
}

/// Runs `body` under the schedules of `strategy`; see [`Explorer`] for other bounds.
pub fn explore(strategy: Strategy, body: impl Fn() + Send + Sync + 'static) -> Report {
    Explorer::new(strategy).explore(body)
}

struct Tour<'a, F> {
    explorer: &'a Explorer,
    body: Arc<F>,
    report: Report,
    seen: HashSet<u64>,
}

impl<F: Fn() + Send + Sync + 'static> Tour<'_, F> {
    /// One run; the chooser as it is afterwards, and the failure.
    fn run(&mut self, chooser: Chooser) -> (Chooser, Option<Failure>) {
        let limits = Limits { steps: self.explorer.steps_max, slack: self.explorer.slack };
        let world = World::new(chooser, limits, false);
        let body = Arc::clone(&self.body);
        let first = start(&world, "main", false, None, Box::new(move || body()));
        let (failure, steps, left) = world.run(first);
        world.end();
        let chooser = world.chooser();
        let mut hasher = DefaultHasher::new();
        chooser.taken().hash(&mut hasher);
        self.seen.insert(hasher.finish());
        self.report.runs += 1;
        self.report.steps += steps;
        self.report.longest = self.report.longest.max(steps);
        self.report.left = left;
        (chooser, failure)
    }

    fn each(&mut self, runs: u64, schedule: impl Fn(u64, u64) -> Schedule) {
        for run in 0..runs {
            let schedule = schedule(run, self.report.longest);
            let (_, failure) = self.run(Chooser::of(&schedule));
            if let Some(failure) = failure {
                self.report.found = Some(Found { schedule, run: run + 1, failure });
                return;
            }
        }
    }

    fn search(&mut self, preemptions: u32, runs_max: u64) {
        let mut search = Search::new(preemptions);
        for run in 0..runs_max {
            let (chooser, failure) = self.run(Chooser::search(search));
            if let Some(failure) = failure {
                let schedule = Schedule::Steps(chooser.taken().to_vec());
                self.report.found = Some(Found { schedule, run: run + 1, failure });
                return;
            }
            let Some(next) = chooser.into_search() else { return };
            search = next;
            if !search.advance() {
                self.report.complete = true;
                return;
            }
        }
    }
}

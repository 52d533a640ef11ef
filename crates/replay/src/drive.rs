//! Running a story: until the bug is found, and as often without it.

use crate::report;
use crate::stories::Story;
use ringfence_lockdep::{self as lockdep, OnReport};
use ringfence_sim::{Explorer, Found, Schedule, Strategy};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How a story is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From which all schedules are drawn.
    pub seed: u64,
    /// How often the bug is searched for, each time under other schedules.
    pub runs: u32,
    /// Schedules after which one search gives up.
    pub schedules_max: u64,
    /// Schedules of the mended form for each run; as many as the faulty form needed if that is
    /// more, from the same seed.
    pub mended: u64,
    /// Beyond those, all schedules of the mended form with so many preemptions, [`Self::all_max`]
    /// at most.
    pub preemptions: u32,
    /// The bound of that search; 0 for none.
    pub all_max: u64,
    /// One schedule for both forms, in place of all that.
    pub schedule: Option<Schedule>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 1,
            runs: 100,
            schedules_max: 1000,
            mended: 12,
            preemptions: 1,
            all_max: 10_000,
            schedule: None,
        }
    }
}

impl Settings {
    /// Explores on: more schedules of the mended form, and all with two preemptions as far as they
    /// go.
    #[must_use]
    pub fn full(self) -> Settings {
        Settings { mended: 100, preemptions: 2, all_max: 1_000_000, ..self }
    }
}

/// What came of a story.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The story's name.
    pub name: &'static str,
    /// How often it was run, and in how many of the runs the bug was found.
    pub runs: u32,
    /// See there.
    pub found: u32,
    /// Schedules of the faulty form that were run for that.
    pub tried: u64,
    /// The title of the first report, as a crash-log reader names it; empty if there is none.
    pub title: String,
    /// The report of the first run.
    pub report: String,
    /// The schedule that leads to it.
    pub schedule: Option<Schedule>,
    /// Titles other than the story's that were found, a few of them.
    pub strangers: Vec<String>,
    /// Nothing was found in the mended form.
    pub mended_clean: bool,
    /// What was found in it otherwise.
    pub mended_report: String,
    /// Schedules of the mended form.
    pub explored: u64,
    /// How many of them differ.
    pub distinct: u64,
    /// All of them within so many preemptions were among them.
    pub complete: Option<u32>,
    /// How long all of it took.
    pub time: Duration,
}

impl Told {
    /// The bug was found in every run, by the right name, and the mended form is clean.
    pub fn is_as_told(&self) -> bool {
        self.found == self.runs && self.strangers.is_empty() && self.mended_clean
    }

    /// The command that shows the first report again.
    pub fn reproduce(&self) -> String {
        match &self.schedule {
            Some(schedule) => format!("ringfence replay {} --schedule {schedule}", self.name),
            None => String::new(),
        }
    }
}

/// The validator is one for the process.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs a story.
pub fn replay(story: &Story, settings: &Settings) -> Told {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let start = Instant::now();
    lockdep::on_report(OnReport::Collect);
    let mut told = Told {
        name: story.name,
        runs: if settings.schedule.is_some() { 1 } else { settings.runs },
        found: 0,
        tried: 0,
        title: String::new(),
        report: String::new(),
        schedule: None,
        strangers: Vec::new(),
        mended_clean: true,
        mended_report: String::new(),
        explored: 0,
        distinct: 0,
        complete: None,
        time: Duration::ZERO,
    };
    for run in 0..told.runs {
        let seed = seed_of(settings.seed, run);
        let tried = look_for_the_bug(story, settings, seed, &mut told);
        look_at_the_mended(story, settings, seed, tried, &mut told);
    }
    if settings.all_max > 0 && settings.schedule.is_none() {
        let (preemptions, runs_max) = (settings.preemptions, settings.all_max);
        let strategy = Strategy::Exhaustive { preemptions, runs_max };
        let complete = explore_mended(story, strategy, &mut told);
        told.complete = complete.then_some(preemptions);
    }
    report::with_stacks(true);
    lockdep::forget();
    lockdep::on_report(OnReport::Print);
    told.time = start.elapsed();
    told
}

/// Seeds far apart, the first as it was given.
fn seed_of(seed: u64, run: u32) -> u64 {
    seed.wrapping_add(u64::from(run).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Ends what does not end: no story takes so many steps.
const STEPS_MAX: u64 = 20_000;

fn explorer(strategy: Strategy) -> Explorer {
    Explorer::new(strategy).steps_max(STEPS_MAX)
}

/// Searches for the bug; under how many schedules.
fn look_for_the_bug(story: &Story, settings: &Settings, seed: u64, told: &mut Told) -> u64 {
    let strategy = match &settings.schedule {
        Some(schedule) => Strategy::Replay(schedule.clone()),
        None => Strategy::Random { seed, runs: settings.schedules_max },
    };
    let first = told.report.is_empty();
    // Stacks are for who reads them: the first report is made again with them.
    report::with_stacks(false);
    let report = explorer(strategy).explore(story.faulty);
    let tried = report.runs;
    told.tried += tried;
    let Some(mut found) = report.found else { return tried };
    if first {
        report::with_stacks(true);
        let again = explorer(Strategy::Replay(found.schedule.clone())).explore(story.faulty);
        found = again.found.unwrap_or(found);
    }
    let (title, text) = report::of(&found);
    if !title.starts_with(story.title) {
        if told.strangers.len() < 3 {
            told.strangers.push(format!("{title}\n{text}"));
        }
        return tried;
    }
    told.found += 1;
    if first {
        (told.title, told.report, told.schedule) = (title, text, Some(found.schedule));
    }
    tried
}

/// The mended form under the schedules that found the bug, and on from there.
fn look_at_the_mended(story: &Story, settings: &Settings, seed: u64, tried: u64, told: &mut Told) {
    report::with_stacks(false);
    let strategy = match &settings.schedule {
        Some(schedule) => Strategy::Replay(schedule.clone()),
        None => Strategy::Random { seed, runs: tried.max(settings.mended) },
    };
    explore_mended(story, strategy, told);
}

/// Explores the mended form; whether all there is was seen.
fn explore_mended(story: &Story, strategy: Strategy, told: &mut Told) -> bool {
    let report = explorer(strategy).explore(story.mended);
    told.explored += report.runs;
    told.distinct += report.distinct;
    if let Some(found) = &report.found {
        told.note_mended(found);
    }
    report.complete
}

impl Told {
    fn note_mended(&mut self, found: &Found) {
        if self.mended_clean {
            self.mended_report = format!("under {}:\n{}", found.schedule, report::of(found).1);
        }
        self.mended_clean = false;
    }
}

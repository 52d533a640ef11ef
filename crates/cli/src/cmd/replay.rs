//! `ringfence replay`: historic failures, found again in the engine that was given their bugs.

use anyhow::{Result, bail};
use ringfence_replay::{STORIES, Settings, Story, Told, replay, story};
use ringfence_sim::Schedule;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Replay historic failures of io_uring and AIO in the engine, with their bugs and without
///
/// Each is a small program, run by the engine's own code under explored schedules: by an engine that
/// was given one historic bug, which must be found in every run, and by the engine as it is, which
/// must be clean under as many. What is found is printed as the kernel would, with the interleaving
/// and the line that shows it again. docs/REPLAYS.md tells the stories.
///
/// Exit codes: 0 every bug was found in every run and every mended form is clean, 1 not.
#[derive(clap::Args)]
#[command(after_help = "Example: ringfence replay --all --runs 10")]
pub(crate) struct Args {
    /// Which failure; without one, they are listed
    #[arg(value_name = "NAME", conflicts_with = "all")]
    name: Option<String>,
    /// All of them
    #[arg(long)]
    all: bool,
    /// Explore on: many more schedules of the mended form, and all with two preemptions as far as
    /// they go
    #[arg(long)]
    full: bool,
    /// From which the schedules are drawn
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How often each bug is searched for, every time under other schedules
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// One schedule, as a report names it, in place of all others
    #[arg(long, value_name = "SCHEDULE", conflicts_with_all = ["all", "full", "runs", "seed"])]
    schedule: Option<Schedule>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    fn settings(&self) -> Settings {
        let settings = Settings {
            seed: self.seed,
            runs: self.runs,
            schedule: self.schedule.clone(),
            ..Settings::default()
        };
        if self.full { settings.full() } else { settings }
    }

    /// What was asked for.
    fn stories(&self) -> Result<Vec<&'static Story>> {
        match &self.name {
            Some(name) => match story(name) {
                Some(story) => Ok(vec![story]),
                None => {
                    let names: Vec<&str> = STORIES.iter().map(|story| story.name).collect();
                    bail!("there is no replay named {name:?}; there are {}", names.join(", "))
                }
            },
            None => Ok(STORIES.iter().collect()),
        }
    }
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let stories = args.stories()?;
    if args.name.is_none() && !args.all {
        list(args.json);
        return Ok(ExitCode::SUCCESS);
    }
    let settings = args.settings();
    let mut all = Vec::new();
    for story in stories {
        let told = replay(story, &settings);
        if !args.json {
            // With several, what is new about each is the verdict; one alone is told in full.
            print(story, &settings, &told, !args.all);
        }
        all.push(told);
    }
    if args.json {
        println!("{:#}", json!({ "replays": all.iter().map(value).collect::<Vec<_>>() }));
    }
    let good = all.iter().all(Told::is_as_told);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list(as_json: bool) {
    if as_json {
        let one = |story: &Story| json!({ "name": story.name, "what": story.what });
        println!("{:#}", json!({ "stories": STORIES.iter().map(one).collect::<Vec<_>>() }));
        return;
    }
    for story in STORIES {
        println!("{:<24} {}", story.name, story.what);
    }
}

fn print(story: &Story, settings: &Settings, told: &Told, in_full: bool) {
    println!("{}: {}", told.name, story.what);
    if in_full && !told.report.is_empty() {
        println!("\n{}\n", told.report.trim());
    }
    for stranger in &told.strangers {
        println!("  another failure: {}\n", stranger.trim());
    }
    let title = if told.title.is_empty() { story.title } else { &told.title };
    println!("  with the bug: {title}");
    let from = match settings.schedule {
        Some(_) => String::new(),
        None => format!(" from seed {}", settings.seed),
    };
    println!("    found in {} of {} runs, {} schedules{from}", told.found, told.runs, told.tried);
    if !told.reproduce().is_empty() {
        println!("    again: {}", told.reproduce());
    }
    if told.mended_clean {
        let complete = told.complete.map_or_else(String::new, |preemptions| {
            format!(", among them all there are with {}", preemptions_of(preemptions))
        });
        println!("  as it is: clean in {} schedules{complete}", told.explored);
    } else {
        println!("  as it is: NOT clean\n{}", told.mended_report.trim());
    }
    println!("  {:.1} s\n", told.time.as_secs_f64());
}

fn preemptions_of(count: u32) -> String {
    if count == 1 { "one preemption".to_owned() } else { format!("{count} preemptions") }
}

fn value(told: &Told) -> Value {
    json!({
        "name": told.name,
        "found": told.found,
        "runs": told.runs,
        "seconds": told.time.as_secs_f64(),
        "mended_clean": told.mended_clean,
        "explored": told.explored,
        "title": told.title,
        "reproduce": told.reproduce(),
        "tried": told.tried,
        "complete_preemptions": told.complete,
        "report": told.report,
    })
}

//! Each failure is found, by its name and again by its schedule; the engine as it is has none.

use ringfence_replay::{STORIES, Settings, Story, replay, story};

/// Few runs: the command makes a hundred of each.
fn few() -> Settings {
    Settings { runs: 4, mended: 4, all_max: 20, ..Settings::default() }
}

fn is_found_and_mended(name: &str, title: &str) {
    let story = story(name).expect("a story");
    let told = replay(story, &few());
    assert_eq!(
        told.found, told.runs,
        "found under {} schedules; {:#?}",
        told.tried, told.strangers
    );
    assert!(told.mended_clean, "{}", told.mended_report);
    assert!(told.is_as_told(), "{:#?}", told.strangers);
    assert_eq!(told.title, title);
    assert!(told.explored >= told.tried.max(16), "{} of {}", told.explored, told.tried);
    is_recognised(story, &told.report, title);
    is_reproduced(story, &told);
}

/// A reader of crash logs knows the report for what it is, wherever it stands in a log.
fn is_recognised(story: &Story, report: &str, title: &str) {
    let log = format!("the program starts\n{report}\nand goes on\n");
    let read = ringfence_report::parse(&log);
    let titles: Vec<&str> = read.iter().map(|report| report.title.as_str()).collect();
    let expected = match story.name {
        "overflow-recursion" => "possible deadlock in historic_timeout_lock",
        "timer-inversion" => "possible deadlock in historic_task_work",
        _ => title.trim_start_matches("BUG: "),
    };
    assert_eq!(titles, [expected], "{report}");
}

/// The schedule that is printed leads to the same report.
fn is_reproduced(story: &Story, told: &ringfence_replay::Told) {
    let settings = Settings { schedule: told.schedule.clone(), ..few() };
    let again = replay(story, &settings);
    assert_eq!((again.found, again.runs, again.tried), (1, 1, 1));
    assert_eq!(again.title, told.title);
    assert_eq!(again.schedule, told.schedule);
}

#[test]
fn overflow_recursion() {
    is_found_and_mended("overflow-recursion", "WARNING: possible recursive locking detected");
}

#[test]
fn timer_inversion() {
    let title = "WARNING: possible irq lock inversion dependency detected";
    is_found_and_mended("timer-inversion", title);
}

#[test]
fn link_timeout_double_put() {
    is_found_and_mended("link-timeout-double-put", "WARNING: refcount bug in end_link_timeout");
}

#[test]
fn link_chain_race() {
    let title = "BUG: KCSAN: data-race in historic_free / set_link_timeout";
    is_found_and_mended("link-chain-race", title);
}

#[test]
fn context_revival() {
    is_found_and_mended("context-revival", "WARNING: refcount bug in look_up");
}

/// As the log of seed 001 has them: the state of both locks, and the shortest way from one to the
/// other.
#[test]
fn the_inversion_is_told_as_in_the_seed() {
    let told = replay(story("timer-inversion").expect("a story"), &few());
    for section in [
        "just changed the state of lock:",
        "(task work){",
        "in the past:",
        "(completion lock){",
        "and interrupts could create inverse lock ordering between them.",
        "Possible interrupt unsafe locking scenario:",
        "  <Interrupt>\n    lock(completion lock);\n\n *** DEADLOCK ***",
        "the shortest dependencies between 2nd lock and 1st lock:",
        "IN-SOFTIRQ-W at:",
        "SOFTIRQ-ON-W at:",
        " ... acquired at:",
        "historic_flush_timeouts",
        "historic_task_work",
    ] {
        assert!(told.report.contains(section), "{section:?} not in {}", told.report);
    }
}

/// Other seeds, other schedules.
#[test]
fn the_seed_decides_what_is_run() {
    let story = STORIES.last().expect("a story");
    let schedules = [1, 2, 1].map(|seed| {
        let settings = Settings { seed, runs: 1, mended: 1, all_max: 0, ..Settings::default() };
        replay(story, &settings).schedule.expect("found").to_string()
    });
    assert_ne!(schedules[0], schedules[1]);
    assert_eq!(schedules[0], schedules[2]);
}

/// What the command runs without further ado has all schedules of the mended forms with one preemption.
#[test]
fn all_schedules_with_one_preemption_are_clean() {
    for story in STORIES {
        let told = replay(story, &Settings { runs: 1, ..Settings::default() });
        assert!(told.is_as_told(), "{}: {}", told.name, told.mended_report);
        assert_eq!(told.complete, Some(1), "{}: {} explored", told.name, told.explored);
    }
}

/// A search that may run but few schedules may find nothing; that is no success.
#[test]
fn what_is_not_found_is_told() {
    let settings = Settings { runs: 3, schedules_max: 0, mended: 1, all_max: 0, ..few() };
    let told = replay(&STORIES[0], &settings);
    assert_eq!((told.found, told.runs), (0, 3));
    assert!(!told.is_as_told());
    assert_eq!(told.reproduce(), "");
}

/// Failed runs leave engines behind that nobody drops, but no descriptors: a user has few instances
/// of inotify, and a process few of all.
#[test]
fn a_story_leaves_no_descriptor() {
    // In a process of its own: other tests of this one have descriptors open meanwhile.
    const ALONE: &str = "RINGFENCE_STORY_ALONE";
    let name = "a_story_leaves_no_descriptor";
    if std::env::var_os(ALONE).is_none() {
        let mut command = std::process::Command::new(std::env::current_exe().expect("this test"));
        let status = command.args(["--exact", name]).env(ALONE, "1").status();
        assert!(status.expect("it runs").success());
        return;
    }
    let count = || std::fs::read_dir("/proc/self/fd").expect("/proc").count();
    let settings = Settings { runs: 3, mended: 1, all_max: 0, ..Settings::default() };
    let play = || STORIES.iter().for_each(|story| assert_eq!(replay(story, &settings).found, 3));
    // What is opened once for all.
    play();
    let before = count();
    play();
    assert_eq!(count(), before);
}

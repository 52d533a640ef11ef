//! The whole way on a generated repository: merges, broken builds, a planted flaky bug.

mod choices;
mod generated;

use generated::{Plan, generate};
use ringfence_bisect::{Config, End, Error, Finished, Job, Mode, News, bisect};
use ringfence_git::Oid;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Fires in six of ten runs where the bug is; which ones follows from revision and run number, so
/// that every run of this test sees the same.
const TEST: &str = "grep -q . bug 2>/dev/null || exit 0
fate=$(echo \"$RINGFENCE_REVISION $RINGFENCE_RUN\" | cksum | cut -d' ' -f1)
[ $((fate % 10)) -lt 6 ] || exit 0
echo 'BUG: planted in here'; exit 1";

fn job(repo: &Path, state: &Path, mode: Mode) -> Job {
    Job {
        repo: repo.to_owned(),
        bad: "main".to_owned(),
        good: Some("v1".to_owned()),
        releases: "v*".to_owned(),
        build: "test ! -e broken".to_owned(),
        test: TEST.to_owned(),
        signature: None,
        artifacts: Vec::new(),
        runner: None,
        jobs: 1,
        keep: 4,
        build_timeout: None,
        test_timeout: None,
        time_out_is_lost: false,
        with_fix: Vec::new(),
        state: state.to_owned(),
        config: Config { mode, at_once: 1, ..Config::default() },
    }
}

fn title(output: &str) -> Option<String> {
    output.lines().find(|line| line.starts_with("BUG:")).map(str::to_owned)
}

fn run(job: &Job) -> Result<Finished, Error> {
    bisect(job, &title, &AtomicBool::new(false), &mut |_| ())
}

fn culprit(finished: &Finished) -> Option<Oid> {
    match finished.end {
        End::Culprit { node, .. } => Some(finished.range.id(node)),
        _ => None,
    }
}

#[test]
fn finds_the_bug_on_the_main_line_and_on_a_side_branch() {
    for on_side in [false, true] {
        for mode in [Mode::Clock, Mode::Frugal] {
            let made = generate(&Plan { commits: 400, on_side });
            let state = tempfile::tempdir().unwrap();
            let before = made.status();
            let finished = run(&job(made.path(), state.path(), mode)).unwrap();
            assert_eq!(culprit(&finished), Some(made.culprit), "side {on_side}, {mode:?}");
            assert_eq!(made.status(), before, "the checkout was touched");
            let titles: Vec<_> = finished.book.titles.family().into_iter().collect();
            assert_eq!(titles, ["BUG: planted in here"]);
        }
    }
}

#[test]
fn goes_on_after_every_stop_and_ends_with_the_same_journal() {
    let made = generate(&Plan { commits: 60, on_side: true });
    let whole = tempfile::tempdir().unwrap();
    let one = run(&job(made.path(), whole.path(), Mode::Frugal)).unwrap();
    let pieces = tempfile::tempdir().unwrap();
    let job = job(made.path(), pieces.path(), Mode::Frugal);
    let mut sittings = 0;
    let two = loop {
        // Stops the search after every fifth run, as Ctrl-C does.
        let stop = AtomicBool::new(false);
        let mut runs = 0;
        let mut news = |news: &News<'_>| {
            runs += u32::from(matches!(news, News::Ran(..)));
            stop.fetch_or(runs >= 5, Ordering::Relaxed);
        };
        match bisect(&job, &title, &stop, &mut news) {
            Ok(finished) => break finished,
            Err(Error::Stopped(_)) => sittings += 1,
            Err(other) => panic!("{other}"),
        }
        assert!(sittings < 200, "no progress");
    };
    assert!(sittings > 3, "{sittings}");
    assert_eq!(culprit(&one), Some(made.culprit));
    assert_eq!(culprit(&two), Some(made.culprit));
}

#[test]
fn clear_messages_and_no_damage() {
    let made = generate(&Plan { commits: 30, on_side: false });
    let said = |change: &dyn Fn(&mut Job)| {
        let state = tempfile::tempdir().unwrap();
        let mut job = job(made.path(), state.path(), Mode::Clock);
        change(&mut job);
        run(&job).map(|finished| format!("{:?}", finished.end)).unwrap_or_else(|e| e.to_string())
    };
    let before = made.status();
    assert!(said(&|job| job.bad = "nowhere".to_owned()).contains("`nowhere` names no commit"));
    assert!(said(&|job| job.good = Some("aside".to_owned())).contains("no ancestor of bad"));
    assert!(said(&|job| job.good = Some("main".to_owned())).contains("same commit"));
    assert!(said(&|job| job.test = "exit 127".to_owned()).contains("not found (exit 127)"));
    assert_eq!(said(&|job| job.test = "true".to_owned()), "NeverFails");
    assert_eq!(said(&|job| job.test = "exit 1".to_owned()), "FailsEverywhere");
    assert_eq!(made.status(), before);
}

#[test]
fn releases_are_walked_until_one_is_good() {
    let made = generate(&Plan { commits: 90, on_side: false });
    let state = tempfile::tempdir().unwrap();
    let mut job = job(made.path(), state.path(), Mode::Clock);
    job.good = None;
    let finished = run(&job).unwrap();
    assert_eq!(culprit(&finished), Some(made.culprit));
    assert!(finished.range.history.suspects() < 60, "{}", finished.range.history.suspects());
}

#[test]
fn a_culprit_among_broken_builds_gives_the_exact_set() {
    let made = generate(&Plan { commits: 80, on_side: false });
    let state = tempfile::tempdir().unwrap();
    let finished = run(&job(made.path(), state.path(), Mode::Frugal)).unwrap();
    assert_eq!(culprit(&finished), None);
    let hidden = finished.search.inseparable().unwrap();
    let names: Vec<Oid> = hidden.iter().map(|node| finished.range.id(*node)).collect();
    // Four commits do not build, and the first that builds again could be guilty as well.
    assert_eq!(names.len(), 5);
    assert!(names.contains(&made.culprit));
}

#[test]
fn finds_the_mend() {
    let made = generate(&Plan { commits: 90, on_side: false });
    let state = tempfile::tempdir().unwrap();
    let mut job = job(made.path(), state.path(), Mode::Frugal);
    // Seen from the mended side, the commit that plants the bug is the one that "mends" its lack.
    job.test = TEST.replace("|| exit 0", "&& exit 0");
    job.config.sense = ringfence_bisect::Sense::Mended;
    (job.bad, job.good) = ("v1".to_owned(), Some("main".to_owned()));
    assert_eq!(culprit(&run(&job).unwrap()), Some(made.culprit));
}

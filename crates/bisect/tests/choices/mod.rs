//! What the user may choose: mends put on top, what a build is known by, a runner; and the picture.

use crate::generated::{Made, line};
use crate::{culprit, job, run};
use ringfence_bisect::{End, Finished, Job, Mode, Why, picture};
use std::collections::HashSet;

/// Fires nearly always where the bug is; from the revision and the number of the run.
const TEST: &str = "grep -q . bug 2>/dev/null || exit 0
fate=$(echo \"$RINGFENCE_REVISION $RINGFENCE_RUN\" | cksum | cut -d' ' -f1)
[ $((fate % 10)) -lt 8 ] || exit 0
echo 'BUG: planted in here'; exit 1";

/// Commits on a line, of which every third changes `src`; the bug comes in with a change of it.
fn thirds() -> Made {
    let commits = (0..40).map(|at| {
        let mut files = vec![("n".to_owned(), at.to_string())];
        if at % 3 == 0 {
            files.push(("src".to_owned(), format!("version {at}")));
        }
        if at == 21 {
            files.push(("bug".to_owned(), "yes".to_owned()));
        }
        (format!("commit {at}"), files)
    });
    line(&commits.collect::<Vec<_>>(), 21, &[])
}

fn search(made: &Made, change: impl Fn(&mut Job)) -> Finished {
    let state = tempfile::tempdir().unwrap();
    let mut job = job(made.path(), state.path(), Mode::Clock);
    TEST.clone_into(&mut job.test);
    change(&mut job);
    run(&job).unwrap()
}

/// The signatures of the revisions that were run.
fn tested(finished: &Finished) -> Vec<String> {
    let records = finished.book.records.values().filter(|record| !record.runs.is_empty());
    records.filter_map(|record| record.signature.clone()).collect()
}

#[test]
fn equal_artifacts_are_one_build() {
    let made = thirds();
    let finished = search(&made, |job| {
        "cat src bug > out 2>/dev/null; cp src with; true".clone_into(&mut job.build);
        job.artifacts = vec!["out".into(), "with".into()];
    });
    assert_eq!(culprit(&finished), Some(made.culprit));
    let all = tested(&finished);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "an equal build was tested");
    assert!(all.iter().all(|one| one.len() == 64), "{all:?}");
}

#[test]
fn a_missing_artifact_is_a_broken_build() {
    let made = thirds();
    let finished = search(&made, |job| job.artifacts = vec!["nothing".into()]);
    assert_eq!(culprit(&finished), None);
    let why = finished.book.records.values().find_map(|record| record.unbuildable.clone());
    assert_eq!(why.as_deref(), Some("artifact nothing is missing"));
    assert_eq!(finished.end, End::Undecided(Why::Untestable));
    assert_eq!(finished.book.testing.1, 0, "a broken build was run");
}

#[test]
fn the_users_signature_counts() {
    let made = thirds();
    let finished = search(&made, |job| {
        job.signature = Some("cat src bug 2>/dev/null | cksum".to_owned());
    });
    assert_eq!(culprit(&finished), Some(made.culprit));
    let all = tested(&finished);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "an equal build was tested");
    assert!(all.iter().all(|one| one.ends_with(char::is_numeric)), "{all:?}");
}

#[test]
fn a_known_mend_opens_revisions_that_another_bug_closed() {
    let commits = (0..40).map(|at| {
        // The mend touches nothing but its own file, or it would not apply elsewhere.
        let mut files = vec![("n".to_owned(), at.to_string())];
        files.retain(|_| at != 30);
        let mut message = format!("commit {at}");
        match at {
            10 => files.push(("other".to_owned(), "yes".to_owned())),
            21 => files.push(("bug".to_owned(), "yes".to_owned())),
            30 => {
                files.push(("mended".to_owned(), "yes".to_owned()));
                message.push_str("\n\nFixes: other-bug (\"commit 10\")");
            }
            _ => {}
        }
        (message, files)
    });
    let made = line(&commits.collect::<Vec<_>>(), 21, &[("other-bug", 10), ("mend", 30)]);
    let build = "test ! -e other || test -e mended";
    let without = search(&made, |job| build.clone_into(&mut job.build));
    assert_eq!(culprit(&without), None);
    // Commits 10 to 29 do not build, and 30, the first that does again, may be guilty as well.
    assert_eq!(without.search.inseparable().map(|hidden| hidden.len()), Some(21));
    let with = search(&made, |job| {
        build.clone_into(&mut job.build);
        job.with_fix = vec!["mend".to_owned()];
    });
    assert_eq!(culprit(&with), Some(made.culprit));
}

#[test]
fn a_runner_carries_every_command() {
    let made = thirds();
    let seen = tempfile::tempdir().unwrap();
    let counted = seen.path().join("count");
    let script = seen.path().join("runner");
    let text = format!("#!/bin/sh\necho x >> {}\nexec sh -c \"$1\"\n", counted.display());
    std::fs::write(&script, text).unwrap();
    let finished = search(&made, |job| job.runner = Some(format!("sh {}", script.display())));
    assert_eq!(culprit(&finished), Some(made.culprit));
    let carried = std::fs::read_to_string(counted).unwrap().lines().count();
    let (builds, runs) = (finished.book.building.1, finished.book.testing.1);
    assert_eq!(carried, (builds + runs) as usize);
}

#[test]
fn the_picture_shows_every_test_and_the_likeliest() {
    let made = thirds();
    let finished = search(&made, |_| ());
    let svg = picture(&finished);
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    for hash in &finished.book.order {
        assert_eq!(svg.matches(&format!("<title>{hash}: ")).count(), 1, "{hash}");
    }
    let likeliest = format!("likeliest: {}", made.culprit.short());
    assert!(svg.contains(&likeliest), "{svg}");
    // One bar a suspect, a background, and nothing that is not a number.
    assert_eq!(svg.matches("<rect ").count(), 1 + finished.range.history.suspects());
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}

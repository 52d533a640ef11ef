//! What stands around a decision: bad input, files, verification, and the user's repository.

mod world;

use ringfence_backport::mailbox::Mailbox;
use ringfence_backport::repo::run::{Options, RunError, run};
use ringfence_backport::repo::{out, verify};
use ringfence_backport::report::Report;
use ringfence_backport::verdict::Verdict;
use world::{ADA, BOB, World};

/// A trunk with a fix and two branches: one takes it, one needs the caller's neighbour settled.
fn small() -> (World, String) {
    let mut world = World::new();
    world.write("run.c", "int run_all(int count)\n{\n\tint sum = start();\n\n\tsum += step(count);\n\tfinish(sum);\n\treturn sum;\n}\n");
    world.write("check.sh", "grep -q 'step(count)' run.c\n");
    world.commit(ADA, "Start");
    world.git(&["branch", "stable/1"]);
    world.git(&["branch", "stable/2"]);
    world.edit("run.c", "\tfinish(sum);\n", "\tif (sum < 0)\n\t\treturn -1;\n\tfinish(sum);\n");
    let fix = world.commit(ADA, "run: do not finish what failed\n\nA negative sum crashes finish().\n\nSigned-off-by: Ada <ada@example.org>");
    world.checkout("stable/1");
    world.edit("run.c", "\tfinish(sum);\n\treturn sum;\n", "\tfinish(sum);\n\treturn sum + 0;\n");
    world.edit("run.c", "\tsum += step(count);\n", "\tsum += step(count) * 2;\n");
    world.commit(BOB, "run: twice");
    world.checkout("main");
    (world, fix)
}

fn decide(world: &World, fix: &str, options: Options<'_>) -> Result<Report, RunError> {
    let globs = ["stable/*".to_owned()];
    let branches = if options.branches.is_empty() { &globs[..] } else { options.branches };
    run(&world.repo(), &Options { fix, branches, ..options }, &mut |_| {})
}

/// Everything of the user's that a run could touch.
fn state(world: &World) -> (String, String, String) {
    let objects = world.git(&["count-objects", "-v"]);
    (world.git(&["for-each-ref"]), world.git(&["status", "--porcelain=v2", "--branch"]), objects)
}

#[test]
fn a_report_verifies_in_both_forms_and_a_changed_one_does_not() {
    let (world, fix) = small();
    let before = state(&world);
    let cache = tempfile::tempdir().unwrap();
    let options = Options {
        build: Some("test -f run.c"),
        test: Some("sh check.sh"),
        sign_off: Some("Cid <cid@example.org>"),
        cache: Some(cache.path()),
        ..Options::default()
    };
    let report = decide(&world, &fix, options).unwrap();
    let verdicts: Vec<_> = report.verdicts().into_iter().map(|(_, verdict)| verdict).collect();
    assert_eq!(verdicts, [Verdict::Take, Verdict::Adapt], "{}", report.table());
    let dir = tempfile::tempdir().unwrap();
    out::write(&report, dir.path()).unwrap();
    for name in ["report.txt", "report.json"] {
        let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
        let evidence = verify::read(&text).unwrap();
        assert_eq!(evidence.len(), report.evidence.len());
        let shell = ["test -f run.c", "sh check.sh"];
        let outcomes = verify::verify(&world.repo(), &evidence, &shell, &mut |_, _| {}).unwrap();
        let differ: Vec<_> = outcomes.iter().filter(|outcome| outcome.differs.is_some()).collect();
        assert!(differ.is_empty(), "{name}: {differ:#?}");
        // No shell command of a report runs unless its reader names it.
        let outcomes = verify::verify(&world.repo(), &evidence, &[], &mut |_, _| {}).unwrap();
        let refused = outcomes.iter().filter(|outcome| outcome.differs.is_some()).count();
        assert_eq!(refused, evidence.iter().filter(|item| item.tree.is_some()).count());
        let mut forged = evidence.clone();
        forged[0].sha256 = "0".repeat(64);
        let outcomes = verify::verify(&world.repo(), &forged, &shell, &mut |_, _| {}).unwrap();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.differs.is_some()).count(), 1);
    }
    assert_eq!(state(&world), before, "the user's repository is only read");
}

#[test]
fn every_step_of_the_nine_phases_is_there_and_tied_to_commands_or_open() {
    let (world, fix) = small();
    let report = decide(&world, &fix, Options::default()).unwrap();
    let text = report.text();
    for phase in ringfence_backport::report::PHASES {
        for (step, _) in phase.steps {
            assert!(text.contains(&format!("Step {step} Record:")), "{step} is missing");
        }
    }
    for (step, statements) in &report.steps {
        for statement in statements {
            let open = statement.text.contains("ot established")
                || statement.text.contains("it was not tried");
            assert!(!statement.by.is_empty() || open, "{step}: {statement:?}");
            assert!(statement.by.iter().all(|number| (1..=report.evidence.len()).contains(number)));
        }
    }
}

#[test]
fn a_failing_test_needs_a_person_and_outcomes_are_kept_by_tree() {
    let (world, fix) = small();
    let cache = tempfile::tempdir().unwrap();
    let options =
        || Options { test: Some("exit 3"), cache: Some(cache.path()), ..Options::default() };
    let report = decide(&world, &fix, options()).unwrap();
    assert!(report.verdicts().iter().all(|(_, verdict)| *verdict == Verdict::NeedsPerson));
    let again = decide(&world, &fix, options()).unwrap();
    assert!(again.branches.iter().all(|branch| branch.facts.test.as_ref().unwrap().cached));
}

#[test]
fn review_mails_apply_with_git_am() {
    let (world, fix) = small();
    let report = decide(
        &world,
        &fix,
        Options { sign_off: Some("Cid <cid@example.org>"), ..Options::default() },
    )
    .unwrap();
    let mails = Mailbox::of(&report);
    assert_eq!(mails.review.len(), 2);
    for (branch, mail) in &mails.review {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), mail).unwrap();
        world.checkout(branch);
        world.git(&["am", "-q", file.path().to_str().unwrap()]);
        assert!(world.read("run.c").contains("if (sum < 0)"));
        let message = world.git(&["log", "-1", "--format=%B"]);
        assert!(message.contains(&format!("commit {fix} upstream.")), "{message}");
    }
}

#[test]
fn what_cannot_be_decided_is_refused_with_a_reason() {
    let (mut world, fix) = small();
    let refusal =
        |world: &World, fix: &str| decide(world, fix, Options::default()).unwrap_err().to_string();
    assert!(refusal(&world, "no-such-thing").contains("`no-such-thing` names no commit"));
    let root = world.git(&["rev-list", "--max-parents=0", "main"]);
    assert!(refusal(&world, &root).contains("has no parent"));
    let globs = ["nowhere/*".to_owned()];
    let none =
        decide(&world, &fix, Options { branches: &globs, ..Options::default() }).unwrap_err();
    assert!(none.to_string().contains("`nowhere/*` names no branch; there are stable/2"), "{none}");
    world.branch("side", "main");
    world.write("side.c", "int side;\n");
    world.commit(BOB, "Side");
    world.checkout("main");
    world.write("other.c", "int other;\n");
    world.commit(BOB, "Other");
    world.git(&["merge", "-q", "--no-ff", "-m", "Merge side", "side"]);
    assert!(refusal(&world, "main").contains("is a merge"));
    world.write("blob.bin", "a\0b");
    let binary = world.commit(BOB, "Binary");
    assert!(refusal(&world, &binary).contains("binary file blob.bin"));
    let empty = world.commit(BOB, "Nothing");
    assert!(refusal(&world, &empty).contains("changes no file"));
    let shallow = tempfile::tempdir().unwrap();
    let (url, to) = (format!("file://{}", world.path().display()), shallow.path().join("clone"));
    world.git(&["clone", "-q", "--depth=1", "--no-single-branch", &url, to.to_str().unwrap()]);
    let repo = ringfence_git::Repo::open(&to).unwrap();
    let globs = ["origin/stable/*".to_owned()];
    let options = Options { fix: "HEAD", branches: &globs, ..Options::default() };
    let error = run(&repo, &options, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("git fetch --unshallow"), "{error}");
}

#[test]
fn a_branch_without_a_common_ancestor_needs_a_person() {
    let (mut world, fix) = small();
    world.git(&["checkout", "-q", "--orphan", "stable/0"]);
    world.write("run.c", "int other;\n");
    world.commit(BOB, "Another start");
    world.checkout("main");
    let report = decide(&world, &fix, Options::default()).unwrap();
    let last = report.branches.last().unwrap();
    assert_eq!(last.judgement.verdict, Verdict::NeedsPerson);
    assert!(last.judgement.why[0].contains("no common ancestor"));
}

#[test]
fn a_fix_that_upstream_had_to_correct_needs_a_person() {
    let (mut world, fix) = small();
    world.edit("run.c", "\tif (sum < 0)\n\t\treturn -1;\n", "\tif (sum <= 0)\n\t\treturn -1;\n");
    let correction = world.commit(ADA, "run: nor what is empty");
    let report = decide(&world, &fix, Options::default()).unwrap();
    for judged in &report.branches {
        assert_eq!(judged.judgement.verdict, Verdict::NeedsPerson, "{}", report.table());
        let why = judged.judgement.why.join("\n");
        assert!(why.contains(&correction[..12]) && why.contains("corrects the fix"), "{why}");
    }
}

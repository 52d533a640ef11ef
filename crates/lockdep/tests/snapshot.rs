//! What was seen, as a graph, as a document of what is permitted, and as JSON.

use ringfence_lockdep::{
    Acquire, ClassKey, Detail, Mode, OnReport, Permitted, SIGNAL, Snapshot, Task, Validator,
    document,
};

fn seen(work: impl FnOnce(&Validator, &Task, [ClassKey; 3])) -> Snapshot {
    let validator = Validator::new(OnReport::Collect);
    validator.capture_stacks(false);
    let task = Task::new();
    let classes = ["zeta", "alpha", "mu"].map(|name| validator.class(name));
    work(&validator, &task, classes);
    validator.snapshot()
}

fn nest(validator: &Validator, task: &Task, classes: &[ClassKey]) {
    for &class in classes {
        validator.acquire(task, Acquire::new(class, Mode::Exclusive));
    }
    for &class in classes.iter().rev() {
        validator.release(task, class, 0);
    }
}

#[test]
fn classes_stand_outermost_first() {
    let snapshot = seen(|validator, task, [zeta, alpha, mu]| {
        nest(validator, task, &[zeta, mu]);
        nest(validator, task, &[mu, alpha]);
    });
    let names: Vec<_> = snapshot.classes.iter().map(|class| class.name.as_str()).collect();
    assert_eq!(names, ["zeta", "mu", "alpha"]);
    let edges: Vec<_> = snapshot.edges.iter().map(|edge| (&*edge.outer, &*edge.inner)).collect();
    assert_eq!(edges, [("mu", "alpha"), ("zeta", "mu")]);
    assert!(
        snapshot.edges[0].first_at.as_deref().is_some_and(|at| at.starts_with("lockdep/tests/"))
    );
}

#[test]
fn the_graph_in_dot() {
    let snapshot = seen(|validator, task, [zeta, alpha, _]| {
        nest(validator, task, &[zeta, alpha]);
        let entered = validator.enter(task, &SIGNAL);
        nest(validator, task, &[zeta.with_subclass(1)]);
        validator.leave(task, entered);
    });
    let dot = snapshot.to_dot();
    assert!(dot.starts_with("digraph locks {\n") && dot.ends_with("}\n"), "{dot}");
    assert!(dot.contains("    \"zeta\" -> \"alpha\" [label=\"EN\"];\n"), "{dot}");
    assert!(dot.contains("    \"zeta/1\" [label=\"zeta/1\\n{-...}\", style=filled];\n"), "{dot}");
}

#[test]
fn a_new_edge_fails_until_it_is_accepted() {
    let before = seen(|validator, task, [zeta, alpha, _]| nest(validator, task, &[zeta, alpha]));
    let after = seen(|validator, task, [zeta, alpha, mu]| {
        nest(validator, task, &[zeta, alpha]);
        nest(validator, task, &[zeta, mu]);
        let entered = validator.enter(task, &SIGNAL);
        nest(validator, task, &[mu.with_subclass(2)]);
        validator.leave(task, entered);
    });
    let text = document(&before, &Permitted::default());
    let permitted = Permitted::parse(&text);
    assert_eq!(permitted.check(&before), Ok(()));
    let refused = permitted.check(&after).expect_err("an edge is new");
    assert_eq!(refused.edges, [("zeta".to_owned(), "mu".to_owned())]);
    assert_eq!(refused.taken_in, [("mu/2".to_owned(), "signal handler".to_owned())]);
    let message = refused.to_string();
    assert!(message.contains("`mu` was taken under `zeta`"), "{message}");

    let accepted = document(&after, &permitted);
    assert_eq!(Permitted::parse(&accepted).check(&after), Ok(()));
    // A run that shows less is no error, and takes nothing away when it is printed again.
    assert_eq!(document(&before, &Permitted::parse(&accepted)).matches("| `mu` |").count(), 1);
    assert_eq!(
        Permitted::parse(&document(&before, &Permitted::parse(&accepted))).check(&after),
        Ok(())
    );
}

#[test]
fn the_document_in_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("LOCKING.md");
    let run = seen(|validator, task, [zeta, alpha, _]| nest(validator, task, &[zeta, alpha]));
    let refused = Permitted::check_file(&path, &run).expect_err("nothing is permitted yet");
    assert!(refused.to_string().contains("RINGFENCE_LOCKING_ACCEPT=1"), "{refused}");
    assert!(!path.exists(), "a check writes nothing");
    std::fs::write(&path, document(&run, &Permitted::default())).expect("written");
    Permitted::check_file(&path, &run).expect("permitted");
    assert!(Permitted::check_file(directory.path(), &run).is_err(), "a directory is no document");
}

#[test]
fn reports_as_json() {
    let validator = Validator::new(OnReport::Collect);
    let task = Task::new();
    let class = validator.class("once");
    validator.acquire(&task, Acquire::new(class, Mode::Exclusive).instance(1));
    validator.acquire(&task, Acquire::new(class, Mode::Exclusive).instance(2));
    let json = validator.reports()[0].to_json();
    assert_eq!(json["title"], "WARNING: possible recursive locking detected");
    assert_eq!(json["finding"]["rule"], "recursion");
    assert_eq!(json["finding"]["next"]["class"]["name"], "once");
    assert_eq!(json["held"][0]["instance"], 1);
    assert_eq!(json["held"][0]["mode"], "exclusive");
    let function = json["stack"][0]["path"].as_str().expect("a named frame");
    assert!(function.ends_with("reports_as_json"), "{function}");
    let edges = serde_json::to_value(validator.snapshot()).expect("serialises");
    assert_eq!(edges["classes"][0]["usage"], "+...");
}

/// The first class on the way that looks bad is open to readers only, whom a reader does not wait
/// for; the proof has to go on to the one behind it.
#[test]
fn the_path_of_a_report_is_one_that_can_deadlock() {
    let validator = Validator::new(OnReport::Collect);
    let task = Task::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| validator.class(name));
    let nest = |locks: &[(ClassKey, Mode)]| {
        locks.iter().for_each(|&(lock, mode)| validator.acquire(&task, Acquire::new(lock, mode)));
        locks.iter().rev().for_each(|&(lock, _)| validator.release(&task, lock, 0));
    };
    validator.block(&task, &SIGNAL);
    nest(&[(a, Mode::Exclusive), (b, Mode::SharedRecursive)]);
    nest(&[(b, Mode::Exclusive), (c, Mode::Exclusive)]);
    validator.unblock(&task, &SIGNAL);
    nest(&[(b, Mode::SharedRecursive)]);
    nest(&[(c, Mode::Exclusive)]);
    let entered = validator.enter(&task, &SIGNAL);
    nest(&[(a, Mode::Exclusive)]);
    validator.leave(&task, entered);
    let reports = validator.reports();
    let Detail::Inversion { chain, state, .. } = &reports[0].finding else {
        panic!("{}", reports[0])
    };
    let names: Vec<_> = chain.iter().map(|link| link.class.name.as_str()).collect();
    assert_eq!((names.as_slice(), state.as_str()), (["a", "b", "c"].as_slice(), "HARDIRQ"));
    let kinds: Vec<_> = chain.iter().map(|link| link.kinds.as_str()).collect();
    assert_eq!(kinds, ["", "ER", "EN"]);
}

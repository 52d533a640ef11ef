//! Hostile programs from seeds: whatever they do, the engine answers, and nothing is left.
//!
//! The same programs as the fuzz targets run (`fuzz/`), drawn from seeds in place of a corpus. The
//! engine's locks are validated, and a report fails the program, here and there.
//! `RINGFENCE_SEEDS=FIRST..END` runs others than those of every run.

use arbitrary::{Arbitrary, Unstructured};
use ringfence_checked::Checked;
use ringfence_conformance::hostile::{self, Program, raw::Session};
use ringfence_conformance::{InProcess, program::Source};
use ringfence_host::Os;
use ringfence_host::sync::{LockClass, mutex};

/// The seeds of every run.
const SEEDS: std::ops::Range<u64> = 0..400;
/// Bytes that a program is made from.
const BYTES: usize = 1500;

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("RINGFENCE_SEEDS") else { return SEEDS };
    let (first, end) = text.split_once("..").expect("RINGFENCE_SEEDS is FIRST..END");
    first.parse().expect("a number")..end.parse().expect("a number")
}

/// Runs what each seed gives, in a process of its own; says which seed was running when it failed.
fn run_seeds<T: for<'a> Arbitrary<'a> + std::fmt::Debug>(test: &str, run: fn(&T)) {
    ringfence_conformance::case::in_child(test, || {
        hostile::prepare_process();
        for seed in seeds() {
            let mut source = Source::new(seed);
            let bytes: Vec<u8> = (0..BYTES).map(|_| source.below(256) as u8).collect();
            let program = T::arbitrary(&mut Unstructured::new(&bytes)).expect("enough bytes");
            println!(
                "reproduce: RINGFENCE_SEEDS={seed}..{} cargo test -p ringfence-conformance \
                 --test hostile {test}",
                seed + 1
            );
            if std::env::var_os("RINGFENCE_SHOW").is_some() {
                println!("{program:#?}");
            }
            run(&program);
        }
    });
}

#[test]
fn typed_programs_leave_nothing() {
    run_seeds("typed_programs_leave_nothing", |program: &Program| {
        hostile::run(&InProcess, program);
    });
}

#[test]
fn bytes_leave_nothing() {
    run_seeds("bytes_leave_nothing", |session: &Session| {
        hostile::raw::run(&InProcess, session);
    });
}

/// A report of the lock validator fails the program during which it came.
#[test]
fn a_report_fails_a_program() {
    const NAME: &str = "a_report_fails_a_program";
    static CLASSES: [LockClass; 2] = [LockClass::new("first"), LockClass::new("second")];
    let program = Program::arbitrary(&mut Unstructured::new(&[0; BYTES])).expect("enough bytes");
    let child = || {
        hostile::run(&InProcess, &program);
        let host = Checked::new(Os, &[&CLASSES[0], &CLASSES[1]]);
        let locks = CLASSES.each_ref().map(|class| mutex(&host, class, ()));
        {
            let _second = locks[1].lock();
            let _first = locks[0].lock();
        }
        hostile::run(&InProcess, &program);
    };
    let failed = std::panic::catch_unwind(|| ringfence_conformance::case::in_child(NAME, child));
    let text = *failed.expect_err("it passes").downcast::<String>().expect("a text");
    assert!(text.contains("possible circular locking dependency detected"), "{text}");
}

//! Programs drawn from seeds do the same on the kernel and on our engine.
//!
//! `RINGFENCE_SEEDS=FIRST..END` runs other seeds than those of every run.

use arbitrary::{Arbitrary, Unstructured};
use ringfence_conformance::hostile::{self, answer};
use ringfence_conformance::{InProcess, Native, Skip, Target, case, differ, program, sys};
use std::time::{Duration, Instant};

/// The seeds of every run.
const SEEDS: std::ops::Range<u64> = 0..150;

/// At most one program in so many may be one that the kernel itself runs now so, now so.
const UNDECIDED_ONE_IN: u64 = 20;

fn seeds() -> std::ops::Range<u64> {
    seeds_or(SEEDS)
}

fn seeds_or(usual: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("RINGFENCE_SEEDS") else { return usual };
    let (first, end) = text.split_once("..").expect("RINGFENCE_SEEDS is FIRST..END");
    first.parse().expect("a number")..end.parse().expect("a number")
}

/// What came of a program.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    /// What the kernel saw, twice the same, and what the engine saw.
    Differs(Vec<String>, Vec<String>),
    /// Two runs on the kernel differ, or the machine never let one go on undisturbed.
    Undecided,
}

/// Runs of a program that the machine disturbed before it stays undecided.
const TRIES: usize = 5;

fn judge(steps: &[program::Step]) -> Result<Verdict, Skip> {
    for _ in 0..TRIES {
        let before = sys::kept_waiting();
        let kernel = differ::run(&Native, steps, None)?;
        let engine = differ::run(&InProcess, steps, Some(&kernel))?;
        if kernel.lines == engine.lines {
            return Ok(Verdict::Same);
        }
        let again = differ::run(&Native, steps, Some(&kernel))?;
        // A thread kept waiting for a CPU saw times of the program run out that else would not.
        if sys::kept_waiting().saturating_sub(before) >= differ::SOON / 3 {
            continue;
        }
        if kernel.lines == again.lines {
            return Ok(Verdict::Differs(kernel.lines, engine.lines));
        }
        break;
    }
    Ok(Verdict::Undecided)
}

#[test]
fn programs_agree() {
    if let Err(skip) = (&Native as &dyn Target).ring(1) {
        return println!("skipped: {skip}");
    }
    case::in_child("programs_agree", || {
        let (mut failed, mut undecided) = (0, 0);
        for seed in seeds() {
            // Whoever waits for this test takes silence for a hang, and shows the last line.
            println!("seed {seed}");
            let steps = program::draw(seed);
            match judge(&steps).expect("rings") {
                Verdict::Same => continue,
                Verdict::Undecided => undecided += 1,
                Verdict::Differs(..) => {
                    failed += 1;
                    report(seed, &steps);
                }
            }
            assert!(failed < 5, "enough to look at");
        }
        let count = seeds().end - seeds().start;
        println!("{count} programs, {undecided} undecided");
        assert_eq!(failed, 0, "programs differ");
        assert!(undecided <= 1 + count / UNDECIDED_ONE_IN, "{undecided} programs are undecided");
    });
}

/// The seeds of questions of every run, and the bytes that one is made from.
const QUESTIONS: std::ops::Range<u64> = 0..2000;
const BYTES: usize = 400;

/// How long an answer is waited for: so long at first, and longer before a difference counts.
const WAITS: [u64; 3] = [2, 30, 300];

#[test]
fn answers_agree() {
    case::in_child("answers_agree", || {
        hostile::prepare_process();
        let mut failed = 0;
        for seed in seeds_or(QUESTIONS) {
            println!("seed {seed}");
            let mut source = program::Source::new(seed);
            let bytes: Vec<u8> = (0..BYTES).map(|_| source.below(256) as u8).collect();
            let question = answer::Question::arbitrary(&mut Unstructured::new(&bytes));
            let question = question.expect("enough bytes");
            if let Some((kernel, engine)) = differing_answers(&question) {
                failed += 1;
                println!("{question:?}\n  kernel {kernel:?}\n  engine {engine:?}");
                println!(
                    "reproduce: RINGFENCE_SEEDS={seed}..{} cargo test -p ringfence-conformance \
                     --test differential answers_agree",
                    seed + 1
                );
            }
        }
        assert_eq!(failed, 0, "answers differ");
    });
}

/// What the kernel answers, the same each time, and what the engine does.
fn differing_answers(question: &answer::Question) -> Option<(Vec<String>, Vec<String>)> {
    let mut last = None;
    for wait in WAITS {
        let ask = |target: &dyn Target| answer::ask(target, question, sys::ms(wait));
        let (kernel, engine) = (ask(&Native), ask(&InProcess));
        if kernel == engine || ask(&Native) != kernel {
            return None;
        }
        last = Some((kernel, engine));
    }
    last
}

/// For how long a program that differs is made smaller.
const SHRINK_MAX: Duration = Duration::from_secs(60);

/// Shows the smallest program found that still differs, and the command that repeats it.
fn report(seed: u64, steps: &[program::Step]) {
    let command = "cargo test -p ringfence-conformance --test differential programs_agree";
    println!("it differs; reproduce: RINGFENCE_SEEDS={seed}..{} {command}", seed + 1);
    let begin = Instant::now();
    let least = differ::shrink(steps, &mut |steps| {
        println!("trying one of {} steps", steps.len());
        begin.elapsed() < SHRINK_MAX && matches!(judge(steps), Ok(Verdict::Differs(..)))
    });
    let verdict = judge(&least).expect("rings");
    println!("seed {seed}:\n  {least:?}\n  {verdict:#?}");
}

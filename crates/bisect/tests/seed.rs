//! The recorded bisection that this crate was made to judge, read from the path in
//! `RINGFENCE_BISECT_LOG`; without it only the made-up log below is tested.

use ringfence_bisect::log::{Item, Log};
use ringfence_bisect::replay::replay;
use std::fmt::Write as _;

fn recorded() -> Option<String> {
    let path = std::env::var_os("RINGFENCE_BISECT_LOG")?;
    Some(std::fs::read_to_string(path).unwrap())
}

#[test]
fn the_recorded_log_prints_as_it_was_read_and_is_not_confirmed() {
    let Some(text) = recorded() else {
        eprintln!("skipped: RINGFENCE_BISECT_LOG names no log");
        return;
    };
    let log = Log::parse(&text);
    assert_eq!(log.to_string(), text);
    // Apart from blank lines, only the culprit's own record is plain text.
    let plain = log.items.iter().filter(|item| matches!(item, Item::Text(t) if !t.is_empty()));
    assert_eq!(plain.count(), 11);
    let judged = replay(&log, 0.99);
    assert_eq!(judged.revisions.len(), 20);
    let runs: u32 = judged.revisions.iter().map(|t| t.hit + t.ok + t.other + t.lost).sum();
    assert_eq!(runs, 200);
    assert!(!judged.confirmed && judged.confidence <= 0.90, "{}", judged.confidence);
    assert!(judged.reasons.iter().any(|r| r.contains("the rate falls: 3 of 10")), "{judged:#?}");
    assert!(judged.reasons.iter().any(|r| r.contains("titles change")), "{judged:#?}");
    assert!(!judged.needed.is_empty());
}

/// A log of 16 revisions on a line whose bad ones fire at `rates`, newest first.
fn made_up(rates: &[u32]) -> String {
    let hash = |n: usize| format!("{n:040x}");
    let mut text = format!("bisecting cause commit starting from {}\n", hash(99));
    let mut tested = |left: u32, n: usize, hits: u32, verdict: &str| {
        writeln!(
            text,
            "Bisecting: {left} revision{} left to test after this (roughly 1 step)",
            if left == 1 { "" } else { "s" }
        )
        .unwrap();
        writeln!(text, "[{}] subject {n}\n\ntesting commit {} with gcc", hash(n), hash(n)).unwrap();
        for run in 0..10 {
            let said = if run < hits { "crashed: BUG: x in y" } else { "OK" };
            writeln!(text, "run #{run}: {said}").unwrap();
        }
        writeln!(text, "# git bisect {verdict} {}", hash(n)).unwrap();
    };
    for (at, &hits) in rates.iter().enumerate() {
        tested(7 >> at, 8 - at, hits, "bad");
    }
    tested(0, 8 - rates.len(), 0, "good");
    writeln!(text, "{} is the first bad commit", hash(9 - rates.len())).unwrap();
    text
}

#[test]
fn a_steady_rate_is_confirmed_and_a_falling_one_is_not() {
    let judge = |rates: &[u32]| replay(&Log::parse(&made_up(rates)), 0.99);
    let steady = judge(&[10, 9, 10]);
    assert!(steady.confirmed && steady.reasons.is_empty(), "{steady:#?}");
    let falling = judge(&[10, 10, 2]);
    assert!(!falling.confirmed && falling.reasons[0].contains("the rate falls"), "{falling:#?}");
}

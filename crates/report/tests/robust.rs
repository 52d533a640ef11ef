//! Whatever the log: no panic, and reports that make sense.

use proptest::prelude::*;
use ringfence_report::{Kind, Reader, Report, group, parse};

/// Pieces that logs are made of: the words of failures, frames, prefixes, and rubbish.
const PIECES: &[&str] = &[
    "BUG: ",
    "BUG: KASAN: use-after-free in ",
    "KASAN: double-free in ",
    "BUG: KMSAN: uninit-value in ",
    "BUG: KFENCE: invalid read in ",
    "BUG: soft lockup",
    "BUG: memory leak",
    "WARNING: ",
    "WARNING: possible circular locking dependency detected",
    "WARNING: ThreadSanitizer: data race (pid=1)",
    "INFO: task ",
    " blocked for more than 143 seconds",
    "INFO: rcu_preempt detected stall",
    "INFO: inconsistent lock state ]",
    "is trying to acquire lock",
    "takes",
    ", at: ",
    "general protection fault: ",
    "Kernel panic - not syncing: ",
    "kernel BUG at mm/slab.c:1",
    "rust_kernel: panicked at ",
    "thread 'main' panicked at ",
    "src/main.rs:1:2:",
    "==1==ERROR: AddressSanitizer: SEGV on unknown address",
    "READ of size 4",
    "    #0 0x1 in f(",
    "   0: <T as U>::f",
    "stack backtrace:",
    "Call Trace:",
    "  backtrace (crc 12):",
    "Allocated by task 1:",
    "RIP: 0010:",
    "[<ffffffff81234567>]",
    " foo+0x1/0x2",
    " _ZN3foo3barEv+0x1/0x2",
    " _RNvCs_3foo+0x1/0x2",
    " _ZS_S0_S1_+0x1/0x2",
    " ? ",
    "<EOI>",
    " (unreliable)",
    "[   12.345678] ",
    "[   12.345678][  T123] ",
    "[   12.345678][    C1] ",
    "<4>",
    " login: ",
    "** replaying previous printk message **",
    "Sending NMI from CPU",
    "should_fail+0x1/0x2",
    "Out of memory: Kill process 1 (sshd)",
    "\n",
    "\n",
    "\n",
    "\r\n",
    "\0",
    "\u{fffd}é{}",
    "0123456789",
    "   ",
    "(",
    "<",
];

/// A log made of pieces, or a real one with something done to it.
fn log() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![made(), damaged()]
}

fn made() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..120).prop_map(|pieces| pieces.concat())
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..12),
        1 => (prop::sample::select(PIECES), 1..40_usize)
            .prop_map(|(piece, times)| piece.repeat(times).into_bytes()),
    ]
}

/// Pieces put into a log, or in the place of what stood there.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let damage = (any::<prop::sample::Index>(), 0..60_usize, piece());
    (prop::sample::select(LOGS), prop::collection::vec(damage, 0..12)).prop_map(|(log, damages)| {
        let mut log = log.as_bytes().to_vec();
        for (at, gone, piece) in damages {
            let at = at.index(log.len() + 1);
            let end = (at + gone).min(log.len());
            log.splice(at..end, piece);
        }
        log
    })
}

const LOGS: &[&str] = &[
    include_str!("logs/asan-use-after-free.log"),
    include_str!("logs/lock-inversion.log"),
    include_str!("logs/rust-two-threads.log"),
    include_str!("logs/tsan-data-race.log"),
];

/// How many logs are tried; the variable asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(120)
}

fn read(log: &[u8], step: usize) -> Vec<Report> {
    let mut reader = Reader::new();
    let mut reports: Vec<Report> =
        log.chunks(step.max(1)).flat_map(|chunk| reader.feed(chunk)).collect();
    reports.extend(reader.finish());
    reports
}

fn check(report: &Report) {
    for title in report.titles() {
        assert!(!title.is_empty() && title.len() <= 120, "{title:?}");
        assert!(title.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{title:?}");
        assert_eq!(title.trim(), title);
    }
    assert!(report.alt_titles.is_sorted() && !report.alt_titles.contains(&report.title));
    assert_eq!(report.kind, Kind::of_title(&report.title));
    assert!(report.title.starts_with(report.title_family()));
    assert!(!report.text.is_empty() && report.text.ends_with('\n'));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reports_make_sense_and_do_not_depend_on_how_the_log_comes(
        log in log(),
        step in 1..200_usize,
    ) {
        let reports = read(&log, log.len());
        reports.iter().for_each(check);
        prop_assert!(reports.is_sorted_by(|a, b| a.line < b.line));
        prop_assert_eq!(&reports, &read(&log, step));
        let text = String::from_utf8_lossy(&log);
        prop_assert_eq!(parse(&text), read(text.as_bytes(), step));
        let members: usize = group(&reports).iter().map(Vec::len).sum();
        prop_assert_eq!(members, reports.len());
    }

    #[test]
    fn a_report_is_found_again_from_its_headline_on(log in log()) {
        let text = String::from_utf8_lossy(&log);
        for report in parse(&text).into_iter().take(3) {
            let rest: String = text.split_inclusive('\n').skip(report.line).collect();
            let again = parse(&rest);
            prop_assert_eq!(again.first().map(|again| again.line), Some(0));
        }
    }
}

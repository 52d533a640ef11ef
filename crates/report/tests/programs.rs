//! Failures of programs: logs of Rust's runtime and of the sanitizers of GCC, as they were printed.

use ringfence_report::{Kind, Report, group, parse};

/// The only failure of a log.
fn only(log: &str) -> Report {
    let mut reports = parse(log);
    assert_eq!(reports.len(), 1, "{reports:#?}");
    reports.remove(0)
}

#[test]
fn address_sanitizer() {
    let report = only(include_str!("logs/asan-use-after-free.log"));
    assert_eq!(report.title, "AddressSanitizer: heap-use-after-free READ in use");
    assert_eq!(report.alt_titles, ["bad-access in use"]);
    assert_eq!((report.kind, report.frame.as_deref()), (Kind::Asan, Some("use")));
    assert_eq!(report.corrupted, None);
    assert_eq!(report.line, 1);

    let report = only(include_str!("logs/asan-double-free.log"));
    assert_eq!(report.title, "AddressSanitizer: invalid-free in main");
    assert_eq!(report.alt_titles, ["invalid-free in main"]);

    let report = only(include_str!("logs/asan-null.log"));
    assert_eq!(report.title, "AddressSanitizer: SEGV WRITE in main");
}

#[test]
fn leak_sanitizer() {
    let report = only(include_str!("logs/lsan.log"));
    assert_eq!((report.title.as_str(), report.kind), ("memory leak in main", Kind::Leak));
}

#[test]
fn thread_sanitizer() {
    let log = include_str!("logs/tsan-data-race.log");
    let report = only(log);
    assert_eq!(report.title, "ThreadSanitizer: data race in reader / writer");
    assert_eq!(report.kind, Kind::Tsan);

    // The same race, the other thread first.
    let swapped =
        log.replace("reader", "x").replace("writer", "reader").replace("#0 x ", "#0 writer ");
    assert_eq!(only(&swapped).title, report.title);

    let report = only(include_str!("logs/tsan-lock-order.log"));
    assert_eq!(report.title, "ThreadSanitizer: lock-order-inversion (potential deadlock) in ab");
}

#[test]
fn a_panic_is_named_after_its_message_and_the_function_of_the_program() {
    let report = only(include_str!("logs/rust-unwrap.log"));
    let title = "Rust panic: called `Option::unwrap()` on a `None` value in m::deep::S::go";
    assert_eq!((report.title.as_str(), report.kind), (title, Kind::RustPanic));

    let report = only(include_str!("logs/rust-trait.log"));
    assert_eq!(report.frame.as_deref(), Some("<m::deep::S as m::deep::Tr>::run"));

    let report = only(include_str!("logs/rust-stack-overflow.log"));
    assert_eq!(report.title, "Rust panic: stack overflow");
}

#[test]
fn a_panic_is_the_same_with_and_without_a_backtrace() {
    let full = only(include_str!("logs/rust-full-backtrace.log"));
    let none = only(include_str!("logs/rust-no-backtrace.log"));
    assert!(full.title.ends_with(" in m::deep::index"), "{}", full.title);
    assert_eq!(
        none.title,
        "Rust panic at p/m.rs: index out of bounds: the len is NUM but the index is NUM"
    );
    assert!(full.is_same_bug(&none) && none.is_same_bug(&full));
    assert_eq!(none.corrupted, None);
}

#[test]
fn every_panic_of_a_log_is_found() {
    let reports = parse(include_str!("logs/rust-two-threads.log"));
    let frames: Vec<_> = reports.iter().map(|report| report.frame.as_deref()).collect();
    assert_eq!(frames, [Some("m::main"), Some("m::main")]);
    assert_eq!(group(&reports), [[0], [1]]);
}

#[test]
fn a_panic_as_it_was_printed_before_rust_1_73() {
    let one_line = "thread 'main' panicked at 'no entry found for key: 17', src/map.rs:3:5\n";
    assert_eq!(only(one_line).title, "Rust panic at src/map.rs: no entry found for key: NUM");
    let lines = "thread 'main' panicked at 'assertion failed: `(left == right)`\n  left: `1`,\n";
    assert_eq!(only(lines).title, "Rust panic: assertion failed: `(left == right)`");
}

#[test]
fn talk_of_a_panic_is_no_panic() {
    assert_eq!(parse("the whole town panicked at the news\n"), []);
    assert_eq!(parse("panic::unwind_safe is a path, and skb_over_panic: a function\n"), []);
}

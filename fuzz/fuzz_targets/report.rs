//! Crash logs, whole and in pieces: no panic, and the same reports either way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_report::Reader;

/// What both ways must agree on.
fn titles(reports: &[ringfence_report::Report]) -> Vec<String> {
    reports.iter().map(|report| report.title.clone()).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let whole = ringfence_report::parse(&text);
    let mut reader = Reader::new();
    let mut pieces = Vec::new();
    for piece in text.as_bytes().chunks(7) {
        pieces.extend(reader.feed(piece));
    }
    pieces.extend(reader.finish());
    assert_eq!(titles(&whole), titles(&pieces), "whole and in pieces");
});

//! Reads crash logs: every failure that a log tells of, with its title, its kind, the function to
//! blame, and its text.
//!
//! A title is the same for the same failure in every run, so runs can be counted by it, and
//! reports of the same bug grouped ([`group`]). What the reader knows of logs (of the Linux kernel
//! above all) is data: see `tables/`.
//!
//! It does not look up symbols or sources, and it does not judge whether a failure matters.
//!
//! ```
//! let log = "\
//! [   12.345678] all is well
//! [   13.000000] unregister_netdevice: waiting for lo to become free. Usage count = 3
//! ";
//! let report = ringfence_report::first(log).unwrap();
//! assert_eq!(report.title_family(), report.title);
//! assert_eq!(report.line, 1);
//! ```

mod dedup;
mod describe;
mod excerpt;
mod family;
mod follow;
mod forms;
mod history;
mod kind;
mod line;
mod pattern;
mod reader;
mod report;
mod signs;
mod stack;
mod tables;
mod title;
mod trace;
mod trail;
mod words;
mod work;

pub use dedup::group;
pub use follow::follow;
pub use kind::Kind;
pub use reader::Reader;
pub use report::{Corruption, Executor, Report};
pub use title::title_family;

/// Every failure of a log, in the log's order.
#[must_use]
pub fn parse(text: &str) -> Vec<Report> {
    let mut reader = Reader::new();
    let mut reports = reader.feed(text.as_bytes());
    reports.extend(reader.finish());
    reports
}

/// The first failure of a log: the one that what follows may come from.
#[must_use]
pub fn first(text: &str) -> Option<Report> {
    let mut reader = Reader::new();
    for piece in text.as_bytes().chunks(PIECE) {
        if let Some(report) = reader.feed(piece).into_iter().next() {
            return Some(report);
        }
    }
    reader.finish().into_iter().next()
}

/// A log is read in pieces of this many bytes where its end may not matter.
const PIECE: usize = 64 * 1024;

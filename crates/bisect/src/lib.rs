//! Bisection for failures that do not fail every time.
//!
//! The search is Bayesian over the commits of a true history with merges. The rate at which the
//! test fires is unknown and may change along the history, and a run may fail for another reason.
//! The next step is the one that teaches most for its cost, and a commit is named only when its
//! probability passes the confidence asked for and it and its parents have been tested again.
//!
//! It is no build system and no test runner: it starts two commands of yours.
//!
//! ```
//! use ringfence_bisect::{Config, End, History, Mode, Search, Step, Tally};
//! use std::sync::Arc;
//!
//! // A hundred commits; number 70 broke it; the test always fires.
//! let config = Config { mode: Mode::Frugal, ..Config::default() };
//! let mut search = Search::new(Arc::new(History::line(100)), config);
//! let end = loop {
//!     match search.next() {
//!         Step::Done(end) => break end,
//!         Step::Test(probes) => for probe in probes {
//!             let fires = search.history().contains(probe.node, 70);
//!             let (hit, ok) = if fires { (probe.runs, 0) } else { (0, probe.runs) };
//!             search.record(probe.node, Tally { hit, ok, ..Tally::default() });
//!         },
//!     }
//! };
//! assert!(matches!(end, End::Culprit { node: 70, .. }));
//! ```

mod book;
mod choose;
mod doubt;
mod drive;
mod error;
mod history;
mod job;
mod journal;
pub mod log;
mod mend;
mod next;
mod outcome;
mod people;
mod picture;
mod range;
mod rates;
mod releases;
pub mod replay;
mod search;
mod set;
mod shell;
pub mod sim;
mod titles;
mod trees;
mod verdict;

pub use book::{Book, Record};
pub use choose::Probe;
pub use doubt::Drift;
pub use drive::{Finished, News, bisect};
pub use error::Error;
pub use history::{History, Node};
pub use job::{Job, TitleOf};
pub use next::{End, Step, Why};
pub use outcome::{Outcome, Revision, Suspect, compose};
pub use people::People;
pub use picture::picture;
pub use range::Range;
pub use search::{Config, Costs, Mode, Search, Sense, TITLED, Tally, UNTITLED};
pub use titles::Titles;
pub use verdict::{UNTITLED_FAILURE, Verdict, plain_title};

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

mod choose;
mod history;
mod next;
mod rates;
mod search;
mod set;
pub mod sim;

pub use choose::Probe;
pub use history::{History, Node};
pub use next::{End, Step, Why};
pub use search::{Config, Costs, Mode, Search, Sense, Tally};

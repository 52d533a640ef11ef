//! Where reports go.

use super::Report;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is done with a report. It is kept in any case; see [`reports`](crate::reports).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnReport {
    /// Print it on standard error and go on, as the kernel does.
    #[default]
    Print,
    /// Panic with it as the message, before the lock is waited for.
    Panic,
    /// Print it and abort the process.
    Abort,
    /// Keep it and go on.
    Collect,
}

/// Keeps reports and acts on them.
#[derive(Debug)]
pub(crate) struct Sink {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    action: OnReport,
    reports: Vec<Arc<Report>>,
    /// Findings told already; none until the first.
    told: Option<HashSet<(u8, u64, u64)>>,
}

impl Sink {
    pub(crate) const fn new(action: OnReport) -> Sink {
        Sink { state: Mutex::new(State { action, reports: Vec::new(), told: None }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_action(&self, action: OnReport) {
        self.state().action = action;
    }

    /// Whether a finding with this identity was not told before.
    pub(crate) fn is_new(&self, identity: (u8, u64, u64)) -> bool {
        self.state().told.get_or_insert_with(HashSet::new).insert(identity)
    }

    /// Keeps the report and acts; returns what the caller shall panic with.
    pub(crate) fn deliver(&self, report: Report) -> Option<String> {
        let report = Arc::new(report);
        let action = {
            let mut state = self.state();
            state.reports.push(Arc::clone(&report));
            state.action
        };
        match action {
            OnReport::Collect => None,
            OnReport::Print => {
                eprint!("{report}");
                None
            }
            // A second panic would abort and lose the first.
            OnReport::Panic if std::thread::panicking() => {
                eprint!("{report}");
                None
            }
            OnReport::Panic => Some(report.to_string()),
            OnReport::Abort => {
                eprint!("{report}");
                std::process::abort()
            }
        }
    }

    pub(crate) fn reports(&self) -> Vec<Arc<Report>> {
        self.state().reports.clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.state().reports.len()
    }

    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.reports.clear();
        state.told = None;
    }
}

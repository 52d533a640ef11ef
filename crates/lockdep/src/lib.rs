//! A lock validator: it predicts deadlocks from runs that do not deadlock.
//!
//! It learns which *classes* of locks are taken under which others, in which contexts (a thread, a
//! signal handler, a callback that the program names), and reports an order that could deadlock the
//! first time it is seen, on one thread: no second thread has to collide. Its rules, and the form of
//! its reports, are those of the Linux kernel's lockdep.
//!
//! It is no detector of deadlocks that have happened, and knows only the locks it is told of.
//!
//! ```
//! use ringfence_lockdep::{Mutex, OnReport, lock_classes, on_report, reports};
//! lock_classes! { ACCOUNTS: "accounts", LOG: "log" }
//! static ACCOUNTS_OPEN: Mutex<u32> = Mutex::new(&ACCOUNTS, 0);
//! static LINES: Mutex<Vec<String>> = Mutex::new(&LOG, Vec::new());
//!
//! on_report(OnReport::Collect); // OnReport::Panic fails a test on the spot
//! let lines = LINES.lock();
//! drop(ACCOUNTS_OPEN.lock()); // against the declared order
//! drop(lines);
//! assert_eq!(reports()[0].title, "WARNING: possible circular locking dependency detected");
//! ```

mod chain;
mod class;
mod context;
mod global;
mod graph;
mod mode;
mod order;
mod permitted;
mod report;
mod rules;
mod search;
mod signals;
mod snapshot;
mod sync;
mod task;
mod trace;
mod tracked;
mod usage;
mod validator;

pub use class::{Class, ClassKey, Map, SUBCLASSES, Traits};
pub use context::{CONTEXTS_MAX, Context, SIGNAL};
pub use global::{
    Blocked, InContext, Opened, acquire, acquire_as, block, enter, forget, held_count, on_report,
    open, parking, release, release_as, reports, returning, stats, switch, validator,
};
pub use mode::Mode;
pub use permitted::{ACCEPT_VARIABLE, NotPermitted, Permitted, document};
pub use report::{ClassUse, Detail, Link, Lock, OnReport, Report, Stack, TaskInfo, UsedAt};
pub use snapshot::{SeenClass, SeenEdge, Snapshot};
pub use sync::{
    Checked, Condvar, Hold, HoldOf, How, Mutex, MutexGuard, NoHold, NoMap, Off, On, RwLock,
    RwLockReadGuard, RwLockWriteGuard, SendMutexGuard, Site, Validation, WaitTimeoutResult,
    std as std_sync,
};
pub use task::{DEPTH_MAX, Entered, Task, TaskId};
pub use trace::Frame;
pub use tracked::Tracked;
pub use validator::{Acquire, Stats, Validator};

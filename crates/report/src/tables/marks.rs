//! Lines that say something about the log rather than about a failure.

/// The kernel gave up.
pub(crate) const PANIC: &str = "Kernel panic - not syncing";

/// A report of lock order; printing another report takes locks and may well cause one.
pub(crate) const LOCK_ORDER: &str = "WARNING: possible circular locking dependency detected";

/// The note that the validator is off from now on, in the middle of other reports.
pub(crate) const TAINT: &str = "Disabling lock debugging due to kernel taint";

/// From here on every CPU prints its stack.
pub(crate) const ALL_CPUS: &str = "Sending NMI from CPU";

/// The line before was cut off: the console prints what it has kept once more.
pub(crate) const REPLAY: &str = "** replaying previous printk message **";

/// The console was lost; what it printed last may not be whole.
pub(crate) const CONSOLE_LOST: &str = "serialport: VM disconnected.";

/// Messages that are no failures and have a stack trace, which must not pass for that of one.
pub(crate) const WITH_TRACE: &[&str] = &[
    "vmalloc: allocation failure:",
    "FAULT_INJECTION: forcing a failure",
    "FAULT_FLAG_ALLOW_RETRY missing",
];

/// Lines of a bisection's log, which tell of failures in other logs.
pub(crate) const QUOTES: &[&str] = &["^run #{num}: ", "^all runs: ", "^crash: "];

/// Signs that the machine ran out of memory, or that the fuzzer could not start: what else is in
/// the log is not worth a look.
pub(crate) const SUPPRESS: &[&str] = &[
    "panic: failed to start executor binary",
    "panic: executor failed: pthread_create failed",
    "panic: failed to create temp dir",
    "panic: {*}cannot allocate memory",
    "fatal error: unexpected signal during runtime execution",
    "fatal error: runtime: out of memory",
    "fatal error: runtime: cannot allocate memory",
    "fatal error: out of memory",
    "fatal error: newosproc",
    "signal SIGBUS: bus error",
    "SYZFAIL: SIGBUS",
    "Out of memory: Kill process {*} ({:syz-executor|sshd})",
    "Killed process {*} ({:syz-executor|sshd})",
    "lowmemorykiller: Killing '{:syz-executor|sshd}'",
    "INIT: PANIC: segmentation violation!",
    "*** stack smashing detected ***: terminated",
];

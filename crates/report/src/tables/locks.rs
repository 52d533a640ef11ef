//! Reports of the lock validator, and of the checks of locks and of contexts around it.

use crate::family::Need::Later;
use crate::family::Step::{CallTrace, Line, Trace};
use crate::family::{FORM, Form, TRACE, Trail, Whole};
use crate::tables::warnings::WARNING_TRACE;

/// The words with which newer kernels announce what the lock validator found.
pub(crate) const LOCKDEP: &[Form] = &[
    Form {
        headline: "WARNING: {*}still has locks held!",
        body: &[Later("WARNING: {*}still has locks held!"), Later("at: {holder:fn}")],
        title: "WARNING: still has locks held in {holder}",
        ..FORM
    },
    Form {
        headline: "WARNING: {:Nested|nested} lock was not taken",
        title: "WARNING: nested lock was not taken in {frame}",
        trail: Some(WARNING_TRACE),
        ..FORM
    },
    Form {
        headline: "WARNING: lock held when returning to user space",
        body: &[
            Later("WARNING: lock held when returning to user space"),
            Later("leaving the kernel with locks still held"),
            Later("at: {at}{holder:fn}"),
        ],
        title: "WARNING: lock held when returning to user space in {holder}",
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form {
        // Of this project's validator, for contexts that a kernel does not have.
        headline: "WARNING: lock held when leaving a context",
        body: &[
            Later("WARNING: lock held when leaving a context"),
            Later("is leaving a context with locks still held"),
            Later("at: {holder:fn}"),
        ],
        title: "WARNING: lock held when leaving a context in {holder}",
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form {
        headline: "WARNING: possible circular locking dependency detected",
        body: &[
            Later("WARNING: possible circular locking dependency detected"),
            Later("is trying to acquire lock"),
        ],
        title: "possible deadlock in {frame}",
        trail: Some(Trail {
            // Where the lock is taken, where the other one was, how it came to that.
            steps: &[Line("at: {at}{frame:fn}"), Line("at: {at}{frame:fn}"), Trace],
            // They take the lock that stands for a work item, on behalf of its owner.
            innocent: &[
                "process_one_work",
                "flush_workqueue",
                "drain_workqueue",
                "destroy_workqueue",
            ],
            ..TRACE
        }),
        ..FORM
    },
    Form {
        headline: "WARNING: possible irq lock inversion dependency detected",
        body: &[
            Later("WARNING: possible irq lock inversion dependency detected"),
            Later("just changed the state of lock"),
            Later("at: {at}{taker:fn}"),
        ],
        title: "possible deadlock in {taker}",
        ..FORM
    },
    Form {
        headline: "WARNING: {*}-safe -> {*}-unsafe lock order detected",
        title: "possible deadlock in {frame}",
        trail: Some(Trail { steps: &[Line("which became {*} at:"), Trace], ..TRACE }),
        ..FORM
    },
    Form {
        headline: "WARNING: possible recursive locking detected",
        body: &[
            Later("WARNING: possible recursive locking detected"),
            Later("is trying to acquire lock"),
            Later("at: {at}{taker:fn}"),
        ],
        title: "possible deadlock in {taker}",
        ..FORM
    },
    Form {
        headline: "WARNING: inconsistent lock state",
        body: &[Later("WARNING: inconsistent lock state"), Later("takes"), Later("at: {at}{fn}")],
        title: "inconsistent lock state in {frame}",
        trail: Some(TRACE),
        ..FORM
    },
    Form {
        headline: "WARNING: suspicious RCU usage",
        body: &[Later("WARNING: suspicious RCU usage"), Later("{src}")],
        title: "WARNING: suspicious RCU usage in {frame}",
        trail: Some(TRACE.past(RCU)),
        ..FORM
    },
    Form {
        headline: "WARNING: bad unlock balance detected!",
        title: "WARNING: bad unlock balance in {frame}",
        trail: Some(BALANCE),
        ..FORM
    },
    Form {
        headline: "WARNING: held lock freed!",
        body: &[Later("WARNING: held lock freed!"), Later("at:{gap}{at}{holder:fn}")],
        title: "WARNING: held lock freed in {holder}",
        ..FORM
    },
];

/// The same as older kernels announce it.
pub(crate) const LOCKDEP_OLD: &[Form] = &[
    Form {
        headline: "INFO: possible circular locking dependency detected",
        body: &[
            Later("INFO: possible circular locking dependency detected ]"),
            Later("is trying to acquire lock"),
            Later("at: {pc}{gap}{taker:fn}"),
        ],
        title: "possible deadlock in {taker}",
        ..FORM
    },
    Form {
        headline: "INFO: possible irq lock inversion dependency detected",
        body: &[
            Later("INFO: possible irq lock inversion dependency detected ]"),
            Later("just changed the state of lock"),
            Later("at: {pc}{gap}{taker:fn}"),
        ],
        title: "possible deadlock in {taker}",
        ..FORM
    },
    Form {
        headline: "INFO: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected",
        body: &[
            Later("INFO: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected ]"),
            Later("is trying to acquire"),
            Later("at: {pc}{gap}{taker:fn}"),
        ],
        title: "possible deadlock in {taker}",
        ..FORM
    },
    Form {
        headline: "INFO: possible recursive locking detected",
        body: &[
            Later("INFO: possible recursive locking detected ]"),
            Later("is trying to acquire lock"),
            Later("at: {pc}{gap}{taker:fn}"),
        ],
        title: "possible deadlock in {taker}",
        ..FORM
    },
    Form {
        headline: "INFO: inconsistent lock state",
        body: &[
            Later("INFO: inconsistent lock state ]"),
            Later("takes"),
            Later("at: {pc}{gap}{taker:fn}"),
        ],
        title: "inconsistent lock state in {taker}",
        ..FORM
    },
    Form {
        headline: "INFO: trying to register non-static key",
        title: "INFO: trying to register non-static key in {frame}",
        trail: Some(TRACE.past(&["stack", "lock", "IRQ"])),
        ..FORM
    },
    Form {
        headline: "INFO: suspicious RCU usage",
        body: &[Later("INFO: suspicious RCU usage"), Later("{src}")],
        title: "INFO: suspicious RCU usage in {frame}",
        trail: Some(TRACE.past(RCU)),
        ..FORM
    },
];

/// What is announced as a bug: misuse that the lock itself notices.
pub(crate) const MISUSE: &[Form] = &[
    Form {
        headline: concat!(
            "BUG: {lock:spinlock|rwlock} {bug:lockup suspected|already unlocked|recursion|",
            "cpu recursion|bad magic|wrong owner|wrong CPU|trylock failure on UP}"
        ),
        title: "BUG: {lock} {bug} in {frame}",
        trail: Some(TRACE.past(&["spin_", "_lock", "_unlock"])),
        ..FORM
    },
    Form {
        headline: "BUG: {*}still has locks held!",
        body: &[Later("BUG: {*}still has locks held!"), Later("{pc}{gap}{holder:fn}")],
        title: "BUG: still has locks held in {holder}",
        ..FORM
    },
    Form {
        headline: "BUG: lock held when returning to user space",
        body: &[
            Later("BUG: lock held when returning to user space"),
            Later("leaving the kernel with locks still held"),
            Later("at: {at}{holder:fn}"),
        ],
        title: "BUG: lock held when returning to user space in {holder}",
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form {
        headline: "BUG: bad unlock balance detected!",
        title: "BUG: bad unlock balance in {frame}",
        trail: Some(BALANCE),
        ..FORM
    },
    Form {
        headline: "BUG: held lock freed!",
        body: &[Later("BUG: held lock freed!"), Later("{pc}{gap}{holder:fn}")],
        title: "BUG: held lock freed in {holder}",
        ..FORM
    },
    Form {
        headline: "BUG: workqueue leaked lock or atomic",
        body: &[
            Later("BUG: workqueue leaked lock or atomic"),
            Later("last function: {work:ident}$"),
        ],
        title: "BUG: workqueue leaked lock or atomic in {work}",
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form {
        // ARM announces this as a bug, x86 as a warning, and it is the same.
        headline: "BUG: Invalid wait context",
        title: "WARNING: locking bug in {frame}",
        trail: Some(TRACE.past(&["lock_sock", "release_sock"])),
        ..FORM
    },
];

/// Code that runs where it may not.
pub(crate) const CONTEXTS: &[Form] = &[
    Form {
        headline: "BUG: scheduling while atomic",
        title: "BUG: scheduling while atomic in {frame}",
        trail: Some(TRACE.past(&["schedule"])),
        ..FORM
    },
    Form {
        headline: "BUG: sleeping function called from invalid context at",
        title: "BUG: sleeping function called from invalid context in {frame}",
        trail: Some(TRACE),
        ..FORM
    },
    Form {
        headline: "BUG: using {call:ident}() in preemptible",
        title: "BUG: using {call}() in preemptible code in {frame}",
        trail: Some(TRACE.past(&[
            "dump_stack",
            "preemption",
            "preempt",
            "debug_",
            "processor_id",
            "this_cpu",
        ])),
        ..FORM
    },
];

const RCU: &[&str] = &["rcu", "kmem", "slab"];

/// Who unlocks what is not locked.
const BALANCE: Trail = Trail { steps: &[Line("{pc}{gap}{frame:fn}"), CallTrace, Trace], ..TRACE };

//! Reports of what makes no progress: CPUs, grace periods, tasks.

use crate::family::Step::{CallTrace, InstructionPointer, Line, Trace};
use crate::family::{FORM, Form, Pick, TRACE, TRAP, Trail, Whole};

pub(crate) const LOCKUPS: &[Form] = &[
    Form {
        headline: "BUG: soft lockup",
        title: "BUG: soft lockup in {frame}",
        alt: &["stall in {frame}"],
        trail: Some(Trail { pick: Pick::Stall, ..TRAP }),
        ..FORM
    },
    Form {
        headline: "BUG: workqueue lockup",
        title: "BUG: workqueue lockup",
        whole: Whole::WithoutTrace,
        ..FORM
    },
];

pub(crate) const STALLS: &[Form] = &[Form {
    headline: concat!(
        "INFO: rcu_{:preempt|sched|bh|tasks} {:self-detected|detected}",
        "{: expedited|} stall"
    ),
    title: "INFO: rcu detected stall in {frame}",
    alt: &["stall in {frame}"],
    trail: Some(Trail {
        // The detector runs in an interrupt: what it interrupted is what stalls.
        steps: &[Line("apic_timer_interrupt"), InstructionPointer, Trace],
        otherwise: &[Line("{:apic_timer_interrupt|Exception stack|el1h_64_irq}"), Trace],
        innocent: &["apic_timer_interrupt", "rcu"],
        pick: Pick::Stall,
        ..TRACE
    }),
    ..FORM
}];

pub(crate) const HANGS: &[Form] = &[
    Form {
        headline: "INFO: task {task} blocked {:in I/O wait |}for more than {num} seconds",
        title: "INFO: task hung in {frame}",
        alt: &["hang in {frame}"],
        trail: Some(Trail { steps: &[CallTrace, Trace], pick: Pick::Hang, ..TRACE }),
        ..FORM
    },
    Form {
        headline: "INFO: task {task} can't die for more than {*} seconds",
        title: "INFO: task can't die in {frame}",
        alt: &["hang in {frame}"],
        trail: Some(TRACE.past(&["schedule"])),
        ..FORM
    },
];

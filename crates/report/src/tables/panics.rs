//! Panics of the kernel that nothing else announced.

use crate::family::Need::Later;
use crate::family::{FORM, Form, Pick, TRACE, Trail, Whole};

pub(crate) const PANICS: &[Form] = &[
    // With the stack gone there may be no function to name, and no trace.
    Form {
        headline: "Kernel panic - not syncing: stack-protector:",
        body: &[Later(
            "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: {site:fn}",
        )],
        title: "kernel panic: stack is corrupted in {site}",
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form {
        headline: "Kernel panic - not syncing: stack-protector:",
        body: &[Later(
            "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: {hex}",
        )],
        title: "kernel panic: stack is corrupted in {frame}",
        trail: Some(TRACE.past(&["stack_chk"])),
        ..FORM
    },
    Form {
        headline: "Kernel panic - not syncing: corrupted stack end",
        body: &[Later("Kernel panic - not syncing: corrupted stack end detected inside scheduler")],
        title: "kernel panic: corrupted stack end in {frame}",
        alt: &["stack-overflow in {frame}"],
        trail: Some(Trail { innocent: &["schedule", "retint_kernel"], pick: Pick::Stall, ..TRACE }),
        ..FORM
    },
    Form {
        headline: "Kernel panic - not syncing: kernel stack overflow",
        title: "kernel stack overflow in {frame}",
        alt: &["stack-overflow in {frame}"],
        trail: Some(Trail { innocent: &["bad_stack"], pick: Pick::Stall, ..TRACE }),
        ..FORM
    },
    Form {
        headline: "Kernel panic - not syncing: Attempted to kill init!",
        title: "kernel panic: Attempted to kill init!",
        ..FORM
    },
    Form {
        headline: concat!(
            "Kernel panic - not syncing: Couldn't open N_TTY ldisc for {word} ",
            "--- error -{num}"
        ),
        title: "kernel panic: Couldn't open N_TTY ldisc",
        ..FORM
    },
    // These follow from a failure whose own headline is lost.
    lost("Kernel panic - not syncing: Fatal exception", "kernel panic: Fatal exception"),
    lost("Kernel panic - not syncing: panic_on_warn set", "kernel panic: panic_on_warn set"),
    lost(
        "Kernel panic - not syncing: hung_task: blocked tasks",
        "kernel panic: hung_task: blocked tasks",
    ),
    Form {
        headline: "Kernel panic - not syncing: {why:rest}",
        title: "kernel panic: {why}",
        ..FORM
    },
];

const fn lost(headline: &'static str, title: &'static str) -> Form {
    Form { headline, title, whole: Whole::Never, ..FORM }
}

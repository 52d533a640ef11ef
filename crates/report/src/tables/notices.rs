//! Failures that one line tells of, and what is left of longer ones.

use crate::family::Need::Later;
use crate::family::{FORM, Form, Whole};

pub(crate) const BUG_CUT: &[Form] =
    &[Form { headline: "BUG:{blank}$", title: "BUG: corrupted", whole: Whole::Never, ..FORM }];

pub(crate) const INFO_CUT: &[Form] = &[
    Form {
        // What is left of a memory checker's report of old.
        headline: "INFO: {what:Freed|Allocated} in {site:rest}",
        title: "INFO: {what} in {site}",
        whole: Whole::Never,
        ..FORM
    },
    Form { headline: "INFO:{blank}$", title: "INFO: corrupted", whole: Whole::Never, ..FORM },
];

pub(crate) const SLAB: &[Form] = &[Form {
    headline: "BUG kmalloc-{*}: Object already free",
    title: "BUG: Object already free",
    ..FORM
}];

pub(crate) const BOOT: &[Form] = &[line("^Booting the kernel", "unexpected kernel reboot")];

pub(crate) const NETDEVICE: &[Form] = &[line(
    "unregister_netdevice: waiting for {*} to become free",
    "unregister_netdevice: waiting for DEV to become free",
)];

pub(crate) const FILE_COUNT: &[Form] =
    &[line("VFS: Close: file count is 0", "VFS: Close: file count is zero (use-after-free)")];

pub(crate) const BUSY_INODES: &[Form] =
    &[line("VFS: Busy inodes after unmount", "VFS: Busy inodes after unmount (use-after-free)")];

/// Trusty, a trusted execution environment beside the kernel.
pub(crate) const TRUSTY: &[Form] = &[
    Form {
        headline: "trusty: panic{*} ASSERT FAILED",
        body: &[Later("trusty: panic ({few}):{: DEBUG|} ASSERT FAILED at ({few}): {what:some}")],
        title: "trusty: ASSERT FAILED: {what}",
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form {
        headline: "trusty: panic{*} ASSERT FAILED{*}:{blank}{what:rest}",
        title: "trusty: ASSERT FAILED: {what}",
        whole: Whole::Never,
        ..FORM
    },
    Form {
        headline: "trusty: panic",
        body: &[Later("trusty: panic ({few}): {what:some}")],
        title: "trusty: panic: {what}",
        whole: Whole::WithoutTrace,
        ..FORM
    },
];

/// Programs in Go, among them the fuzzer's own.
pub(crate) const GO_RUNTIME: &[Form] = &[line("fatal error:", "go runtime error")];

pub(crate) const GO_PANIC: &[Form] = &[
    line("panic: Sentry detected {*} stuck task", "panic: Sentry detected stuck tasks"),
    line("panic:{what:rest}", "panic:{what}"),
];

pub(crate) const FUZZER_FAIL: &[Form] = &[line("SYZFAIL:{what:rest}", "SYZFAIL:{what}")];

pub(crate) const FUZZER_FATAL: &[Form] =
    &[Form { alt: &["SYZFATAL"], ..line("SYZFATAL:{what:rest}", "SYZFATAL:{what}") }];

const fn line(headline: &'static str, title: &'static str) -> Form {
    Form { headline, title, whole: Whole::WithoutTrace, ..FORM }
}

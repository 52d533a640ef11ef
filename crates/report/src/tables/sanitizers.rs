//! Reports of the kernel's memory checkers: KASAN, KMSAN, KCSAN, KFENCE, UBSAN, kmemleak.

use crate::family::Need::Later;
use crate::family::Step::{CallTrace, Line, Trace};
use crate::family::{FORM, Form, TRACE, Trail, Whole};

/// Frames of the fault that tells of a wrong tag in hardware.
const TAG_FAULT: &[&str] = &["kernel_fault", "tag_check", "mem_abort", "^el1_", "^el1h_"];

pub(crate) const KASAN: &[Form] = &[
    Form {
        headline: "BUG: KASAN:",
        body: &[
            Later("BUG: KASAN: {bug:slug} in {fn}"),
            Later("{access:Read|Write} {:of size|at addr} {hex}"),
        ],
        title: "KASAN: {bug} {access} in {frame}",
        alt: &["bad-access in {frame}"],
        trail: Some(Trail {
            steps: &[Line("BUG: KASAN: {slug} in {frame:fn}"), CallTrace, Trace],
            innocent: TAG_FAULT,
            ..TRACE
        }),
        ..FORM
    },
    Form {
        headline: "BUG: KASAN:",
        body: &[Later(
            "BUG: KASAN: {:double-free or invalid-free|double-free|invalid-free} in {fn}",
        )],
        title: "KASAN: invalid-free in {frame}",
        alt: &["invalid-free in {frame}"],
        trail: Some(Trail {
            steps: &[Line("BUG: KASAN: {phrase} in {frame:fn}"), CallTrace, Trace],
            innocent: &["slab_", "kfree", "vunmap", "vfree"],
            ..TRACE
        }),
        ..FORM
    },
    Form {
        headline: "BUG: KASAN: {slug} on address",
        body: &[
            Later("BUG: KASAN: {bug:slug} on address"),
            Later("{access:Read|Write} of size {num}"),
        ],
        title: "KASAN: {bug} {access}",
        ..FORM
    },
    Form { headline: "BUG: KASAN: {bug:rest}", title: "KASAN: {bug}", whole: Whole::Never, ..FORM },
];

/// Where the bad value was used, then where it was made.
const USE_AND_ORIGIN: Trail =
    Trail { steps: &[Trace, Line("{:Local variable |Uninit was }{*}created at:"), Trace], ..TRACE };

pub(crate) const KMSAN: &[Form] = &[
    Form {
        headline: "BUG: KMSAN: kernel-usb-infoleak",
        body: &[Later("BUG: KMSAN: kernel-usb-infoleak in {fn}")],
        title: "KMSAN: kernel-usb-infoleak in {frame}",
        alt: &["KMSAN origin in {origin}"],
        trail: Some(USE_AND_ORIGIN.past(&[
            "alloc_skb",
            "usb_submit_urb",
            "usb_start_wait_urb",
            "usb_bulk_msg",
            "usb_interrupt_msg",
            "usb_control_msg",
        ])),
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form {
        headline: "BUG: KMSAN:",
        body: &[Later("BUG: KMSAN: {bug:slug} in {fn}")],
        title: "KMSAN: {bug} in {frame}",
        alt: &["bad-access in {frame}"],
        trail: Some(USE_AND_ORIGIN.past(&[
            "alloc_skb",
            "netlink_ack",
            "netlink_rcv_skb",
            // Generic encryption code is where it shows, not where it comes from.
            "_encrypt$",
            "^crypto_",
            "^cipher_",
            "^drbg_",
            "^rng_",
        ])),
        whole: Whole::WithoutTrace,
        ..FORM
    },
];

pub(crate) const KCSAN: &[Form] = &[Form {
    headline: "BUG: KCSAN:",
    body: &[Later("BUG: KCSAN: {race:rest}")],
    title: "KCSAN: {race}",
    whole: Whole::WithoutTrace,
    ..FORM
}];

const KFENCE_TRACE: Trail =
    Trail { steps: &[Line("BUG: KFENCE: {phrase} in {frame:fn}"), Trace], ..TRACE };

pub(crate) const KFENCE: &[Form] = &[
    Form {
        headline: "BUG: KFENCE: {bug:use-after-free|out-of-bounds} {access:read|write} in {fn}",
        title: "KFENCE: {bug} {access} in {frame}",
        alt: &["bad-access in {frame}"],
        trail: Some(KFENCE_TRACE),
        ..FORM
    },
    Form {
        headline: "BUG: KFENCE: invalid free in {fn}",
        title: "KFENCE: invalid free in {frame}",
        alt: &["invalid-free in {frame}"],
        trail: Some(KFENCE_TRACE),
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form {
        headline: "BUG: KFENCE: invalid {access:read|write} in {fn}",
        title: "KFENCE: invalid {access} in {frame}",
        alt: &["bad-access in {frame}"],
        trail: Some(KFENCE_TRACE),
        ..FORM
    },
    Form {
        headline: "BUG: KFENCE: memory corruption in {fn}",
        title: "KFENCE: memory corruption in {frame}",
        trail: Some(KFENCE_TRACE),
        whole: Whole::WithoutTrace,
        ..FORM
    },
];

const UBSAN_TRACE: Trail = TRACE.past(&["ubsan", "overflow"]);

pub(crate) const UBSAN: &[Form] = &[
    Form {
        headline: "UBSAN:",
        body: &[Later("UBSAN: Undefined behaviour in")],
        title: "UBSAN: undefined-behaviour in {frame}",
        trail: Some(UBSAN_TRACE),
        ..FORM
    },
    Form {
        headline: "UBSAN: array-index-out-of-bounds in",
        title: "UBSAN: array-index-out-of-bounds in {frame}",
        alt: &["bad-access in {frame}"],
        trail: Some(UBSAN_TRACE),
        ..FORM
    },
    Form {
        headline: "UBSAN:",
        body: &[Later("UBSAN: {bug:few} in")],
        title: "UBSAN: {bug} in {frame}",
        trail: Some(UBSAN_TRACE),
        ..FORM
    },
];

pub(crate) const LEAKS: &[Form] = &[Form {
    headline: "BUG: memory leak",
    title: "memory leak in {frame}",
    trail: Some(Trail {
        steps: &[Line("backtrace{crc}:"), Trace],
        innocent: &[
            "kmemleak",
            "mmap",
            "kmem",
            "slab",
            "alloc",
            "create_object",
            "idr_get",
            "list_lru_init",
            "kasprintf",
            "kvasprintf",
            "pcpu_create",
            "strdup",
            "strndup",
            "memdup",
        ],
        ..TRACE
    }),
    ..FORM
}];

//! Faults and traps: bad addresses, bad instructions, failed assertions.

use crate::family::Need::{Later, Next};
use crate::family::Step::{InstructionPointer, Line, Trace};
use crate::family::{FORM, Form, Pick, TRACE, TRAP, Trail, Whole};

/// A bad address, as x86 and PowerPC tell of it.
pub(crate) const ADDRESSES: &[Form] = &[
    Form {
        headline: concat!(
            "BUG: {:unable to handle kernel paging request|",
            "unable to handle page fault for address|Unable to handle kernel data access}"
        ),
        title: "BUG: unable to handle kernel paging request in {frame}",
        alt: &["bad-access in {frame}"],
        trail: Some(TRAP),
        ..FORM
    },
    Form {
        headline: concat!(
            "BUG: {:unable to handle kernel NULL pointer dereference|",
            "kernel NULL pointer dereference|Kernel NULL pointer dereference}"
        ),
        title: "BUG: unable to handle kernel NULL pointer dereference in {frame}",
        alt: &["bad-access in {frame}"],
        trail: Some(TRAP),
        ..FORM
    },
    Form {
        // The kernel prints the line in two parts, and the second one may be lost.
        headline: "BUG: {:unable|Unable} to handle kernel",
        title: "BUG: unable to handle kernel",
        whole: Whole::Never,
        ..FORM
    },
    Form {
        headline: "BUG: {*}stack guard page was hit at",
        title: "BUG: stack guard page was hit in {frame}",
        alt: &["stack-overflow in {frame}"],
        trail: Some(Trail { pick: Pick::Stall, ..TRAP }),
        ..FORM
    },
];

/// The same on ARM, whose faults go by several names.
pub(crate) const ADDRESSES_ARM: &[Form] = &[Form {
    headline: concat!(
        "Unable to handle kernel ",
        "{bug:paging request|NULL pointer dereference|access to user memory}"
    ),
    title: "BUG: unable to handle kernel {bug} in {frame}",
    alt: &["bad-access in {frame}"],
    trail: Some(TRAP),
    ..FORM
}];

pub(crate) const INTERNAL_ERROR: &[Form] = &[Form {
    headline: "Internal error:",
    title: "Internal error in {frame}",
    alt: &["bad-access in {frame}"],
    trail: Some(TRAP),
    ..FORM
}];

pub(crate) const UNHANDLED_FAULT: &[Form] = &[Form {
    headline: "Unhandled fault:",
    title: "Unhandled fault in {frame}",
    alt: &["bad-access in {frame}"],
    trail: Some(TRAP),
    ..FORM
}];

pub(crate) const ALIGNMENT: &[Form] = &[Form {
    headline: "Alignment trap:",
    title: "Alignment trap in {frame}",
    trail: Some(TRAP),
    ..FORM
}];

pub(crate) const PROTECTION: &[Form] = &[Form {
    headline: "general protection fault{*}:",
    title: "general protection fault in {frame}",
    alt: &["bad-access in {frame}"],
    trail: Some(TRAP),
    ..FORM
}];

pub(crate) const SEGMENT: &[Form] = &[Form {
    headline: "stack segment: ",
    title: "stack segment fault in {frame}",
    trail: Some(TRAP),
    ..FORM
}];

pub(crate) const BREAKPOINT: &[Form] =
    &[Form { headline: "int3: ", title: "int3 in {frame}", trail: Some(TRAP), ..FORM }];

/// Where the trap hit is all there is to look at.
const AT_TRAP: Trail = Trail { steps: &[InstructionPointer], ..TRACE };

pub(crate) const DOUBLE_FAULT: &[Form] = &[Form {
    headline: "PANIC: double fault",
    title: "PANIC: double fault in {frame}",
    trail: Some(AT_TRAP),
    ..FORM
}];

pub(crate) const DIVISION: &[Form] = &[Form {
    headline: "{:divide error|divide_error}: ",
    title: "divide error in {frame}",
    trail: Some(AT_TRAP),
    ..FORM
}];

pub(crate) const OPCODE: &[Form] = &[Form {
    headline: "invalid opcode: ",
    title: "invalid opcode in {frame}",
    trail: Some(AT_TRAP),
    ..FORM
}];

pub(crate) const ASSERTIONS: &[Form] = &[
    Form {
        headline: "kernel BUG at mm/usercopy.c",
        title: "BUG: bad usercopy in {frame}",
        trail: Some(TRACE.past(&["usercopy", "__check"])),
        ..FORM
    },
    Form {
        // A corrupted list may well come from corrupted memory.
        headline: "kernel BUG at lib/list_debug.c",
        title: "BUG: corrupted list in {frame}",
        alt: &["bad-access in {frame}"],
        trail: Some(TRACE),
        ..FORM
    },
    Form {
        headline: "kernel BUG at ",
        title: "kernel BUG in {frame}",
        // Helpers of network buffers check what their callers gave them.
        trail: Some(TRAP.past(&["^skb_"])),
        ..FORM
    },
];

pub(crate) const ASSERTIONS_OLD: &[Form] =
    &[Form { headline: "Kernel BUG {what:rest}", title: "kernel BUG {what}", ..FORM }];

pub(crate) const RUST: &[Form] = &[Form {
    headline: "rust_kernel: panicked",
    body: &[Later("rust_kernel: panicked at "), Next("{what:some}")],
    title: "{what} in {frame}",
    trail: Some(TRACE.past(&["__rustc::rust_begin_unwind"])),
    ..FORM
}];

/// Bookkeeping of pages, mounts and processes that does not add up.
pub(crate) const BOOKKEEPING: &[Form] = &[
    Form {
        headline: "BUG: Bad rss-counter state",
        title: "BUG: Bad rss-counter state",
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form {
        headline: "BUG: non-zero nr_ptes on freeing mm",
        title: "BUG: non-zero nr_ptes on freeing mm",
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form {
        headline: "BUG: non-zero nr_pmds on freeing mm",
        title: "BUG: non-zero nr_pmds on freeing mm",
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form {
        // The device's name differs between runs; the file system is an alternative only.
        headline: "BUG: Dentry {*} still in use",
        body: &[Later("BUG: Dentry {*} still in use ({num}) [unmount of {fs:unbracketed}]")],
        title: "BUG: Dentry still in use in unmount",
        alt: &["BUG: Dentry still in use [unmount of {fs}]"],
        ..FORM
    },
    Form {
        headline: "BUG: Bad page {what:state|cache}",
        title: "BUG: Bad page {what} in {frame}",
        trail: Some(Trail {
            // Who allocated the page; who noticed tells too little.
            steps: &[Line("page last allocated"), Trace],
            innocent: &[
                "free_page",
                "put_page",
                "get_page",
                "update_page",
                "release_page",
                "free_unref",
                "^folio",
                "^_folio",
                "^__folio",
                "truncate_inode_pages",
                "page_frag_free",
                "alloc",
                "vmap",
                "page_owner",
            ],
            ..TRACE
        }),
        ..FORM
    },
    Form { headline: "BUG: Bad page map", title: "BUG: Bad page map", ..FORM },
];

//! Warnings of the kernel.

use crate::family::Step::{CallTrace, Line, Trace};
use crate::family::{FORM, Form, TRACE, Trail, Whole};

/// A warning is a trap in newer kernels, and its stack begins behind the instruction pointer (an
/// interrupt on PowerPC); older kernels print the stack alone.
pub(crate) const WARNING_TRACE: Trail =
    Trail { steps: &[Line("{warned}"), Trace], otherwise: &[CallTrace, Trace], ..TRACE };

/// Warnings of helpers that everybody calls: the helper's file tells which, the caller is guilty.
pub(crate) const HELPERS: &[Form] = &[
    Form {
        headline: "WARNING: {*}lib/debugobjects.c{*} {:debug_print|debug_check|at}",
        title: "WARNING: ODEBUG bug in {frame}",
        trail: Some(WARNING_TRACE.past(&[
            "debug_",
            "rcu",
            "hrtimer_",
            "timer_",
            "work_",
            "percpu_",
            "vunmap",
            "vfree",
            "__free_",
            "debug_check",
            "kobject_",
        ])),
        ..FORM
    },
    Form {
        headline: "WARNING: {*}mm/usercopy.c{*} {:usercopy_warn|at}",
        title: "WARNING: bad usercopy in {frame}",
        trail: Some(WARNING_TRACE.past(&["usercopy", "__check"])),
        ..FORM
    },
    Form {
        headline: "WARNING: {*}lib/kobject.c{*} {:kobject_|at}",
        title: "WARNING: kobject bug in {frame}",
        trail: Some(WARNING_TRACE.past(&["kobject_"])),
        ..FORM
    },
    Form {
        headline: "WARNING: {*}fs/proc/generic.c{*} {:proc_register|at}",
        title: "WARNING: proc registration bug in {frame}",
        trail: Some(WARNING_TRACE.past(&["proc_"])),
        ..FORM
    },
    Form {
        headline: "WARNING: {*}lib/refcount.c{*} {:refcount_|at}",
        title: "WARNING: refcount bug in {frame}",
        trail: Some(WARNING_TRACE.past(&["refcount", "kobject_"])),
        ..FORM
    },
    Form {
        headline: "WARNING: {*}kernel/locking/lockdep.c{*}lock_",
        title: "WARNING: locking bug in {frame}",
        trail: Some(WARNING_TRACE.past(&["lock_sock", "release_sock"])),
        ..FORM
    },
    Form {
        headline: "WARNING: {*}mm/{*}.c{*} {:kmalloc|kvmalloc|kzmalloc|vmalloc|malloc}",
        title: "WARNING: kmalloc bug in {frame}",
        trail: Some(WARNING_TRACE.past(&["kmalloc", "krealloc", "slab", "kmem"])),
        ..FORM
    },
    Form {
        headline: "WARNING: {*}mm/vmalloc.c{*}__vmalloc_node",
        title: "WARNING: zero-size vmalloc in {frame}",
        trail: Some(WARNING_TRACE),
        ..FORM
    },
    Form {
        headline: "WARNING: {*} usb_submit_urb",
        title: "WARNING in {frame}/usb_submit_urb",
        trail: Some(WARNING_TRACE.past(&[
            "usb_submit_urb",
            "usb_start_wait_urb",
            "usb_bulk_msg",
            "usb_interrupt_msg",
            "usb_control_msg",
        ])),
        ..FORM
    },
];

/// Warnings by their place in the sources, as they are printed since 2025 and before.
pub(crate) const PLACES: &[Form] = &[
    warning("WARNING: {src} at 0x{num}, CPU#{num}"),
    warning("WARNING: {*} at {src} {fn}"),
    warning("WARNING: {src} at {fn}"),
    warning("WARNING: [{*}] {src} at {fn}"),
    warning("WARNING: CPU: {num} PID: {num} at {src}$"),
];

const fn warning(headline: &'static str) -> Form {
    Form { headline, title: "WARNING in {frame}", trail: Some(WARNING_TRACE), ..FORM }
}

/// Warnings of the unwinder, and what is left of others.
pub(crate) const OTHERS: &[Form] = &[
    Form {
        headline: "WARNING: kernel stack regs at {hex} in {word} has bad '{register:word}' value",
        title: "WARNING: kernel stack regs has bad '{register}' value",
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form {
        headline: "WARNING: kernel stack frame pointer at {hex} in {word} has bad value",
        title: "WARNING: kernel stack frame pointer has bad value",
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form {
        headline: "WARNING: kernel stack regs {*} has bad 'bp' value",
        title: "WARNING: kernel stack regs has bad value",
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form {
        headline: "WARNING: kernel stack frame pointer {*} has bad value",
        title: "WARNING: kernel stack regs has bad value",
        whole: Whole::WithoutTrace,
        ..FORM
    },
    Form { headline: "WARNING:{blank}$", title: "WARNING: corrupted", whole: Whole::Never, ..FORM },
];

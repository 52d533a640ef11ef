//! Failures of programs: panics of Rust, and the sanitizers of compilers.

use crate::family::Need::{Later, Next};
use crate::family::Step::{Line, Trace};
use crate::family::{FORM, Form, TRACE, Trail, Whole, World};

/// A trail through the stacks of a program.
const STACK: Trail = Trail { steps: &[Trace], world: World::User, ..TRACE };

pub(crate) const ASAN: &[Form] = &[
    Form {
        headline: "ERROR: AddressSanitizer: {word} on {:address|unknown address}",
        body: &[
            Later("ERROR: AddressSanitizer: {bug:word} on "),
            Later("{access:READ|WRITE} {:of size|memory access}"),
        ],
        title: "AddressSanitizer: {bug} {access} in {frame}",
        alt: &["bad-access in {frame}"],
        trail: Some(Trail {
            steps: &[Line("{:READ|WRITE} {:of size|memory access}"), Trace],
            ..STACK
        }),
        whole: Whole::WithoutTrace,
        frameless: Some("AddressSanitizer: {bug} {access}"),
    },
    Form {
        headline: "ERROR: AddressSanitizer: attempting {:double-free|free} on",
        title: "AddressSanitizer: invalid-free in {frame}",
        alt: &["invalid-free in {frame}"],
        ..stack("AddressSanitizer: invalid-free")
    },
    Form {
        headline: "ERROR: AddressSanitizer: {bug:slug}",
        title: "AddressSanitizer: {bug} in {frame}",
        ..stack("AddressSanitizer: {bug}")
    },
];

pub(crate) const LSAN: &[Form] = &[Form {
    headline: "ERROR: LeakSanitizer: detected memory leaks",
    title: "memory leak in {frame}",
    trail: Some(Trail { steps: &[Line("leak of {num} byte"), Trace], ..STACK }),
    ..stack("memory leak")
}];

/// Of ThreadSanitizer, and of MemorySanitizer, which also calls what it finds a warning.
pub(crate) const TSAN: &[Form] = &[
    Form {
        // Which of the two comes first differs between runs, so the title names them in order.
        headline: "WARNING: ThreadSanitizer: data race (pid={num})",
        title: "ThreadSanitizer: data race in {pair}",
        trail: Some(Trail {
            steps: &[
                Line(" of size {num} at {word} by "),
                Trace,
                Line("revious {*} of size {num} at {word} by "),
                Trace,
            ],
            ..STACK
        }),
        ..stack("ThreadSanitizer: data race in {pair}")
    },
    Form {
        headline: "WARNING: ThreadSanitizer: {bug:few} (pid={num})",
        title: "ThreadSanitizer: {bug} in {frame}",
        ..stack("ThreadSanitizer: {bug}")
    },
    Form {
        headline: "WARNING: MemorySanitizer: {bug:slug}",
        title: "MemorySanitizer: {bug} in {frame}",
        ..stack("MemorySanitizer: {bug}")
    },
];

/// The trail of a panic, whose stack is printed where the environment asks for it.
const BACKTRACE: Trail = Trail { steps: &[Line("stack backtrace:"), Trace], ..STACK };

const PANIC: Form = Form {
    title: "Rust panic: {what} in {frame}",
    trail: Some(BACKTRACE),
    ..stack("Rust panic: {what}")
};

pub(crate) const RUST: &[Form] = &[
    Form {
        headline: "panicked at {some}:{num}:{num}:$",
        body: &[Later("panicked at {file:some}:{num}:{num}:$"), Next("{what:some}")],
        alt: &["Rust panic at {file}: {what}"],
        frameless: Some("Rust panic at {file}: {what}"),
        ..PANIC
    },
    // Before Rust 1.73 the message stood first, and may take several lines.
    Form {
        headline: "panicked at '{what:rest}', {file:some}:{num}:{num}$",
        alt: &["Rust panic at {file}: {what}"],
        frameless: Some("Rust panic at {file}: {what}"),
        ..PANIC
    },
    Form { headline: "panicked at '{what:some}$", ..PANIC },
    Form { headline: "panicked at {what:some}$", ..PANIC },
];

pub(crate) const RUST_STACK: &[Form] = &[Form {
    headline: "has overflowed its stack",
    title: "Rust panic: stack overflow",
    ..stack("Rust panic: stack overflow")
}];

/// A form with a stack, to be completed; the title is for reports without names of functions.
const fn stack(frameless: &'static str) -> Form {
    Form { trail: Some(STACK), whole: Whole::WithoutTrace, frameless: Some(frameless), ..FORM }
}

/// Functions of programs that are never guilty: the runtime, the standard libraries, and what
/// tells of the failure.
pub(crate) const NEVER_GUILTY: &[&str] = &[
    // Sanitizers and their stand-ins.
    "^__asan",
    "^__hwasan",
    "^__lsan",
    "^__msan",
    "^__tsan",
    "^__ubsan",
    "^__sanitizer",
    "^__interceptor",
    // Rust's runtime and libraries.
    "^rust_begin_unwind$",
    "^rust_panic",
    "^__rustc::",
    "^__rust_",
    "^std::",
    "^core::",
    "^alloc::",
    "^<std::",
    "^<core::",
    "^<alloc::",
    "^<<",
    "^<::",
    "^<T as ",
    "^<F as ",
    // C and C++: memory, strings, locks, ends.
    "^malloc$",
    "^calloc$",
    "^realloc$",
    "^reallocarray$",
    "^posix_memalign$",
    "^aligned_alloc$",
    "^free$",
    "^operator new",
    "^operator delete",
    "^mem*cpy$",
    "^memmove$",
    "^memset$",
    "^memcmp$",
    "^memchr$",
    "^str*cpy$",
    "^str*cat$",
    "^str*cmp$",
    "^str*len$",
    "^str*dup$",
    "^strchr$",
    "^strrchr$",
    "^strstr$",
    "^v*printf$",
    "^pthread_mutex_",
    "^pthread_rwlock_",
    "^pthread_spin_",
    "^pthread_cond_",
    "^pthread_kill",
    "^__pthread_kill",
    "^raise$",
    "^gsignal$",
    "^abort$",
    "^__GI_",
    "^__assert_fail",
    "^__libc_start",
    "^_start$",
    "^start_thread$",
];

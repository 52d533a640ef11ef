//! A seccomp filter that refuses io_uring, as container runtimes' default profiles do, or Linux AIO.
//!
//! Those profiles are lists of what is allowed, and since 2023 the three system calls of io_uring
//! are not among them: the profile's default action answers, an errno of EPERM. Here is that
//! answer, and the harsher ones that other hosts give, for tests, for the demonstration, and for
//! showing that nothing falls through to the kernel's io_uring unseen.
//!
//! It is no sandbox: every other system call is allowed.
//!
//! ```
//! use ringfence_refusal::{Answer, refuse_io_uring};
//!
//! // The filter holds for the thread that asks for it and for all that it starts.
//! std::thread::spawn(|| {
//!     refuse_io_uring(Answer::Errno(libc::EPERM)).unwrap();
//!     let probe = std::process::Command::new("grep")
//!         .args(["^Seccomp:", "/proc/self/status"])
//!         .output()
//!         .unwrap();
//!     assert_eq!(probe.stdout, b"Seccomp:\t2\n");
//! })
//! .join()
//! .unwrap();
//! ```

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// The system calls of io_uring.
const SYSTEM_CALLS: [i64; 3] =
    [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// The system calls of Linux AIO; the last is io_pgetevents.
const AIO_CALLS: [i64; 6] = [
    libc::SYS_io_setup,
    libc::SYS_io_destroy,
    libc::SYS_io_getevents,
    libc::SYS_io_submit,
    libc::SYS_io_cancel,
    333,
];

/// How a refused system call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The call returns this errno: EPERM from the runtimes' default profiles, ENOSYS from others.
    Errno(i32),
    /// The caller gets SIGSYS, as an Android app does.
    Trap,
    /// The process dies.
    Kill,
}

/// The filter was not put in place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter cannot be built for this machine.
    #[error("no seccomp filter for this machine: {0}")]
    Build(#[from] seccompiler::BackendError),
    /// The kernel did not take the filter.
    #[error("the kernel takes no seccomp filter: {0}")]
    Install(#[from] seccompiler::Error),
}

/// Refuses io_uring to the calling thread and to all threads and processes that it starts, for good.
///
/// Sets `no_new_privs` on the thread, as the kernel demands of an unprivileged caller.
///
/// # Errors
/// [`Error`]; the thread is then as it was, save perhaps for `no_new_privs`.
pub fn refuse_io_uring(answer: Answer) -> Result<(), Error> {
    refuse_calls(&SYSTEM_CALLS, answer)
}

/// Refuses Linux AIO, as [`refuse_io_uring`] does io_uring: what sandboxes answer, and
/// emulators without it.
///
/// # Errors
/// As [`refuse_io_uring`].
pub fn refuse_aio(answer: Answer) -> Result<(), Error> {
    refuse_calls(&AIO_CALLS, answer)
}

/// Refuses the system calls of these numbers, as [`refuse_io_uring`] does io_uring's.
///
/// # Errors
/// As [`refuse_io_uring`].
pub fn refuse_calls(calls: &[i64], answer: Answer) -> Result<(), Error> {
    let action = match answer {
        Answer::Errno(errno) => SeccompAction::Errno(errno.unsigned_abs()),
        Answer::Trap => SeccompAction::Trap,
        Answer::Kill => SeccompAction::KillProcess,
    };
    let rules = calls.iter().map(|number| (*number, Vec::new())).collect();
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter: BpfProgram =
        SeccompFilter::new(rules, SeccompAction::Allow, action, machine)?.try_into()?;
    Ok(seccompiler::apply_filter(&filter)?)
}

//! System calls made in a child, so that a filter that kills takes nothing of ours along.
#![expect(unsafe_code, reason = "fork, a SIGSYS handler and raw system calls")]

use libc::{c_int, c_long, c_uint};
use std::mem::MaybeUninit;

/// What became of a system call in a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The call succeeded.
    Granted,
    /// The call failed with this errno.
    Errno(i32),
    /// The call raised SIGSYS, as a filter that traps does.
    Trapped,
    /// The call killed the child.
    Killed,
    /// No child could be made to ask.
    Unknown,
}

/// The calls whose answers tell the gates apart.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    /// Make a ring of 8 entries and let it go.
    Setup,
    /// Enter a ring that is none: EBADF, unless a filter answers.
    Enter,
    /// Register with a ring that is none: likewise.
    Register,
    /// Make an AIO context for 8 requests and let it go.
    AioSetup,
    /// Submit to an AIO context that is none: EINVAL, unless a filter answers.
    AioSubmit,
}

/// The child's exit code for [`Answer::Trapped`]; all others are errnos, which end at 133.
const TRAPPED: c_int = 200;

/// Asks in a child of its own.
pub(crate) fn ask(question: Question) -> Answer {
    // SAFETY: the child calls nothing but async-signal-safe functions, so it does not matter what
    // locks other threads held when it was made, and it ends in `_exit`.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Answer::Unknown,
        0 => in_child(question),
        child => answer_of(child),
    }
}

extern "C" fn trapped(_: c_int) {
    // SAFETY: `_exit` may be called in a signal handler.
    unsafe { libc::_exit(TRAPPED) }
}

fn in_child(question: Question) -> ! {
    let handler = trapped as extern "C" fn(c_int);
    // SAFETY: the handler's signature is the one asked for; SIGSYS is unblocked so that a trap is
    // delivered rather than fatal; a core file of a killed child would help nobody.
    let returned = unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGSYS);
        libc::sigprocmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut());
        libc::signal(libc::SIGSYS, handler as libc::sighandler_t);
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
        call(question)
    };
    // SAFETY: plain calls; the errno is this thread's own.
    unsafe { libc::_exit(if returned < 0 { *libc::__errno_location() } else { 0 }) }
}

/// # Safety
/// To be called where nothing else runs: it makes a descriptor or context and leaves it behind.
unsafe fn call(question: Question) -> c_long {
    // `struct io_uring_params`, 120 bytes, all zero.
    let mut params = [0_u64; 15];
    let mut context: libc::c_ulong = 0;
    // Not -1, by which newer kernels mean calls that need no ring.
    const NONE: c_long = -2;
    // SAFETY: the two pointers are to writable memory of the size that the kernel fills; the other
    // calls get no pointers.
    unsafe {
        match question {
            Question::Setup => {
                libc::syscall(libc::SYS_io_uring_setup, 8 as c_uint, params.as_mut_ptr())
            }
            Question::Enter => libc::syscall(libc::SYS_io_uring_enter, NONE, 0, 0, 0, 0, 0),
            Question::Register => libc::syscall(libc::SYS_io_uring_register, NONE, 0, 0, 0),
            Question::AioSetup => libc::syscall(libc::SYS_io_setup, 8 as c_uint, &raw mut context),
            Question::AioSubmit => libc::syscall(libc::SYS_io_submit, 0, 0, 0),
        }
    }
}

fn answer_of(child: libc::pid_t) -> Answer {
    let mut status = 0;
    loop {
        // SAFETY: `status` is writable; the child is ours and not waited for elsewhere.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        if waited == child {
            break;
        }
        // SAFETY: the errno is this thread's own.
        if waited == -1 && unsafe { *libc::__errno_location() } != libc::EINTR {
            return Answer::Unknown;
        }
    }
    if !libc::WIFEXITED(status) {
        return Answer::Killed;
    }
    match libc::WEXITSTATUS(status) {
        0 => Answer::Granted,
        TRAPPED => Answer::Trapped,
        errno => Answer::Errno(errno),
    }
}

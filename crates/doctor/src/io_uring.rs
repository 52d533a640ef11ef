//! Which gate keeps a process from io_uring.

use crate::errno;
use crate::facts::Facts;
use crate::probe::{Answer, Question};
use std::fmt;

/// io_uring as this process finds it: granted, or the gate that is shut.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IoUring {
    /// A ring can be made and used.
    Granted,
    /// The kernel was built without it, or is none that has it.
    Missing,
    /// `kernel.io_uring_disabled` is 1, and the process is neither in the group nor privileged.
    OnlyGroup {
        /// `kernel.io_uring_group`, if it names one.
        group: Option<i64>,
    },
    /// `kernel.io_uring_disabled` is 2.
    Disabled,
    /// A seccomp filter answers with an errno, to the first of the three calls that it refuses.
    FilterErrno {
        /// The call.
        call: &'static str,
        /// The errno.
        errno: i32,
    },
    /// A seccomp filter raises SIGSYS.
    FilterTrap,
    /// A seccomp filter kills.
    FilterKill,
    /// A security module such as SELinux refuses.
    SecurityModule {
        /// The errno.
        errno: i32,
    },
    /// No memory for a ring: the limit on locked memory, before Linux 5.12, or that of the cgroup.
    Memory {
        /// The soft limit on locked memory in bytes, if there is one.
        memlock: Option<u64>,
    },
    /// Something else, such as no descriptors left.
    Other {
        /// The errno; 0 if not even that is known.
        errno: i32,
    },
}

/// The answers to the three system calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answers {
    pub(crate) setup: Answer,
    pub(crate) enter: Answer,
    pub(crate) register: Answer,
}

/// Asks the kernel, in children.
pub(crate) fn ask() -> Answers {
    Answers {
        setup: crate::probe::ask(Question::Setup),
        enter: crate::probe::ask(Question::Enter),
        register: crate::probe::ask(Question::Register),
    }
}

/// Weighs the answers against the facts.
///
/// Filters are looked for first: they see a call before the kernel does. Enter and register on no
/// ring are EBADF from any kernel that has io_uring, whatever its settings.
pub(crate) fn judge(answers: &Answers, facts: &Facts) -> IoUring {
    let all = [answers.setup, answers.enter, answers.register];
    if all.contains(&Answer::Killed) {
        return IoUring::FilterKill;
    }
    if all.contains(&Answer::Trapped) {
        return IoUring::FilterTrap;
    }
    let unheard = [("io_uring_enter", answers.enter), ("io_uring_register", answers.register)];
    let filtered = unheard.into_iter().find_map(|(call, answer)| match answer {
        Answer::Errno(errno) if errno != libc::EBADF => Some((call, errno)),
        _ => None,
    });
    match (answers.setup, filtered) {
        (Answer::Granted, None) => IoUring::Granted,
        // A kernel that makes rings has the other two calls: somebody else refuses them.
        (Answer::Granted, Some((call, errno))) => IoUring::FilterErrno { call, errno },
        (Answer::Errno(libc::ENOSYS), _) if !may_have_it(facts) => IoUring::Missing,
        (Answer::Errno(errno), Some((_, same))) if errno == same && facts.is_filtered() => {
            IoUring::FilterErrno { call: "io_uring_setup", errno }
        }
        (Answer::Errno(libc::ENOSYS), _) if !facts.is_filtered() => IoUring::Missing,
        (Answer::Errno(errno), _) => refused_by_kernel(errno, facts),
        _ => IoUring::Other { errno: 0 },
    }
}

/// Whether the kernel can have io_uring: it has the setting for it, or is none from before 5.1.
fn may_have_it(facts: &Facts) -> bool {
    facts.io_uring_disabled.is_some()
        || (facts.is_filtered() && facts.version().is_none_or(|version| version >= (5, 1)))
}

fn refused_by_kernel(errno: i32, facts: &Facts) -> IoUring {
    match (errno, facts.io_uring_disabled) {
        (libc::EPERM, Some(2)) => IoUring::Disabled,
        (libc::EPERM, Some(1)) if !facts.in_io_uring_group && !facts.sys_admin => {
            IoUring::OnlyGroup { group: facts.io_uring_group.filter(|&group| group >= 0) }
        }
        (libc::EPERM | libc::ENOSYS, _) if facts.is_filtered() => {
            IoUring::FilterErrno { call: "io_uring_setup", errno }
        }
        (libc::EPERM | libc::EACCES, _) => IoUring::SecurityModule { errno },
        (libc::ENOMEM, _) => IoUring::Memory { memlock: facts.memlock },
        (errno, _) => IoUring::Other { errno },
    }
}

impl IoUring {
    /// Whether a program can use the kernel's io_uring here.
    pub fn is_granted(&self) -> bool {
        *self == IoUring::Granted
    }

    /// A word for the gate, for machines to read.
    pub fn key(&self) -> &'static str {
        match self {
            IoUring::Granted => "granted",
            IoUring::Missing => "kernel",
            IoUring::OnlyGroup { .. } => "sysctl-group",
            IoUring::Disabled => "sysctl",
            IoUring::FilterErrno { .. } => "seccomp-errno",
            IoUring::FilterTrap => "seccomp-trap",
            IoUring::FilterKill => "seccomp-kill",
            IoUring::SecurityModule { .. } => "security-module",
            IoUring::Memory { .. } => "memory",
            IoUring::Other { .. } => "other",
        }
    }

    /// What opens the gate; `None` if it is open.
    pub fn remedy(&self) -> Option<String> {
        const PROFILE: &str = "allow io_uring_setup, io_uring_enter and io_uring_register in the \
                               container runtime's seccomp profile";
        Some(match self {
            IoUring::Granted => return None,
            IoUring::Missing => {
                "boot Linux 5.1 or newer, built with CONFIG_IO_URING; sandboxes that are kernels of \
                 their own, such as gVisor, may have a switch for it"
                    .to_owned()
            }
            IoUring::OnlyGroup { group: Some(group) } => {
                format!("add the user to group {group}, or, as root: sysctl kernel.io_uring_disabled=0")
            }
            IoUring::OnlyGroup { group: None } => {
                "as root: sysctl kernel.io_uring_group=GID for a group of the user's, or sysctl \
                 kernel.io_uring_disabled=0"
                    .to_owned()
            }
            IoUring::Disabled => "as root: sysctl kernel.io_uring_disabled=0".to_owned(),
            IoUring::FilterErrno { .. } | IoUring::FilterTrap | IoUring::FilterKill => {
                PROFILE.to_owned()
            }
            IoUring::SecurityModule { .. } => {
                "look for denials in the kernel's audit log, and allow io_uring in the policy"
                    .to_owned()
            }
            IoUring::Memory { .. } => {
                "raise the limit on locked memory (ulimit -l, LimitMEMLOCK=), or that of the cgroup"
                    .to_owned()
            }
            IoUring::Other { errno } if [libc::EMFILE, libc::ENFILE].contains(errno) => {
                "raise the limit on open files (ulimit -n, fs.file-max)".to_owned()
            }
            IoUring::Other { .. } => "strace -f -e io_uring_setup CMD may tell more".to_owned(),
        })
    }
}

impl fmt::Display for IoUring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IoUring::Granted => f.write_str("the kernel grants it"),
            IoUring::Missing => f.write_str("this kernel has no io_uring (ENOSYS)"),
            IoUring::OnlyGroup { group: Some(group) } => {
                write!(f, "sysctl kernel.io_uring_disabled is 1, and only group {group} may")
            }
            IoUring::OnlyGroup { group: None } => {
                f.write_str("sysctl kernel.io_uring_disabled is 1, and no group is named that may")
            }
            IoUring::Disabled => f.write_str("sysctl kernel.io_uring_disabled is 2: nobody may"),
            IoUring::FilterErrno { call, errno } => {
                write!(f, "a seccomp filter answers {call} with {}", errno::name(*errno))
            }
            IoUring::FilterTrap => f.write_str("a seccomp filter raises SIGSYS for it"),
            IoUring::FilterKill => f.write_str("a seccomp filter kills for it"),
            IoUring::SecurityModule { errno } => write!(
                f,
                "{} though neither sysctl nor seccomp refuses: a security module, such as SELinux",
                errno::name(*errno)
            ),
            IoUring::Memory { memlock: Some(bytes) } => {
                write!(
                    f,
                    "no memory for a ring (ENOMEM); the limit on locked memory is {bytes} bytes"
                )
            }
            IoUring::Memory { memlock: None } => f.write_str("no memory for a ring (ENOMEM)"),
            IoUring::Other { errno: 0 } => f.write_str("no child could be made to ask for it"),
            IoUring::Other { errno } => write!(f, "io_uring_setup fails: {}", errno::name(*errno)),
        }
    }
}

#[cfg(test)]
mod tests;

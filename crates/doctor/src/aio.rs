//! Which gate keeps a process from Linux AIO.

use crate::errno;
use crate::facts::Facts;
use crate::probe::{self, Answer, Question};
use std::fmt;

/// Linux AIO as this process finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinuxAio {
    /// A context can be made and used.
    Granted {
        /// Requests that all contexts of the host have room for, if known.
        used: Option<u64>,
        /// The most that they may have room for, if known.
        limit: Option<u64>,
    },
    /// The kernel was built without it.
    Missing,
    /// `fs.aio-max-nr` is used up.
    UsedUp {
        /// `fs.aio-nr`.
        used: Option<u64>,
        /// `fs.aio-max-nr`.
        limit: Option<u64>,
    },
    /// A seccomp filter refuses.
    Filtered(Answer),
    /// Something else.
    Other {
        /// The errno; 0 if not even that is known.
        errno: i32,
    },
}

/// The answers to io_setup and io_submit.
pub(crate) fn ask() -> [Answer; 2] {
    [probe::ask(Question::AioSetup), probe::ask(Question::AioSubmit)]
}

/// Weighs the answers against the facts. io_submit to no context is EINVAL from any kernel.
pub(crate) fn judge([setup, submit]: [Answer; 2], facts: &Facts) -> LinuxAio {
    let (used, limit) = (facts.aio_nr, facts.aio_max_nr);
    let is_missing = !facts.is_filtered() || limit.is_none();
    match (setup, submit) {
        (Answer::Granted, Answer::Errno(libc::EINVAL)) => LinuxAio::Granted { used, limit },
        (Answer::Granted, refusal) => LinuxAio::Filtered(refusal),
        (Answer::Trapped | Answer::Killed, _) => LinuxAio::Filtered(setup),
        (Answer::Errno(libc::EAGAIN), _) => LinuxAio::UsedUp { used, limit },
        (Answer::Errno(libc::ENOSYS), _) if is_missing => LinuxAio::Missing,
        (Answer::Errno(libc::ENOSYS | libc::EPERM), _) => LinuxAio::Filtered(setup),
        (Answer::Errno(errno), _) => LinuxAio::Other { errno },
        (Answer::Unknown, _) => LinuxAio::Other { errno: 0 },
    }
}

impl LinuxAio {
    /// Whether a program can use the kernel's AIO here.
    pub fn is_granted(&self) -> bool {
        matches!(self, LinuxAio::Granted { .. })
    }

    /// A word for the gate, for machines to read.
    pub fn key(&self) -> &'static str {
        match self {
            LinuxAio::Granted { .. } => "granted",
            LinuxAio::Missing => "kernel",
            LinuxAio::UsedUp { .. } => "aio-max-nr",
            LinuxAio::Filtered(_) => "seccomp",
            LinuxAio::Other { .. } => "other",
        }
    }

    /// What opens the gate; `None` if it is open.
    pub fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            LinuxAio::Granted { .. } => return None,
            LinuxAio::Missing => "boot a kernel built with CONFIG_AIO",
            LinuxAio::UsedUp { .. } => {
                "as root: sysctl fs.aio-max-nr=1048576; or stop a program that reserved so much"
            }
            LinuxAio::Filtered(_) => "allow io_setup and its kin in the runtime's seccomp profile",
            LinuxAio::Other { .. } => "strace -f -e io_setup CMD may tell more",
        })
    }
}

impl fmt::Display for LinuxAio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinuxAio::Granted { used: Some(used), limit: Some(limit) } => {
                write!(f, "the kernel grants it; aio-nr {used} of aio-max-nr {limit}")
            }
            LinuxAio::Granted { .. } => f.write_str("the kernel grants it"),
            LinuxAio::Missing => f.write_str("this kernel has no Linux AIO (ENOSYS)"),
            LinuxAio::UsedUp { used: Some(used), limit: Some(limit) } => {
                write!(f, "used up (EAGAIN): aio-nr is {used} of aio-max-nr {limit}")
            }
            LinuxAio::UsedUp { .. } => f.write_str("fs.aio-max-nr is used up (EAGAIN)"),
            LinuxAio::Filtered(Answer::Errno(errno)) => {
                write!(f, "a seccomp filter answers with {}", errno::name(*errno))
            }
            LinuxAio::Filtered(Answer::Trapped) => {
                f.write_str("a seccomp filter raises SIGSYS for it")
            }
            LinuxAio::Filtered(_) => f.write_str("a seccomp filter kills for it"),
            LinuxAio::Other { errno: 0 } => f.write_str("no child could be made to ask for it"),
            LinuxAio::Other { errno } => write!(f, "io_setup fails: {}", errno::name(*errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVALID: Answer = Answer::Errno(libc::EINVAL);

    fn host(seccomp: u32) -> Facts {
        let (used, limit) = (Some(65_500), Some(65_536));
        Facts { seccomp: Some(seccomp), aio_nr: used, aio_max_nr: limit, ..Facts::default() }
    }

    #[test]
    fn each_gate_from_its_answers() {
        let nosys = Answer::Errno(libc::ENOSYS);
        let cases = [
            (Answer::Granted, INVALID, host(2), "granted"),
            (Answer::Granted, Answer::Errno(libc::EPERM), host(2), "seccomp"),
            (Answer::Errno(libc::EAGAIN), INVALID, host(0), "aio-max-nr"),
            (Answer::Errno(libc::EPERM), Answer::Errno(libc::EPERM), host(2), "seccomp"),
            (Answer::Killed, Answer::Killed, host(2), "seccomp"),
            (nosys, nosys, host(0), "kernel"),
            (nosys, nosys, host(2), "seccomp"),
            (Answer::Errno(libc::ENOMEM), INVALID, host(0), "other"),
        ];
        for (setup, submit, facts, key) in cases {
            assert_eq!(judge([setup, submit], &facts).key(), key, "{setup:?} {submit:?}");
        }
    }

    #[test]
    fn figures_are_named() {
        let gate = judge([Answer::Errno(libc::EAGAIN), INVALID], &host(0)).to_string();
        assert!(gate.contains("65500") && gate.contains("65536"), "{gate}");
    }
}

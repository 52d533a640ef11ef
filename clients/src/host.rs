//! The three hosts a program is run on.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// What a program meets when it asks for io_uring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Host {
    /// The kernel's own, whatever this kernel grants.
    Kernel,
    /// A refusal by seccomp: EPERM, and no ringfence.
    Refused,
    /// The same refusal, under `ringfence run`.
    Ringfence,
}

impl Host {
    /// A command that becomes `program` on this host; `ringfence` is the binary to use.
    ///
    /// The program dies with the thread that spawns the command.
    pub(crate) fn command(self, program: &[OsString], ringfence: &Path) -> Command {
        let this = std::env::current_exe().expect("/proc is mounted");
        let mut command = Command::new(this);
        command.args(["launch", "--bound", "--refusal"]);
        command.arg(if self == Host::Kernel { "granted" } else { "eperm" });
        command.arg("--");
        if self == Host::Ringfence {
            command.arg(ringfence).args(["run", "--backend", "user", "--aio", "user", "--"]);
        }
        command.args(program);
        command
    }
}

//! What the kernel tells of itself and of this process under /proc.

use serde::Serialize;
use std::path::Path;

/// CAP_SYS_ADMIN's bit in a capability set.
const SYS_ADMIN: u32 = 21;

/// What the kernel tells; a field is `None` where it does not.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Facts {
    /// `uname -r`.
    pub kernel: Option<String>,
    /// `kernel.io_uring_disabled`: 0 for all, 1 for the group and CAP_SYS_ADMIN, 2 for nobody.
    pub io_uring_disabled: Option<u32>,
    /// `kernel.io_uring_group`: who may use io_uring if that is 1; -1 names no group.
    pub io_uring_group: Option<i64>,
    /// Whether this process is in that group.
    pub in_io_uring_group: bool,
    /// Whether this process holds CAP_SYS_ADMIN.
    pub sys_admin: bool,
    /// The seccomp mode of this process: 0 none, 1 strict, 2 filters.
    pub seccomp: Option<u32>,
    /// How many filters it has.
    pub seccomp_filters: Option<u32>,
    /// The soft limit on locked memory in bytes; `None` if there is none or it is not known.
    pub memlock: Option<u64>,
    /// `fs.aio-nr`: requests that all AIO contexts of the host have room for.
    pub aio_nr: Option<u64>,
    /// `fs.aio-max-nr`: the most that they may have room for.
    pub aio_max_nr: Option<u64>,
}

impl Facts {
    /// Reads them for the calling thread: filters and capabilities are a thread's own.
    pub fn read() -> Facts {
        Facts::below(Path::new("/proc"))
    }

    /// Reads them from a directory laid out like /proc.
    pub(crate) fn below(proc: &Path) -> Facts {
        let text = |name: &str| std::fs::read_to_string(proc.join(name)).unwrap_or_default();
        let number = |name: &str| text(name).trim().parse().ok();
        let status = text("thread-self/status");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.strip_prefix(':')?.trim().to_owned())
        };
        let small = |name: &str| field(name)?.parse().ok();
        let group: Option<i64> = text("sys/kernel/io_uring_group").trim().parse().ok();
        let ids =
            [field("Gid"), field("Groups")].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let in_group =
            ids.split_whitespace().any(|id| id.parse::<i64>().is_ok_and(|id| Some(id) == group));
        let capabilities =
            field("CapEff").and_then(|set| u64::from_str_radix(&set, 16).ok()).unwrap_or(0);
        let kernel = text("sys/kernel/osrelease").trim().to_owned();
        Facts {
            kernel: (!kernel.is_empty()).then_some(kernel),
            io_uring_disabled: text("sys/kernel/io_uring_disabled").trim().parse().ok(),
            io_uring_group: group,
            in_io_uring_group: in_group,
            sys_admin: capabilities >> SYS_ADMIN & 1 == 1,
            seccomp: small("Seccomp"),
            seccomp_filters: small("Seccomp_filters"),
            memlock: memlock(&text("thread-self/limits")),
            aio_nr: number("sys/fs/aio-nr"),
            aio_max_nr: number("sys/fs/aio-max-nr"),
        }
    }

    /// Whether a seccomp filter stands between this process and the kernel.
    pub(crate) fn is_filtered(&self) -> bool {
        self.seccomp.is_some_and(|mode| mode != 0)
    }

    /// The kernel's version as two numbers, for comparison.
    pub(crate) fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.kernel.as_deref()?.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

fn memlock(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_facts() {
        let facts = Facts::read();
        assert!(facts.version().is_some_and(|version| version > (3, 0)), "{facts:?}");
        assert!(facts.seccomp.is_some(), "{facts:?}");
    }

    #[test]
    fn without_proc_nothing_is_known_and_nothing_fails() {
        let facts = Facts::below(Path::new("/nowhere"));
        assert!(facts.version().is_none() && !facts.is_filtered() && !facts.sys_admin);
    }

    #[test]
    fn a_limit_is_bytes_and_unlimited_is_none() {
        let line = |soft: &str| format!("Max locked memory         {soft}     8388608     bytes\n");
        assert_eq!(memlock(&line("65536")), Some(65_536));
        assert_eq!(memlock(&line("unlimited")), None);
    }
}

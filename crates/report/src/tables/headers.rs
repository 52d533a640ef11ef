//! The words that announce a failure, and the lines that hold them and announce none.

use crate::family::{Family, Within};

/// Every family, from the cause to what follows from it.
pub(crate) const FAMILIES: &[&Family] = &[
    &starts(
        "BUG:",
        // Debug output of object tracking, of Android's boot and runtime; the fuzzer's own.
        &["DEBUG:", "xlog_status:", "BUG: no syscalls can create resource"],
    ),
    &starts(
        "WARNING:",
        &[
            "WARNING: /etc/ssh/moduli does not exist, using fixed modulus",
            "WARNING: workqueue cpumask: online intersect > possible intersect",
            "WARNING: {:T|t}he mand mount option",
            "WARNING: Unsupported flag value(s) of 0x%x in DT_FLAGS_1",
            "WARNING: Unprivileged eBPF is enabled with eIBRS",
            "WARNING: fbcon: Driver '{*}' missed to adjust virtual screen size (",
            "WARNING: See https{*} for mitigation options",
            "WARNING: kernel not compiled with CPU_SRSO",
            "EXT4-fs{*}:",
            "EXT4-FS{*}:",
            "{:WARNING|Warning|warning}: {*} uses {:deprecated v2 capabilities|wireless extensions}",
            "XFS ({ident}): WARNING",
        ],
    ),
    &starts(
        "INFO:",
        &[
            "INFO: lockdep is turned off",
            "INFO: Stall ended before state dump start",
            "INFO: NMI handler",
            "INFO: recovery required on readonly filesystem",
            "{:handler|interrupt}{*}took too long",
            "INFO: sys_{*} is not present in /proc/kallsyms",
            "INFO: no syscalls can create resource",
            "rmt_storage:INFO:",
            "_INFO:",
        ],
    ),
    &starts("Unable to handle kernel", &[]),
    // A fault of a program, told in the kernel's log.
    &starts("general protection fault", &["general protection fault {*} error:{num} in "]),
    &starts("stack segment: ", &[]),
    &continues("Kernel panic"),
    &continues("PANIC: double fault"),
    &starts("rust_kernel: panicked", &[]),
    &starts("kernel BUG", &[]),
    &starts("Kernel BUG", &[]),
    &starts("BUG kmalloc-", &[]),
    &starts("divide error:", &[]),
    &starts("divide_error:", &[]),
    &continues("invalid opcode:"),
    &starts("int3:", &[]),
    &starts("UBSAN:", &[]),
    // The words also come from what was read off the console before and is printed back.
    &starts("Booting the kernel.", &["Parsing ELF", "Decompressing Linux", "Unknown parameter '"]),
    &continues("unregister_netdevice: waiting for"),
    &starts("VFS: Close: file count is 0", &[]),
    &starts("VFS: Busy inodes after unmount", &[]),
    &continues("Internal error:"),
    &starts("Unhandled fault:", &[]),
    &starts("Alignment trap:", &[]),
    &starts("trusty: panic", &[]),
    &starts("fatal error:", &["ALSA", "fatal error: cannot create timer"]),
    &starts("SYZFAIL:", &[]),
    &starts("SYZFATAL:", &[]),
    &starts("panic:", &["_panic:", "xlog_status:", "ddb.onpanic:", "evtlog_status:"]),
];

const fn starts(words: &'static str, except: &'static [&'static str]) -> Family {
    Family { words, except, within: Within::Starts }
}

const fn continues(words: &'static str) -> Family {
    Family { words, except: &[], within: Within::Continues }
}

//! The words that announce a failure, and the lines that hold them and announce none.

use crate::family::Within::{Continues, Passes, Starts};
use crate::family::{Family, Form, Within};
use crate::tables::{faults, locks, notices, panics, sanitizers, stalls, userspace, warnings};

/// Every family, from the cause to what follows from it.
pub(crate) static FAMILIES: &[Family] = &[
    // Debug output of object tracking, of Android's boot and runtime; the fuzzer's own.
    Family {
        except: &["DEBUG:", "xlog_status:", "BUG: no syscalls can create resource"],
        ..family(
            "BUG:",
            Starts,
            &[
                sanitizers::KASAN,
                sanitizers::KMSAN,
                sanitizers::KCSAN,
                sanitizers::KFENCE,
                faults::ADDRESSES,
                locks::MISUSE,
                stalls::LOCKUPS,
                locks::CONTEXTS,
                faults::BOOKKEEPING,
                sanitizers::LEAKS,
                notices::BUG_CUT,
            ],
        )
    },
    Family {
        except: &[
            "WARNING: /etc/ssh/moduli does not exist, using fixed modulus",
            "WARNING: workqueue cpumask: online intersect > possible intersect",
            "WARNING: {:T|t}he mand mount option",
            "WARNING: Unsupported flag value(s) of 0x%x in DT_FLAGS_1",
            "WARNING: Unprivileged eBPF is enabled with eIBRS",
            "WARNING: fbcon: Driver '{*}' missed to adjust virtual screen size (",
            "WARNING: See https{*} for mitigation options",
            "WARNING: kernel not compiled with CPU_SRSO",
            "{:EXT4-fs|EXT4-FS}:",
            "{:EXT4-fs|EXT4-FS} ({*}):",
            "~warning: {*} uses {:deprecated v2 capabilities|wireless extensions}",
            "XFS ({ident}): WARNING",
        ],
        ..family(
            "WARNING:",
            Starts,
            &[
                userspace::TSAN,
                warnings::HELPERS,
                warnings::PLACES,
                locks::LOCKDEP,
                warnings::OTHERS,
            ],
        )
    },
    Family {
        except: &[
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
        ..family(
            "INFO:",
            Starts,
            &[locks::LOCKDEP_OLD, stalls::STALLS, stalls::HANGS, notices::INFO_CUT],
        )
    },
    family("Unable to handle kernel", Starts, &[faults::ADDRESSES_ARM]),
    // The fault of a program, of which the kernel takes note.
    Family {
        except: &["general protection fault {*} error:{num} in "],
        ..family("general protection fault", Starts, &[faults::PROTECTION])
    },
    family("stack segment: ", Starts, &[faults::SEGMENT]),
    family("Kernel panic", Continues, &[panics::PANICS]),
    family("PANIC: double fault", Continues, &[faults::DOUBLE_FAULT]),
    family("rust_kernel: panicked", Starts, &[faults::RUST]),
    family("kernel BUG", Starts, &[faults::ASSERTIONS]),
    family("Kernel BUG", Starts, &[faults::ASSERTIONS_OLD]),
    family("BUG kmalloc-", Starts, &[notices::SLAB]),
    family("divide error:", Starts, &[faults::DIVISION]),
    family("divide_error:", Starts, &[faults::DIVISION]),
    family("invalid opcode:", Continues, &[faults::OPCODE]),
    family("int3:", Starts, &[faults::BREAKPOINT]),
    family("UBSAN:", Starts, &[sanitizers::UBSAN]),
    // A console is read from and printed to: the words come back as part of other messages.
    Family {
        except: &["Parsing ELF", "Decompressing Linux", "Unknown parameter '"],
        ..family("Booting the kernel.", Starts, &[notices::BOOT])
    },
    family("unregister_netdevice: waiting for", Passes, &[notices::NETDEVICE]),
    family("VFS: Close: file count is 0", Starts, &[notices::FILE_COUNT]),
    family("VFS: Busy inodes after unmount", Starts, &[notices::BUSY_INODES]),
    family("Internal error:", Continues, &[faults::INTERNAL_ERROR]),
    family("Unhandled fault:", Starts, &[faults::UNHANDLED_FAULT]),
    family("Alignment trap:", Starts, &[faults::ALIGNMENT]),
    family("trusty: panic", Starts, &[notices::TRUSTY]),
    Family {
        except: &["ALSA", "fatal error: cannot create timer"],
        ..family("fatal error:", Starts, &[notices::GO_RUNTIME])
    },
    family("SYZFAIL:", Starts, &[notices::FUZZER_FAIL]),
    family("SYZFATAL:", Starts, &[notices::FUZZER_FATAL]),
    Family {
        // Functions of the kernel, a module of Rust, and Android.
        except: &["_panic:", "panic::", "xlog_status:", "ddb.onpanic:", "evtlog_status:"],
        ..family("panic:", Starts, &[notices::GO_PANIC])
    },
    // Programs of user space.
    family("ERROR: AddressSanitizer:", Starts, &[userspace::ASAN]),
    family("ERROR: LeakSanitizer:", Starts, &[userspace::LSAN]),
    Family {
        only: "thread '{*}panicked at ",
        ..family(" panicked at ", Starts, &[userspace::RUST])
    },
    Family {
        only: "thread '{*}has overflowed its stack",
        ..family(" has overflowed its stack", Starts, &[userspace::RUST_STACK])
    },
];

const fn family(words: &'static str, within: Within, forms: &'static [&'static [Form]]) -> Family {
    Family { words, only: "", except: &[], within, forms }
}

//! Functions that tell where on a stack to look when something makes no progress.

/// The function below one of these, towards the interior, stands for what a busy CPU was doing:
/// dispatchers of work, entries of system calls, and of those calls that do many things the
/// handlers.
pub(crate) const STALL: &[&str] = &[
    // Work, timers, threads.
    "process_one_work",
    "call_timer_fn",
    "_run_timers",
    "run_timer_softirq",
    "hrtimer_run",
    "do_softirq",
    "run_ksoftirqd",
    "tasklet_action",
    "tasklet_hi_action",
    "smpboot_thread_fn",
    "^kthread$",
    "ret_from_fork",
    "start_secondary",
    "cpu_startup_entry",
    "smp_call_function",
    "netif_receive_skb",
    // Entries of system calls.
    "do_syscall_",
    "do_fast_syscall_",
    "sysenter_dispatch",
    "tracesys_phase2",
    "el0_svc_handler",
    "invoke_syscall",
    "ret_fast_syscall",
    // Files.
    "vfs_write",
    "vfs_read",
    "vfs_iter_read",
    "vfs_iter_write",
    "do_iter_read",
    "do_iter_write",
    "call_read_iter",
    "call_write_iter",
    "new_sync_read",
    "new_sync_write",
    "vfs_ioctl",
    "ksys_ioctl",
    "compat_ioctl",
    "compat_sys_ioctl",
    "blkdev_driver_ioctl",
    "blkdev_ioctl",
    "^call_mmap",
    "mmap_region",
    "do_mmap",
    "do_dentry_open",
    "vfs_open",
    "__fput",
    // Sockets.
    "^sock_sendmsg",
    "^sock_recvmsg",
    "^sock_release",
    "^__sock_release",
    "^setsockopt$",
    "kernel_setsockopt",
    "sock_common_setsockopt",
    "^listen$",
    "kernel_listen",
    "sk_common_release",
    "^sock_mmap",
    "^accept$",
    "kernel_accept",
    "^sock_do_ioctl",
    "^sock_ioctl",
    "^compat_sock_ioctl",
    "^nfnetlink_rcv_msg",
    "^rtnetlink_rcv_msg",
    "^netlink_dump",
    "^socketpair",
    "^connect",
    "^ioctl",
    "^sys_socketpair",
    "^sys_connect",
    "^sys_ioctl",
    // Page faults, and the way back to user space.
    "__do_fault",
    "do_page_fault",
    "^page_fault$",
    "task_work_run",
    "exit_to_usermode",
];

/// Any of the cross-CPU call's variants stands for itself, under this name.
pub(crate) const CROSS_CALL: &str = "smp_call_function";

/// What many tasks wait for when one holds it up: all of them are the same bug.
pub(crate) const HANG_BUCKETS: &[(&str, Option<&str>)] = &[
    ("rtnl_lock", None),
    ("synchronize_rcu", Some("synchronize_rcu")),
    ("synchronize_srcu", Some("synchronize_rcu")),
    ("synchronize_net", Some("synchronize_rcu")),
    ("synchronize_sched", Some("synchronize_rcu")),
];

/// Functions that wait for others; the one that called them is to blame.
pub(crate) const WAITERS: &[&str] = &[
    "sched",
    "_lock",
    "_slowlock",
    "down",
    "rwsem",
    "completion",
    "kthread",
    "wait",
    "synchronize",
    "context_switch",
    "__switch_to",
    "cancel_delayed_work",
    "rcu_barrier",
];

/// What stands before the name of a system call's function on one machine or another.
pub(crate) const SYSCALL_PREFIXES: &[&str] = &[
    "SYSC_",
    "SyS_",
    "sys_",
    "__x64_",
    "__ia32_",
    "__arm64_",
    "____sys_",
    "___sys_",
    "__sys_",
    "__se_",
    "__se_sys_",
    "__do_sys_",
    "compat_SYSC_",
    "compat_SyS_",
    "ksys_",
];

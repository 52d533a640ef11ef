//! Every gate, from the answers and facts that a host with that gate shut gives.

use super::*;
use crate::probe::Answer::{Errno, Granted, Killed, Trapped};

const BADF: Answer = Errno(libc::EBADF);
const PERM: Answer = Errno(libc::EPERM);
const NOSYS: Answer = Errno(libc::ENOSYS);

/// Facts of a modern kernel that grants io_uring, without filters.
fn open_host() -> Facts {
    Facts {
        kernel: Some("6.18.44".into()),
        io_uring_disabled: Some(0),
        io_uring_group: Some(-1),
        seccomp: Some(0),
        ..Facts::default()
    }
}

fn filtered_host() -> Facts {
    Facts { seccomp: Some(2), ..open_host() }
}

/// A host before 6.6, which has no sysctl for io_uring.
fn old_host(kernel: &str, seccomp: u32) -> Facts {
    Facts { kernel: Some(kernel.into()), seccomp: Some(seccomp), ..Facts::default() }
}

fn judged(setup: Answer, enter: Answer, register: Answer, facts: &Facts) -> IoUring {
    judge(&Answers { setup, enter, register }, facts)
}

#[test]
fn an_open_gate_is_open_with_and_without_filters() {
    assert_eq!(judged(Granted, BADF, BADF, &open_host()), IoUring::Granted);
    assert_eq!(judged(Granted, BADF, BADF, &filtered_host()), IoUring::Granted);
}

#[test]
fn a_kernel_without_io_uring() {
    assert_eq!(judged(NOSYS, NOSYS, NOSYS, &old_host("4.18.0", 0)), IoUring::Missing);
    assert_eq!(judged(NOSYS, NOSYS, NOSYS, &old_host("4.18.0", 2)), IoUring::Missing);
    assert_eq!(judged(NOSYS, NOSYS, NOSYS, &old_host("5.10.0", 0)), IoUring::Missing);
}

#[test]
fn a_filter_that_plays_a_kernel_without_io_uring() {
    let gate = IoUring::FilterErrno { call: "io_uring_setup", errno: libc::ENOSYS };
    assert_eq!(judged(NOSYS, NOSYS, NOSYS, &filtered_host()), gate);
    assert_eq!(judged(NOSYS, NOSYS, NOSYS, &old_host("5.10.0", 2)), gate);
}

#[test]
fn the_runtimes_default_profile() {
    let gate = IoUring::FilterErrno { call: "io_uring_setup", errno: libc::EPERM };
    assert_eq!(judged(PERM, PERM, PERM, &filtered_host()), gate);
    // The filter answers first, so opening the sysctl would not help yet.
    let both = Facts { io_uring_disabled: Some(2), ..filtered_host() };
    assert_eq!(judged(PERM, PERM, PERM, &both), gate);
}

#[test]
fn a_profile_that_allows_only_some_of_the_calls() {
    let gate = IoUring::FilterErrno { call: "io_uring_enter", errno: libc::EPERM };
    assert_eq!(judged(Granted, PERM, BADF, &filtered_host()), gate);
    let gate = IoUring::FilterErrno { call: "io_uring_register", errno: libc::EPERM };
    assert_eq!(judged(Granted, BADF, PERM, &filtered_host()), gate);
    let gate = IoUring::FilterErrno { call: "io_uring_setup", errno: libc::EPERM };
    assert_eq!(judged(PERM, BADF, BADF, &filtered_host()), gate);
}

#[test]
fn filters_that_trap_or_kill() {
    assert_eq!(judged(Trapped, Trapped, Trapped, &filtered_host()), IoUring::FilterTrap);
    assert_eq!(judged(Killed, Killed, Killed, &filtered_host()), IoUring::FilterKill);
    assert_eq!(judged(Granted, Killed, BADF, &filtered_host()), IoUring::FilterKill);
}

#[test]
fn the_sysctl_and_its_group() {
    let facts = |disabled, group| Facts {
        io_uring_disabled: Some(disabled),
        io_uring_group: Some(group),
        ..open_host()
    };
    assert_eq!(judged(PERM, BADF, BADF, &facts(2, -1)), IoUring::Disabled);
    let gate = IoUring::OnlyGroup { group: Some(997) };
    assert_eq!(judged(PERM, BADF, BADF, &facts(1, 997)), gate);
    let gate = IoUring::OnlyGroup { group: None };
    assert_eq!(judged(PERM, BADF, BADF, &facts(1, -1)), gate);
    // A filter that allows io_uring does not hide the sysctl.
    let filtered = Facts { seccomp: Some(2), ..facts(2, -1) };
    assert_eq!(judged(PERM, BADF, BADF, &filtered), IoUring::Disabled);
}

#[test]
fn a_refusal_that_nothing_else_explains_is_a_security_module() {
    let gate = IoUring::SecurityModule { errno: libc::EPERM };
    assert_eq!(judged(PERM, BADF, BADF, &open_host()), gate);
    let member = Facts { io_uring_disabled: Some(1), in_io_uring_group: true, ..open_host() };
    assert_eq!(judged(PERM, BADF, BADF, &member), gate);
    let gate = IoUring::SecurityModule { errno: libc::EACCES };
    assert_eq!(judged(Errno(libc::EACCES), BADF, BADF, &open_host()), gate);
}

#[test]
fn memory_and_descriptors() {
    let facts = Facts { memlock: Some(65_536), ..open_host() };
    let gate = judged(Errno(libc::ENOMEM), BADF, BADF, &facts);
    assert_eq!(gate, IoUring::Memory { memlock: Some(65_536) });
    let gate = judged(Errno(libc::EMFILE), BADF, BADF, &open_host());
    assert!(gate.remedy().unwrap().contains("ulimit -n"));
}

#[test]
fn no_child_no_answer() {
    let none = Answer::Unknown;
    assert_eq!(judged(none, none, none, &open_host()), IoUring::Other { errno: 0 });
}

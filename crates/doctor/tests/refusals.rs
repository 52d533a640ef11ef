//! Real filters, and what the examination says of them.

use ringfence_doctor::{IoUring, examine};
use ringfence_refusal::{Answer, refuse_io_uring};

/// What a host looks like to a thread whose io_uring is refused that way.
fn examined_with(answer: Answer) -> IoUring {
    std::thread::spawn(move || {
        refuse_io_uring(answer).unwrap();
        examine().io_uring
    })
    .join()
    .unwrap()
}

#[test]
fn filters_are_named_by_what_they_do() {
    let errno = |errno| IoUring::FilterErrno { call: "io_uring_setup", errno };
    assert_eq!(examined_with(Answer::Errno(libc::EPERM)), errno(libc::EPERM));
    assert_eq!(examined_with(Answer::Errno(libc::ENOSYS)), errno(libc::ENOSYS));
    assert_eq!(examined_with(Answer::Trap), IoUring::FilterTrap);
    assert_eq!(examined_with(Answer::Kill), IoUring::FilterKill);
}

/// Real answers of a real kernel: where there is no filter, none is to be blamed.
#[test]
fn without_a_filter_no_filter_is_named() {
    let host = examine();
    if host.facts.seccomp == Some(0) {
        assert!(!host.io_uring.key().starts_with("seccomp"), "{:?}", host.io_uring);
        assert_ne!(host.linux_aio.key(), "seccomp");
    } else {
        eprintln!("skipped: this test itself runs under a filter");
    }
}

/// Whatever this host is, a shut gate comes with a remedy and an open one without.
#[test]
fn every_shut_gate_has_a_remedy() {
    let host = examine();
    assert_eq!(host.io_uring.is_granted(), host.io_uring.remedy().is_none());
    assert_eq!(host.linux_aio.is_granted(), host.linux_aio.remedy().is_none());
}

//! Submission against completion against cancellation.

use crate::*;
use ringfence_conformance::sqe::{self, SqeExt};
use ringfence_conformance::sys::fd;

/// A read that waits, its cancel, and the write that ends its wait.
fn read_and_cancel(sim: &Arc<Simulated>) {
    let (reader, writer) = sys::pipe();
    let mut ring = ring(sim, 8, 0);
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    let writer = writes(sim, fd(&writer), b"ab", 0);
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    match reap(&mut ring, 2)[..] {
        [(1, 2), (2, ENOENT)] => assert_eq!(&buf[..2], b"ab"),
        [(1, ECANCELED), (2, 0)] => {}
        ref other => panic!("{other:?}"),
    }
    writer.join();
}

#[test]
fn a_read_completes_or_is_cancelled() {
    exhaustively(2, read_and_cancel);
}

/// Two threads cancel the same poll, one by entry and one by registration.
fn cancelled_by_two(sim: &Arc<Simulated>) {
    let (reader, _writer) = sys::pipe();
    let mut ring = ring(sim, 8, 0);
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
    let (other, ring_fd) = (Arc::clone(sim), ring.fd);
    let thread = spawn("sync cancel", move || {
        let mut what = SyncCancelReg { addr: 1, fd: -1, ..SyncCancelReg::default() };
        what.timeout = Timespec { tv_sec: -1, tv_nsec: -1 };
        let at = std::ptr::from_mut(&mut what) as u64;
        other.register(ring_fd, RegisterOp::SyncCancel as u32, at, 1)
    });
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    let got = reap(&mut ring, 2);
    let by_thread = thread.join();
    match (got[1].1, by_thread) {
        (0, Err(Errno::ENOENT)) | (ENOENT, Ok(0)) => {}
        other => panic!("{other:?}, {got:?}"),
    }
    assert_eq!(got[0], (1, ECANCELED));
}

#[test]
fn one_of_two_cancels_finds_it() {
    exhaustively(1, cancelled_by_two);
}

/// A multishot poll, events and its removal: what comes after the last completion is silence.
fn multishot_and_removal(sim: &Arc<Simulated>) {
    let (reader, writer) = sys::pipe();
    let mut ring = ring(sim, 8, 0);
    ring.start(&[sqe::poll_multishot(fd(&reader), libc::POLLIN).data(1)]);
    let writer = writes(sim, fd(&writer), b"ab", 0);
    ring.start(&[sqe::poll_remove(1).data(2)]);
    let mut cqes = Vec::new();
    while !(cqes.iter().any(|cqe: &Cqe| cqe.user_data == 2)
        && cqes.iter().any(|cqe| cqe.user_data == 1 && cqe.flags & IORING_CQE_F_MORE == 0))
    {
        ring.enter(0, 1, IORING_ENTER_GETEVENTS).expect("enter");
        cqes.extend(ring.cqes());
    }
    writer.join();
    ring.enter(0, 0, IORING_ENTER_GETEVENTS).expect("enter");
    assert_eq!(ring.cqes(), [], "after {cqes:?}");
    let ends = cqes.iter().filter(|c| c.user_data == 1 && c.flags & IORING_CQE_F_MORE == 0);
    assert_eq!(ends.count(), 1, "{cqes:?}");
}

#[test]
fn a_multishot_ends_once() {
    exhaustively(1, multishot_and_removal);
}

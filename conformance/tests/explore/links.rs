//! Linked timeouts against their targets, chains against cancels.

use crate::*;
use ringfence_conformance::sqe::{self, SqeExt};
use ringfence_conformance::sys::{fd, ms};
use ringfence_conformance::timespec;

/// A read with a linked timeout, and a write at the very time of it.
fn timeout_and_target(sim: &Arc<Simulated>) {
    let (reader, writer) = sys::pipe();
    let mut ring = ring(sim, 8, 0);
    let (mut buf, time) = ([0; 4], timespec(ms(1)));
    let writer = writes(sim, fd(&writer), b"ab", 1_000_000);
    ring.start(&[
        sqe::read_stream(fd(&reader), &mut buf).data(1).link(),
        sqe::link_timeout(&time, 0).data(2).link(),
        sqe::nop().data(3),
    ]);
    match reap(&mut ring, 3)[..] {
        // A short read breaks the link.
        [(1, 2), (2, ECANCELED), (3, ECANCELED)] => {}
        [(1, ECANCELED), (2, ETIME), (3, ECANCELED)] => {}
        // Fired while its target was on its way out.
        [(1, 2), (2, ENOENT | EALREADY), (3, ECANCELED)] => {}
        ref other => panic!("{other:?}"),
    }
    writer.join();
}

#[test]
fn a_linked_timeout_and_its_target_end_once_each() {
    thoroughly(2, timeout_and_target);
}

/// The same with a target at a worker, which cannot be stopped once it runs.
fn timeout_and_worker(sim: &Arc<Simulated>) {
    let file = sys::file_with(b"1234");
    let mut ring = ring(sim, 8, 0);
    let (mut buf, time) = ([0; 4], timespec(std::time::Duration::from_micros(20)));
    ring.start(&[
        sqe::read(fd(&file), &mut buf, 0).data(1).with(IOSQE_ASYNC).link(),
        sqe::link_timeout(&time, 0).data(2).link(),
        sqe::nop().data(3),
    ]);
    match reap(&mut ring, 3)[..] {
        [(1, 4), (2, ECANCELED | EALREADY | ENOENT), (3, 0)] => {}
        [(1, ECANCELED), (2, ETIME), (3, ECANCELED)] => {}
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn a_linked_timeout_and_a_worker_end_once_each() {
    thoroughly(1, timeout_and_worker);
}

/// A chain whose first member is at a worker while another thread cancels all there is.
fn chain_and_cancel(sim: &Arc<Simulated>) {
    let file = sys::file_with(b"1234");
    let mut ring = ring(sim, 8, 0);
    let mut bufs = [[0; 4]; 2];
    let [first, second] = &mut bufs;
    let (other, ring_fd) = (Arc::clone(sim), ring.fd);
    let canceller = spawn("cancels all", move || {
        let flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
        let mut what = SyncCancelReg { fd: -1, flags, ..SyncCancelReg::default() };
        what.timeout = Timespec { tv_sec: -1, tv_nsec: -1 };
        let at = std::ptr::from_mut(&mut what) as u64;
        let got = other.register(ring_fd, RegisterOp::SyncCancel as u32, at, 1);
        assert!(matches!(got, Ok(0..=1) | Err(Errno::ENOENT)), "{got:?}");
    });
    ring.start(&[
        sqe::read(fd(&file), first, 0).data(1).with(IOSQE_ASYNC).link(),
        sqe::read(fd(&file), second, 0).data(2).with(IOSQE_ASYNC).link(),
        sqe::nop().data(3),
    ]);
    let got = reap(&mut ring, 3);
    let allowed: &[[i32; 3]] = &[[4, 4, 0], [ECANCELED; 3], [4, ECANCELED, ECANCELED]];
    let results = [got[0].1, got[1].1, got[2].1];
    assert!(allowed.contains(&results), "{got:?}");
    canceller.join();
}

#[test]
fn a_chain_goes_on_or_is_cancelled_from_one_member_on() {
    thoroughly(1, chain_and_cancel);
}

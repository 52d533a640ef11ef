//! Linked timeouts against their targets, chains against cancels.

use crate::*;
use ringfence_conformance::sqe::{self, SqeExt};
use ringfence_conformance::sys::{fd, ms};
use ringfence_conformance::timespec;
use ringfence_host::Clock;

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
    exhaustively(1, timeout_and_target);
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
    exhaustively(1, timeout_and_worker);
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
    exhaustively(1, chain_and_cancel);
}

/// A timeout that counts completions heads a chain whose next member counts them too: the second is
/// armed when the first is done, after the completion that it waited for is posted.
fn counted_chain(sim: &Arc<Simulated>) {
    let mut ring = ring(sim, 8, 0);
    let far = timespec(ms(3_600_000));
    ring.start(&[
        sqe::timeout(&far, 1, 0).data(1).link(),
        sqe::timeout(&far, 1, 0).data(2),
        sqe::nop().data(3),
    ]);
    assert_eq!(reap(&mut ring, 2), [(1, 0), (3, 0)]);
    ring.start(&[sqe::nop().data(4)]);
    assert_eq!(reap(&mut ring, 2), [(2, 0), (4, 0)]);
}

#[test]
fn a_counted_timeout_arms_the_next() {
    exhaustively(1, counted_chain);
}

/// The time of a linked timeout is changed while its target is on its way to a worker, or at it: the
/// timeout ends with its target all the same, and not at its new time.
fn update_and_worker(sim: &Arc<Simulated>) {
    let file = sys::file_with(b"1234");
    let mut ring = ring(sim, 8, 0);
    let (mut buf, far, farther) = ([0; 4], timespec(ms(3_600_000)), timespec(ms(7_200_000)));
    ring.start(&[
        sqe::read(fd(&file), &mut buf, 0).data(1).with(IOSQE_ASYNC).link(),
        sqe::link_timeout(&far, 0).data(2),
    ]);
    ring.start(&[sqe::timeout_update(2, &farther, 0).op_flags(IORING_LINK_TIMEOUT_UPDATE).data(3)]);
    let got = reap(&mut ring, 3);
    assert_eq!(got[..2], [(1, 4), (2, ECANCELED)], "{got:?}");
    assert!(matches!(got[2], (3, 0 | ENOENT)), "{got:?}");
}

#[test]
fn an_updated_timeout_ends_with_its_target() {
    exhaustively(1, update_and_worker);
}

/// A linked timeout ends with its target; what is parked in its place, and waits beyond its time, is
/// not taken for it.
fn timer_gone(sim: &Arc<Simulated>) {
    let pipes = [sys::pipe(), sys::pipe()];
    let mut ring = ring(sim, 8, 0);
    let (mut buf, soon, later) = ([0; 4], timespec(ms(1000)), timespec(ms(2000)));
    ring.start(&[
        sqe::read_stream(fd(&pipes[0].0), &mut buf).data(1).link(),
        sqe::link_timeout(&soon, 0).data(2),
    ]);
    writes(sim, fd(&pipes[0].1), b"ab", 0).join();
    assert_eq!(reap(&mut ring, 2), [(1, 2), (2, ECANCELED)]);
    let poll = |n: u64| sqe::poll_add(fd(&pipes[1].0), libc::POLLIN).data(n);
    ring.start(&[poll(3), poll(4), sqe::timeout(&later, 0, 0).data(5)]);
    assert_eq!(reap(&mut ring, 1), [(5, ETIME)]);
    let writer = writes(sim, fd(&pipes[1].1), b"ab", 0);
    let ready = i32::from(libc::POLLIN);
    assert_eq!(reap(&mut ring, 2), [(3, ready), (4, ready)]);
    writer.join();
}

#[test]
fn a_timer_that_is_gone_fires_on_nobody() {
    exhaustively(1, timer_gone);
}

/// Timers come and go by the hundred while one is armed all along.
fn many_timers(sim: &Arc<Simulated>) {
    let mut ring = ring(sim, 8, 0);
    let (soon, far) = (timespec(ms(10_000)), timespec(ms(3_600_000)));
    ring.start(&[sqe::timeout(&soon, 0, 0).data(1000)]);
    for n in 1..=150 {
        ring.start(&[sqe::timeout(&far, 0, 0).data(n), sqe::timeout_remove(n).data(0)]);
        assert_eq!(reap(&mut ring, 2), [(0, 0), (n, ECANCELED)]);
    }
    assert_eq!(reap(&mut ring, 1), [(1000, ETIME)]);
}

#[test]
fn a_timer_outlives_hundreds_that_are_removed() {
    explored(Strategy::Random { seed: 1, runs: 2 }, Faults::default(), many_timers);
}

/// A target is tried again and waits on: its timeout began when it first waited, and goes on.
fn retried_target(sim: &Arc<Simulated>) {
    let (reader, writer) = sys::stream_pair();
    let mut ring = ring(sim, 8, 0);
    let (mut buf, time) = ([0; 4], timespec(ms(1000)));
    let begin = sim.host.now(Clock::Monotonic);
    ring.start(&[
        sqe::recv(fd(&reader), &mut buf, libc::MSG_WAITALL).data(1).link(),
        sqe::link_timeout(&time, 0).data(2),
    ]);
    let writer = writes(sim, fd(&writer), b"ab", 900_000_000);
    let got = reap(&mut ring, 2);
    let took = sim.host.now(Clock::Monotonic) - begin;
    assert!(took < 1_500_000_000, "the timeout began anew: {took} ns");
    assert!(matches!(got[..], [(1, 2 | ECANCELED), (2, ETIME)]), "{got:?}");
    writer.join();
}

#[test]
fn a_linked_timeout_goes_on_when_its_target_is_retried() {
    exhaustively(1, retried_target);
}

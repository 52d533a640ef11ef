//! Completions that do not fit, flushed while others are posted.

use crate::*;
use ringfence_conformance::sqe::{self, SqeExt};
use ringfence_conformance::sys::fd;

/// Messages from another ring's thread into a full queue, nops of its own, and flushes between.
fn messages_and_flushes(sim: &Arc<Simulated>) {
    let mut target = ring(sim, 1, 0);
    let (other, target_fd) = (Arc::clone(sim), target.fd);
    let sender = spawn("sender", move || {
        let mut mine = ring(&other, 4, 0);
        let message = |n: u64| sqe::msg_ring(target_fd, n as u32, 100 + n, 0).data(n);
        mine.start(&[message(1), message(2), message(3)]);
        assert_eq!(reap(&mut mine, 3), [(1, 0), (2, 0), (3, 0)]);
    });
    for n in 1..=3 {
        target.start(&[sqe::nop().data(n)]);
    }
    let mut got = Vec::new();
    while got.len() < 6 {
        target.enter(0, 1, IORING_ENTER_GETEVENTS).expect("enter");
        got.extend(target.cqes().iter().map(|cqe| cqe.user_data));
    }
    sender.join();
    for poster in [[1, 2, 3], [101, 102, 103]] {
        let seen: Vec<u64> = got.iter().copied().filter(|data| poster.contains(data)).collect();
        assert_eq!(seen, poster, "order or count: {got:?}");
    }
    assert_eq!(target.sq_flags() & IORING_SQ_CQ_OVERFLOW, 0);
    assert_eq!((target.ready(), target.overflow()), (0, 0));
}

#[test]
fn what_overflows_comes_once_and_in_order() {
    exhaustively(1, messages_and_flushes);
}

/// Workers post into a full queue while two threads wait, one of which takes.
fn workers_and_flushes(sim: &Arc<Simulated>) {
    let file = sys::file_with(b"1234");
    let params = Params { flags: IORING_SETUP_CQSIZE, cq_entries: 4, ..Params::default() };
    let mut ring = Ring::new(&**sim, 4, params).expect("a ring");
    // Leaves room for two.
    ring.start(&[sqe::nop().data(8), sqe::nop().data(9)]);
    let mut bufs = [[0; 4]; 4];
    let reads: Vec<Sqe> = (1..)
        .zip(&mut bufs)
        .map(|(n, buf)| sqe::read(fd(&file), buf, 0).data(n).with(IOSQE_ASYNC))
        .collect();
    ring.start(&reads);
    let waiter = waits(sim, ring.fd, 1);
    let mut got = Vec::new();
    while got.len() < 6 {
        ring.enter(0, 1, IORING_ENTER_GETEVENTS).expect("enter");
        // The last stays, for whoever waits still.
        if got.len() + ring.ready() as usize == 6 {
            waiter.join();
            got.extend(ring.cqes());
            break;
        }
        got.extend(ring.cqe());
    }
    let mut seen: Vec<u64> = got.iter().map(|cqe| cqe.user_data).collect();
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3, 4, 8, 9]);
}

#[test]
fn workers_that_overflow_lose_nothing() {
    thoroughly(1, workers_and_flushes);
}

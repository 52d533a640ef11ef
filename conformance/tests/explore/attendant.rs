//! The attendant: rings that nobody waits on, and its coming and going.

use crate::*;
use ringfence_conformance::sqe::{self, SqeExt};
use ringfence_conformance::sys::{fd, ms};
use ringfence_conformance::timespec;
use ringfence_host::Clock;
use ringfence_sim::{point, sleep};

/// Looks at the queue, without a call, until `count` completions have come.
fn watch(ring: &mut Ring, count: usize) -> Vec<(u64, i32)> {
    let mut got = Vec::new();
    for _ in 0..1000 {
        got.extend(ring.cqes().iter().map(|cqe| (cqe.user_data, cqe.res)));
        if got.len() >= count {
            return got;
        }
        sleep(100_000);
    }
    panic!("nobody drives the ring: {got:?}");
}

/// A read ends without a call; then, when the attendant may have ended, another one.
fn unattended(sim: &Arc<Simulated>) {
    let (reader, writer) = sys::pipe();
    let mut ring = ring(sim, 8, 0);
    let mut buf = [0; 4];
    for n in 1..=2 {
        ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(n)]);
        let writer = writes(sim, fd(&writer), b"ab", 0);
        assert_eq!(watch(&mut ring, 1), [(n, 2)]);
        writer.join();
        // It ends after a second without a ring.
        sleep([10_000, 999_000_000, 1_000_000_000, 1_001_000_000][ringfence_sim::choose(4)]);
    }
}

#[test]
fn a_ring_that_nobody_waits_on_is_driven() {
    thoroughly(1, unattended);
}

/// A timer fires without a call, while the program comes by from time to time.
fn visited(sim: &Arc<Simulated>) {
    let mut ring = ring(sim, 8, 0);
    ring.start(&[sqe::timeout(&timespec(ms(2)), 0, 0).data(1)]);
    for n in 2..=4 {
        sleep(40_000);
        ring.start(&[sqe::nop().data(n)]);
        point("visited");
    }
    let got = watch(&mut ring, 4);
    assert!(got.contains(&(1, ETIME)), "{got:?}");
}

#[test]
fn a_timer_of_a_ring_that_is_visited_fires() {
    exhaustively(1, visited);
}

/// The submission thread goes to sleep while the program submits.
fn submission_thread(sim: &Arc<Simulated>) {
    let params = Params { flags: IORING_SETUP_SQPOLL, sq_thread_idle: 1, ..Params::default() };
    let mut ring = Ring::new(&**sim, 4, params).expect("a ring");
    for n in 1..=2 {
        sleep([0, 900_000, 1_000_000, 1_100_000][ringfence_sim::choose(4)]);
        ring.push(sqe::nop().data(n));
        point("before the tail");
        let count = ring.flush();
        point("after the tail");
        if ring.sq_flags() & IORING_SQ_NEED_WAKEUP != 0 {
            ring.enter(count, 0, IORING_ENTER_SQ_WAKEUP).expect("enter");
        }
        loop {
            if let Some(cqe) = ring.cqe() {
                assert_eq!((cqe.user_data, cqe.res), (n, 0));
                break;
            }
            ring.enter(0, 1, IORING_ENTER_GETEVENTS).expect("enter");
        }
    }
}

#[test]
fn a_submission_thread_hears_what_comes_as_it_falls_asleep() {
    thoroughly(1, submission_thread);
}

/// A ring that holds files is on the attendant's list for good; visits that leave nothing pending
/// must not keep the attendant awake: a spinning thread is a livelock here.
fn holds_files(sim: &Arc<Simulated>) {
    let (reader, writer) = sys::pipe();
    let mut ring = ring(sim, 8, 0);
    assert_eq!(ring.register(RegisterOp::Files, &[fd(&reader)]), Ok(0));
    let mut buf = [0; 4];
    for n in 1..=3 {
        ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(n)]);
        let writer = writes(sim, fd(&writer), b"ab", 0);
        assert_eq!(reap(&mut ring, 1), [(n, 2)]);
        writer.join();
    }
    sleep(1_000_000_000);
}

#[test]
fn a_ring_that_holds_files_leaves_the_attendant_asleep() {
    exhaustively(1, holds_files);
}

/// A waiter that finds what it wants leaves its waker standing; what is pending then must not keep
/// the attendant awake.
fn waker_left_standing(sim: &Arc<Simulated>) {
    let (reader, writer) = sys::pipe();
    let (silent, _writer) = sys::pipe();
    let mut ring = ring(sim, 8, 0);
    let mut buf = [0; 4];
    let thread = writes(sim, fd(&writer), b"ab", 0);
    ring.start(&[
        sqe::read_stream(fd(&reader), &mut buf).data(1),
        sqe::poll_add(fd(&silent), libc::POLLIN).data(2),
    ]);
    let waiter = waits(sim, ring.fd, 1);
    waiter.join();
    thread.join();
    assert_eq!(watch(&mut ring, 1), [(1, 2)]);
    sleep(1_000_000_000);
}

#[test]
fn a_waker_that_is_for_nobody_leaves_the_attendant_asleep() {
    exhaustively(1, waker_left_standing);
}

/// A ring has nothing to drive any more, and then something again, just as the attendant gives it
/// back. One that holds files stays on the list, and the attendant falls asleep; others leave it.
fn parked_as_it_gives_back(sim: &Arc<Simulated>, holds: bool) {
    let (reader, writer) = sys::pipe();
    let mut ring = ring(sim, 8, 0);
    if holds {
        assert_eq!(ring.register(RegisterOp::Files, &[fd(&reader)]), Ok(0));
    }
    let mut buf = [0; 4];
    for n in 1..=3 {
        ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(n)]);
        let writer = writes(sim, fd(&writer), b"ab", 100_000);
        let end = sim.host.now(Clock::Monotonic) + 10_000_000;
        while ring.ready() == 0 {
            // Short, so that the next read comes right after the end of this one.
            sleep(1 + 500 * ringfence_sim::choose(2) as u64);
            assert!(sim.host.now(Clock::Monotonic) < end, "nobody drives the ring");
        }
        assert_eq!(ring.cqe().map(|cqe| (cqe.user_data, cqe.res)), Some((n, 2)));
        writer.join();
    }
}

fn explored_again(body: fn(&Arc<Simulated>)) {
    explored(Strategy::Pct { seed: 1, runs: 200, depth: 3 }, Faults::default(), body);
    explored(Strategy::Random { seed: 2, runs: 200 }, Faults::default(), body);
}

#[test]
fn what_is_parked_as_the_attendant_falls_asleep_is_driven() {
    explored_again(|sim| parked_as_it_gives_back(sim, true));
}

#[test]
fn what_is_parked_as_the_attendant_strikes_a_ring_is_driven() {
    explored_again(|sim| parked_as_it_gives_back(sim, false));
}

/// The attendant is woken for a ring, finds nothing pending, and strikes it from its list, just as the
/// next request is parked: that is driven all the same.
fn parked_as_it_is_struck(sim: &Arc<Simulated>) {
    let (silent, _writer) = sys::pipe();
    let (reader, writer) = sys::pipe();
    let mut ring = ring(sim, 8, 0);
    let poll = |n| sqe::poll_add(fd(&silent), libc::POLLIN).data(n);
    ring.start(&[poll(1)]);
    // It has taken the ring over, and sleeps.
    sleep(1_000_000);
    ring.start(&[poll(2)]);
    ring.start(&[sqe::cancel(1, 0).data(3), sqe::cancel(2, 0).data(4)]);
    assert_eq!(watch(&mut ring, 4).len(), 4);
    sleep(1_000 * (1 + ringfence_sim::choose(4) as u64));
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(5)]);
    let writer = writes(sim, fd(&writer), b"ab", 100_000);
    assert_eq!(watch(&mut ring, 1), [(5, 2)]);
    writer.join();
}

#[test]
fn a_ring_that_is_struck_as_it_has_work_again_is_driven() {
    thoroughly(1, parked_as_it_is_struck);
}

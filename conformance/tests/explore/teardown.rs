//! The end of a ring against all that may be under way on it.

use crate::*;
use ringfence_conformance::sqe::{self, SqeExt};
use ringfence_conformance::sys::{fd, ms};
use ringfence_conformance::timespec;

/// A ring closes with a read, a poll, a timer, a linked timeout, a worker's read and a drained
/// request pending, while another thread makes the read ready.
fn busy_ring(sim: &Arc<Simulated>) {
    let (reader, writer) = sys::pipe();
    let file = sys::file_with(b"1234");
    let (mut buf, mut other) = ([0; 4], [0; 4]);
    let (soon, far) = (timespec(ms(1)), timespec(ms(3_600_000)));
    let writer = {
        let mut ring = ring(sim, 8, 0);
        ring.start(&[
            sqe::read_stream(fd(&reader), &mut buf).data(1).link(),
            sqe::link_timeout(&soon, 0).data(2),
            sqe::poll_add(fd(&reader), libc::POLLIN).data(3),
            sqe::timeout(&far, 0, 0).data(4),
            sqe::read(fd(&file), &mut other, 0).data(5).with(IOSQE_ASYNC).link(),
            sqe::nop().data(6),
            sqe::nop().data(7).with(IOSQE_IO_DRAIN),
        ]);
        let writer = writes(sim, fd(&writer), b"ab", 0);
        drop(ring);
        writer
    };
    sim.reap();
    writer.join();
    // The buffers are a worker's until it is done, as they would be the kernel's.
    ringfence_sim::sleep(1_000_000_000);
}

#[test]
fn a_ring_that_closes_lets_go_of_all() {
    exhaustively(1, busy_ring);
}

/// A thread waits on a ring for what is cancelled when another thread closes and releases it.
fn waiter_in_it(sim: &Arc<Simulated>) {
    let (reader, _writer) = sys::pipe();
    let mut ring = ring(sim, 8, 0);
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
    let (other, ring_fd) = (Arc::clone(sim), ring.fd);
    let waiter = spawn("waiter", move || {
        let got = other.enter(ring_fd, 0, 1, IORING_ENTER_GETEVENTS, 0, 0);
        // Between the word of the close and the close the descriptor is there, and no ring's.
        let refused = [Err(Errno::EBADF), Err(Errno::EOPNOTSUPP)];
        assert!(got == Ok(0) || refused.contains(&got), "{got:?}");
    });
    drop(ring);
    sim.reap();
    waiter.join();
}

#[test]
fn a_waiter_leaves_a_ring_that_ends() {
    exhaustively(1, waiter_in_it);
}

/// Rings come and go in two threads of one process.
fn two_at_once(sim: &Arc<Simulated>) {
    let other = Arc::clone(sim);
    let life = |sim: &Simulated| {
        let (reader, _writer) = sys::pipe();
        let mut ring = ring(sim, 4, 0);
        ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1), sqe::nop().data(2)]);
        assert_eq!(ring.cqes().len(), 1);
    };
    let thread = spawn("other", move || life(&other));
    life(sim);
    thread.join();
}

#[test]
fn rings_come_and_go_in_two_threads() {
    exhaustively(1, two_at_once);
}

/// A ring whose timer nobody waits for ends as the attendant takes it over, for which that makes an epoll
/// set.
fn taken_over_as_it_ends(sim: &Arc<Simulated>) {
    let far = timespec(ms(3_600_000));
    let mut ring = ring(sim, 8, 0);
    ring.start(&[sqe::timeout(&far, 0, 0).data(1)]);
    ringfence_sim::sleep(30_000 + 5_000 * ringfence_sim::choose(8) as u64);
    drop(ring);
    sim.reap();
}

#[test]
fn a_ring_that_ends_as_it_is_taken_over_leaves_nothing() {
    explored(
        Strategy::Pct { seed: 1, runs: 200, depth: 3 },
        Faults::default(),
        taken_over_as_it_ends,
    );
    explored(Strategy::Random { seed: 2, runs: 400 }, Faults::default(), taken_over_as_it_ends);
}

/// While a ring that its program has let go of is torn down by one thread, another asks which descriptors
/// are the engine's, to close all others: those it is not told of must be closed.
fn listed_as_it_ends(sim: &Arc<Simulated>) {
    let (reader, _writer) = sys::pipe();
    let registered = sys::file_with(b"1");
    let mut ring = ring(sim, 8, 0);
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
    assert_eq!(ring.register(RegisterOp::Files, &[fd(&registered)]), Ok(0));
    let bell = sys::eventfd();
    assert_eq!(ring.register(RegisterOp::Eventfd, &[fd(&bell)]), Ok(0));
    assert_eq!(sim.poll(ring.fd, libc::POLLIN, 0), Ok(0));
    let all = sim.private_fds();
    let other = Arc::clone(sim);
    let closer = spawn("closer of all", move || {
        let told = other.private_fds();
        let untold = all.into_iter().filter(|fd| !told.contains(fd));
        let open: Vec<u32> = untold.filter(|fd| sys::is_open(*fd as i32)).collect();
        assert!(open.is_empty(), "{open:?} are the engine's and open, and not told of");
    });
    drop(ring);
    sim.reap();
    closer.join();
}

#[test]
fn descriptors_of_a_ring_that_ends_are_told_of() {
    exhaustively(1, listed_as_it_ends);
}

/// A worker signals a ring that ends: what is opened next may get the numbers of its descriptors, and must
/// hear nothing of that.
fn numbers_used_again(sim: &Arc<Simulated>) {
    let file = sys::file_with(b"1234");
    let mut buf = [0; 4];
    let mut ring = ring(sim, 8, 0);
    assert_eq!(sim.poll(ring.fd, libc::POLLIN, 0), Ok(0));
    ring.start(&[sqe::read(fd(&file), &mut buf, 0).data(1).with(IOSQE_ASYNC)]);
    ringfence_sim::sleep(1_000 * ringfence_sim::choose(60) as u64);
    drop(ring);
    sim.reap();
    let bell = |_| calls::make_private(&Os, calls::eventfd(&Os).expect("eventfd"));
    let bells: Vec<i32> = (0..8).map(bell).collect();
    // The buffer is the worker's until it is done.
    ringfence_sim::sleep(1_000_000_000);
    for bell in bells {
        assert_eq!(calls::poll_now(&Os, bell, libc::POLLIN as u32), Ok(0), "{bell} was signalled");
        calls::close(&Os, bell).expect("close");
    }
}

#[test]
fn a_number_is_signalled_only_while_it_is_the_rings() {
    let pct = Strategy::Pct { seed: 1, runs: 2000, depth: 3 };
    explored(pct, Faults::default(), numbers_used_again);
    explored(Strategy::Random { seed: 2, runs: 2000 }, Faults::default(), numbers_used_again);
}

/// A ring whose thread cannot be had is refused, and gone.
fn no_polling_thread(sim: &Arc<Simulated>) {
    let params = Params { flags: IORING_SETUP_SQPOLL, ..Params::default() };
    match Ring::new(sim.as_ref(), 4, params) {
        Ok(ring) => drop(ring),
        Err(errno) => assert_eq!(errno, Errno::EAGAIN),
    }
}

#[test]
fn a_ring_without_its_thread_leaves_nothing() {
    let faults = Faults { no_thread: 2, ..Faults::default() };
    explored(Strategy::Random { seed: 1, runs: 100 }, faults, no_polling_thread);
}

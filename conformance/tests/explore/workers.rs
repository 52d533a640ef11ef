//! The worker pool: threads that come, idle and end, and jobs that come meanwhile.

use crate::*;
use ringfence_conformance::sqe::{self, SqeExt};
use ringfence_conformance::sys::fd;
use ringfence_host::Clock;

/// An idle worker ends after five seconds: a job that comes at that very time is done all the same.
fn job_as_the_worker_ends(sim: &Arc<Simulated>) {
    let file = sys::file_with(b"1234");
    let mut ring = ring(sim, 8, 0);
    let mut buf = [0; 4];
    for n in 1..=2 {
        ring.start(&[sqe::read(fd(&file), &mut buf, 0).data(n).with(IOSQE_ASYNC)]);
        assert_eq!(reap(&mut ring, 1), [(n, 4)]);
        ringfence_sim::sleep(5_000_000_000 - 20_000 + 10_000 * ringfence_sim::choose(6) as u64);
    }
    assert!(sim.stats().workers <= 1);
    ringfence_sim::sleep(6_000_000_000);
    assert_eq!(sim.stats().workers, 0, "idle workers end");
}

#[test]
fn a_job_that_meets_a_worker_at_its_end_is_done() {
    thoroughly(2, job_as_the_worker_ends);
}

/// A job that comes while a worker falls asleep is done at once, not when the worker's idle time is
/// over.
fn job_as_the_worker_falls_asleep(sim: &Arc<Simulated>) {
    let file = sys::file_with(b"1234");
    let mut ring = ring(sim, 8, 0);
    let mut buf = [0; 4];
    let begin = sim.host.now(Clock::Monotonic);
    for n in 1..=3 {
        ring.start(&[sqe::read(fd(&file), &mut buf, 0).data(n).with(IOSQE_ASYNC)]);
        assert_eq!(reap(&mut ring, 1), [(n, 4)]);
    }
    let took = sim.host.now(Clock::Monotonic) - begin;
    assert!(took < 4_000_000_000, "a job waited for {took} ns");
}

#[test]
fn a_job_that_meets_a_worker_falling_asleep_is_done_at_once() {
    exhaustively(1, job_as_the_worker_falls_asleep);
}

/// More jobs than workers may be.
fn one_worker(sim: &Arc<Simulated>) {
    let file = sys::file_with(b"1234");
    let mut ring = ring(sim, 8, 0);
    let mut limits = [1_u32, 1];
    assert_eq!(ring.register_mut(RegisterOp::IowqMaxWorkers, &mut limits, 2), Ok(0));
    let mut bufs = [[0; 4]; 3];
    let reads: Vec<Sqe> = (1..)
        .zip(&mut bufs)
        .map(|(n, buf)| sqe::read(fd(&file), buf, 0).data(n).with(IOSQE_ASYNC))
        .collect();
    ring.start(&reads);
    ring.start(&[sqe::cancel(2, 0).data(4)]);
    let got = reap(&mut ring, 4);
    assert_eq!((got[0], got[2]), ((1, 4), (3, 4)));
    match (got[1].1, got[3].1) {
        (4, ENOENT | EALREADY) | (ECANCELED, 0) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn jobs_wait_for_their_worker() {
    exhaustively(1, one_worker);
}

/// No thread can be had now and then: jobs are done all the same.
fn no_thread(sim: &Arc<Simulated>) {
    one_worker(sim);
}

#[test]
fn jobs_are_done_without_threads() {
    let faults = Faults { no_thread: 2, ..Faults::default() };
    explored(Strategy::Random { seed: 1, runs: 400 }, faults, no_thread);
}

/// A ring whose submission thread cannot be had is refused, and nothing of it is left.
fn no_submission_thread(sim: &Arc<Simulated>) {
    let params = Params { flags: IORING_SETUP_SQPOLL, sq_thread_idle: 1, ..Params::default() };
    match Ring::new(&**sim, 4, params) {
        Ok(ring) => drop(ring),
        Err(errno) => assert_eq!(errno, Errno::EAGAIN),
    }
}

/// A ring in memory that the program does not have.
fn no_memory_of_the_program(sim: &Arc<Simulated>) {
    let params = Params { flags: IORING_SETUP_NO_MMAP, ..Params::default() };
    assert_eq!(Ring::new(&**sim, 4, params).err(), Some(Errno::EFAULT));
}

#[test]
fn a_refused_ring_leaves_nothing() {
    let random = Strategy::Random { seed: 1, runs: 2 };
    explored(random, Faults::default(), no_memory_of_the_program);
    let faults = Faults { no_thread: 2, ..Faults::default() };
    explored(Strategy::Random { seed: 1, runs: 40 }, faults, no_submission_thread);
}

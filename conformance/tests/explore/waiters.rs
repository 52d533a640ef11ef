//! Threads that wait: each gets what it waits for, and none sleeps on.

use crate::*;
use ringfence_conformance::sqe::{self, SqeExt};
use ringfence_conformance::sys::{fd, ms};
use ringfence_conformance::timespec;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

/// Two threads wait for one and for two completions that come from two writers.
fn two_waiters(sim: &Arc<Simulated>) {
    let pipes = [sys::pipe(), sys::pipe()];
    let mut ring = ring(sim, 8, 0);
    let mut bufs = [[0; 4]; 2];
    let [first, second] = &mut bufs;
    ring.start(&[
        sqe::read_stream(fd(&pipes[0].0), first).data(1),
        sqe::read_stream(fd(&pipes[1].0), second).data(2),
    ]);
    let waiters = [waits(sim, ring.fd, 1), waits(sim, ring.fd, 2)];
    let writers = [0, 1].map(|i| writes(sim, fd(&pipes[i].1), b"ab", 0));
    waiters.into_iter().for_each(ringfence_sim::JoinHandle::join);
    writers.into_iter().for_each(ringfence_sim::JoinHandle::join);
    assert_eq!(reap(&mut ring, 2), [(1, 2), (2, 2)]);
}

#[test]
fn no_waiter_is_forgotten() {
    thoroughly(1, two_waiters);
}

/// The second completion comes only when the waiter for one has left: whoever took its call has to
/// pass it on.
fn one_after_the_other(sim: &Arc<Simulated>) {
    let pipes = [sys::pipe(), sys::pipe()];
    let mut ring = ring(sim, 8, 0);
    let mut bufs = [[0; 4]; 2];
    let [first, second] = &mut bufs;
    ring.start(&[
        sqe::read_stream(fd(&pipes[0].0), first).data(1),
        sqe::read_stream(fd(&pipes[1].0), second).data(2),
    ]);
    let [for_two, for_one] = [2, 1].map(|count| waits(sim, ring.fd, count));
    let writer = writes(sim, fd(&pipes[0].1), b"ab", 10_000);
    for_one.join();
    writer.join();
    let writer = writes(sim, fd(&pipes[1].1), b"ab", 10_000);
    for_two.join();
    writer.join();
    assert_eq!(reap(&mut ring, 2), [(1, 2), (2, 2)]);
}

#[test]
fn a_waiter_for_more_passes_the_call_on() {
    thoroughly(1, one_after_the_other);
}

/// One completion is what both of two threads wait for.
fn one_for_both(sim: &Arc<Simulated>) {
    let (reader, writer) = sys::pipe();
    let mut ring = ring(sim, 8, 0);
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    let waiters = [waits(sim, ring.fd, 1), waits(sim, ring.fd, 1)];
    let writer = writes(sim, fd(&writer), b"ab", 10_000);
    waiters.into_iter().for_each(ringfence_sim::JoinHandle::join);
    writer.join();
    assert_eq!(reap(&mut ring, 1), [(1, 2)]);
}

#[test]
fn two_waiters_leave_with_one_completion() {
    thoroughly(1, one_for_both);
}

/// A timer is armed by one thread while another sleeps in the ring with none.
fn timer_for_a_sleeper(sim: &Arc<Simulated>) {
    let mut ring = ring(sim, 8, 0);
    let waiter = waits(sim, ring.fd, 1);
    ring.start(&[sqe::timeout(&timespec(ms(1)), 0, 0).data(1)]);
    waiter.join();
    assert_eq!(reap(&mut ring, 1), [(1, ETIME)]);
}

#[test]
fn a_sleeper_hears_of_a_new_timer() {
    exhaustively(1, timer_for_a_sleeper);
}

/// The owner of a deferring ring waits for what workers do.
fn deferred(sim: &Arc<Simulated>) {
    let file = sys::file_with(b"1234");
    let flags = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER;
    let mut ring = ring(sim, 8, flags);
    let mut bufs = [[0; 4]; 2];
    let [first, second] = &mut bufs;
    ring.start(&[
        sqe::read(fd(&file), first, 0).data(1).with(IOSQE_ASYNC),
        sqe::read(fd(&file), second, 0).data(2).with(IOSQE_ASYNC),
    ]);
    assert_eq!(ring.ready(), 0, "posted outside of its owner's call");
    assert_eq!(reap(&mut ring, 2), [(1, 4), (2, 4)]);
}

#[test]
fn an_owner_hears_of_its_task_work() {
    thoroughly(1, deferred);
}

/// Two rings send each other messages at once: no lock is waited for in a circle.
fn crossed_messages(sim: &Arc<Simulated>) {
    let mut mine = ring(sim, 4, 0);
    let (other, my_fd) = (Arc::clone(sim), mine.fd);
    let number = Arc::new(AtomicI32::new(-1));
    let told = Arc::clone(&number);
    let sender = spawn("sender", move || {
        let mut theirs = ring(&other, 4, 0);
        told.store(theirs.fd, SeqCst);
        theirs.start(&[sqe::msg_ring(my_fd, 5, 9, 0).data(1)]);
        assert_eq!(reap(&mut theirs, 2), [(1, 0), (8, 6)]);
    });
    while number.load(SeqCst) < 0 {
        ringfence_sim::sleep(1000);
    }
    let their_fd = number.load(SeqCst);
    mine.start(&[sqe::msg_ring(their_fd, 6, 8, 0).data(1)]);
    assert_eq!(reap(&mut mine, 2), [(1, 0), (9, 5)]);
    sender.join();
}

#[test]
fn messages_that_cross_do_not_lock_each_other_out() {
    exhaustively(1, crossed_messages);
}

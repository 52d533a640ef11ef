//! SQPOLL: a thread of the ring consumes the submission queue.

use crate::prelude::*;

fn polled(t: &dyn Target, idle_ms: u32) -> std::result::Result<Ring<'_>, Skip> {
    let flags = IORING_SETUP_SQPOLL;
    t.ring_from(8, Params { flags, sq_thread_idle: idle_ms, ..Params::default() })
}

/// Publishes what was pushed and wakes the thread if it sleeps, as liburing does.
fn submit(ring: &mut Ring) {
    ring.flush();
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    if ring.sq_flags() & IORING_SQ_NEED_WAKEUP != 0 {
        let pending = ring.flush();
        assert!(ring.enter(pending, 0, IORING_ENTER_SQ_WAKEUP).is_ok());
    }
}

// Entries are consumed without a system call.
ring_test!(consumes_without_a_call, |t| {
    let mut ring = polled(t, 2000)?;
    ring.push(sqe::nop().data(1));
    submit(&mut ring);
    eventually("the nop completes", || ring.ready() == 1);
    ring.push(sqe::nop().data(2));
    ring.flush();
    eventually("the second completes without a call", || ring.ready() == 2);
    assert_eq!(pairs(&ring.cqes()), [(1, 0), (2, 0)]);
});

// When idle it sleeps, and says so; a wake-up makes it go on.
ring_test!(sleeps_and_is_woken, |t| {
    let mut ring = polled(t, 50)?;
    eventually("it sleeps", || ring.sq_flags() & IORING_SQ_NEED_WAKEUP != 0);
    ring.push(sqe::nop().data(1));
    ring.flush();
    assert_eq!(ring.settle(ms(20)), []);
    assert_eq!(ring.enter(1, 0, IORING_ENTER_SQ_WAKEUP), Ok(1));
    eventually("the nop completes", || ring.ready() == 1);
});

// It sleeps about as long after the last entry as it was told to.
ring_test!(idle_time, |t| {
    let mut ring = polled(t, 100)?;
    ring.push(sqe::nop());
    submit(&mut ring);
    eventually("the nop completes", || ring.ready() == 1);
    let start = Instant::now();
    eventually("it sleeps", || ring.sq_flags() & IORING_SQ_NEED_WAKEUP != 0);
    let took = start.elapsed();
    assert!(took >= ms(80) && took < ms(1500), "{took:?}");
});

// Reads and writes go through it, with plain descriptors and registered ones.
ring_test!(reads_and_writes, |t| {
    let mut ring = polled(t, 500)?;
    let file = sys::file_with(b"1234");
    assert_eq!(ring.register(RegisterOp::Files, &[fd(&file)]), Ok(0));
    let mut buf = [0; 4];
    ring.push(sqe::read(fd(&file), &mut buf, 0).data(1).link());
    ring.push(sqe::write(0, b"5678", 4).fixed(0).data(2));
    submit(&mut ring);
    assert_eq!(pairs(&ring.wait_n(2)), [(1, 4), (2, 4)]);
    assert_eq!(&buf, b"1234");
});

// SQ_WAIT returns once there is room in the submission queue.
ring_test!(waits_for_room, |t| {
    let mut ring = polled(t, 500)?;
    for _ in 0..20 {
        (0..8).for_each(|i| ring.push(sqe::nop().data(i)));
        submit(&mut ring);
        assert!(ring.enter(0, 0, IORING_ENTER_SQ_WAIT).is_ok());
        let room = ring.sq_room();
        assert!(room > 0, "no room after SQ_WAIT");
        eventually("all are consumed", || ring.sq_room() == 8);
        ring.wait_n(8);
    }
});

// A wait for completions works as on any ring.
ring_test!(waits_for_completions, |t| {
    let mut ring = polled(t, 500)?;
    let ts = timespec(ms(20));
    ring.push(sqe::timeout(&ts, 0, 0).data(1));
    submit(&mut ring);
    assert_eq!(pairs(&ring.wait_n(1)), [(1, ETIME)]);
});

// A bad index is counted as dropped.
ring_test!(invalid_index, |t| {
    let mut ring = polled(t, 500)?;
    ring.push(sqe::nop());
    ring.set_index(0, 99);
    submit(&mut ring);
    eventually("it is dropped", || ring.dropped() == 1);
    assert_eq!(ring.ready(), 0);
});

// The thread uses no processor time while it sleeps.
ring_test!(sleeping_uses_no_processor_time, |t| {
    let ring = polled(t, 10)?;
    eventually("it sleeps", || ring.sq_flags() & IORING_SQ_NEED_WAKEUP != 0);
    let before = sys::cpu_time();
    std::thread::sleep(ms(200));
    assert!(sys::cpu_time() - before < ms(50));
});

// Rings with ATTACH_WQ share one thread.
ring_test!(shared_thread, |t| {
    let mut first = polled(t, 200)?;
    let flags = IORING_SETUP_SQPOLL | IORING_SETUP_ATTACH_WQ;
    let params = Params { flags, wq_fd: first.fd as u32, ..Params::default() };
    let mut second = t.ring_from(8, params)?;
    for ring in [&mut first, &mut second] {
        ring.push(sqe::nop().data(5));
        submit(ring);
        assert_eq!(pairs(&ring.wait_n(1)), [(5, 0)]);
    }
});

// Closing the ring ends the thread.
ring_test!(thread_ends_with_the_ring, |t| {
    drop(t.ring(1)?);
    let before = sys::thread_count();
    for _ in 0..5 {
        let mut ring = polled(t, 1000)?;
        ring.push(sqe::nop());
        submit(&mut ring);
        ring.wait_n(1);
    }
    eventually("the threads end", || sys::thread_count() <= before);
});

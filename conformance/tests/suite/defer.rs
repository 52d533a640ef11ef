//! SINGLE_ISSUER, DEFER_TASKRUN, COOP_TASKRUN: who may submit, and when work runs.

use crate::prelude::*;

const SINGLE: u32 = IORING_SETUP_SINGLE_ISSUER;
const DEFER: u32 = SINGLE | IORING_SETUP_DEFER_TASKRUN;
const GETEVENTS: u32 = IORING_ENTER_GETEVENTS;

// A SINGLE_ISSUER ring refuses other threads: submission and registration are -EEXIST.
ring_test!(single_issuer_refuses_others, |t| {
    let mut ring = t.ring_with(8, SINGLE)?;
    ring.push(sqe::nop().data(1));
    ring.flush();
    let ring_fd = ring.fd;
    assert_eq!(sys::on_thread(|| t.enter(ring_fd, 1, 0, 0, 0, 0)), Err(Errno::EEXIST));
    let fds = [-1];
    let register = || t.register(ring_fd, RegisterOp::Files as u32, address(&fds), 1);
    assert_eq!(sys::on_thread(register), Err(Errno::EEXIST));
    assert_eq!(ring.enter(1, 0, 0), Ok(1));
});

// A thread that only waits is let in on a plain SINGLE_ISSUER ring.
ring_test!(single_issuer_lets_others_wait, |t| {
    let mut ring = t.ring_with(8, SINGLE)?;
    ring.start(&[sqe::nop()]);
    let ring_fd = ring.fd;
    assert_eq!(sys::on_thread(|| t.enter(ring_fd, 0, 1, GETEVENTS, 0, 0)), Ok(0));
});

// On a DEFER_TASKRUN ring it is not: -EEXIST.
ring_test!(deferred_refuses_other_waiters, |t| {
    let mut ring = t.ring_with(8, DEFER)?;
    ring.start(&[sqe::nop()]);
    let ring_fd = ring.fd;
    let wait = || t.enter(ring_fd, 0, 1, GETEVENTS, 0, 0);
    assert_eq!(sys::on_thread(wait), Err(Errno::EEXIST));
});

// The owner's death does not free the ring.
ring_test!(owner_is_dead, |t| {
    let ring = sys::on_thread(|| t.ring_with(8, DEFER))?;
    assert_eq!(ring.enter(0, 0, GETEVENTS), Err(Errno::EEXIST));
});

// The owner of a disabled ring is who enables it.
ring_test!(owner_is_who_enables, |t| {
    let mut ring = sys::on_thread(|| t.ring_with(8, SINGLE | IORING_SETUP_R_DISABLED))?;
    assert_eq!(ring.register_raw(RegisterOp::EnableRings, 0, 0), Ok(0));
    assert_eq!(ring.run_one(sqe::nop()), 0);
    let ring_fd = ring.fd;
    ring.push(sqe::nop());
    ring.flush();
    assert_eq!(sys::on_thread(|| t.enter(ring_fd, 1, 0, 0, 0, 0)), Err(Errno::EEXIST));
});

// A deferred ring posts nothing until its owner waits.
ring_test!(deferred_work_waits_for_the_owner, |t| {
    let mut ring = t.ring_with(8, DEFER)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
    writer.write_all(b"1").expect("write");
    std::thread::sleep(ms(20));
    assert_eq!(ring.ready(), 0);
    assert_eq!(ring.enter(0, 0, 0), Ok(0));
    assert_eq!(ring.ready(), 0, "an enter without GETEVENTS does not run it");
    assert_eq!(ring.enter(0, 0, GETEVENTS), Ok(0));
    assert_eq!(pairs(&ring.cqes()), [(1, i32::from(libc::POLLIN))]);
});

// TASKRUN_FLAG shows deferred work in the ring's flags, and lowers the flag once it ran.
ring_test!(deferred_work_shows, |t| {
    let mut ring = t.ring_with(8, DEFER | IORING_SETUP_TASKRUN_FLAG)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
    assert_eq!(ring.sq_flags() & IORING_SQ_TASKRUN, 0);
    writer.write_all(b"1").expect("write");
    let deadline = Instant::now() + ms(5000);
    while ring.sq_flags() & IORING_SQ_TASKRUN == 0 {
        assert!(Instant::now() < deadline, "the flag does not rise");
        std::thread::sleep(ms(1));
    }
    assert_eq!(pairs(&ring.wait_n(1)), [(1, i32::from(libc::POLLIN))]);
    assert_eq!(ring.sq_flags() & IORING_SQ_TASKRUN, 0);
});

// What completes within the submission is posted at once on a deferred ring too.
ring_test!(deferred_ring_posts_inline_completions, |t| {
    let mut ring = t.ring_with(8, DEFER)?;
    ring.start(&[sqe::nop().data(1)]);
    assert_eq!(pairs(&ring.cqes()), [(1, 0)]);
});

// A deferred ring waits, times out and works on sockets as any other.
ring_test!(deferred_ring_works, |t| {
    let mut ring = t.ring_with(8, DEFER)?;
    let (mut a, b) = sys::stream_pair();
    let mut buf = [0; 8];
    let ts = timespec(ms(30));
    ring.start(&[sqe::recv(fd(&b), &mut buf, 0).data(1)]);
    assert_eq!(ring.enter_for(0, 1, GETEVENTS, ms(5)), Err(Errno::ETIME));
    ring.start(&[sqe::timeout(&ts, 0, 0).data(2)]);
    a.write_all(b"1234").expect("write");
    assert_eq!(by_data(&ring.wait_n(2)), [(1, 4), (2, ETIME)]);
});

// Fewer than enough pieces of deferred work do not end the wait; enough do.
ring_test!(deferred_wait_counts, |t| {
    let mut ring = t.ring_with(16, DEFER)?;
    let pipes: Vec<_> = (0..4).map(|_| sys::pipe()).collect();
    let sqes: Vec<Sqe> =
        pipes.iter().map(|pipe| sqe::poll_add(fd(&pipe.0), libc::POLLIN)).collect();
    ring.start(&sqes);
    for pipe in &pipes {
        (&pipe.1).write_all(b"1").expect("write");
    }
    assert_eq!(ring.enter_for(0, 4, GETEVENTS, ms(5000)), Ok(0));
    assert_eq!(ring.cqes().len(), 4);
});

// COOP_TASKRUN: work runs at the next system call of the owner, whichever ring it is for.
ring_test!(cooperative, |t| {
    let mut ring = t.ring_with(8, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
    writer.write_all(b"1").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, i32::from(libc::POLLIN))]);
});

// Many threads share a plain ring: nothing is lost.
ring_test!(plain_ring_is_shared, |t| {
    let mut ring = t.ring(64)?;
    (0..64).for_each(|i| ring.push(sqe::nop().data(i)));
    ring.flush();
    let ring_fd = ring.fd;
    let total: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    (0..16).map(|_| t.enter(ring_fd, 1, 0, 0, 0, 0).expect("enter")).sum::<u32>()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("join")).sum()
    });
    assert_eq!(total, 64);
    let mut data: Vec<u64> = ring.cqes().iter().map(|cqe| cqe.user_data).collect();
    data.sort_unstable();
    assert_eq!(data, (0..64).collect::<Vec<u64>>());
});

//! The registered eventfd: a signal for each completion.

use crate::prelude::*;

fn register(ring: &Ring, op: RegisterOp, file: &std::fs::File) -> Result<u32> {
    ring.register(op, &[fd(file)])
}

/// What another thread posts is seen in the ring a moment before its signal comes.
fn is_signalled(event: &std::fs::File) {
    let deadline = Instant::now() + ms(5000);
    while sys::eventfd_take(event) == 0 {
        assert!(Instant::now() < deadline, "no signal");
        std::thread::sleep(ms(1));
    }
}

// Each batch of completions signals it.
ring_test!(signals, |t| {
    let mut ring = t.ring(8)?;
    let event = sys::eventfd();
    assert_eq!(register(&ring, RegisterOp::Eventfd, &event), Ok(0));
    assert_eq!(sys::eventfd_take(&event), 0);
    ring.run(&[sqe::nop()]);
    assert!(sys::eventfd_take(&event) >= 1);
    assert_eq!(sys::eventfd_take(&event), 0);
});

// It is signalled by completions that come while nobody is in the ring.
ring_test!(signals_without_entering, |t| {
    let mut ring = t.ring(8)?;
    let event = sys::eventfd();
    assert_eq!(register(&ring, RegisterOp::Eventfd, &event), Ok(0));
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN)]);
    assert_eq!(sys::eventfd_take(&event), 0);
    writer.write_all(b"1").expect("write");
    is_signalled(&event);
    assert_eq!(ring.ready(), 1);
});

// EVENTFD_ASYNC signals only for completions that did not happen within the submission.
ring_test!(asynchronous_only, |t| {
    let mut ring = t.ring(8)?;
    let event = sys::eventfd();
    assert_eq!(register(&ring, RegisterOp::EventfdAsync, &event), Ok(0));
    ring.run(&[sqe::nop()]);
    assert_eq!(sys::eventfd_take(&event), 0);
    ring.run(&[sqe::nop().with(IOSQE_ASYNC)]);
    is_signalled(&event);
});

// Twice is -EBUSY; nothing to take back -ENXIO; a bad descriptor -EBADF; no eventfd -EINVAL.
ring_test!(errors, |t| {
    let ring = t.ring(8)?;
    let event = sys::eventfd();
    let unregister = || ring.register_raw(RegisterOp::UnregisterEventfd, 0, 0);
    assert_eq!(unregister(), Err(Errno::ENXIO));
    assert_eq!(ring.register(RegisterOp::Eventfd, &[-1]), Err(Errno::EBADF));
    let file = sys::memory_file();
    assert_eq!(register(&ring, RegisterOp::Eventfd, &file), Err(Errno::EINVAL));
    assert_eq!(ring.register(RegisterOp::Eventfd, &[0, 0]), Err(Errno::EINVAL));
    assert_eq!(register(&ring, RegisterOp::Eventfd, &event), Ok(0));
    assert_eq!(register(&ring, RegisterOp::Eventfd, &event), Err(Errno::EBUSY));
    assert_eq!(register(&ring, RegisterOp::EventfdAsync, &event), Err(Errno::EBUSY));
    assert_eq!(unregister(), Ok(0));
    assert_eq!(register(&ring, RegisterOp::Eventfd, &event), Ok(0));
});

// Once taken back it is silent.
ring_test!(taken_back, |t| {
    let mut ring = t.ring(8)?;
    let event = sys::eventfd();
    assert_eq!(register(&ring, RegisterOp::Eventfd, &event), Ok(0));
    assert_eq!(ring.register_raw(RegisterOp::UnregisterEventfd, 0, 0), Ok(0));
    ring.run(&[sqe::nop()]);
    assert_eq!(sys::eventfd_take(&event), 0);
});

// IORING_CQ_EVENTFD_DISABLED silences it for as long as the flag stands.
ring_test!(disabled_by_flag, |t| {
    let mut ring = t.ring(8)?;
    let event = sys::eventfd();
    assert_eq!(register(&ring, RegisterOp::Eventfd, &event), Ok(0));
    ring.set_cq_flags(IORING_CQ_EVENTFD_DISABLED);
    ring.run(&[sqe::nop()]);
    assert_eq!(sys::eventfd_take(&event), 0);
    ring.set_cq_flags(0);
    ring.run(&[sqe::nop()]);
    assert!(sys::eventfd_take(&event) >= 1);
});

// The ring keeps the eventfd when its descriptor is closed.
ring_test!(outlives_the_descriptor, |t| {
    let mut ring = t.ring(8)?;
    let event = sys::eventfd();
    let copy = event.try_clone().expect("dup");
    let number = sys::release(event);
    assert_eq!(ring.register(RegisterOp::Eventfd, &[number]), Ok(0));
    t.close(number).expect("close");
    ring.run(&[sqe::nop()]);
    assert!(sys::eventfd_take(&copy) >= 1);
});

// A request of the ring may read the ring's own eventfd.
ring_test!(read_by_its_own_ring, |t| {
    let mut ring = t.ring(8)?;
    let event = sys::eventfd();
    assert_eq!(register(&ring, RegisterOp::Eventfd, &event), Ok(0));
    let mut buf = [0; 8];
    ring.start(&[sqe::read_stream(fd(&event), &mut buf).data(1)]);
    ring.start(&[sqe::nop().data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, 8), (2, 0)]);
});

// On a DEFER_TASKRUN ring it fires as soon as work is pending, before anything is posted.
ring_test!(fires_for_deferred_work, |t| {
    let mut ring = t.ring_with(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)?;
    let event = sys::eventfd();
    assert_eq!(register(&ring, RegisterOp::Eventfd, &event), Ok(0));
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
    writer.write_all(b"1").expect("write");
    is_signalled(&event);
    assert_eq!(ring.ready(), 0, "nothing is posted outside of enter");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, i32::from(libc::POLLIN))]);
});

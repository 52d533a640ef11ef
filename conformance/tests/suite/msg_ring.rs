//! Messages between rings.

use crate::prelude::*;

// A message posts a completion on the other ring.
ring_test!(data, |t| {
    let (mut from, mut to) = (t.ring(8)?, t.ring(8)?);
    assert_eq!(from.run_one(sqe::msg_ring(to.fd, 17, 0xfeed, 0).data(1)), 0);
    assert_eq!(to.wait_n(1), [Cqe { user_data: 0xfeed, res: 17, flags: 0 }]);
});

// The result may be any 32-bit number.
ring_test!(any_result, |t| {
    let (mut from, mut to) = (t.ring(8)?, t.ring(8)?);
    assert_eq!(from.run_one(sqe::msg_ring(to.fd, u32::MAX, 5, 0)), 0);
    assert_eq!(pairs(&to.wait_n(1)), [(5, -1)]);
});

// A message to the ring itself arrives as well.
ring_test!(to_itself, |t| {
    let mut ring = t.ring(8)?;
    let ring_fd = ring.fd;
    ring.start(&[sqe::msg_ring(ring_fd, 17, 5, 0).data(1)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, 0), (5, 17)]);
});

// What is no ring is -EBADFD, no descriptor -EBADF, unknown flags or commands -EINVAL.
ring_test!(errors, |t| {
    let (mut from, to) = (t.ring(8)?, t.ring(8)?);
    let file = sys::memory_file();
    assert_eq!(from.run_one(sqe::msg_ring(fd(&file), 1, 1, 0)), EBADFD);
    assert_eq!(from.run_one(sqe::msg_ring(-1, 1, 1, 0)), EBADF);
    assert_eq!(from.run_one(sqe::msg_ring(to.fd, 1, 1, 1 << 20)), EINVAL);
    assert_eq!(from.run_one(Sqe { addr: 99, ..sqe::msg_ring(to.fd, 1, 1, 0) }), EINVAL);
});

// A disabled target is -EBADFD.
ring_test!(disabled_target, |t| {
    let mut from = t.ring(8)?;
    let to = t.ring_with(8, IORING_SETUP_R_DISABLED)?;
    assert_eq!(from.run_one(sqe::msg_ring(to.fd, 1, 1, 0)), EBADFD);
});

// FLAGS_PASS sets the flags of the completion.
ring_test!(flags_pass, |t| {
    let (mut from, mut to) = (t.ring(8)?, t.ring(8)?);
    let flags = IORING_MSG_RING_FLAGS_PASS;
    let message = Sqe { file_index: 0xab00, ..sqe::msg_ring(to.fd, 1, 2, flags) };
    assert_eq!(from.run_one(message), 0);
    assert_eq!(to.wait_n(1), [Cqe { user_data: 2, res: 1, flags: 0xab00 }]);
});

// A full target keeps the message; the sender sees 0.
ring_test!(full_target, |t| {
    let mut from = t.ring(8)?;
    let params = Params { flags: IORING_SETUP_CQSIZE, cq_entries: 2, ..Params::default() };
    let mut to = t.ring_from(2, params)?;
    for data in 0..4 {
        assert_eq!(from.run_one(sqe::msg_ring(to.fd, 1, data, 0)), 0);
    }
    assert_ne!(to.sq_flags() & IORING_SQ_CQ_OVERFLOW, 0);
    assert_eq!(pairs(&to.wait_n(4)), [(0, 1), (1, 1), (2, 1), (3, 1)]);
});

// A waiter on the target is woken.
ring_test!(wakes_a_waiter, |t| {
    let (mut from, mut to) = (t.ring(8)?, t.ring(8)?);
    let target_fd = to.fd;
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| to.wait());
        std::thread::sleep(ms(20));
        assert_eq!(from.run_one(sqe::msg_ring(target_fd, 9, 8, 0)), 0);
        assert_eq!(waiter.join().expect("join").res, 9);
    });
});

// The target's eventfd is signalled.
ring_test!(signals_the_target, |t| {
    let (mut from, to) = (t.ring(8)?, t.ring(8)?);
    let event = sys::eventfd();
    assert_eq!(to.register(RegisterOp::Eventfd, &[fd(&event)]), Ok(0));
    assert_eq!(from.run_one(sqe::msg_ring(to.fd, 1, 1, 0)), 0);
    assert!(sys::eventfd_take(&event) >= 1);
});

/// A message that passes the registered file `from_slot` to `to_slot` of the ring `fd`.
fn send_file(fd: i32, from_slot: u64, to_slot: u32, flags: u32) -> Sqe {
    let message = raw(Op::MsgRing, fd, IORING_MSG_SEND_FD, 0, 77);
    Sqe { addr3: from_slot, ..message }.slot(to_slot).op_flags(flags)
}

// A registered file is passed into a slot of the other ring, with a completion there.
ring_test!(file, |t| {
    let (mut from, mut to) = (t.ring(8)?, t.ring(8)?);
    let file = sys::file_with(b"1234");
    assert_eq!(from.register(RegisterOp::Files, &[fd(&file), -1]), Ok(0));
    assert_eq!(to.register(RegisterOp::Files, &[-1, -1]), Ok(0));
    assert_eq!(from.run_one(send_file(to.fd, 0, 1, 0)), 0);
    assert_eq!(to.wait().user_data, 77);
    assert_eq!(to.run_one(sqe::read(0, &mut [0; 4], 0).fixed(1)), 4);
    assert_eq!(from.run_one(send_file(to.fd, 0, sqe::SLOT_ALLOC, 0)), 0);
    assert_eq!(to.wait().user_data, 77);
});

// CQE_SKIP passes it silently.
ring_test!(file_silently, |t| {
    let (mut from, mut to) = (t.ring(8)?, t.ring(8)?);
    let file = sys::file_with(b"1234");
    assert_eq!(from.register(RegisterOp::Files, &[fd(&file)]), Ok(0));
    assert_eq!(to.register(RegisterOp::Files, &[-1]), Ok(0));
    assert_eq!(from.run_one(send_file(to.fd, 0, 0, IORING_MSG_RING_CQE_SKIP)), 0);
    assert_eq!(to.settle(ms(10)), []);
});

// Errors: an empty slot -EBADF, no table at the target -ENXIO, beyond it -EINVAL, full -ENFILE.
ring_test!(file_errors, |t| {
    let (mut from, to) = (t.ring(8)?, t.ring(8)?);
    let file = sys::file_with(b"1234");
    assert_eq!(from.run_one(send_file(to.fd, 0, 0, 0)), EBADF);
    assert_eq!(from.register(RegisterOp::Files, &[fd(&file), -1]), Ok(0));
    assert_eq!(from.run_one(send_file(to.fd, 1, 0, 0)), EBADF);
    assert_eq!(from.run_one(send_file(to.fd, 0, 0, 0)), ENXIO);
    assert_eq!(to.register(RegisterOp::Files, &[-1]), Ok(0));
    assert_eq!(from.run_one(send_file(to.fd, 0, 5, 0)), EINVAL);
    assert_eq!(from.run_one(send_file(to.fd, 0, sqe::SLOT_ALLOC, 0)), 0);
    assert_eq!(from.run_one(send_file(to.fd, 0, sqe::SLOT_ALLOC, 0)), ENFILE);
    let from_fd = from.fd;
    assert_eq!(from.run_one(send_file(from_fd, 0, 0, 0)), EINVAL);
});

// The registration sends without a ring of one's own.
ring_test!(by_registration, |t| {
    let mut to = t.ring(8)?;
    let message = sqe::msg_ring(to.fd, 3, 4, 0);
    let send = |sqe: &Sqe| t.register(-1, RegisterOp::SendMsgRing as u32, address(sqe), 1);
    t.needs("SEND_MSG_RING", send(&message))?;
    assert_eq!(pairs(&to.wait_n(1)), [(4, 3)]);
    assert_eq!(send(&Sqe { flags: IOSQE_ASYNC, ..message }), Err(Errno::EINVAL));
    assert_eq!(send(&sqe::nop()), Err(Errno::EINVAL));
});

// Two threads bounce messages between their rings.
ring_test!(ping_pong, |t| {
    let (mut one, mut two) = (t.ring(8)?, t.ring(8)?);
    let (one_fd, two_fd) = (one.fd, two.fd);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for round in 0..200 {
                assert_eq!(pairs(&two.wait_n(1)), [(round, 1)]);
                two.push(sqe::msg_ring(one_fd, 2, round, 0).skip());
                assert_eq!(two.submit(), Ok(1));
            }
        });
        for round in 0..200 {
            one.push(sqe::msg_ring(two_fd, 1, round, 0).skip());
            assert_eq!(one.submit(), Ok(1));
            assert_eq!(pairs(&one.wait_n(1)), [(round, 2)]);
        }
    });
});

// The target may be a ring of any kind that another thread has: deferring, polled, with wide entries.
ring_test!(targets_of_all_kinds, |t| {
    let defer = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    for flags in [defer, IORING_SETUP_SQPOLL, IORING_SETUP_CQE32, IORING_SETUP_IOPOLL] {
        let mut to = t.ring_with(8, flags)?;
        let number = to.fd;
        sys::on_thread(|| {
            let mut from = t.ring(8).expect("a ring, as before");
            let sent = [0, 1, 2].map(|data| sqe::msg_ring(number, 3, data, 0));
            assert_eq!(results(&from.run(&sent)), [0, 0, 0], "{flags:#x}");
        });
        assert_eq!(by_data(&to.wait_n(3)), [(0, 3), (1, 3), (2, 3)], "{flags:#x}");
    }
});

// A deferring owner that waits is woken by a message.
ring_test!(wakes_a_deferring_owner, |t| {
    let mut to = t.ring_with(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)?;
    let number = to.fd;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(ms(20));
            let mut from = t.ring(8).expect("a ring, as before");
            assert_eq!(from.run_one(sqe::msg_ring(number, 3, 4, 0)), 0);
        });
        assert_eq!(pairs(&to.wait_n(1)), [(4, 3)]);
    });
});

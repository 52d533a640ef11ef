//! IOSQE_IO_DRAIN: a request that waits for all before it, and holds back all after it.

use crate::prelude::*;

// A drained request waits for every request before it.
ring_test!(waits_for_all_before, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[
        sqe::read_stream(fd(&reader), &mut buf).data(1),
        sqe::nop().data(2),
        sqe::nop().data(3).with(IOSQE_IO_DRAIN),
    ]);
    assert_eq!(pairs(&ring.settle(ms(20))), [(2, 0)]);
    writer.write_all(b"1234").expect("write");
    assert_eq!(pairs(&ring.wait_n(2)), [(1, 4), (3, 0)]);
});

// Requests after a waiting drain wait too, also those of later submissions.
ring_test!(holds_back_all_after, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[
        sqe::read_stream(fd(&reader), &mut buf).data(1),
        sqe::nop().data(2).with(IOSQE_IO_DRAIN),
        sqe::nop().data(3),
    ]);
    ring.start(&[sqe::nop().data(4)]);
    assert_eq!(ring.settle(ms(20)), []);
    writer.write_all(b"1234").expect("write");
    assert_eq!(pairs(&ring.wait_n(4)), [(1, 4), (2, 0), (3, 0), (4, 0)]);
});

// With nothing before it a drained request runs at once.
ring_test!(nothing_before, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(pairs(&ring.run(&[sqe::nop().data(1).with(IOSQE_IO_DRAIN)])), [(1, 0)]);
});

// Several drains run in the order of submission.
ring_test!(several_drains, |t| {
    let mut ring = t.ring(16)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.push(sqe::read_stream(fd(&reader), &mut buf).data(0));
    (1..10).for_each(|i| ring.push(sqe::nop().data(i).with(IOSQE_IO_DRAIN)));
    assert_eq!(ring.submit(), Ok(10));
    assert_eq!(ring.settle(ms(10)), []);
    writer.write_all(b"1234").expect("write");
    let order: Vec<u64> = ring.wait_n(10).iter().map(|cqe| cqe.user_data).collect();
    assert!(order.is_sorted(), "{order:?}");
});

// A drain waits for a whole chain before it.
ring_test!(waits_for_chains, |t| {
    let mut ring = t.ring(8)?;
    let ts = timespec(ms(20));
    let cqes = ring.run(&[
        sqe::timeout(&ts, 0, IORING_TIMEOUT_ETIME_SUCCESS).data(1).link(),
        sqe::nop().data(2),
        sqe::nop().data(3).with(IOSQE_IO_DRAIN),
    ]);
    assert_eq!(pairs(&cqes), [(1, ETIME), (2, 0), (3, 0)]);
});

// A drain in the middle of a chain drains its head, and the first request after the chain.
ring_test!(in_the_middle_of_a_chain, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[
        sqe::read_stream(fd(&reader), &mut buf).data(1),
        sqe::nop().data(2).link(),
        sqe::nop().data(3).link().with(IOSQE_IO_DRAIN),
        sqe::nop().data(4),
        sqe::nop().data(5),
    ]);
    assert_eq!(ring.settle(ms(20)), []);
    writer.write_all(b"1234").expect("write");
    let order: Vec<u64> = ring.wait_n(5).iter().map(|cqe| cqe.user_data).collect();
    assert_eq!(order, [1, 2, 3, 4, 5]);
});

// A drain waits for the last completion of a multishot request.
ring_test!(waits_for_multishot, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_multishot(fd(&reader), libc::POLLIN).data(1)]);
    ring.start(&[sqe::nop().data(2).with(IOSQE_IO_DRAIN)]);
    writer.write_all(b"1").expect("write");
    let cqes = ring.settle(ms(20));
    assert!(cqes.iter().all(|cqe| cqe.user_data == 1) && !cqes.is_empty(), "{cqes:?}");
});

// A ring that has seen CQE_SKIP refuses drains.
ring_test!(refused_after_skip, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[sqe::nop().data(1).skip()]);
    assert_eq!(ring.run_one(sqe::nop().data(2).with(IOSQE_IO_DRAIN)), EOPNOTSUPP);
});

// A drained request that is refused is reported at once.
ring_test!(refused_entry, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    let bad = Sqe { opcode: 0xfe, ..Sqe::default() }.with(IOSQE_IO_DRAIN);
    assert_eq!(ring.run_one(bad.data(2)), EINVAL);
});

// A drained request can be cancelled while it waits, by user_data and with everything else.
ring_test!(cancel_of_a_waiting_drain, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[
        sqe::read_stream(fd(&reader), &mut buf).data(1),
        sqe::nop().data(2).with(IOSQE_IO_DRAIN),
    ]);
    let cancel = SyncCancelReg {
        addr: 2,
        fd: -1,
        timeout: Timespec { tv_sec: -1, tv_nsec: -1 },
        ..SyncCancelReg::default()
    };
    let got = ring.register_raw(RegisterOp::SyncCancel, address(&cancel), 1);
    assert_eq!(got, Err(Errno::ENOENT), "a request held back is not looked at");
    writer.write_all(b"1234").expect("write");
    assert_eq!(pairs(&ring.wait_n(2)), [(1, 4), (2, 0)]);
});

// A drained request with a linked timeout starts the clock when it starts.
ring_test!(with_linked_timeout, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    let ts = timespec(ms(10));
    ring.start(&[
        sqe::read_stream(fd(&reader), &mut buf).data(1),
        sqe::nop().data(2).with(IOSQE_IO_DRAIN).link(),
        sqe::link_timeout(&ts, 0).data(3),
    ]);
    assert_eq!(ring.settle(ms(40)), []);
    writer.write_all(b"1234").expect("write");
    assert_eq!(by_data(&ring.wait_n(3)), [(1, 4), (2, 0), (3, ECANCELED)]);
});

// A drain behind requests that another drain holds back waits for them too.
ring_test!(drain_behind_a_drain, |t| {
    let mut ring = t.ring(16)?;
    let (reader, mut writer) = sys::pipe();
    let (second, mut other) = sys::pipe();
    ring.start(&[
        sqe::poll_add(fd(&reader), libc::POLLIN).data(1),
        sqe::nop().data(2).with(IOSQE_IO_DRAIN),
        sqe::poll_add(fd(&second), libc::POLLIN).data(3),
        sqe::nop().data(4).with(IOSQE_IO_DRAIN),
    ]);
    writer.write_all(b"1").expect("write");
    assert_eq!(pairs(&ring.wait_n(2)), [(1, 1), (2, 0)]);
    assert_eq!(ring.settle(ms(10)), []);
    other.write_all(b"1").expect("write");
    assert_eq!(pairs(&ring.wait_n(2)), [(3, 1), (4, 0)]);
});

//! Links and hard links, chains that fail, and linked timeouts.

use crate::prelude::*;

const FAR: Duration = Duration::from_secs(3600);

/// A file of 4 bytes, from which a read of 8 is short.
fn short_file() -> std::fs::File {
    sys::file_with(b"1234")
}

// Linked requests run one after the other.
ring_test!(runs_in_order, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"");
    let mut buf = [0; 4];
    let cqes = ring.run(&[
        sqe::write(fd(&file), b"data", 0).data(1).link(),
        sqe::read(fd(&file), &mut buf, 0).data(2).link(),
        sqe::write(fd(&file), b"next", 0).data(3),
    ]);
    assert_eq!(pairs(&cqes), [(1, 4), (2, 4), (3, 4)]);
    assert_eq!(&buf, b"data");
});

// The second waits for the first, also where that takes long.
ring_test!(waits_for_the_predecessor, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1).link(), sqe::nop().data(2)]);
    assert_eq!(ring.settle(ms(20)), []);
    writer.write_all(b"1234").expect("write");
    assert_eq!(pairs(&ring.wait_n(2)), [(1, 4), (2, 0)]);
});

// Other requests go on beside a chain that waits.
ring_test!(chains_do_not_block_others, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    let read = sqe::read_stream(fd(&reader), &mut buf);
    ring.start(&[read.data(1).link(), sqe::nop().data(2), sqe::nop().data(3)]);
    assert_eq!(pairs(&ring.wait_n(1)), [(3, 0)]);
    writer.write_all(b"1234").expect("write");
    assert_eq!(pairs(&ring.wait_n(2)), [(1, 4), (2, 0)]);
});

// A failure cancels the rest of the chain.
ring_test!(failure_cancels_the_rest, |t| {
    let mut ring = t.ring(8)?;
    let cqes = ring.run(&[
        sqe::nop().data(1).link(),
        sqe::nop_result(-5).data(2).link(),
        sqe::nop().data(3).link(),
        sqe::nop().data(4),
    ]);
    assert_eq!(pairs(&cqes), [(1, 0), (2, -5), (3, ECANCELED), (4, ECANCELED)]);
});

// A short read cancels the rest.
ring_test!(short_read_cancels_the_rest, |t| {
    let mut ring = t.ring(8)?;
    let file = short_file();
    let mut buf = [0; 8];
    let cqes = ring.run(&[sqe::read(fd(&file), &mut buf, 0).data(1).link(), sqe::nop().data(2)]);
    assert_eq!(pairs(&cqes), [(1, 4), (2, ECANCELED)]);
});

// A hard link goes on after a failure and after a short read.
ring_test!(hardlink_goes_on, |t| {
    let mut ring = t.ring(8)?;
    let file = short_file();
    let mut buf = [0; 8];
    let cqes = ring.run(&[
        sqe::nop_result(-5).data(1).hardlink(),
        sqe::read(fd(&file), &mut buf, 0).data(2).hardlink(),
        sqe::nop().data(3),
    ]);
    assert_eq!(pairs(&cqes), [(1, -5), (2, 4), (3, 0)]);
});

// Two chains in one batch fail apart.
ring_test!(chains_are_independent, |t| {
    let mut ring = t.ring(8)?;
    let cqes = ring.run(&[
        sqe::nop_result(-5).data(1).link(),
        sqe::nop().data(2),
        sqe::nop().data(3).link(),
        sqe::nop().data(4),
    ]);
    assert_eq!(by_data(&cqes), [(1, -5), (2, ECANCELED), (3, 0), (4, 0)]);
});

// One bad entry cancels its whole chain, those before it too; all of it is consumed.
ring_test!(refused_entry_cancels_the_whole_chain, |t| {
    let mut ring = t.ring(8)?;
    let bad = Sqe { opcode: 0xfe, ..Sqe::default() };
    let cqes = ring.run(&[
        sqe::nop().data(1).link(),
        sqe::nop().data(2).link(),
        bad.data(3).link(),
        sqe::nop().data(4),
    ]);
    let expected = [(1, ECANCELED), (2, ECANCELED), (3, EINVAL), (4, ECANCELED)];
    assert_eq!(by_data(&cqes), expected);
});

// Hard links do not save a chain with a bad entry.
ring_test!(refused_entry_cancels_hardlinks_too, |t| {
    let mut ring = t.ring(8)?;
    let bad = Sqe { opcode: 0xfe, ..Sqe::default() };
    let cqes =
        ring.run(&[sqe::nop().data(1).hardlink(), bad.data(2).hardlink(), sqe::nop().data(3)]);
    assert_eq!(by_data(&cqes), [(1, ECANCELED), (2, EINVAL), (3, ECANCELED)]);
});

// A chain left open at the end of a submission is closed there.
ring_test!(open_chain_ends_with_the_submission, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[sqe::nop_result(-5).data(1).link()]);
    ring.start(&[sqe::nop().data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, -5), (2, 0)]);
});

// The count given to enter closes it as well.
ring_test!(open_chain_ends_with_the_count, |t| {
    let mut ring = t.ring(8)?;
    ring.push(sqe::nop_result(-5).data(1).link());
    ring.push(sqe::nop().data(2));
    ring.flush();
    assert_eq!(ring.enter(1, 0, 0), Ok(1));
    assert_eq!(ring.enter(1, 0, 0), Ok(1));
    assert_eq!(by_data(&ring.wait_n(2)), [(1, -5), (2, 0)]);
});

// IOSQE_ASYNC within a chain keeps the order.
ring_test!(asynchronous_members, |t| {
    let mut ring = t.ring(16)?;
    let sqes: Vec<Sqe> = (0..8).map(|i| sqe::nop().data(i).with(IOSQE_ASYNC).link()).collect();
    let order: Vec<u64> = ring.run(&sqes).iter().map(|cqe| cqe.user_data).collect();
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 7]);
});

// A chain as long as the ring.
ring_test!(long_chain, |t| {
    let mut ring = t.ring(256)?;
    let sqes: Vec<Sqe> = (0..256).map(|i| sqe::nop().data(i).link()).collect();
    let order: Vec<u64> = ring.run(&sqes).iter().map(|cqe| cqe.user_data).collect();
    assert!(order.is_sorted() && order.len() == 256);
});

// Cancelling the head cancels the chain.
ring_test!(cancelled_head, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1).link(), sqe::nop().data(2)]);
    ring.start(&[sqe::cancel(1, 0).data(3)]);
    assert_eq!(by_data(&ring.wait_n(3)), [(1, ECANCELED), (2, ECANCELED), (3, 0)]);
});

// A hard-linked successor runs although its head was cancelled.
ring_test!(cancelled_head_of_hardlink, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1).hardlink(), sqe::nop().data(2)]);
    ring.start(&[sqe::cancel(1, 0).data(3)]);
    assert_eq!(by_data(&ring.wait_n(3)), [(1, ECANCELED), (2, 0), (3, 0)]);
});

// A linked timeout that fires cancels its target and breaks the chain.
ring_test!(timeout_fires, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    let mut buf = [0; 4];
    let ts = timespec(ms(20));
    let cqes = ring.run(&[
        sqe::read_stream(fd(&reader), &mut buf).data(1).link(),
        sqe::link_timeout(&ts, 0).data(2).link(),
        sqe::nop().data(3),
    ]);
    assert_eq!(by_data(&cqes), [(1, ECANCELED), (2, ETIME), (3, ECANCELED)]);
});

// A target that is done first cancels its timeout, and the chain goes on.
ring_test!(timeout_is_outrun, |t| {
    let mut ring = t.ring(8)?;
    let far = timespec(FAR);
    let cqes = ring.run(&[
        sqe::nop().data(1).link(),
        sqe::link_timeout(&far, 0).data(2).link(),
        sqe::nop().data(3),
    ]);
    assert_eq!(by_data(&cqes), [(1, 0), (2, ECANCELED), (3, 0)]);
});

// A target that has to wait and is done in time cancels its timeout.
ring_test!(timeout_is_outrun_later, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    let far = timespec(FAR);
    ring.start(&[
        sqe::read_stream(fd(&reader), &mut buf).data(1).link(),
        sqe::link_timeout(&far, 0).data(2),
    ]);
    assert_eq!(ring.settle(ms(10)), []);
    writer.write_all(b"1234").expect("write");
    assert_eq!(by_data(&ring.wait_n(2)), [(1, 4), (2, ECANCELED)]);
});

// A linked timeout's clock starts when its target starts, not at the submission.
ring_test!(timeout_starts_with_its_target, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    let mut buf = [0; 4];
    let (first, second) = (timespec(ms(60)), timespec(ms(40)));
    let start = Instant::now();
    let cqes = ring.run(&[
        sqe::timeout(&first, 0, IORING_TIMEOUT_ETIME_SUCCESS).data(1).link(),
        sqe::read_stream(fd(&reader), &mut buf).data(2).link(),
        sqe::link_timeout(&second, 0).data(3),
    ]);
    assert_eq!(by_data(&cqes), [(1, ETIME), (2, ECANCELED), (3, ETIME)]);
    assert!(start.elapsed() >= ms(100), "after {:?}", start.elapsed());
});

// A linked timeout without a target is -EINVAL.
ring_test!(timeout_alone, |t| {
    let mut ring = t.ring(8)?;
    let ts = timespec(ms(1));
    assert_eq!(ring.run_one(sqe::link_timeout(&ts, 0)), EINVAL);
});

// So is one at the head of a chain, which dies.
ring_test!(timeout_at_the_head, |t| {
    let mut ring = t.ring(8)?;
    let ts = timespec(ms(1));
    let cqes = ring.run(&[sqe::link_timeout(&ts, 0).data(1).link(), sqe::nop().data(2)]);
    assert_eq!(by_data(&cqes), [(1, EINVAL), (2, ECANCELED)]);
});

// So is one that follows another.
ring_test!(timeout_after_timeout, |t| {
    let mut ring = t.ring(8)?;
    let ts = timespec(ms(1));
    let cqes = ring.run(&[
        sqe::nop().data(1).link(),
        sqe::link_timeout(&ts, 0).data(2).link(),
        sqe::link_timeout(&ts, 0).data(3),
    ]);
    assert_eq!(by_data(&cqes), [(1, ECANCELED), (2, ECANCELED), (3, EINVAL)]);
});

// An error in its fields: it gives -EINVAL and its target -ECANCELED.
ring_test!(timeout_with_bad_fields, |t| {
    let mut ring = t.ring(8)?;
    let ts = timespec(ms(1));
    let bad = Sqe { len: 2, ..sqe::link_timeout(&ts, 0) };
    let cqes = ring.run(&[sqe::nop().data(1).link(), bad.data(2)]);
    assert_eq!(by_data(&cqes), [(1, ECANCELED), (2, EINVAL)]);
    let bad = Sqe { addr: BAD_ADDRESS, ..sqe::link_timeout(&ts, 0) };
    let cqes = ring.run(&[sqe::nop().data(1).link(), bad.data(2)]);
    assert_eq!(by_data(&cqes), [(1, ECANCELED), (2, EFAULT)]);
});

// An absolute linked timeout.
ring_test!(timeout_absolute, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    let until = sys::clock(libc::CLOCK_MONOTONIC) + ms(20);
    let ts = timespec(until);
    let cqes = ring.run(&[
        sqe::poll_add(fd(&reader), libc::POLLIN).data(1).link(),
        sqe::link_timeout(&ts, IORING_TIMEOUT_ABS).data(2),
    ]);
    assert_eq!(by_data(&cqes), [(1, ECANCELED), (2, ETIME)]);
    assert!(sys::clock(libc::CLOCK_MONOTONIC) >= until);
});

// A linked timeout is updated by LINK_TIMEOUT_UPDATE only.
ring_test!(timeout_update, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    let (far, soon) = (timespec(FAR), timespec(ms(10)));
    ring.start(&[
        sqe::poll_add(fd(&reader), libc::POLLIN).data(1).link(),
        sqe::link_timeout(&far, 0).data(2),
    ]);
    assert_eq!(ring.run_one(sqe::timeout_update(2, &soon, 0).data(3)), ENOENT);
    let update = sqe::timeout_update(2, &soon, IORING_LINK_TIMEOUT_UPDATE);
    ring.start(&[update.data(4)]);
    assert_eq!(by_data(&ring.wait_n(3)), [(1, ECANCELED), (2, ETIME), (4, 0)]);
});

// A linked timeout bounds a request that a hard link started.
ring_test!(timeout_after_hardlink, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    let ts = timespec(ms(10));
    let cqes = ring.run(&[
        sqe::nop_result(-5).data(1).hardlink(),
        sqe::poll_add(fd(&reader), libc::POLLIN).data(2).link(),
        sqe::link_timeout(&ts, 0).data(3),
    ]);
    assert_eq!(by_data(&cqes), [(1, -5), (2, ECANCELED), (3, ETIME)]);
});

// Cancelling the target cancels its linked timeout.
ring_test!(timeout_of_cancelled_target, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    let far = timespec(FAR);
    ring.start(&[
        sqe::poll_add(fd(&reader), libc::POLLIN).data(1).link(),
        sqe::link_timeout(&far, 0).data(2),
    ]);
    ring.start(&[sqe::cancel(1, 0).data(3)]);
    assert_eq!(by_data(&ring.wait_n(3)), [(1, ECANCELED), (2, ECANCELED), (3, 0)]);
});

// Many chains with timeouts that race their targets: each member completes exactly once.
ring_test!(timeouts_race_their_targets, |t| {
    let mut ring = t.ring(64)?;
    let ts = timespec(Duration::from_micros(50));
    for round in 0..50_u64 {
        let (reader, mut writer) = sys::pipe();
        let mut bufs = [[0_u8; 1]; 8];
        for (i, buf) in (0..8).zip(&mut bufs) {
            ring.push(sqe::read_stream(fd(&reader), buf).data(i * 2).link());
            ring.push(sqe::link_timeout(&ts, 0).data(i * 2 + 1));
        }
        assert_eq!(ring.submit(), Ok(16));
        std::thread::sleep(Duration::from_micros(round * 4));
        writer.write_all(&[1; 8]).expect("write");
        let got = by_data(&ring.wait_n(16));
        for pair in got.chunks(2) {
            let outcome = (pair[0].1, pair[1].1);
            // The timeout that finds its target just done reports what its cancel gave.
            let is_known = matches!(outcome, (1, ECANCELED | ENOENT | EALREADY | ETIME))
                || outcome == (ECANCELED, ETIME);
            assert!(is_known, "target and timeout: {outcome:?}");
        }
        assert_eq!(ring.settle(ms(0)), []);
    }
});

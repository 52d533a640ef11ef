//! Timeouts: by time, by count, repeated, removed, changed.

use crate::prelude::*;

/// Long enough never to expire in a test.
const FAR: Duration = Duration::from_secs(3600);

// A timeout gives -ETIME, and not before its time.
ring_test!(expires, |t| {
    let mut ring = t.ring(8)?;
    let start = Instant::now();
    let cqes = ring.run(&[sqe::timeout(&timespec(ms(30)), 0, 0).data(1)]);
    assert_eq!(cqes, [Cqe { user_data: 1, res: ETIME, flags: 0 }]);
    assert!(start.elapsed() >= ms(30), "after {:?}", start.elapsed());
});

// A timeout of zero expires at once.
ring_test!(zero, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(sqe::timeout(&timespec(ms(0)), 0, 0)), ETIME);
});

// Timeouts expire in the order of their times, not of their submission.
ring_test!(order_of_time, |t| {
    let mut ring = t.ring(8)?;
    let times = [90, 30, 60].map(|time| timespec(ms(time)));
    ring.start(&[
        sqe::timeout(&times[0], 0, 0).data(90),
        sqe::timeout(&times[1], 0, 0).data(30),
        sqe::timeout(&times[2], 0, 0).data(60),
    ]);
    assert_eq!(pairs(&ring.wait_n(3)), [(30, ETIME), (60, ETIME), (90, ETIME)]);
});

// With a count the timeout completes with 0 after as many other completions.
ring_test!(by_count, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[sqe::timeout(&timespec(FAR), 2, 0).data(1), sqe::nop().data(2)]);
    assert_eq!(pairs(&ring.wait_n(1)), [(2, 0)]);
    assert_eq!(ring.settle(ms(5)), []);
    ring.start(&[sqe::nop().data(3)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, 0), (3, 0)]);
});

// Completions of timeouts do not count.
ring_test!(timeouts_do_not_count, |t| {
    let mut ring = t.ring(8)?;
    let far = timespec(FAR);
    ring.start(&[sqe::timeout(&far, 1, 0).data(1)]);
    assert_eq!(ring.run_one(sqe::timeout(&timespec(ms(1)), 0, 0).data(2)), ETIME);
    assert_eq!(ring.settle(ms(5)), []);
    ring.start(&[sqe::nop().data(3)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, 0), (3, 0)]);
});

// What completed before it in the same submission is posted after it is armed, and counts.
ring_test!(completions_of_the_same_submission_count, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[sqe::nop().data(1), sqe::timeout(&timespec(FAR), 1, 0).data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, 0), (2, 0)]);
});

// A timeout that posts nothing does not disturb the count of the next.
ring_test!(silent_timeouts_do_not_count, |t| {
    let mut ring = t.ring(8)?;
    let far = timespec(FAR);
    ring.start(&[sqe::nop().data(1), sqe::timeout(&far, 1, 0).data(2).skip()]);
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 0)]);
    ring.start(&[sqe::timeout(&far, 1, 0).data(3)]);
    assert_eq!(ring.settle(ms(5)), []);
    ring.start(&[sqe::nop().data(4)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(3, 0), (4, 0)]);
});

// Several counts in one ring each complete at theirs.
ring_test!(several_counts, |t| {
    let mut ring = t.ring(8)?;
    let far = timespec(FAR);
    ring.start(&[sqe::timeout(&far, 2, 0).data(12), sqe::timeout(&far, 1, 0).data(11)]);
    ring.start(&[sqe::nop().data(1)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, 0), (11, 0)]);
    ring.start(&[sqe::nop().data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(2, 0), (12, 0)]);
});

// A timeout with a count expires by time as well.
ring_test!(count_not_reached, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(sqe::timeout(&timespec(ms(10)), 5, 0)), ETIME);
});

// A bad address is -EFAULT; a len other than 1 -EINVAL; a negative time -EINVAL.
ring_test!(bad_arguments, |t| {
    let mut ring = t.ring(8)?;
    let ts = timespec(ms(1));
    let good = sqe::timeout(&ts, 0, 0);
    assert_eq!(ring.run_one(Sqe { addr: BAD_ADDRESS, ..good }), EFAULT);
    assert_eq!(ring.run_one(Sqe { len: 2, ..good }), EINVAL);
    assert_eq!(ring.run_one(Sqe { len: 0, ..good }), EINVAL);
    assert_eq!(ring.run_one(Sqe { buf_index: 1, ..good }), EINVAL);
    for bad in [Timespec { tv_sec: -1, tv_nsec: 0 }, Timespec { tv_sec: 0, tv_nsec: -1 }] {
        assert_eq!(ring.run_one(sqe::timeout(&bad, 0, 0)), EINVAL, "{bad:?}");
    }
});

// Unknown flags, and two clocks at once, are -EINVAL.
ring_test!(bad_flags, |t| {
    let mut ring = t.ring(8)?;
    let ts = timespec(ms(1));
    let both = IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME;
    for flags in [1 << 20, both, IORING_TIMEOUT_UPDATE, IORING_LINK_TIMEOUT_UPDATE] {
        assert_eq!(ring.run_one(sqe::timeout(&ts, 0, flags)), EINVAL, "flags {flags:#x}");
    }
});

// Absolute times, on each clock.
ring_test!(absolute, |t| {
    let mut ring = t.ring(8)?;
    for (flag, clock) in [
        (0, libc::CLOCK_MONOTONIC),
        (IORING_TIMEOUT_BOOTTIME, libc::CLOCK_BOOTTIME),
        (IORING_TIMEOUT_REALTIME, libc::CLOCK_REALTIME),
    ] {
        let until = sys::clock(clock) + ms(20);
        let ts = timespec(until);
        assert_eq!(ring.run_one(sqe::timeout(&ts, 0, IORING_TIMEOUT_ABS | flag)), ETIME);
        assert!(sys::clock(clock) >= until, "clock {clock}");
    }
});

// An absolute time in the past expires at once.
ring_test!(absolute_in_the_past, |t| {
    let mut ring = t.ring(8)?;
    let start = Instant::now();
    let ts = timespec(ms(1));
    assert_eq!(ring.run_one(sqe::timeout(&ts, 0, IORING_TIMEOUT_ABS)), ETIME);
    assert!(start.elapsed() < ms(2000));
});

// Removal: 0 for the remover, -ECANCELED for the timeout, in this order.
ring_test!(removal, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[sqe::timeout(&timespec(FAR), 0, 0).data(1)]);
    ring.start(&[sqe::timeout_remove(1).data(2)]);
    assert_eq!(pairs(&ring.wait_n(2)), [(2, 0), (1, ECANCELED)]);
});

// Nothing to remove is -ENOENT; flags of a removal are -EINVAL.
ring_test!(removal_of_nothing, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(sqe::timeout_remove(1)), ENOENT);
    assert_eq!(ring.run_one(sqe::timeout_remove(1).op_flags(IORING_TIMEOUT_ABS)), EINVAL);
});

// A removal does not find what is no timeout.
ring_test!(removal_finds_timeouts_only, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
    assert_eq!(ring.run_one(sqe::timeout_remove(1).data(2)), ENOENT);
});

// A cancel finds timeouts too.
ring_test!(cancel, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[sqe::timeout(&timespec(FAR), 0, 0).data(1)]);
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, ECANCELED), (2, 0)]);
});

// An update moves the time.
ring_test!(update, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[sqe::timeout(&timespec(FAR), 0, 0).data(1)]);
    let soon = timespec(ms(20));
    let start = Instant::now();
    ring.start(&[sqe::timeout_update(1, &soon, 0).data(2)]);
    assert_eq!(pairs(&ring.wait_n(2)), [(2, 0), (1, ETIME)]);
    assert!(start.elapsed() >= ms(20) && start.elapsed() < ms(5000));
});

// An update may make the time absolute.
ring_test!(update_to_absolute, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[sqe::timeout(&timespec(FAR), 0, 0).data(1)]);
    let until = timespec(sys::clock(libc::CLOCK_MONOTONIC) + ms(20));
    ring.start(&[sqe::timeout_update(1, &until, IORING_TIMEOUT_ABS).data(2)]);
    assert_eq!(pairs(&ring.wait_n(2)), [(2, 0), (1, ETIME)]);
});

// An update of nothing is -ENOENT, with a bad address -EFAULT.
ring_test!(update_of_nothing, |t| {
    let mut ring = t.ring(8)?;
    let soon = timespec(ms(20));
    assert_eq!(ring.run_one(sqe::timeout_update(1, &soon, 0)), ENOENT);
    let bad = Sqe { off: BAD_ADDRESS, ..sqe::timeout_update(1, &soon, 0) };
    assert_eq!(ring.run_one(bad), EFAULT);
});

// An update drops the count: the timeout then waits for its time alone.
ring_test!(update_drops_the_count, |t| {
    let mut ring = t.ring(8)?;
    let far = timespec(FAR);
    ring.start(&[sqe::timeout(&far, 3, 0).data(1)]);
    assert_eq!(ring.run_one(sqe::timeout_update(1, &far, 0).data(2)), 0);
    ring.run(&[sqe::nop(), sqe::nop(), sqe::nop(), sqe::nop()]);
    assert_eq!(ring.settle(ms(5)), []);
});

// A multishot timeout posts -ETIME again and again, with IORING_CQE_F_MORE.
ring_test!(multishot, |t| {
    let mut ring = t.ring(8)?;
    let period = timespec(ms(10));
    let start = Instant::now();
    ring.start(&[sqe::timeout(&period, 0, IORING_TIMEOUT_MULTISHOT).data(1)]);
    let expected = Cqe { user_data: 1, res: ETIME, flags: IORING_CQE_F_MORE };
    assert_eq!(ring.wait_n(4), [expected; 4]);
    assert!(start.elapsed() >= ms(40), "4 periods took {:?}", start.elapsed());
    // The removal may come between a firing and the next arming, and then finds nothing.
    let mut removed = ENOENT;
    for _ in 0..100 {
        ring.start(&[sqe::timeout_remove(1).data(2)]);
        let rest = ring.settle(ms(50));
        removed = rest.iter().find(|cqe| cqe.user_data == 2).expect("an answer").res;
        if removed == 0 {
            let last = rest.iter().rfind(|cqe| cqe.user_data == 1).expect("the last one");
            assert_eq!((last.res, last.flags), (ECANCELED, 0));
            break;
        }
        assert!([ENOENT, -libc::EALREADY].contains(&removed), "removal gave {removed}");
    }
    assert_eq!(removed, 0, "a hundred removals found nothing");
});

// With a count a multishot timeout fires just so often, the last time without F_MORE.
ring_test!(multishot_with_count, |t| {
    let mut ring = t.ring(8)?;
    let period = timespec(ms(5));
    ring.start(&[sqe::timeout(&period, 3, IORING_TIMEOUT_MULTISHOT).data(1)]);
    let flags: Vec<u32> = ring.settle(ms(100)).iter().map(|cqe| cqe.flags).collect();
    assert_eq!(flags, [IORING_CQE_F_MORE, IORING_CQE_F_MORE, 0]);
});

// Multishot and absolute exclude each other.
ring_test!(multishot_refuses_absolute, |t| {
    let mut ring = t.ring(8)?;
    let flags = IORING_TIMEOUT_MULTISHOT | IORING_TIMEOUT_ABS;
    assert_eq!(ring.run_one(sqe::timeout(&timespec(ms(5)), 0, flags)), EINVAL);
});

// A firing timeout wakes a waiter that wants more completions than there are.
ring_test!(wakes_waiters_regardless_of_their_count, |t| {
    let mut ring = t.ring(8)?;
    ring.push(sqe::timeout(&timespec(ms(20)), 0, 0).data(1));
    assert_eq!(ring.submit(), Ok(1));
    assert_eq!(ring.enter_for(0, 4, IORING_ENTER_GETEVENTS, ms(5000)), Ok(0));
    assert_eq!(pairs(&ring.cqes()), [(1, ETIME)]);
});

// ETIME_SUCCESS: an expiry does not break the chain that follows.
ring_test!(expiry_breaks_a_chain_unless_told, |t| {
    let mut ring = t.ring(8)?;
    let ts = timespec(ms(5));
    let cqes = ring.run(&[sqe::timeout(&ts, 0, 0).data(1).link(), sqe::nop().data(2)]);
    assert_eq!(pairs(&cqes), [(1, ETIME), (2, ECANCELED)]);
    let forgiving = sqe::timeout(&ts, 0, IORING_TIMEOUT_ETIME_SUCCESS).data(1).link();
    let cqes = ring.run(&[forgiving, sqe::nop().data(2)]);
    assert_eq!(pairs(&cqes), [(1, ETIME), (2, 0)]);
});

// Many timeouts at once: each expires once, in order of time.
ring_test!(a_thousand_at_once, |t| {
    let mut ring = t.ring(1024)?;
    let start = sys::clock(libc::CLOCK_MONOTONIC);
    let times: Vec<(u64, Timespec)> = (0..1000_u64)
        .map(|i| i * 7919 % 50)
        .map(|late| (late, timespec(start + ms(50 + late))))
        .collect();
    let sqes: Vec<Sqe> = times
        .iter()
        .map(|(late, ts)| sqe::timeout(ts, 0, IORING_TIMEOUT_ABS).data(*late))
        .collect();
    ring.start(&sqes);
    let cqes = ring.wait_n(1000);
    assert!(cqes.iter().all(|cqe| cqe.res == ETIME));
    assert!(cqes.is_sorted_by_key(|cqe| cqe.user_data));
});

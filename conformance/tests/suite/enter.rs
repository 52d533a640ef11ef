//! `io_uring_enter`: descriptors, flags, counts, and how a batch is consumed.

use crate::prelude::*;

// A number that is no descriptor gives -EBADF.
ring_test!(no_descriptor, |t| {
    t.ring(1)?;
    assert_eq!(t.enter(-1, 0, 0, 0, 0, 0), Err(Errno::EBADF));
    assert_eq!(t.enter(1 << 20, 1, 0, 0, 0, 0), Err(Errno::EBADF));
});

// A descriptor that is no ring gives -EOPNOTSUPP.
ring_test!(no_ring, |t| {
    t.ring(1)?;
    let file = sys::memory_file();
    assert_eq!(t.enter(fd(&file), 0, 0, 0, 0, 0), Err(Errno::EOPNOTSUPP));
});

// Unknown flags give -EINVAL, before the descriptor is looked at.
ring_test!(unknown_flags, |t| {
    let ring = t.ring(1)?;
    for bit in 8..32 {
        assert_eq!(ring.enter(0, 0, 1 << bit), Err(Errno::EINVAL), "bit {bit}");
        assert_eq!(t.enter(-1, 0, 0, 1 << bit, 0, 0), Err(Errno::EINVAL), "bit {bit}");
    }
});

// Nothing to do is done at once and gives 0.
ring_test!(nothing_to_do, |t| {
    let ring = t.ring(1)?;
    assert_eq!(ring.enter(0, 0, 0), Ok(0));
    assert_eq!(ring.enter(0, 0, IORING_ENTER_GETEVENTS), Ok(0));
});

// More asked for than is in the queue: what is there is submitted.
ring_test!(submits_what_is_there, |t| {
    let mut ring = t.ring(8)?;
    ring.push(sqe::nop().data(1));
    ring.push(sqe::nop().data(2));
    ring.flush();
    assert_eq!(ring.enter(100, 0, 0), Ok(2));
    assert_eq!(ring.enter(100, 0, 0), Ok(0));
    assert_eq!(by_data(&ring.cqes()), [(1, 0), (2, 0)]);
});

// Less asked for than is in the queue: the rest stays.
ring_test!(submits_what_is_asked_for, |t| {
    let mut ring = t.ring(8)?;
    (1..=5).for_each(|data| ring.push(sqe::nop().data(data)));
    ring.flush();
    assert_eq!(ring.enter(2, 0, 0), Ok(2));
    assert_eq!((ring.sq_head(), ring.ready()), (2, 2));
    assert_eq!(ring.enter(3, 0, 0), Ok(3));
    assert_eq!(by_data(&ring.cqes()), [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)]);
});

// The tail's publication alone submits nothing.
ring_test!(publication_alone_submits_nothing, |t| {
    let mut ring = t.ring(8)?;
    ring.push(sqe::nop());
    ring.flush();
    assert_eq!(ring.enter(0, 0, IORING_ENTER_GETEVENTS), Ok(0));
    assert_eq!((ring.sq_head(), ring.ready()), (0, 0));
});

// The index array chooses the entries, in any order, one entry several times.
ring_test!(index_array_permutes, |t| {
    let mut ring = t.ring(4)?;
    (0..4).for_each(|data| ring.push(sqe::nop().data(data)));
    for (slot, index) in [3, 1, 1, 0].into_iter().enumerate() {
        ring.set_index(slot as u32, index);
    }
    assert_eq!(ring.submit(), Ok(4));
    let order: Vec<u64> = ring.cqes().iter().map(|cqe| cqe.user_data).collect();
    assert_eq!(order, [3, 1, 1, 0]);
});

// An invalid index is consumed, counted as dropped, posts nothing, and ends the batch.
ring_test!(invalid_index_ends_the_batch, |t| {
    let mut ring = t.ring(8)?;
    (0..4).for_each(|data| ring.push(sqe::nop().data(data)));
    ring.set_index(1, 8);
    let count = ring.flush();
    assert_eq!(ring.enter(count, 0, 0), Ok(1));
    assert_eq!((ring.dropped(), ring.sq_head()), (1, 2));
    assert_eq!(pairs(&ring.cqes()), [(0, 0)]);
    assert_eq!(ring.enter(2, 0, 0), Ok(2));
    assert_eq!(pairs(&ring.cqes()), [(2, 0), (3, 0)]);
});

// An invalid index in the first entry: nothing is submitted, which is no error.
ring_test!(invalid_index_first, |t| {
    let mut ring = t.ring(8)?;
    ring.push(sqe::nop());
    ring.set_index(0, u32::MAX);
    ring.flush();
    let got = ring.enter(1, 0, 0);
    assert_eq!((got, ring.dropped(), ring.ready()), (Ok(0), 1, 0));
});

// An entry refused when prepared is consumed, posts its error, and ends the batch there.
ring_test!(preparation_error_ends_the_batch, |t| {
    let mut ring = t.ring(16)?;
    (0..3).for_each(|data| ring.push(sqe::nop().data(data)));
    ring.push(Sqe { opcode: 0xfe, user_data: 3, ..Sqe::default() });
    (4..8).for_each(|data| ring.push(sqe::nop().data(data)));
    let count = ring.flush();
    assert_eq!(ring.enter(count, 0, 0), Ok(4));
    assert_eq!(by_data(&ring.cqes()), [(0, 0), (1, 0), (2, 0), (3, EINVAL)]);
    assert_eq!(ring.submit(), Ok(4));
});

// IORING_SETUP_SUBMIT_ALL goes on after it.
ring_test!(submit_all_goes_on, |t| {
    let mut ring = t.ring_with(16, IORING_SETUP_SUBMIT_ALL)?;
    (0..3).for_each(|data| ring.push(sqe::nop().data(data)));
    ring.push(Sqe { opcode: 0xfe, user_data: 3, ..Sqe::default() });
    (4..8).for_each(|data| ring.push(sqe::nop().data(data)));
    assert_eq!(ring.submit(), Ok(8));
    assert_eq!(ring.cqes().iter().filter(|cqe| cqe.res == EINVAL).count(), 1);
});

// An error found when the request is started does not end the batch.
ring_test!(start_error_goes_on, |t| {
    let mut ring = t.ring(16)?;
    let mut buf = [0; 8];
    let bad = sqe::read(-1, &mut buf, 0).data(1);
    ring.start(&[sqe::nop().data(0), bad, sqe::nop().data(2)]);
    assert_eq!(by_data(&ring.wait_n(3)), [(0, 0), (1, EBADF), (2, 0)]);
});

// What an entry points to may be reused when the submission has returned.
ring_test!(pointed_to_memory_is_copied, |t| {
    let mut ring = t.ring(16)?;
    let (reader, mut writer) = sys::pipe();
    let (mut buf, mut other) = ([0; 4], [0; 4]);
    let mut iovecs = [sqe::iovec_mut(&mut buf)];
    let mut far = timespec(ms(60_000));
    ring.start(&[sqe::readv(fd(&reader), &iovecs, 0).data(1), sqe::timeout(&far, 0, 0).data(2)]);
    iovecs[0] = sqe::iovec_mut(&mut other);
    far = timespec(ms(0));
    std::hint::black_box((&iovecs, &far));
    writer.write_all(b"data").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
    assert_eq!((&buf, &other), (b"data", &[0; 4]));
    assert_eq!(ring.cqes(), []);
});

// The entry itself may be overwritten once it is consumed.
ring_test!(consumed_entries_are_copied, |t| {
    let mut ring = t.ring(4)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    ring.scribble_sqe(0, Sqe { opcode: 0xff, user_data: 99, ..Sqe::default() });
    writer.write_all(b"data").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
});

// Requests run although nobody enters: a default ring posts on its own.
ring_test!(completes_without_entering, |t| {
    let mut ring = t.ring(4)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    writer.write_all(b"data").expect("write");
    let deadline = Instant::now() + ms(5000);
    while ring.ready() == 0 {
        assert!(Instant::now() < deadline, "no completion without an enter");
        std::thread::sleep(ms(1));
    }
    assert_eq!(pairs(&ring.cqes()), [(1, 4)]);
});

// min_complete without GETEVENTS does not wait.
ring_test!(min_complete_needs_getevents, |t| {
    let ring = t.ring(4)?;
    assert_eq!(ring.enter(0, 5, 0), Ok(0));
});

// min_complete above the size of the CQ waits for a full CQ only.
ring_test!(min_complete_is_clamped, |t| {
    let mut ring = t.ring(4)?;
    (0..4).for_each(|_| ring.push(sqe::nop()));
    assert_eq!(ring.submit(), Ok(4));
    (0..4).for_each(|_| ring.push(sqe::nop()));
    let count = ring.flush();
    assert_eq!(ring.enter(count, 1000, IORING_ENTER_GETEVENTS), Ok(4));
    assert_eq!(ring.ready(), 8);
});

// The shared head that the program sees moves only when entries are consumed.
ring_test!(head_moves_with_consumption, |t| {
    let mut ring = t.ring(4)?;
    ring.start(&[sqe::nop(), sqe::nop(), sqe::nop()]);
    assert_eq!(ring.sq_head(), 3);
    ring.start(&[sqe::nop(), sqe::nop()]);
    assert_eq!(ring.sq_head(), 5);
});

// A ring may be used by another thread, also while the first one waits.
ring_test!(other_threads_may_submit, |t| {
    let mut ring = t.ring(8)?;
    let (ring_fd, target) = (ring.fd, t);
    let (reader, writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    ring.push(sqe::write(fd(&writer), b"data", u64::MAX).data(2));
    ring.flush();
    let submitted = std::thread::scope(|scope| {
        let submitter = scope.spawn(move || {
            std::thread::sleep(ms(20));
            target.enter(ring_fd, 1, 0, 0, 0, 0)
        });
        ring.wait_n(2);
        submitter.join().expect("join")
    });
    assert_eq!((submitted, &buf), (Ok(1), b"data"));
});

// A registered ring descriptor is entered by its index.
ring_test!(registered_ring_descriptor, |t| {
    let mut ring = t.ring(4)?;
    let mut update = FilesUpdate { offset: u32::MAX, resv: 0, fds: ring.fd as u64 };
    assert_eq!(ring.register_mut(RegisterOp::RingFds, &mut update, 1), Ok(1));
    let index = update.offset as i32;
    ring.push(sqe::nop().data(5));
    ring.flush();
    let flags = IORING_ENTER_REGISTERED_RING;
    assert_eq!(t.enter(index, 1, 0, flags, 0, 0), Ok(1));
    assert_eq!(pairs(&ring.cqes()), [(5, 0)]);
    assert_eq!(t.enter(index + 1, 0, 0, flags, 0, 0), Err(Errno::EBADF));
    assert_eq!(t.enter(16, 0, 0, flags, 0, 0), Err(Errno::EINVAL));
});

// Unregistering the descriptor makes its index invalid; other threads never had it.
ring_test!(registered_ring_is_per_thread, |t| {
    let ring = t.ring(4)?;
    let mut update = FilesUpdate { offset: u32::MAX, resv: 0, fds: ring.fd as u64 };
    assert_eq!(ring.register_mut(RegisterOp::RingFds, &mut update, 1), Ok(1));
    let (index, flags) = (update.offset as i32, IORING_ENTER_REGISTERED_RING);
    let elsewhere = sys::on_thread(|| t.enter(index, 0, 0, flags, 0, 0));
    assert_eq!(elsewhere, Err(Errno::EINVAL));
    assert_eq!(t.enter(index, 0, 0, flags, 0, 0), Ok(0));
    update.fds = 0;
    assert_eq!(ring.register_mut(RegisterOp::UnregisterRingFds, &mut update, 1), Ok(1));
    assert_eq!(t.enter(index, 0, 0, flags, 0, 0), Err(Errno::EBADF));
});

// A duplicate of the ring's descriptor is the same ring, and keeps it when the first is closed.
ring_test!(duplicates_are_the_same_ring, |t| {
    let mut ring = t.ring(4)?;
    let second = t.dup(ring.fd).expect("dup");
    ring.push(sqe::nop().data(1));
    ring.flush();
    assert_eq!(t.enter(second, 1, 0, 0, 0, 0), Ok(1));
    t.close(ring.fd).expect("close");
    ring.fd = second;
    ring.push(sqe::nop().data(2));
    assert_eq!(ring.submit(), Ok(1));
    assert_eq!(pairs(&ring.cqes()), [(1, 0), (2, 0)]);
});

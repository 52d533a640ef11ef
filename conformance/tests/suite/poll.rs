//! Poll: one-shot and multishot, removal and change, and a ring that is polled itself.

use crate::prelude::*;
use libc::{POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP};

// A descriptor that is ready completes at once with the events that hold.
ring_test!(ready_at_once, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    assert_eq!(ring.run_one(sqe::poll_add(fd(&writer), POLLOUT)), i32::from(POLLOUT));
    writer.write_all(b"1").expect("write");
    let got = ring.run_one(sqe::poll_add(fd(&reader), POLLIN | POLLOUT));
    assert_eq!(got, i32::from(POLLIN));
});

// One that is not ready completes once it is.
ring_test!(ready_later, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), POLLIN).data(1)]);
    assert_eq!(ring.settle(ms(10)), []);
    writer.write_all(b"1").expect("write");
    assert_eq!(ring.wait_n(1), [Cqe { user_data: 1, res: i32::from(POLLIN), flags: 0 }]);
});

// Hang-up and error are reported although nobody asked.
ring_test!(hang_up_is_always_reported, |t| {
    let mut ring = t.ring(8)?;
    let (reader, writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), POLLIN).data(1)]);
    drop(writer);
    assert_eq!(pairs(&ring.wait_n(1)), [(1, i32::from(POLLHUP))]);
    let (reader, writer) = sys::pipe();
    drop(reader);
    let got = ring.run_one(sqe::poll_add(fd(&writer), 0));
    assert_eq!(got, i32::from(POLLERR));
});

// POLLRDHUP tells that the peer has shut down its writing side.
ring_test!(peer_shut_down, |t| {
    let mut ring = t.ring(8)?;
    let (a, b) = sys::stream_pair();
    ring.start(&[sqe::poll_add(fd(&a), POLLRDHUP).data(1)]);
    assert_eq!(ring.settle(ms(10)), []);
    b.shutdown(std::net::Shutdown::Write).expect("shutdown");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, i32::from(POLLRDHUP))]);
});

// A bad descriptor gives -EBADF.
ring_test!(bad_descriptor, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(sqe::poll_add(-1, POLLIN)), EBADF);
});

// A file that cannot be waited for is always ready.
ring_test!(regular_file_is_always_ready, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1");
    let got = ring.run_one(sqe::poll_add(fd(&file), POLLIN | POLLOUT));
    assert_eq!(got, i32::from(POLLIN | POLLOUT));
});

// A multishot poll posts one completion for each wake-up, with IORING_CQE_F_MORE.
ring_test!(multishot, |t| {
    let mut ring = t.ring(8)?;
    let (mut reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_multishot(fd(&reader), POLLIN).data(1)]);
    for _ in 0..3 {
        writer.write_all(b"1").expect("write");
        let expected = Cqe { user_data: 1, res: i32::from(POLLIN), flags: IORING_CQE_F_MORE };
        assert_eq!(ring.wait_n(1), [expected]);
        reader.read_exact(&mut [0]).expect("read");
    }
    assert_eq!(ring.settle(ms(10)), []);
});

// It is edge-triggered: unread data does not fire again without a new wake-up.
ring_test!(multishot_is_edge_triggered, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_multishot(fd(&reader), POLLIN).data(1)]);
    writer.write_all(b"1").expect("write");
    ring.wait_n(1);
    assert_eq!(ring.settle(ms(30)), []);
    writer.write_all(b"1").expect("write");
    assert_eq!(ring.wait_n(1)[0].flags, IORING_CQE_F_MORE);
});

// A multishot poll on what is ready already fires at once and stays armed.
ring_test!(multishot_ready_at_once, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    writer.write_all(b"1").expect("write");
    ring.start(&[sqe::poll_multishot(fd(&reader), POLLIN).data(1)]);
    assert_eq!(ring.wait_n(1)[0].flags, IORING_CQE_F_MORE);
    writer.write_all(b"1").expect("write");
    assert_eq!(ring.wait_n(1)[0].flags, IORING_CQE_F_MORE);
});

// Removal: 0 for the remover, then -ECANCELED for the poll.
ring_test!(removal, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), POLLIN).data(1)]);
    ring.start(&[sqe::poll_remove(1).data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, ECANCELED), (2, 0)]);
});

// A multishot poll that is removed ends without IORING_CQE_F_MORE.
ring_test!(removal_of_multishot, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    ring.start(&[sqe::poll_multishot(fd(&reader), POLLIN).data(1)]);
    ring.start(&[sqe::poll_remove(1).data(2)]);
    let cqes = ring.wait_n(2);
    assert_eq!(by_data(&cqes), [(1, ECANCELED), (2, 0)]);
    assert!(cqes.iter().all(|cqe| cqe.flags == 0), "{cqes:?}");
});

// Nothing to remove: -ENOENT.
ring_test!(removal_of_nothing, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(sqe::poll_remove(77)), ENOENT);
});

// An update without flags, or with unknown ones, is -EINVAL.
ring_test!(update_flags, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(sqe::poll_update(1, 2, POLLIN, 1 << 30)), EINVAL);
    let events_without_flag = sqe::poll_remove(1).op_flags(POLLIN as u32);
    assert_eq!(ring.run_one(events_without_flag), EINVAL);
    let level_only = sqe::poll_update(1, 0, 0, IORING_POLL_ADD_LEVEL);
    assert_eq!(ring.run_one(level_only), EINVAL);
});

// An update changes the user_data.
ring_test!(update_of_user_data, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), POLLIN).data(1)]);
    let update = sqe::poll_update(1, 9, 0, IORING_POLL_UPDATE_USER_DATA).data(2);
    assert_eq!(ring.run_one(update), 0);
    writer.write_all(b"1").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(9, i32::from(POLLIN))]);
});

// An update of the events arms anew, and completes at once where they hold already.
ring_test!(update_of_events, |t| {
    let mut ring = t.ring(8)?;
    let (a, _b) = sys::stream_pair();
    ring.start(&[sqe::poll_add(fd(&a), POLLIN).data(1)]);
    let update = sqe::poll_update(1, 0, POLLOUT, IORING_POLL_UPDATE_EVENTS).data(2);
    ring.start(&[update]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, i32::from(POLLOUT)), (2, 0)]);
});

// An update of what is not there: -ENOENT.
ring_test!(update_of_nothing, |t| {
    let mut ring = t.ring(8)?;
    let update = sqe::poll_update(1, 0, POLLOUT, IORING_POLL_UPDATE_EVENTS);
    assert_eq!(ring.run_one(update), ENOENT);
});

// An update may turn both events and user_data of a multishot poll.
ring_test!(update_of_multishot, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_multishot(fd(&reader), POLLIN).data(1)]);
    let flags = IORING_POLL_UPDATE_USER_DATA | IORING_POLL_UPDATE_EVENTS | IORING_POLL_ADD_MULTI;
    assert_eq!(ring.run_one(sqe::poll_update(1, 9, POLLIN, flags).data(2)), 0);
    writer.write_all(b"1").expect("write");
    let cqe = ring.wait();
    assert_eq!((cqe.user_data, cqe.flags), (9, IORING_CQE_F_MORE));
});

// Unknown poll flags, and an offset or address, are -EINVAL.
ring_test!(refuses_unknown_fields, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    let poll = sqe::poll_add(fd(&reader), POLLIN);
    assert_eq!(ring.run_one(Sqe { len: 1 << 20, ..poll }), EINVAL);
    assert_eq!(ring.run_one(Sqe { off: 1, ..poll }), EINVAL);
    assert_eq!(ring.run_one(Sqe { addr: 1, ..poll }), EINVAL);
    assert_eq!(ring.run_one(Sqe { buf_index: 1, ..poll }), EINVAL);
});

// IORING_CQE_F_MORE and CQE_SKIP exclude each other: a multishot poll refuses CQE_SKIP.
ring_test!(multishot_refuses_skip, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    assert_eq!(ring.run_one(sqe::poll_multishot(fd(&reader), POLLIN).skip()), EINVAL);
});

// The ring's own descriptor: POLLIN once there are completions, POLLOUT while the SQ has room.
ring_test!(ring_descriptor_is_pollable, |t| {
    let mut ring = t.ring(4)?;
    assert_eq!(t.poll(ring.fd, POLLIN | POLLOUT, 0), Ok(POLLOUT));
    ring.start(&[sqe::nop()]);
    assert_eq!(t.poll(ring.fd, POLLIN, 5000), Ok(POLLIN));
    ring.cqes();
    assert_eq!(t.poll(ring.fd, POLLIN, 0), Ok(0));
});

// A full SQ is not writable.
ring_test!(full_sq_is_not_writable, |t| {
    let mut ring = t.ring(4)?;
    (0..4).for_each(|_| ring.push(sqe::nop()));
    ring.flush();
    assert_eq!(t.poll(ring.fd, POLLOUT, 0), Ok(0));
    assert_eq!(ring.enter(1, 0, 0), Ok(1));
    assert_eq!(t.poll(ring.fd, POLLOUT, 0), Ok(POLLOUT));
});

// A wait on the ring's descriptor ends when a request completes.
ring_test!(ring_descriptor_wakes_a_poll, |t| {
    let mut ring = t.ring(4)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 1];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf)]);
    let helper = std::thread::spawn(move || {
        std::thread::sleep(ms(20));
        writer.write_all(b"1").expect("write");
    });
    assert_eq!(t.poll(ring.fd, POLLIN, 5000), Ok(POLLIN));
    helper.join().expect("join");
    assert_eq!(ring.cqes().len(), 1);
});

// A ring polls another ring: its completion is there before the submit that caused it returns.
ring_test!(ring_polls_ring, |t| {
    let mut watcher = t.ring(4)?;
    let mut watched = t.ring(4)?;
    watcher.start(&[sqe::poll_add(watched.fd, POLLIN).data(1)]);
    assert_eq!(watcher.settle(ms(5)), []);
    watched.start(&[sqe::nop()]);
    assert_eq!(pairs(&watcher.wait_n(1)), [(1, i32::from(POLLIN))]);
});

// A ring polls itself: the poll completes when another completion is posted.
ring_test!(ring_polls_itself, |t| {
    let mut ring = t.ring(4)?;
    ring.start(&[sqe::poll_add(ring.fd, POLLIN).data(1)]);
    assert_eq!(ring.cqes(), []);
    ring.start(&[sqe::nop().data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, i32::from(POLLIN)), (2, 0)]);
});

// Thousands of polls on one descriptor all fire.
ring_test!(many_polls_on_one_descriptor, |t| {
    let mut ring = t.ring(256)?;
    let (reader, mut writer) = sys::pipe();
    for _ in 0..8 {
        let sqes: Vec<Sqe> = (0..256).map(|_| sqe::poll_add(fd(&reader), POLLIN)).collect();
        ring.start(&sqes);
    }
    writer.write_all(b"1").expect("write");
    let got = ring.wait_n(2048);
    assert!(got.iter().all(|cqe| cqe.res == i32::from(POLLIN)));
});

// Two polls with different events on one socket fire apart.
ring_test!(reader_and_writer_of_one_socket, |t| {
    let mut ring = t.ring(8)?;
    let (a, mut b) = sys::stream_pair();
    ring.start(&[sqe::poll_add(fd(&a), POLLIN).data(1), sqe::poll_add(fd(&a), POLLOUT).data(2)]);
    assert_eq!(pairs(&ring.wait_n(1)), [(2, i32::from(POLLOUT))]);
    assert_eq!(ring.settle(ms(10)), []);
    b.write_all(b"1").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, i32::from(POLLIN))]);
});

// The close of the other end has completed the poll by the time it returns.
ring_test!(told_by_a_close, |t| {
    let mut ring = t.ring(8)?;
    let (reader, writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), POLLIN).data(1)]);
    t.close(sys::release(writer)).expect("close");
    assert_eq!(pairs(&ring.cqes()), [(1, i32::from(POLLHUP))]);
});

// A multishot poll keeps its file too, and does not tell once more what it has told.
ring_test!(closing_under_a_multishot, |t| {
    let mut ring = t.ring(8)?;
    let eventfd = sys::eventfd();
    let other = t.dup(fd(&eventfd)).expect("dup");
    ring.start(&[sqe::poll_multishot(fd(&eventfd), POLLIN).data(1)]);
    let told = Cqe { user_data: 1, res: i32::from(POLLIN), flags: IORING_CQE_F_MORE };
    sys::eventfd_add(&eventfd, 1);
    assert_eq!(ring.wait_n(1), [told]);
    let number = sys::release(eventfd);
    t.close(number).expect("close");
    assert_eq!(ring.settle(ms(10)), []);
    let other = std::fs::File::from(sys::adopt(other));
    sys::eventfd_add(&other, 1);
    assert_eq!(ring.wait_n(1), [told]);
    // The number names the same file again, for a poll of its own.
    assert_eq!(t.dup(fd(&other)), Ok(number));
    ring.start(&[sqe::poll_multishot(number, POLLIN).data(2)]);
    assert!(pairs(&ring.settle(ms(10))).contains(&(2, i32::from(POLLIN))));
    sys::eventfd_add(&other, 1);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, i32::from(POLLIN)), (2, i32::from(POLLIN))]);
});

// The file may be closed while it is polled: the request keeps it open.
ring_test!(closing_the_descriptor, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let number = sys::release(reader);
    ring.start(&[sqe::poll_add(number, POLLIN).data(1)]);
    t.close(number).expect("close");
    assert_eq!(ring.settle(ms(10)), []);
    writer.write_all(b"1").expect("a pipe whose reader is kept");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, i32::from(POLLIN))]);
});

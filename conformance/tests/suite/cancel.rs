//! Cancelling: by user_data, by file, by everything; as a request and as a registration.

use crate::prelude::{by_data as sorted, *};
use libc::POLLIN;

const FAR: Duration = Duration::from_secs(3600);

/// A poll that never fires, on a pipe that the caller keeps.
fn waiting(pipe: &(std::fs::File, std::fs::File), data: u64) -> Sqe {
    sqe::poll_add(fd(&pipe.0), POLLIN).data(data)
}

fn sync_cancel(ring: &Ring, cancel: SyncCancelReg) -> Result<u32> {
    ring.register_raw(RegisterOp::SyncCancel, address(&cancel), 1)
}

/// A registration that cancels what has `data`, and waits without limit.
fn by_user_data(data: u64) -> SyncCancelReg {
    let forever = Timespec { tv_sec: -1, tv_nsec: -1 };
    SyncCancelReg { addr: data, fd: -1, timeout: forever, ..SyncCancelReg::default() }
}

// By user_data: 0 for the canceller, -ECANCELED for its target.
ring_test!(by_data, |t| {
    let mut ring = t.ring(8)?;
    let pipe = sys::pipe();
    ring.start(&[waiting(&pipe, 1)]);
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    assert_eq!(sorted(&ring.wait_n(2)), [(1, ECANCELED), (2, 0)]);
});

// Nothing found: -ENOENT.
ring_test!(nothing_found, |t| {
    let mut ring = t.ring(8)?;
    let pipe = sys::pipe();
    ring.start(&[waiting(&pipe, 1)]);
    assert_eq!(ring.run_one(sqe::cancel(3, 0).data(2)), ENOENT);
});

// Of several with the same user_data one is cancelled.
ring_test!(one_of_several, |t| {
    let mut ring = t.ring(8)?;
    let pipe = sys::pipe();
    ring.start(&[waiting(&pipe, 1), waiting(&pipe, 1), waiting(&pipe, 1)]);
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    let got = sorted(&ring.settle(ms(10)));
    assert_eq!(got, [(1, ECANCELED), (2, 0)]);
});

// ALL cancels each of them and yields how many; 0 where there was none.
ring_test!(all_of_several, |t| {
    let mut ring = t.ring(8)?;
    let pipe = sys::pipe();
    ring.start(&[waiting(&pipe, 1), waiting(&pipe, 1), waiting(&pipe, 5)]);
    ring.start(&[sqe::cancel(1, IORING_ASYNC_CANCEL_ALL).data(2)]);
    let got = sorted(&ring.wait_n(3));
    assert_eq!(got, [(1, ECANCELED), (1, ECANCELED), (2, 2)]);
    assert_eq!(ring.run_one(sqe::cancel(1, IORING_ASYNC_CANCEL_ALL).data(2)), 0);
});

// ANY cancels everything, as if ALL stood beside it.
ring_test!(any, |t| {
    let mut ring = t.ring(8)?;
    let pipe = sys::pipe();
    let far = timespec(FAR);
    ring.start(&[waiting(&pipe, 1), waiting(&pipe, 2), sqe::timeout(&far, 0, 0).data(3)]);
    ring.start(&[sqe::cancel(0, IORING_ASYNC_CANCEL_ANY).data(9)]);
    let got = sorted(&ring.settle(ms(20)));
    assert_eq!(got, [(1, ECANCELED), (2, ECANCELED), (3, ECANCELED), (9, 3)]);
});

// By file: the first match; with ALL every one.
ring_test!(by_file, |t| {
    let mut ring = t.ring(8)?;
    let (one, two) = (sys::pipe(), sys::pipe());
    ring.start(&[waiting(&one, 1), waiting(&two, 2), waiting(&two, 3)]);
    ring.start(&[sqe::cancel_fd(fd(&two.0), IORING_ASYNC_CANCEL_ALL).data(9)]);
    let got = sorted(&ring.wait_n(3));
    assert_eq!(got, [(2, ECANCELED), (3, ECANCELED), (9, 2)]);
    ring.start(&[sqe::cancel_fd(fd(&one.0), 0).data(9)]);
    assert_eq!(sorted(&ring.wait_n(2)), [(1, ECANCELED), (9, 0)]);
});

// Files are compared, not numbers: a duplicate of the descriptor names the same file.
ring_test!(by_duplicate_of_the_file, |t| {
    let mut ring = t.ring(8)?;
    let pipe = sys::pipe();
    ring.start(&[waiting(&pipe, 1)]);
    let duplicate = pipe.0.try_clone().expect("dup");
    ring.start(&[sqe::cancel_fd(fd(&duplicate), 0).data(9)]);
    assert_eq!(sorted(&ring.wait_n(2)), [(1, ECANCELED), (9, 0)]);
});

// Two opens of one pipe are two files.
ring_test!(by_other_open_of_the_file, |t| {
    let mut ring = t.ring(8)?;
    let pipe = sys::pipe();
    ring.start(&[waiting(&pipe, 1)]);
    let path = format!("/proc/self/fd/{}", fd(&pipe.0));
    let other = std::fs::File::open(path).expect("open the pipe again");
    assert_eq!(ring.run_one(sqe::cancel_fd(fd(&other), 0).data(9)), ENOENT);
});

// A bad descriptor is -EBADF; a file without requests -ENOENT, or 0 with ALL.
ring_test!(by_file_without_requests, |t| {
    let mut ring = t.ring(8)?;
    let pipe = sys::pipe();
    assert_eq!(ring.run_one(sqe::cancel_fd(-1, 0)), EBADF);
    assert_eq!(ring.run_one(sqe::cancel_fd(fd(&pipe.0), 0)), ENOENT);
    assert_eq!(ring.run_one(sqe::cancel_fd(fd(&pipe.0), IORING_ASYNC_CANCEL_ALL)), 0);
});

// File and user_data: both must match.
ring_test!(by_file_and_data, |t| {
    let mut ring = t.ring(8)?;
    let (one, two) = (sys::pipe(), sys::pipe());
    ring.start(&[waiting(&one, 1), waiting(&two, 1), waiting(&two, 2)]);
    let flags = IORING_ASYNC_CANCEL_USERDATA | IORING_ASYNC_CANCEL_ALL;
    let both = Sqe { addr: 1, ..sqe::cancel_fd(fd(&two.0), flags) };
    ring.start(&[both.data(9)]);
    assert_eq!(sorted(&ring.settle(ms(10))), [(1, ECANCELED), (9, 1)]);
});

// By registered file.
ring_test!(by_registered_file, |t| {
    let mut ring = t.ring(8)?;
    let pipe = sys::pipe();
    assert_eq!(ring.register(RegisterOp::Files, &[fd(&pipe.0)]), Ok(0));
    ring.start(&[sqe::poll_add(0, POLLIN).fixed(0).data(1)]);
    ring.start(&[sqe::cancel_fd(0, IORING_ASYNC_CANCEL_FD_FIXED).data(9)]);
    assert_eq!(sorted(&ring.wait_n(2)), [(1, ECANCELED), (9, 0)]);
});

// By opcode.
ring_test!(by_opcode, |t| {
    let mut ring = t.ring(8)?;
    let pipe = sys::pipe();
    let far = timespec(FAR);
    ring.start(&[waiting(&pipe, 1), sqe::timeout(&far, 0, 0).data(2), waiting(&pipe, 3)]);
    let flags = IORING_ASYNC_CANCEL_OP | IORING_ASYNC_CANCEL_ALL;
    let polls = Sqe { len: u32::from(Op::PollAdd as u8), ..sqe::cancel(0, flags) };
    ring.start(&[polls.data(9)]);
    let got = sorted(&ring.settle(ms(10)));
    assert_eq!(got, [(1, ECANCELED), (3, ECANCELED), (9, 2)]);
});

// Unknown flags, and ANY beside FD, are -EINVAL; so are an offset and a splice descriptor.
ring_test!(bad_flags, |t| {
    let mut ring = t.ring(8)?;
    let pipe = sys::pipe();
    assert_eq!(ring.run_one(sqe::cancel(1, 1 << 20)), EINVAL);
    assert_eq!(ring.run_one(sqe::cancel_fd(fd(&pipe.0), IORING_ASYNC_CANCEL_ANY)), EINVAL);
    assert_eq!(ring.run_one(Sqe { off: 1, ..sqe::cancel(1, 0) }), EINVAL);
    assert_eq!(ring.run_one(Sqe { file_index: 1, ..sqe::cancel(1, 0) }), EINVAL);
});

// Another ring's requests are not found.
ring_test!(other_rings_are_not_touched, |t| {
    let mut ring = t.ring(8)?;
    let mut other = t.ring(8)?;
    let pipe = sys::pipe();
    other.start(&[waiting(&pipe, 1)]);
    assert_eq!(ring.run_one(sqe::cancel(1, 0)), ENOENT);
    assert_eq!(ring.run_one(sqe::cancel_fd(fd(&pipe.0), 0)), ENOENT);
    assert_eq!(ring.run_one(sqe::cancel(0, IORING_ASYNC_CANCEL_ANY)), 0);
    assert_eq!(other.settle(ms(5)), []);
});

// A cancel does not find itself.
ring_test!(cancel_does_not_find_itself, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(sqe::cancel(7, 0).data(7)), ENOENT);
    assert_eq!(ring.run_one(sqe::cancel(0, IORING_ASYNC_CANCEL_ANY)), 0);
});

// A read that waits on a pipe is cancelled, and takes no data afterwards.
ring_test!(waiting_read, |t| {
    let mut ring = t.ring(8)?;
    let (mut reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    assert_eq!(sorted(&ring.wait_n(2)), [(1, ECANCELED), (2, 0)]);
    writer.write_all(b"1234").expect("write");
    let mut own = [0; 4];
    reader.read_exact(&mut own).expect("read");
    assert_eq!((&own, &buf), (b"1234", &[0; 4]));
});

// An IOSQE_ASYNC read that blocks ends with -ECANCELED, not -EINTR.
ring_test!(blocking_read, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1).with(IOSQE_ASYNC)]);
    assert_eq!(ring.settle(ms(20)), []);
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    let got = sorted(&ring.wait_n(2));
    assert_eq!(got[0], (1, ECANCELED));
    assert!(matches!(got[1], (2, 0 | EALREADY)), "{got:?}");
});

// A waiting accept, receive and connect-less send are cancelled.
ring_test!(waiting_socket_requests, |t| {
    let mut ring = t.ring(8)?;
    let listener = sys::listener();
    let (a, _b) = sys::stream_pair();
    let mut buf = [0; 4];
    ring.start(&[
        sqe::accept(fd(&listener), 0).data(1),
        sqe::recv(fd(&a), &mut buf, 0).data(2),
        sqe::recv(fd(&a), &mut [0; 4], libc::MSG_PEEK).data(3),
    ]);
    ring.start(&[sqe::cancel(0, IORING_ASYNC_CANCEL_ANY).data(9)]);
    let got = sorted(&ring.wait_n(4));
    assert_eq!(got, [(1, ECANCELED), (2, ECANCELED), (3, ECANCELED), (9, 3)]);
});

// A completed request is not found any more.
ring_test!(completed_request, |t| {
    let mut ring = t.ring(8)?;
    ring.run(&[sqe::nop().data(1)]);
    assert_eq!(ring.run_one(sqe::cancel(1, 0).data(2)), ENOENT);
});

// The registration: 0, and the target is cancelled when it returns.
ring_test!(synchronous, |t| {
    let mut ring = t.ring(8)?;
    let pipe = sys::pipe();
    ring.start(&[waiting(&pipe, 1)]);
    assert_eq!(sync_cancel(&ring, by_user_data(1)), Ok(0));
    assert_eq!(pairs(&ring.wait_n(1)), [(1, ECANCELED)]);
});

// The registration with ALL and ANY yields how many.
ring_test!(synchronous_count, |t| {
    let mut ring = t.ring(8)?;
    let pipe = sys::pipe();
    ring.start(&[waiting(&pipe, 1), waiting(&pipe, 1), waiting(&pipe, 2)]);
    let all = SyncCancelReg { flags: IORING_ASYNC_CANCEL_ALL, ..by_user_data(1) };
    assert_eq!(sync_cancel(&ring, all), Ok(2));
    let any = SyncCancelReg { flags: IORING_ASYNC_CANCEL_ANY, ..by_user_data(0) };
    assert_eq!(sync_cancel(&ring, any), Ok(1));
    assert_eq!(ring.wait_n(3).len(), 3);
});

// The registration finds nothing: -ENOENT, with ALL and ANY 0; a bad file: -EBADF.
ring_test!(synchronous_nothing, |t| {
    let ring = t.ring(8)?;
    assert_eq!(sync_cancel(&ring, by_user_data(1)), Err(Errno::ENOENT));
    for flags in [IORING_ASYNC_CANCEL_ALL, IORING_ASYNC_CANCEL_ANY] {
        let cancel = SyncCancelReg { flags, ..by_user_data(1) };
        assert_eq!(sync_cancel(&ring, cancel), Ok(0), "flags {flags:#x}");
    }
    let bad = SyncCancelReg { flags: IORING_ASYNC_CANCEL_FD, fd: 1 << 20, ..by_user_data(0) };
    assert_eq!(sync_cancel(&ring, bad), Err(Errno::EBADF));
});

// The registration by file.
ring_test!(synchronous_by_file, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    let cancel =
        SyncCancelReg { flags: IORING_ASYNC_CANCEL_FD, fd: fd(&reader), ..by_user_data(0) };
    assert_eq!(sync_cancel(&ring, cancel), Ok(0));
    assert_eq!(pairs(&ring.wait_n(1)), [(1, ECANCELED)]);
});

// The registration's arguments: unknown flags, padding, a count other than 1, a bad address.
ring_test!(synchronous_bad_arguments, |t| {
    let ring = t.ring(8)?;
    let good = by_user_data(1);
    let unknown = SyncCancelReg { flags: 1 << 20, ..good };
    assert_eq!(sync_cancel(&ring, unknown), Err(Errno::EINVAL));
    let padded = SyncCancelReg { pad: [1; 7], ..good };
    assert_eq!(sync_cancel(&ring, padded), Err(Errno::EINVAL));
    let padded = SyncCancelReg { pad2: [1; 3], ..good };
    assert_eq!(sync_cancel(&ring, padded), Err(Errno::EINVAL));
    let register = |arg, nr| ring.register_raw(RegisterOp::SyncCancel, arg, nr);
    assert_eq!(register(address(&good), 2), Err(Errno::EINVAL));
    assert_eq!(register(0, 1), Err(Errno::EINVAL));
    assert_eq!(register(BAD_ADDRESS, 1), Err(Errno::EFAULT));
});

// Cancels that race completions: every request completes exactly once.
ring_test!(races_with_completion, |t| {
    let mut ring = t.ring(64)?;
    for round in 0..100_u64 {
        let (reader, writer) = sys::pipe();
        let mut bufs = [[0_u8; 1]; 8];
        let sqes: Vec<Sqe> = (0..8)
            .zip(&mut bufs)
            .map(|(i, buf)| sqe::read_stream(fd(&reader), buf).data(i))
            .collect();
        ring.start(&sqes);
        let helper = std::thread::spawn(move || (&writer).write_all(&[1; 4]).map(|()| writer));
        std::thread::sleep(Duration::from_micros(round % 10 * 10));
        let cancels: Vec<Sqe> = (0..8).map(|i| sqe::cancel(i, 0).data(100 + i)).collect();
        ring.start(&cancels);
        let _writer = helper.join().expect("join").expect("write");
        let got = sorted(&ring.wait_n(16));
        let data: Vec<u64> = got.iter().map(|(data, _)| *data).collect();
        let expected: Vec<u64> = (0..8).chain(100..108).collect();
        assert_eq!(data, expected);
        assert!(got[..8].iter().all(|(_, res)| [1, ECANCELED].contains(res)), "{got:?}");
    }
});

// A cancel by descriptor finds a request on the same file in the table, and the other way round;
// what has no file is never meant.
ring_test!(by_file_in_the_table, |t| {
    let mut ring = t.ring(8)?;
    let pipe = sys::pipe();
    assert_eq!(ring.register(RegisterOp::Files, &[fd(&pipe.0)]), Ok(0));
    ring.start(&[Sqe { fd: 0, ..waiting(&pipe, 1) }.with(IOSQE_FIXED_FILE)]);
    ring.start(&[sqe::cancel_fd(fd(&pipe.0), 0).data(9)]);
    assert_eq!(sorted(&ring.wait_n(2)), [(1, ECANCELED), (9, 0)]);
    ring.start(&[waiting(&pipe, 2)]);
    ring.start(&[sqe::cancel_fd(0, IORING_ASYNC_CANCEL_FD_FIXED).data(9)]);
    assert_eq!(sorted(&ring.wait_n(2)), [(2, ECANCELED), (9, 0)]);
    let later = timespec(Duration::from_secs(600));
    ring.start(&[Sqe { fd: fd(&pipe.0), ..sqe::timeout(&later, 0, 0) }.data(3)]);
    assert_eq!(ring.run_one(sqe::cancel_fd(fd(&pipe.0), 0).data(9)), ENOENT);
});

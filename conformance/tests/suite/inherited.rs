//! A child of fork that uses its parent's ring, a program that is executed while requests wait, and a
//! process that ends while files are written.

use crate::prelude::*;

// What a child submits on its parent's ring is done, and the parent's own requests go on.
ring_test!(child_submits, |t| {
    t.can_fork()?;
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"");
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    let code = sys::in_child(|| {
        let soon = timespec(ms(20));
        ring.start(&[
            sqe::nop().data(2),
            sqe::write(fd(&file), b"child", 0).data(3).link(),
            sqe::timeout(&soon, 0, 0).data(4),
        ]);
        let got = by_data(&ring.wait_n(3));
        u8::from(got == [(2, 0), (3, 5), (4, ETIME)])
    });
    assert_eq!(code, Some(1));
    let mut bytes = [0; 5];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).expect("read");
    assert_eq!(&bytes, b"child");
    // The child's positions are its own; the ring's say what stands in it.
    let mut ring = renewed(t, ring);
    assert_eq!(ring.settle(ms(10)), []);
    writer.write_all(b"1234").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
    assert_eq!(ring.run_one(sqe::nop()), 0);
});

/// The ring as its shared counters have it.
fn renewed<'t>(t: &'t dyn Target, ring: Ring<'t>) -> Ring<'t> {
    let mut ring = ring;
    let (fd, params) = (std::mem::replace(&mut ring.fd, -1), ring.params);
    let mut new = Ring::map(t, fd, params).expect("map");
    new.set_sq_tail(new.sq_head());
    new
}

// Parent and child take turns on one ring.
ring_test!(turns, |t| {
    t.can_fork()?;
    let mut ring = t.ring(8)?;
    for round in 0..5 {
        let code = sys::in_child(|| {
            let got = pairs(&ring.run(&[sqe::nop().data(round), sqe::nop().data(round + 100)]));
            u8::from(got == [(round, 0), (round + 100, 0)])
        });
        assert_eq!(code, Some(1), "round {round}");
        ring = renewed(t, ring);
        assert_eq!(pairs(&ring.run(&[sqe::nop().data(7)])), [(7, 0)]);
    }
});

// A child waits for what its parent has submitted.
ring_test!(child_waits, |t| {
    t.can_fork()?;
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
    let code = sys::in_child(|| {
        writer.write_all(b"1").expect("write");
        u8::from(ring.enter(0, 1, IORING_ENTER_GETEVENTS) == Ok(0) && ring.ready() == 1)
    });
    assert_eq!(code, Some(1));
    assert_eq!(pairs(&ring.cqes()), [(1, libc::POLLIN.into())]);
});

// A ring of one issuer is not the child's.
ring_test!(one_issuer, |t| {
    t.can_fork()?;
    let mut ring = t.ring_with(8, IORING_SETUP_SINGLE_ISSUER)?;
    assert_eq!(ring.run_one(sqe::nop()), 0);
    let code = sys::in_child(|| {
        ring.push(sqe::nop());
        u8::from(ring.submit() == Err(Errno::EEXIST))
    });
    assert_eq!(code, Some(1));
});

// A program that is executed while requests wait and a thread polls starts, and ends as it would.
ring_test!(executes_with_requests_in_flight, |t| {
    t.can_fork()?;
    drop(t.ring(1)?);
    let start = Instant::now();
    let code = sys::in_child(|| {
        let (Ok(mut ring), Ok(_poller)) = (t.ring(8), t.ring_with(8, IORING_SETUP_SQPOLL)) else {
            return 9;
        };
        let (reader, _writer) = sys::pipe();
        let mut buf = [0; 4];
        let far = timespec(ms(3_600_000));
        ring.start(&[
            sqe::read_stream(fd(&reader), &mut buf),
            sqe::read_stream(fd(&reader), &mut buf).with(IOSQE_ASYNC),
            sqe::timeout(&far, 0, 0),
        ]);
        sys::execute(c"/bin/true")
    });
    assert_eq!(code, Some(0));
    assert!(start.elapsed() < ms(8000));
});

// A process ends from another thread while its files are written, read and synced.
ring_test!(ends_while_files_are_written, |t| {
    t.can_fork()?;
    drop(t.ring(1)?);
    let file = tempfile::tempfile_in(".").expect("a file");
    let block = vec![7; 1 << 20];
    let start = Instant::now();
    let code = sys::in_child(|| {
        let Ok(mut ring) = t.ring(64) else { return 9 };
        std::thread::spawn(|| {
            std::thread::sleep(ms(20));
            sys::exit_now(5);
        });
        loop {
            let mut entries = Vec::new();
            for index in 0..8 {
                let write = sqe::write(fd(&file), &block, index << 20);
                entries.extend([write, write.with(IOSQE_ASYNC)]);
            }
            entries.push(raw(Op::Fsync, fd(&file), 0, 0, 0));
            ring.run(&entries);
        }
    });
    assert_eq!(code, Some(5));
    assert!(start.elapsed() < ms(8000));
});

// A child that polls its parent's ring hears of what the parent's requests complete, by whatever name.
ring_test!(child_polls, |t| {
    t.can_fork()?;
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
    let ring_fd = ring.fd;
    let code = sys::in_child(|| {
        let other = t.dup(ring_fd).expect("dup");
        let mut own = t.ring(2).expect("a ring");
        own.start(&[sqe::poll_add(other, libc::POLLIN)]);
        let quiet = own.settle(ms(20)).is_empty() && t.poll(ring_fd, libc::POLLIN, 0) == Ok(0);
        writer.write_all(b"1").expect("write");
        let heard = t.poll(ring_fd, libc::POLLIN, 2000) == Ok(libc::POLLIN);
        let polled = pairs(&own.wait_n(1)) == [(0, libc::POLLIN.into())];
        u8::from(quiet) | u8::from(heard) << 1 | u8::from(polled) << 2
    });
    assert_eq!(code, Some(7));
    assert_eq!(pairs(&ring.cqes()), [(1, libc::POLLIN.into())]);
});

// A child sends a message to its parent's ring, which the parent waits for.
ring_test!(child_sends_a_message, |t| {
    t.can_fork()?;
    let mut ring = t.ring(8)?;
    let ring_fd = ring.fd;
    let code = sys::in_child(|| {
        let mut own = t.ring(2).expect("a ring");
        u8::from(own.run_one(sqe::msg_ring(ring_fd, 5, 77, 0)) == 0)
    });
    assert_eq!(code, Some(1));
    assert_eq!(pairs(&ring.wait_n(1)), [(77, 5)]);
});

// A child asks for the end of its parent's requests: the kernel ends them, in user space they are not
// found, and go on.
ring_test!(child_cancels, |t| {
    t.can_fork()?;
    let asks: [fn() -> Sqe; 3] =
        [|| sqe::cancel(1, 0), || sqe::poll_remove(1), || sqe::cancel(1, 0).with(IOSQE_ASYNC)];
    for ask in asks {
        let mut ring = t.ring(8)?;
        let (reader, mut writer) = sys::pipe();
        ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
        let code = sys::in_child(|| {
            ring.start(&[ask().data(2)]);
            let got = by_data(&ring.wait_n(1 + usize::from(t.name() == "native")));
            match got.last() {
                Some((2, 0)) => 1,
                Some((2, ENOENT)) => 2,
                _ => 3,
            }
        });
        let mut ring = renewed(t, ring);
        match t.name() {
            "native" => assert_eq!(code, Some(1)),
            _ => {
                assert_eq!(code, Some(2));
                writer.write_all(b"1").expect("write");
                assert_eq!(pairs(&ring.wait_n(1)), [(1, libc::POLLIN.into())]);
            }
        }
    }
});

//! What becomes of rings and requests when threads end, descriptors are copied, processes change
//! who they are, and exit with work under way.

use crate::prelude::*;

// Reads, multishot polls and linked timeouts of a thread that has ended: cancelled at their event.
ring_test!(thread_ends_with_all_kinds, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let number = fd(&reader);
    let mut buf = [0; 4];
    let read = sqe::read_stream(number, &mut buf);
    let far = timespec(ms(3_600_000));
    sys::on_thread(|| {
        ring.start(&[
            sqe::poll_multishot(number, libc::POLLIN).data(1),
            read.data(2).link(),
            sqe::link_timeout(&far, 0).data(3),
        ]);
    });
    assert_eq!(ring.settle(ms(10)), []);
    writer.write_all(b"1234").expect("write");
    let cqes = ring.wait_n(3);
    assert_eq!(by_data(&cqes), [(1, ECANCELED), (2, ECANCELED), (3, ECANCELED)]);
    assert!(cqes.iter().all(|cqe| cqe.flags & IORING_CQE_F_MORE == 0));
    assert_eq!(ring.run_one(read), 4);
});

// A timeout of a thread that has ended fires; so does one armed by the thread that goes on.
ring_test!(thread_ends_with_a_timeout, |t| {
    let mut ring = t.ring(8)?;
    let soon = timespec(ms(20));
    sys::on_thread(|| ring.start(&[sqe::timeout(&soon, 0, 0).data(1)]));
    assert_eq!(pairs(&ring.wait_n(1)), [(1, ETIME)]);
});

// A request that is cancelled by another thread than its own, which has ended.
ring_test!(thread_ends_and_another_cancels, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    let number = fd(&reader);
    sys::on_thread(|| ring.start(&[sqe::poll_add(number, libc::POLLIN).data(1)]));
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, ECANCELED), (2, 0)]);
});

// A ring is used by the number of a copy, after the first descriptor is closed.
ring_test!(copies_of_the_descriptor, |t| {
    let mut ring = t.ring(8)?;
    let copy = t.dup(ring.fd).expect("dup");
    ring.start(&[sqe::nop().data(1)]);
    let first = std::mem::replace(&mut ring.fd, copy);
    t.close(first).expect("close");
    assert_eq!(pairs(&ring.cqes()), [(1, 0)]);
    assert_eq!(ring.run_one(sqe::nop()), 0);
    assert_eq!(t.enter(first, 0, 0, 0, 0, 0), Err(Errno::EBADF));
});

// Descriptor flags of a ring are a descriptor's; status flags cannot make it block or not.
ring_test!(flags_of_the_descriptor, |t| {
    let mut ring = t.ring(8)?;
    assert!(sys::is_cloexec(ring.fd));
    sys::set_nonblocking(ring.fd, true);
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
    let waiter = std::thread::spawn(move || {
        std::thread::sleep(ms(20));
        writer.write_all(b"1").expect("write");
        writer
    });
    assert_eq!(ring.enter(0, 1, IORING_ENTER_GETEVENTS), Ok(0));
    assert_eq!(pairs(&ring.cqes()), [(1, libc::POLLIN.into())]);
    waiter.join().expect("the writer");
});

// After a change of user the ring goes on, and new requests are the new user's.
ring_test!(another_user, |t| {
    if sys::effective_user() != 0 {
        return Err(Skip("needs root".to_owned()));
    }
    let mut ring = t.ring(8)?;
    let directory = tempfile::tempdir().expect("a directory");
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(directory.path(), own).expect("chmod");
    let path = sys::c_path(directory.path().join("file"));
    let open = sqe::openat(libc::AT_FDCWD, &path, libc::O_RDWR | libc::O_CREAT, 0o600);
    sys::adopt(ring.run_one(open));
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    sys::set_effective_user(65_534);
    for entry in [open, open.with(IOSQE_ASYNC)] {
        assert_eq!(ring.run_one(entry), EACCES);
    }
    writer.write_all(b"1234").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
    sys::set_effective_user(0);
    sys::adopt(ring.run_one(open));
});

// A process ends at once with every kind of wait under way, by exit_group from another thread too.
ring_test!(exits_from_another_thread, |t| {
    t.can_fork()?;
    drop(t.ring(1)?);
    let start = Instant::now();
    let code = sys::in_child(|| {
        let Ok(mut ring) = t.ring(8) else { return 9 };
        let word = std::sync::atomic::AtomicU32::new(0);
        let wait = raw(Op::FutexWait, 130, word.as_ptr() as u64, 0, 0);
        ring.start(&[Sqe { addr3: u64::from(u32::MAX), ..wait }, sqe::nop()]);
        std::thread::spawn(|| {
            std::thread::sleep(ms(20));
            sys::exit_now(5);
        });
        let _ = ring.enter(0, 2, IORING_ENTER_GETEVENTS);
        7
    });
    assert_eq!(code, Some(5));
    assert!(start.elapsed() < ms(8000));
});

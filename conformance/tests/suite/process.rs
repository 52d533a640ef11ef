//! Children: waited for by the ring, and forked while rings are in use.

use crate::prelude::*;

fn waitid(kind: u32, id: i32, info: u64, options: i32) -> Sqe {
    Sqe { file_index: options as u32, ..raw(Op::Waitid, id, 0, kind, info) }
}

// WAITID tells of a child that ends, and reaps it.
ring_test!(waits_for_a_child, |t| {
    let mut ring = t.ring(8)?;
    let info = Mapping::anonymous(4096);
    let pid = sys::start_child(7, ms(20));
    let entry = waitid(libc::P_PID, pid, info.at(0), libc::WEXITED);
    ring.start(&[entry.data(1)]);
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 0)]);
    let [signal, code, child, status] = [0, 8, 16, 24].map(|at| info.read::<u32>(at) as i32);
    assert_eq!((signal, code), (libc::SIGCHLD, libc::CLD_EXITED));
    assert_eq!((child, status), (pid, 7));
    assert_eq!(ring.run_one(entry), Errno::ECHILD.as_result());
});

// A child that is dead already completes at once; WNOHANG never waits.
ring_test!(dead_already, |t| {
    let mut ring = t.ring(8)?;
    let pid = sys::start_child(0, ms(50));
    let none = waitid(libc::P_PID, pid, 0, libc::WEXITED | libc::WNOHANG);
    assert_eq!(ring.run_one(none), 0);
    std::thread::sleep(ms(100));
    assert_eq!(ring.run_one(waitid(libc::P_PID, pid, 0, libc::WEXITED)), 0);
    assert_eq!(ring.run_one(none), Errno::ECHILD.as_result());
});

// A wait for a child is cancelled: -ECANCELED for it, 1 for who cancels.
ring_test!(wait_is_cancelled, |t| {
    let mut ring = t.ring(8)?;
    let pid = sys::start_child(0, ms(300));
    ring.start(&[waitid(libc::P_PID, pid, 0, libc::WEXITED).data(1)]);
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, ECANCELED), (2, 1)]);
    assert_eq!(ring.run_one(waitid(libc::P_PID, pid, 0, libc::WEXITED)), 0);
});

// Bad arguments: no options, unknown ones, flags.
ring_test!(bad_arguments, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(waitid(libc::P_ALL, 0, 0, 0)), EINVAL);
    assert_eq!(ring.run_one(waitid(libc::P_ALL, 0, 0, 1 << 20)), EINVAL);
    assert_eq!(ring.run_one(waitid(99, 0, 0, libc::WEXITED)), EINVAL);
    assert_eq!(ring.run_one(waitid(libc::P_ALL, 0, 0, libc::WEXITED).op_flags(1)), EINVAL);
});

// A child makes a ring of its own.
ring_test!(child_has_its_own_ring, |t| {
    t.can_fork()?;
    let mut ring = t.ring(8)?;
    let code = sys::in_child(|| match t.ring(8) {
        Ok(mut own) => u8::from(own.run_one(sqe::nop()) == 0),
        Err(_) => 9,
    });
    assert_eq!(code, Some(1));
    assert_eq!(ring.run_one(sqe::nop()), 0);
});

// The parent's ring stays the parent's: a child that ends takes nothing with it.
ring_test!(child_leaves_the_ring_alone, |t| {
    t.can_fork()?;
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    assert_eq!(sys::in_child(|| 3), Some(3));
    assert_eq!(ring.settle(ms(10)), []);
    writer.write_all(b"1234").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
});

// A child that closes the parent's ring closes its own descriptor only.
ring_test!(child_closes_the_ring, |t| {
    t.can_fork()?;
    let mut ring = t.ring(8)?;
    let ring_fd = ring.fd;
    assert_eq!(sys::in_child(|| u8::from(t.close(ring_fd).is_ok())), Some(1));
    assert_eq!(ring.run_one(sqe::nop()), 0);
});

// A child that uses the parent's ring gets an answer, and the parent's ring goes on working.
ring_test!(child_uses_the_ring, |t| {
    t.can_fork()?;
    let mut ring = t.ring(8)?;
    let ring_fd = ring.fd;
    let code = sys::in_child(|| match t.enter(ring_fd, 0, 0, 0, 0, 0) {
        Ok(_) => 0,
        Err(errno) => errno.raw() as u8,
    });
    assert!(code.is_some(), "the child died");
    assert_eq!(ring.run_one(sqe::nop()), 0);
});

// A program that is executed has none of the parent's rings.
ring_test!(exec_closes_rings, |t| {
    t.can_fork()?;
    let ring = t.ring(8)?;
    let script = format!("test ! -e /proc/self/fd/{}", ring.fd);
    let status = std::process::Command::new("sh").args(["-c", &script]).status().expect("sh");
    assert!(status.success());
});

// Exiting with requests in flight ends the process at once.
ring_test!(exits_with_requests_in_flight, |t| {
    t.can_fork()?;
    drop(t.ring(1)?);
    let start = Instant::now();
    let code = sys::in_child(|| {
        let Ok(mut ring) = t.ring(8) else { return 9 };
        let (reader, _writer) = sys::pipe();
        let far = timespec(ms(3_600_000));
        let mut buf = [0; 4];
        ring.start(&[
            sqe::read_stream(fd(&reader), &mut buf).with(IOSQE_ASYNC),
            sqe::timeout(&far, 0, 0),
        ]);
        std::mem::forget(ring);
        5
    });
    assert_eq!(code, Some(5));
    assert!(start.elapsed() < ms(8000));
});

// Any child, and the calling process's group: the first that ends is told.
ring_test!(any_child, |t| {
    let mut ring = t.ring(8)?;
    let info = Mapping::anonymous(4096);
    for (kind, id) in [(libc::P_ALL, 0), (libc::P_PGID, 0)] {
        let pid = sys::start_child(3, ms(30));
        ring.start(&[waitid(kind, id, info.at(0), libc::WEXITED).data(1)]);
        assert_eq!(pairs(&ring.wait_n(1)), [(1, 0)]);
        assert_eq!(info.read::<u32>(16) as i32, pid);
    }
});

// A child that stops and goes on is told of, and stays a child.
ring_test!(stops_and_continues, |t| {
    let mut ring = t.ring(8)?;
    let info = Mapping::anonymous(4096);
    let pid = sys::start_child(0, ms(300));
    let mut told = |signal, options, code: i32| {
        ring.start(&[waitid(libc::P_PID, pid, info.at(0), options).data(1)]);
        sys::send_signal(pid, signal);
        assert_eq!(pairs(&ring.wait_n(1)), [(1, 0)]);
        assert_eq!(info.read::<u32>(8) as i32, code);
    };
    told(libc::SIGSTOP, libc::WSTOPPED, libc::CLD_STOPPED);
    told(libc::SIGCONT, libc::WCONTINUED, libc::CLD_CONTINUED);
    told(libc::SIGKILL, libc::WEXITED, libc::CLD_KILLED);
});

// WNOWAIT leaves the child to be waited for again.
ring_test!(looks_without_taking, |t| {
    let mut ring = t.ring(8)?;
    let pid = sys::start_child(0, ms(20));
    let look = libc::WEXITED | libc::WNOWAIT;
    ring.start(&[waitid(libc::P_PID, pid, 0, look).data(1)]);
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 0)]);
    assert_eq!(ring.run_one(waitid(libc::P_PID, pid, 0, libc::WEXITED)), 0);
    assert_eq!(ring.run_one(waitid(libc::P_PID, pid, 0, look)), Errno::ECHILD.as_result());
});

// Waits for any child and for one are cancelled, and the child stays.
ring_test!(all_waits_cancelled, |t| {
    let mut ring = t.ring(8)?;
    let pid = sys::start_child(0, ms(200));
    ring.start(&[
        waitid(libc::P_ALL, 0, 0, libc::WEXITED).data(1),
        waitid(libc::P_PID, pid, 0, libc::WEXITED).data(1),
    ]);
    ring.start(&[sqe::cancel(1, IORING_ASYNC_CANCEL_ALL).data(2)]);
    assert_eq!(by_data(&ring.wait_n(3)), [(1, ECANCELED), (1, ECANCELED), (2, 1)]);
    assert_eq!(ring.run_one(waitid(libc::P_ALL, 0, 0, libc::WEXITED)), 0);
});

// A bad address for what happened is -EFAULT; nothing is written there on a bad option.
ring_test!(bad_info, |t| {
    let mut ring = t.ring(8)?;
    let pid = sys::start_child(0, ms(0));
    assert_eq!(ring.run_one(waitid(libc::P_PID, pid, BAD_ADDRESS, libc::WEXITED)), EFAULT);
    let info = Mapping::anonymous(4096);
    info.write(0, 7_u32);
    assert_eq!(ring.run_one(waitid(libc::P_PID, -1, info.at(0), libc::WEXITED)), EINVAL);
    assert_eq!(info.read::<u32>(0), 7);
    let none = waitid(libc::P_ALL, 0, info.at(0), libc::WEXITED);
    assert_eq!(ring.run_one(none), Errno::ECHILD.as_result());
    assert_eq!(info.read::<u32>(0), 0);
});

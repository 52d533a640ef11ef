//! Cancelling what a worker has begun: its call ends, and whoever cancels is told `EALREADY`.

use crate::prelude::*;

/// A FIFO whose opening for reading waits until somebody writes, which nobody does.
struct Fifo {
    directory: tempfile::TempDir,
    path: std::ffi::CString,
}

impl Fifo {
    fn new() -> Fifo {
        let directory = sys::directory();
        let path = sys::c_path(directory.path().join("fifo"));
        sys::make_fifo(&path);
        Fifo { directory, path }
    }

    fn open(&self, data: u64) -> Sqe {
        sqe::openat(libc::AT_FDCWD, &self.path, libc::O_RDONLY, 0).with(IOSQE_ASYNC).data(data)
    }

    /// Whether somebody's open waits.
    fn is_waited_for(&self) -> bool {
        sys::open_for_writing(&self.path).is_ok()
    }
}

/// The kernel's own number for a call that was interrupted, which no system call shows.
const INTERRUPTED: i32 = -512;

/// What came, by request, and what the canceller was told as if the worker had still been at it: the
/// kernel looks for it twice, and one that has ended by the second time is not found.
fn told(cqes: &[Cqe], canceller: u64) -> Vec<(u64, i32)> {
    let mut got = by_data(cqes);
    let late = got.iter_mut().filter(|(data, res)| *data == canceller && *res == ENOENT);
    late.for_each(|(_, res)| *res = EALREADY);
    got
}

/// What comes of an interruption of `target`, given the time after which to make it, once a worker has
/// begun by then. Nothing shows whether one has: what was not begun is answered with `ECANCELED`, and then
/// it is tried once more, after twice the time.
fn once_begun(
    target: u64,
    first: Duration,
    mut interrupted: impl FnMut(Duration) -> Vec<(u64, i32)>,
) -> Vec<(u64, i32)> {
    let mut time = first;
    loop {
        let got = interrupted(time);
        if !got.contains(&(target, ECANCELED)) || time > ms(1000) {
            return got;
        }
        time *= 2;
    }
}

// A cancel of what a worker has begun is told that it runs already, and ends it.
ring_test!(by_data, |t| {
    let mut ring = t.ring(8)?;
    let fifo = Fifo::new();
    let got = once_begun(1, ms(30), |time| {
        ring.start(&[fifo.open(1)]);
        std::thread::sleep(time);
        ring.start(&[sqe::cancel(1, 0).data(2)]);
        told(&ring.wait_n(2), 2)
    });
    assert_eq!(got, [(1, INTERRUPTED), (2, EALREADY)]);
});

// A cancel of all ends each, and counts none.
ring_test!(all, |t| {
    let mut ring = t.ring(8)?;
    let fifo = Fifo::new();
    for (target, flag) in [(1, IORING_ASYNC_CANCEL_ALL), (0, IORING_ASYNC_CANCEL_ANY)] {
        let got = once_begun(1, ms(30), |time| {
            ring.start(&[fifo.open(1), fifo.open(1)]);
            std::thread::sleep(time);
            ring.start(&[sqe::cancel(target, flag).data(2)]);
            by_data(&ring.wait_n(3))
        });
        assert_eq!(got, [(1, INTERRUPTED), (1, INTERRUPTED), (2, 0)], "{flag}");
    }
});

// What is interrupted has failed: its chain breaks.
ring_test!(chain, |t| {
    let mut ring = t.ring(8)?;
    let fifo = Fifo::new();
    let got = once_begun(1, ms(30), |time| {
        ring.start(&[fifo.open(1).link(), sqe::nop().data(2)]);
        std::thread::sleep(time);
        ring.start(&[sqe::cancel(1, 0).data(3)]);
        told(&ring.wait_n(3), 3)
    });
    assert_eq!(got, [(1, INTERRUPTED), (2, ECANCELED), (3, EALREADY)]);
});

// A registration that cancels waits until it has ended.
ring_test!(registration, |t| {
    let mut ring = t.ring(8)?;
    let fifo = Fifo::new();
    let forever = Timespec { tv_sec: -1, tv_nsec: -1 };
    // The kernel may sleep through that, and without a limit it then sleeps for good (docs/FUZZING.md).
    let timeout = if t.is_kernel() { timespec(ms(5000)) } else { forever };
    let cancel = SyncCancelReg { addr: 1, fd: -1, timeout, ..SyncCancelReg::default() };
    let got = once_begun(1, ms(30), |time| {
        ring.start(&[fifo.open(1)]);
        std::thread::sleep(time);
        let got = ring.register_raw(RegisterOp::SyncCancel, address(&cancel), 1);
        // See `told`.
        let slept = t.is_kernel() && got == Err(Errno::ETIME);
        assert!(slept || [Ok(0), Err(Errno::ENOENT)].contains(&got), "{got:?}");
        pairs(&ring.wait_n(1))
    });
    assert_eq!(got, [(1, INTERRUPTED)]);
});

// The end of a ring ends it.
ring_test!(ring_ends, |t| {
    let mut ring = t.ring(8)?;
    let fifo = Fifo::new();
    ring.start(&[fifo.open(1)]);
    std::thread::sleep(ms(30));
    drop(ring);
    // A look lets an open that waits go on, so there can be one only.
    std::thread::sleep(ms(500));
    assert!(!fifo.is_waited_for());
});

// The end of the thread that submitted it ends it.
ring_test!(thread_ends, |t| {
    let fifo = Fifo::new();
    let mut ring = t.ring(8)?;
    let got = once_begun(1, ms(30), |time| {
        sys::on_thread(|| {
            ring.start(&[fifo.open(1)]);
            std::thread::sleep(time);
        });
        pairs(&ring.wait_n(1))
    });
    assert_eq!(got, [(1, INTERRUPTED)]);
});

// The end of a thread does not concern what others have submitted.
ring_test!(another_thread_ends, |t| {
    let fifo = Fifo::new();
    let mut ring = t.ring(8)?;
    ring.start(&[fifo.open(1)]);
    let got = once_begun(3, ms(30), |time| {
        sys::on_thread(|| {
            ring.start(&[sqe::nop().with(IOSQE_ASYNC).data(2), fifo.open(3)]);
            std::thread::sleep(time);
        });
        by_data(&ring.wait_n(2))
    });
    assert_eq!(got, [(2, 0), (3, INTERRUPTED)]);
    assert_eq!(pairs(&ring.settle(ms(50))), []);
    ring.start(&[sqe::cancel(1, 0).data(4)]);
    assert_eq!(told(&ring.wait_n(2), 4), [(1, INTERRUPTED), (4, EALREADY)]);
});

// No interruption is lost, however early it comes.
ring_test!(at_any_moment, |t| {
    let mut ring = t.ring(8)?;
    let fifo = Fifo::new();
    for wait in 0..200 {
        ring.start(&[fifo.open(1)]);
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(wait) {}
        ring.start(&[sqe::cancel(1, IORING_ASYNC_CANCEL_ALL).data(2)]);
        let got = by_data(&ring.wait_n(2));
        // A worker that has just taken it finds it cancelled, or counted as such.
        let ended = matches!(got[0], (1, INTERRUPTED | ECANCELED));
        assert!(ended && matches!(got[1], (2, 0 | 1)), "{got:?}");
    }
});

// What interrupts one call does not interrupt the worker's next.
ring_test!(next_goes_on, |t| {
    let mut ring = t.ring(8)?;
    let fifo = Fifo::new();
    for _ in 0..20 {
        ring.start(&[fifo.open(1)]);
        std::thread::sleep(ms(5));
        ring.start(&[sqe::cancel(1, IORING_ASYNC_CANCEL_ALL).data(2)]);
        ring.wait_n(2);
        ring.start(&[fifo.open(3)]);
        assert_eq!(pairs(&ring.settle(ms(5))), []);
        ring.start(&[sqe::cancel(3, IORING_ASYNC_CANCEL_ALL).data(4)]);
        ring.wait_n(2);
    }
});

// A linked timeout does not run while a worker makes a call that was not tried before.
ring_test!(linked_timeout_of_untried, |t| {
    let mut ring = t.ring(8)?;
    let fifo = Fifo::new();
    let time = timespec(ms(10));
    let create = libc::O_RDONLY | libc::O_CREAT;
    let creating = sqe::openat(libc::AT_FDCWD, &fifo.path, create, 0).data(1);
    for open in [fifo.open(1), creating] {
        let got = once_begun(1, ms(50), |begun| {
            ring.start(&[open.link(), sqe::link_timeout(&time, 0).data(2)]);
            assert_eq!(pairs(&ring.settle(begun)), []);
            ring.start(&[sqe::cancel(1, 0).data(3)]);
            told(&ring.wait_n(3), 3)
        });
        assert_eq!(got, [(1, INTERRUPTED), (2, ECANCELED), (3, EALREADY)]);
    }
});

// That of one which was tried first ends it, though it is told that there was nothing to end.
ring_test!(linked_timeout_of_tried, |t| {
    let mut ring = t.ring(8)?;
    let fifo = Fifo::new();
    let directory = std::fs::File::open(fifo.directory.path()).expect("open");
    // What goes through such a link is never cached.
    let path = sys::c_path(format!("/proc/self/fd/{}/fifo", fd(&directory)));
    let open = sqe::openat(libc::AT_FDCWD, &path, libc::O_RDONLY, 0).data(1);
    let got = once_begun(1, ms(10), |time| {
        let time = timespec(time);
        ring.start(&[open.link(), sqe::link_timeout(&time, 0).data(2)]);
        by_data(&ring.wait_n(2))
    });
    assert_eq!(got, [(1, INTERRUPTED), (2, ENOENT)]);
});

//! Which failures break a chain: most operations tell the chain of theirs, and some do not.

use crate::prelude::*;
use std::ffi::CStr;

const CWD: i32 = libc::AT_FDCWD;

/// What operations fail on.
struct World {
    _directory: tempfile::TempDir,
    none: std::ffi::CString,
    deep: std::ffi::CString,
    file: std::fs::File,
    pipe: (std::fs::File, std::fs::File),
    socket: std::net::TcpListener,
    buf: [u8; 256],
    word: u32,
}

impl World {
    fn new() -> World {
        let directory = sys::directory();
        let inside = |name: &str| sys::c_path(directory.path().join(name));
        World {
            none: inside("none"),
            deep: inside("none/deep"),
            file: sys::file_with(b"1234"),
            pipe: sys::pipe(),
            socket: sys::listener(),
            buf: [0; 256],
            word: 0,
            _directory: directory,
        }
    }

    fn at(&self, op: Op, path: &CStr) -> Sqe {
        sqe::raw(op, CWD, path.as_ptr() as u64, 0, 0)
    }

    fn two_paths(&self, op: Op) -> Sqe {
        let (none, deep) = (self.none.as_ptr() as u64, self.deep.as_ptr() as u64);
        sqe::raw(op, CWD, none, CWD as u32, deep)
    }

    /// An attribute, of a path for the forms that take one.
    fn attribute(&self, op: Op, file: i32) -> Sqe {
        let name = c"user.none".as_ptr() as u64;
        let entry = sqe::raw(op, file, name, 8, self.buf.as_ptr() as u64);
        Sqe { addr3: self.none.as_ptr() as u64, ..entry }
    }

    /// Failures of the call itself, of operations that keep them to themselves.
    fn quiet(&self) -> Vec<Sqe> {
        let (pipe, none) = (fd(&self.pipe.0), self.none.as_ptr() as u64);
        let plain = |op, fd| sqe::raw(op, fd, 0, 0, 0);
        vec![
            plain(Op::Fsync, pipe),
            plain(Op::SyncFileRange, pipe),
            sqe::raw(Op::Fallocate, pipe, 10, 0, 0),
            sqe::raw(Op::Madvise, -1, 1, 10, 0),
            plain(Op::Ftruncate, pipe),
            sqe::raw(Op::Statx, CWD, none, 0x7ff, self.buf.as_ptr() as u64),
            self.at(Op::Mkdirat, &self.deep),
            self.at(Op::Unlinkat, &self.none),
            self.two_paths(Op::Renameat),
            self.two_paths(Op::Linkat),
            sqe::raw(Op::Symlinkat, CWD, none, 0, self.deep.as_ptr() as u64),
            self.attribute(Op::Getxattr, 0),
            self.attribute(Op::Setxattr, 0),
            Sqe { addr3: 0, ..self.attribute(Op::Fgetxattr, fd(&self.file)) },
            Sqe { addr3: 0, ..self.attribute(Op::Fsetxattr, pipe) },
            sqe::raw(Op::Shutdown, fd(&self.socket), 0, 77, 0),
        ]
    }

    /// Failures of all kinds, of the other operations, and of some of those before their call.
    fn loud(&self) -> Vec<Sqe> {
        let (file, pipe, none) = (fd(&self.file), fd(&self.pipe.0), 5000);
        let (buf, word) = (self.buf.as_ptr() as u64, address(&self.word));
        let plain = |op, fd| sqe::raw(op, fd, 0, 0, 0);
        let any = u64::from(u32::MAX);
        vec![
            Sqe { fd: -1, ..plain(Op::Fsync, pipe) },
            self.at(Op::Mkdirat, c""),
            plain(Op::Shutdown, file),
            sqe::raw(Op::Fadvise, pipe, 0, 10, 0),
            self.at(Op::Openat, &self.none),
            sqe::close(none),
            plain(Op::EpollCtl, pipe),
            sqe::raw(Op::EpollWait, pipe, buf, 1, 0),
            sqe::splice(file, u64::MAX, file, u64::MAX, 3),
            Sqe { file_index: file as u32, ..sqe::raw(Op::Tee, file, 0, 4, 0) },
            sqe::raw(Op::Read, file, 1, 4, 0),
            sqe::raw(Op::Send, file, buf, 4, 0),
            sqe::raw(Op::Recv, file, buf, 4, 0),
            plain(Op::Accept, file),
            sqe::raw(Op::Connect, file, buf, 0, 16),
            sqe::socket(999, 1, 0),
            sqe::raw(Op::Bind, file, buf, 0, 16),
            plain(Op::Listen, file),
            sqe::provide_buffers(0xffff_8000_0000_0000, 8, 1, 1, 0),
            sqe::remove_buffers(1, 99),
            sqe::msg_ring(file, 1, 1, 0),
            sqe::timeout_remove(77),
            sqe::poll_remove(77),
            sqe::cancel(77, 0),
            Sqe { addr3: 1, ..sqe::raw(Op::FutexWake, 2, word + 1, 0, 1) },
            Sqe { addr3: any, ..sqe::raw(Op::FutexWait, 2, word, 0, 5) },
            Sqe { file_index: 4, ..sqe::raw(Op::Waitid, 1_999_999, 0, 1, 0) },
            plain(Op::UringCmd, file),
            sqe::poll_add(none, libc::POLLIN),
            sqe::raw(Op::Pipe, 0, 1, 0, 0),
        ]
    }
}

/// The result of an entry, and that of a nop that hangs on it.
fn run(ring: &mut Ring, entry: Sqe) -> (i32, i32) {
    ring.push(entry.data(1).link());
    ring.push(sqe::nop().data(2));
    assert_eq!(ring.submit(), Ok(2));
    let got = by_data(&ring.wait_n(2));
    (got[0].1, got[1].1)
}

// A chain goes on after what keeps its failure to itself: fsync, and all that works on paths.
ring_test!(quiet, |t| {
    let mut ring = t.ring(8)?;
    let world = World::new();
    for entry in world.quiet() {
        let (res, next) = run(&mut ring, entry);
        assert!(res < 0 && next == 0, "{entry:?}: {res}, {next}");
    }
});

// It breaks at any other failure, and at theirs before the call is made.
ring_test!(loud, |t| {
    let mut ring = t.ring(8)?;
    let world = World::new();
    for entry in world.loud() {
        let (res, next) = run(&mut ring, entry);
        assert!(res < 0 && next == ECANCELED, "{entry:?}: {res}, {next}");
    }
});

// One that is to be silent about success is silent about such a failure too.
ring_test!(quiet_is_silent, |t| {
    let mut ring = t.ring(8)?;
    let world = World::new();
    for entry in world.quiet() {
        ring.push(entry.data(1).skip().link());
        ring.push(sqe::nop().data(2));
        assert_eq!(ring.submit(), Ok(2));
        assert_eq!(pairs(&ring.wait_n(1)), [(2, 0)], "{entry:?}");
    }
    for entry in world.loud() {
        ring.start(&[entry.data(1).skip()]);
        assert!(ring.wait_n(1)[0].res < 0, "{entry:?}");
    }
    assert_eq!(pairs(&ring.settle(ms(20))), []);
});

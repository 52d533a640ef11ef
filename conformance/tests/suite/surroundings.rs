//! Whose a request is: the user, the directory, the namespaces and the descriptors of the thread that
//! submits it, and the threads that serve it.

use crate::prelude::*;
use libc::AT_FDCWD;
use ringfence_conformance::thread;

/// How a request may be made: on the spot if that can be, or by another thread.
const WAYS: [u8; 2] = [0, IOSQE_ASYNC];

/// A directory with a file in it, and the file's name alone.
fn place() -> (tempfile::TempDir, &'static std::ffi::CStr) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("file"), b"1234").expect("write");
    (directory, c"file")
}

fn open(path: &std::ffi::CStr) -> Sqe {
    sqe::openat(AT_FDCWD, path, libc::O_RDONLY, 0)
}

/// What an open gives, closed at once: 0 or the error.
fn opened(ring: &mut Ring, entry: Sqe) -> i32 {
    closed(ring.run_one(entry))
}

fn closed(got: i32) -> i32 {
    if got < 0 {
        return got;
    }
    drop(sys::adopt(got));
    0
}

// A thread that has changed its user submits as that user, whoever makes the calls; others do not.
ring_test!(user_of_a_thread, |t| {
    if sys::effective_user() != 0 {
        return Err(Skip("needs root".to_owned()));
    }
    let mut ring = t.ring(8)?;
    let (directory, _) = place();
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(directory.path(), own).expect("chmod");
    let path = sys::c_path(directory.path().join("file"));
    let entry = open(&path);
    assert_eq!(WAYS.map(|way| opened(&mut ring, entry.with(way))), [0, 0]);
    sys::on_thread(|| {
        thread::set_user(65_534);
        assert_eq!(WAYS.map(|way| opened(&mut ring, entry.with(way))), [EACCES, EACCES]);
    });
    assert_eq!(WAYS.map(|way| opened(&mut ring, entry.with(way))), [0, 0]);
});

// So does one that has a user of its own for the file system alone.
ring_test!(file_system_user_of_a_thread, |t| {
    if sys::effective_user() != 0 {
        return Err(Skip("needs root".to_owned()));
    }
    let mut ring = t.ring(8)?;
    let (directory, _) = place();
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(directory.path(), own).expect("chmod");
    let path = sys::c_path(directory.path().join("file"));
    let entry = open(&path);
    assert_eq!(WAYS.map(|way| opened(&mut ring, entry.with(way))), [0, 0]);
    for by_number in [false, true] {
        sys::on_thread(|| {
            thread::set_file_user(65_534, by_number);
            assert_eq!(WAYS.map(|way| opened(&mut ring, entry.with(way))), [EACCES, EACCES]);
        });
        assert_eq!(WAYS.map(|way| opened(&mut ring, entry.with(way))), [0, 0]);
    }
});

/// What the thread of a polling ring makes of an entry; it sleeps at first, and is woken.
fn by_poller(ring: &mut Ring, entry: Sqe) -> i32 {
    ring.push(entry);
    let pending = ring.flush();
    assert!(ring.enter(pending, 0, IORING_ENTER_SQ_WAKEUP).is_ok());
    ring.wait().res
}

// The thread of a polling ring goes on as the user that made the ring, whoever the process is meanwhile.
ring_test!(poller_keeps_its_user, |t| {
    if sys::effective_user() != 0 {
        return Err(Skip("needs root".to_owned()));
    }
    let flags = IORING_SETUP_SQPOLL;
    let mut ring = t.ring_from(8, Params { flags, sq_thread_idle: 2000, ..Params::default() })?;
    let (directory, _) = place();
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(directory.path(), own).expect("chmod");
    let path = sys::c_path(directory.path().join("file"));
    let entry = open(&path);
    assert_eq!(WAYS.map(|way| closed(by_poller(&mut ring, entry.with(way)))), [0, 0]);
    sys::set_effective_user(65_534);
    let polled = WAYS.map(|way| closed(by_poller(&mut ring, entry.with(way))));
    let itself = std::fs::File::open(directory.path().join("file")).is_ok();
    sys::set_effective_user(0);
    assert_eq!((polled, itself), ([0, 0], false));
    assert_eq!(WAYS.map(|way| closed(by_poller(&mut ring, entry.with(way)))), [0, 0]);
});

// After a change of user for good a polling ring serves on.
ring_test!(poller_serves_after_a_change_for_good, |t| {
    if sys::effective_user() != 0 {
        return Err(Skip("needs root".to_owned()));
    }
    let flags = IORING_SETUP_SQPOLL;
    let mut ring = t.ring_from(8, Params { flags, sq_thread_idle: 2000, ..Params::default() })?;
    let file = sys::file_with(b"1234");
    sys::set_user_for_good(65_534);
    let mut buf = [0; 4];
    assert_eq!(by_poller(&mut ring, sqe::read(fd(&file), &mut buf, 0)), 4);
});

// What a thread submits in a chain or behind a drain is done as its user, whoever lets it go on.
ring_test!(user_of_what_goes_on_later, |t| {
    if sys::effective_user() != 0 {
        return Err(Skip("needs root".to_owned()));
    }
    let mut ring = t.ring(8)?;
    let (directory, _) = place();
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(directory.path(), own).expect("chmod");
    let path = sys::c_path(directory.path().join("file"));
    let entry = open(&path);
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    // What the engine needs threads for is started as the process's user.
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN)]);
    std::thread::sleep(ms(20));
    writer.write_all(b"1234").expect("write");
    assert_eq!(ring.settle(ms(20)).len(), 1);
    sys::read_number(fd(&reader), &mut buf).expect("read");
    let submitted = std::sync::Barrier::new(2);
    let over = std::sync::Barrier::new(2);
    let read = sqe::read_stream(fd(&reader), &mut buf).data(1).link();
    let poll = sqe::poll_add(fd(&writer), libc::POLLOUT | libc::POLLERR).data(3);
    let chain = [read, entry.data(2), poll, entry.with(IOSQE_IO_DRAIN).data(4)];
    let shared = std::sync::Mutex::new(&mut ring);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            thread::set_user(65_534);
            shared.lock().expect("no panic").start(&chain);
            submitted.wait();
            // Its requests are cancelled if it ends.
            over.wait();
        });
        submitted.wait();
        writer.write_all(b"1234").expect("write");
        let got = shared.lock().expect("no panic").settle(ms(50));
        over.wait();
        let result = |data| got.iter().find(|cqe| cqe.user_data == data).map(|cqe| cqe.res);
        assert_eq!([1, 2, 4].map(result), [Some(4), Some(EACCES), Some(EACCES)]);
    });
});

// A path is looked up from the directory of the thread that submits it.
ring_test!(directory_of_a_thread, |t| {
    let mut ring = t.ring(8)?;
    let (directory, name) = place();
    let entry = open(name);
    assert_eq!(WAYS.map(|way| opened(&mut ring, entry.with(way))), [ENOENT, ENOENT]);
    sys::on_thread(|| {
        thread::unshare(libc::CLONE_FS)?;
        std::env::set_current_dir(directory.path()).expect("chdir");
        assert_eq!(WAYS.map(|way| opened(&mut ring, entry.with(way))), [0, 0]);
        Ok(())
    })?;
    assert_eq!(WAYS.map(|way| opened(&mut ring, entry.with(way))), [ENOENT, ENOENT]);
});

// A thread in a mount namespace of its own opens what is mounted there.
ring_test!(mounts_of_a_thread, |t| {
    let mut ring = t.ring(8)?;
    let (directory, _) = place();
    let path = sys::c_path(directory.path().join("file"));
    let entry = open(&path);
    assert_eq!(WAYS.map(|way| opened(&mut ring, entry.with(way))), [0, 0]);
    sys::on_thread(|| {
        thread::unshare(libc::CLONE_NEWNS)?;
        thread::mount_memory(&sys::c_path(directory.path()))?;
        assert_eq!(WAYS.map(|way| opened(&mut ring, entry.with(way))), [ENOENT, ENOENT]);
        Ok(())
    })?;
    assert_eq!(WAYS.map(|way| opened(&mut ring, entry.with(way))), [0, 0]);
});

// A thread with descriptors of its own reads from those.
ring_test!(descriptors_of_a_thread, |t| {
    let mut ring = t.ring(8)?;
    sys::on_thread(|| {
        thread::unshare(libc::CLONE_FILES)?;
        let (reader, mut writer) = sys::pipe();
        let mut buf = [0; 4];
        for way in WAYS {
            ring.start(&[sqe::read_stream(fd(&reader), &mut buf).with(way).data(1)]);
            writer.write_all(b"1234").expect("write");
            assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
        }
        Ok(())
    })?;
});

// A ring outlives the thread that made it.
ring_test!(maker_has_ended, |t| {
    let ring = sys::on_thread(|| t.ring(8).map(|mut ring| std::mem::replace(&mut ring.fd, -1)));
    let params = t.ring(8)?.params;
    let mut ring = Ring::map(t, ring?, params).expect("map");
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
    writer.write_all(b"1").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, libc::POLLIN.into())]);
});

/// Fifos whose opening for reading takes until somebody writes.
struct Fifos {
    _directory: tempfile::TempDir,
    paths: Vec<std::ffi::CString>,
}

impl Fifos {
    fn new(count: u32) -> Fifos {
        let directory = sys::directory();
        let path = |index: u32| sys::c_path(directory.path().join(index.to_string()));
        let paths: Vec<_> = (0..count).map(path).collect();
        paths.iter().for_each(|path| sys::make_fifo(path));
        Fifos { _directory: directory, paths }
    }

    fn open(&self, index: usize) -> Sqe {
        open(&self.paths[index]).with(IOSQE_ASYNC).data(index as u64)
    }

    /// Lets the opening go on.
    fn release(&self, index: usize) -> std::fs::File {
        let path = self.paths[index].to_str().expect("UTF-8");
        std::fs::OpenOptions::new().write(true).open(path).expect("open")
    }
}

/// The threads that came since `before`, once there are some.
fn new_threads(before: &std::collections::BTreeSet<u32>) -> Vec<u32> {
    let deadline = Instant::now() + ms(8000);
    loop {
        let found: Vec<u32> = thread::threads().difference(before).copied().collect();
        if !found.is_empty() || Instant::now() > deadline {
            return found;
        }
        std::thread::sleep(ms(1));
    }
}

// Workers run on the processors that were asked for, and on all again once that is taken back.
ring_test!(workers_run_where_asked, |t| {
    let all = thread::processors(std::process::id()).expect("our own");
    if all == "0" {
        return Err(Skip("there is one processor".to_owned()));
    }
    let mut ring = t.ring(8)?;
    let fifos = Fifos::new(1);
    let before = thread::threads();
    let cpus = [1_u64];
    assert_eq!(ring.register_raw(RegisterOp::IowqAff, address(&cpus), 8), Ok(0));
    ring.start(&[fifos.open(0)]);
    let workers = new_threads(&before);
    std::thread::sleep(ms(20));
    let places: Vec<_> = workers.iter().map(|worker| thread::processors(*worker)).collect();
    assert!(places.contains(&Some("0".to_owned())), "{places:?}");
    let _writer = fifos.release(0);
    drop(sys::adopt(ring.wait().res));
    let far = [1_u64, 0, 0, 0, 0, 0, 0, 1 << 63];
    assert_eq!(ring.register_raw(RegisterOp::IowqAff, address(&far), 64), Ok(0));
    assert_eq!(ring.register_raw(RegisterOp::UnregisterIowqAff, 0, 0), Ok(0));
});

// The thread of a polling ring runs on the processor that was asked for.
ring_test!(poller_runs_where_asked, |t| {
    let flags = IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF;
    drop(t.ring_with(8, IORING_SETUP_SQPOLL)?);
    let before = thread::threads();
    let params = Params { flags, sq_thread_cpu: 0, sq_thread_idle: 1000, ..Params::default() };
    let _ring = t.ring_from(8, params)?;
    let threads = new_threads(&before);
    std::thread::sleep(ms(20));
    let places: Vec<_> = threads.iter().map(|thread| thread::processors(*thread)).collect();
    assert!(places.contains(&Some("0".to_owned())), "{places:?}");
});

// No more than so many workers block at a time; what comes after waits for one of them.
ring_test!(workers_are_limited, |t| {
    let mut ring = t.ring(8)?;
    let mut limits = [1_u32, 0];
    assert_eq!(ring.register_mut(RegisterOp::IowqMaxWorkers, &mut limits, 2), Ok(0));
    let fifos = Fifos::new(3);
    ring.start(&[0, 1, 2].map(|index| fifos.open(index)));
    for index in 0..3 {
        assert_eq!(ring.settle(ms(5)), []);
        let _writer = fifos.release(index);
        let got = ring.wait();
        assert_eq!(got.user_data, index as u64);
        drop(sys::adopt(got.res));
    }
});

// A process with rings, and requests that wait in them, may enter namespaces of its own.
ring_test!(namespaces_of_a_process, |t| {
    t.can_fork()?;
    drop(t.ring(1)?);
    let in_child = |waits: bool| {
        sys::in_child(|| {
            let Ok(mut ring) = t.ring(8) else { return 9 };
            let (reader, mut writer) = sys::pipe();
            let mut buf = [0; 4];
            if waits {
                ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
            }
            ring.run(&[sqe::nop()]);
            if thread::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).is_err() {
                return 77;
            }
            if !waits {
                ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
            }
            writer.write_all(b"1234").expect("write");
            u8::from(pairs(&ring.wait_n(1)) == [(1, 4)])
        })
    };
    assert_eq!([false, true].map(in_child), [Some(1), Some(1)]);
});

//! Files and directories: open, close, status, names, sizes, advice, and moving bytes by pipe.

use crate::prelude::*;
use libc::{AT_FDCWD, O_CLOEXEC, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC};
use std::ffi::CString;
use std::os::unix::fs::{FileExt, MetadataExt};

/// A directory and the C path of a name in it.
fn place(name: &str) -> (tempfile::TempDir, CString) {
    let directory = sys::directory();
    let path = sys::c_path(directory.path().join(name));
    (directory, path)
}

fn path_of(path: &CString) -> &std::path::Path {
    std::path::Path::new(path.to_str().expect("UTF-8"))
}

// openat makes a file, which is then a plain descriptor.
ring_test!(open_creates, |t| {
    let mut ring = t.ring(8)?;
    let (_directory, path) = place("file");
    let got = ring.run_one(sqe::openat(AT_FDCWD, &path, O_CREAT | O_RDWR, 0o640));
    let file = sys::adopt(got);
    let mode = std::fs::metadata(path_of(&path)).expect("stat").mode();
    assert_eq!(mode & 0o177, 0o040, "{mode:o}");
    assert_eq!(ring.run_one(sqe::write(fd(&file), b"1234", 0)), 4);
});

// Errors of openat: no such file, a bad directory, a bad address of the path.
ring_test!(open_errors, |t| {
    let mut ring = t.ring(8)?;
    let (_directory, path) = place("none");
    let open = sqe::openat(AT_FDCWD, &path, O_RDONLY, 0);
    assert_eq!(ring.run_one(open), ENOENT);
    assert_eq!(ring.run_one(Sqe { addr: BAD_ADDRESS, ..open }), EFAULT);
    let relative = sqe::openat(1 << 20, c"name", O_RDONLY, 0);
    assert_eq!(ring.run_one(relative), EBADF);
    assert_eq!(ring.run_one(sqe::openat(AT_FDCWD, c"", O_RDONLY, 0)), ENOENT);
});

// openat is relative to its directory.
ring_test!(open_relative, |t| {
    let mut ring = t.ring(8)?;
    let (directory, path) = place("name");
    std::fs::write(path_of(&path), "1234").expect("write");
    let at = std::fs::File::open(directory.path()).expect("open");
    sys::adopt(ring.run_one(sqe::openat(fd(&at), c"name", O_RDONLY, 0)));
});

// O_CLOEXEC is as asked for.
ring_test!(open_cloexec, |t| {
    let mut ring = t.ring(8)?;
    for (flags, expected) in [(O_CLOEXEC, true), (0, false)] {
        let file = sys::adopt(ring.run_one(sqe::openat(AT_FDCWD, c"/dev/null", flags, 0)));
        assert_eq!(sys::is_cloexec(fd(&file)), expected);
    }
});

// openat2 takes an open_how; a size too small is -EINVAL, a bad address -EFAULT.
ring_test!(open_by_how, |t| {
    let mut ring = t.ring(8)?;
    let how = OpenHow { flags: O_RDONLY as u64, ..OpenHow::default() };
    let open = sqe::openat2(AT_FDCWD, c"/dev/null", &how);
    sys::adopt(ring.run_one(open));
    assert_eq!(ring.run_one(Sqe { len: 8, ..open }), EINVAL);
    assert_eq!(ring.run_one(Sqe { off: BAD_ADDRESS, ..open }), EFAULT);
    let unknown = OpenHow { resolve: 1 << 40, ..how };
    assert_eq!(ring.run_one(sqe::openat2(AT_FDCWD, c"/dev/null", &unknown)), EINVAL);
});

// openat2's RESOLVE_CACHED opens what is cached, and RESOLVE_NO_SYMLINKS refuses links.
ring_test!(open_resolve_flags, |t| {
    let mut ring = t.ring(8)?;
    let (_directory, path) = place("link");
    std::os::unix::fs::symlink("/dev/null", path_of(&path)).expect("symlink");
    let how = OpenHow { resolve: 4, ..OpenHow::default() };
    assert_eq!(ring.run_one(sqe::openat2(AT_FDCWD, &path, &how)), -libc::ELOOP);
});

// An IOSQE_ASYNC open of a fifo waits for the other end, without blocking the submission.
ring_test!(open_of_a_fifo_waits, |t| {
    let mut ring = t.ring(8)?;
    let (_directory, path) = place("fifo");
    sys::make_fifo(&path);
    let open = sqe::openat(AT_FDCWD, &path, O_RDONLY, 0).with(IOSQE_ASYNC);
    ring.start(&[open.data(1)]);
    assert_eq!(pairs(&ring.run(&[sqe::nop().data(2)])), [(2, 0)]);
    let _writer = std::fs::OpenOptions::new().write(true).open(path_of(&path)).expect("open");
    sys::adopt(ring.wait().res);
});

// close closes; a bad descriptor is -EBADF, and so is one closed already.
ring_test!(close, |t| {
    let mut ring = t.ring(8)?;
    let number = sys::release(sys::memory_file());
    assert_eq!(ring.run_one(sqe::close(number)), 0);
    assert!(!sys::is_open(number));
    assert_eq!(ring.run_one(sqe::close(number)), EBADF);
    assert_eq!(ring.run_one(sqe::close(-1)), EBADF);
});

// close of a ring's descriptor is refused: -EBADF.
ring_test!(close_of_a_ring, |t| {
    let mut ring = t.ring(8)?;
    let other = t.ring(8)?;
    assert_eq!(ring.run_one(sqe::close(ring.fd)), EBADF);
    assert_eq!(ring.run_one(sqe::close(other.fd)), EBADF);
});

// close refuses fields that it does not know, and a descriptor beside a slot.
ring_test!(close_bad_fields, |t| {
    let mut ring = t.ring(8)?;
    let good = sqe::close(1 << 20);
    assert_eq!(ring.run_one(Sqe { off: 1, ..good }), EINVAL);
    assert_eq!(ring.run_one(Sqe { addr: 1, ..good }), EINVAL);
    assert_eq!(ring.run_one(Sqe { len: 1, ..good }), EINVAL);
    assert_eq!(ring.run_one(Sqe { op_flags: 1, ..good }), EINVAL);
    assert_eq!(ring.run_one(Sqe { fd: 3, ..sqe::close_slot(0) }), EINVAL);
    assert_eq!(ring.run_one(sqe::nop().with(IOSQE_FIXED_FILE)), 0);
    assert_eq!(ring.run_one(good.with(IOSQE_FIXED_FILE)), EBADF);
});

// statx tells size and kind, by path and by descriptor with an empty path.
ring_test!(status, |t| {
    let mut ring = t.ring(8)?;
    let (_directory, path) = place("file");
    std::fs::write(path_of(&path), "12345").expect("write");
    let mut buf = Mapping::anonymous(4096);
    let statx = |dir, path: &std::ffi::CStr, flags: i32, buf: &mut Mapping| {
        let mask = libc::STATX_BASIC_STATS;
        raw(Op::Statx, dir, path.as_ptr() as u64, mask, buf.at(0)).op_flags(flags as u32)
    };
    assert_eq!(ring.run_one(statx(AT_FDCWD, &path, 0, &mut buf)), 0);
    assert_eq!(buf.read::<u64>(40), 5, "stx_size");
    let file = std::fs::File::open(path_of(&path)).expect("open");
    buf.fill(0);
    assert_eq!(ring.run_one(statx(fd(&file), c"", libc::AT_EMPTY_PATH, &mut buf)), 0);
    assert_eq!(buf.read::<u64>(40), 5);
});

// statx errors: no such file, an empty path, bad addresses of path and buffer.
ring_test!(status_errors, |t| {
    let mut ring = t.ring(8)?;
    let buf = Mapping::anonymous(4096);
    let statx = raw(Op::Statx, AT_FDCWD, c"/none/such".as_ptr() as u64, 0x7ff, buf.at(0));
    assert_eq!(ring.run_one(statx), ENOENT);
    assert_eq!(ring.run_one(Sqe { addr: c"".as_ptr() as u64, ..statx }), ENOENT);
    assert_eq!(ring.run_one(Sqe { addr: BAD_ADDRESS, ..statx }), EFAULT);
    let root = Sqe { addr: c"/".as_ptr() as u64, ..statx };
    assert_eq!(ring.run_one(root), 0);
    assert_eq!(ring.run_one(Sqe { off: BAD_ADDRESS, ..root }), EFAULT);
    assert_eq!(ring.run_one(root.with(IOSQE_FIXED_FILE)), EBADF);
});

// renameat moves; RENAME_NOREPLACE does not replace.
ring_test!(rename, |t| {
    let mut ring = t.ring(8)?;
    let (directory, from) = place("from");
    let to = sys::c_path(directory.path().join("to"));
    std::fs::write(path_of(&from), "1").expect("write");
    let at = AT_FDCWD as u32;
    let rename = raw(Op::Renameat, AT_FDCWD, from.as_ptr() as u64, at, to.as_ptr() as u64);
    assert_eq!(ring.run_one(rename), 0);
    assert!(path_of(&to).exists() && !path_of(&from).exists());
    assert_eq!(ring.run_one(rename), ENOENT);
    std::fs::write(path_of(&from), "2").expect("write");
    assert_eq!(ring.run_one(rename.op_flags(libc::RENAME_NOREPLACE)), EEXIST);
});

// unlinkat removes files, and directories with AT_REMOVEDIR.
ring_test!(unlink, |t| {
    let mut ring = t.ring(8)?;
    let (_directory, path) = place("name");
    std::fs::write(path_of(&path), "1").expect("write");
    let unlink = raw(Op::Unlinkat, AT_FDCWD, path.as_ptr() as u64, 0, 0);
    assert_eq!(ring.run_one(unlink), 0);
    assert_eq!(ring.run_one(unlink), ENOENT);
    std::fs::create_dir(path_of(&path)).expect("mkdir");
    assert_eq!(ring.run_one(unlink), Errno::EISDIR.as_result());
    assert_eq!(ring.run_one(unlink.op_flags(libc::AT_REMOVEDIR as u32)), 0);
    assert_eq!(ring.run_one(unlink.op_flags(1)), EINVAL);
});

// mkdirat, symlinkat and linkat make what their names say.
ring_test!(make_names, |t| {
    let mut ring = t.ring(8)?;
    let (base, directory) = place("directory");
    let mkdir = raw(Op::Mkdirat, AT_FDCWD, directory.as_ptr() as u64, 0o700, 0);
    assert_eq!(ring.run_one(mkdir), 0);
    assert_eq!(ring.run_one(mkdir), EEXIST);
    assert!(path_of(&directory).is_dir());
    let symlink = sys::c_path(base.path().join("symlink"));
    let target = directory.as_ptr() as u64;
    let entry = raw(Op::Symlinkat, AT_FDCWD, target, 0, symlink.as_ptr() as u64);
    assert_eq!(ring.run_one(entry), 0);
    assert_eq!(std::fs::read_link(path_of(&symlink)).expect("readlink"), path_of(&directory));
    let (file, link) =
        (sys::c_path(base.path().join("file")), sys::c_path(base.path().join("link")));
    std::fs::write(path_of(&file), "1").expect("write");
    let at = AT_FDCWD as u32;
    let entry = raw(Op::Linkat, AT_FDCWD, file.as_ptr() as u64, at, link.as_ptr() as u64);
    assert_eq!(ring.run_one(entry), 0);
    assert_eq!(std::fs::metadata(path_of(&file)).expect("stat").nlink(), 2);
});

// Names are copied when the request is submitted.
ring_test!(names_are_copied, |t| {
    let mut ring = t.ring(8)?;
    let (_directory, path) = place("name");
    let mut bytes = path.clone().into_bytes_with_nul();
    let mkdir = raw(Op::Mkdirat, AT_FDCWD, bytes.as_ptr() as u64, 0o700, 0);
    ring.start(&[mkdir.with(IOSQE_ASYNC)]);
    bytes.fill(0);
    std::hint::black_box(&bytes);
    assert_eq!(ring.wait().res, 0);
    assert!(path_of(&path).is_dir());
});

// ftruncate sets the size; on a descriptor not open for writing -EINVAL, on a bad one -EBADF.
ring_test!(truncate, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"12345678");
    let truncate = |fd, size| raw(Op::Ftruncate, fd, 0, 0, size);
    assert_eq!(ring.run_one(truncate(fd(&file), 3)), 0);
    assert_eq!(file.metadata().expect("stat").len(), 3);
    assert_eq!(ring.run_one(truncate(-1, 3)), EBADF);
    let read_only = std::fs::File::open("/proc/self/exe").expect("open");
    assert_eq!(ring.run_one(truncate(fd(&read_only), 3)), EINVAL);
    assert_eq!(ring.run_one(Sqe { len: 1, ..truncate(fd(&file), 3) }), EINVAL);
});

// fallocate: the size stands in addr, the mode in len.
ring_test!(allocate, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"");
    let allocate = raw(Op::Fallocate, fd(&file), 8192, 0, 4096);
    assert_eq!(ring.run_one(allocate), 0);
    assert_eq!(file.metadata().expect("stat").len(), 12288);
    let keep_size = Sqe { addr: 1 << 20, len: libc::FALLOC_FL_KEEP_SIZE as u32, ..allocate };
    assert_eq!(ring.run_one(keep_size), 0);
    assert_eq!(file.metadata().expect("stat").len(), 12288);
    assert_eq!(ring.run_one(Sqe { op_flags: 1, ..allocate }), EINVAL);
    let (reader, _writer) = sys::pipe();
    assert_eq!(ring.run_one(Sqe { fd: fd(&reader), ..allocate }), EBADF);
});

// fsync and its data-only form; unknown flags -EINVAL; on a pipe -EINVAL.
ring_test!(sync, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    let sync = raw(Op::Fsync, fd(&file), 0, 0, 0);
    assert_eq!(ring.run_one(sync), 0);
    assert_eq!(ring.run_one(sync.op_flags(IORING_FSYNC_DATASYNC)), 0);
    assert_eq!(ring.run_one(sync.op_flags(2)), EINVAL);
    assert_eq!(ring.run_one(Sqe { addr: 1, ..sync }), EINVAL);
    let (reader, _writer) = sys::pipe();
    assert_eq!(ring.run_one(Sqe { fd: fd(&reader), ..sync }), EINVAL);
    assert_eq!(ring.run_one(Sqe { fd: -1, ..sync }), EBADF);
});

// sync_file_range takes its range and flags.
ring_test!(sync_range, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(&[0; 8192]);
    let sync = raw(Op::SyncFileRange, fd(&file), 0, 4096, 0);
    let flags = libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    assert_eq!(ring.run_one(sync.op_flags(flags)), 0);
    assert_eq!(ring.run_one(sync.op_flags(1 << 20)), EINVAL);
    let (reader, _writer) = sys::pipe();
    assert_eq!(ring.run_one(Sqe { fd: fd(&reader), ..sync }), ESPIPE);
});

// fadvise and madvise pass advice on; unknown advice is -EINVAL.
ring_test!(advice, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(&[0; 8192]);
    let advise = raw(Op::Fadvise, fd(&file), 0, 4096, 0);
    for advice in [libc::POSIX_FADV_WILLNEED, libc::POSIX_FADV_DONTNEED] {
        assert_eq!(ring.run_one(advise.op_flags(advice as u32)), 0);
    }
    assert_eq!(ring.run_one(advise.op_flags(99)), EINVAL);
    let page = Mapping::anonymous(4096);
    page.fill(7);
    let advise = raw(Op::Madvise, -1, page.at(0), 4096, 0);
    assert_eq!(ring.run_one(advise.op_flags(libc::MADV_DONTNEED as u32)), 0);
    assert_eq!(page.read::<u8>(0), 0);
    assert_eq!(ring.run_one(advise.op_flags(9999)), EINVAL);
});

// splice moves bytes from a file into a pipe and out again.
ring_test!(splice, |t| {
    let mut ring = t.ring(8)?;
    let (file, to) = (sys::file_with(b"spliced bytes"), sys::file_with(b""));
    let (reader, writer) = sys::pipe();
    let inward = sqe::splice(fd(&file), 8, fd(&writer), u64::MAX, 5);
    assert_eq!(ring.run_one(inward), 5);
    assert_eq!(ring.run_one(sqe::splice(fd(&reader), u64::MAX, fd(&to), 0, 5)), 5);
    let mut buf = [0; 5];
    to.read_exact_at(&mut buf, 0).expect("read");
    assert_eq!(&buf, b"bytes");
});

// splice: unknown flags -EINVAL, a bad source -EBADF, no pipe at either end -EINVAL.
ring_test!(splice_errors, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    let (reader, writer) = sys::pipe();
    let good = sqe::splice(fd(&file), 0, fd(&writer), u64::MAX, 4);
    assert_eq!(ring.run_one(good.op_flags(1 << 20)), EINVAL);
    assert_eq!(ring.run_one(sqe::splice(-1, 0, fd(&writer), u64::MAX, 4)), EBADF);
    assert_eq!(ring.run_one(sqe::splice(fd(&file), 0, fd(&file), 0, 4)), EINVAL);
    assert_eq!(ring.run_one(sqe::splice(fd(&file), 0, fd(&writer), 0, 4)), ESPIPE);
    assert_eq!(ring.run_one(Sqe { len: 0, ..good }), 0);
    drop(reader);
});

// tee copies from pipe to pipe and leaves the data.
ring_test!(tee, |t| {
    let mut ring = t.ring(8)?;
    let (mut from, to) = (sys::pipe(), sys::pipe());
    from.1.write_all(b"1234").expect("write");
    let tee = Sqe { file_index: fd(&from.0) as u32, ..raw(Op::Tee, fd(&to.1), 0, 9, 0) };
    assert_eq!(ring.run_one(tee), 4);
    let (mut first, mut second) = ([0; 4], [0; 4]);
    from.0.read_exact(&mut first).expect("read");
    (&to.0).read_exact(&mut second).expect("read");
    assert_eq!((&first, &second), (b"1234", b"1234"));
    assert_eq!(ring.run_one(Sqe { off: 1, ..tee }), EINVAL);
});

// A copy made of linked read and write, in chunks: the files are equal.
ring_test!(copy_by_linked_pairs, |t| {
    let mut ring = t.ring(8)?;
    let content: Vec<u8> = (0..200_000_u32).map(|i| ((i * 31) >> 4) as u8).collect();
    let (from, to) = (sys::file_with(&content), sys::file_with(b""));
    let mut buf = vec![0; 10_000];
    for chunk in 0..20 {
        let off = chunk * 10_000;
        let read = sqe::read(fd(&from), &mut buf, off).link();
        assert_eq!(results(&ring.run(&[read, sqe::write(fd(&to), &buf, off)])), [10_000; 2]);
    }
    let mut back = vec![0; content.len()];
    to.read_exact_at(&mut back, 0).expect("read");
    assert!(back == content);
});

// Open, write and close linked: the descriptor is passed in a slot.
ring_test!(open_write_close_in_a_chain, |t| {
    let mut ring = t.ring(8)?;
    let (_directory, path) = place("file");
    assert_eq!(ring.register(RegisterOp::Files, &[-1]), Ok(0));
    let flags = O_CREAT | O_TRUNC | O_RDWR;
    let cqes = ring.run(&[
        sqe::openat(AT_FDCWD, &path, flags, 0o600).slot(0).data(1).link(),
        sqe::write(0, b"through a slot", 0).fixed(0).data(2).link(),
        sqe::close_slot(0).data(3),
    ]);
    assert_eq!(pairs(&cqes), [(1, 0), (2, 14), (3, 0)]);
    assert_eq!(std::fs::read(path_of(&path)).expect("read"), b"through a slot");
});

// Extended attributes: set, get, by path and by descriptor.
ring_test!(attributes, |t| {
    let mut ring = t.ring(8)?;
    let directory = tempfile::tempdir_in(".").expect("a directory on a disk file system");
    let path = sys::c_path(directory.path().join("file"));
    let file = std::fs::File::create(path_of(&path)).expect("create");
    let name = c"user.ringfence";
    let mut value = [0_u8; 8];
    let set = raw(Op::Fsetxattr, fd(&file), address(name.to_bytes()), 4, address(b"abcd"));
    match ring.run_one(set) {
        EOPNOTSUPP => return Err(Skip("no extended attributes on this file system".to_owned())),
        got => assert_eq!(got, 0),
    }
    let get = raw(Op::Fgetxattr, fd(&file), address(name.to_bytes()), 8, address_mut(&mut value));
    assert_eq!(ring.run_one(get), 4);
    assert_eq!(&value[..4], b"abcd");
    let set = raw(Op::Setxattr, -1, address(name.to_bytes()), 2, address(b"xy"));
    assert_eq!(ring.run_one(Sqe { addr3: path.as_ptr() as u64, ..set }), 0);
    let get = raw(Op::Getxattr, -1, address(name.to_bytes()), 8, address_mut(&mut value));
    assert_eq!(ring.run_one(Sqe { addr3: path.as_ptr() as u64, ..get }), 2);
    assert_eq!(&value[..2], b"xy");
    let too_small = Sqe { len: 1, addr3: path.as_ptr() as u64, ..get };
    assert_eq!(ring.run_one(too_small), -libc::ERANGE);
});

// PIPE makes a pipe whose ends work.
ring_test!(make_a_pipe, |t| {
    let mut ring = t.ring(8)?;
    let mut fds = [0_i32; 2];
    let pipe = raw(Op::Pipe, 0, address_mut(&mut fds), 0, 0);
    let got = t.needs_op("PIPE", ring.run_one(pipe.op_flags(O_CLOEXEC as u32)))?;
    assert_eq!(got, 0);
    let [reader, writer] = fds.map(sys::adopt);
    assert!(sys::is_cloexec(fd(&reader)));
    assert_eq!(ring.run_one(sqe::write(fd(&writer), b"1234", u64::MAX)), 4);
    assert_eq!(ring.run_one(sqe::read_stream(fd(&reader), &mut [0; 8])), 4);
});

// PIPE with a bad address leaves no descriptor behind; unknown flags are refused.
ring_test!(make_a_pipe_errors, |t| {
    let mut ring = t.ring(8)?;
    let before = sys::fd_count();
    let pipe = raw(Op::Pipe, 0, BAD_ADDRESS, 0, 0);
    let got = t.needs_op("PIPE", ring.run_one(pipe))?;
    assert_eq!(got, EFAULT);
    assert_eq!(ring.run_one(pipe.op_flags(1)), EINVAL);
    assert_eq!(sys::fd_count(), before);
});

// EPOLL_CTL adds to an epoll set; a bad descriptor is -EBADF.
ring_test!(epoll_control, |t| {
    let mut ring = t.ring(8)?;
    let set = sys::epoll();
    let (reader, mut writer) = sys::pipe();
    let event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 42 };
    let add = |fd_added: i32| {
        let op = libc::EPOLL_CTL_ADD as u32;
        raw(Op::EpollCtl, fd(&set), address(&event), op, fd_added as u64)
    };
    assert_eq!(ring.run_one(add(fd(&reader))), 0);
    assert_eq!(ring.run_one(add(fd(&reader))), EEXIST);
    assert_eq!(ring.run_one(add(1 << 20)), EBADF);
    assert_eq!(ring.run_one(Sqe { addr: BAD_ADDRESS, ..add(fd(&writer)) }), EFAULT);
    writer.write_all(b"1").expect("write");
    assert!(sys::readable(fd(&set)));
});

// Both ends of splice and tee may stand in the table of files.
ring_test!(splice_of_registered_files, |t| {
    let mut ring = t.ring(8)?;
    let (file, to) = (sys::file_with(b"spliced bytes"), sys::file_with(b""));
    let (one, two) = (sys::pipe(), sys::pipe());
    let table = [fd(&file), fd(&one.0), fd(&one.1), fd(&two.0), fd(&two.1), fd(&to)];
    assert_eq!(ring.register(RegisterOp::Files, &table), Ok(0));
    let fixed = |entry: Sqe| Sqe { op_flags: SPLICE_F_FD_IN_FIXED, ..entry.with(IOSQE_FIXED_FILE) };
    assert_eq!(ring.run_one(fixed(sqe::splice(0, 8, 2, u64::MAX, 5))), 5);
    let tee = Sqe { off: 0, ..sqe::splice(1, 0, 4, 0, 5) };
    assert_eq!(ring.run_one(fixed(Sqe { opcode: Op::Tee as u8, addr: 0, ..tee })), 5);
    for from in [1, 3] {
        assert_eq!(ring.run_one(fixed(sqe::splice(from, u64::MAX, 5, u64::MAX, 5))), 5);
    }
    let mut buf = [0; 10];
    to.read_exact_at(&mut buf, 0).expect("read");
    assert_eq!(&buf, b"bytesbytes");
    assert_eq!(ring.run_one(fixed(sqe::splice(9, 0, 2, u64::MAX, 5))), EBADF);
    // The flag is the source's alone, the entry's the target's.
    let source = sqe::splice(0, 0, fd(&one.1), u64::MAX, 5).op_flags(SPLICE_F_FD_IN_FIXED);
    assert_eq!(ring.run_one(source), 5);
});

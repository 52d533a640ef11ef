//! Registered files: tables, updates, direct descriptors, allocation, tags.

use crate::prelude::*;
use libc::{AT_FDCWD, O_CLOEXEC, O_RDONLY};

fn register_files(ring: &Ring, fds: &[i32]) -> Result<u32> {
    ring.register(RegisterOp::Files, fds)
}

/// A table of `count` empty slots.
fn sparse(ring: &Ring, count: u32) {
    let empty = vec![-1; count as usize];
    assert_eq!(register_files(ring, &empty), Ok(0));
}

fn update(ring: &Ring, offset: u32, fds: &[i32]) -> Result<u32> {
    let update = FilesUpdate { offset, resv: 0, fds: fds.as_ptr() as u64 };
    ring.register_raw(RegisterOp::FilesUpdate, address(&update), fds.len() as u32)
}

fn open_into(slot: u32) -> Sqe {
    sqe::openat(AT_FDCWD, c"/dev/null", O_RDONLY, 0).slot(slot)
}

// A registered file is used by its index.
ring_test!(used_by_index, |t| {
    let mut ring = t.ring(8)?;
    let (one, two) = (sys::file_with(b"one"), sys::file_with(b"two"));
    assert_eq!(register_files(&ring, &[fd(&one), fd(&two)]), Ok(0));
    let mut buf = [0; 3];
    assert_eq!(ring.run_one(sqe::read(0, &mut buf, 0).fixed(1)), 3);
    assert_eq!(&buf, b"two");
});

// The table keeps the file when its descriptor is closed.
ring_test!(outlives_the_descriptor, |t| {
    let mut ring = t.ring(8)?;
    let number = sys::release(sys::file_with(b"1234"));
    assert_eq!(register_files(&ring, &[number]), Ok(0));
    t.close(number).expect("close");
    assert_eq!(ring.run_one(sqe::read(0, &mut [0; 4], 0).fixed(0)), 4);
});

// An empty slot, one beyond the table, and a table that is not there: -EBADF.
ring_test!(bad_index, |t| {
    let mut ring = t.ring(8)?;
    let mut buf = [0; 4];
    assert_eq!(ring.run_one(sqe::read(0, &mut buf, 0).fixed(0)), EBADF);
    sparse(&ring, 2);
    for index in [0, 1, 2, u32::MAX] {
        assert_eq!(ring.run_one(sqe::read(0, &mut buf, 0).fixed(index)), EBADF);
    }
});

// Registering twice is -EBUSY; taking back what is not there -ENXIO.
ring_test!(twice, |t| {
    let ring = t.ring(8)?;
    assert_eq!(ring.register_raw(RegisterOp::UnregisterFiles, 0, 0), Err(Errno::ENXIO));
    sparse(&ring, 1);
    assert_eq!(register_files(&ring, &[-1]), Err(Errno::EBUSY));
    assert_eq!(ring.register_raw(RegisterOp::UnregisterFiles, 0, 0), Ok(0));
    sparse(&ring, 1);
});

// Errors of registering: none, a bad descriptor, a ring, a bad address.
ring_test!(bad_registrations, |t| {
    let ring = t.ring(8)?;
    assert_eq!(register_files(&ring, &[]), Err(Errno::EINVAL));
    assert_eq!(register_files(&ring, &[1 << 20]), Err(Errno::EBADF));
    assert_eq!(register_files(&ring, &[-2]), Err(Errno::EBADF));
    assert_eq!(register_files(&ring, &[ring.fd]), Err(Errno::EBADF));
    let got = ring.register_raw(RegisterOp::Files, BAD_ADDRESS, 1);
    assert_eq!(got, Err(Errno::EFAULT));
    sparse(&ring, 1);
});

// A registration that fails in the middle leaves nothing behind.
ring_test!(failed_registration_leaves_nothing, |t| {
    let mut ring = t.ring(8)?;
    let (reader, writer) = sys::pipe();
    assert_eq!(register_files(&ring, &[fd(&writer), 1 << 20]), Err(Errno::EBADF));
    drop(writer);
    assert_eq!(ring.run_one(sqe::read_stream(fd(&reader), &mut [0; 4])), 0, "end of file");
});

// More files than the limit of descriptors allows: -EMFILE.
ring_test!(limit_of_descriptors, |t| {
    let ring = t.ring(8)?;
    sys::set_limit(libc::RLIMIT_NOFILE, 64);
    let many = vec![-1; 65];
    assert_eq!(register_files(&ring, &many), Err(Errno::EMFILE));
    assert_eq!(register_files(&ring, &many[..64]), Ok(0));
});

// An update replaces, empties and skips slots, and yields how many it did.
ring_test!(update_of_slots, |t| {
    let mut ring = t.ring(8)?;
    let (one, two) = (sys::file_with(b"one"), sys::file_with(b"two"));
    sparse(&ring, 3);
    assert_eq!(update(&ring, 0, &[fd(&one), fd(&one), fd(&one)]), Ok(3));
    assert_eq!(update(&ring, 0, &[fd(&two), IORING_REGISTER_FILES_SKIP, -1]), Ok(3));
    let mut bufs = [[0_u8; 3]; 3];
    let [a, b, c] = &mut bufs;
    let cqes = ring.run(&[
        sqe::read(0, a, 0).fixed(0).data(0),
        sqe::read(0, b, 0).fixed(1).data(1),
        sqe::read(0, c, 0).fixed(2).data(2),
    ]);
    assert_eq!(by_data(&cqes), [(0, 3), (1, 3), (2, EBADF)]);
    assert_eq!(bufs, [*b"two", *b"one", [0; 3]]);
});

// Updates beyond the table are -EINVAL, without a table -ENXIO, of nothing -EINVAL.
ring_test!(bad_updates, |t| {
    let ring = t.ring(8)?;
    assert_eq!(update(&ring, 0, &[-1]), Err(Errno::ENXIO));
    sparse(&ring, 2);
    assert_eq!(update(&ring, 2, &[-1]), Err(Errno::EINVAL));
    assert_eq!(update(&ring, 1, &[-1, -1]), Err(Errno::EINVAL));
    assert_eq!(update(&ring, u32::MAX, &[-1]), Err(Errno::EOVERFLOW));
    assert_eq!(update(&ring, 0, &[]), Err(Errno::EINVAL));
    assert_eq!(update(&ring, 0, &[1 << 20]), Err(Errno::EBADF));
});

// An update that fails in the middle yields how many went well.
ring_test!(partial_update, |t| {
    let ring = t.ring(8)?;
    let file = sys::file_with(b"1");
    sparse(&ring, 3);
    assert_eq!(update(&ring, 0, &[fd(&file), fd(&file), 1 << 20]), Ok(2));
});

// FILES_UPDATE as a request does the same.
ring_test!(update_by_request, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    sparse(&ring, 2);
    assert_eq!(ring.run_one(sqe::files_update(&[fd(&file), fd(&file)], 0)), 2);
    assert_eq!(ring.run_one(sqe::read(0, &mut [0; 4], 0).fixed(1)), 4);
    assert_eq!(ring.run_one(sqe::files_update(&[-1], 2)), EINVAL);
    let bad = Sqe { addr: BAD_ADDRESS, ..sqe::files_update(&[-1], 0) };
    assert_eq!(ring.run_one(bad), EFAULT);
    assert_eq!(ring.run_one(Sqe { len: 0, ..bad }), EINVAL);
});

// FILES_UPDATE with ALLOC finds slots, and tells them in the array.
ring_test!(update_by_request_allocates, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    sparse(&ring, 4);
    assert_eq!(update(&ring, 0, &[fd(&file)]), Ok(1));
    let mut fds = [fd(&file), fd(&file)];
    let entry = sqe::files_update(&fds, u64::from(IORING_FILE_INDEX_ALLOC));
    assert_eq!(ring.run_one(entry), 2);
    std::hint::black_box(&mut fds);
    assert_eq!(fds, [1, 2]);
});

// Opening into a slot gives 0, and takes no number that the program would get next.
ring_test!(open_into_a_slot, |t| {
    let mut ring = t.ring(8)?;
    sparse(&ring, 2);
    let next = fd(&sys::memory_file());
    assert_eq!(ring.run_one(open_into(1)), 0);
    assert_eq!(fd(&sys::memory_file()), next);
    assert_eq!(ring.run_one(sqe::read(0, &mut [0; 4], 0).fixed(1)), 0);
});

// Opening into an occupied slot replaces the file.
ring_test!(open_into_an_occupied_slot, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    assert_eq!(register_files(&ring, &[fd(&file)]), Ok(0));
    assert_eq!(ring.run_one(open_into(0)), 0);
    assert_eq!(ring.run_one(sqe::read(0, &mut [0; 4], 0).fixed(0)), 0);
});

// Errors: no table -ENXIO, beyond the table -EINVAL, O_CLOEXEC -EINVAL.
ring_test!(open_into_a_bad_slot, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(open_into(0)), ENXIO);
    assert_eq!(ring.run_one(open_into(sqe::SLOT_ALLOC)), ENFILE);
    sparse(&ring, 2);
    assert_eq!(ring.run_one(open_into(2)), EINVAL);
    let cloexec = sqe::openat(AT_FDCWD, c"/dev/null", O_CLOEXEC, 0).slot(0);
    assert_eq!(ring.run_one(cloexec), EINVAL);
});

// With ALLOC the ring chooses the slot and tells it; a full table is -ENFILE.
ring_test!(open_into_a_slot_of_its_choice, |t| {
    let mut ring = t.ring(8)?;
    sparse(&ring, 3);
    for expected in [0, 1, 2, ENFILE] {
        assert_eq!(ring.run_one(open_into(sqe::SLOT_ALLOC)), expected);
    }
    assert_eq!(ring.run_one(sqe::close_slot(1)), 0);
    assert_eq!(ring.run_one(open_into(sqe::SLOT_ALLOC)), 1);
});

// Closing a slot: once 0, then -EBADF; beyond the table -EINVAL; without a table -ENXIO.
ring_test!(close_a_slot, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(sqe::close_slot(0)), ENXIO);
    sparse(&ring, 1);
    assert_eq!(ring.run_one(sqe::close_slot(0)), EBADF);
    assert_eq!(ring.run_one(open_into(0)), 0);
    assert_eq!(ring.run_one(sqe::close_slot(0)), 0);
    assert_eq!(ring.run_one(sqe::close_slot(0)), EBADF);
    assert_eq!(ring.run_one(sqe::close_slot(1)), EINVAL);
});

// A request that waits keeps the file although its slot is emptied.
ring_test!(slot_emptied_under_a_request, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    assert_eq!(register_files(&ring, &[fd(&reader)]), Ok(0));
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(0, &mut buf).fixed(0).data(1)]);
    assert_eq!(update(&ring, 0, &[-1]), Ok(1));
    drop(reader);
    writer.write_all(b"1234").expect("the request keeps the reader");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
});

// The slot is looked up when a request starts: a linked read sees the file opened before it.
ring_test!(slot_is_looked_up_at_start, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    assert_eq!(register_files(&ring, &[fd(&file)]), Ok(0));
    let cqes =
        ring.run(&[open_into(0).data(1).link(), sqe::read(0, &mut [0; 4], 0).fixed(0).data(2)]);
    assert_eq!(pairs(&cqes), [(1, 0), (2, 0)]);
});

// The range that ALLOC chooses from.
ring_test!(allocation_range, |t| {
    let mut ring = t.ring(8)?;
    let range = |ring: &Ring, off, len| {
        let range = FileIndexRange { off, len, resv: 0 };
        ring.register_raw(RegisterOp::FileAllocRange, address(&range), 0)
    };
    sparse(&ring, 8);
    assert_eq!(range(&ring, 4, 2), Ok(0));
    for expected in [4, 5, ENFILE] {
        assert_eq!(ring.run_one(open_into(sqe::SLOT_ALLOC)), expected);
    }
    assert_eq!(range(&ring, 7, 2), Err(Errno::EINVAL));
    assert_eq!(range(&ring, u32::MAX, 2), Err(Errno::EOVERFLOW));
    assert_eq!(range(&ring, 0, 0), Ok(0));
    assert_eq!(ring.run_one(open_into(sqe::SLOT_ALLOC)), ENFILE);
    assert_eq!(ring.run_one(open_into(0)), 0, "an explicit slot may lie outside");
});

/// A registration of `nr` files or buffers with tags.
fn with_tags(data: &[i32], tags: &[u64]) -> RsrcRegister {
    RsrcRegister {
        nr: data.len() as u32,
        data: data.as_ptr() as u64,
        tags: tags.as_ptr() as u64,
        ..RsrcRegister::default()
    }
}

fn register2(ring: &Ring, value: &RsrcRegister) -> Result<u32> {
    ring.register_raw(RegisterOp::Files2, address(value), size_of::<RsrcRegister>() as u32)
}

// A tag comes back as a completion when its slot is emptied; the tag 0 does not.
ring_test!(tags, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    let (fds, tags) = ([fd(&file), fd(&file)], [77, 0]);
    assert_eq!(register2(&ring, &with_tags(&fds, &tags)), Ok(0));
    assert_eq!(update(&ring, 0, &[-1, -1]), Ok(2));
    assert_eq!(pairs(&ring.settle(ms(20))), [(77, 0)]);
});

// The tag waits for the last request that uses the file.
ring_test!(tag_waits_for_the_last_user, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    assert_eq!(register2(&ring, &with_tags(&[fd(&reader)], &[77])), Ok(0));
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(0, &mut buf).fixed(0).data(1)]);
    assert_eq!(update(&ring, 0, &[-1]), Ok(1));
    assert_eq!(ring.settle(ms(10)), []);
    writer.write_all(b"1234").expect("write");
    assert_eq!(by_data(&ring.wait_n(2)), [(1, 4), (77, 0)]);
});

// Unregistering posts all tags.
ring_test!(tags_at_the_end, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    let fds = [fd(&file), fd(&file), -1];
    assert_eq!(register2(&ring, &with_tags(&fds, &[7, 8, 0])), Ok(0));
    assert_eq!(ring.register_raw(RegisterOp::UnregisterFiles, 0, 0), Ok(0));
    assert_eq!(by_data(&ring.wait_n(2)), [(7, 0), (8, 0)]);
});

// A tag for an empty slot is refused.
ring_test!(tag_without_a_file, |t| {
    let ring = t.ring(8)?;
    assert_eq!(register2(&ring, &with_tags(&[-1], &[7])), Err(Errno::EINVAL));
});

// A sparse table by flag; with data beside it -EINVAL.
ring_test!(sparse_by_flag, |t| {
    let mut ring = t.ring(8)?;
    let flags = IORING_RSRC_REGISTER_SPARSE;
    let fds = [0; 4];
    let with_data = RsrcRegister { flags, ..with_tags(&fds, &[0; 4]) };
    assert_eq!(register2(&ring, &with_data), Err(Errno::EINVAL));
    let good = RsrcRegister { nr: 4, flags, ..RsrcRegister::default() };
    assert_eq!(register2(&ring, &good), Ok(0));
    assert_eq!(ring.run_one(open_into(sqe::SLOT_ALLOC)), 0);
});

// The structure's size and reserved fields are checked.
ring_test!(bad_structure, |t| {
    let ring = t.ring(8)?;
    let good = RsrcRegister { nr: 4, flags: 1, ..RsrcRegister::default() };
    let register = |size| ring.register_raw(RegisterOp::Files2, address(&good), size);
    assert_eq!(register(16), Err(Errno::EINVAL));
    assert_eq!(register2(&ring, &RsrcRegister { resv2: 1, ..good }), Err(Errno::EINVAL));
    assert_eq!(register2(&ring, &RsrcRegister { flags: 1 << 9, ..good }), Err(Errno::EINVAL));
    assert_eq!(register2(&ring, &RsrcRegister { nr: 0, ..good }), Err(Errno::EINVAL));
});

// accept and socket place their descriptors in slots as well.
ring_test!(sockets_into_slots, |t| {
    let mut ring = t.ring(8)?;
    sparse(&ring, 4);
    let listener = sys::listener();
    let _client =
        std::net::TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    assert_eq!(ring.run_one(sqe::accept(fd(&listener), 0).slot(2)), 0);
    assert_eq!(ring.run_one(sqe::send(0, b"1", 0).fixed(2)), 1);
    let socket = sqe::socket(libc::AF_INET, libc::SOCK_STREAM, 0).slot(sqe::SLOT_ALLOC);
    assert_eq!(ring.run_one(socket), 3, "the search starts behind the slot filled last");
    assert_eq!(ring.run_one(sqe::close_slot(2)), 0);
});

// FIXED_FD_INSTALL makes a plain descriptor of a registered file.
ring_test!(install, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    assert_eq!(register_files(&ring, &[fd(&file), -1]), Ok(0));
    let install = raw(Op::FixedFdInstall, 0, 0, 0, 0);
    let got = t.needs_op("FIXED_FD_INSTALL", ring.run_one(install.fixed(0)))?;
    let plain = sys::adopt(got);
    assert!(sys::is_cloexec(fd(&plain)));
    let open = install.fixed(0).op_flags(IORING_FIXED_FD_NO_CLOEXEC);
    assert!(!sys::is_cloexec(fd(&sys::adopt(ring.run_one(open)))));
    assert_eq!(ring.run_one(install.fixed(1)), EBADF);
    assert_eq!(ring.run_one(Sqe { fd: fd(&file), ..install }), EBADF);
});

// A file is not installed with another's credentials, nor with anything in the fields it ignores.
ring_test!(install_errors, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    assert_eq!(register_files(&ring, &[fd(&file)]), Ok(0));
    let install = raw(Op::FixedFdInstall, 0, 0, 0, 0).fixed(0);
    assert_eq!(ring.run_one(install.op_flags(2)), EINVAL);
    assert_eq!(ring.run_one(Sqe { addr: 1, ..install }), EINVAL);
    assert_eq!(ring.run_one(install.fixed(1)), EBADF);
    let plain = sys::adopt(ring.run_one(install));
    assert_eq!(ring.register_raw(RegisterOp::UnregisterFiles, 0, 0), Ok(0));
    let again = std::fs::File::from(plain);
    assert_eq!(std::os::unix::fs::FileExt::read_at(&again, &mut [0; 8], 0).ok(), Some(4));
});

// A slot that held a pipe, then holds a file: offsets mean what they mean in that file.
ring_test!(other_kinds_in_turn, |t| {
    let mut ring = t.ring(8)?;
    let mut file = sys::file_with(b"12345678");
    file.rewind().expect("seek");
    for _ in 0..3 {
        let (reader, mut writer) = sys::pipe();
        writer.write_all(b"pipe").expect("write");
        assert_eq!(ring.register(RegisterOp::Files, &[fd(&reader)]), Ok(0));
        let mut buf = [0; 4];
        assert_eq!(ring.run_one(sqe::read_stream(0, &mut buf).fixed(0)), 4);
        assert_eq!(ring.register_raw(RegisterOp::UnregisterFiles, 0, 0), Ok(0));
        assert_eq!(ring.register(RegisterOp::Files, &[fd(&file)]), Ok(0));
        for at in [0, 0, 4, 2] {
            assert_eq!(ring.run_one(sqe::read(0, &mut buf, at).fixed(0)), 4);
            assert_eq!(buf, b"12345678"[at as usize..][..4]);
        }
        assert_eq!(ring.register_raw(RegisterOp::UnregisterFiles, 0, 0), Ok(0));
        assert_eq!(file.stream_position().expect("tell"), 0);
    }
});

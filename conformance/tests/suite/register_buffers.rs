//! Registered buffers: tables, fixed reads and writes, updates, tags, clones.

use crate::prelude::*;

/// Two pages, the first of which is registered as buffer 0.
fn ring_with_buffer(t: &dyn Target) -> std::result::Result<(Ring<'_>, Mapping), Skip> {
    let ring = t.ring(8)?;
    let pages = Mapping::anonymous(8192);
    let iovec = Iovec { base: pages.at(0), len: 4096 };
    assert_eq!(ring.register(RegisterOp::Buffers, &[iovec]), Ok(0));
    Ok((ring, pages))
}

// A fixed read and a fixed write use the registered memory.
ring_test!(read_and_write, |t| {
    let (mut ring, pages) = ring_with_buffer(t)?;
    let file = sys::file_with(b"registered");
    assert_eq!(ring.run_one(sqe::read_fixed(fd(&file), pages.at(100), 10, 0, 0)), 10);
    assert_eq!(pages.bytes(100, 10), b"registered");
    assert_eq!(ring.run_one(sqe::write_fixed(fd(&file), pages.at(103), 4, 100, 0)), 4);
    let mut buf = [0; 4];
    assert_eq!(ring.run_one(sqe::read(fd(&file), &mut buf, 100)), 4);
    assert_eq!(&buf, b"iste");
});

// What lies outside of the buffer, or an index without one, is -EFAULT.
ring_test!(out_of_range, |t| {
    let (mut ring, pages) = ring_with_buffer(t)?;
    let file = sys::file_with(&[1; 8192]);
    let read = |addr, len, index| sqe::read_fixed(fd(&file), addr, len, 0, index);
    assert_eq!(ring.run_one(read(pages.at(0), 4096, 0)), 4096);
    assert_eq!(ring.run_one(read(pages.at(0), 4097, 0)), EFAULT);
    assert_eq!(ring.run_one(read(pages.at(4096), 1, 0)), EFAULT);
    assert_eq!(ring.run_one(read(pages.at(0) - 1, 2, 0)), EFAULT);
    assert_eq!(ring.run_one(read(u64::MAX - 1, 4, 0)), EFAULT);
    assert_eq!(ring.run_one(read(pages.at(0), 1, 1)), EFAULT);
    assert_eq!(ring.run_one(read(pages.at(0), 1, u16::MAX)), EFAULT);
});

// Without a table a fixed read is -EFAULT.
ring_test!(no_table, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    let mut buf = [0_u8; 4];
    let read = sqe::read_fixed(fd(&file), address_mut(&mut buf), 4, 0, 0);
    assert_eq!(ring.run_one(read), EFAULT);
});

// Registering twice is -EBUSY; taking back what is not there -ENXIO.
ring_test!(twice, |t| {
    let (ring, pages) = ring_with_buffer(t)?;
    let iovec = Iovec { base: pages.at(0), len: 4096 };
    assert_eq!(ring.register(RegisterOp::Buffers, &[iovec]), Err(Errno::EBUSY));
    assert_eq!(ring.register_raw(RegisterOp::UnregisterBuffers, 0, 0), Ok(0));
    assert_eq!(ring.register_raw(RegisterOp::UnregisterBuffers, 0, 0), Err(Errno::ENXIO));
    assert_eq!(ring.register(RegisterOp::Buffers, &[iovec]), Ok(0));
});

// What cannot be registered: none, too many, no address, no length, too long, not mapped.
ring_test!(bad_buffers, |t| {
    let ring = t.ring(8)?;
    let page = Mapping::anonymous(4096);
    let register = |base, len| ring.register(RegisterOp::Buffers, &[Iovec { base, len }]);
    assert_eq!(ring.register::<Iovec>(RegisterOp::Buffers, &[]), Err(Errno::EINVAL));
    let many = vec![Iovec::default(); 16385];
    assert_eq!(ring.register(RegisterOp::Buffers, &many), Err(Errno::EINVAL));
    assert_eq!(register(0, 4096), Err(Errno::EFAULT));
    assert_eq!(register(page.at(0), 0), Err(Errno::EFAULT));
    assert_eq!(register(page.at(0), (1 << 30) + 1), Err(Errno::EFAULT));
    assert_eq!(register(BAD_ADDRESS, 4096), Err(Errno::EFAULT));
    assert_eq!(ring.register_raw(RegisterOp::Buffers, BAD_ADDRESS, 1), Err(Errno::EFAULT));
});

// A null iovec of no length is an empty slot.
ring_test!(empty_slots, |t| {
    let mut ring = t.ring(8)?;
    let page = Mapping::anonymous(4096);
    let good = Iovec { base: page.at(0), len: 4096 };
    assert_eq!(ring.register(RegisterOp::Buffers, &[Iovec::default(), good]), Ok(0));
    let file = sys::file_with(b"1234");
    assert_eq!(ring.run_one(sqe::read_fixed(fd(&file), page.at(0), 4, 0, 0)), EFAULT);
    assert_eq!(ring.run_one(sqe::read_fixed(fd(&file), page.at(0), 4, 0, 1)), 4);
});

// Read-only memory cannot be registered.
ring_test!(read_only_memory, |t| {
    let ring = t.ring(8)?;
    let page = Mapping::anonymous(4096);
    page.protect(libc::PROT_READ);
    let iovec = Iovec { base: page.at(0), len: 4096 };
    assert_eq!(ring.register(RegisterOp::Buffers, &[iovec]), Err(Errno::EFAULT));
});

/// An update of buffers from `offset` on, with tags.
fn update(ring: &Ring, offset: u32, iovecs: &[Iovec], tags: &[u64]) -> Result<u32> {
    let update = RsrcUpdate2 {
        offset,
        data: iovecs.as_ptr() as u64,
        tags: if tags.is_empty() { 0 } else { tags.as_ptr() as u64 },
        nr: iovecs.len() as u32,
        ..RsrcUpdate2::default()
    };
    let size = size_of::<RsrcUpdate2>() as u32;
    ring.register_raw(RegisterOp::BuffersUpdate, address(&update), size)
}

/// A table of empty buffers.
fn sparse(ring: &Ring, nr: u32) {
    let table = RsrcRegister { nr, flags: IORING_RSRC_REGISTER_SPARSE, ..RsrcRegister::default() };
    let size = size_of::<RsrcRegister>() as u32;
    assert_eq!(ring.register_raw(RegisterOp::Buffers2, address(&table), size), Ok(0));
}

// A sparse table is filled by updates; an update of nothing empties the slot.
ring_test!(updates, |t| {
    let mut ring = t.ring(8)?;
    let page = Mapping::anonymous(4096);
    let file = sys::file_with(b"1234");
    let read = |index| sqe::read_fixed(fd(&file), page.at(0), 4, 0, index);
    sparse(&ring, 4);
    assert_eq!(ring.run_one(read(3)), EFAULT);
    let iovec = Iovec { base: page.at(0), len: 4096 };
    assert_eq!(update(&ring, 3, &[iovec], &[]), Ok(1));
    assert_eq!(ring.run_one(read(3)), 4);
    assert_eq!(update(&ring, 3, &[Iovec::default()], &[]), Ok(1));
    assert_eq!(ring.run_one(read(3)), EFAULT);
});

// Updates beyond the table are -EINVAL, without one -ENXIO.
ring_test!(bad_updates, |t| {
    let ring = t.ring(8)?;
    let none = [Iovec::default()];
    assert_eq!(update(&ring, 0, &none, &[]), Err(Errno::ENXIO));
    sparse(&ring, 2);
    assert_eq!(update(&ring, 2, &none, &[]), Err(Errno::EINVAL));
    assert_eq!(update(&ring, 0, &[], &[]), Err(Errno::EINVAL));
    assert_eq!(update(&ring, u32::MAX, &none, &[]), Err(Errno::EOVERFLOW));
    let unmapped = [Iovec { base: BAD_ADDRESS, len: 4096 }];
    assert_eq!(update(&ring, 0, &unmapped, &[]), Err(Errno::EFAULT));
});

// Tags come back when the buffer is replaced, and at the end.
ring_test!(tags, |t| {
    let mut ring = t.ring(8)?;
    let page = Mapping::anonymous(4096);
    let iovec = Iovec { base: page.at(0), len: 4096 };
    sparse(&ring, 2);
    assert_eq!(update(&ring, 0, &[iovec, iovec], &[7, 8]), Ok(2));
    assert_eq!(ring.settle(ms(5)), []);
    assert_eq!(update(&ring, 0, &[iovec], &[9]), Ok(1));
    assert_eq!(pairs(&ring.wait_n(1)), [(7, 0)]);
    assert_eq!(ring.register_raw(RegisterOp::UnregisterBuffers, 0, 0), Ok(0));
    assert_eq!(by_data(&ring.wait_n(2)), [(8, 0), (9, 0)]);
});

// A tag waits for the request that uses the buffer.
ring_test!(tag_waits_for_the_last_user, |t| {
    let mut ring = t.ring(8)?;
    let page = Mapping::anonymous(4096);
    let (reader, mut writer) = sys::pipe();
    sparse(&ring, 1);
    let iovec = Iovec { base: page.at(0), len: 4096 };
    assert_eq!(update(&ring, 0, &[iovec], &[7]), Ok(1));
    ring.start(&[sqe::read_fixed(fd(&reader), page.at(0), 4, u64::MAX, 0).data(1)]);
    assert_eq!(update(&ring, 0, &[Iovec::default()], &[]), Ok(1));
    writer.write_all(b"1234").expect("write");
    assert_eq!(by_data(&ring.wait_n(2)), [(1, 4), (7, 0)]);
});

// A fixed read on a pipe waits like any other.
ring_test!(pipe, |t| {
    let (mut ring, pages) = ring_with_buffer(t)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::read_fixed(fd(&reader), pages.at(8), 100, u64::MAX, 0).data(1)]);
    assert_eq!(ring.settle(ms(5)), []);
    writer.write_all(b"1234").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
    assert_eq!(pages.bytes(8, 4), b"1234");
});

// Fixed vectors: every part must lie in the buffer.
ring_test!(vectors, |t| {
    let (mut ring, pages) = ring_with_buffer(t)?;
    let file = sys::file_with(b"12345678");
    let parts = [Iovec { base: pages.at(0), len: 3 }, Iovec { base: pages.at(64), len: 5 }];
    let read = raw(Op::ReadvFixed, fd(&file), parts.as_ptr() as u64, 2, 0);
    let got = t.needs_op("READV_FIXED", ring.run_one(read))?;
    assert_eq!(got, 8);
    assert_eq!((pages.bytes(0, 3), pages.bytes(64, 5)), (b"123".to_vec(), b"45678".to_vec()));
    let parts = [Iovec { base: pages.at(0), len: 3 }, Iovec { base: pages.at(4096), len: 5 }];
    let read = raw(Op::ReadvFixed, fd(&file), parts.as_ptr() as u64, 2, 0);
    assert_eq!(ring.run_one(read), EFAULT);
    let parts = [Iovec { base: pages.at(64), len: 2 }];
    let write = raw(Op::WritevFixed, fd(&file), parts.as_ptr() as u64, 1, 0);
    assert_eq!(ring.run_one(write), 2);
});

/// Clones the buffers of `from` into `ring`: `struct io_uring_clone_buffers`.
fn clone(ring: &Ring, from: &Ring, flags: u32, span: [u32; 3]) -> Result<u32> {
    let mut clone = [0_u32; 8];
    clone[0] = from.fd as u32;
    clone[1] = flags;
    clone[2..5].copy_from_slice(&span);
    ring.register_mut(RegisterOp::CloneBuffers, &mut clone, 1)
}

// Buffers are cloned from another ring.
ring_test!(clones, |t| {
    let (from, pages) = ring_with_buffer(t)?;
    let mut ring = t.ring(8)?;
    t.needs("CLONE_BUFFERS", clone(&ring, &from, 0, [0; 3]))?;
    drop(from);
    let file = sys::file_with(b"1234");
    assert_eq!(ring.run_one(sqe::read_fixed(fd(&file), pages.at(0), 4, 0, 0)), 4);
});

// A clone of nothing is -ENXIO; over a table -EBUSY; of what is no ring -EOPNOTSUPP or -EBADF.
ring_test!(bad_clones, |t| {
    let (from, _pages) = ring_with_buffer(t)?;
    let (empty, ring) = (t.ring(8)?, t.ring(8)?);
    assert_eq!(clone(&ring, &empty, 0, [0; 3]), Err(Errno::ENXIO));
    assert_eq!(clone(&ring, &from, 1 << 20, [0; 3]), Err(Errno::EINVAL));
    assert_eq!(clone(&ring, &from, 0, [0; 3]), Ok(0));
    assert_eq!(clone(&ring, &from, 0, [0; 3]), Err(Errno::EBUSY));
});

// Part of a table is cloned to an offset, replacing what is there where told.
ring_test!(partial_clones, |t| {
    let (from, pages) = ring_with_buffer(t)?;
    let mut ring = t.ring(8)?;
    sparse(&ring, 4);
    assert_eq!(clone(&ring, &from, 2, [0, 3, 1]), Ok(0));
    let file = sys::file_with(b"1234");
    assert_eq!(ring.run_one(sqe::read_fixed(fd(&file), pages.at(0), 4, 0, 3)), 4);
    assert_eq!(clone(&ring, &from, 2, [0, 0, 9]), Err(Errno::EINVAL));
});

// A shared mapping of a file on a disk does not register; one of a file in memory does.
ring_test!(file_memory, |t| {
    let file = sys::file_with(&[0; 4096]);
    if !sys::has_disk(&file) || !sys::kernel_is_since(6, 11) {
        return Err(Skip("needs a temporary directory on a disk, and Linux 6.11".to_owned()));
    }
    let ring = t.ring(8)?;
    let register = |iovec: Iovec| ring.register(RegisterOp::Buffers, &[iovec]);
    let mapped = Mapping::of_file(fd(&file), 4096).expect("mmap");
    let iovec = Iovec { base: mapped.at(0), len: 4096 };
    assert_eq!(register(iovec), Err(Errno::EFAULT));
    let memory = sys::memory_file();
    memory.set_len(4096).expect("ftruncate");
    let mapped = Mapping::of_file(fd(&memory), 4096).expect("mmap");
    assert_eq!(register(Iovec { base: mapped.at(0), len: 4096 }), Ok(0));
});

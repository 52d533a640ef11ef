//! What a ring is called: copies of its descriptor, numbers that are taken over, an index and no
//! descriptor at all.

use crate::prelude::*;

/// A ring with a read that waits on a pipe whose reader only the request holds.
fn busy<'t>(
    t: &'t dyn Target,
    buf: &mut [u8],
) -> std::result::Result<(Ring<'t>, std::fs::File), Skip> {
    let mut ring = t.ring(8)?;
    let (reader, writer) = sys::pipe();
    ring.start(&[sqe::read_stream(fd(&reader), buf)]);
    t.close(sys::release(reader)).expect("close");
    assert_eq!(t.poll(fd(&writer), libc::POLLERR, 0), Ok(0), "the request keeps the reader");
    Ok((ring, writer))
}

// A descriptor that is copied over the ring's closes the ring.
ring_test!(copied_over, |t| {
    t.sees_calls()?;
    let mut buf = [0; 4];
    let (mut ring, writer) = busy(t, &mut buf)?;
    let number = std::mem::replace(&mut ring.fd, -1);
    let mut file = sys::file_with(b"1234");
    file.rewind().expect("seek");
    sys::dup_over(fd(&file), number);
    drop(ring);
    assert_eq!(t.enter(number, 0, 0, 0, 0, 0), Err(Errno::EOPNOTSUPP));
    eventually("the reader is let go", || t.poll(fd(&writer), libc::POLLERR, 0) != Ok(0));
    let mut buf = [0; 4];
    assert_eq!(sys::read_number(number, &mut buf), Ok(4));
    t.close(number).expect("close");
});

// A ring's descriptor that is copied over another number makes that the ring's.
ring_test!(copied_elsewhere, |t| {
    t.sees_calls()?;
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let file = sys::release(sys::file_with(b""));
    sys::dup_over(ring.fd, file);
    let first = std::mem::replace(&mut ring.fd, file);
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
    t.close(first).expect("close");
    writer.write_all(b"1").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, libc::POLLIN.into())]);
});

// A range of descriptors that is closed closes the rings in it, and no others.
ring_test!(closed_in_a_range, |t| {
    t.sees_calls()?;
    let mut kept = t.ring(8)?;
    let mut buf = [0; 4];
    let (mut ring, writer) = busy(t, &mut buf)?;
    let number = std::mem::replace(&mut ring.fd, -1);
    drop(ring);
    sys::close_range(number, number);
    eventually("the reader is let go", || t.poll(fd(&writer), libc::POLLERR, 0) != Ok(0));
    assert_eq!(t.enter(number, 0, 0, 0, 0, 0), Err(Errno::EBADF));
    assert_eq!(kept.run_one(sqe::nop()), 0);
});

// A ring cannot be sent over a socket by a system call either.
ring_test!(sent_by_a_call, |t| {
    t.sees_calls()?;
    let ring = t.ring(8)?;
    let (a, b) = sys::stream_pair();
    for many in [false, true] {
        assert_eq!(sys::send_descriptor(fd(&a), ring.fd, many), Err(Errno::EINVAL));
        assert_eq!(sys::send_descriptor(fd(&a), fd(&b), many), Ok(()));
    }
});

// A ring without a descriptor is used, registered with and ended by its index.
ring_test!(known_by_its_index, |t| {
    t.ring(1)?;
    let before = sys::open_fds();
    let memory = Mapping::anonymous(8192);
    let flags = IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY | IORING_SETUP_NO_SQARRAY;
    let mut params = Params { flags, ..Params::default() };
    params.cq_off.user_addr = memory.at(0);
    params.sq_off.user_addr = memory.at(4096);
    let index = t.needs("REGISTERED_FD_ONLY", t.setup(4, &raw mut params as u64))?;
    assert_eq!((index, sys::open_fds()), (0, before.clone()));
    let by_index = IORING_REGISTER_USE_REGISTERED_RING;
    let (reader, mut writer) = sys::pipe();
    let files = [fd(&reader)];
    let code = RegisterOp::Files as u32 | by_index;
    assert_eq!(t.register(index, code, address(&files), 1), Ok(0));
    let mut buf = [0; 4];
    memory.write(4096, sqe::read_stream(0, &mut buf).fixed(0).data(7));
    memory.write(params.sq_off.tail as usize, 1_u32);
    let enter = |submit, wait| {
        let flags = IORING_ENTER_REGISTERED_RING | IORING_ENTER_GETEVENTS;
        t.enter(index, submit, wait, flags, 0, 0)
    };
    assert_eq!(enter(1, 0), Ok(1));
    writer.write_all(b"1234").expect("write");
    assert_eq!(enter(0, 1), Ok(0));
    let cqe: Cqe = memory.read(params.cq_off.cqes as usize);
    assert_eq!((cqe.user_data, cqe.res), (7, 4));
    drop(reader);
    let gone = FilesUpdate { offset: index as u32, ..FilesUpdate::default() };
    let code = RegisterOp::UnregisterRingFds as u32 | by_index;
    assert_eq!(t.register(index, code, address(&gone), 1), Ok(1));
    assert_eq!(enter(0, 0), Err(Errno::EBADF));
    eventually("the table is let go", || t.poll(fd(&writer), libc::POLLERR, 0) != Ok(0));
});

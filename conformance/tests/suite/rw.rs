//! Read and write in all their forms.

use crate::prelude::*;

// Write, then read: the data, the counts and the file agree.
ring_test!(write_then_read, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"");
    let mut buf = [0; 16];
    assert_eq!(ring.run_one(sqe::write(fd(&file), b"hello, ring", 0)), 11);
    assert_eq!(ring.run_one(sqe::read(fd(&file), &mut buf, 7)), 4);
    assert_eq!(&buf[..4], b"ring");
});

// A read at or beyond the end gives 0.
ring_test!(read_at_the_end, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    let mut buf = [0; 8];
    assert_eq!(ring.run_one(sqe::read(fd(&file), &mut buf, 4)), 0);
    assert_eq!(ring.run_one(sqe::read(fd(&file), &mut buf, 1 << 40)), 0);
});

// Offset -1 reads and writes at the file's position, and moves it.
ring_test!(current_position, |t| {
    let mut ring = t.ring(8)?;
    let mut file = sys::file_with(b"");
    assert_eq!(ring.run_one(sqe::write(fd(&file), b"abcd", u64::MAX)), 4);
    assert_eq!(ring.run_one(sqe::write(fd(&file), b"efgh", u64::MAX)), 4);
    file.rewind().expect("rewind");
    let mut buf = [0; 4];
    assert_eq!(ring.run_one(sqe::read(fd(&file), &mut buf, u64::MAX)), 4);
    assert_eq!(ring.run_one(sqe::read(fd(&file), &mut buf, u64::MAX)), 4);
    assert_eq!((&buf, file.stream_position().expect("position")), (b"efgh", 8));
});

// Linked reads at the file's position go on where the one before ended.
ring_test!(current_position_in_a_chain, |t| {
    let mut ring = t.ring(8)?;
    let file = {
        let mut file = sys::file_with(b"aabbccdd");
        file.rewind().expect("rewind");
        file
    };
    let mut bufs = [[0_u8; 2]; 4];
    let [a, b, c, d] = &mut bufs;
    let read = |buf| sqe::read(fd(&file), buf, u64::MAX);
    let cqes = ring.run(&[read(a).link(), read(b).link(), read(c).link(), read(d)]);
    assert_eq!(results(&cqes), [2; 4]);
    assert_eq!(bufs, [*b"aa", *b"bb", *b"cc", *b"dd"]);
});

// A positioned read leaves the position alone.
ring_test!(positioned_io_leaves_the_position, |t| {
    let mut ring = t.ring(8)?;
    let mut file = sys::file_with(b"12345678");
    let mut buf = [0; 2];
    assert_eq!(ring.run_one(sqe::read(fd(&file), &mut buf, 1)), 2);
    assert_eq!(file.stream_position().expect("position"), 8);
});

// Vectors scatter and gather.
ring_test!(vectors, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"");
    let parts = [sqe::iovec(b"one "), sqe::iovec(b""), sqe::iovec(b"two "), sqe::iovec(b"three")];
    assert_eq!(ring.run_one(sqe::writev(fd(&file), &parts, 0)), 13);
    let (mut a, mut b) = ([0; 3], [0; 10]);
    let parts = [sqe::iovec_mut(&mut a), sqe::iovec_mut(&mut b)];
    assert_eq!(ring.run_one(sqe::readv(fd(&file), &parts, 0)), 13);
    assert_eq!((&a, &b), (b"one", b" two three"));
});

// No vectors at all give 0; more than 1024 -EINVAL; a bad address of the array -EFAULT.
ring_test!(vector_limits, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    assert_eq!(ring.run_one(sqe::readv(fd(&file), &[], 0)), 0);
    let many = vec![Iovec::default(); 1025];
    assert_eq!(ring.run_one(sqe::readv(fd(&file), &many, 0)), EINVAL);
    assert_eq!(ring.run_one(sqe::readv(fd(&file), &many[..1024], 0)), 0);
    let bad = Sqe { addr: BAD_ADDRESS, len: 2, ..sqe::readv(fd(&file), &[], 0) };
    assert_eq!(ring.run_one(bad), EFAULT);
});

// A buffer that is not mapped gives -EFAULT, for read and write.
ring_test!(bad_buffers, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"12345678");
    let read = Sqe { addr: BAD_ADDRESS, len: 8, ..sqe::read(fd(&file), &mut [], 0) };
    let write = Sqe { addr: BAD_ADDRESS, len: 8, ..sqe::write(fd(&file), b"", 0) };
    assert_eq!(ring.run_one(read), EFAULT);
    assert_eq!(ring.run_one(write), EFAULT);
    let vector = [Iovec { base: BAD_ADDRESS, len: 8 }];
    assert_eq!(ring.run_one(sqe::readv(fd(&file), &vector, 0)), EFAULT);
});

// A length of 0 gives 0, even with a null buffer.
ring_test!(empty_io, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    assert_eq!(ring.run_one(raw(Op::Read, fd(&file), 0, 0, 0)), 0);
    assert_eq!(ring.run_one(raw(Op::Write, fd(&file), 0, 0, 0)), 0);
});

// A descriptor not open for the direction gives -EBADF.
ring_test!(wrong_direction, |t| {
    let mut ring = t.ring(8)?;
    let (reader, writer) = sys::pipe();
    let mut buf = [0; 4];
    assert_eq!(ring.run_one(sqe::write(fd(&reader), b"1234", u64::MAX)), EBADF);
    assert_eq!(ring.run_one(sqe::read_stream(fd(&writer), &mut buf)), EBADF);
});

// A directory cannot be read: -EISDIR.
ring_test!(directory, |t| {
    let mut ring = t.ring(8)?;
    let directory = std::fs::File::open("/").expect("open /");
    let mut buf = [0; 4];
    let got = ring.run_one(sqe::read(fd(&directory), &mut buf, 0));
    assert_eq!(got, Errno::EISDIR.as_result());
});

// A pipe read waits for data, takes what is there, and gives 0 when the writer is gone.
ring_test!(pipe_waits_for_data, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 16];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    assert_eq!(ring.settle(ms(20)), []);
    writer.write_all(b"12345").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 5)]);
    drop(writer);
    assert_eq!(ring.run_one(sqe::read_stream(fd(&reader), &mut buf)), 0);
});

// Offset 0 on a pipe is taken as the position: no -ESPIPE.
ring_test!(pipe_ignores_the_offset, |t| {
    let mut ring = t.ring(8)?;
    let (reader, writer) = sys::pipe();
    let mut buf = [0; 4];
    assert_eq!(ring.run_one(sqe::write(fd(&writer), b"1234", 0)), 4);
    assert_eq!(ring.run_one(sqe::read(fd(&reader), &mut buf, 0)), 4);
});

// O_NONBLOCK on a pipe: the read still waits, and does not give -EAGAIN.
ring_test!(nonblocking_pipe_waits, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    sys::set_nonblocking(fd(&reader), true);
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    assert_eq!(ring.settle(ms(20)), []);
    writer.write_all(b"1234").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
});

// RWF_NOWAIT on an empty pipe gives -EAGAIN at once.
ring_test!(nowait_on_an_empty_pipe, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    let mut buf = [0; 4];
    let read = sqe::read_stream(fd(&reader), &mut buf).op_flags(libc::RWF_NOWAIT as u32);
    assert_eq!(ring.run_one(read), EAGAIN);
});

// Unknown rw_flags give -EOPNOTSUPP.
ring_test!(unknown_rw_flags, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    let mut buf = [0; 4];
    let read = sqe::read(fd(&file), &mut buf, 0).op_flags(1 << 30);
    assert_eq!(ring.run_one(read), EOPNOTSUPP);
});

// RWF_APPEND writes at the end whatever the offset.
ring_test!(append, |t| {
    let mut ring = t.ring(8)?;
    let mut file = sys::file_with(b"1234");
    let write = sqe::write(fd(&file), b"56", 0).op_flags(libc::RWF_APPEND as u32);
    assert_eq!(ring.run_one(write), 2);
    file.rewind().expect("rewind");
    let mut text = String::new();
    file.read_to_string(&mut text).expect("read");
    assert_eq!(text, "123456");
});

// RWF_DSYNC and RWF_SYNC are accepted on a file.
ring_test!(synchronous_writes, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"");
    for flag in [libc::RWF_DSYNC, libc::RWF_SYNC] {
        let write = sqe::write(fd(&file), b"1234", 0).op_flags(flag as u32);
        assert_eq!(ring.run_one(write), 4, "flag {flag:#x}");
    }
});

// RWF_HIPRI on a ring without IOPOLL is refused.
ring_test!(polled_io_needs_a_polled_ring, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    let write = sqe::write(fd(&file), b"1234", 0).op_flags(libc::RWF_HIPRI as u32);
    assert_eq!(ring.run_one(write), EINVAL);
});

// An I/O priority is accepted; a bad class of it is -EINVAL.
ring_test!(io_priority, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    let mut buf = [0; 4];
    let best_effort = 2 << 13 | 4;
    assert_eq!(ring.run_one(sqe::read(fd(&file), &mut buf, 0).ioprio(best_effort)), 4);
    assert_eq!(ring.run_one(sqe::read(fd(&file), &mut buf, 0).ioprio(7 << 13)), EINVAL);
});

// IOSQE_ASYNC reads and writes as well.
ring_test!(asynchronous, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    let mut buf = [0; 4];
    assert_eq!(ring.run_one(sqe::read(fd(&file), &mut buf, 0).with(IOSQE_ASYNC)), 4);
    assert_eq!(ring.run_one(sqe::write(fd(&file), b"5678", 0).with(IOSQE_ASYNC)), 4);
    assert_eq!(&buf, b"1234");
});

// An IOSQE_ASYNC read of an empty pipe waits as well.
ring_test!(asynchronous_pipe, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).with(IOSQE_ASYNC).data(1)]);
    assert_eq!(ring.settle(ms(20)), []);
    writer.write_all(b"1234").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
});

// A write to a full pipe waits for room.
ring_test!(full_pipe_waits_for_room, |t| {
    let mut ring = t.ring(8)?;
    let (mut reader, mut writer) = sys::pipe();
    sys::set_nonblocking(fd(&writer), true);
    while writer.write(&[0; 4096]).is_ok() {}
    sys::set_nonblocking(fd(&writer), false);
    ring.start(&[sqe::write(fd(&writer), b"1234", u64::MAX).data(1)]);
    assert_eq!(ring.settle(ms(20)), []);
    reader.read_exact(&mut [0; 8192]).expect("read");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
});

// A write to a pipe without a reader gives -EPIPE (and SIGPIPE, ignored here).
ring_test!(broken_pipe, |t| {
    let mut ring = t.ring(8)?;
    let (reader, writer) = sys::pipe();
    drop(reader);
    assert_eq!(ring.run_one(sqe::write(fd(&writer), b"1234", u64::MAX)), EPIPE);
});

// Several reads of one pipe complete each with data of its own.
ring_test!(many_readers_of_one_pipe, |t| {
    let mut ring = t.ring(16)?;
    let (reader, mut writer) = sys::pipe();
    let mut bufs = [[0_u8; 1]; 8];
    let sqes: Vec<Sqe> = bufs.iter_mut().map(|buf| sqe::read_stream(fd(&reader), buf)).collect();
    ring.start(&sqes);
    writer.write_all(b"abcdefgh").expect("write");
    assert_eq!(results(&ring.wait_n(8)), [1; 8]);
    let mut bytes = bufs.concat();
    bytes.sort_unstable();
    assert_eq!(bytes, b"abcdefgh");
});

// An eventfd is read when it is signalled, in 8 bytes; a smaller buffer gives -EINVAL.
ring_test!(event_counter, |t| {
    let mut ring = t.ring(8)?;
    let counter = sys::eventfd();
    let mut buf = [0; 8];
    ring.start(&[sqe::read_stream(fd(&counter), &mut buf).data(1)]);
    assert_eq!(ring.settle(ms(10)), []);
    sys::eventfd_add(&counter, 5);
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 8)]);
    assert_eq!(u64::from_ne_bytes(buf), 5);
    sys::eventfd_add(&counter, 1);
    assert_eq!(ring.run_one(sqe::read_stream(fd(&counter), &mut buf[..4])), EINVAL);
});

// A stream socket is read and written like a pipe.
ring_test!(stream_socket, |t| {
    let mut ring = t.ring(8)?;
    let (a, b) = sys::stream_pair();
    let mut buf = [0; 8];
    ring.start(&[sqe::read_stream(fd(&a), &mut buf).data(1)]);
    assert_eq!(ring.run_one(sqe::write(fd(&b), b"socket", u64::MAX)), 6);
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 6)]);
    assert_eq!(&buf[..6], b"socket");
});

// A file of the memory file system works as well.
ring_test!(memory_file, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::memory_file();
    let mut buf = [0; 8];
    assert_eq!(ring.run_one(sqe::write(fd(&file), b"12345678", 4096)), 8);
    assert_eq!(ring.run_one(sqe::read(fd(&file), &mut buf, 4098)), 6);
});

// A large transfer is not cut short: 8 MiB out and in again.
ring_test!(large_transfer, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"");
    let out: Vec<u8> = (0..8 << 20).map(|i: u32| ((i * 7) >> 3) as u8).collect();
    let mut back = vec![0; out.len()];
    assert_eq!(ring.run_one(sqe::write(fd(&file), &out, 0)), 8 << 20);
    assert_eq!(ring.run_one(sqe::read(fd(&file), &mut back, 0)), 8 << 20);
    assert!(out == back);
});

// A batch of reads at random places gives each its own bytes.
ring_test!(many_reads, |t| {
    let mut ring = t.ring(64)?;
    let content: Vec<u8> = (0..64 * 64_u32).flat_map(|i| i.to_le_bytes()).collect();
    let file = sys::file_with(&content);
    let mut bufs = vec![[0_u8; 16]; 64];
    let places: Vec<usize> = (0..64).map(|i| (i * 37 % 64) * 251 % (content.len() - 16)).collect();
    let sqes: Vec<Sqe> = bufs
        .iter_mut()
        .zip(&places)
        .map(|(buf, &place)| sqe::read(fd(&file), buf, place as u64))
        .collect();
    assert_eq!(results(&ring.run(&sqes)), vec![16; 64]);
    for (buf, &place) in bufs.iter().zip(&places) {
        assert_eq!(buf, &content[place..place + 16]);
    }
});

// A limit on the file's size gives -EFBIG, and no signal kills us that was ignored.
ring_test!(file_size_limit, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"");
    sys::catch_signal(libc::SIGXFSZ, 0);
    sys::set_limit(libc::RLIMIT_FSIZE, 1 << 16);
    let got = ring.run_one(sqe::write(fd(&file), b"1234", 1 << 20));
    assert_eq!(got, Errno::EFBIG.as_result());
    assert_eq!(ring.run_one(sqe::write(fd(&file), b"1234", 0)), 4);
});

// buf_index of a plain read is not looked at.
ring_test!(buffer_index_on_plain_read, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    let mut buf = [0; 4];
    let read = Sqe { buf_index: 1, ..sqe::read(fd(&file), &mut buf, 0) };
    assert_eq!(ring.run_one(read), 4);
});

// A negative offset other than -1 is refused.
ring_test!(negative_offset, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    let mut buf = [0; 4];
    assert_eq!(ring.run_one(sqe::read(fd(&file), &mut buf, -2_i64 as u64)), EINVAL);
});

//! Reads, writes, their vectored forms and syncs.

use crate::prelude::*;

/// An iovec of a buffer.
fn vector(buffer: &[u8]) -> Iovec {
    Iovec { base: buffer.as_ptr() as u64, len: buffer.len() as u64 }
}

fn vectored(opcode: u16, file: &std::fs::File, list: &[Iovec], offset: i64) -> Iocb {
    let (buf, nbytes) = (list.as_ptr() as u64, list.len() as u64);
    Iocb { buf, nbytes, offset, ..iocb(opcode, file) }
}

// A write, then a read of it, at an offset; the file's own position stays.
ring_test!(there_and_back, |t| {
    let context = t.context(8)?;
    let mut file = sys::file_with(b"0123456789");
    let mut buffer = [0; 4];
    assert_eq!(context.run(&pwrite(&file, b"ab", 4)), Ok(2));
    assert_eq!(context.run(&pread(&file, &mut buffer, 3)), Ok(4));
    assert_eq!(&buffer, b"3ab6");
    assert_eq!(context.run(&pread(&file, &mut buffer, 8)), Ok(2));
    assert_eq!(context.run(&pread(&file, &mut buffer, 100)), Ok(0));
    assert_eq!(std::io::Seek::stream_position(&mut file).expect("position"), 10);
});

// The event has the request's address and data.
ring_test!(events_name_their_request, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffers = [[0; 4]; 3];
    let requests: Vec<Iocb> = (7..)
        .zip(&mut buffers)
        .map(|(data, buffer)| Iocb { data, ..pread(&file, buffer, 0) })
        .collect();
    assert_eq!(context.submit(&requests.iter().collect::<Vec<_>>()), Ok(3));
    let mut events = context.get(3, 3, ms(5000)).expect("events");
    events.sort_by_key(|event| event.data);
    for (event, request) in events.iter().zip(&requests) {
        assert_eq!((event.data, event.obj), (request.data, address(request)));
        assert_eq!((event.res, event.res2), (4, 0));
    }
});

// Vectors, also empty ones; the list may go once the submission has returned.
ring_test!(vectors, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123456789");
    let (a, b) = ([0u8; 3], [0u8; 4]);
    let list = [vector(&a), Iovec { base: 0, len: 0 }, vector(&b)];
    assert_eq!(context.run(&vectored(IOCB_CMD_PREADV, &file, &list, 1)), Ok(7));
    assert_eq!(std::hint::black_box((a, b)), (*b"123", *b"4567"));
    let list = [vector(b"xy"), vector(b"z")];
    assert_eq!(context.run(&vectored(IOCB_CMD_PWRITEV, &file, &list, 8)), Ok(3));
    assert_eq!(context.run(&vectored(IOCB_CMD_PREADV, &file, &[], 0)), Ok(0));
    let mut buffer = [0; 3];
    assert_eq!(context.run(&pread(&file, &mut buffer, 8)), Ok(3));
    assert_eq!(&buffer, b"xyz");
});

// Bad vectors are the submission's error; a bad buffer in a good vector is the event's.
ring_test!(bad_vectors, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123456789");
    let bad = Iocb { buf: BAD_ADDRESS, nbytes: 2, ..iocb(IOCB_CMD_PREADV, &file) };
    assert_eq!(context.run(&bad), Err(Errno::EFAULT));
    let many = vec![Iovec::default(); 1025];
    assert_eq!(context.run(&vectored(IOCB_CMD_PREADV, &file, &many, 0)), Err(Errno::EINVAL));
    let list = [Iovec { base: BAD_ADDRESS, len: u64::MAX }];
    assert_eq!(context.run(&vectored(IOCB_CMD_PREADV, &file, &list, 0)), Err(Errno::EINVAL));
    let list = [Iovec { base: 0xffff_8000_0000_0000, len: 10 }];
    assert_eq!(context.run(&vectored(IOCB_CMD_PREADV, &file, &list, 0)), Err(Errno::EFAULT));
    let list = [Iovec { base: BAD_ADDRESS, len: 10 }];
    let run = context.run(&vectored(IOCB_CMD_PREADV, &file, &list, 0));
    assert_eq!(run, failed(Errno::EFAULT));
});

// A buffer that no program can have is refused; one that is not mapped fails in its event.
ring_test!(bad_buffers, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123456789");
    let read = |buf: u64, nbytes: u64| Iocb { buf, nbytes, ..iocb(IOCB_CMD_PREAD, &file) };
    assert_eq!(context.run(&read(BAD_ADDRESS, 10)), failed(Errno::EFAULT));
    assert_eq!(context.run(&read(BAD_ADDRESS, 0)), Ok(0));
    assert_eq!(context.run(&read(1 << 63, 10)), Err(Errno::EFAULT));
    assert_eq!(context.run(&read(0xffff_8000_0000_0000, 0)), Err(Errno::EFAULT));
    let write = Iocb { opcode: IOCB_CMD_PWRITE, ..read(BAD_ADDRESS, 10) };
    assert_eq!(context.run(&write), failed(Errno::EFAULT));
});

// Offsets below 0 or beyond all files are refused, on what has no positions too.
ring_test!(bad_offsets, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123456789");
    let (reader, _writer) = sys::pipe();
    let mut buffer = [0; 4];
    assert_eq!(context.run(&pread(&file, &mut buffer, -1)), Err(Errno::EINVAL));
    assert_eq!(context.run(&pread(&file, &mut buffer, i64::MAX)), Err(Errno::EINVAL));
    assert_eq!(context.run(&pwrite(&file, b"1234", i64::MAX)), Err(Errno::EINVAL));
    assert_eq!(context.run(&pread(&reader, &mut buffer, -1)), Err(Errno::EINVAL));
    assert_eq!(context.run(&pwrite(&file, b"1234", i64::MAX - 4)), failed(Errno::EFBIG));
});

// O_DIRECT, aligned and not.
ring_test!(direct, |t| {
    let context = t.context(8)?;
    let Ok(file) = direct_file(16384) else { return Ok(()) };
    let memory = Mapping::anonymous(8192);
    let read = |at: u64, nbytes: u64, offset: i64| {
        context.run(&Iocb { buf: memory.at(0) + at, nbytes, offset, ..iocb(IOCB_CMD_PREAD, &file) })
    };
    assert_eq!(read(0, 4096, 4096), Ok(4096));
    assert_eq!(read(0, 8192, 12288), Ok(4096));
    assert_eq!(read(1, 4096, 0), failed(Errno::EINVAL));
    assert_eq!(read(0, 4096, 1), failed(Errno::EINVAL));
    assert_eq!(read(0, 100, 0), failed(Errno::EINVAL));
    let write = Iocb { buf: memory.at(0), nbytes: 4096, ..iocb(IOCB_CMD_PWRITE, &file) };
    assert_eq!(context.run(&write), Ok(4096));
});

// Reads by the device are done while nobody calls, and when the context is destroyed.
ring_test!(direct_by_itself, |t| {
    let context = t.context(8)?;
    let Ok(file) = direct_file(16384) else { return Ok(()) };
    let memory = Mapping::anonymous(16384);
    let read = |n: u64| Iocb {
        buf: memory.at(0) + n * 4096,
        nbytes: 4096,
        offset: n as i64 * 4096,
        ..iocb(IOCB_CMD_PREAD, &file)
    };
    let reads = [read(0), read(1), read(2), read(3)];
    let list: Vec<&Iocb> = reads.iter().collect();
    for round in 1..=5 {
        assert_eq!(context.submit(&list), Ok(4));
        until(|| context.tail() == 4 * round);
        context.set_head(4 * round);
    }
    assert_eq!(context.submit(&list), Ok(4));
    assert_eq!(t.io_destroy(context.id), Ok(()));
});

// Syncs take nothing but the file, which must be one with data of its own.
ring_test!(syncs, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123456789");
    let (reader, _writer) = sys::pipe();
    for opcode in [IOCB_CMD_FSYNC, IOCB_CMD_FDSYNC] {
        let sync = iocb(opcode, &file);
        assert_eq!(context.run(&sync), Ok(0));
        assert_eq!(context.run(&Iocb { buf: 1, ..sync }), Err(Errno::EINVAL));
        assert_eq!(context.run(&Iocb { nbytes: 1, ..sync }), Err(Errno::EINVAL));
        assert_eq!(context.run(&Iocb { offset: 1, ..sync }), Err(Errno::EINVAL));
        assert_eq!(context.run(&Iocb { rw_flags: 1, ..sync }), Err(Errno::EINVAL));
        assert_eq!(context.run(&Iocb { fd: 999, ..sync }), Err(Errno::EBADF));
        assert_eq!(context.run(&iocb(opcode, &reader)), Err(Errno::EINVAL));
        assert_eq!(context.run(&iocb(opcode, &sys::eventfd())), Err(Errno::EINVAL));
    }
    let directory = std::fs::File::open("/").expect("the root");
    assert_eq!(context.run(&iocb(IOCB_CMD_FSYNC, &directory)), Ok(0));
});

// What does not block says EAGAIN in its event, and pipes and sockets are read from and written to.
ring_test!(streams, |t| {
    let context = t.context(8)?;
    let (reader, mut writer) = sys::pipe();
    let mut buffer = [0; 8];
    writer.write_all(b"abc").expect("write");
    assert_eq!(context.run(&pread(&reader, &mut buffer, 77)), Ok(3));
    assert_eq!(context.run(&pwrite(&writer, b"12", 0)), Ok(2));
    assert_eq!(context.run(&pread(&reader, &mut buffer, 0)), Ok(2));
    sys::set_nonblocking(fd(&reader), true);
    assert_eq!(context.run(&pread(&reader, &mut buffer, 0)), failed(Errno::EAGAIN));
    let (here, there) = sys::stream_pair();
    sys::set_nonblocking(fd(&here), true);
    assert_eq!(context.run(&pread(&here, &mut buffer, 0)), failed(Errno::EAGAIN));
    assert_eq!(context.run(&pwrite(&there, b"xyz", 0)), Ok(3));
    assert_eq!(context.run(&pread(&here, &mut buffer, 0)), Ok(3));
});

// An append goes to the end wherever it is sent.
ring_test!(appends, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let append = Iocb { rw_flags: libc::RWF_APPEND as u32, ..pwrite(&file, b"45", 0) };
    assert_eq!(context.run(&append), Ok(2));
    assert_eq!(file.metadata().expect("stat").len(), 6);
});

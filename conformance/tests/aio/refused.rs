//! Which requests are refused, and with what.

use crate::prelude::*;

// Closed, not open for it, opened as a path, without reading of its own.
ring_test!(files, |t| {
    let context = t.context(8)?;
    let directory = sys::directory();
    let path = directory.path().join("file");
    std::fs::write(&path, b"0123").expect("write");
    let open = |options: &mut std::fs::OpenOptions| options.open(&path).expect("open");
    let read_only = open(std::fs::OpenOptions::new().read(true));
    let write_only = open(std::fs::OpenOptions::new().write(true));
    use std::os::unix::fs::OpenOptionsExt;
    let by_path = open(std::fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH));
    let folder = std::fs::File::open(directory.path()).expect("open");
    let mut buffer = [0; 4];
    let mut read = |file: &std::fs::File| context.run(&pread(file, &mut buffer, 0));
    assert_eq!(read(&read_only), Ok(4));
    assert_eq!(read(&write_only), Err(Errno::EBADF));
    assert_eq!(read(&by_path), Err(Errno::EBADF));
    assert_eq!(read(&folder), Err(Errno::EINVAL));
    assert_eq!(context.run(&pwrite(&read_only, b"1", 0)), Err(Errno::EBADF));
    assert_eq!(context.run(&pwrite(&folder, b"1", 0)), Err(Errno::EBADF));
    assert_eq!(context.run(&iocb(IOCB_CMD_FSYNC, &by_path)), Err(Errno::EBADF));
    assert_eq!(context.run(&poll(&by_path, libc::POLLIN)), Err(Errno::EBADF));
    let epoll = sys::epoll();
    assert_eq!(context.run(&pread(&epoll, &mut buffer, 0)), Err(Errno::EINVAL));
    for number in [-1, 999] {
        let closed = Iocb { fd: number, ..pread(&read_only, &mut buffer, 0) };
        assert_eq!(context.run(&closed), Err(Errno::EBADF));
    }
});

// A file that was opened with O_DIRECT for the other way.
ring_test!(direct_files, |t| {
    let context = t.context(8)?;
    use std::os::unix::fs::OpenOptionsExt;
    let directory = sys::directory();
    let path = directory.path().join("file");
    std::fs::write(&path, [0; 4096]).expect("write");
    let direct =
        |options: &mut std::fs::OpenOptions| options.custom_flags(libc::O_DIRECT).open(&path);
    let Ok(write_only) = direct(std::fs::OpenOptions::new().write(true)) else { return Ok(()) };
    let read_only = direct(std::fs::OpenOptions::new().read(true)).expect("open");
    let memory = Mapping::anonymous(4096);
    let request = |opcode, file| Iocb { buf: memory.at(0), nbytes: 4096, ..iocb(opcode, file) };
    assert_eq!(context.run(&request(IOCB_CMD_PREAD, &write_only)), Err(Errno::EBADF));
    assert_eq!(context.run(&request(IOCB_CMD_PWRITE, &read_only)), Err(Errno::EBADF));
});

// Operations that there are not, and what says so first.
ring_test!(operations, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    for opcode in [4, IOCB_CMD_NOOP, 9, 100, u16::MAX] {
        assert_eq!(context.run(&iocb(opcode, &file)), Err(Errno::EINVAL), "{opcode}");
        let closed = Iocb { fd: 999, ..iocb(opcode, &file) };
        assert_eq!(context.run(&closed), Err(Errno::EBADF), "{opcode}");
    }
});

// Reserved words, lengths below 0, flags that the kernel does not know.
ring_test!(words, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let read = pread(&file, &mut buffer, 0);
    assert_eq!(context.run(&Iocb { reserved2: 1, ..read }), Err(Errno::EINVAL));
    assert_eq!(context.run(&Iocb { nbytes: u64::MAX, ..read }), Err(Errno::EINVAL));
    assert_eq!(context.run(&Iocb { flags: 0xff00, ..read }), Ok(4));
});

// An I/O priority is looked at if the flag says that there is one.
ring_test!(priorities, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let read = pread(&file, &mut buffer, 0);
    let with = |flags: u32, reqprio: u16| context.run(&Iocb { flags, reqprio, ..read });
    assert_eq!(with(0, u16::MAX), Ok(4));
    assert_eq!(with(IOCB_FLAG_IOPRIO, 0), Ok(4));
    assert_eq!(with(IOCB_FLAG_IOPRIO, 2 << 13 | 4), Ok(4));
    assert_eq!(with(IOCB_FLAG_IOPRIO, 3 << 13), Ok(4));
    assert_eq!(with(IOCB_FLAG_IOPRIO, 7 << 13), Err(Errno::EINVAL));
    assert_eq!(with(IOCB_FLAG_IOPRIO, 3), Err(Errno::EINVAL));
});

// RWF flags: unknown ones are refused, a wish to be polled for is passed over.
ring_test!(rw_flags, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let read = pread(&file, &mut buffer, 0);
    for bit in 9..32 {
        let run = context.run(&Iocb { rw_flags: 1 << bit, ..read });
        assert_eq!(run, Err(Errno::EOPNOTSUPP), "bit {bit}");
    }
    let known = [libc::RWF_HIPRI, libc::RWF_DSYNC, libc::RWF_SYNC, libc::RWF_APPEND];
    for flag in known {
        assert_eq!(context.run(&Iocb { rw_flags: flag as u32, ..read }), Ok(4), "{flag}");
    }
    let both = (libc::RWF_APPEND | libc::RWF_NOAPPEND) as u32;
    let write = Iocb { rw_flags: both, ..pwrite(&file, b"1", 0) };
    assert_eq!(context.run(&write), Err(Errno::EINVAL));
});

// The key is written, so the request must be in memory that can be.
ring_test!(the_key, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let request = Iocb { key: 123, ..pread(&file, &mut buffer, 0) };
    assert_eq!(context.run(std::hint::black_box(&request)), Ok(4));
    let memory = Mapping::anonymous(4096);
    memory.write(0, pread(&file, &mut buffer, 0));
    memory.protect(libc::PROT_READ);
    let at = memory.at(0);
    assert_eq!(context.submit_raw(1, address(&at)), Err(Errno::EFAULT));
});

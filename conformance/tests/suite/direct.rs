//! O_DIRECT, and rings that poll for completions.

use crate::prelude::*;
use std::os::unix::fs::OpenOptionsExt;

/// A file of 64 KiB open for O_DIRECT on a disk file system.
fn direct_file() -> std::result::Result<(std::fs::File, tempfile::TempDir), Skip> {
    let directory = tempfile::tempdir_in(".").expect("a directory");
    let path = directory.path().join("file");
    std::fs::write(&path, vec![7; 65536]).expect("write");
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_DIRECT);
    let file = options.open(path).map_err(|error| Skip(format!("no O_DIRECT here: {error}")))?;
    Ok((file, directory))
}

// Aligned reads and writes work, and go past the page cache.
ring_test!(aligned, |t| {
    let mut ring = t.ring(8)?;
    let (file, _directory) = direct_file()?;
    let page = Mapping::anonymous(8192);
    assert_eq!(ring.run_one(raw(Op::Read, fd(&file), page.at(0), 4096, 4096)), 4096);
    assert_eq!(page.read::<u8>(4095), 7);
    page.fill(9);
    assert_eq!(ring.run_one(raw(Op::Write, fd(&file), page.at(0), 4096, 8192)), 4096);
    page.fill(0);
    assert_eq!(ring.run_one(raw(Op::Read, fd(&file), page.at(4096), 4096, 8192)), 4096);
    assert_eq!(page.read::<u8>(4096), 9);
});

// What is not aligned is -EINVAL.
ring_test!(not_aligned, |t| {
    let mut ring = t.ring(8)?;
    let (file, _directory) = direct_file()?;
    let page = Mapping::anonymous(8192);
    assert_eq!(ring.run_one(raw(Op::Read, fd(&file), page.at(1), 4096, 0)), EINVAL);
    assert_eq!(ring.run_one(raw(Op::Read, fd(&file), page.at(0), 100, 0)), EINVAL);
    assert_eq!(ring.run_one(raw(Op::Read, fd(&file), page.at(0), 4096, 100)), EINVAL);
});

// Many at once all complete.
ring_test!(deep_queue, |t| {
    let mut ring = t.ring(64)?;
    let (file, _directory) = direct_file()?;
    let memory = Mapping::anonymous(64 * 4096);
    for _ in 0..10 {
        let sqes: Vec<Sqe> = (0..64)
            .map(|i| raw(Op::Read, fd(&file), memory.at(i * 4096), 4096, (i as u64 % 16) * 4096))
            .collect();
        assert_eq!(results(&ring.run(&sqes)), [4096; 64]);
    }
});

// A ring with IOPOLL takes O_DIRECT reads only; others are refused.
ring_test!(polled_ring_refusals, |t| {
    let mut ring = t.ring_with(8, IORING_SETUP_IOPOLL)?;
    let file = sys::file_with(b"1234");
    ring.start(&[sqe::read(fd(&file), &mut [0; 4], 0).data(1)]);
    assert_eq!(pairs(&ring.cqes()), [(1, EOPNOTSUPP)]);
    let (reader, _writer) = sys::pipe();
    ring.push(sqe::poll_add(fd(&reader), libc::POLLIN).data(2));
    assert_eq!(ring.submit(), Ok(1));
    assert_eq!(pairs(&ring.cqes()), [(2, EINVAL)]);
    ring.start(&[sqe::nop().data(3)]);
    assert_eq!(pairs(&ring.cqes()), [(3, 0)]);
});

// A ring with IOPOLL serves O_DIRECT reads, reaped by entering.
ring_test!(polled_ring, |t| {
    let mut ring = t.ring_with(8, IORING_SETUP_IOPOLL)?;
    let (file, _directory) = direct_file()?;
    let page = Mapping::anonymous(4096);
    ring.start(&[raw(Op::Read, fd(&file), page.at(0), 4096, 0).data(1)]);
    let got = ring.wait();
    if got.res == EOPNOTSUPP && t.is_kernel() {
        return Err(Skip("the disk of this machine cannot be polled".to_owned()));
    }
    assert_eq!((got.user_data, got.res), (1, 4096));
});

// PIPE into chosen slots takes two in a row, and writes their numbers.
ring_test!(pipe_into_chosen_slots, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.register(RegisterOp::Files, &[-1; 8]), Ok(0));
    let mut slots = [-1, -1];
    let entry = raw(Op::Pipe, 0, address_mut(&mut slots), 0, 0).slot(5);
    let got = t.needs_op("PIPE", ring.run_one(entry))?;
    assert_eq!((got, std::hint::black_box(slots)), (0, [5, 6]));
    assert_eq!(ring.run_one(sqe::write(0, b"1", u64::MAX).fixed(6)), 1);
    assert_eq!(ring.run_one(sqe::read_stream(0, &mut [0; 4]).fixed(5)), 1);
});

/// A read on a polled ring; a kernel may lack a disk that can be polled.
fn read_polled(
    t: &dyn Target,
    ring: &mut Ring,
    entry: Sqe,
    res: i32,
) -> ringfence_conformance::Outcome {
    ring.start(&[entry.data(1)]);
    let got = ring.wait();
    if got.res == EOPNOTSUPP && t.is_kernel() {
        return Err(Skip("the disk of this machine cannot be polled".to_owned()));
    }
    assert_eq!((got.user_data, got.res), (1, res));
    Ok(())
}

// HYBRID_IOPOLL serves what IOPOLL does: reads and writes, plain, vectored and from registered memory.
ring_test!(polled_with_sleep, |t| {
    let (file, _directory) = direct_file()?;
    let page = Mapping::anonymous(8192);
    let part = Iovec { base: page.at(0), len: 4096 };
    for flags in [IORING_SETUP_IOPOLL, IORING_SETUP_IOPOLL | IORING_SETUP_HYBRID_IOPOLL] {
        let mut ring = t.ring_with(8, flags)?;
        assert_eq!(ring.register(RegisterOp::Buffers, &[part]), Ok(0));
        let number = fd(&file);
        for (entry, res) in [
            (raw(Op::Read, number, page.at(0), 4096, 0), 4096),
            (raw(Op::Readv, number, address(&part), 1, 4096), 4096),
            (sqe::read_fixed(number, page.at(0), 4096, 0, 0), 4096),
            (raw(Op::Write, number, page.at(4096), 4096, 8192), 4096),
            (sqe::write_fixed(number, page.at(0), 4096, 12288, 0), 4096),
            (raw(Op::Read, number, page.at(0), 4096, 1 << 20), 0),
            (raw(Op::Read, number, page.at(1), 4096, 0), EINVAL),
        ] {
            read_polled(t, &mut ring, entry, res)?;
        }
    }
});

// Polled reads many at a time, more than the queue of completions holds.
ring_test!(polled_in_depth, |t| {
    let (file, _directory) = direct_file()?;
    let params = Params {
        flags: IORING_SETUP_IOPOLL | IORING_SETUP_CQSIZE,
        cq_entries: 32,
        ..Params::default()
    };
    let mut ring = t.ring_from(32, params)?;
    let memory = Mapping::anonymous(16 * 4096);
    let read = |index: u64| {
        let place = index % 16 * 4096;
        raw(Op::Read, fd(&file), memory.at(place as usize), 4096, place).data(index)
    };
    read_polled(t, &mut ring, read(1), 4096)?;
    ring.start(&(0..32).map(read).collect::<Vec<_>>());
    ring.start(&(32..64).map(read).collect::<Vec<_>>());
    let got = by_data(&ring.wait_n(64));
    assert_eq!(got, (0..64).map(|index| (index, 4096)).collect::<Vec<_>>());
});

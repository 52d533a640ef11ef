//! `io_uring_setup`: what it refuses, what it returns, how the rings are laid out.

use crate::prelude::*;

/// Sets a ring up and closes it: the parameters returned, or the error.
fn probe(t: &dyn Target, entries: u32, params: Params) -> Result<Params> {
    let mut params = params;
    let ring = t.setup(entries, &raw mut params as u64)?;
    t.close(ring).expect("close a ring");
    Ok(params)
}

fn with_flags(flags: u32) -> Params {
    Params { flags, ..Params::default() }
}

// A null or unmapped parameter block gives -EFAULT.
ring_test!(bad_parameter_address, |t| {
    t.ring(1)?;
    assert_eq!(t.setup(1, 0), Err(Errno::EFAULT));
    assert_eq!(t.setup(1, BAD_ADDRESS), Err(Errno::EFAULT));
});

// Parameters that can be read but not written give -EFAULT, and no descriptor is left.
ring_test!(read_only_parameters, |t| {
    t.ring(1)?;
    let page = Mapping::anonymous(4096);
    page.protect(libc::PROT_READ);
    let before = sys::fd_count();
    assert_eq!(t.setup(1, page.at(0)), Err(Errno::EFAULT));
    assert_eq!(sys::fd_count(), before);
});

// The reserved words must be zero.
ring_test!(reserved_words, |t| {
    t.ring(1)?;
    for word in 0..3 {
        let mut params = Params::default();
        params.resv[word] = 1;
        assert_eq!(probe(t, 1, params), Err(Errno::EINVAL));
    }
});

// Zero entries, and more than 32768, give -EINVAL.
ring_test!(entry_count_limits, |t| {
    t.ring(1)?;
    assert_eq!(probe(t, 0, Params::default()), Err(Errno::EINVAL));
    assert_eq!(probe(t, 32769, Params::default()), Err(Errno::EINVAL));
    assert_eq!(probe(t, u32::MAX, Params::default()), Err(Errno::EINVAL));
    assert!(probe(t, 32768, Params::default()).is_ok());
});

// Entries are rounded up to a power of two, and the CQ is twice as large.
ring_test!(entries_round_up, |t| {
    t.ring(1)?;
    for (asked, sq, cq) in [(1, 1, 2), (2, 2, 4), (3, 4, 8), (5, 8, 16), (129, 256, 512)] {
        let got = probe(t, asked, Params::default()).expect("setup");
        assert_eq!((got.sq_entries, got.cq_entries), (sq, cq), "asked for {asked}");
    }
});

// IORING_SETUP_CLAMP cuts what is too large, but zero stays an error.
ring_test!(clamp, |t| {
    t.ring(1)?;
    let got = probe(t, 1 << 20, with_flags(IORING_SETUP_CLAMP)).expect("setup");
    assert_eq!((got.sq_entries, got.cq_entries), (32768, 65536));
    assert_eq!(probe(t, 0, with_flags(IORING_SETUP_CLAMP)), Err(Errno::EINVAL));
    let flags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
    let got = probe(t, 4, Params { cq_entries: 1 << 20, flags, ..Params::default() });
    assert_eq!(got.map(|got| got.cq_entries), Ok(65536));
});

// IORING_SETUP_CQSIZE: rounded up, not below the SQ, not zero, not above 65536.
ring_test!(cq_size, |t| {
    t.ring(1)?;
    let ask = |cq_entries| {
        let params = Params { cq_entries, ..with_flags(IORING_SETUP_CQSIZE) };
        probe(t, 8, params).map(|got| got.cq_entries)
    };
    assert_eq!(ask(8), Ok(8));
    assert_eq!(ask(9), Ok(16));
    assert_eq!(ask(100), Ok(128));
    assert_eq!(ask(65536), Ok(65536));
    assert_eq!(ask(0), Err(Errno::EINVAL));
    assert_eq!(ask(4), Err(Errno::EINVAL));
    assert_eq!(ask(65537), Err(Errno::EINVAL));
});

// Without IORING_SETUP_CQSIZE a value in cq_entries is ignored.
ring_test!(cq_size_unasked, |t| {
    t.ring(1)?;
    let got = probe(t, 8, Params { cq_entries: 1000, ..Params::default() });
    assert_eq!(got.map(|got| got.cq_entries), Ok(16));
});

// The header of the rings lies where the kernel lays it, and describes itself.
ring_test!(layout, |t| {
    let ring = t.ring(8)?;
    let (sq, cq) = (ring.params.sq_off, ring.params.cq_off);
    let of_sq = [sq.head, sq.tail, sq.ring_mask, sq.ring_entries, sq.dropped, sq.flags, sq.array];
    assert_eq!(of_sq, [0, 4, 16, 24, 32, 36, 320]);
    let of_cq = [cq.head, cq.tail, cq.ring_mask, cq.ring_entries, cq.flags, cq.overflow, cq.cqes];
    assert_eq!(of_cq, [8, 12, 20, 28, 40, 44, 64]);
    let words: Vec<u32> = (0..12).map(|i| ring.memory().read(i * 4)).collect();
    assert_eq!(words, [0, 0, 0, 0, 7, 15, 8, 16, 0, 0, 0, 0]);
    assert_eq!((sq.resv1, sq.user_addr, cq.resv1, cq.user_addr), (0, 0, 0, 0));
});

// The index array follows the completions; with 32-byte ones the kernel doubles the header too.
ring_test!(layout_by_flags, |t| {
    t.ring(1)?;
    let array = |flags| probe(t, 8, with_flags(flags)).map(|got| got.sq_off.array);
    assert_eq!(array(0), Ok(320));
    assert_eq!(array(IORING_SETUP_CQE32), Ok(640));
    assert_eq!(array(IORING_SETUP_SQE128), Ok(320));
    assert_eq!(array(IORING_SETUP_NO_SQARRAY), Ok(0));
});

// The features of Linux 6.18 are reported, all of them.
ring_test!(features, |t| {
    let ring = t.ring(1)?;
    let all = (IORING_FEAT_NO_IOWAIT << 1) - 1;
    if t.is_kernel() && ring.params.features & all != all {
        return Err(Skip(format!("features of this kernel: {:#x}", ring.params.features)));
    }
    assert_eq!(ring.params.features & all, all);
});

// Setup returns the flags that were asked for.
ring_test!(flags_return, |t| {
    t.ring(1)?;
    let flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN;
    assert_eq!(probe(t, 4, with_flags(flags)).map(|got| got.flags), Ok(flags));
});

// Unknown flag bits give -EINVAL.
ring_test!(unknown_flags, |t| {
    t.ring(1)?;
    for bit in 21..32 {
        assert_eq!(probe(t, 4, with_flags(1 << bit)), Err(Errno::EINVAL), "bit {bit}");
    }
});

/// Flags that can be tried alone and in pairs: not those that need memory, a CPU or a ring.
const TRIED: &[(&str, u32)] = &[
    ("IOPOLL", IORING_SETUP_IOPOLL),
    ("SQPOLL", IORING_SETUP_SQPOLL),
    ("SQ_AFF", IORING_SETUP_SQ_AFF),
    ("CLAMP", IORING_SETUP_CLAMP),
    ("R_DISABLED", IORING_SETUP_R_DISABLED),
    ("SUBMIT_ALL", IORING_SETUP_SUBMIT_ALL),
    ("COOP_TASKRUN", IORING_SETUP_COOP_TASKRUN),
    ("TASKRUN_FLAG", IORING_SETUP_TASKRUN_FLAG),
    ("SQE128", IORING_SETUP_SQE128),
    ("CQE32", IORING_SETUP_CQE32),
    ("SINGLE_ISSUER", IORING_SETUP_SINGLE_ISSUER),
    ("DEFER_TASKRUN", IORING_SETUP_DEFER_TASKRUN),
    ("NO_SQARRAY", IORING_SETUP_NO_SQARRAY),
    ("HYBRID_IOPOLL", IORING_SETUP_HYBRID_IOPOLL),
    ("CQE_MIXED", IORING_SETUP_CQE_MIXED),
];

fn line_of(t: &dyn Target, name: &str, flags: u32) -> String {
    match probe(t, 4, with_flags(flags)) {
        Ok(got) => format!(
            "{name}: flags {:#x} sq {} cq {} cqes {} array {}",
            got.flags, got.sq_entries, got.cq_entries, got.cq_off.cqes, got.sq_off.array
        ),
        Err(errno) => format!("{name}: {errno}"),
    }
}

// Every flag alone, every pair and every triple of flags is accepted or refused as recorded.
ring_test!(flag_combinations, |t| {
    t.ring(1)?;
    let mut lines = Vec::new();
    for (i, a) in TRIED.iter().enumerate() {
        lines.push(line_of(t, a.0, a.1));
        for (j, b) in TRIED.iter().enumerate().skip(i + 1) {
            lines.push(line_of(t, &format!("{}+{}", a.0, b.0), a.1 | b.1));
            for c in &TRIED[j + 1..] {
                let name = format!("{}+{}+{}", a.0, b.0, c.0);
                lines.push(line_of(t, &name, a.1 | b.1 | c.1));
            }
        }
    }
    record::check(t, "setup-flags", &lines)?;
});

// The ring's descriptor is closed by exec.
ring_test!(descriptor_is_cloexec, |t| {
    let ring = t.ring(1)?;
    assert!(sys::is_cloexec(ring.fd));
});

// The descriptor is the lowest free one.
ring_test!(descriptor_is_the_lowest_free, |t| {
    t.ring(1)?;
    let (reader, writer) = sys::pipe();
    let lowest = fd(&reader);
    drop(reader);
    let ring = t.ring(1)?;
    assert_eq!(ring.fd, lowest);
    drop(writer);
});

// With the descriptor limit reached setup gives -EMFILE.
ring_test!(descriptor_limit, |t| {
    t.ring(1)?;
    let mut held = Vec::new();
    sys::set_limit(libc::RLIMIT_NOFILE, 64);
    while let Ok(file) = std::fs::File::open("/dev/null") {
        held.push(file);
    }
    assert_eq!(probe(t, 1, Params::default()), Err(Errno::EMFILE));
    held.pop();
    assert!(probe(t, 1, Params::default()).is_ok());
});

// A limit on the size of files (ulimit -f) is none on rings, and no SIGXFSZ comes.
ring_test!(file_size_limit_is_not_of_rings, |t| {
    t.ring(1)?;
    sys::set_soft_limit(libc::RLIMIT_FSIZE, 1 << 16);
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(sqe::nop()), 0);
});

// The CQ ring mapped at its own offset, as fio does, is the same memory as the one at offset 0.
ring_test!(cq_ring_at_its_own_offset, |t| {
    let mut ring = t.ring(4)?;
    ring.map_cq_apart();
    for data in 0..20 {
        assert_eq!(pairs(&ring.run(&[sqe::nop().data(data)])), [(data, 0)]);
    }
    let words: Vec<u32> = (0..4).map(|i| ring.memory().read(i * 4)).collect();
    assert_eq!(words, [20, 20, 20, 20]);
});

// Both habits side by side: one ring mapped once, another mapped thrice.
ring_test!(both_mapping_habits, |t| {
    let mut once = t.ring(4)?;
    let mut thrice = t.ring(4)?;
    thrice.map_cq_apart();
    for data in 0..8 {
        assert_eq!(pairs(&once.run(&[sqe::nop().data(data)])), [(data, 0)]);
        assert_eq!(pairs(&thrice.run(&[sqe::nop().data(!data)])), [(!data, 0)]);
    }
});

// A mapping at an offset that names nothing is refused.
ring_test!(mappings_that_name_nothing, |t| {
    let ring = t.ring(4)?;
    assert!(t.mmap(ring.fd, 4096, 0x1800_0000).is_err());
});

// A ring without an index array takes entries in their order.
ring_test!(no_index_array, |t| {
    let mut ring = t.ring_with(4, IORING_SETUP_NO_SQARRAY)?;
    for round in 0..10 {
        let sqes = [0, 1, 2].map(|i| sqe::nop().data(round * 3 + i));
        let expected: Vec<(u64, i32)> = (0..3).map(|i| (round * 3 + i, 0)).collect();
        assert_eq!(pairs(&ring.run(&sqes)), expected);
    }
});

// IORING_SETUP_ATTACH_WQ: an io_uring descriptor is accepted, another file is -EINVAL, none -ENXIO.
ring_test!(attach_workers, |t| {
    let first = t.ring(4)?;
    let attach = |fd: i32| {
        probe(t, 4, Params { wq_fd: fd as u32, ..with_flags(IORING_SETUP_ATTACH_WQ) }).map(|_| ())
    };
    assert_eq!(attach(first.fd), Ok(()));
    assert_eq!(attach(fd(&sys::memory_file())), Err(Errno::EINVAL));
    assert_eq!(attach(-1), Err(Errno::ENXIO));
});

// IORING_SETUP_SQ_AFF with a CPU that does not exist gives -EINVAL.
ring_test!(sq_affinity_to_no_cpu, |t| {
    t.ring(1)?;
    let flags = IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF;
    let params = Params { sq_thread_cpu: 1 << 20, ..with_flags(flags) };
    assert_eq!(probe(t, 4, params), Err(Errno::EINVAL));
});

// NO_MMAP: the rings lie in the program's own memory.
ring_test!(rings_in_own_memory, |t| {
    t.ring(1)?;
    let (rings, sqes) = (Mapping::anonymous(4096), Mapping::anonymous(4096));
    let mut params = with_flags(IORING_SETUP_NO_MMAP | IORING_SETUP_NO_SQARRAY);
    params.cq_off.user_addr = rings.at(0);
    params.sq_off.user_addr = sqes.at(0);
    let ring = t.needs("NO_MMAP", t.setup(4, &raw mut params as u64))?;
    sqes.write(0, sqe::nop().data(77));
    rings.write(params.sq_off.tail as usize, 1_u32);
    assert_eq!(t.enter(ring, 1, 1, IORING_ENTER_GETEVENTS, 0, 0), Ok(1));
    let cqe: Cqe = rings.read(params.cq_off.cqes as usize);
    assert_eq!((cqe.user_data, cqe.res), (77, 0));
    t.close(ring).expect("close");
});

// NO_MMAP without addresses, or with ones that are not page-aligned, is refused.
ring_test!(rings_in_bad_memory, |t| {
    t.ring(1)?;
    let page = Mapping::anonymous(8192);
    let ask = |cq: u64, sq: u64| {
        let mut params = with_flags(IORING_SETUP_NO_MMAP);
        params.cq_off.user_addr = cq;
        params.sq_off.user_addr = sq;
        probe(t, 4, params).map(|_| ())
    };
    assert_eq!(ask(0, 0), Err(Errno::EFAULT));
    assert_eq!(ask(page.at(8), page.at(4096)), Err(Errno::EINVAL));
    assert_eq!(ask(BAD_ADDRESS, page.at(0)), Err(Errno::EFAULT));
});

// REGISTERED_FD_ONLY needs NO_MMAP.
ring_test!(registered_only_needs_own_memory, |t| {
    t.ring(1)?;
    let flags = IORING_SETUP_REGISTERED_FD_ONLY;
    assert_eq!(probe(t, 4, with_flags(flags)), Err(Errno::EINVAL));
});

// A ring that finds no free index to be known by is refused, and leaves no descriptor.
ring_test!(registered_only_without_room, |t| {
    let ring = t.ring(1)?;
    let any = FilesUpdate { offset: u32::MAX, fds: ring.fd as u64, ..FilesUpdate::default() };
    // The index that was found is written over the row.
    let taken = (0..17).take_while(|_| ring.register(RegisterOp::RingFds, &[any]) == Ok(1)).count();
    assert_eq!(taken, 16);
    let before = sys::open_fds().len();
    let memory = Mapping::anonymous(8192);
    let mut params = with_flags(IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY);
    params.cq_off.user_addr = memory.at(0);
    params.sq_off.user_addr = memory.at(4096);
    assert_eq!(probe(t, 4, params), Err(Errno::EBUSY));
    assert_eq!(sys::open_fds().len(), before);
});

// A read from the ring's descriptor fails with -EINVAL.
ring_test!(descriptor_cannot_be_read, |t| {
    let ring = t.ring(4)?;
    let mut buf = [0; 8];
    assert_eq!(sys::read_number(ring.fd, &mut buf), Err(Errno::EINVAL));
});

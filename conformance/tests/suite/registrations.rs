//! Registrations beyond files, buffers and settings: clones, questions, busy polling, messages
//! without a ring, and credentials that are others'.

use crate::prelude::*;

const ERANGE: Errno = Errno::from_raw(libc::ERANGE);

/// Fills `count` slots of a ring from `first` with pages of `memory`, tagged 100 and up.
fn fill(ring: &Ring, memory: &Mapping, first: u32, count: u32) {
    let page = |index: u32| Iovec { base: memory.at(index as usize * 4096), len: 4096 };
    let iovecs: Vec<Iovec> = (0..count).map(page).collect();
    let tags: Vec<u64> = (0..count).map(|index| u64::from(100 + first + index)).collect();
    let update = RsrcUpdate2 {
        offset: first,
        data: address(&iovecs[..]),
        tags: address(&tags[..]),
        nr: count,
        ..RsrcUpdate2::default()
    };
    let size = size_of::<RsrcUpdate2>() as u32;
    let got = ring.register_raw(RegisterOp::BuffersUpdate, address(&update), size);
    assert_eq!(got, Ok(count));
}

fn sparse(ring: &Ring, nr: u32) {
    let table = RsrcRegister { nr, flags: IORING_RSRC_REGISTER_SPARSE, ..RsrcRegister::default() };
    let size = size_of::<RsrcRegister>() as u32;
    assert_eq!(ring.register_raw(RegisterOp::Buffers2, address(&table), size), Ok(0));
}

fn clone(ring: &Ring, from: i32, flags: u32, [src_off, dst_off, nr]: [u32; 3]) -> Result<u32> {
    let what =
        CloneBuffers { src_fd: from as u32, flags, src_off, dst_off, nr, ..Default::default() };
    ring.register_raw(RegisterOp::CloneBuffers, address(&what), 1)
}

const REPLACE: u32 = IORING_REGISTER_DST_REPLACE;

// A clone has no tags of its own; those it replaces are told, and the source's stay with it.
ring_test!(clones_and_tags, |t| {
    let memory = Mapping::anonymous(4 * 4096);
    let (mut from, mut ring) = (t.ring(8)?, t.ring(8)?);
    sparse(&from, 4);
    fill(&from, &memory, 0, 4);
    sparse(&ring, 3);
    fill(&ring, &memory, 0, 3);
    t.needs("CLONE_BUFFERS", clone(&ring, from.fd, REPLACE, [1, 1, 1]))?;
    assert_eq!(pairs(&ring.settle(ms(5))), [(101, 0)]);
    assert_eq!(from.settle(ms(5)), []);
    assert_eq!(ring.register_raw(RegisterOp::UnregisterBuffers, 0, 0), Ok(0));
    assert_eq!(by_data(&ring.settle(ms(5))), [(100, 0), (102, 0)]);
    assert_eq!(from.register_raw(RegisterOp::UnregisterBuffers, 0, 0), Ok(0));
    assert_eq!(by_data(&from.settle(ms(5))), [(100, 0), (101, 0), (102, 0), (103, 0)]);
});

// A clone beyond the table makes it grow; what lies between stays empty.
ring_test!(clones_grow, |t| {
    let memory = Mapping::anonymous(2 * 4096);
    let (from, mut ring) = (t.ring(8)?, t.ring(8)?);
    sparse(&from, 2);
    fill(&from, &memory, 0, 2);
    t.needs("CLONE_BUFFERS", clone(&ring, from.fd, 0, [0, 4, 2]))?;
    let file = sys::file_with(b"1234");
    let read = |slot| sqe::read_fixed(fd(&file), memory.at(4096), 4, 0, slot);
    assert_eq!(ring.run_one(read(5)), 4);
    assert_eq!(ring.run_one(read(3)), EFAULT);
    assert_eq!(ring.run_one(read(6)), EFAULT);
    assert_eq!(clone(&ring, ring.fd, REPLACE, [5, 0, 1]), Ok(0));
    assert_eq!(ring.run_one(read(0)), 4);
});

// Ranges that do not fit, sources that are no ring, sources by registered index.
ring_test!(clone_arguments, |t| {
    let memory = Mapping::anonymous(2 * 4096);
    let (from, ring) = (t.ring(8)?, t.ring(8)?);
    sparse(&from, 2);
    fill(&from, &memory, 0, 2);
    t.needs("CLONE_BUFFERS", clone(&ring, from.fd, REPLACE, [0, 0, 0]))?;
    let tried = |span| clone(&ring, from.fd, REPLACE, span);
    assert_eq!(tried([1, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(tried([0, 1, 0]), Err(Errno::EINVAL));
    assert_eq!(tried([0, 0, 3]), Err(Errno::EINVAL));
    assert_eq!(tried([1, 0, 2]), Err(Errno::EOVERFLOW));
    assert_eq!(tried([u32::MAX, 0, 1]), Err(Errno::EOVERFLOW));
    assert_eq!(tried([0, u32::MAX, 1]), Err(Errno::EOVERFLOW));
    assert_eq!(tried([0, 1 << 14, 1]), Err(Errno::EINVAL));
    let file = sys::memory_file();
    assert_eq!(clone(&ring, fd(&file), REPLACE, [0; 3]), Err(Errno::EOPNOTSUPP));
    assert_eq!(clone(&ring, 1 << 20, REPLACE, [0; 3]), Err(Errno::EBADF));
    let mut update = FilesUpdate { offset: u32::MAX, resv: 0, fds: from.fd as u64 };
    assert_eq!(from.register_mut(RegisterOp::RingFds, &mut update, 1), Ok(1));
    let by_index = IORING_REGISTER_SRC_REGISTERED | REPLACE;
    assert_eq!(clone(&ring, update.offset as i32, by_index, [0; 3]), Ok(0));
    assert_eq!(clone(&ring, 15, by_index, [0; 3]), Err(Errno::EBADF));
});

/// Asks; the result, the size, and the first words of the answer.
fn ask(t: &dyn Target, fd: i32, header: QueryHeader) -> (Result<u32>, i32, u32, [u64; 8]) {
    let mut answer = [u64::MAX; 8];
    let query_data = if header.query_data == 0 { address_mut(&mut answer) } else { BAD_ADDRESS };
    let mut header = QueryHeader { query_data, ..header };
    let got = t.register(fd, RegisterOp::Query as u32, address_mut(&mut header), 0);
    std::hint::black_box((&mut answer, &mut header));
    (got, header.result, header.size, answer)
}

// What there is, asked without a ring and with one: counts, and masks of flags.
ring_test!(query, |t| {
    let ring = t.ring(8)?;
    let question = QueryHeader { size: 64, ..QueryHeader::default() };
    let (got, result, size, words) = ask(t, -1, question);
    t.needs("QUERY", got)?;
    assert_eq!((result, size), (0, 48));
    assert!(words[0] as u32 > Op::Pipe as u32, "{words:x?}");
    assert!((words[0] >> 32) as u32 > RegisterOp::Query as u32);
    assert_eq!(words[1], u64::from(ring.params.features));
    assert_eq!(words[2] & 0x7_ffff, 0x7_ffff);
    assert_eq!((words[3], words[4]), (0xff, 0x7f));
    assert_eq!((words[6], words[7]), (0, 0));
    assert_eq!(ask(t, ring.fd, question).3, words);
});

// Questions that cannot be answered say so; a short answer is cut; a list is followed.
ring_test!(query_answers, |t| {
    t.ring(8)?;
    let question = QueryHeader { size: 64, ..QueryHeader::default() };
    t.needs("QUERY", ask(t, -1, question).0)?;
    let asked = |header| {
        let (got, result, size, _) = ask(t, -1, header);
        (got, result, size)
    };
    assert_eq!(asked(QueryHeader { query_op: 99, ..question }), (Ok(0), EOPNOTSUPP, 0));
    assert_eq!(asked(QueryHeader { size: 0, ..question }), (Ok(0), EINVAL, 0));
    assert_eq!(asked(QueryHeader { result: 5, ..question }), (Ok(0), EINVAL, 0));
    assert_eq!(asked(QueryHeader { resv: [0, 0, 1], ..question }), (Ok(0), EINVAL, 0));
    assert_eq!(asked(QueryHeader { size: 8, ..question }), (Ok(0), 0, 8));
    assert_eq!(asked(QueryHeader { query_data: 1, ..question }).0, Err(Errno::EFAULT));
    let mut answer = [0_u64; 8];
    let second = QueryHeader { query_data: address_mut(&mut answer), ..question };
    let first = QueryHeader { next_entry: address(&second), ..question };
    assert_eq!(asked(first), (Ok(0), 0, 48));
    assert_ne!(std::hint::black_box(answer)[0], 0);
    let code = RegisterOp::Query as u32;
    assert_eq!(t.register(-1, code, address(&second), 1), Err(Errno::EINVAL));
    assert_eq!(t.register(-1, code, 0, 0), Ok(0));
    assert_eq!(t.register(-1, code, BAD_ADDRESS, 0), Err(Errno::EFAULT));
});

// A list of questions that never ends is ended.
ring_test!(query_in_a_circle, |t| {
    t.ring(8)?;
    let mut answer = [0_u64; 8];
    let mut question = QueryHeader { size: 64, ..QueryHeader::default() };
    question.query_data = address_mut(&mut answer);
    question.next_entry = address(&question);
    let got = t.register(-1, RegisterOp::Query as u32, address(&question), 0);
    assert!(got == Err(ERANGE) || t.needs("QUERY", got)? == 0);
    std::hint::black_box(&answer);
});

// Without a ring there is nothing else to register with.
ring_test!(without_a_ring, |t| {
    t.ring(8)?;
    let zeroes = [0_u64; 16];
    for op in [RegisterOp::Files, RegisterOp::Probe, RegisterOp::Clock, RegisterOp::Napi] {
        assert_eq!(t.register(-1, op as u32, address(&zeroes), 1), Err(Errno::EINVAL), "{op:?}");
    }
    assert_eq!(t.register(-2, RegisterOp::Files as u32, address(&zeroes), 1), Err(Errno::EBADF));
});

// Settings of busy polling are kept and told.
ring_test!(busy_polling, |t| {
    let ring = t.ring(8)?;
    let set = |wanted: Napi| {
        let mut told = wanted;
        let got = ring.register_mut(RegisterOp::Napi, &mut told, 1);
        got.map(|_| (told.busy_poll_to, told.prefer_busy_poll, told.op_param))
    };
    let dynamic = Napi { busy_poll_to: 100, prefer_busy_poll: 1, ..Napi::default() };
    assert_eq!(set(dynamic), Ok((0, 0, 255)));
    assert_eq!(set(Napi { op_param: 2, ..dynamic }), Err(Errno::EINVAL));
    assert_eq!(set(Napi { pad: [1, 0], ..dynamic }), Err(Errno::EINVAL));
    assert_eq!(set(Napi { resv: 1, ..dynamic }), Err(Errno::EINVAL));
    let add = Napi { opcode: 1, op_param: 1000, ..Napi::default() };
    assert_eq!(set(add), Err(Errno::EINVAL));
    assert_eq!(set(Napi { op_param: 1, ..dynamic }), Ok((100, 1, 0)));
    assert_eq!(set(add), Ok((100, 1, 1)));
    assert_eq!(set(add), Err(Errno::EEXIST));
    let delete = Napi { opcode: 2, ..add };
    assert_eq!(set(delete), Ok((100, 1, 1)));
    assert_eq!(set(delete), Err(Errno::ENOENT));
    let mut told = Napi::default();
    assert_eq!(ring.register_mut(RegisterOp::UnregisterNapi, &mut told, 1), Ok(0));
    assert_eq!((told.busy_poll_to, told.op_param), (100, 0));
    assert_eq!(set(dynamic), Ok((0, 0, 255)));
});

/// The effective user, and a directory that only root may enter, or why that cannot be had.
fn as_root() -> std::result::Result<tempfile::TempDir, Skip> {
    if sys::effective_user() != 0 {
        return Err(Skip("needs root".to_owned()));
    }
    let directory = tempfile::tempdir().expect("a directory");
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(directory.path(), own).expect("chmod");
    Ok(directory)
}

// A request with the credentials of before is made with them, the others with those of now.
ring_test!(others_credentials, |t| {
    let directory = as_root()?;
    let mut ring = t.ring(8)?;
    let id = ring.register_raw(RegisterOp::Personality, 0, 0).expect("a personality") as u16;
    let path = sys::c_path(directory.path().join("file"));
    std::fs::write(path.to_str().expect("UTF-8"), "1234").expect("write");
    let open = sqe::openat(libc::AT_FDCWD, &path, libc::O_RDONLY, 0);
    let make = sqe::openat(libc::AT_FDCWD, &path, libc::O_RDWR | libc::O_CREAT, 0);
    sys::set_effective_user(65_534);
    for entry in [open, make, open.with(IOSQE_ASYNC)] {
        assert_eq!(ring.run_one(entry), EACCES);
        sys::adopt(ring.run_one(Sqe { personality: id, ..entry }));
        assert_eq!(sys::effective_user(), 65_534);
    }
    let cqes = ring.run(&[sqe::nop().link(), Sqe { personality: id, ..open }.data(1)]);
    sys::adopt(cqes[1].res);
    sys::set_effective_user(0);
    assert_eq!(ring.register_raw(RegisterOp::UnregisterPersonality, 0, u32::from(id)), Ok(0));
});

// Ids count up and are not given again at once; a registered file is not handed out under one.
ring_test!(personality_ids, |t| {
    let mut ring = t.ring(8)?;
    let register = |ring: &Ring| ring.register_raw(RegisterOp::Personality, 0, 0);
    assert_eq!([register(&ring), register(&ring)], [Ok(1), Ok(2)]);
    assert_eq!(ring.register_raw(RegisterOp::UnregisterPersonality, 0, 1), Ok(0));
    assert_eq!(register(&ring), Ok(3));
    assert_eq!(ring.run_one(Sqe { personality: 2, ..sqe::nop() }), 0);
    assert_eq!(ring.register(RegisterOp::Files, &[fd(&sys::memory_file())]), Ok(0));
    let install = raw(Op::FixedFdInstall, 0, 0, 0, 0).fixed(0);
    assert_eq!(ring.run_one(Sqe { personality: 2, ..install }), -libc::EPERM);
    assert_eq!(ring.register_raw(RegisterOp::UnregisterPersonality, 0, 1), Err(Errno::EINVAL));
    let far = ring.register_raw(RegisterOp::UnregisterPersonality, 0, 1 << 16 | 2);
    assert_eq!(far, Err(Errno::EINVAL));
});

// Chosen slots of a pipe are told as well as used.
ring_test!(pipe_in_chosen_slots, |t| {
    let mut ring = t.ring(8)?;
    let table = [-1_i32; 8];
    assert_eq!(ring.register(RegisterOp::Files, &table), Ok(0));
    let mut fds = [9_i32; 2];
    let entry = raw(Op::Pipe, 0, address_mut(&mut fds), 0, 0).slot(3);
    t.needs_op("PIPE", ring.run_one(entry))?;
    let told = std::hint::black_box(fds);
    // Kernels until 6.18 may tell zeroes.
    assert!(told == [3, 4] || t.is_kernel() && told == [0, 0], "{told:?}");
    assert_eq!(ring.run_one(sqe::write(4, b"1234", 0).fixed(4)), 4);
    assert_eq!(ring.run_one(sqe::read_stream(3, &mut [0; 8]).fixed(3)), 4);
});

/// Registers a region of waits.
fn register_region(ring: &Ring, region: &mut RegionDesc, flags: u64) -> Result<u32> {
    let outer = MemRegionReg { region_uptr: address_mut(region), flags, ..Default::default() };
    let got = ring.register_raw(RegisterOp::MemRegion, address(&outer), 1);
    std::hint::black_box(region);
    got
}

const FOR_WAITS: u64 = IORING_MEM_REGION_REG_WAIT_ARG;
const USER: u32 = IORING_MEM_REGION_TYPE_USER;

// A region that the ring brings is mapped from where the registration says.
ring_test!(region_of_the_ring, |t| {
    let ring = t.ring_with(8, IORING_SETUP_R_DISABLED)?;
    let mut region = RegionDesc { size: 8192, ..RegionDesc::default() };
    t.needs("MEM_REGION", register_region(&ring, &mut region, FOR_WAITS))?;
    let memory = Mapping::over(t.mmap(ring.fd, 8192, region.mmap_offset).expect("mmap"), 8192);
    memory.write(4096, timespec(ms(20)));
    memory.write(4096 + 20, IORING_REG_WAIT_TS);
    assert_eq!(ring.register_raw(RegisterOp::EnableRings, 0, 0), Ok(0));
    let flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | IORING_ENTER_EXT_ARG_REG;
    let wait = |offset, size| t.enter(ring.fd, 0, 1, flags, offset, size);
    let start = Instant::now();
    assert_eq!(wait(4096, 64), Err(Errno::ETIME));
    assert!(start.elapsed() >= ms(20));
    assert_eq!(wait(4096, 24), Err(Errno::EINVAL));
    assert_eq!(wait(4097, 64), Err(Errno::EFAULT));
    memory.write(4096 + 20, 2_u32);
    assert_eq!(wait(4096, 64), Err(Errno::EINVAL));
});

// The minimum time of a wait and its mask stand in the region too.
ring_test!(region_of_waits_in_full, |t| {
    let mut ring = t.ring_with(8, IORING_SETUP_R_DISABLED)?;
    let memory = Mapping::anonymous(4096);
    let mut region =
        RegionDesc { user_addr: memory.at(0), size: 4096, flags: USER, ..Default::default() };
    t.needs("MEM_REGION", register_region(&ring, &mut region, FOR_WAITS))?;
    assert_eq!(ring.register_raw(RegisterOp::EnableRings, 0, 0), Ok(0));
    memory.write(0, timespec(ms(5000)));
    memory.write(16, 20_000_u32);
    memory.write(20, IORING_REG_WAIT_TS);
    ring.start(&[sqe::nop()]);
    let flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | IORING_ENTER_EXT_ARG_REG;
    let start = Instant::now();
    assert_eq!(t.enter(ring.fd, 0, 4, flags, 0, 64), Ok(0));
    assert!((ms(20)..ms(4000)).contains(&start.elapsed()), "{:?}", start.elapsed());
    memory.write(24, BAD_ADDRESS);
    memory.write(32, 8_u32);
    assert_eq!(t.enter(ring.fd, 0, 4, flags, 0, 64), Err(Errno::EFAULT));
    memory.write(32, 4_u32);
    assert_eq!(t.enter(ring.fd, 0, 4, flags, 0, 64), Err(Errno::EINVAL));
});

// What a region must be; one without waits may be registered at any time.
ring_test!(region_errors, |t| {
    let memory = Mapping::anonymous(8192);
    let good =
        RegionDesc { user_addr: memory.at(0), size: 4096, flags: USER, ..Default::default() };
    let ring = t.ring(8)?;
    let tried = |region: RegionDesc| register_region(&ring, &mut { region }, 0);
    assert_eq!(tried(RegionDesc { size: 100, ..good }), Err(Errno::EINVAL));
    assert_eq!(tried(RegionDesc { size: 0, ..good }), Err(Errno::EINVAL));
    assert_eq!(tried(RegionDesc { user_addr: memory.at(8), ..good }), Err(Errno::EINVAL));
    assert_eq!(tried(RegionDesc { flags: 0, ..good }), Err(Errno::EFAULT));
    assert_eq!(tried(RegionDesc { flags: 2, ..good }), Err(Errno::EINVAL));
    assert_eq!(tried(RegionDesc { id: 1, ..good }), Err(Errno::EINVAL));
    assert_eq!(tried(RegionDesc { mmap_offset: 4096, ..good }), Err(Errno::EINVAL));
    assert_eq!(tried(RegionDesc { resv: [0, 0, 0, 1], ..good }), Err(Errno::EINVAL));
    assert_eq!(
        tried(RegionDesc { size: 1 << 40, user_addr: 0, flags: 0, ..good }),
        Err(Errno::ENOMEM)
    );
    assert_eq!(register_region(&ring, &mut { good }, 2), Err(Errno::EINVAL));
    assert_eq!(tried(good), Ok(0));
    assert_eq!(tried(good), Err(Errno::EBUSY));
    let flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | IORING_ENTER_EXT_ARG_REG;
    assert_eq!(t.enter(ring.fd, 0, 1, flags, 0, 64), Err(Errno::EFAULT));
});

/// Resizes a ring, and maps it as it is then.
fn resized<'t>(ring: Ring<'t>, sq: u32, cq: u32, flags: u32) -> Result<Ring<'t>> {
    let mut ring = ring;
    let asked = Params { sq_entries: sq, cq_entries: cq, flags: 0, ..Params::default() };
    let mut params = Params { flags: if cq > 0 { IORING_SETUP_CQSIZE } else { 0 }, ..asked };
    ring.register_mut(RegisterOp::ResizeRings, &mut params, 1)?;
    let fd = std::mem::replace(&mut ring.fd, -1);
    Ring::map(ring.target(), fd, Params { flags, ..params })
}

const DEFER: u32 = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

// Queues grow and shrink again and again, and lose nothing, whatever the entries' sizes.
ring_test!(resized_many_times, |t| {
    // The kernel does not tell where an index array would stand.
    let extra = [0, IORING_SETUP_CQE32, IORING_SETUP_SQE128];
    for flags in extra.map(|extra| DEFER | IORING_SETUP_NO_SQARRAY | extra) {
        let mut ring = t.ring_with(4, flags)?;
        let mut next = 0;
        for (sq, cq) in [(64, 0), (8, 16), (1024, 4096), (4, 8), (16, 32)] {
            // Three completions stand in the queue while it changes.
            ring.start(&[0, 1, 2].map(|more| sqe::nop().data(next + more)));
            let new = resized(ring, sq, cq, flags);
            ring = t.needs("RESIZE_RINGS", new)?;
            assert_eq!(pairs(&ring.cqes()), [0, 1, 2].map(|more| (next + more, 0)));
            next += 3;
            assert_eq!(ring.run_one(sqe::nop()), 0);
        }
    }
});

// A request in flight completes into the queue of the new size; what overflowed stays.
ring_test!(resized_in_flight, |t| {
    let mut ring = t.ring_with(2, DEFER | IORING_SETUP_NO_SQARRAY)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(9)]);
    for data in 0..6 {
        ring.start(&[sqe::nop().data(data)]);
    }
    let mut ring =
        t.needs("RESIZE_RINGS", resized(ring, 8, 32, DEFER | IORING_SETUP_NO_SQARRAY))?;
    writer.write_all(b"1234").expect("write");
    assert_eq!(
        by_data(&ring.wait_n(7)),
        [0, 1, 2, 3, 4, 5].map(|data| (data, 0)).into_iter().chain([(9, 4)]).collect::<Vec<_>>()
    );
});

// What cannot be: other flags, no entries, too few for what stands there, another's ring.
ring_test!(resize_arguments, |t| {
    let ring = t.ring_with(4, DEFER)?;
    let tried = |sq_entries, cq_entries, flags| {
        let mut params = Params { sq_entries, cq_entries, flags, ..Params::default() };
        ring.register_mut(RegisterOp::ResizeRings, &mut params, 1)
    };
    t.needs("RESIZE_RINGS", tried(8, 0, 0))?;
    assert_eq!(tried(8, 8, IORING_SETUP_CQE32), Err(Errno::EINVAL));
    assert_eq!(tried(0, 8, IORING_SETUP_CQSIZE), Err(Errno::EINVAL));
    assert_eq!(tried(8, 4, IORING_SETUP_CQSIZE), Err(Errno::EINVAL));
    assert_eq!(tried(1 << 20, 0, 0), Err(Errno::EINVAL));
    assert_eq!(tried(1 << 20, 0, IORING_SETUP_CLAMP), Ok(0));
    assert_eq!(sys::on_thread(|| tried(8, 0, 0)), Err(Errno::EEXIST));
    let code = RegisterOp::ResizeRings;
    assert_eq!(ring.register_raw(code, BAD_ADDRESS, 1), Err(Errno::EFAULT));
    assert_eq!(ring.register_raw(code, 0, 1), Err(Errno::EINVAL));
});

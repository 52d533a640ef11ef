//! Other registrations: personalities, worker limits, resizing, regions for waits, NAPI, query.

use crate::prelude::*;
use libc::AT_FDCWD;
use ringfence_conformance::{Native, Target as _};

// A personality is used by its id, and gone once it is taken back.
ring_test!(personality, |t| {
    let mut ring = t.ring(8)?;
    let id = ring.register_raw(RegisterOp::Personality, 0, 0).expect("a personality") as u16;
    assert!(id >= 1);
    let open = sqe::openat(AT_FDCWD, c"/dev/null", libc::O_RDONLY, 0);
    sys::adopt(ring.run_one(Sqe { personality: id, ..open }));
    assert_eq!(ring.run_one(Sqe { personality: id + 1, ..open }), EINVAL);
    assert_eq!(ring.register_raw(RegisterOp::UnregisterPersonality, 0, u32::from(id)), Ok(0));
    assert_eq!(ring.run_one(Sqe { personality: id, ..open }), EINVAL);
    let again = ring.register_raw(RegisterOp::UnregisterPersonality, 0, u32::from(id));
    assert_eq!(again, Err(Errno::EINVAL));
});

// Limits of workers: the old ones come back, 0 leaves one as it is.
ring_test!(worker_limits, |t| {
    let ring = t.ring(8)?;
    let set = |bounded, unbounded| {
        let mut limits = [bounded, unbounded];
        ring.register_mut(RegisterOp::IowqMaxWorkers, &mut limits, 2).map(|_| limits)
    };
    let first = set(0, 0).expect("the limits");
    assert!(first[0] > 0 && first[1] > 0, "{first:?}");
    assert_eq!(set(3, 5), Ok(first));
    assert_eq!(set(0, 0), Ok([3, 5]));
    let mut limits = [1_u32, 1];
    let got = ring.register_mut(RegisterOp::IowqMaxWorkers, &mut limits, 1);
    assert_eq!(got, Err(Errno::EINVAL));
});

// Affinity of workers: a set of CPUs is taken, and given back.
ring_test!(worker_affinity, |t| {
    let ring = t.ring(8)?;
    let cpus = [1_u64; 1];
    assert_eq!(ring.register_raw(RegisterOp::IowqAff, address(&cpus), 8), Ok(0));
    assert_eq!(ring.register_raw(RegisterOp::UnregisterIowqAff, 0, 0), Ok(0));
    assert_eq!(ring.register_raw(RegisterOp::IowqAff, BAD_ADDRESS, 8), Err(Errno::EFAULT));
});

const DEFER: u32 = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

// A ring grows, and what stood in its queues stays.
ring_test!(resize, |t| {
    let flags = DEFER | IORING_SETUP_NO_SQARRAY;
    let mut ring = t.ring_with(4, flags)?;
    ring.start(&[sqe::nop().data(1), sqe::nop().data(2)]);
    let mut params = Params { sq_entries: 16, cq_entries: 64, ..Params::default() };
    params.flags = IORING_SETUP_CQSIZE;
    t.needs("RESIZE_RINGS", ring.register_mut(RegisterOp::ResizeRings, &mut params, 1))?;
    assert_eq!((params.sq_entries, params.cq_entries), (16, 64));
    let fd = std::mem::replace(&mut ring.fd, -1);
    let mut ring = Ring::map(t, fd, Params { flags, ..params }).expect("map");
    assert_eq!(pairs(&ring.cqes()), [(1, 0), (2, 0)]);
});

// A ring that is not deferring cannot be resized; nor one below what stands in it.
ring_test!(resize_errors, |t| {
    let ring = t.ring(4)?;
    let mut params = Params { sq_entries: 16, ..Params::default() };
    let got = ring.register_mut(RegisterOp::ResizeRings, &mut params, 1);
    assert_eq!(got, Err(Errno::EINVAL));
    let mut full = t.ring_with(4, DEFER)?;
    (0..2).for_each(|_| full.start(&[sqe::nop(), sqe::nop(), sqe::nop()]));
    let mut params = Params { sq_entries: 1, cq_entries: 2, ..Params::default() };
    params.flags = IORING_SETUP_CQSIZE;
    let got = full.register_mut(RegisterOp::ResizeRings, &mut params, 1);
    assert_eq!(got, Err(Errno::EOVERFLOW));
});

/// `struct io_uring_region_desc` over `memory`.
fn region(memory: &Mapping) -> [u64; 8] {
    [memory.at(0), memory.len() as u64, 1, 0, 0, 0, 0, 0]
}

/// Registers a region whose descriptor is `region`: with `IORING_MEM_REGION_REG_WAIT_ARG`.
fn register_region(ring: &Ring, region: &[u64; 8]) -> Result<u32> {
    let registration = [address(region), 1, 0, 0];
    ring.register_raw(RegisterOp::MemRegion, address(&registration), 1)
}

/// Waits for one completion with the argument at `offset` of the region.
fn wait_at(ring: &Ring, offset: u64) -> Result<u32> {
    let flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | IORING_ENTER_EXT_ARG_REG;
    ring.target().enter(ring.fd, 0, 1, flags, offset, 64)
}

// Arguments of waits stand in a registered region.
ring_test!(wait_region, |t| {
    let ring = t.ring_with(8, IORING_SETUP_R_DISABLED)?;
    let memory = Mapping::anonymous(4096);
    memory.write(64, timespec(ms(20)));
    memory.write(64 + 20, IORING_REG_WAIT_TS);
    t.needs("MEM_REGION", register_region(&ring, &region(&memory)))?;
    assert_eq!(ring.register_raw(RegisterOp::EnableRings, 0, 0), Ok(0));
    let start = Instant::now();
    assert_eq!(wait_at(&ring, 64), Err(Errno::ETIME));
    assert!(start.elapsed() >= ms(20));
    for offset in [4096, 4096 - 32, u64::MAX - 63] {
        assert_eq!(wait_at(&ring, offset), Err(Errno::EFAULT), "offset {offset}");
    }
});

// A region: only once, only on a disabled ring for waits, only of good memory.
ring_test!(wait_region_errors, |t| {
    let enabled = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    assert_eq!(register_region(&enabled, &region(&memory)), Err(Errno::EINVAL));
    assert_eq!(wait_at(&enabled, 0), Err(Errno::EFAULT));
    let ring = t.ring_with(8, IORING_SETUP_R_DISABLED)?;
    let mut null = region(&memory);
    null[0] = 0;
    assert_eq!(register_region(&ring, &null), Err(Errno::EFAULT));
    let mut unmapped = region(&memory);
    unmapped[0] = 0xdead_0000;
    assert_eq!(register_region(&ring, &unmapped), Err(Errno::EFAULT));
    assert_eq!(register_region(&ring, &region(&memory)), Ok(0));
    assert_eq!(register_region(&ring, &region(&memory)), Err(Errno::EBUSY));
});

// Registrations by a registered ring's index.
ring_test!(by_registered_index, |t| {
    let ring = t.ring(8)?;
    let mut update = FilesUpdate { offset: u32::MAX, resv: 0, fds: ring.fd as u64 };
    assert_eq!(ring.register_mut(RegisterOp::RingFds, &mut update, 1), Ok(1));
    let fds = [-1];
    let opcode = RegisterOp::Files as u32 | IORING_REGISTER_USE_REGISTERED_RING;
    assert_eq!(t.register(update.offset as i32, opcode, address(&fds), 1), Ok(0));
    assert_eq!(t.register(15, opcode, address(&fds), 1), Err(Errno::EBADF));
});

// A ring that a thread has registered lives on without descriptor and mapping, and ends with the
// thread: then its files are let go of.
ring_test!(registered_ring_ends_with_its_thread, |t| {
    t.ring(1)?;
    let (reader, writer) = sys::pipe();
    sys::on_thread(|| {
        let ring = t.ring(4).expect("a ring, as before");
        assert_eq!(ring.register(RegisterOp::Files, &[fd(&writer)]), Ok(0));
        drop(writer);
        let mut update = FilesUpdate { offset: u32::MAX, resv: 0, fds: ring.fd as u64 };
        assert_eq!(ring.register_mut(RegisterOp::RingFds, &mut update, 1), Ok(1));
        drop(ring);
        let flags = IORING_ENTER_REGISTERED_RING;
        assert_eq!(t.enter(update.offset as i32, 0, 0, flags, 0, 0), Ok(0));
        assert_eq!(Native.poll(fd(&reader), libc::POLLIN, 30), Ok(0));
    });
    assert_eq!(Native.poll(fd(&reader), libc::POLLIN, 5000), Ok(libc::POLLHUP));
});

// Ring descriptors: a full table, a bad descriptor, a slot that is taken.
ring_test!(ring_descriptors, |t| {
    let ring = t.ring(8)?;
    let register = |fd: i32, offset| {
        let mut update = FilesUpdate { offset, resv: 0, fds: fd as u64 };
        ring.register_mut(RegisterOp::RingFds, &mut update, 1).map(|_| update.offset)
    };
    for expected in 0..16 {
        assert_eq!(register(ring.fd, u32::MAX), Ok(expected));
    }
    assert_eq!(register(ring.fd, u32::MAX), Err(Errno::EBUSY));
    assert_eq!(register(ring.fd, 3), Err(Errno::EBUSY));
    assert_eq!(register(ring.fd, 16), Err(Errno::EINVAL));
    let file = sys::memory_file();
    assert_eq!(register(fd(&file), 3), Err(Errno::EOPNOTSUPP));
    assert_eq!(register(-1, 3), Err(Errno::EBADF));
});

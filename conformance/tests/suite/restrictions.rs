//! Restrictions, and rings that start disabled.

use crate::prelude::*;

fn disabled(t: &dyn Target) -> std::result::Result<Ring<'_>, Skip> {
    t.ring_with(8, IORING_SETUP_R_DISABLED)
}

fn restrict(ring: &Ring, rules: &[Restriction]) -> Result<u32> {
    ring.register(RegisterOp::Restrictions, rules)
}

fn enable(ring: &Ring) -> Result<u32> {
    ring.register_raw(RegisterOp::EnableRings, 0, 0)
}

fn rule(opcode: u16, value: u8) -> Restriction {
    Restriction { opcode, value, ..Restriction::default() }
}

fn allow(op: Op) -> Restriction {
    rule(IORING_RESTRICTION_SQE_OP, op as u8)
}

// A disabled ring refuses to submit with -EBADFD until it is enabled.
ring_test!(disabled_ring, |t| {
    let mut ring = disabled(t)?;
    ring.push(sqe::nop().data(1));
    ring.flush();
    assert_eq!(ring.enter(1, 0, 0), Err(Errno::EBADFD));
    assert_eq!(ring.enter(0, 0, 0), Err(Errno::EBADFD));
    assert_eq!(enable(&ring), Ok(0));
    assert_eq!(ring.enter(1, 0, 0), Ok(1));
    assert_eq!(pairs(&ring.cqes()), [(1, 0)]);
});

// Enabling twice is -EBADFD.
ring_test!(enabled_twice, |t| {
    let ring = disabled(t)?;
    assert_eq!(enable(&ring), Ok(0));
    assert_eq!(enable(&ring), Err(Errno::EBADFD));
    let plain = t.ring(8)?;
    assert_eq!(enable(&plain), Err(Errno::EBADFD));
});

// Restrictions on a ring that is enabled are -EBADFD.
ring_test!(restricting_an_enabled_ring, |t| {
    let ring = t.ring(8)?;
    assert_eq!(restrict(&ring, &[allow(Op::Nop)]), Err(Errno::EBADFD));
});

// What is not allowed gives -EACCES, in its completion; what is allowed works.
ring_test!(operations, |t| {
    let mut ring = disabled(t)?;
    assert_eq!(restrict(&ring, &[allow(Op::Nop), allow(Op::Writev)]), Ok(0));
    assert_eq!(enable(&ring), Ok(0));
    assert_eq!(ring.run_one(sqe::nop()), 0);
    assert_eq!(ring.run_one(sqe::close(1 << 20)), EACCES);
    assert_eq!(ring.run_one(sqe::writev(-1, &[], 0)), EBADF);
});

// Register opcodes that are not allowed give -EACCES.
ring_test!(registrations, |t| {
    let ring = disabled(t)?;
    let files = RegisterOp::Files as u8;
    let rules = [rule(IORING_RESTRICTION_REGISTER_OP, files), allow(Op::Nop)];
    assert_eq!(restrict(&ring, &rules), Ok(0));
    assert_eq!(enable(&ring), Ok(0));
    assert_eq!(ring.register(RegisterOp::Files, &[-1]), Ok(0));
    let event = sys::eventfd();
    assert_eq!(ring.register(RegisterOp::Eventfd, &[fd(&event)]), Err(Errno::EACCES));
});

// Entry flags: some allowed, some demanded.
ring_test!(entry_flags, |t| {
    let mut ring = disabled(t)?;
    let rules = [
        allow(Op::Nop),
        rule(IORING_RESTRICTION_SQE_FLAGS_ALLOWED, IOSQE_ASYNC | IOSQE_IO_LINK),
        rule(IORING_RESTRICTION_SQE_FLAGS_REQUIRED, IOSQE_ASYNC),
    ];
    assert_eq!(restrict(&ring, &rules), Ok(0));
    assert_eq!(enable(&ring), Ok(0));
    assert_eq!(ring.run_one(sqe::nop().with(IOSQE_ASYNC)), 0);
    assert_eq!(ring.run_one(sqe::nop().with(IOSQE_ASYNC | IOSQE_IO_LINK)), 0);
    assert_eq!(ring.run_one(sqe::nop()), EACCES);
    assert_eq!(ring.run_one(sqe::nop().with(IOSQE_ASYNC | IOSQE_IO_DRAIN)), EACCES);
});

// An empty list is accepted, and allows nothing.
ring_test!(empty_list, |t| {
    let mut ring = disabled(t)?;
    assert_eq!(restrict(&ring, &[]), Ok(0));
    assert_eq!(enable(&ring), Ok(0));
    assert_eq!(ring.run_one(sqe::nop()), EACCES);
});

// Restrictions may be set once; unknown kinds and opcodes are -EINVAL.
ring_test!(bad_lists, |t| {
    let ring = disabled(t)?;
    assert_eq!(restrict(&ring, &[rule(99, 0)]), Err(Errno::EINVAL));
    assert_eq!(restrict(&ring, &[rule(IORING_RESTRICTION_SQE_OP, 250)]), Err(Errno::EINVAL));
    assert_eq!(restrict(&ring, &[rule(IORING_RESTRICTION_REGISTER_OP, 250)]), Err(Errno::EINVAL));
    let got = ring.register_raw(RegisterOp::Restrictions, BAD_ADDRESS, 1);
    assert_eq!(got, Err(Errno::EFAULT));
    assert_eq!(restrict(&ring, &[allow(Op::Nop)]), Ok(0));
    assert_eq!(restrict(&ring, &[allow(Op::Nop)]), Err(Errno::EBUSY));
});

// A refused entry does not stop what was submitted before it.
ring_test!(refused_entry_in_a_batch, |t| {
    let mut ring = disabled(t)?;
    assert_eq!(restrict(&ring, &[allow(Op::Nop)]), Ok(0));
    assert_eq!(enable(&ring), Ok(0));
    ring.push(sqe::nop().data(1));
    ring.push(sqe::close(1 << 20).data(2));
    ring.push(sqe::nop().data(3));
    assert_eq!(ring.submit(), Ok(2));
    assert_eq!(by_data(&ring.cqes()), [(1, 0), (2, EACCES)]);
});

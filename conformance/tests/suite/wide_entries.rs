//! Entries of 64 and of 128 bytes in one ring, and entries always at the start of the queue: both
//! younger than Linux 6.18.

use crate::prelude::*;

fn wide(data: u64) -> Sqe {
    Sqe { opcode: Op::Nop128 as u8, ..Sqe::default() }.data(data)
}

// A 128-byte entry takes two slots, and both are consumed.
ring_test!(two_slots, |t| {
    let mut ring = t.ring_with(8, IORING_SETUP_SQE_MIXED)?;
    for round in 0..5 {
        ring.push(sqe::nop().data(1));
        ring.push(wide(2));
        ring.push(Sqe { opcode: 0xff, ..Sqe::default() });
        ring.push(sqe::nop().data(3));
        assert_eq!(ring.submit(), Ok(4), "round {round}");
        assert_eq!(pairs(&ring.cqes()), [(1, 0), (2, 0), (3, 0)]);
        // Rounds of eight slots, so that no entry meets the end.
        ring.run(&[sqe::nop(), sqe::nop(), sqe::nop(), sqe::nop()]);
    }
});

// An entry that would wrap, or whose second half is not submitted, is refused.
ring_test!(does_not_wrap, |t| {
    let mut ring = t.ring_with(4, IORING_SETUP_SQE_MIXED)?;
    ring.run(&[sqe::nop(), sqe::nop(), sqe::nop()]);
    ring.start(&[wide(1)]);
    assert_eq!(pairs(&ring.cqes()), [(1, EINVAL)]);
    ring.push(wide(2));
    ring.push(sqe::nop().data(3));
    ring.flush();
    assert_eq!(ring.enter(1, 0, 0), Ok(1));
    assert_eq!(pairs(&ring.cqes()), [(2, EINVAL)]);
});

// In a ring of 128-byte slots it takes one; in one of 64-byte slots it is refused.
ring_test!(other_rings, |t| {
    t.ring_with(4, IORING_SETUP_SQE_MIXED)?;
    let mut ring = t.ring_with(4, IORING_SETUP_SQE128)?;
    assert_eq!(ring.run_one(wide(1)), 0);
    let mut ring = t.ring(4)?;
    ring.push(wide(1));
    ring.push(sqe::nop());
    assert_eq!(ring.submit(), Ok(1));
    assert_eq!(pairs(&ring.cqes()), [(1, EINVAL)]);
    let both = Params { flags: IORING_SETUP_SQE128 | IORING_SETUP_SQE_MIXED, ..Params::default() };
    assert_eq!(t.setup(4, address_mut(&mut { both })), Err(Errno::EINVAL));
});

// Entries stand at the start, whatever was submitted before; head and tail stay at 0.
ring_test!(rewinds, |t| {
    let ring_flags = IORING_SETUP_SQ_REWIND | IORING_SETUP_NO_SQARRAY;
    let mut ring = t.ring_with(4, ring_flags)?;
    for round in 0..3 {
        ring.scribble_sqe(0, sqe::nop().data(round));
        ring.scribble_sqe(1, sqe::nop().data(round + 10));
        assert_eq!(ring.enter(2, 0, 0), Ok(2));
        assert_eq!(pairs(&ring.cqes()), [(round, 0), (round + 10, 0)]);
        assert_eq!(ring.sq_head(), 0);
    }
    assert_eq!(ring.enter(9, 0, 0), Ok(4));
    let alone = Params { flags: IORING_SETUP_SQ_REWIND, ..Params::default() };
    assert_eq!(t.setup(4, address_mut(&mut { alone })), Err(Errno::EINVAL));
});

// A command in a 128-byte entry does what it does in one of 64.
ring_test!(command, |t| {
    let mut ring = t.ring_with(8, IORING_SETUP_SQE_MIXED)?;
    let (mut a, b) = sys::tcp_pair();
    a.write_all(b"12345").expect("write");
    let queued = raw(Op::UringCmd, fd(&b), 0, 0, 0);
    let deadline = Instant::now() + ms(5000);
    while ring.run_one(queued) != 5 {
        assert!(Instant::now() < deadline, "five bytes are queued");
        // A pair of slots at a time, so that no wide entry meets the end.
        ring.run(&[sqe::nop()]);
    }
    ring.run(&[sqe::nop()]);
    ring.push(Sqe { opcode: Op::UringCmd128 as u8, ..queued }.data(1));
    ring.push(Sqe { opcode: 0xff, ..Sqe::default() });
    ring.push(sqe::nop().data(2));
    assert_eq!(ring.submit(), Ok(3));
    assert_eq!(pairs(&ring.cqes()), [(1, 5), (2, 0)]);
});

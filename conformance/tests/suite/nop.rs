//! The operation that does nothing, and what every operation shares.

use crate::prelude::*;

// A nop completes with 0 and returns its user_data untouched.
ring_test!(completes, |t| {
    let mut ring = t.ring(8)?;
    let cqes = ring.run(&[sqe::nop().data(0xfeed_beef_0bad_cafe)]);
    assert_eq!(cqes, [Cqe { user_data: 0xfeed_beef_0bad_cafe, res: 0, flags: 0 }]);
});

// A nop is complete when the submission returns.
ring_test!(completes_within_submit, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[sqe::nop().data(1), sqe::nop().data(2)]);
    assert_eq!(by_data(&ring.cqes()), [(1, 0), (2, 0)]);
});

// A full ring of nops is consumed at once and completes in the order of submission.
ring_test!(full_ring_in_order, |t| {
    let mut ring = t.ring(64)?;
    let sqes: Vec<Sqe> = (0..64).map(|i| sqe::nop().data(i)).collect();
    let order: Vec<u64> = ring.run(&sqes).iter().map(|cqe| cqe.user_data).collect();
    assert!(order.is_sorted() && order.len() == 64, "{order:?}");
});

// The rings wrap: many batches through small queues lose and repeat nothing.
ring_test!(wraps_many_times, |t| {
    let mut ring = t.ring(4)?;
    for round in 0..5000_u64 {
        let batch = 1 + round % 4;
        let sqes: Vec<Sqe> = (0..batch).map(|i| sqe::nop().data(round * 4 + i)).collect();
        let expected: Vec<(u64, i32)> = (0..batch).map(|i| (round * 4 + i, 0)).collect();
        assert_eq!(pairs(&ring.run(&sqes)), expected);
    }
    assert_eq!((ring.overflow(), ring.dropped()), (0, 0));
});

// The opcode 0 with IORING_NOP_INJECT_RESULT completes with the result it carries.
ring_test!(injects_results, |t| {
    let mut ring = t.ring(8)?;
    let given = [0, 17, i32::MAX, -5, EINVAL];
    let sqes = given.map(sqe::nop_result);
    assert_eq!(results(&ring.run(&sqes)), given);
});

// Unknown flags of a nop are refused.
ring_test!(refuses_unknown_flags, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(sqe::nop().op_flags(1 << 31)), EINVAL);
});

// IORING_NOP_FILE takes a file: a bad descriptor is -EBADF, a good one 0.
ring_test!(takes_a_file, |t| {
    const NOP_FILE: u32 = 1 << 1;
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    let on = |fd| Sqe { fd, ..sqe::nop() }.op_flags(NOP_FILE);
    assert_eq!(ring.run_one(on(fd(&reader))), 0);
    assert_eq!(ring.run_one(on(-1)), EBADF);
});

// A nop ignores its descriptor otherwise.
ring_test!(ignores_the_descriptor, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(Sqe { fd: 1 << 20, ..sqe::nop() }), 0);
});

// IOSQE_ASYNC changes who runs it, not what comes of it.
ring_test!(asynchronous, |t| {
    let mut ring = t.ring(8)?;
    let sqes: Vec<Sqe> = (0..8).map(|i| sqe::nop().data(i).with(IOSQE_ASYNC)).collect();
    let expected: Vec<(u64, i32)> = (0..8).map(|i| (i, 0)).collect();
    assert_eq!(by_data(&ring.run(&sqes)), expected);
});

// With CQE32 a nop's entry is 32 bytes; IORING_NOP_CQE32 fills the second half.
ring_test!(fills_a_big_completion, |t| {
    let mut ring = t.ring_with(8, IORING_SETUP_CQE32)?;
    let with_extra = Sqe { off: 111, addr: 222, ..sqe::nop() }.op_flags(IORING_NOP_CQE32);
    ring.start(&[sqe::nop().data(1), with_extra.data(2)]);
    assert_eq!(ring.cqe_big(), Some((Cqe { user_data: 1, res: 0, flags: 0 }, [0, 0])));
    let (cqe, extra) = ring.cqe_big().expect("the second completion");
    assert_eq!((cqe.user_data, cqe.res, extra), (2, 0, [111, 222]));
});

// IORING_NOP_CQE32 on a ring of 16-byte completions is refused.
ring_test!(refuses_big_completions_on_small_rings, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(sqe::nop().op_flags(IORING_NOP_CQE32)), EINVAL);
});

// On a mixed ring the 32-byte completion carries IORING_CQE_F_32, the other does not.
ring_test!(mixed_completions, |t| {
    let mut ring = t.ring_with(8, IORING_SETUP_CQE_MIXED)?;
    let big = Sqe { off: 7, addr: 9, ..sqe::nop() }.op_flags(IORING_NOP_CQE32);
    ring.start(&[sqe::nop().data(1), big.data(2), sqe::nop().data(3)]);
    let got: Vec<_> = std::iter::from_fn(|| ring.cqe_big()).collect();
    let flat: Vec<_> = got.iter().map(|(cqe, x)| (cqe.user_data, cqe.flags, *x)).collect();
    assert_eq!(flat, [(1, 0, [0, 0]), (2, IORING_CQE_F_32, [7, 9]), (3, 0, [0, 0])]);
});

// On a mixed ring a 32-byte completion never wraps: a filler with IORING_CQE_F_SKIP ends the ring.
ring_test!(mixed_completions_never_wrap, |t| {
    let mut ring = t.ring_with(4, IORING_SETUP_CQE_MIXED)?;
    assert_eq!(ring.params.cq_entries, 8);
    for data in 0..7 {
        ring.run(&[sqe::nop().data(data)]);
    }
    let big = Sqe { off: 7, addr: 9, ..sqe::nop() }.op_flags(IORING_NOP_CQE32);
    ring.start(&[big.data(9)]);
    let filler = ring.cqe().expect("the filler");
    assert_eq!(filler.flags & IORING_CQE_F_SKIP, IORING_CQE_F_SKIP);
    let (cqe, extra) = ring.cqe_big().expect("the completion");
    assert_eq!((cqe.user_data, cqe.flags, extra), (9, IORING_CQE_F_32, [7, 9]));
});

// 128-byte entries: each slot is 128 bytes apart and the second half is ignored by a nop.
ring_test!(big_entries, |t| {
    let mut ring = t.ring_with(4, IORING_SETUP_SQE128)?;
    for data in 0..12 {
        ring.push(sqe::nop().data(data));
        ring.extend_last([u64::MAX; 8]);
        assert_eq!(ring.submit(), Ok(1));
        assert_eq!(pairs(&ring.cqes()), [(data, 0)]);
    }
});

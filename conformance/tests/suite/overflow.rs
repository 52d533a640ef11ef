//! A completion queue that is full: nothing is lost, and the order is kept.

use crate::prelude::*;

fn nops(range: std::ops::Range<u64>) -> Vec<Sqe> {
    range.map(|data| sqe::nop().data(data)).collect()
}

/// A ring of 4 submissions and 4 completions.
fn tight<'t>(t: &'t dyn Target) -> std::result::Result<Ring<'t>, Skip> {
    let flags = IORING_SETUP_CQSIZE;
    t.ring_from(4, Params { flags, cq_entries: 4, ..Params::default() })
}

// What does not fit is kept: the flag is up, the counter of losses stays 0.
ring_test!(kept, |t| {
    let mut ring = tight(t)?;
    ring.start(&nops(0..4));
    assert_eq!(ring.sq_flags() & IORING_SQ_CQ_OVERFLOW, 0);
    ring.start(&nops(4..8));
    assert_eq!(ring.sq_flags() & IORING_SQ_CQ_OVERFLOW, IORING_SQ_CQ_OVERFLOW);
    assert_eq!((ring.ready(), ring.overflow()), (4, 0));
});

// An enter with GETEVENTS moves what is kept into the ring, in order, and lowers the flag.
ring_test!(flushed_in_order, |t| {
    let mut ring = tight(t)?;
    ring.start(&nops(0..4));
    ring.start(&nops(4..7));
    let first: Vec<u64> = ring.cqes().iter().map(|cqe| cqe.user_data).collect();
    assert_eq!(first, [0, 1, 2, 3]);
    assert_eq!(ring.enter(0, 0, IORING_ENTER_GETEVENTS), Ok(0));
    let second: Vec<u64> = ring.cqes().iter().map(|cqe| cqe.user_data).collect();
    assert_eq!(second, [4, 5, 6]);
    assert_eq!(ring.sq_flags() & IORING_SQ_CQ_OVERFLOW, 0);
});

// While something is kept, new completions queue up behind it although the ring has room.
ring_test!(later_ones_queue_behind, |t| {
    let mut ring = tight(t)?;
    ring.start(&nops(0..4));
    ring.start(&nops(4..6));
    let first: Vec<u64> = ring.cqes().iter().map(|cqe| cqe.user_data).collect();
    assert_eq!(first, [0, 1, 2, 3]);
    ring.start(&nops(6..8));
    assert_eq!(ring.ready(), 0, "room in the ring, but 4 and 5 come first");
    assert_eq!(ring.enter(0, 0, IORING_ENTER_GETEVENTS), Ok(0));
    let rest: Vec<u64> = ring.cqes().iter().map(|cqe| cqe.user_data).collect();
    assert_eq!(rest, [4, 5, 6, 7]);
});

// A submission does not fail because completions are kept.
ring_test!(submission_goes_on, |t| {
    let mut ring = tight(t)?;
    for round in 0..8 {
        ring.start(&nops(round * 4..round * 4 + 4));
    }
    let order: Vec<u64> = ring.wait_n(32).iter().map(|cqe| cqe.user_data).collect();
    assert_eq!(order, (0..32).collect::<Vec<u64>>());
    assert_eq!(ring.overflow(), 0);
});

// Thousands are kept.
ring_test!(thousands_are_kept, |t| {
    let mut ring = t.ring(64)?;
    for round in 0..100 {
        ring.start(&nops(round * 64..round * 64 + 64));
    }
    let order: Vec<u64> = ring.wait_n(6400).iter().map(|cqe| cqe.user_data).collect();
    assert_eq!(order, (0..6400).collect::<Vec<u64>>());
    assert_eq!((ring.overflow(), ring.sq_flags() & IORING_SQ_CQ_OVERFLOW), (0, 0));
});

// A wait counts what is kept: it returns at once.
ring_test!(wait_sees_what_is_kept, |t| {
    let mut ring = tight(t)?;
    ring.start(&nops(0..4));
    ring.start(&nops(4..8));
    ring.set_cq_head(4);
    assert_eq!(ring.enter_for(0, 4, IORING_ENTER_GETEVENTS, ms(5000)), Ok(0));
    assert_eq!(ring.ready(), 4);
});

// Completions that come later, from a poll, are kept as well.
ring_test!(late_completions, |t| {
    let mut ring = tight(t)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(100)]);
    ring.start(&nops(0..4));
    writer.write_all(b"1").expect("write");
    ring.settle(ms(0)).iter().for_each(|cqe| assert!(cqe.user_data < 4 || cqe.user_data == 100));
    let rest = ring.settle(ms(20));
    assert!(rest.len() <= 1);
    assert_eq!(ring.overflow(), 0);
});

// A multishot poll that does not fit ends: its completion has no IORING_CQE_F_MORE.
ring_test!(ends_a_multishot_poll, |t| {
    let mut ring = tight(t)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_multishot(fd(&reader), libc::POLLIN).data(9)]);
    ring.start(&nops(0..4));
    writer.write_all(b"1").expect("write");
    // Task work runs in a system call; the ring stays full meanwhile.
    assert_eq!(ring.enter(0, 0, 0), Ok(0));
    std::thread::sleep(ms(10));
    assert_eq!(ring.sq_flags() & IORING_SQ_CQ_OVERFLOW, IORING_SQ_CQ_OVERFLOW);
    let all = ring.settle(ms(10));
    assert_eq!(all.len(), 5);
    assert_eq!((all[4].user_data, all[4].flags & IORING_CQE_F_MORE), (9, 0));
    writer.write_all(b"1").expect("write");
    assert_eq!(ring.settle(ms(10)), []);
});

// A multishot timeout that does not fit ends as well.
ring_test!(ends_a_multishot_timeout, |t| {
    let mut ring = tight(t)?;
    let period = timespec(ms(5));
    ring.start(&[sqe::timeout(&period, 0, IORING_TIMEOUT_MULTISHOT).data(9)]);
    std::thread::sleep(ms(60));
    assert_eq!(ring.enter(0, 0, 0), Ok(0));
    let all = ring.settle(ms(30));
    let last = all.last().expect("completions");
    assert_eq!((last.user_data, last.flags & IORING_CQE_F_MORE), (9, 0), "{all:?}");
    assert_eq!(all.len(), 5, "four that fit and the one that did not");
});

// Requests that fail overflow like those that succeed, and keep their results.
ring_test!(results_are_kept, |t| {
    let mut ring = tight(t)?;
    ring.start(&nops(0..4));
    ring.start(&[sqe::nop_result(-5).data(5), sqe::nop_result(17).data(6)]);
    let got = ring.wait_n(6);
    assert_eq!(pairs(&got[4..]), [(5, -5), (6, 17)]);
});

// A full completion queue of 32-byte entries keeps their second halves.
ring_test!(big_completions, |t| {
    let flags = IORING_SETUP_CQSIZE | IORING_SETUP_CQE32;
    let mut ring = t.ring_from(4, Params { flags, cq_entries: 4, ..Params::default() })?;
    for round in 0..2 {
        let sqes: Vec<Sqe> = (round * 4..round * 4 + 4)
            .map(|i| Sqe { off: i, addr: i * i, ..sqe::nop() }.op_flags(IORING_NOP_CQE32).data(i))
            .collect();
        ring.start(&sqes);
    }
    let mut got = Vec::new();
    for _ in 0..2 {
        got.extend(std::iter::from_fn(|| ring.cqe_big()));
        assert!(ring.enter(0, 0, IORING_ENTER_GETEVENTS).is_ok());
    }
    for (i, (cqe, extra)) in (0..8_u64).zip(&got) {
        assert_eq!((cqe.user_data, *extra), (i, [i, i * i]));
    }
    assert_eq!(got.len(), 8);
});

// The program's head is what counts: one that claims more than there is hurts nobody else.
ring_test!(wild_head, |t| {
    let mut ring = tight(t)?;
    ring.start(&nops(0..4));
    ring.set_cq_head(1000);
    let _ = ring.enter(0, 0, IORING_ENTER_GETEVENTS);
    ring.set_cq_head(4);
    let mut other = tight(t)?;
    assert_eq!(pairs(&other.run(&[sqe::nop().data(1)])), [(1, 0)]);
});

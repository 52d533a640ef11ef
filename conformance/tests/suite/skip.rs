//! IOSQE_CQE_SKIP_SUCCESS: no completion where all went well.

use crate::prelude::*;

// A request that succeeds posts nothing.
ring_test!(success_is_silent, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[sqe::nop().data(1).skip(), sqe::nop().data(2)]);
    assert_eq!(pairs(&ring.wait_n(1)), [(2, 0)]);
    assert_eq!(ring.settle(ms(5)), []);
});

// One that fails posts its error.
ring_test!(failure_is_posted, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[sqe::nop_result(-5).data(1).skip()]);
    assert_eq!(pairs(&ring.wait_n(1)), [(1, -5)]);
});

// One that is refused posts its error.
ring_test!(refusal_is_posted, |t| {
    let mut ring = t.ring(8)?;
    let bad = Sqe { opcode: 0xfe, ..Sqe::default() };
    ring.start(&[bad.data(1).skip()]);
    assert_eq!(pairs(&ring.wait_n(1)), [(1, EINVAL)]);
});

// A short read counts as failed in a chain, and is posted.
ring_test!(short_read, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::file_with(b"1234");
    let mut buf = [0; 8];
    ring.start(&[sqe::read(fd(&file), &mut buf, 0).data(1).skip().link(), sqe::nop().data(2)]);
    assert_eq!(pairs(&ring.settle(ms(10))), [(1, 4)]);
});

// A marked request that fails: the rest of its chain is cancelled in silence, marked or not.
ring_test!(marked_failure_silences_the_rest, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[
        sqe::nop_result(-5).data(1).skip().link(),
        sqe::nop().data(2).link(),
        sqe::nop().data(3).skip(),
    ]);
    assert_eq!(pairs(&ring.settle(ms(10))), [(1, -5)]);
});

// An unmarked request that fails: the rest is posted as cancelled, marked or not.
ring_test!(unmarked_failure_posts_the_rest, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[
        sqe::nop_result(-5).data(1).link(),
        sqe::nop().data(2).skip().link(),
        sqe::nop().data(3).skip(),
    ]);
    assert_eq!(by_data(&ring.settle(ms(10))), [(1, -5), (2, ECANCELED), (3, ECANCELED)]);
});

// A marked linked timeout whose target is done in time is silent.
ring_test!(linked_timeout_outrun, |t| {
    let mut ring = t.ring(8)?;
    let far = timespec(ms(3_600_000));
    ring.start(&[sqe::nop().data(1).link(), sqe::link_timeout(&far, 0).data(2).skip()]);
    let got = by_data(&ring.settle(ms(10)));
    record::check(t, "skip-linked-timeout-outrun", &[format!("{got:?}")])?;
});

// A marked target that its linked timeout cancels.
ring_test!(linked_timeout_fires, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    let ts = timespec(ms(5));
    let mut lines = Vec::new();
    for (target, timeout) in [(false, false), (true, false), (false, true), (true, true)] {
        let poll = sqe::poll_add(fd(&reader), libc::POLLIN).data(1).link();
        let limit = sqe::link_timeout(&ts, 0).data(2);
        ring.start(&[
            if target { poll.skip() } else { poll },
            if timeout { limit.skip() } else { limit },
        ]);
        let got = by_data(&ring.settle(ms(30)));
        lines.push(format!("target {target} timeout {timeout}: {got:?}"));
    }
    record::check(t, "skip-linked-timeout-fires", &lines)?;
});

// Every chain of up to three with each member marked or not, ending well or badly.
ring_test!(table_of_chains, |t| {
    let mut ring = t.ring(8)?;
    let mut lines = Vec::new();
    for code in 0..4_u32.pow(3) {
        let members: Vec<u32> = (0..3).map(|i| code / 4_u32.pow(i) % 4).collect();
        for (i, &member) in members.iter().enumerate() {
            let entry = if member & 1 == 0 { sqe::nop() } else { sqe::nop_result(-5) };
            let entry = entry.data(i as u64 + 1);
            let entry = if member & 2 == 0 { entry } else { entry.skip() };
            ring.push(if i < 2 { entry.link() } else { entry });
        }
        assert_eq!(ring.submit(), Ok(3));
        let got = by_data(&ring.settle(Duration::ZERO));
        let names = ["ok", "bad", "ok-skip", "bad-skip"];
        let chain: Vec<&str> = members.iter().map(|&member| names[member as usize]).collect();
        lines.push(format!("{}: {got:?}", chain.join(" > ")));
    }
    record::check(t, "skip-chains", &lines)?;
});

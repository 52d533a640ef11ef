//! Zero-copy send and its notifications.

use crate::prelude::*;

const NOTIF: u32 = IORING_CQE_F_NOTIF;
const MORE: u32 = IORING_CQE_F_MORE;

fn send_zc(fd: i32, buf: &[u8]) -> Sqe {
    raw(Op::SendZc, fd, buf.as_ptr() as u64, buf.len() as u32, 0)
}

// Two completions: the result with F_MORE, then the notification with F_NOTIF.
ring_test!(two_completions, |t| {
    let mut ring = t.ring(8)?;
    let (a, mut b) = sys::tcp_pair();
    ring.start(&[send_zc(fd(&a), b"zero copy").data(1)]);
    assert_eq!(ring.wait(), Cqe { user_data: 1, res: 9, flags: MORE });
    let mut back = [0; 9];
    b.read_exact(&mut back).expect("read");
    assert_eq!(ring.wait(), Cqe { user_data: 1, res: 0, flags: NOTIF });
    assert_eq!(&back, b"zero copy");
});

// REPORT_USAGE: over the loopback the data was copied, and the notification says so.
ring_test!(reports_copies, |t| {
    let mut ring = t.ring(8)?;
    let (a, mut b) = sys::tcp_pair();
    ring.start(&[send_zc(fd(&a), b"zero copy").ioprio(IORING_SEND_ZC_REPORT_USAGE)]);
    assert_eq!(ring.wait().res, 9);
    b.read_exact(&mut [0; 9]).expect("read");
    let notification = ring.wait();
    assert_eq!(notification.flags, NOTIF);
    assert_eq!(notification.res as u32, IORING_NOTIF_USAGE_ZC_COPIED);
});

// A failed send: which errors have a notification, as recorded.
ring_test!(failed_send, |t| {
    let mut ring = t.ring(8)?;
    let (a, b) = sys::tcp_pair();
    drop(b);
    let file = sys::memory_file();
    let mut lines = Vec::new();
    for (name, entry) in [
        ("file", send_zc(fd(&file), b"1")),
        ("bad buffer", Sqe { addr: BAD_ADDRESS, len: 4, ..send_zc(fd(&a), b"") }),
        ("unknown flags", send_zc(fd(&a), b"1").ioprio(1 << 14)),
        ("skip", send_zc(fd(&a), b"1").skip()),
    ] {
        ring.start(&[entry]);
        let got: Vec<_> = ring.settle(ms(20)).iter().map(|cqe| (cqe.res, cqe.flags)).collect();
        lines.push(format!("{name}: {got:?}"));
    }
    record::check(t, "zero-copy-failures", &lines)?;
});

// From a registered buffer.
ring_test!(registered_buffer, |t| {
    let mut ring = t.ring(8)?;
    let page = Mapping::anonymous(4096);
    page.fill(b'x');
    let iovec = Iovec { base: page.at(0), len: 4096 };
    assert_eq!(ring.register(RegisterOp::Buffers, &[iovec]), Ok(0));
    let (a, mut b) = sys::tcp_pair();
    let send = raw(Op::SendZc, fd(&a), page.at(8), 16, 0).ioprio(IORING_RECVSEND_FIXED_BUF);
    ring.start(&[send]);
    assert_eq!(ring.wait().res, 16);
    let mut back = [0; 16];
    b.read_exact(&mut back).expect("read");
    assert_eq!(back, [b'x'; 16]);
    assert_eq!(ring.wait().flags, NOTIF);
});

// A message.
ring_test!(message, |t| {
    let mut ring = t.ring(8)?;
    let (a, mut b) = sys::tcp_pair();
    let parts = [sqe::iovec(b"one "), sqe::iovec(b"two")];
    let msg = Msghdr { iov: address(&parts), iovlen: 2, ..Msghdr::default() };
    ring.start(&[raw(Op::SendmsgZc, fd(&a), address(&msg), 1, 0)]);
    assert_eq!(ring.wait(), Cqe { user_data: 0, res: 7, flags: MORE });
    let mut back = [0; 7];
    b.read_exact(&mut back).expect("read");
    assert_eq!(&back, b"one two");
    assert_eq!(ring.wait().flags, NOTIF);
});

// A vector, as SEND_VECTORIZED has it.
ring_test!(vector, |t| {
    let mut ring = t.ring(8)?;
    let (a, mut b) = sys::tcp_pair();
    let parts = [sqe::iovec(b"one "), sqe::iovec(b"two")];
    let send = raw(Op::SendZc, fd(&a), address(&parts), 2, 0).ioprio(IORING_SEND_VECTORIZED);
    ring.start(&[send]);
    assert_eq!(ring.wait(), Cqe { user_data: 0, res: 7, flags: MORE });
    let mut back = [0; 7];
    b.read_exact(&mut back).expect("read");
    assert_eq!(&back, b"one two");
    assert_eq!(ring.wait().flags, NOTIF);
});

// Every part of a fixed message must lie in the registered buffer; a refusal is notified too. A
// send's vector cannot be fixed.
ring_test!(fixed_vectors, |t| {
    let mut ring = t.ring(8)?;
    let page = Mapping::anonymous(8192);
    page.fill(b'x');
    let iovec = Iovec { base: page.at(0), len: 4096 };
    assert_eq!(ring.register(RegisterOp::Buffers, &[iovec]), Ok(0));
    let (a, mut b) = sys::tcp_pair();
    let parts = [Iovec { base: page.at(0), len: 3 }, Iovec { base: page.at(64), len: 5 }];
    let msg = Msghdr { iov: address(&parts), iovlen: 2, ..Msghdr::default() };
    let fixed = IORING_RECVSEND_FIXED_BUF;
    let send = raw(Op::SendmsgZc, fd(&a), address(&msg), 1, 0).ioprio(fixed);
    ring.start(&[send]);
    assert_eq!(ring.wait().res, 8);
    b.read_exact(&mut [0; 8]).expect("read");
    assert_eq!(ring.wait().flags, NOTIF);
    let outside = [Iovec { base: page.at(4090), len: 8 }];
    let msg = Msghdr { iov: address(&outside), iovlen: 1, ..Msghdr::default() };
    let vector = fixed | IORING_SEND_VECTORIZED;
    for (entry, error) in [
        (raw(Op::SendmsgZc, fd(&a), address(&msg), 1, 0).ioprio(fixed), EFAULT),
        (raw(Op::SendZc, fd(&a), page.at(4090), 8, 0).ioprio(fixed), EFAULT),
        (Sqe { buf_index: 1, ..send }, EFAULT),
        (raw(Op::SendZc, fd(&a), address(&parts), 2, 0).ioprio(vector), EINVAL),
    ] {
        ring.start(&[entry]);
        let got: Vec<_> = ring.wait_n(2).iter().map(|cqe| (cqe.res, cqe.flags)).collect();
        assert_eq!(got, [(error, MORE), (0, NOTIF)]);
    }
});

// Sockets that cannot do it refuse, and that is notified; so is a member of a broken chain.
ring_test!(refusals, |t| {
    let mut ring = t.ring(8)?;
    let (a, _b) = sys::stream_pair();
    ring.start(&[send_zc(fd(&a), b"1")]);
    let got: Vec<_> = ring.wait_n(2).iter().map(|cqe| (cqe.res, cqe.flags)).collect();
    assert_eq!(got, [(EOPNOTSUPP, MORE), (0, NOTIF)]);
    let (a, _b) = sys::tcp_pair();
    ring.start(&[sqe::nop_result(-1).data(1).link(), send_zc(fd(&a), b"1").data(2)]);
    let mut got: Vec<_> =
        ring.wait_n(3).iter().map(|cqe| (cqe.user_data, cqe.res, cqe.flags)).collect();
    got.sort_unstable();
    assert_eq!(got, [(1, -1, 0), (2, ECANCELED, 0), (2, 0, NOTIF)]);
});

// Zero-copy receive into a queue of a device: there is none.
ring_test!(receive_needs_a_device, |t| {
    let mut ring = t.ring(8)?;
    let (a, _b) = sys::tcp_pair();
    assert_eq!(ring.run_one(raw(Op::RecvZc, fd(&a), 0, 0, 0)), EINVAL);
    let multishot = raw(Op::RecvZc, fd(&a), 0, 0, 0).ioprio(IORING_RECV_MULTISHOT);
    assert_eq!(ring.run_one(multishot), EINVAL);
});

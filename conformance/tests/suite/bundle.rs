//! Bundles of provided buffers, vectors and limits of sends and receives.

use crate::prelude::*;

const MORE: u32 = IORING_CQE_F_MORE;
const GROUP: u16 = 4;

/// A ring of buffers in [`GROUP`], all provided, of the lengths given.
struct Buffers {
    entries: Mapping,
    memory: Mapping,
}

impl Buffers {
    fn register(ring: &Ring, lens: &[u32], flags: u16) -> Buffers {
        let (entries, memory) = (Mapping::anonymous(4096), Mapping::anonymous(4096));
        let mut at = 0;
        for (id, len) in lens.iter().enumerate() {
            let bid = id as u16;
            entries.write(id * 16, Buf { addr: memory.at(at), len: *len, bid, resv: 0 });
            at += *len as usize;
        }
        let count = lens.len() as u32;
        let reg = BufReg {
            ring_addr: entries.at(0),
            ring_entries: count.next_power_of_two(),
            bgid: GROUP,
            flags,
            ..BufReg::default()
        };
        assert_eq!(ring.register_raw(RegisterOp::PbufRing, address(&reg), 1), Ok(0));
        entries.word(12).store(count << 16, std::sync::atomic::Ordering::Release);
        Buffers { entries, memory }
    }

    fn fill(&self, data: &[u8]) {
        data.iter().enumerate().for_each(|(at, byte)| self.memory.write(at, *byte));
    }
}

/// Result, buffer id if there is one, and whether more follows.
fn shapes(cqes: &[Cqe]) -> Vec<(i32, Option<u32>, bool)> {
    let id = |cqe: &Cqe| {
        (cqe.flags & IORING_CQE_F_BUFFER != 0).then_some(cqe.flags >> IORING_CQE_BUFFER_SHIFT)
    };
    cqes.iter().map(|cqe| (cqe.res, id(cqe), cqe.flags & MORE != 0)).collect()
}

fn head(ring: &Ring) -> u32 {
    let mut status = BufStatus { buf_group: u32::from(GROUP), ..BufStatus::default() };
    ring.register_mut(RegisterOp::PbufStatus, &mut status, 1).expect("status");
    status.head
}

// A send takes the buffer at the head, and tells which.
ring_test!(send_of_a_buffer, |t| {
    let mut ring = t.ring(8)?;
    let buffers = Buffers::register(&ring, &[3, 5], 0);
    buffers.fill(b"oneThree");
    let (a, mut b) = sys::stream_pair();
    let send = sqe::send(fd(&a), &[], 0).select(GROUP);
    assert_eq!(shapes(&ring.run(&[send])), [(3, Some(0), false)]);
    assert_eq!(shapes(&ring.run(&[Sqe { len: 2, ..send }])), [(2, Some(1), false)]);
    let mut back = [0; 5];
    b.read_exact(&mut back).expect("read");
    assert_eq!(&back, b"oneTh");
    assert_eq!(ring.run_one(send), ENOBUFS);
});

// A bundle sends all that is provided, and completes with the first buffer.
ring_test!(send_of_all, |t| {
    let mut ring = t.ring(8)?;
    let buffers = Buffers::register(&ring, &[3, 5, 4], 0);
    buffers.fill(b"onethreefour");
    let (a, mut b) = sys::stream_pair();
    let send = sqe::send(fd(&a), &[], 0).select(GROUP).ioprio(IORING_RECVSEND_BUNDLE);
    assert_eq!(shapes(&ring.run(&[send])), [(12, Some(0), false)]);
    let mut back = [0; 12];
    b.read_exact(&mut back).expect("read");
    assert_eq!(&back, b"onethreefour");
    assert_eq!(head(&ring), 3);
});

// A failed send has used its buffer up, and says so.
ring_test!(send_that_fails, |t| {
    let mut ring = t.ring(8)?;
    let _buffers = Buffers::register(&ring, &[3, 5], 0);
    let (a, b) = sys::stream_pair();
    drop(b);
    let send = sqe::send(fd(&a), &[], 0).select(GROUP);
    assert_eq!(shapes(&ring.run(&[send])), [(EPIPE, Some(0), false)]);
    assert_eq!(head(&ring), 1);
});

// Flags that a send or receive does not know, or not with the rest of its entry.
ring_test!(refusals, |t| {
    let mut ring = t.ring(8)?;
    let (a, _b) = sys::stream_pair();
    let (mut msg, mut buf) = (Msghdr::default(), [0; 4]);
    let (send, receive) = (sqe::send(fd(&a), b"1", 0), sqe::recv(fd(&a), &mut buf, 0));
    for entry in [
        send.ioprio(IORING_RECVSEND_FIXED_BUF),
        send.ioprio(IORING_SEND_ZC_REPORT_USAGE),
        send.ioprio(1 << 6),
        sqe::sendmsg(fd(&a), &msg, 0).ioprio(IORING_RECVSEND_BUNDLE),
        sqe::recvmsg(fd(&a), &mut msg, 0).ioprio(IORING_RECVSEND_BUNDLE),
        receive.ioprio(IORING_RECVSEND_FIXED_BUF),
        receive.ioprio(IORING_SEND_VECTORIZED),
        Sqe { file_index: 1, ..receive },
        Sqe {
            file_index: 1,
            ..sqe::recvmsg(fd(&a), &mut msg, 0).ioprio(IORING_RECV_MULTISHOT).select(GROUP)
        },
    ] {
        assert_eq!(ring.run_one(entry), EINVAL, "{entry:?}");
    }
});

// A vector is sent in order; it is copied before the submission returns.
ring_test!(vector, |t| {
    let mut ring = t.ring(8)?;
    let (a, mut b) = sys::stream_pair();
    let mut parts = [sqe::iovec(b"one "), sqe::iovec(b""), sqe::iovec(b"two")];
    let send = raw(Op::Send, fd(&a), address(&parts), 3, 0).ioprio(IORING_SEND_VECTORIZED);
    ring.start(&[send]);
    parts[0].base = 1;
    std::hint::black_box(&parts);
    assert_eq!(ring.wait().res, 7);
    let mut back = [0; 7];
    b.read_exact(&mut back).expect("read");
    assert_eq!(&back, b"one two");
    assert_eq!(ring.run_one(Sqe { len: 0, ..send }), 0);
    assert_eq!(ring.run_one(Sqe { addr: BAD_ADDRESS, ..send }), EFAULT);
});

// The length of a multishot receive bounds each completion; its optlen ends it once so much has
// been received, and cuts nothing.
ring_test!(limits, |t| {
    let mut ring = t.ring(8)?;
    let _buffers = Buffers::register(&ring, &[64; 8], 0);
    let (mut a, b) = sys::stream_pair();
    a.write_all(&[1; 20]).expect("write");
    let receive = Sqe { len: 8, file_index: 12, ..sqe::recv_multishot(fd(&b), GROUP) };
    ring.start(&[receive]);
    assert_eq!(shapes(&ring.wait_n(2)), [(8, Some(0), true), (8, Some(1), false)]);
    assert_eq!(ring.run_one(sqe::recv(fd(&b), &mut [0; 64], 0)), 4, "the rest is left");
});

// A bundle that is asked for less than the buffers hold fills them partly, and retires them.
ring_test!(short_bundle, |t| {
    let mut ring = t.ring(8)?;
    let _buffers = Buffers::register(&ring, &[16; 4], 0);
    let (mut a, b) = sys::stream_pair();
    a.write_all(&[1; 40]).expect("write");
    let receive = sqe::recv(fd(&b), &mut [], 0).select(GROUP).ioprio(IORING_RECVSEND_BUNDLE);
    assert_eq!(shapes(&ring.run(&[Sqe { len: 10, ..receive }])), [(10, Some(0), false)]);
    assert_eq!(head(&ring), 1);
    assert_eq!(shapes(&ring.run(&[Sqe { len: 20, ..receive }])), [(16, Some(1), false)]);
    assert_eq!(head(&ring), 2);
});

// Consumed incrementally, a buffer in its ring shows what is left of it.
ring_test!(incremental_is_written_back, |t| {
    let mut ring = t.ring(8)?;
    let buffers = Buffers::register(&ring, &[64, 64], IOU_PBUF_RING_INC);
    let (mut a, b) = sys::stream_pair();
    a.write_all(&[1; 24]).expect("write");
    let receive = sqe::recv(fd(&b), &mut [], 0).select(GROUP);
    let cqe = ring.run(&[receive])[0];
    assert_eq!((cqe.res, cqe.flags & IORING_CQE_F_BUF_MORE), (24, IORING_CQE_F_BUF_MORE));
    let (addr, len) = (buffers.entries.read::<u64>(0), buffers.entries.read::<u32>(8));
    assert_eq!((addr, len), (buffers.memory.at(24), 40));
    a.write_all(&[1; 50]).expect("write");
    let bundle = receive.ioprio(IORING_RECVSEND_BUNDLE);
    let cqe = ring.run(&[bundle])[0];
    assert_eq!((cqe.res, cqe.flags >> IORING_CQE_BUFFER_SHIFT), (50, 0));
    assert_eq!((head(&ring), buffers.entries.read::<u32>(24)), (1, 54));
});

// A buffer ring that its program has unmapped harms nobody.
ring_test!(ring_is_unmapped, |t| {
    let mut ring = t.ring(8)?;
    let buffers = Buffers::register(&ring, &[64, 64], 0);
    let (mut a, b) = sys::stream_pair();
    ring.start(&[sqe::recv_multishot(fd(&b), GROUP)]);
    drop(buffers);
    a.write_all(b"1").expect("write");
    assert!(ring.wait().res <= 1);
});

//! Requests that complete again and again: receive, read, accept.

use crate::prelude::*;
use std::net::TcpStream;

const MORE: u32 = IORING_CQE_F_MORE;

/// Lends `count` buffers of `len` bytes to group 7 by a request.
fn lend(ring: &mut Ring, memory: &Mapping, len: u32, count: i32) {
    let sqe = sqe::provide_buffers(memory.at(0), len, count, 7, 0);
    assert_eq!(ring.run_one(sqe), 0);
}

/// Result and flags of each completion, without the buffer id.
fn shapes(cqes: &[Cqe]) -> Vec<(i32, u32)> {
    let mask = IORING_CQE_F_BUFFER | MORE;
    cqes.iter().map(|cqe| (cqe.res, cqe.flags & mask)).collect()
}

// A multishot receive posts each piece of data with F_MORE and its buffer.
ring_test!(receive, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    lend(&mut ring, &memory, 64, 8);
    let (mut a, b) = sys::stream_pair();
    ring.start(&[sqe::recv_multishot(fd(&b), 7).data(1)]);
    for len in [3, 5, 9] {
        a.write_all(&vec![1; len]).expect("write");
        let got = ring.wait_n(1);
        assert_eq!(shapes(&got), [(len as i32, IORING_CQE_F_BUFFER | MORE)]);
    }
});

// At the end it posts 0 without F_MORE and without a buffer.
ring_test!(receive_at_the_end, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    lend(&mut ring, &memory, 64, 8);
    let (mut a, b) = sys::stream_pair();
    ring.start(&[sqe::recv_multishot(fd(&b), 7).data(1)]);
    a.write_all(b"123").expect("write");
    assert_eq!(ring.wait().res, 3);
    drop(a);
    assert_eq!(shapes(&ring.wait_n(1)), [(0, 0)]);
    assert_eq!(ring.run_one(sqe::remove_buffers(100, 7)), 7, "the last took no buffer");
});

// Out of buffers it ends with -ENOBUFS.
ring_test!(receive_out_of_buffers, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    lend(&mut ring, &memory, 64, 2);
    let (mut a, b) = sys::stream_pair();
    ring.start(&[sqe::recv_multishot(fd(&b), 7).data(1)]);
    for _ in 0..2 {
        a.write_all(b"123").expect("write");
        assert_eq!(ring.wait().res, 3);
    }
    a.write_all(b"123").expect("write");
    assert_eq!(shapes(&ring.wait_n(1)), [(ENOBUFS, 0)]);
    assert_eq!(ring.run_one(sqe::recv(fd(&b), &mut [0; 8], 0)), 3, "the data is still there");
});

// Data larger than a buffer comes in several completions.
ring_test!(receive_in_pieces, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    lend(&mut ring, &memory, 16, 8);
    let (mut a, b) = sys::stream_pair();
    a.write_all(&[1; 40]).expect("write");
    ring.start(&[sqe::recv_multishot(fd(&b), 7).data(1)]);
    assert_eq!(results(&ring.wait_n(3)), [16, 16, 8]);
});

// Without BUFFER_SELECT a multishot receive is refused; with MSG_WAITALL too.
ring_test!(receive_refusals, |t| {
    let mut ring = t.ring(8)?;
    let (_a, b) = sys::stream_pair();
    let no_select = sqe::recv(fd(&b), &mut [0; 8], 0).ioprio(IORING_RECV_MULTISHOT);
    assert_eq!(ring.run_one(no_select), EINVAL);
    let wait_all = sqe::recv_multishot(fd(&b), 7).op_flags(libc::MSG_WAITALL as u32);
    assert_eq!(ring.run_one(wait_all), EINVAL);
});

// A cancel ends it with -ECANCELED.
ring_test!(receive_cancelled, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    lend(&mut ring, &memory, 64, 2);
    let (_a, b) = sys::stream_pair();
    ring.start(&[sqe::recv_multishot(fd(&b), 7).data(1)]);
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, ECANCELED), (2, 0)]);
});

// A completion that does not fit ends it: posted without F_MORE, and nothing more is consumed.
ring_test!(receive_ended_by_overflow, |t| {
    let params = Params { flags: IORING_SETUP_CQSIZE, cq_entries: 2, ..Params::default() };
    let mut ring = t.ring_from(2, params)?;
    let memory = Mapping::anonymous(4096);
    lend(&mut ring, &memory, 64, 8);
    let (a, b) = sys::datagram_pair();
    for _ in 0..5 {
        a.send(b"123").expect("send");
    }
    ring.start(&[sqe::recv_multishot(fd(&b), 7).data(1)]);
    let got = ring.settle(ms(20));
    let with_buffer = IORING_CQE_F_BUFFER;
    assert_eq!(shapes(&got), [(3, with_buffer | MORE), (3, with_buffer | MORE), (3, with_buffer)]);
    assert_eq!(ring.run_one(sqe::recv(fd(&b), &mut [0; 8], 0)), 3, "two are left");
});

// recvmsg multishot lays header, name, control data and payload into the buffer.
ring_test!(receive_messages, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    lend(&mut ring, &memory, 128, 4);
    let (a, b) = sys::datagram_pair();
    let mut msg = Msghdr { namelen: 16, controllen: 8, ..Msghdr::default() };
    let receive = sqe::recvmsg(fd(&b), &mut msg, 0).ioprio(IORING_RECV_MULTISHOT).select(7).data(1);
    ring.start(&[receive]);
    a.send(b"datagram").expect("send");
    let cqe = ring.wait();
    assert_eq!(shapes(&[cqe]), [(16 + 16 + 8 + 8, IORING_CQE_F_BUFFER | MORE)]);
    let words: Vec<u32> = (0..4).map(|i| memory.read(i * 4)).collect();
    assert_eq!(words[1..], [0, 8, 0], "controllen, payloadlen, flags");
    assert_eq!(memory.bytes(40, 8), b"datagram");
});

// A message that is cut keeps its real length in the header, and MSG_TRUNC.
ring_test!(receive_cut_messages, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    lend(&mut ring, &memory, 24, 4);
    let (a, b) = sys::datagram_pair();
    let mut msg = Msghdr::default();
    let receive = sqe::recvmsg(fd(&b), &mut msg, libc::MSG_TRUNC);
    ring.start(&[receive.ioprio(IORING_RECV_MULTISHOT).select(7)]);
    a.send(&[1; 100]).expect("send");
    let cqe = ring.wait();
    let header: Vec<u32> = (0..4).map(|i| memory.read(i * 4)).collect();
    assert_eq!((cqe.res, header[2], header[3]), (24, 100, libc::MSG_TRUNC as u32));
});

// A multishot read of a pipe.
ring_test!(read, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    lend(&mut ring, &memory, 64, 8);
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::read_multishot(fd(&reader), 7).data(1)]);
    for len in [3, 5] {
        writer.write_all(&vec![1; len]).expect("write");
        let got = ring.wait_n(1);
        assert_eq!(shapes(&got), [(len as i32, IORING_CQE_F_BUFFER | MORE)]);
    }
    drop(writer);
    assert_eq!(shapes(&ring.wait_n(1)), [(0, 0)]);
});

// A multishot read of a regular file is -EBADFD; without BUFFER_SELECT -EINVAL.
ring_test!(read_refusals, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    lend(&mut ring, &memory, 64, 8);
    let file = sys::file_with(b"1234");
    assert_eq!(ring.run_one(sqe::read_multishot(fd(&file), 7)), EBADFD);
    let (reader, _writer) = sys::pipe();
    let no_select = raw(Op::ReadMultishot, fd(&reader), 0, 0, u64::MAX);
    assert_eq!(ring.run_one(no_select), EINVAL);
});

// A multishot accept posts a descriptor for each connection, with F_MORE.
ring_test!(accept, |t| {
    let mut ring = t.ring(8)?;
    let listener = sys::listener();
    ring.start(&[sqe::accept(fd(&listener), 0).ioprio(IORING_ACCEPT_MULTISHOT).data(1)]);
    let address = listener.local_addr().expect("address");
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(TcpStream::connect(address).expect("connect"));
        let cqe = ring.wait();
        assert_eq!((cqe.user_data, cqe.flags & MORE), (1, MORE));
        drop(sys::adopt(cqe.res));
    }
});

// Connections that wait already are all posted.
ring_test!(accept_of_waiting_connections, |t| {
    let mut ring = t.ring(8)?;
    let listener = sys::listener();
    let address = listener.local_addr().expect("address");
    let _clients: Vec<_> = (0..5).map(|_| TcpStream::connect(address).expect("connect")).collect();
    ring.start(&[sqe::accept(fd(&listener), 0).ioprio(IORING_ACCEPT_MULTISHOT).data(1)]);
    ring.wait_n(5).iter().for_each(|cqe| drop(sys::adopt(cqe.res)));
});

// A multishot accept into slots needs ALLOC.
ring_test!(accept_into_slots, |t| {
    let mut ring = t.ring(8)?;
    let listener = sys::listener();
    assert_eq!(ring.register(RegisterOp::Files, &[-1, -1]), Ok(0));
    let accept = sqe::accept(fd(&listener), 0).ioprio(IORING_ACCEPT_MULTISHOT);
    assert_eq!(ring.run_one(accept.slot(0)), EINVAL);
    ring.start(&[accept.slot(sqe::SLOT_ALLOC)]);
    let address = listener.local_addr().expect("address");
    let _clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).expect("connect")).collect();
    assert_eq!(shapes(&ring.wait_n(3)), [(0, MORE), (1, MORE), (ENFILE, 0)]);
});

// A multishot accept is cancelled, and ends when the listener shuts down.
ring_test!(accept_ends, |t| {
    let mut ring = t.ring(8)?;
    let listener = sys::listener();
    let accept = sqe::accept(fd(&listener), 0).ioprio(IORING_ACCEPT_MULTISHOT).data(1);
    ring.start(&[accept]);
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, ECANCELED), (2, 0)]);
    ring.start(&[accept]);
    let shutdown = raw(Op::Shutdown, fd(&listener), 0, libc::SHUT_RDWR as u32, 0);
    ring.start(&[shutdown.data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, EINVAL), (2, 0)]);
});

// A multishot receive with a bundle takes several buffers at once.
ring_test!(receive_bundles, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    let entries = Mapping::anonymous(4096);
    for i in 0..4 {
        let resv = if i == 0 { 4 } else { 0 };
        let buf = Buf { addr: memory.at(i * 16), len: 16, bid: i as u16, resv };
        entries.write(i * 16, buf);
    }
    let reg = BufReg { ring_addr: entries.at(0), ring_entries: 4, bgid: 5, ..BufReg::default() };
    assert_eq!(ring.register_raw(RegisterOp::PbufRing, address(&reg), 1), Ok(0));
    entries.word(12).store(4 << 16, std::sync::atomic::Ordering::Release);
    let (mut a, b) = sys::stream_pair();
    let flags = IORING_RECV_MULTISHOT | IORING_RECVSEND_BUNDLE;
    ring.start(&[sqe::recv(fd(&b), &mut [], 0).select(5).ioprio(flags)]);
    a.write_all(&[1; 32]).expect("write");
    let cqe = ring.wait();
    assert_eq!(shapes(&[cqe]), [(32, IORING_CQE_F_BUFFER | MORE)]);
    assert_eq!(cqe.flags >> IORING_CQE_BUFFER_SHIFT, 0);
});

// A multishot read of what cannot be polled is -EBADFD, of an eventfd it goes on.
ring_test!(read_of_other_files, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    lend(&mut ring, &memory, 64, 8);
    let null = std::fs::File::open("/dev/null").expect("open");
    assert_eq!(ring.run_one(sqe::read_multishot(fd(&null), 7)), EBADFD);
    let counter = sys::eventfd();
    ring.start(&[sqe::read_multishot(fd(&counter), 7).data(1)]);
    for _ in 0..2 {
        assert_eq!(ring.run_one(sqe::write(fd(&counter), &1_u64.to_ne_bytes(), u64::MAX)), 8);
        assert_eq!(shapes(&ring.wait_n(1)), [(8, IORING_CQE_F_BUFFER | MORE)]);
    }
});

// A multishot read ends by a cancel, and without a buffer.
ring_test!(read_ends, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    lend(&mut ring, &memory, 64, 1);
    let (reader, mut writer) = sys::pipe();
    let read = sqe::read_multishot(fd(&reader), 7).data(1);
    ring.start(&[read]);
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, ECANCELED), (2, 0)]);
    ring.start(&[read]);
    for expected in [(3, IORING_CQE_F_BUFFER | MORE), (ENOBUFS, 0)] {
        writer.write_all(b"123").expect("write");
        assert_eq!(shapes(&ring.wait_n(1)), [expected]);
    }
});

//! Provided buffers: the older form by requests, and rings of buffers.

use crate::prelude::*;

/// The buffer id in a completion's flags.
fn bid(cqe: Cqe) -> u32 {
    assert_ne!(cqe.flags & IORING_CQE_F_BUFFER, 0, "{cqe:?}");
    cqe.flags >> IORING_CQE_BUFFER_SHIFT
}

/// A ring of `count` buffers of `len` bytes in group `group`, all provided, ids from 0 on.
struct Buffers {
    ring: Mapping,
    memory: Mapping,
    len: u32,
    mask: u16,
    tail: u16,
}

impl Buffers {
    fn register(ring: &Ring, group: u16, count: u16, len: u32, flags: u16) -> Buffers {
        let entries = Mapping::anonymous(usize::from(count) * 16);
        let memory = Mapping::anonymous(usize::from(count) * len as usize);
        let reg = BufReg {
            ring_addr: entries.at(0),
            ring_entries: u32::from(count),
            bgid: group,
            flags,
            ..BufReg::default()
        };
        assert_eq!(ring.register_raw(RegisterOp::PbufRing, address(&reg), 1), Ok(0));
        let mut buffers = Buffers { ring: entries, memory, len, mask: count - 1, tail: 0 };
        (0..count).for_each(|id| buffers.give(id));
        buffers
    }

    /// Puts buffer `id` at the tail.
    fn give(&mut self, id: u16) {
        let at = usize::from(self.tail & self.mask) * 16;
        let addr = self.memory.at(usize::from(id) * self.len as usize);
        self.ring.write(at, addr);
        self.ring.write(at + 8, self.len);
        self.ring.write(at + 12, id as u8);
        self.ring.write(at + 13, (id >> 8) as u8);
        self.tail = self.tail.wrapping_add(1);
        let low = self.ring.read::<u32>(12) & 0xffff;
        self.ring
            .word(12)
            .store(low | u32::from(self.tail) << 16, std::sync::atomic::Ordering::Release);
    }

    fn bytes(&self, id: u32, len: usize) -> Vec<u8> {
        self.memory.bytes((id * self.len) as usize, len)
    }
}

/// The engine's head of a group.
fn head(ring: &Ring, group: u32) -> Result<u32> {
    let mut status = BufStatus { buf_group: group, ..BufStatus::default() };
    ring.register_mut(RegisterOp::PbufStatus, &mut status, 1).map(|_| status.head)
}

// A receive takes a buffer of its group, and the completion tells which.
ring_test!(selected_by_receive, |t| {
    let mut ring = t.ring(8)?;
    let buffers = Buffers::register(&ring, 3, 4, 64, 0);
    let (mut a, b) = sys::stream_pair();
    for expected in 0..4 {
        a.write_all(b"hello").expect("write");
        let cqe = ring.run(&[sqe::recv(fd(&b), &mut [], 0).select(3)])[0];
        assert_eq!((cqe.res, bid(cqe)), (5, expected));
        assert_eq!(buffers.bytes(expected, 5), b"hello");
    }
});

// Out of buffers: -ENOBUFS, with no buffer id.
ring_test!(exhausted, |t| {
    let mut ring = t.ring(8)?;
    let mut buffers = Buffers::register(&ring, 3, 1, 64, 0);
    let (mut a, b) = sys::stream_pair();
    a.write_all(b"hello").expect("write");
    assert_eq!(bid(ring.run(&[sqe::recv(fd(&b), &mut [], 0).select(3)])[0]), 0);
    a.write_all(b"hello").expect("write");
    let cqe = ring.run(&[sqe::recv(fd(&b), &mut [], 0).select(3)])[0];
    assert_eq!((cqe.res, cqe.flags), (ENOBUFS, 0));
    buffers.give(0);
    assert_eq!(ring.run(&[sqe::recv(fd(&b), &mut [], 0).select(3)])[0].res, 5);
});

// A group that is not there: -ENOBUFS.
ring_test!(unknown_group, |t| {
    let mut ring = t.ring(8)?;
    let (mut a, b) = sys::stream_pair();
    a.write_all(b"hello").expect("write");
    assert_eq!(ring.run_one(sqe::recv(fd(&b), &mut [], 0).select(9)), ENOBUFS);
});

// A request that waits holds no buffer: the head stands until there is data.
ring_test!(waiting_holds_no_buffer, |t| {
    let mut ring = t.ring(8)?;
    let _buffers = Buffers::register(&ring, 3, 4, 64, 0);
    let (mut a, b) = sys::stream_pair();
    ring.start(&[sqe::recv(fd(&b), &mut [], 0).select(3)]);
    assert_eq!(ring.settle(ms(10)), []);
    assert_eq!(head(&ring, 3), Ok(0));
    a.write_all(b"hello").expect("write");
    assert_eq!(bid(ring.wait()), 0);
    assert_eq!(head(&ring, 3), Ok(1));
});

// A length shorter than the buffer limits the transfer; 0 means the buffer's.
ring_test!(length_limits, |t| {
    let mut ring = t.ring(8)?;
    let _buffers = Buffers::register(&ring, 3, 4, 64, 0);
    let (mut a, b) = sys::stream_pair();
    a.write_all(&[1; 100]).expect("write");
    let receive = |len| Sqe { len, ..sqe::recv(fd(&b), &mut [], 0).select(3) };
    assert_eq!(ring.run_one(receive(10)), 10);
    assert_eq!(ring.run_one(receive(0)), 64);
    assert_eq!(ring.run_one(receive(1000)), 26);
});

// A plain read takes a buffer as well; at the end of the file it does so too.
ring_test!(selected_by_read, |t| {
    let mut ring = t.ring(8)?;
    let buffers = Buffers::register(&ring, 3, 4, 64, 0);
    let file = sys::file_with(b"content");
    let read = |off| sqe::read(fd(&file), &mut [], off).select(3);
    let cqe = ring.run(&[read(0)])[0];
    assert_eq!((cqe.res, bid(cqe)), (7, 0));
    assert_eq!(buffers.bytes(0, 7), b"content");
    let cqe = ring.run(&[read(100)])[0];
    assert_eq!((cqe.res, bid(cqe), head(&ring, 3)), (0, 1, Ok(2)));
});

// readv with one vector takes a buffer; with several it is refused.
ring_test!(selected_by_readv, |t| {
    let mut ring = t.ring(8)?;
    let _buffers = Buffers::register(&ring, 3, 4, 64, 0);
    let file = sys::file_with(b"content");
    let parts = [Iovec { base: 0, len: 4 }, Iovec { base: 0, len: 4 }];
    let cqe = ring.run(&[sqe::readv(fd(&file), &parts[..1], 0).select(3)])[0];
    assert_eq!((cqe.res, bid(cqe)), (4, 0));
    assert_eq!(ring.run_one(sqe::readv(fd(&file), &parts, 0).select(3)), EINVAL);
});

// recvmsg takes a buffer as well.
ring_test!(selected_by_recvmsg, |t| {
    let mut ring = t.ring(8)?;
    let buffers = Buffers::register(&ring, 3, 4, 64, 0);
    let (a, b) = sys::datagram_pair();
    a.send(b"datagram").expect("send");
    let parts = [Iovec { base: 0, len: 64 }];
    let mut msg = Msghdr { iov: parts.as_ptr() as u64, iovlen: 1, ..Msghdr::default() };
    let cqe = ring.run(&[sqe::recvmsg(fd(&b), &mut msg, 0).select(3)])[0];
    assert_eq!((cqe.res, bid(cqe)), (8, 0));
    assert_eq!(buffers.bytes(0, 8), b"datagram");
});

// BUFFER_SELECT on an operation that takes none: -EOPNOTSUPP.
ring_test!(refused_by_others, |t| {
    let mut ring = t.ring(8)?;
    assert_eq!(ring.run_one(sqe::nop().select(3)), EOPNOTSUPP);
    let file = sys::file_with(b"");
    assert_eq!(ring.run_one(sqe::write(fd(&file), b"1", 0).select(3)), EOPNOTSUPP);
});

// Errors of registering a ring of buffers.
ring_test!(bad_registrations, |t| {
    let ring = t.ring(8)?;
    let page = Mapping::anonymous(8192);
    let good = BufReg { ring_addr: page.at(0), ring_entries: 4, bgid: 1, ..BufReg::default() };
    let register = |reg: BufReg| ring.register_raw(RegisterOp::PbufRing, address(&reg), 1);
    assert_eq!(register(BufReg { ring_entries: 3, ..good }), Err(Errno::EINVAL));
    assert_eq!(register(BufReg { ring_entries: 0, ..good }), Err(Errno::EINVAL));
    assert_eq!(register(BufReg { ring_entries: 65536, ..good }), Err(Errno::EINVAL));
    assert_eq!(register(BufReg { ring_addr: 0, ..good }), Err(Errno::EFAULT));
    assert_eq!(register(BufReg { ring_addr: page.at(16), ..good }), Err(Errno::EINVAL));
    assert_eq!(register(BufReg { ring_addr: BAD_ADDRESS, ..good }), Err(Errno::EFAULT));
    assert_eq!(register(BufReg { flags: 1 << 9, ..good }), Err(Errno::EINVAL));
    assert_eq!(register(BufReg { resv: [1; 5], ..good }), Err(Errno::EINVAL));
    assert_eq!(ring.register_raw(RegisterOp::PbufRing, address(&good), 2), Err(Errno::EINVAL));
    assert_eq!(ring.register_raw(RegisterOp::PbufRing, BAD_ADDRESS, 1), Err(Errno::EFAULT));
    assert_eq!(register(good), Ok(0));
    assert_eq!(register(good), Err(Errno::EEXIST));
});

// A ring of buffers is taken back once; then its group is gone.
ring_test!(taken_back, |t| {
    let mut ring = t.ring(8)?;
    let _buffers = Buffers::register(&ring, 3, 4, 64, 0);
    let group = |bgid| BufReg { bgid, ..BufReg::default() };
    let unregister = |ring: &Ring, bgid| {
        ring.register_raw(RegisterOp::UnregisterPbufRing, address(&group(bgid)), 1)
    };
    assert_eq!(unregister(&ring, 4), Err(Errno::ENOENT));
    assert_eq!(unregister(&ring, 3), Ok(0));
    assert_eq!(unregister(&ring, 3), Err(Errno::ENOENT));
    let (mut a, b) = sys::stream_pair();
    a.write_all(b"1").expect("write");
    assert_eq!(ring.run_one(sqe::recv(fd(&b), &mut [], 0).select(3)), ENOBUFS);
});

// Status of an unknown group is -ENOENT; reserved fields are checked.
ring_test!(status_errors, |t| {
    let ring = t.ring(8)?;
    assert_eq!(head(&ring, 3), Err(Errno::ENOENT));
    let _buffers = Buffers::register(&ring, 3, 4, 64, 0);
    let mut status = BufStatus { buf_group: 3, resv: [1; 8], ..BufStatus::default() };
    let got = ring.register_mut(RegisterOp::PbufStatus, &mut status, 1);
    assert_eq!(got, Err(Errno::EINVAL));
});

// The engine may allocate the ring of buffers, and the program maps it.
ring_test!(mapped_by_the_program, |t| {
    let mut ring = t.ring(8)?;
    let flags = IOU_PBUF_RING_MMAP;
    let reg = BufReg { ring_entries: 4, bgid: 5, flags, ..BufReg::default() };
    assert_eq!(ring.register_raw(RegisterOp::PbufRing, address(&reg), 1), Ok(0));
    let offset = IORING_OFF_PBUF_RING | 5 << IORING_OFF_PBUF_SHIFT;
    let base = t.mmap(ring.fd, 4096, offset).expect("mmap of the ring of buffers");
    let entries = Mapping::over(base, 4096);
    let memory = [0_u8; 64];
    entries.write(0, Buf { addr: address(&memory), len: 64, bid: 9, resv: 1 });
    let (mut a, b) = sys::stream_pair();
    a.write_all(b"hello").expect("write");
    let cqe = ring.run(&[sqe::recv(fd(&b), &mut [], 0).select(5)])[0];
    std::hint::black_box(&memory);
    assert_eq!((cqe.res, bid(cqe), &memory[..5]), (5, 9, &b"hello"[..]));
});

// Incremental: one buffer is consumed by several completions, F_BUF_MORE while some is left.
ring_test!(incremental, |t| {
    let mut ring = t.ring(8)?;
    let buffers = Buffers::register(&ring, 3, 2, 64, IOU_PBUF_RING_INC);
    let (mut a, b) = sys::stream_pair();
    let mut receive = |data: &[u8]| {
        a.write_all(data).expect("write");
        ring.run(&[sqe::recv(fd(&b), &mut [], 0).select(3)])[0]
    };
    let first = receive(&[1; 40]);
    assert_eq!((first.res, bid(first)), (40, 0));
    assert_ne!(first.flags & IORING_CQE_F_BUF_MORE, 0);
    let second = receive(&[2; 40]);
    assert_eq!((second.res, bid(second)), (24, 0));
    assert_eq!(second.flags & IORING_CQE_F_BUF_MORE, 0, "the buffer is used up");
    assert_eq!(buffers.bytes(0, 64), [[1; 40].as_slice(), &[2; 24]].concat());
});

// Incremental: a read at the end uses a fresh buffer up, and leaves one that was begun.
ring_test!(incremental_at_the_end, |t| {
    let mut ring = t.ring(8)?;
    let _buffers = Buffers::register(&ring, 3, 4, 64, IOU_PBUF_RING_INC);
    let file = sys::file_with(b"1234");
    let (reader, writer) = sys::pipe();
    drop(writer);
    let mut lines = Vec::new();
    for (fd, off) in
        [(fd(&file), 4), (fd(&reader), 0), (fd(&file), 0), (fd(&file), 4), (fd(&reader), 0)]
    {
        let cqe = ring.run(&[sqe::read(fd, &mut [], off).select(3)])[0];
        let is_kept = cqe.flags & IORING_CQE_F_BUF_MORE != 0;
        lines.push(format!("{} {} {is_kept} {:?}", cqe.res, bid(cqe), head(&ring, 3)));
    }
    record::check(t, "incremental-at-the-end", &lines)?;
});

// Many rounds through a small ring of buffers.
ring_test!(wraps_many_times, |t| {
    let mut ring = t.ring(8)?;
    let mut buffers = Buffers::register(&ring, 3, 4, 16, 0);
    let (mut a, b) = sys::stream_pair();
    for round in 0..70_000_u32 {
        let cqe = {
            a.write_all(&round.to_le_bytes()).expect("write");
            ring.run(&[sqe::recv(fd(&b), &mut [], 0).select(3)])[0]
        };
        let id = bid(cqe);
        assert_eq!(
            (cqe.res, id, buffers.bytes(id, 4)),
            (4, round % 4, round.to_le_bytes().to_vec())
        );
        buffers.give(id as u16);
    }
});

// The older form: buffers are lent by a request, used, and taken back.
ring_test!(lent_by_request, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    assert_eq!(ring.run_one(sqe::provide_buffers(memory.at(0), 64, 3, 7, 10)), 0);
    let (mut a, b) = sys::stream_pair();
    for expected in [10, 11, 12] {
        a.write_all(b"hello").expect("write");
        let cqe = ring.run(&[sqe::recv(fd(&b), &mut [], 0).select(7)])[0];
        assert_eq!((cqe.res, bid(cqe)), (5, expected));
        let at = (expected as usize - 10) * 64;
        assert_eq!(memory.bytes(at, 5), b"hello");
    }
    a.write_all(b"hello").expect("write");
    assert_eq!(ring.run_one(sqe::recv(fd(&b), &mut [], 0).select(7)), ENOBUFS);
});

// remove_buffers yields how many it took; an unknown group is -ENOENT.
ring_test!(taken_back_by_request, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    assert_eq!(ring.run_one(sqe::remove_buffers(1, 7)), ENOENT);
    assert_eq!(ring.run_one(sqe::provide_buffers(memory.at(0), 64, 4, 7, 0)), 0);
    assert_eq!(ring.run_one(sqe::remove_buffers(1, 7)), 1);
    assert_eq!(ring.run_one(sqe::remove_buffers(100, 7)), 3);
    assert_eq!(ring.run_one(sqe::remove_buffers(1, 7)), 0);
});

// Bad arguments of the older form.
ring_test!(bad_requests, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    let good = sqe::provide_buffers(memory.at(0), 64, 4, 7, 0);
    assert_eq!(ring.run_one(Sqe { fd: 0, ..good }), -libc::E2BIG);
    assert_eq!(ring.run_one(Sqe { fd: -1, ..good }), -libc::E2BIG);
    assert_eq!(ring.run_one(Sqe { fd: 65537, ..good }), -libc::E2BIG);
    assert_eq!(ring.run_one(Sqe { len: 0, ..good }), EINVAL);
    assert_eq!(ring.run_one(Sqe { op_flags: 1, ..good }), EINVAL);
    assert_eq!(ring.run_one(Sqe { off: 65536, ..good }), -libc::E2BIG);
    assert_eq!(ring.run_one(Sqe { off: 65533, ..good }), EINVAL);
    let remove = sqe::remove_buffers(1, 7);
    assert_eq!(ring.run_one(Sqe { fd: 0, ..remove }), EINVAL);
    assert_eq!(ring.run_one(Sqe { addr: 1, ..remove }), EINVAL);
});

// The two forms clash in one group: a request on a ring's group is -EINVAL.
ring_test!(forms_clash, |t| {
    let mut ring = t.ring(8)?;
    let memory = Mapping::anonymous(4096);
    let _buffers = Buffers::register(&ring, 3, 4, 64, 0);
    assert_eq!(ring.run_one(sqe::provide_buffers(memory.at(0), 64, 4, 3, 0)), EINVAL);
    assert_eq!(ring.run_one(sqe::remove_buffers(1, 3)), EINVAL);
    let reg = BufReg { ring_addr: memory.at(0), ring_entries: 4, bgid: 8, ..BufReg::default() };
    let register = |ring: &Ring| ring.register_raw(RegisterOp::PbufRing, address(&reg), 1);
    assert_eq!(ring.run_one(sqe::provide_buffers(memory.at(0), 64, 4, 8, 0)), 0);
    assert_eq!(register(&ring), Err(Errno::EEXIST));
    assert_eq!(ring.run_one(sqe::remove_buffers(4, 8)), 4);
    assert_eq!(register(&ring), Ok(0));
});

// A bundle fills consecutive buffers with one completion; how many is the engine's choice.
ring_test!(bundles, |t| {
    let mut ring = t.ring(8)?;
    let buffers = Buffers::register(&ring, 3, 8, 16, 0);
    let (mut a, b) = sys::stream_pair();
    let data: Vec<u8> = (0..40).collect();
    a.write_all(&data).expect("write");
    let receive = sqe::recv(fd(&b), &mut [], 0).select(3).ioprio(IORING_RECVSEND_BUNDLE);
    let cqe = ring.run(&[receive])[0];
    assert!(cqe.res > 16, "{cqe:?}");
    assert_eq!((bid(cqe), head(&ring, 3)), (0, Ok(cqe.res as u32).map(|len| len.div_ceil(16))));
    assert_eq!(buffers.bytes(0, cqe.res as usize), data[..cqe.res as usize]);
});

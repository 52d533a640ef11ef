//! Hostile programs: shared words scribbled over, entries of noise, pointers to nothing.

use crate::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

/// A ring works if nops go through it.
fn works(ring: &mut Ring) {
    for data in 0..20 {
        assert_eq!(pairs(&ring.run(&[sqe::nop().data(data)])), [(data, 0)]);
    }
}

// A tail far ahead submits at most a full queue.
ring_test!(tail_far_ahead, |t| {
    let mut ring = t.ring(8)?;
    ring.set_sq_tail(1_000_000);
    assert_eq!(ring.enter(1000, 0, 0), Ok(8));
    assert_eq!(ring.sq_head(), 8);
    ring.set_sq_tail(8);
    ring.cqes();
    works(&mut ring);
});

// A tail behind the head is a tail far ahead.
ring_test!(tail_behind_the_head, |t| {
    let mut ring = t.ring(8)?;
    ring.run(&[sqe::nop(), sqe::nop(), sqe::nop()]);
    ring.set_sq_tail(1);
    assert_eq!(ring.enter(1000, 0, 0), Ok(8));
});

// The engine's own positions are not read back from the shared memory.
ring_test!(own_positions_are_private, |t| {
    let mut ring = t.ring(8)?;
    ring.run(&[sqe::nop()]);
    ring.memory().word(ring.params.sq_off.head).store(77, Relaxed);
    ring.memory().word(ring.params.cq_off.tail).store(99, Relaxed);
    ring.memory().word(ring.params.sq_off.tail).store(2, Relaxed);
    ring.scribble_sqe(1, sqe::nop().data(5));
    assert_eq!(ring.enter(1, 0, 0), Ok(1));
    assert_eq!((ring.sq_head(), ring.cq_tail()), (2, 2));
});

// Sizes, masks and counters are not read back either.
ring_test!(sizes_are_private, |t| {
    let mut ring = t.ring(8)?;
    for at in [16, 20, 24, 28, 32, 44] {
        ring.memory().word(at).store(0x5a5a_5a5a, Relaxed);
    }
    works(&mut ring);
});

// The count of dropped entries goes on from what the program wrote there, or from the engine's own.
ring_test!(dropped_counter_is_scribbled, |t| {
    let mut ring = t.ring(8)?;
    ring.memory().word(ring.params.sq_off.dropped).store(1000, Relaxed);
    works(&mut ring);
    ring.push(sqe::nop());
    ring.set_index(20 & 7, 99);
    assert_eq!(ring.submit(), Ok(0));
    assert!([1, 1001].contains(&ring.dropped()), "{}", ring.dropped());
});

// All of the shared memory filled with one byte: no crash, and another ring is untouched.
ring_test!(everything_scribbled, |t| {
    let mut other = t.ring(8)?;
    for byte in [0x00, 0x5a, 0x7f, 0x80, 0xff] {
        let ring = t.ring(8)?;
        ring.memory().fill(byte);
        ring.sqe_memory().fill(byte);
        for _ in 0..4 {
            let _ = ring.enter(8, 0, 0);
            let _ = ring.enter_for(0, 1, IORING_ENTER_GETEVENTS, ms(0));
        }
        works(&mut other);
    }
});

// A thread scribbles over the submission queue while another submits.
ring_test!(scribbled_while_submitting, |t| {
    let ring = t.ring(8)?;
    let mut other = t.ring(8)?;
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut noise = Noise(7);
            while !stop.load(Relaxed) {
                let word = (noise.next() % 16) as u32 * 4;
                ring.memory().word(word).store(noise.next() as u32, Relaxed);
                let at = (noise.next() % 128) as u32 * 4;
                // Opcodes stay small, so that the noise is of nops, reads and the like.
                ring.sqe_memory().word(at).store(noise.next() as u32 & 0x0101, Relaxed);
            }
        });
        for _ in 0..2000 {
            let _ = ring.enter(8, 0, 0);
            ring.set_cq_head(ring.cq_tail());
        }
        stop.store(true, Relaxed);
    });
    works(&mut other);
});

/// A small generator of noise (xorshift), the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// An entry of noise whose descriptor names nothing.
    fn sqe(&mut self) -> Sqe {
        let mut word = || self.next();
        Sqe {
            opcode: (word() % 70) as u8,
            flags: (word() & word() & word()) as u8,
            ioprio: (word() & word() & word()) as u16,
            fd: 1 << 20 | word() as u32 as i32 & 0xff,
            off: word(),
            addr: word() | 1 << 62,
            len: word() as u32,
            op_flags: (word() & word() & word()) as u32,
            user_data: word(),
            buf_index: word() as u16,
            personality: if word().is_multiple_of(8) { word() as u16 } else { 0 },
            file_index: (word() & word()) as u32,
            addr3: word() | 1 << 62,
            pad2: word() & word() & word(),
        }
    }
}

// Entries of noise: nothing crashes, and the ring works afterwards.
ring_test!(noise, |t| {
    let mut ring = t.ring(32)?;
    let mut noise = Noise(0x5eed);
    for _ in 0..400 {
        for _ in 0..32.min(ring.sq_room()) {
            ring.push(noise.sqe());
        }
        let pending = ring.flush();
        assert!(ring.enter(pending, 0, 0).is_ok());
        ring.cqes();
        let _ = ring.enter(0, 0, IORING_ENTER_GETEVENTS);
        ring.cqes();
    }
    let mut fresh = t.ring(8)?;
    works(&mut fresh);
});

// Registrations of noise: nothing crashes, and the ring works afterwards.
ring_test!(register_noise, |t| {
    let mut ring = t.ring(8)?;
    let mut noise = Noise(0xfeed);
    for _ in 0..3000 {
        let mut words = [0_u64; 32];
        words.iter_mut().for_each(|word| *word = noise.next() & noise.next() & noise.next());
        let opcode = (noise.next() % 40) as u32;
        if opcode == RegisterOp::EnableRings as u32 || opcode == RegisterOp::Restrictions as u32 {
            continue;
        }
        let nr = (noise.next() & noise.next() & 0xff) as u32;
        let _ = t.register(ring.fd, opcode, address(&words), nr);
    }
    let _ = ring.register_raw(RegisterOp::UnregisterFiles, 0, 0);
    ring.cqes();
    let mut fresh = t.ring(8)?;
    works(&mut fresh);
});

// Memory that is mapped but may not be touched: -EFAULT wherever the engine reads or writes it.
ring_test!(forbidden_memory, |t| {
    let mut ring = t.ring(8)?;
    let page = Mapping::anonymous(4096);
    page.protect(libc::PROT_NONE);
    let addr = page.at(64);
    let file = sys::file_with(b"12345678");
    let (a, _b) = sys::datagram_pair();
    assert_eq!(ring.register(RegisterOp::Files, &[-1]), Ok(0));
    let entries = [
        ("read", Sqe { addr, len: 4, ..sqe::read(fd(&file), &mut [], 0) }),
        ("write", Sqe { addr, len: 4, ..sqe::write(fd(&file), &[], 0) }),
        ("readv", Sqe { addr, len: 1, ..sqe::readv(fd(&file), &[], 0) }),
        ("sendmsg", raw(Op::Sendmsg, fd(&a), addr, 1, 0)),
        ("recvmsg", raw(Op::Recvmsg, fd(&a), addr, 1, 0)),
        ("connect", sqe::connect(fd(&a), addr, 16)),
        ("timeout", raw(Op::Timeout, -1, addr, 1, 0)),
        ("openat", raw(Op::Openat, libc::AT_FDCWD, addr, 0, 0)),
        ("openat2", raw(Op::Openat2, libc::AT_FDCWD, addr, 24, addr)),
        ("statx", raw(Op::Statx, libc::AT_FDCWD, addr, 0x7ff, addr)),
        ("unlinkat", raw(Op::Unlinkat, libc::AT_FDCWD, addr, 0, 0)),
        ("files_update", raw(Op::FilesUpdate, -1, addr, 1, 0)),
        ("epoll_ctl", raw(Op::EpollCtl, fd(&file), addr, 1, 0)),
    ];
    for (name, entry) in entries {
        assert_eq!(ring.run_one(entry), EFAULT, "{name}");
    }
});

// Structures that end at the edge of forbidden memory are read up to the edge and no further.
ring_test!(structures_at_the_edge, |t| {
    let mut ring = t.ring(8)?;
    let pages = Mapping::anonymous(8192);
    let edge = Mapping::over(pages.at(4096), 4096);
    edge.protect(libc::PROT_NONE);
    pages.write(4096 - 16, timespec(ms(1)));
    let good = raw(Op::Timeout, -1, pages.at(4096 - 16), 1, 0);
    assert_eq!(ring.run_one(good), ETIME);
    let bad = raw(Op::Timeout, -1, pages.at(4096 - 8), 1, 0);
    assert_eq!(ring.run_one(bad), EFAULT);
    std::mem::forget(edge);
});

// A path without an end, longer than PATH_MAX: -ENAMETOOLONG.
ring_test!(endless_path, |t| {
    let mut ring = t.ring(8)?;
    let page = Mapping::anonymous(8192);
    page.fill(b'a');
    let open = raw(Op::Openat, libc::AT_FDCWD, page.at(0), 0, 0);
    assert_eq!(ring.run_one(open), -libc::ENAMETOOLONG);
});

// A completion queue whose head runs ahead never makes the engine write outside of it.
ring_test!(head_runs_ahead, |t| {
    let mut ring = t.ring(4)?;
    for head in [1000, u32::MAX, 1 << 31] {
        ring.set_cq_head(head);
        let room = ring.sq_room();
        (0..room).for_each(|i| ring.push(sqe::nop().data(u64::from(i))));
        let _ = ring.submit();
        let _ = ring.enter(0, 0, IORING_ENTER_GETEVENTS);
    }
    let mut other = t.ring(4)?;
    works(&mut other);
});

// All of a ring's shared memory is scribbled over by one thread while another submits to it, and a third
// has its own ring, file and pipe, where nothing goes wrong.
ring_test!(scribbled_beside_others, |t| {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let mut ring = t.ring(16)?;
    let mut other = t.ring(16)?;
    let stop = AtomicBool::new(false);
    let (shared, entries) = (ring.memory().len() as u64 / 4, ring.sqe_memory().len() as u64 / 4);
    std::thread::scope(|scope| {
        let (ring, stop, other) = (&mut ring, &stop, &mut other);
        scope.spawn(move || {
            let file = sys::file_with(&[7; 4096]);
            let (reader, mut writer) = sys::pipe();
            let (mut page, mut word) = ([0; 512], [0; 4]);
            let mut rounds = 0;
            while rounds < 300 {
                let read = sqe::read_stream(fd(&reader), &mut word).data(1);
                other.start(&[read, sqe::read(fd(&file), &mut page, 512).data(2).link()]);
                other.start(&[sqe::nop().data(3)]);
                writer.write_all(b"1234").expect("write");
                assert_eq!(by_data(&other.wait_n(3)), [(1, 4), (2, 512), (3, 0)]);
                assert_eq!((page, word), ([7; 512], *b"1234"));
                rounds += 1;
            }
            stop.store(true, Relaxed);
        });
        let mut noise = Noise(0xfeed);
        let ring = &*ring;
        scope.spawn(move || {
            while !stop.load(Relaxed) {
                let at = (noise.next() % shared) as u32 * 4;
                ring.memory().word(at).store(noise.next() as u32, Relaxed);
                let at = (noise.next() % entries) as u32 * 4;
                // Opcodes and addresses stay such that nothing of this process is named.
                ring.sqe_memory().word(at).store(noise.next() as u32 & 0x0101, Relaxed);
            }
        });
        while !stop.load(Relaxed) {
            let wait = GeteventsArg::default();
            let flags = IORING_ENTER_EXT_ARG;
            let _ = ring.enter_arg(16, 0, flags, &wait);
            let _ = ring.enter(0, 0, IORING_ENTER_GETEVENTS);
        }
    });
    works(&mut other);
});

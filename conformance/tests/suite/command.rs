//! URING_CMD on sockets, and EPOLL_WAIT.

use crate::prelude::*;

const SIOCINQ: u64 = 0;
const SIOCOUTQ: u64 = 1;
const GETSOCKOPT: u64 = 2;
const SETSOCKOPT: u64 = 3;

fn command(fd: i32, op: u64) -> Sqe {
    raw(Op::UringCmd, fd, 0, 0, op)
}

/// A command on a socket option.
fn option(fd: i32, op: u64, level: i32, name: i32, value: u64, len: u32) -> Sqe {
    let place = level as u64 | (name as u64) << 32;
    Sqe { addr: place, file_index: len, addr3: value, ..command(fd, op) }
}

// SIOCINQ and SIOCOUTQ tell what is queued.
ring_test!(queues, |t| {
    let mut ring = t.ring(8)?;
    let (mut a, b) = sys::tcp_pair();
    a.write_all(b"12345").expect("write");
    let deadline = Instant::now() + ms(5000);
    while ring.run_one(command(fd(&b), SIOCINQ)) != 5 {
        assert!(Instant::now() < deadline, "five bytes are queued");
    }
    assert_eq!(ring.run_one(command(fd(&b), SIOCOUTQ)), 0);
});

// GETSOCKOPT yields the length and writes the value.
ring_test!(get_option, |t| {
    let mut ring = t.ring(8)?;
    let (a, _b) = sys::tcp_pair();
    let mut kind = 0_i32;
    let entry =
        option(fd(&a), GETSOCKOPT, libc::SOL_SOCKET, libc::SO_TYPE, address_mut(&mut kind), 4);
    assert_eq!(ring.run_one(entry), 4);
    assert_eq!(std::hint::black_box(kind), libc::SOCK_STREAM);
    let level = option(fd(&a), GETSOCKOPT, libc::IPPROTO_TCP, 1, address_mut(&mut kind), 4);
    assert_eq!(ring.run_one(level), EOPNOTSUPP);
});

// SETSOCKOPT sets.
ring_test!(set_option, |t| {
    let mut ring = t.ring(8)?;
    let (a, _b) = sys::tcp_pair();
    let one = 1_i32;
    let (level, name) = (libc::SOL_SOCKET, libc::SO_KEEPALIVE);
    let entry = option(fd(&a), SETSOCKOPT, level, name, address(&one), 4);
    assert_eq!(ring.run_one(entry), 0);
    assert_eq!(sys::socket_option(fd(&a), level, name), 1);
    assert_eq!(ring.run_one(Sqe { addr3: BAD_ADDRESS, ..entry }), EFAULT);
});

// An unknown command, and one on what knows no commands, is -EOPNOTSUPP.
ring_test!(unknown, |t| {
    let mut ring = t.ring(8)?;
    let (a, _b) = sys::tcp_pair();
    assert_eq!(ring.run_one(command(fd(&a), 9999)), EOPNOTSUPP);
    let (reader, _writer) = sys::pipe();
    assert_eq!(ring.run_one(command(fd(&reader), SIOCINQ)), EOPNOTSUPP);
    assert_eq!(ring.run_one(command(-1, SIOCINQ)), EBADF);
});

// EPOLL_WAIT waits for events of an epoll set, and yields how many.
ring_test!(epoll_wait, |t| {
    let mut ring = t.ring(8)?;
    let set = sys::epoll();
    let (reader, mut writer) = sys::pipe();
    let event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 42 };
    let op = libc::EPOLL_CTL_ADD as u32;
    let add = raw(Op::EpollCtl, fd(&set), address(&event), op, fd(&reader) as u64);
    assert_eq!(ring.run_one(add), 0);
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 4];
    let wait = raw(Op::EpollWait, fd(&set), address_mut(&mut events), 4, 0);
    ring.start(&[wait.data(1)]);
    assert_eq!(ring.settle(ms(10)), []);
    writer.write_all(b"1").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 1)]);
    std::hint::black_box(&events);
    assert_eq!({ events[0].u64 }, 42);
});

// EPOLL_WAIT's errors: no epoll set, no room for events, a bad address.
ring_test!(epoll_wait_errors, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::memory_file();
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 4];
    let wait = raw(Op::EpollWait, fd(&file), address_mut(&mut events), 4, 0);
    assert_eq!(ring.run_one(wait), EINVAL);
    let set = sys::epoll();
    assert_eq!(ring.run_one(Sqe { fd: fd(&set), len: 0, ..wait }), EINVAL);
    assert_eq!(ring.run_one(Sqe { fd: -1, ..wait }), EBADF);
    assert_eq!(ring.run_one(Sqe { fd: fd(&set), off: 1, ..wait }), EINVAL);
});

// EPOLL_WAIT is cancelled while it waits, goes on over many events, and takes no more than asked.
ring_test!(epoll_wait_cancelled, |t| {
    let mut ring = t.ring(8)?;
    let set = sys::epoll();
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 1];
    let wait = raw(Op::EpollWait, fd(&set), address_mut(&mut events), 1, 0);
    ring.start(&[wait.data(1)]);
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, ECANCELED), (2, 0)]);
    let mut pipes = [sys::pipe(), sys::pipe()];
    for (reader, writer) in &mut pipes {
        let event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        let op = libc::EPOLL_CTL_ADD as u32;
        let add = raw(Op::EpollCtl, fd(&set), address(&event), op, fd(reader) as u64);
        assert_eq!(ring.run_one(add), 0);
        writer.write_all(b"1").expect("write");
    }
    assert_eq!(ring.run_one(wait), 1);
    assert_eq!(ring.run_one(Sqe { addr: BAD_ADDRESS, ..wait }), EFAULT);
});

// What is queued on sockets that do not tell, and on a listener.
ring_test!(queues_that_are_not_told, |t| {
    let mut ring = t.ring(8)?;
    let (a, _b) = sys::stream_pair();
    let listener = sys::listener();
    for op in [SIOCINQ, SIOCOUTQ] {
        assert_eq!(ring.run_one(command(fd(&a), op)), EOPNOTSUPP);
        assert_eq!(ring.run_one(command(fd(&listener), op)), EINVAL);
    }
});

// Flags that a command does not know, or that contradict each other.
ring_test!(refusals, |t| {
    let mut ring = t.ring(8)?;
    let (a, _b) = sys::tcp_pair();
    let queued = command(fd(&a), SIOCINQ);
    for entry in [
        queued.op_flags(1 << 2),
        queued.op_flags(1 << 1),
        queued.select(7),
        queued.select(7).op_flags(IORING_URING_CMD_FIXED),
        Sqe { off: SIOCINQ | 1 << 32, ..queued },
        queued.ioprio(1),
    ] {
        assert_eq!(ring.run_one(entry), EINVAL, "{entry:?}");
    }
});

const TX_TIMESTAMP: u64 = 4;
/// `SOF_TIMESTAMPING_TX_SOFTWARE`, `SOFTWARE`, `OPT_ID` and `OPT_TSONLY`.
const TIMES: i32 = 1 << 1 | 1 << 4 | 1 << 7 | 1 << 11;

// The times at which datagrams were sent come as wide completions, until a cancel.
ring_test!(send_times, |t| {
    times_on(t, &mut t.ring_with(8, IORING_SETUP_CQE32)?)?;
    let (a, _b) = sys::tcp_pair();
    assert_eq!(t.ring(8)?.run_one(command(fd(&a), TX_TIMESTAMP)), EINVAL);
});

// The same where wide completions stand among narrow ones.
ring_test!(send_times_among_others, |t| {
    times_on(t, &mut t.ring_with(8, IORING_SETUP_CQE_MIXED)?)?;
});

fn times_on(t: &dyn Target, ring: &mut Ring) -> Outcome {
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("bind");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bind");
    socket.connect(peer.local_addr().expect("address")).expect("connect");
    let times = address(&TIMES);
    let (level, name) = (libc::SOL_SOCKET, libc::SO_TIMESTAMPING);
    assert_eq!(ring.run_one(option(fd(&socket), SETSOCKOPT, level, name, times, 4)), 0);
    socket.send(b"1").expect("send");
    ring.start(&[command(fd(&socket), TX_TIMESTAMP).data(3)]);
    let first = ring.wait();
    t.needs_op("TX_TIMESTAMP", first.res)?;
    socket.send(b"2").expect("send");
    let second = ring.wait();
    for (id, cqe) in [first, second].into_iter().enumerate() {
        let wide =
            if ring.params.flags & IORING_SETUP_CQE_MIXED == 0 { 0 } else { IORING_CQE_F_32 };
        let wanted = Cqe { user_data: 3, res: id as i32, flags: IORING_CQE_F_MORE | wide };
        assert_eq!(cqe, wanted, "a time of kind SND, by the system");
    }
    ring.start(&[sqe::cancel(3, 0).data(4)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(3, ECANCELED), (4, 0)]);
    Ok(())
}

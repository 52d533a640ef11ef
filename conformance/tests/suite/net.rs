//! Sockets: accept, connect, send, receive, messages, and their making and shutting down.

use crate::prelude::*;
use std::net::{Shutdown, TcpStream};

// accept waits for a connection and gives its descriptor.
ring_test!(accept_waits, |t| {
    let mut ring = t.ring(8)?;
    let listener = sys::listener();
    ring.start(&[sqe::accept(fd(&listener), libc::SOCK_CLOEXEC).data(1)]);
    assert_eq!(ring.settle(ms(10)), []);
    let _client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    let accepted = sys::adopt(ring.wait().res);
    assert!(sys::is_cloexec(fd(&accepted)));
});

// accept fills in the peer's address and its length.
ring_test!(accept_tells_the_peer, |t| {
    let mut ring = t.ring(8)?;
    let listener = sys::listener();
    let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    let (mut peer, mut len) = ([0_u8; 16], 16_u32);
    let accept = sqe::accept(fd(&listener), 0);
    let accept = Sqe { addr: address_mut(&mut peer), off: address_mut(&mut len), ..accept };
    sys::adopt(ring.run_one(accept));
    let port = client.local_addr().expect("address").port();
    assert_eq!((len, [peer[2], peer[3]]), (16, port.to_be_bytes()));
});

// Errors of accept: not a socket, not listening, unknown flags, a bad address.
ring_test!(accept_errors, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::memory_file();
    assert_eq!(ring.run_one(sqe::accept(fd(&file), 0)), ENOTSOCK);
    let (a, _b) = sys::tcp_pair();
    assert_eq!(ring.run_one(sqe::accept(fd(&a), 0)), EINVAL);
    let listener = sys::listener();
    assert_eq!(ring.run_one(sqe::accept(fd(&listener), 1)), EINVAL);
    assert_eq!(ring.run_one(sqe::accept(fd(&listener), 0).ioprio(1 << 15)), EINVAL);
    assert_eq!(ring.run_one(Sqe { len: 1, ..sqe::accept(fd(&listener), 0) }), EINVAL);
});

// O_NONBLOCK on a listener: accept waits all the same.
ring_test!(accept_on_nonblocking_listener, |t| {
    let mut ring = t.ring(8)?;
    let listener = sys::listener();
    listener.set_nonblocking(true).expect("set");
    ring.start(&[sqe::accept(fd(&listener), 0).data(1)]);
    assert_eq!(ring.settle(ms(10)), []);
    let _client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    sys::adopt(ring.wait().res);
});

// ACCEPT_DONTWAIT gives -EAGAIN on a blocking listener too.
ring_test!(accept_dontwait, |t| {
    let mut ring = t.ring(8)?;
    let listener = sys::listener();
    let accept = sqe::accept(fd(&listener), 0).ioprio(IORING_ACCEPT_DONTWAIT);
    assert_eq!(ring.run_one(accept), EAGAIN);
});

// connect reaches a listener, and gives -ECONNREFUSED where there is none.
ring_test!(connect, |t| {
    let mut ring = t.ring(8)?;
    let listener = sys::listener();
    let address = sys::address_of(&listener);
    let socket = sys::adopt(ring.run_one(sqe::socket(libc::AF_INET, libc::SOCK_STREAM, 0)));
    let connect = |fd| sqe::connect(fd, address.as_ptr() as u64, 16);
    assert_eq!(ring.run_one(connect(fd(&socket))), 0);
    assert_eq!(ring.run_one(connect(fd(&socket))), Errno::EISCONN.as_result());
    drop(listener);
    let socket = sys::adopt(ring.run_one(sqe::socket(libc::AF_INET, libc::SOCK_STREAM, 0)));
    assert_eq!(ring.run_one(connect(fd(&socket))), -libc::ECONNREFUSED);
});

// Errors of connect: a bad address, a length too great, not a socket.
ring_test!(connect_errors, |t| {
    let mut ring = t.ring(8)?;
    let socket = sys::adopt(ring.run_one(sqe::socket(libc::AF_INET, libc::SOCK_STREAM, 0)));
    assert_eq!(ring.run_one(sqe::connect(fd(&socket), BAD_ADDRESS, 16)), EFAULT);
    let address = [0_u8; 256];
    let connect = |fd, len| sqe::connect(fd, address.as_ptr() as u64, len);
    assert_eq!(ring.run_one(connect(fd(&socket), 200)), EINVAL);
    let file = sys::memory_file();
    assert_eq!(ring.run_one(connect(fd(&file), 16)), ENOTSOCK);
    assert_eq!(ring.run_one(Sqe { len: 1, ..connect(fd(&socket), 16) }), EINVAL);
});

// The address is copied when the request is submitted.
ring_test!(connect_copies_the_address, |t| {
    let mut ring = t.ring(8)?;
    let listener = sys::listener();
    let mut address = sys::address_of(&listener);
    let socket = sys::adopt(ring.run_one(sqe::socket(libc::AF_INET, libc::SOCK_STREAM, 0)));
    let connect = sqe::connect(fd(&socket), address.as_ptr() as u64, 16);
    ring.start(&[connect.with(IOSQE_ASYNC)]);
    address.fill(0);
    std::hint::black_box(&address);
    assert_eq!(ring.wait().res, 0);
});

// send and receive on a connected pair.
ring_test!(send_and_receive, |t| {
    let mut ring = t.ring(8)?;
    let (a, b) = sys::tcp_pair();
    let mut buf = [0; 16];
    ring.start(&[sqe::recv(fd(&b), &mut buf, 0).data(1)]);
    assert_eq!(ring.settle(ms(10)), []);
    ring.start(&[sqe::send(fd(&a), b"over TCP", 0).data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, 8), (2, 8)]);
    assert_eq!(&buf[..8], b"over TCP");
});

// A receive gives 0 when the peer has shut down.
ring_test!(receive_at_the_end, |t| {
    let mut ring = t.ring(8)?;
    let (a, b) = sys::tcp_pair();
    let mut buf = [0; 4];
    ring.start(&[sqe::recv(fd(&b), &mut buf, 0)]);
    a.shutdown(Shutdown::Write).expect("shutdown");
    assert_eq!(ring.wait().res, 0);
});

// MSG_WAITALL waits for all of it.
ring_test!(receive_waits_for_all, |t| {
    let mut ring = t.ring(8)?;
    let (mut a, b) = sys::tcp_pair();
    let mut buf = [0; 8];
    ring.start(&[sqe::recv(fd(&b), &mut buf, libc::MSG_WAITALL).data(1)]);
    a.write_all(b"1234").expect("write");
    assert_eq!(ring.settle(ms(20)), []);
    a.write_all(b"5678").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 8)]);
    assert_eq!(&buf, b"12345678");
});

// MSG_WAITALL that the end cuts short breaks a chain.
ring_test!(cut_short_receive_breaks_a_chain, |t| {
    let mut ring = t.ring(8)?;
    let (mut a, b) = sys::tcp_pair();
    let mut buf = [0; 8];
    let receive = sqe::recv(fd(&b), &mut buf, libc::MSG_WAITALL);
    ring.start(&[receive.data(1).link(), sqe::nop().data(2)]);
    a.write_all(b"1234").expect("write");
    a.shutdown(Shutdown::Write).expect("shutdown");
    assert_eq!(pairs(&ring.wait_n(2)), [(1, 4), (2, ECANCELED)]);
});

// Without MSG_WAITALL a short receive does not break a chain.
ring_test!(short_receive_keeps_a_chain, |t| {
    let mut ring = t.ring(8)?;
    let (mut a, b) = sys::stream_pair();
    let mut buf = [0; 8];
    a.write_all(b"1234").expect("write");
    let cqes = ring.run(&[sqe::recv(fd(&b), &mut buf, 0).data(1).link(), sqe::nop().data(2)]);
    assert_eq!(pairs(&cqes), [(1, 4), (2, 0)]);
});

// MSG_PEEK leaves the data.
ring_test!(peek, |t| {
    let mut ring = t.ring(8)?;
    let (mut a, b) = sys::stream_pair();
    let mut buf = [0; 4];
    a.write_all(b"1234").expect("write");
    assert_eq!(ring.run_one(sqe::recv(fd(&b), &mut buf, libc::MSG_PEEK)), 4);
    assert_eq!(ring.run_one(sqe::recv(fd(&b), &mut buf, 0)), 4);
});

// MSG_DONTWAIT gives -EAGAIN at once; O_NONBLOCK too.
ring_test!(receive_without_waiting, |t| {
    let mut ring = t.ring(8)?;
    let (a, _b) = sys::stream_pair();
    let mut buf = [0; 4];
    assert_eq!(ring.run_one(sqe::recv(fd(&a), &mut buf, libc::MSG_DONTWAIT)), EAGAIN);
});

// O_NONBLOCK on a socket: the receive waits all the same.
ring_test!(nonblocking_socket_waits, |t| {
    let mut ring = t.ring(8)?;
    let (a, mut b) = sys::stream_pair();
    a.set_nonblocking(true).expect("set");
    let mut buf = [0; 4];
    ring.start(&[sqe::recv(fd(&a), &mut buf, 0).data(1)]);
    assert_eq!(ring.settle(ms(20)), []);
    b.write_all(b"1234").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
});

// RECVSEND_POLL_FIRST changes nothing that can be seen.
ring_test!(poll_first, |t| {
    let mut ring = t.ring(8)?;
    let (mut a, b) = sys::stream_pair();
    a.write_all(b"1234").expect("write");
    let receive = sqe::recv(fd(&b), &mut [0; 4], 0).ioprio(IORING_RECVSEND_POLL_FIRST);
    assert_eq!(ring.run_one(receive), 4);
    let send = sqe::send(fd(&b), b"5678", 0).ioprio(IORING_RECVSEND_POLL_FIRST);
    assert_eq!(ring.run_one(send), 4);
});

// Unknown ioprio flags of send and receive are refused.
ring_test!(unknown_flags, |t| {
    let mut ring = t.ring(8)?;
    let (a, _b) = sys::stream_pair();
    assert_eq!(ring.run_one(sqe::recv(fd(&a), &mut [0; 4], 0).ioprio(1 << 14)), EINVAL);
    assert_eq!(ring.run_one(sqe::send(fd(&a), b"1", 0).ioprio(1 << 14)), EINVAL);
});

// What is no socket gives -ENOTSOCK; a bad buffer -EFAULT; a lost peer -EPIPE.
ring_test!(send_errors, |t| {
    let mut ring = t.ring(8)?;
    let file = sys::memory_file();
    assert_eq!(ring.run_one(sqe::send(fd(&file), b"1", 0)), ENOTSOCK);
    assert_eq!(ring.run_one(sqe::recv(fd(&file), &mut [0], 0)), ENOTSOCK);
    let (a, b) = sys::stream_pair();
    let bad = Sqe { addr: BAD_ADDRESS, len: 4, ..sqe::send(fd(&a), b"", 0) };
    assert_eq!(ring.run_one(bad), EFAULT);
    drop(b);
    assert_eq!(ring.run_one(sqe::send(fd(&a), b"1", libc::MSG_NOSIGNAL)), EPIPE);
});

// A send to a full socket waits for room.
ring_test!(send_waits_for_room, |t| {
    let mut ring = t.ring(8)?;
    let (mut a, mut b) = sys::stream_pair();
    a.set_nonblocking(true).expect("set");
    while a.write(&[0; 4096]).is_ok() {}
    a.set_nonblocking(false).expect("set");
    ring.start(&[sqe::send(fd(&a), b"1234", 0).data(1)]);
    assert_eq!(ring.settle(ms(20)), []);
    b.set_nonblocking(true).expect("set");
    while b.read(&mut [0; 65536]).is_ok() {}
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
});

// A large send with MSG_WAITALL goes out whole.
ring_test!(large_send_goes_out_whole, |t| {
    let mut ring = t.ring(8)?;
    let (a, mut b) = sys::tcp_pair();
    let out = vec![7_u8; 4 << 20];
    let reader = std::thread::spawn(move || {
        let mut back = vec![0; 4 << 20];
        b.read_exact(&mut back).expect("read");
        back
    });
    assert_eq!(ring.run_one(sqe::send(fd(&a), &out, libc::MSG_WAITALL)), 4 << 20);
    assert!(reader.join().expect("join") == out);
});

/// A message of these parts.
fn message(iovecs: &[Iovec]) -> Msghdr {
    Msghdr { iov: iovecs.as_ptr() as u64, iovlen: iovecs.len() as u64, ..Msghdr::default() }
}

// sendmsg gathers and recvmsg scatters.
ring_test!(messages, |t| {
    let mut ring = t.ring(8)?;
    let (a, b) = sys::datagram_pair();
    let parts = [sqe::iovec(b"one "), sqe::iovec(b"two")];
    let out = message(&parts);
    assert_eq!(ring.run_one(sqe::sendmsg(fd(&a), &out, 0)), 7);
    let (mut x, mut y) = ([0; 2], [0; 8]);
    let parts = [sqe::iovec_mut(&mut x), sqe::iovec_mut(&mut y)];
    let mut back = message(&parts);
    assert_eq!(ring.run_one(sqe::recvmsg(fd(&b), &mut back, 0)), 7);
    assert_eq!((&x, &y[..5]), (b"on", &b"e two"[..]));
});

// recvmsg tells in msg_flags that the message was cut, and with MSG_TRUNC its real length.
ring_test!(cut_messages, |t| {
    let mut ring = t.ring(8)?;
    let (a, b) = sys::datagram_pair();
    a.send(b"12345678").expect("send");
    a.send(b"12345678").expect("send");
    let mut buf = [0; 4];
    let parts = [sqe::iovec_mut(&mut buf)];
    let mut back = message(&parts);
    assert_eq!(ring.run_one(sqe::recvmsg(fd(&b), &mut back, 0)), 4);
    std::hint::black_box(&mut back);
    assert_eq!(back.flags & libc::MSG_TRUNC as u32, libc::MSG_TRUNC as u32);
    assert_eq!(ring.run_one(sqe::recvmsg(fd(&b), &mut back, libc::MSG_TRUNC)), 8);
});

// The message and its vectors are copied when the request is submitted.
ring_test!(messages_are_copied, |t| {
    let mut ring = t.ring(8)?;
    let (a, b) = sys::datagram_pair();
    let mut buf = [0; 8];
    let mut parts = [sqe::iovec_mut(&mut buf)];
    let mut back = message(&parts);
    ring.start(&[sqe::recvmsg(fd(&b), &mut back, 0).data(1)]);
    parts[0] = Iovec::default();
    std::hint::black_box(&parts);
    a.send(b"1234").expect("send");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
    assert_eq!(&buf[..4], b"1234");
});

// Bad pointers in a message: its own address, its vectors, its buffers.
ring_test!(bad_messages, |t| {
    let mut ring = t.ring(8)?;
    let (a, b) = sys::datagram_pair();
    let mut good = message(&[]);
    let receive = sqe::recvmsg(fd(&b), &mut good, 0);
    assert_eq!(ring.run_one(Sqe { addr: BAD_ADDRESS, ..receive }), EFAULT);
    let mut no_vectors = Msghdr { iov: BAD_ADDRESS, iovlen: 1, ..Msghdr::default() };
    assert_eq!(ring.run_one(sqe::recvmsg(fd(&b), &mut no_vectors, 0)), EFAULT);
    let mut many = Msghdr { iovlen: 1025, ..no_vectors };
    let too_many = Errno::EMSGSIZE.as_result();
    assert_eq!(ring.run_one(sqe::recvmsg(fd(&b), &mut many, 0)), too_many);
    a.send(b"1234").expect("send");
    let parts = [Iovec { base: BAD_ADDRESS, len: 4 }];
    let mut bad_buffer = message(&parts);
    assert_eq!(ring.run_one(sqe::recvmsg(fd(&b), &mut bad_buffer, 0)), EFAULT);
});

// Descriptors pass over a socket in the control data.
ring_test!(control_data_passes_descriptors, |t| {
    let mut ring = t.ring(8)?;
    let (a, b) = sys::stream_pair();
    let file = sys::file_with(b"1234");
    let mut control = [0_u64; 3];
    control[0] = 20;
    control[1] = libc::SOL_SOCKET as u64 | (libc::SCM_RIGHTS as u64) << 32;
    control[2] = fd(&file) as u64;
    let parts = [sqe::iovec(b"x")];
    let out = Msghdr { control: address(&control), controllen: 24, ..message(&parts) };
    assert_eq!(ring.run_one(sqe::sendmsg(fd(&a), &out, 0)), 1);
    let mut buf = [0; 1];
    let parts = [sqe::iovec_mut(&mut buf)];
    let mut received = [0_u64; 3];
    let control = address_mut(&mut received);
    let mut back = Msghdr { control, controllen: 24, ..message(&parts) };
    assert_eq!(ring.run_one(sqe::recvmsg(fd(&b), &mut back, libc::MSG_CMSG_CLOEXEC)), 1);
    std::hint::black_box(&mut back);
    assert!(back.controllen >= 20);
    let passed = sys::adopt(received[2] as u32 as i32);
    assert_eq!(ring.run_one(sqe::read(fd(&passed), &mut [0; 4], 0)), 4);
});

// socket makes sockets; a bad family or kind is an error.
ring_test!(make_a_socket, |t| {
    let mut ring = t.ring(8)?;
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    let socket = sys::adopt(ring.run_one(sqe::socket(libc::AF_INET, kind, 0)));
    assert!(sys::is_cloexec(fd(&socket)));
    let got = ring.run_one(sqe::socket(9999, libc::SOCK_STREAM, 0));
    assert_eq!(got, -libc::EAFNOSUPPORT);
    let unknown = sqe::socket(libc::AF_INET, libc::SOCK_STREAM, 0).op_flags(1);
    assert_eq!(ring.run_one(unknown), EINVAL);
});

// bind and listen make a listener out of a socket.
ring_test!(bind_and_listen, |t| {
    let mut ring = t.ring(8)?;
    let socket = sys::adopt(ring.run_one(sqe::socket(libc::AF_INET, libc::SOCK_STREAM, 0)));
    let mut any = [0_u8; 16];
    any[0] = libc::AF_INET as u8;
    any[4..8].copy_from_slice(&[127, 0, 0, 1]);
    let bind = raw(Op::Bind, fd(&socket), any.as_ptr() as u64, 0, 16);
    let got = t.needs_op("BIND", ring.run_one(bind))?;
    assert_eq!(got, 0);
    assert_eq!(ring.run_one(raw(Op::Listen, fd(&socket), 0, 4, 0)), 0);
    let listener = std::net::TcpListener::from(socket);
    TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
});

// bind's errors: a bad address, an address in use, not a socket.
ring_test!(bind_errors, |t| {
    let mut ring = t.ring(8)?;
    let listener = sys::listener();
    let taken = sys::address_of(&listener);
    let socket = sys::adopt(ring.run_one(sqe::socket(libc::AF_INET, libc::SOCK_STREAM, 0)));
    let bind = |fd, addr| raw(Op::Bind, fd, addr, 0, 16);
    let in_use = t.needs_op("BIND", ring.run_one(bind(fd(&socket), taken.as_ptr() as u64)))?;
    assert_eq!(in_use, -libc::EADDRINUSE);
    assert_eq!(ring.run_one(bind(fd(&socket), BAD_ADDRESS)), EFAULT);
    let file = sys::memory_file();
    let got = ring.run_one(bind(fd(&file), taken.as_ptr() as u64));
    assert_eq!(got, ENOTSOCK);
});

// shutdown ends one direction.
ring_test!(shutdown, |t| {
    let mut ring = t.ring(8)?;
    let (a, mut b) = sys::stream_pair();
    let shutdown = |fd, how: i32| raw(Op::Shutdown, fd, 0, how as u32, 0);
    assert_eq!(ring.run_one(shutdown(fd(&a), libc::SHUT_WR)), 0);
    assert_eq!(b.read(&mut [0; 4]).expect("read"), 0);
    assert_eq!(ring.run_one(shutdown(fd(&a), 99)), EINVAL);
    let file = sys::memory_file();
    assert_eq!(ring.run_one(shutdown(fd(&file), 0)), ENOTSOCK);
});

// shutdown wakes a waiting receive, which then gives 0.
ring_test!(shutdown_wakes_a_receive, |t| {
    let mut ring = t.ring(8)?;
    let (a, _b) = sys::stream_pair();
    let mut buf = [0; 4];
    ring.start(&[sqe::recv(fd(&a), &mut buf, 0).data(1)]);
    assert_eq!(ring.settle(ms(5)), []);
    a.shutdown(Shutdown::Both).expect("shutdown");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 0)]);
});

// An echo server and its clients on one ring: every byte comes back.
ring_test!(echo, |t| {
    let mut ring = t.ring(64)?;
    let pairs_of_sockets: Vec<_> = (0..16).map(|_| sys::stream_pair()).collect();
    let mut bufs = vec![[0_u8; 8]; 16];
    for round in 0..50_u8 {
        for (i, ((client, server), buf)) in pairs_of_sockets.iter().zip(&mut bufs).enumerate() {
            (&*client).write_all(&[round, i as u8]).expect("write");
            let receive = sqe::recv(fd(server), &mut buf[..2], 0).data(i as u64 * 2);
            ring.push(receive);
        }
        assert_eq!(ring.submit(), Ok(16));
        for cqe in ring.wait_n(16) {
            assert_eq!(cqe.res, 2);
            let i = cqe.user_data as usize / 2;
            ring.push(sqe::send(fd(&pairs_of_sockets[i].1), &bufs[i][..2], 0));
        }
        assert_eq!(ring.submit(), Ok(16));
        assert!(ring.wait_n(16).iter().all(|cqe| cqe.res == 2));
        for (i, (client, _)) in pairs_of_sockets.iter().enumerate() {
            let mut back = [0; 2];
            (&*client).read_exact(&mut back).expect("read");
            assert_eq!(back, [round, i as u8]);
        }
    }
});

// What is no socket is refused before readiness is waited for, and before a buffer is taken.
ring_test!(no_socket_before_all_else, |t| {
    let mut ring = t.ring(8)?;
    let ((reader, writer), mut buf) = (sys::pipe(), [0; 4]);
    let directory = std::fs::File::open("/").expect("open a directory");
    let mut message = Msghdr::default();
    let sent = message;
    for fd in [fd(&reader), fd(&writer), fd(&directory)] {
        let transfers = [
            sqe::send(fd, b"1", 0),
            sqe::recv(fd, &mut buf, 0),
            sqe::sendmsg(fd, &sent, 0),
            sqe::recvmsg(fd, &mut message, 0),
        ];
        for transfer in transfers {
            // A RECV waits for any file, and looks then.
            if transfer.opcode != Op::Recv as u8 {
                let first = transfer.ioprio(IORING_RECVSEND_POLL_FIRST);
                assert_eq!(ring.run_one(first), ENOTSOCK, "{first:?}");
            }
            let takes = transfer.opcode != Op::Sendmsg as u8;
            let chosen = if takes { transfer.select(77) } else { transfer };
            assert_eq!(ring.run_one(chosen), ENOTSOCK, "{chosen:?}");
        }
    }
    let waits = |fd, buf: &mut [u8; 4]| sqe::recv(fd, buf, 0).ioprio(IORING_RECVSEND_POLL_FIRST);
    assert_eq!(ring.run_one(waits(fd(&directory), &mut buf)), EAGAIN);
    ring.start(&[waits(fd(&reader), &mut buf)]);
    assert_eq!(ring.settle(ms(10)), []);
    (&writer).write_all(b"1").expect("write");
    t.after_call();
    assert_eq!(ring.wait().res, ENOTSOCK);
});

// SOCK_NONEMPTY tells of more that waits: connections to accept, bytes to receive.
ring_test!(more_is_waiting, |t| {
    let mut ring = t.ring(8)?;
    let listener = sys::listener();
    let address = listener.local_addr().expect("address");
    let mut clients: Vec<_> =
        (0..2).map(|_| std::net::TcpStream::connect(address).expect("connect")).collect();
    let more = |cqe: &Cqe| cqe.flags & IORING_CQE_F_SOCK_NONEMPTY != 0;
    let accept = sqe::accept(fd(&listener), 0);
    let first = ring.run(&[accept])[0];
    let _peer = sys::adopt(first.res);
    assert!(more(&first), "{first:?}");
    let second = sys::adopt(ring.run_one(accept.ioprio(IORING_ACCEPT_POLL_FIRST)));
    clients[1].write_all(b"123456").expect("write");
    let mut buf = [0; 4];
    let receive = sqe::recv(fd(&second), &mut buf, 0);
    let deadline = Instant::now() + ms(5000);
    while ring.run_one(Sqe { op_flags: libc::MSG_PEEK as u32, ..receive }) != 4 {
        assert!(Instant::now() < deadline, "bytes arrive");
    }
    let parts = [0, 1].map(|_| ring.run(&[receive])[0]);
    assert_eq!(parts.map(|part| part.res), [4, 2]);
    assert_eq!(parts.map(|part| more(&part)), [true, false]);
});

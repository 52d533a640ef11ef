//! What lives how long: rings, files of requests, threads, memory.

use crate::prelude::*;

/// A ring that registers and closes: an engine keeps what it makes once in a process.
fn warm_up(t: &dyn Target) -> ringfence_conformance::Outcome {
    let ring = t.ring(8)?;
    let event = sys::eventfd();
    assert_eq!(ring.register(RegisterOp::Eventfd, &[fd(&event)]), Ok(0));
    Ok(())
}

// Closing the ring lets go of the files of its pending requests.
ring_test!(closing_lets_go_of_files, |t| {
    let mut ring = t.ring(8)?;
    let (reader, writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf)]);
    t.close(sys::release(reader)).expect("close");
    assert_eq!(t.poll(fd(&writer), libc::POLLERR, 0), Ok(0), "the request keeps the reader");
    drop(ring);
    eventually("the reader is let go", || t.poll(fd(&writer), libc::POLLERR, 0) != Ok(0));
});

// Closing the ring lets go of its registered files.
ring_test!(closing_lets_go_of_registered_files, |t| {
    let ring = t.ring(8)?;
    let (reader, writer) = sys::pipe();
    assert_eq!(ring.register(RegisterOp::Files, &[fd(&reader)]), Ok(0));
    drop(reader);
    assert_eq!(t.poll(fd(&writer), libc::POLLERR, 0), Ok(0), "the table keeps the reader");
    drop(ring);
    eventually("the reader is let go", || t.poll(fd(&writer), libc::POLLERR, 0) != Ok(0));
});

// A request's file is let go before its completion is seen.
ring_test!(file_is_let_go_before_the_completion, |t| {
    let mut ring = t.ring(8)?;
    for _ in 0..100 {
        let (reader, mut writer) = sys::pipe();
        let mut buf = [0; 1];
        ring.start(&[sqe::read_stream(fd(&reader), &mut buf)]);
        t.close(sys::release(reader)).expect("close");
        writer.write_all(b"1").expect("write");
        assert_eq!(ring.wait().res, 1);
        assert_ne!(t.poll(fd(&writer), libc::POLLERR, 0), Ok(0), "the reader is gone");
    }
});

// A read goes on although both ends of its pipe are closed: it sees the end.
ring_test!(both_ends_closed, |t| {
    let mut ring = t.ring(8)?;
    let (reader, writer) = sys::pipe();
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    t.close(sys::release(reader)).expect("close");
    t.close(sys::release(writer)).expect("close");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 0)]);
});

// A number that is reused after a close does not confuse the pending request.
ring_test!(number_is_reused, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let mut buf = [0; 4];
    let number = sys::release(reader);
    ring.start(&[sqe::read_stream(number, &mut buf).data(1)]);
    t.close(number).expect("close");
    let (other, mut other_writer) = sys::pipe();
    assert_eq!(fd(&other), number, "the number is used again");
    other_writer.write_all(b"bad!").expect("write");
    assert_eq!(ring.settle(ms(10)), []);
    writer.write_all(b"good").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 4)]);
    assert_eq!(&buf, b"good");
});

// The same for reads of what is not in memory. With `IOSQE_ASYNC` the kernel looks the file up on its
// worker, so that there the number may be closed, or another's, by then.
ring_test!(number_is_reused_while_reading, |t| {
    const BLOCKS: usize = 64;
    let mut ring = t.ring(BLOCKS as u32)?;
    for seed in 1..9 {
        let number = sys::release(sys::cold_file(seed, BLOCKS));
        let mut bufs = [[0; 4096]; BLOCKS];
        let reads: Vec<Sqe> =
            (0..).zip(&mut bufs).map(|(n, buf)| sqe::read(number, buf, n * 4096).data(n)).collect();
        ring.start(&reads);
        t.close(number).expect("close");
        let other = sys::file_with(&[0xee; 4096 * BLOCKS]);
        assert_eq!(fd(&other), number, "the number is used again");
        let results: Vec<i32> = ring.wait_n(BLOCKS).iter().map(|cqe| cqe.res).collect();
        assert_eq!(results, [4096; BLOCKS], "seed {seed}");
        for (index, buf) in bufs.iter().enumerate() {
            assert!(*buf == sys::cold_block(seed, index), "block {index} holds {}", buf[0]);
        }
    }
});

// The mapping keeps the ring alive when its last descriptor is closed: requests still complete.
ring_test!(mapping_keeps_the_ring, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(1)]);
    t.close(ring.fd).expect("close");
    ring.fd = -1;
    writer.write_all(b"1").expect("write");
    eventually("the poll completes", || ring.ready() == 1);
    assert_eq!(pairs(&ring.cqes()), [(1, i32::from(libc::POLLIN))]);
});

// Rings made and dropped leave no descriptor and no thread behind.
ring_test!(rings_leave_nothing, |t| {
    drop(t.ring(8)?);
    let (fds, threads) = (sys::fd_count(), sys::thread_count());
    for _ in 0..2000 {
        let mut ring = t.ring(8)?;
        ring.run(&[sqe::nop()]);
    }
    eventually("no descriptor is left", || sys::fd_count() <= fds);
    eventually("no thread is left", || sys::thread_count() <= threads);
});

// Rings dropped with requests pending leave nothing either.
ring_test!(busy_rings_leave_nothing, |t| {
    warm_up(t)?;
    let (reader, _writer) = sys::pipe();
    let fds = sys::fd_count();
    let far = timespec(ms(3_600_000));
    for _ in 0..200 {
        let mut ring = t.ring(8)?;
        let mut buf = [0; 4];
        ring.start(&[
            sqe::read_stream(fd(&reader), &mut buf),
            sqe::poll_add(fd(&reader), libc::POLLIN),
            sqe::timeout(&far, 0, 0),
            sqe::nop().link(),
            sqe::poll_add(fd(&reader), libc::POLLIN),
        ]);
    }
    eventually("no descriptor is left", || sys::fd_count() <= fds);
});

// While nothing blocks no thread is made: cached reads, writes to pipes, an echo.
ring_test!(no_threads_while_nothing_blocks, |t| {
    let mut ring = t.ring(8)?;
    let threads = sys::thread_count();
    let file = sys::file_with(&[1; 65536]);
    let (mut a, b) = sys::stream_pair();
    let mut buf = [0; 512];
    for i in 0..500 {
        assert_eq!(ring.run_one(sqe::read(fd(&file), &mut buf, i * 100)), 512);
        a.write_all(b"echo").expect("write");
        assert_eq!(ring.run_one(sqe::recv(fd(&b), &mut buf, 0)), 4);
        assert_eq!(ring.run_one(sqe::send(fd(&b), &buf[..4], 0)), 4);
        a.read_exact(&mut [0; 4]).expect("read");
    }
    assert_eq!(sys::thread_count(), threads);
});

// Requests of a thread that ends stay, and are cancelled when their time comes.
ring_test!(thread_ends, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    let number = fd(&reader);
    sys::on_thread(|| ring.start(&[sqe::poll_add(number, libc::POLLIN).data(1)]));
    assert_eq!(ring.settle(ms(10)), []);
    writer.write_all(b"1").expect("write");
    assert_eq!(pairs(&ring.wait_n(1)), [(1, ECANCELED)]);
});

// The registered eventfd is let go with the ring.
ring_test!(closing_lets_go_of_the_eventfd, |t| {
    warm_up(t)?;
    let ring = t.ring(8)?;
    let (reader, writer) = sys::pipe();
    drop(reader);
    let before = sys::fd_count();
    let event = sys::eventfd();
    assert_eq!(ring.register(RegisterOp::Eventfd, &[fd(&event)]), Ok(0));
    drop(event);
    drop(ring);
    eventually("all is let go", || sys::fd_count() < before);
    drop(writer);
});

// A ring is used by a thread other than the one that made it.
ring_test!(passed_to_another_thread, |t| {
    let mut ring = t.ring(8)?;
    sys::on_thread(move || {
        assert_eq!(ring.run_one(sqe::nop()), 0);
    });
});

// Many rings at once, each with its own requests.
ring_test!(many_rings_at_once, |t| {
    let mut rings = Vec::new();
    for _ in 0..100 {
        rings.push(t.ring(4)?);
    }
    let (reader, mut writer) = sys::pipe();
    for (data, ring) in (0..).zip(&mut rings) {
        ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN).data(data)]);
    }
    writer.write_all(b"1").expect("write");
    for (data, ring) in (0..).zip(&mut rings) {
        assert_eq!(pairs(&ring.wait_n(1)), [(data, i32::from(libc::POLLIN))]);
    }
});

// A ring's descriptor cannot be sent over a socket: -EINVAL.
ring_test!(descriptor_cannot_be_sent, |t| {
    let mut ring = t.ring(8)?;
    let (a, _b) = sys::stream_pair();
    let mut control = [20_u64, 0, 0];
    control[1] = libc::SOL_SOCKET as u64 | (libc::SCM_RIGHTS as u64) << 32;
    control[2] = ring.fd as u64;
    let parts = [sqe::iovec(b"x")];
    let message = Msghdr {
        iov: address(&parts),
        iovlen: 1,
        control: address(&control),
        controllen: 24,
        ..Msghdr::default()
    };
    assert_eq!(ring.run_one(sqe::sendmsg(fd(&a), &message, 0)), EINVAL);
});

// Requests in flight beyond the size of the queues: thousands of polls, all of them fire.
ring_test!(thousands_in_flight, |t| {
    let mut ring = t.ring(128)?;
    let pipes: Vec<_> = (0..64).map(|_| sys::pipe()).collect();
    for round in 0..64 {
        let sqes: Vec<Sqe> = (0..64)
            .map(|i| sqe::poll_add(fd(&pipes[i].0), libc::POLLIN).data(round * 64 + i as u64))
            .collect();
        ring.start(&sqes);
    }
    for pipe in &pipes {
        (&pipe.1).write_all(b"1").expect("write");
    }
    let mut data: Vec<u64> = ring.wait_n(4096).iter().map(|cqe| cqe.user_data).collect();
    data.sort_unstable();
    assert_eq!(data, (0..4096).collect::<Vec<u64>>());
});

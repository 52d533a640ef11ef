//! Waiting in `io_uring_enter`: counts, timeouts, signals, the extended argument.

use crate::prelude::*;

const GETEVENTS: u32 = IORING_ENTER_GETEVENTS;

// A wait returns when there are as many completions as it asked for.
ring_test!(until_enough, |t| {
    let mut ring = t.ring(8)?;
    let ts = timespec(ms(20));
    ring.start(&[sqe::nop(), sqe::timeout(&ts, 0, 0)]);
    assert_eq!(ring.enter(0, 2, GETEVENTS), Ok(0));
    assert_eq!(ring.ready(), 2);
});

// Completions that stand there already count.
ring_test!(those_there_count, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[sqe::nop(), sqe::nop()]);
    assert_eq!(ring.enter(0, 2, GETEVENTS), Ok(0));
});

// The timeout of the extended argument ends the wait with -ETIME, and not too early.
ring_test!(timeout, |t| {
    let ring = t.ring(8)?;
    let start = Instant::now();
    assert_eq!(ring.enter_for(0, 1, GETEVENTS, ms(30)), Err(Errno::ETIME));
    assert!(start.elapsed() >= ms(30), "after {:?}", start.elapsed());
});

// What was submitted wins over -ETIME.
ring_test!(submitted_count_wins_over_timeout, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    ring.push(sqe::poll_add(fd(&reader), libc::POLLIN));
    ring.flush();
    assert_eq!(ring.enter_for(1, 1, GETEVENTS, ms(20)), Ok(1));
});

// With some completions, but fewer than wanted, a timeout gives 0.
ring_test!(timeout_with_some_completions, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[sqe::nop(), sqe::nop()]);
    assert_eq!(ring.enter_for(0, 3, GETEVENTS, ms(20)), Ok(0));
});

// A timeout of zero does not wait.
ring_test!(timeout_of_zero, |t| {
    let ring = t.ring(8)?;
    assert_eq!(ring.enter_for(0, 1, GETEVENTS, ms(0)), Err(Errno::ETIME));
});

// A signal ends the wait with -EINTR, and its handler has run.
ring_test!(signal, |t| {
    let ring = t.ring(8)?;
    sys::catch_signal(libc::SIGUSR1, 0);
    let helper = sys::signal_me_after(libc::SIGUSR1, ms(30));
    assert_eq!(ring.enter_for(0, 1, GETEVENTS, ms(5000)), Err(Errno::EINTR));
    assert_eq!(sys::SIGNALS.load(std::sync::atomic::Ordering::SeqCst), 1);
    helper.join().expect("join");
});

// SA_RESTART does not restart the wait.
ring_test!(signal_with_restart, |t| {
    let ring = t.ring(8)?;
    sys::catch_signal(libc::SIGUSR1, libc::SA_RESTART);
    let helper = sys::signal_me_after(libc::SIGUSR1, ms(30));
    assert_eq!(ring.enter_for(0, 1, GETEVENTS, ms(5000)), Err(Errno::EINTR));
    helper.join().expect("join");
});

// The same without an extended argument.
ring_test!(signal_in_a_plain_wait, |t| {
    let ring = t.ring(8)?;
    sys::catch_signal(libc::SIGUSR1, libc::SA_RESTART);
    let helper = sys::signal_me_after(libc::SIGUSR1, ms(30));
    assert_eq!(ring.enter(0, 1, GETEVENTS), Err(Errno::EINTR));
    helper.join().expect("join");
});

// With some completions, but fewer than wanted, a signal gives 0.
ring_test!(signal_with_some_completions, |t| {
    let mut ring = t.ring(8)?;
    sys::catch_signal(libc::SIGUSR1, 0);
    ring.start(&[sqe::nop(), sqe::nop()]);
    let helper = sys::signal_me_after(libc::SIGUSR1, ms(30));
    assert_eq!(ring.enter_for(0, 3, GETEVENTS, ms(5000)), Ok(0));
    helper.join().expect("join");
});

// What was submitted wins over -EINTR.
ring_test!(submitted_count_wins_over_signal, |t| {
    let mut ring = t.ring(8)?;
    let (reader, _writer) = sys::pipe();
    sys::catch_signal(libc::SIGUSR1, 0);
    ring.push(sqe::poll_add(fd(&reader), libc::POLLIN));
    ring.flush();
    let helper = sys::signal_me_after(libc::SIGUSR1, ms(30));
    assert_eq!(ring.enter_for(1, 1, GETEVENTS, ms(5000)), Ok(1));
    helper.join().expect("join");
});

/// A signal set that blocks one signal, as the kernel has it.
fn mask_of(signal: i32) -> u64 {
    1 << (signal - 1)
}

// The mask of the extended argument holds for the wait: a signal it blocks does not end it.
ring_test!(mask_blocks_a_signal, |t| {
    let ring = t.ring(8)?;
    sys::catch_signal(libc::SIGUSR1, 0);
    let (mask, ts) = (mask_of(libc::SIGUSR1), timespec(ms(100)));
    let arg = GeteventsArg {
        sigmask: address(&mask),
        sigmask_sz: 8,
        ts: address(&ts),
        ..GeteventsArg::default()
    };
    let helper = sys::signal_me_after(libc::SIGUSR1, ms(20));
    assert_eq!(ring.enter_arg(0, 1, GETEVENTS, &arg), Err(Errno::ETIME));
    helper.join().expect("join");
    let count = sys::SIGNALS.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(count, 1, "delivered once the wait is over");
});

// A mask that lets in what the thread blocks: the signal comes in during the wait only.
ring_test!(mask_lets_a_signal_in, |t| {
    let ring = t.ring(8)?;
    sys::catch_signal(libc::SIGUSR1, 0);
    sys::mask_signal(libc::SIGUSR1, true);
    let (mask, ts) = (0_u64, timespec(ms(5000)));
    let arg = GeteventsArg {
        sigmask: address(&mask),
        sigmask_sz: 8,
        ts: address(&ts),
        ..GeteventsArg::default()
    };
    let helper = sys::signal_me_after(libc::SIGUSR1, ms(20));
    assert_eq!(ring.enter_arg(0, 1, GETEVENTS, &arg), Err(Errno::EINTR));
    assert_eq!(sys::SIGNALS.load(std::sync::atomic::Ordering::SeqCst), 1);
    helper.join().expect("join");
});

// Without EXT_ARG the argument is the mask itself, and the size its size.
ring_test!(plain_mask_argument, |t| {
    let mut ring = t.ring(8)?;
    let (mask, ring_fd) = (0_u64, ring.fd);
    let enter = |arg, size| t.enter(ring_fd, 0, 1, GETEVENTS, arg, size);
    assert_eq!(enter(address(&mask), 4), Err(Errno::EINVAL));
    assert_eq!(enter(BAD_ADDRESS, 8), Err(Errno::EFAULT));
    ring.start(&[sqe::nop()]);
    assert_eq!(enter(address(&mask), 8), Ok(0));
});

// The extended argument's own errors: its size, its address, the mask's size and address, the time.
ring_test!(bad_extended_argument, |t| {
    let ring = t.ring(8)?;
    let good = GeteventsArg::default();
    let flags = GETEVENTS | IORING_ENTER_EXT_ARG;
    let enter = |arg, size| t.enter(ring.fd, 0, 1, flags, arg, size);
    assert_eq!(enter(address(&good), 16), Err(Errno::EINVAL));
    assert_eq!(enter(BAD_ADDRESS, 24), Err(Errno::EFAULT));
    let mask = 0_u64;
    let bad_size = GeteventsArg { sigmask: address(&mask), sigmask_sz: 4, ..good };
    assert_eq!(enter(address(&bad_size), 24), Err(Errno::EINVAL));
    let bad_mask = GeteventsArg { sigmask: BAD_ADDRESS, sigmask_sz: 8, ..good };
    assert_eq!(enter(address(&bad_mask), 24), Err(Errno::EFAULT));
    let bad_time = GeteventsArg { ts: BAD_ADDRESS, ..good };
    assert_eq!(enter(address(&bad_time), 24), Err(Errno::EFAULT));
});

// A submission takes place although the argument for the wait is bad.
ring_test!(bad_argument_after_submission, |t| {
    let mut ring = t.ring(8)?;
    ring.push(sqe::nop().data(1));
    ring.flush();
    let flags = GETEVENTS | IORING_ENTER_EXT_ARG;
    assert_eq!(t.enter(ring.fd, 1, 1, flags, BAD_ADDRESS, 24), Ok(1));
    assert_eq!(pairs(&ring.cqes()), [(1, 0)]);
});

// An absolute timeout counts on the monotonic clock.
ring_test!(absolute_timeout, |t| {
    let ring = t.ring(8)?;
    let until = sys::clock(libc::CLOCK_MONOTONIC) + ms(30);
    let flags = GETEVENTS | IORING_ENTER_ABS_TIMER;
    assert_eq!(ring.enter_for(0, 1, flags, until), Err(Errno::ETIME));
    assert!(sys::clock(libc::CLOCK_MONOTONIC) >= until);
    let start = Instant::now();
    assert_eq!(ring.enter_for(0, 1, flags, ms(1)), Err(Errno::ETIME));
    assert!(start.elapsed() < ms(2000));
});

// The ring's clock can be chosen: monotonic or boot time, nothing else.
ring_test!(clock_choice, |t| {
    let ring = t.ring(8)?;
    let choose = |clockid| {
        let mut clock = ClockRegister { clockid, ..ClockRegister::default() };
        ring.register_mut(RegisterOp::Clock, &mut clock, 0)
    };
    assert_eq!(choose(libc::CLOCK_REALTIME as u32), Err(Errno::EINVAL));
    assert_eq!(choose(libc::CLOCK_BOOTTIME as u32), Ok(0));
    let until = sys::clock(libc::CLOCK_BOOTTIME) + ms(20);
    let flags = GETEVENTS | IORING_ENTER_ABS_TIMER;
    assert_eq!(ring.enter_for(0, 1, flags, until), Err(Errno::ETIME));
    assert!(sys::clock(libc::CLOCK_BOOTTIME) >= until);
    assert_eq!(choose(libc::CLOCK_MONOTONIC as u32), Ok(0));
});

/// Waits for `want` with a minimum wait, and tells the result and how long it took.
fn min_wait(ring: &Ring, want: u32, min: Duration, all: Duration) -> (Result<u32>, Duration) {
    let ts = timespec(all);
    let arg = GeteventsArg {
        min_wait_usec: min.as_micros() as u32,
        ts: address(&ts),
        ..GeteventsArg::default()
    };
    let start = Instant::now();
    (ring.enter_arg(0, want, GETEVENTS, &arg), start.elapsed())
}

// Minimum wait: with one completion it returns when the minimum is over.
ring_test!(minimum_wait_with_one, |t| {
    let mut ring = t.ring_with(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)?;
    ring.start(&[sqe::nop()]);
    let (got, took) = min_wait(&ring, 4, ms(30), ms(3000));
    assert_eq!(got, Ok(0));
    assert!(took >= ms(25) && took < ms(2000), "{took:?}");
});

// Minimum wait: enough completions end it at once.
ring_test!(minimum_wait_with_enough, |t| {
    let mut ring = t.ring_with(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)?;
    ring.start(&[sqe::nop(), sqe::nop()]);
    let (got, took) = min_wait(&ring, 2, ms(1000), ms(3000));
    assert_eq!(got, Ok(0));
    assert!(took < ms(900), "{took:?}");
});

// Minimum wait: with none it goes on to the full time, and returns on the first.
ring_test!(minimum_wait_with_none, |t| {
    let mut ring = t.ring_with(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)?;
    let (got, took) = min_wait(&ring, 4, ms(10), ms(60));
    assert_eq!(got, Err(Errno::ETIME));
    assert!(took >= ms(55), "{took:?}");
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN)]);
    let helper = std::thread::spawn(move || {
        std::thread::sleep(ms(50));
        writer.write_all(b"1").expect("write");
        std::thread::sleep(ms(200));
    });
    let (got, took) = min_wait(&ring, 4, ms(10), ms(5000));
    assert_eq!(got, Ok(0));
    assert!(took >= ms(40) && took < ms(4000), "{took:?}");
    helper.join().expect("join");
});

// NO_IOWAIT is accepted and changes nothing that can be seen.
ring_test!(no_iowait, |t| {
    let mut ring = t.ring(8)?;
    ring.start(&[sqe::nop()]);
    assert_eq!(ring.enter(0, 1, GETEVENTS | IORING_ENTER_NO_IOWAIT), Ok(0));
});

// A wait uses no processor time.
ring_test!(waits_without_processor_time, |t| {
    let ring = t.ring(8)?;
    let before = sys::cpu_time();
    assert_eq!(ring.enter_for(0, 1, GETEVENTS, ms(300)), Err(Errno::ETIME));
    let used = sys::cpu_time() - before;
    assert!(used < ms(60), "{used:?} of processor time in 300 ms of waiting");
});

// Several threads wait on one ring: a completion wakes whoever can take it.
ring_test!(several_waiters, |t| {
    let mut ring = t.ring(8)?;
    let (reader, mut writer) = sys::pipe();
    ring.start(&[sqe::poll_add(fd(&reader), libc::POLLIN)]);
    let ring_fd = ring.fd;
    std::thread::scope(|scope| {
        let waiters: Vec<_> =
            (0..4).map(|_| scope.spawn(|| t.enter(ring_fd, 0, 1, GETEVENTS, 0, 0))).collect();
        std::thread::sleep(ms(20));
        writer.write_all(b"1").expect("write");
        for waiter in waiters {
            assert_eq!(waiter.join().expect("join"), Ok(0));
        }
    });
    assert_eq!(ring.cqes().len(), 1);
});

// A wait counts what comes from its beginning on, also what another thread takes meanwhile.
ring_test!(taken_by_another, |t| {
    let mut ring = t.ring(8)?;
    let wait = |fd| {
        let ts = timespec(ms(8000));
        let arg = GeteventsArg { ts: address(&ts), ..GeteventsArg::default() };
        let flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
        t.enter(fd, 0, 8, flags, address(&arg), size_of_val(&arg) as u64)
    };
    std::thread::scope(|scope| {
        let fd = ring.fd;
        let waiter = scope.spawn(move || wait(fd));
        while !waiter.is_finished() {
            ring.start(&[sqe::nop()]);
            ring.wait();
        }
        assert_eq!(waiter.join().expect("a waiter"), Ok(0));
    });
});

// The waiter on one ring is not woken by another ring.
ring_test!(rings_wake_their_own_waiters, |t| {
    let ring = t.ring(8)?;
    let mut other = t.ring(8)?;
    let ring_fd = ring.fd;
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            let ts = timespec(ms(80));
            let arg = GeteventsArg { ts: address(&ts), ..GeteventsArg::default() };
            let flags = GETEVENTS | IORING_ENTER_EXT_ARG;
            t.enter(ring_fd, 0, 1, flags, address(&arg), 24)
        });
        std::thread::sleep(ms(20));
        other.run(&[sqe::nop(), sqe::nop()]);
        assert_eq!(waiter.join().expect("join"), Err(Errno::ETIME));
    });
});

// A signal that is ignored does not end the wait.
ring_test!(ignored_signal, |t| {
    let ring = t.ring(8)?;
    sys::ignore_signal(libc::SIGUSR1);
    let helper = sys::signal_me_after(libc::SIGUSR1, ms(20));
    let start = Instant::now();
    assert_eq!(ring.enter_for(0, 1, GETEVENTS, ms(80)), Err(Errno::ETIME));
    assert!(start.elapsed() >= ms(80), "{:?}", start.elapsed());
    helper.join().expect("join");
});

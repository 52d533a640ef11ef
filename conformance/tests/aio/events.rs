//! `io_getevents` and `io_pgetevents`.

use crate::prelude::*;

// Bounds that are none, times and addresses.
ring_test!(arguments, |t| {
    let context = t.context(8)?;
    let (zero, mut events) = (timespec(ms(0)), [IoEvent::default(); 2]);
    let (now, to) = (address(&zero), std::ptr::from_mut(&mut events) as u64);
    assert_eq!(context.get_raw(-1, 1, to, now), Err(Errno::EINVAL));
    assert_eq!(context.get_raw(0, -1, to, now), Err(Errno::EINVAL));
    assert_eq!(context.get_raw(-1, -1, to, now), Err(Errno::EINVAL));
    assert_eq!(context.get_raw(2, 1, to, now), Err(Errno::EINVAL));
    assert_eq!(context.get_raw(0, 0, to, now), Ok(0));
    assert_eq!(context.get_raw(0, 1, to, now), Ok(0));
    assert_eq!(context.get_raw(0, 1, to, BAD_ADDRESS), Err(Errno::EFAULT));
    assert_eq!(context.get_raw(0, 1, BAD_ADDRESS, now), Ok(0));
});

// A bad address for events keeps them.
ring_test!(a_bad_address_loses_nothing, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    assert_eq!(context.submit(&[&pread(&file, &mut buffer, 0)]), Ok(1));
    until(|| context.tail() == 1);
    let zero = timespec(ms(0));
    assert_eq!(context.get_raw(0, 1, BAD_ADDRESS, address(&zero)), Err(Errno::EFAULT));
    assert_eq!(context.get(1, 1, ms(5000)).expect("events").len(), 1);
});

// A wait ends with its time, and gives what has come; for nothing it does not wait.
ring_test!(times, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let read = pread(&file, &mut buffer, 0);
    let start = Instant::now();
    assert_eq!(context.get(0, 8, ms(5000)).expect("events").len(), 0);
    assert!(start.elapsed() < ms(2000));
    assert_eq!(context.submit(&[&read]), Ok(1));
    let start = Instant::now();
    assert_eq!(context.get(2, 8, ms(50)).expect("events").len(), 1);
    assert!(start.elapsed() >= ms(50));
    let long = Timespec { tv_sec: 0, tv_nsec: 1_500_000_000 };
    let mut event = IoEvent::default();
    let to = std::ptr::from_mut(&mut event) as u64;
    let start = Instant::now();
    assert_eq!(context.get_raw(1, 1, to, address(&long)), Ok(0));
    assert!(start.elapsed() >= ms(1500));
});

// A wait without an end, and one whose time is before now, is ended by a signal.
ring_test!(signals, |t| {
    let context = t.context(8)?;
    sys::catch_signal(libc::SIGUSR1, 0);
    let mut event = IoEvent::default();
    let to = std::ptr::from_mut(&mut event) as u64;
    let before = Timespec { tv_sec: -1, tv_nsec: 0 };
    for timeout in [0, address(&before)] {
        let sender = sys::signal_me_after(libc::SIGUSR1, ms(30));
        assert_eq!(context.get_raw(1, 1, to, timeout), Err(Errno::EINTR));
        sender.join().expect("the sender");
    }
    assert_eq!(sys::SIGNALS.load(std::sync::atomic::Ordering::SeqCst), 2);
});

// What was taken before a signal is given, and not lost.
ring_test!(a_signal_after_an_event, |t| {
    let context = t.context(8)?;
    sys::catch_signal(libc::SIGUSR1, libc::SA_RESTART);
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    assert_eq!(context.submit(&[&pread(&file, &mut buffer, 0)]), Ok(1));
    let mut events = [IoEvent::default(); 2];
    let to = std::ptr::from_mut(&mut events) as u64;
    let sender = sys::signal_me_after(libc::SIGUSR1, ms(30));
    assert_eq!(context.get_raw(2, 2, to, 0), Ok(1));
    sender.join().expect("the sender");
    assert_eq!(std::hint::black_box(events)[0].res, 4);
});

// The mask of io_pgetevents holds for the wait alone.
ring_test!(masks, |t| {
    let context = t.context(8)?;
    sys::catch_signal(libc::SIGUSR1, 0);
    sys::mask_signal(libc::SIGUSR1, true);
    let mut event = IoEvent::default();
    let to = std::ptr::from_mut(&mut event) as u64;
    let sender = sys::signal_me_after(libc::SIGUSR1, ms(30));
    let short = timespec(ms(100));
    // Blocked: the wait ends with its time.
    assert_eq!(context.pget_raw([1, 1], [to, address(&short), 0]), Ok(0));
    sender.join().expect("the sender");
    let nothing = 0u64;
    let set = AioSigset { sigmask: address(&nothing), size: 8 };
    let long = timespec(ms(5000));
    let let_in = context.pget_raw([1, 1], [to, address(&long), address(&set)]);
    assert_eq!(let_in, Err(Errno::EINTR));
    assert_eq!(sys::SIGNALS.load(std::sync::atomic::Ordering::SeqCst), 1);
});

// A mask of another size, bad addresses, and no mask.
ring_test!(bad_masks, |t| {
    let context = t.context(8)?;
    let (zero, mask) = (timespec(ms(0)), 0u64);
    let mut event = IoEvent::default();
    let to = std::ptr::from_mut(&mut event) as u64;
    let get = |set: u64| context.pget_raw([0, 1], [to, address(&zero), set]);
    assert_eq!(get(0), Ok(0));
    assert_eq!(get(BAD_ADDRESS), Err(Errno::EFAULT));
    let set = |sigmask: u64, size: u64| AioSigset { sigmask, size };
    assert_eq!(get(address(&set(address(&mask), 8))), Ok(0));
    assert_eq!(get(address(&set(address(&mask), 4))), Err(Errno::EINVAL));
    assert_eq!(get(address(&set(BAD_ADDRESS, 8))), Err(Errno::EFAULT));
    assert_eq!(get(address(&set(0, 55))), Ok(0));
});

// Two waiters share what comes: each event is taken once.
ring_test!(two_waiters, |t| {
    let context = t.context(64)?;
    let (reader, mut writer) = sys::pipe();
    let requests: Vec<Iocb> = (0..32).map(|_| poll(&reader, libc::POLLIN)).collect();
    assert_eq!(context.submit(&requests.iter().collect::<Vec<_>>()), Ok(32));
    let context = &context;
    let seen = std::thread::scope(|scope| {
        let wait = || context.get(16, 16, ms(5000)).expect("events");
        let waiters = [scope.spawn(wait), scope.spawn(wait)];
        writer.write_all(b"1").expect("write");
        waiters.map(|waiter| waiter.join().expect("a waiter"))
    });
    let mut objects: Vec<u64> = seen.iter().flatten().map(|event| event.obj).collect();
    objects.sort_unstable();
    let mut wanted: Vec<u64> = requests.iter().map(address).collect();
    wanted.sort_unstable();
    assert_eq!(objects, wanted);
});

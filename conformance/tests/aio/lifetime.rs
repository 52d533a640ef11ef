//! `io_destroy` while others use the context.

use crate::prelude::*;

// A waiter is woken, and told that there is no context.
ring_test!(a_waiter_is_woken, |t| {
    let context = t.context(8)?;
    let id = context.id;
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| context.get(1, 1, ms(20_000)));
        std::thread::sleep(ms(50));
        let start = Instant::now();
        assert_eq!(t.io_destroy(id), Ok(()));
        assert_eq!(waiter.join().expect("the waiter"), Err(Errno::EINVAL));
        assert!(start.elapsed() < ms(5000));
    });
});

// All of several waiters are.
ring_test!(all_waiters_are_woken, |t| {
    let context = t.context(8)?;
    let id = context.id;
    std::thread::scope(|scope| {
        let wait = || context.get(1, 1, ms(20_000));
        let waiters: Vec<_> = (0..4).map(|_| scope.spawn(wait)).collect();
        std::thread::sleep(ms(50));
        assert_eq!(t.io_destroy(id), Ok(()));
        for waiter in waiters {
            assert_eq!(waiter.join().expect("a waiter"), Err(Errno::EINVAL));
        }
    });
});

// Polls are cancelled; the call does not wait for what may never come.
ring_test!(polls_are_cancelled, |t| {
    let context = t.context(8)?;
    let (reader, _writer) = sys::pipe();
    assert_eq!(context.submit(&[&poll(&reader, libc::POLLIN)]), Ok(1));
    let start = Instant::now();
    assert_eq!(t.io_destroy(context.id), Ok(()));
    assert!(start.elapsed() < ms(5000));
});

// Writes that were submitted are done when it returns.
ring_test!(writes_are_done, |t| {
    let context = t.context(64)?;
    let file = sys::file_with(b"");
    let data = vec![7u8; 65536];
    let requests: Vec<Iocb> = (0..32).map(|at| pwrite(&file, &data, at * 65536)).collect();
    assert_eq!(context.submit(&requests.iter().collect::<Vec<_>>()), Ok(32));
    assert_eq!(t.io_destroy(context.id), Ok(()));
    assert_eq!(file.metadata().expect("stat").len(), 32 * 65536);
});

// Of two that destroy it one succeeds.
ring_test!(destroyed_by_two, |t| {
    for _ in 0..50 {
        let context = t.context(8)?;
        let destroy = || t.io_destroy(context.id);
        let results = std::thread::scope(|scope| {
            [scope.spawn(destroy), scope.spawn(destroy)].map(|one| one.join().expect("a thread"))
        });
        assert!(results.contains(&Ok(())), "{results:?}");
        assert!(results.contains(&Err(Errno::EINVAL)), "{results:?}");
    }
});

// Everything at once, over many contexts: a context that is gone is a miss, nothing else.
ring_test!(raced_by_all_calls, |t| {
    let file = sys::file_with(&[7; 4096]);
    for _ in 0..200 {
        let context = t.context(16)?;
        let id = context.id;
        let barrier = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut buffer = [0; 64];
                let request = pread(&file, &mut buffer, 0);
                barrier.wait();
                for _ in 0..20 {
                    match context.submit(&[&request, &request]) {
                        Ok(_) | Err(Errno::EAGAIN) => {}
                        Err(errno) => return assert_eq!(errno, Errno::EINVAL),
                    }
                }
            });
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..20 {
                    if let Err(errno) = context.get(1, 4, ms(1)) {
                        return assert_eq!(errno, Errno::EINVAL);
                    }
                }
            });
            scope.spawn(|| {
                let request = Iocb::default();
                barrier.wait();
                for _ in 0..20 {
                    assert_eq!(context.cancel(&request), Errno::EINVAL);
                }
            });
            barrier.wait();
            assert_eq!(t.io_destroy(id), Ok(()));
        });
    }
});

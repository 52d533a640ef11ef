//! Futexes: wait, wake, wait on several.

use crate::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

const PRIVATE_U32: i32 = 2 | 128;
const ANY: u64 = u32::MAX as u64;

/// Waits while the word is `value`.
fn wait(word: &AtomicU32, value: u64) -> Sqe {
    Sqe { addr3: ANY, ..raw(Op::FutexWait, PRIVATE_U32, word.as_ptr() as u64, 0, value) }
}

/// Wakes up to `count` waiters.
fn wake(word: &AtomicU32, count: u64) -> Sqe {
    Sqe { addr3: ANY, ..raw(Op::FutexWake, PRIVATE_U32, word.as_ptr() as u64, 0, count) }
}

/// `struct futex_waitv`.
#[repr(C)]
struct Waiter {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

fn waiter(word: &AtomicU32, value: u64) -> Waiter {
    Waiter { value, address: word.as_ptr() as u64, flags: PRIVATE_U32 as u32, reserved: 0 }
}

// A wait whose word has another value gives -EAGAIN at once.
ring_test!(other_value, |t| {
    let mut ring = t.ring(8)?;
    let word = AtomicU32::new(1);
    assert_eq!(ring.run_one(wait(&word, 0)), EAGAIN);
});

// A wake wakes a waiter of the same ring, and yields how many it woke.
ring_test!(wait_and_wake, |t| {
    let mut ring = t.ring(8)?;
    let word = AtomicU32::new(0);
    ring.start(&[wait(&word, 0).data(1)]);
    assert_eq!(ring.settle(ms(5)), []);
    ring.start(&[wake(&word, 1).data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, 0), (2, 1)]);
    assert_eq!(ring.run_one(wake(&word, 1)), 0);
});

// Of several waiters as many are woken as asked for.
ring_test!(wakes_as_many_as_asked, |t| {
    let mut ring = t.ring(8)?;
    let word = AtomicU32::new(0);
    ring.start(&[wait(&word, 0).data(1), wait(&word, 0).data(1), wait(&word, 0).data(1)]);
    ring.start(&[wake(&word, 2).data(2)]);
    assert_eq!(by_data(&ring.settle(ms(20))), [(1, 0), (1, 0), (2, 2)]);
});

// A thread that waits by system call is woken by the ring, and the other way round.
ring_test!(meets_the_system_call, |t| {
    let mut ring = t.ring(8)?;
    let word = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| sys::futex_wait(&word, 0));
        let deadline = Instant::now() + ms(5000);
        while ring.run_one(wake(&word, 1)) == 0 {
            assert!(Instant::now() < deadline, "the thread is not woken");
            std::thread::sleep(ms(1));
        }
    });
    ring.start(&[wait(&word, 0).data(1)]);
    std::thread::sleep(ms(5));
    word.store(1, SeqCst);
    assert_eq!(sys::futex_wake(&word, 1), 1);
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 0)]);
});

// A wait is cancelled: -ECANCELED for it, and 1 for who cancels.
ring_test!(cancelled, |t| {
    let mut ring = t.ring(8)?;
    let word = AtomicU32::new(0);
    ring.start(&[wait(&word, 0).data(1)]);
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, ECANCELED), (2, 1)]);
});

// A linked timeout ends a wait, and yields 1 for it.
ring_test!(timed_out, |t| {
    let mut ring = t.ring(8)?;
    let word = AtomicU32::new(0);
    let ts = timespec(ms(10));
    let cqes = ring.run(&[wait(&word, 0).data(1).link(), sqe::link_timeout(&ts, 0).data(2)]);
    assert_eq!(by_data(&cqes), [(1, ECANCELED), (2, 1)]);
});

// Bad arguments: a mask of 0, unknown flags, a bad address.
ring_test!(bad_arguments, |t| {
    let mut ring = t.ring(8)?;
    let word = AtomicU32::new(0);
    assert_eq!(ring.run_one(Sqe { addr3: 0, ..wait(&word, 0) }), EINVAL);
    assert_eq!(ring.run_one(Sqe { fd: 1 << 20, ..wait(&word, 0) }), EINVAL);
    assert_eq!(ring.run_one(Sqe { addr: BAD_ADDRESS, ..wait(&word, 0) }), EFAULT);
    assert_eq!(ring.run_one(Sqe { addr: word.as_ptr() as u64 + 1, ..wait(&word, 0) }), EINVAL);
    assert_eq!(ring.run_one(wait(&word, 0).op_flags(1)), EINVAL);
});

// A wait on several words yields the index of the one that was woken.
ring_test!(several_words, |t| {
    let mut ring = t.ring(8)?;
    let words = [const { AtomicU32::new(0) }; 3];
    let waiters = [0, 1, 2].map(|i| waiter(&words[i], 0));
    ring.start(&[raw(Op::FutexWaitv, 0, address(&waiters), 3, 0).data(1)]);
    assert_eq!(ring.settle(ms(5)), []);
    ring.start(&[wake(&words[2], 1).data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, 2), (2, 1)]);
});

// A wait on several words of which one differs gives -EAGAIN; none or too many -EINVAL.
ring_test!(several_words_bad, |t| {
    let mut ring = t.ring(8)?;
    let words = [AtomicU32::new(0), AtomicU32::new(5)];
    let waiters = [0, 1].map(|i| waiter(&words[i], 0));
    assert_eq!(ring.run_one(raw(Op::FutexWaitv, 0, address(&waiters), 2, 0)), EAGAIN);
    assert_eq!(ring.run_one(raw(Op::FutexWaitv, 0, address(&waiters), 0, 0)), EINVAL);
    assert_eq!(ring.run_one(raw(Op::FutexWaitv, 0, address(&waiters), 129, 0)), EINVAL);
    assert_eq!(ring.run_one(raw(Op::FutexWaitv, 0, BAD_ADDRESS, 2, 0)), EFAULT);
});

// A wait and the wake for it in one submission meet; a wake of none wakes none.
ring_test!(one_submission, |t| {
    let mut ring = t.ring(8)?;
    let word = AtomicU32::new(0);
    ring.start(&[wait(&word, 0).data(1), wake(&word, 0).data(2), wake(&word, 1).data(3)]);
    assert_eq!(by_data(&ring.wait_n(3)), [(1, 0), (2, 0), (3, 1)]);
});

// A wake with a mask finds the waits whose masks meet it.
ring_test!(masks, |t| {
    let mut ring = t.ring(8)?;
    let word = AtomicU32::new(0);
    ring.start(&[
        Sqe { addr3: 1, ..wait(&word, 0) }.data(1),
        Sqe { addr3: 6, ..wait(&word, 0) }.data(6),
    ]);
    std::thread::sleep(ms(20));
    assert_eq!(ring.run_one(Sqe { addr3: 8, ..wake(&word, 9) }), 0);
    assert_eq!(ring.run_one(Sqe { addr3: 0, ..wake(&word, 9) }), EINVAL);
    ring.start(&[Sqe { addr3: 2, ..wake(&word, 9) }.data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(2, 1), (6, 0)]);
    ring.start(&[Sqe { addr3: 1, ..wake(&word, 9) }.data(2)]);
    assert_eq!(by_data(&ring.wait_n(2)), [(1, 0), (2, 1)]);
});

// Many waits at once, each on a word of its own, end each by its own wake.
ring_test!(many, |t| {
    let mut ring = t.ring(64)?;
    let words = [const { AtomicU32::new(0) }; 60];
    let waits: Vec<Sqe> = (0..60).map(|i| wait(&words[i], 0).data(i as u64)).collect();
    ring.start(&waits);
    for (index, word) in words.iter().enumerate().rev() {
        word.store(1, SeqCst);
        assert_eq!(sys::futex_wake(word, 1), 1);
        assert_eq!(pairs(&ring.wait_n(1)), [(index as u64, 0)]);
    }
});

// All waits are cancelled together, which counts as one; a wake then finds none.
ring_test!(all_cancelled, |t| {
    let mut ring = t.ring(8)?;
    let word = AtomicU32::new(0);
    ring.start(&[wait(&word, 0).data(1), wait(&word, 0).data(1), wait(&word, 0).data(1)]);
    ring.start(&[sqe::cancel(1, IORING_ASYNC_CANCEL_ALL).data(2)]);
    assert_eq!(by_data(&ring.wait_n(4)), [(1, ECANCELED), (1, ECANCELED), (1, ECANCELED), (2, 1)]);
    assert_eq!(ring.run_one(sqe::cancel(1, 0)), ENOENT);
    std::thread::sleep(ms(20));
    assert_eq!(ring.run_one(wake(&word, 9)), 0);
});

// A synchronous cancel of a wait yields 1.
ring_test!(cancelled_synchronously, |t| {
    let mut ring = t.ring(8)?;
    let word = AtomicU32::new(0);
    ring.start(&[wait(&word, 0).data(1)]);
    let timeout = Timespec { tv_sec: -1, tv_nsec: -1 };
    let what = SyncCancelReg { addr: 1, fd: -1, timeout, ..SyncCancelReg::default() };
    assert_eq!(ring.register_raw(RegisterOp::SyncCancel, address(&what), 1), Ok(1));
    assert_eq!(pairs(&ring.wait_n(1)), [(1, ECANCELED)]);
});

// A word shared with another process is woken from there.
ring_test!(other_process, |t| {
    t.can_fork()?;
    let mut ring = t.ring(8)?;
    let page = Mapping::of_file(fd(&sys::file_with(&[0; 4096])), 4096).expect("map");
    let entry = raw(Op::FutexWait, 2, page.at(0), 0, 0);
    ring.start(&[Sqe { addr3: ANY, ..entry }.data(1)]);
    assert_eq!(sys::in_child(|| sys::futex_wake_shared(page.at(0), 1) as u8), Some(1));
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 0)]);
});

// On a deferring ring the owner alone sees the end of its wait.
ring_test!(deferred, |t| {
    let mut ring = t.ring_with(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)?;
    let word = AtomicU32::new(0);
    ring.start(&[wait(&word, 0).data(1)]);
    assert_eq!(sys::futex_wake(&word, 1), 1);
    std::thread::sleep(ms(10));
    assert_eq!(ring.ready(), 0);
    assert_eq!(pairs(&ring.wait_n(1)), [(1, 0)]);
});

// Closing the ring ends its waits: a later wake finds nobody.
ring_test!(ring_closed, |t| {
    let mut ring = t.ring(8)?;
    let word = AtomicU32::new(0);
    ring.start(&[wait(&word, 0).data(1)]);
    drop(ring);
    let deadline = Instant::now() + ms(5000);
    while sys::futex_wake(&word, 1) != 0 {
        assert!(Instant::now() < deadline, "the wait goes on");
        std::thread::sleep(ms(1));
    }
});

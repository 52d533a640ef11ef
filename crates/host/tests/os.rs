//! The operating system's host: its lock under contention, and what ring memory leaves behind.

use ringfence_host::sync::{LockClass, Mutex, mutex};
use ringfence_host::{Host, Os, calls};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

static CLASS: LockClass = LockClass::new("contended");

/// Threads take a lock in turns, and hold it across a call so that others go to sleep on it. A wake
/// that is lost is a test that never ends; a lock that two hold is a count gone wrong.
#[test]
fn a_contended_lock_excludes_and_wakes() {
    const THREADS: u32 = 4;
    const TURNS: u32 = 3000;
    let lock: Arc<Mutex<Os, u32>> = Arc::new(mutex(&Os, &CLASS, 0));
    let inside = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (lock, inside) = (Arc::clone(&lock), Arc::clone(&inside));
            std::thread::spawn(move || {
                for turn in 0..TURNS {
                    let mut count = lock.lock();
                    assert_eq!(inside.fetch_add(1, Relaxed), 0, "two hold the lock");
                    *count += 1;
                    if turn % 16 == 0 {
                        std::thread::yield_now();
                    }
                    inside.fetch_sub(1, Relaxed);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("a thread"));
    assert_eq!(*lock.lock(), THREADS * TURNS);
}

/// Descriptors and limits are the process's: one test at a time looks at them.
static ALONE: StdMutex<()> = StdMutex::new(());

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// Length of a ring's memory, bytes: mostly holes.
const LENGTH: u64 = 6 << 30;

/// Makes ring memory and lets go of it; the inotify descriptor is made at the first time.
fn make_and_close() {
    let memory = Os.ring_memory(LENGTH).expect("memory");
    for fd in [memory.fd, memory.own] {
        calls::close(&Os, fd).expect("close");
    }
}

#[test]
fn memory_that_cannot_be_had_leaves_nothing_open() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    make_and_close();
    let before = descriptors();
    // Longer than any file can be.
    assert!(Os.ring_memory(u64::MAX).is_err());
    assert!(Os.ring_memory(1 << 63).is_err());
    assert_eq!(descriptors(), before);
}

/// `RLIMIT_FSIZE`, after setting it if a new one is given.
fn file_size_limit(new: Option<[u64; 2]>) -> [u64; 2] {
    let mut old = [0; 2];
    let new = new.as_ref().map_or(0, |new| std::ptr::from_ref(new) as u64);
    let resource = libc::RLIMIT_FSIZE as u64;
    let args = [0, resource, new, calls::addr_mut(&mut old), 0, 0];
    Os.syscall(libc::SYS_prlimit64, args).expect("prlimit64");
    old
}

#[test]
fn a_limit_of_file_sizes_stays_what_it_was() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let [_, hard] = file_size_limit(None);
    // Below the memory's length, and above that of any file that the test's own output goes to.
    let low = [LENGTH / 2, hard];
    let before = file_size_limit(Some(low));
    make_and_close();
    assert_eq!(file_size_limit(Some(before)), low);
}

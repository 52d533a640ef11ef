//! The simulated host: virtual time, calls that wait, faults from the seed.

use ringfence_abi::Errno;
use ringfence_host::{Clock, Event, Host, calls};
use ringfence_sim::{Faults, Report, SimHost, Strategy, explore, sleep, spawn};
use std::sync::{Arc, Mutex, PoisonError};

/// Descriptor numbers are the process's, and a schedule may depend on them: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn explored(strategy: Strategy, body: fn()) -> Report {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    explore(strategy, body)
}

fn read_waits() {
    let host = SimHost::default();
    let (reader, writer) = calls::pipe2(&host, 0).expect("a pipe");
    let theirs = host.clone();
    let late = spawn("writer", move || {
        sleep(3_000_000_000);
        assert_eq!(calls::write(&theirs, writer, b"ab".as_ptr() as u64, 2), Ok(2));
        calls::close(&theirs, writer).expect("close");
    });
    let (start, mut text) = (host.now(Clock::Monotonic), [0u8; 4]);
    let got = calls::read(&host, reader, calls::addr_mut(&mut text), 4);
    assert_eq!((got, &text[..2]), (Ok(2), &b"ab"[..]));
    assert!(host.now(Clock::Monotonic) - start >= 3_000_000_000);
    late.join();
    assert_eq!(calls::read(&host, reader, calls::addr_mut(&mut text), 4), Ok(0));
    calls::close(&host, reader).expect("close");
}

#[test]
fn a_read_of_an_empty_pipe_waits_in_virtual_time() {
    let start = std::time::Instant::now();
    explored(Strategy::Random { seed: 3, runs: 50 }, read_waits).assert_clean();
    explored(Strategy::Exhaustive { preemptions: 1, runs_max: 20_000 }, read_waits).assert_clean();
    assert!(start.elapsed().as_secs() < 3, "three virtual seconds each took real ones");
}

fn wait_ends() {
    let host = SimHost::default();
    let epfd = calls::epoll_create(&host).expect("an epoll set");
    let bell = calls::eventfd(&host).expect("an eventfd");
    calls::epoll_ctl(&host, epfd, libc::EPOLL_CTL_ADD, bell, libc::EPOLLIN as u32, 5).expect("add");
    let mut events = [Event::default(); 4];
    let start = host.now(Clock::Monotonic);
    assert_eq!(host.wait(epfd, &mut events, Some(1_000_000), None), Ok(0));
    assert!(host.now(Clock::Monotonic) >= start + 1_000_000);
    let theirs = host.clone();
    let rings = spawn("rings", move || calls::eventfd_signal(&theirs, bell));
    assert_eq!(host.wait(epfd, &mut events, None, None), Ok(1));
    assert_eq!({ events[0].data }, 5);
    rings.join();
    for fd in [epfd, bell] {
        calls::close(&host, fd).expect("close");
    }
}

#[test]
fn a_wait_ends_by_an_event_or_by_its_time() {
    let report = explored(Strategy::Exhaustive { preemptions: 2, runs_max: 100_000 }, wait_ends);
    report.assert_clean();
    assert!(report.complete, "{report}");
}

fn nobody_writes() {
    let host = SimHost::default();
    let (reader, writer) = calls::pipe2(&host, 0).expect("a pipe");
    let mut byte = [0u8; 1];
    let _ = calls::read(&host, reader, calls::addr_mut(&mut byte), 1);
    calls::close(&host, writer).expect("close");
}

#[test]
fn a_wait_for_what_never_comes_is_reported() {
    let found = explored(Strategy::Random { seed: 1, runs: 1 }, nobody_writes).found;
    let text = found.expect("a deadlock").failure.to_string();
    assert!(text.contains("(main) waits for a descriptor"), "{text}");
}

#[test]
fn faults_are_the_same_for_the_same_seed() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = |seed| {
        let all = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&all);
        explore(Strategy::Random { seed, runs: 1 }, move || {
            let host = SimHost::new(Faults { no_descriptor: 3, ..Faults::default() });
            for _ in 0..40 {
                let made = calls::eventfd(&host);
                log.lock().expect("no panic").push(made.is_ok());
                assert!(matches!(made, Ok(_) | Err(Errno::EMFILE)), "{made:?}");
                made.into_iter().for_each(|fd| calls::close(&host, fd).expect("close"));
            }
        })
        .assert_clean();
        std::mem::take(&mut *all.lock().expect("no panic"))
    };
    assert_eq!(seen(1), seen(1));
    assert_ne!(seen(1), seen(2));
    assert!(seen(1).contains(&false) && seen(1).contains(&true));
}

/// A run that fails, with an engine that nobody drops: its threads and memory are lost, but not what
/// the user has few of.
fn leaves_its_host() {
    let host = SimHost::default();
    let memory = host.ring_memory(4096).expect("memory");
    assert!(memory.watch >= 0, "no instance of inotify is left");
    for fd in [memory.fd, memory.own] {
        calls::close(&host, fd).expect("close");
    }
    std::mem::forget(host);
    panic!("as it may be");
}

fn instances_of_inotify() -> usize {
    let entries = std::fs::read_dir("/proc/self/fd").expect("/proc").flatten();
    let names = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    names.filter(|name| name.to_string_lossy().contains("inotify")).count()
}

#[test]
fn a_run_that_fails_leaves_no_watch() {
    let run = |seed| explored(Strategy::Random { seed, runs: 1 }, leaves_its_host);
    // The operating system's host makes its own with the first memory, and keeps it.
    run(0);
    let before = instances_of_inotify();
    for seed in 1..200 {
        let failure = run(seed).found.expect("it fails").failure;
        assert!(failure.to_string().contains("as it may be"), "{failure}");
    }
    assert_eq!(instances_of_inotify(), before);
}

//! Schedules of the engine's own code, explored on the simulated host: who submits, completes,
//! cancels, times out, flushes and closes when. A failure prints the schedule that leads to it;
//! `RINGFENCE_SCHEDULE='...'` runs that one alone.

mod attendant;
mod cancel;
mod links;
mod lock;
mod overflow;
mod programs;
mod reproduce;
mod teardown;
mod waiters;
mod workers;

use ringfence_abi::*;
use ringfence_conformance::sim::Simulated;
use ringfence_conformance::{Ring, Target, sys};
use ringfence_host::{Host, Os, calls};
use ringfence_sim::{Explorer, Faults, Report, SCHEDULE_VARIABLE, SimHost, Strategy, spawn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Descriptors are the process's: one exploration at a time, so that each can count them.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process's descriptors, and what they name.
fn open_files() -> Vec<(String, String)> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("/proc");
    let named = entries.flatten().filter_map(|entry| {
        let target = std::fs::read_link(entry.path()).ok()?;
        Some((entry.file_name().to_string_lossy().into(), target.to_string_lossy().into()))
    });
    // The directory itself is open while it is read.
    named.filter(|(_, target): &(String, String)| !target.starts_with("/proc/")).collect()
}

/// Explores `body`, each run on an engine of its own that must have let go of all in the end.
fn explored(strategy: Strategy, faults: Faults, body: fn(&Arc<Simulated>)) -> Report {
    let _alone = alone();
    // The descriptors that hosts keep for good: the operating system's, and the simulation's.
    let _ = SimHost::default().release_fd();
    let memory = Os.ring_memory(4096).expect("memory");
    for fd in [memory.fd, memory.own] {
        calls::close(&Os, fd).expect("close");
    }
    let fds = open_files();
    let report = Explorer::new(strategy.or_environment()).explore(move || {
        let sim = Simulated::new(faults);
        body(&sim);
        // The attendant may be on its way to a release.
        for _ in 0..100 {
            sim.reap();
            if sim.stats().rings == 0 {
                break;
            }
            ringfence_sim::sleep(1_000_000);
        }
        let stats = sim.stats();
        assert_eq!(stats.rings, 0, "rings are left: {stats:?}");
    });
    report.assert_clean();
    ringfence_conformance::locking::assert_unreported();
    let left: Vec<_> = open_files().into_iter().filter(|file| !fds.contains(file)).collect();
    assert!(left.is_empty(), "descriptors are left after {report}: {left:?}");
    println!("{report}");
    report
}

/// Names the preemptions of exhaustive searches, which then go on to their end however long that takes.
const PREEMPTIONS_VARIABLE: &str = "RINGFENCE_PREEMPTIONS";

/// All schedules with so many preemptions: it fails if there are more than a test can run. Then some
/// that are drawn.
fn exhaustively(preemptions: u32, body: fn(&Arc<Simulated>)) {
    let asked = std::env::var(PREEMPTIONS_VARIABLE).ok();
    let (preemptions, runs_max) = match &asked {
        Some(asked) => (asked.parse().expect(PREEMPTIONS_VARIABLE), u64::MAX),
        None => (preemptions, 20_000),
    };
    let search = Strategy::Exhaustive { preemptions, runs_max };
    let report = explored(search, Faults::default(), body);
    let is_one = std::env::var_os(SCHEDULE_VARIABLE).is_some();
    assert!(report.complete || is_one, "not all there are: {report}");
    drawn(body);
}

/// The same where there are too many: the first 1,500, depth first.
fn thoroughly(preemptions: u32, body: fn(&Arc<Simulated>)) {
    let search = Strategy::Exhaustive { preemptions, runs_max: 1500 };
    explored(search, Faults::default(), body);
    drawn(body);
}

/// Some schedules by priorities and some at random, the last ones with the faults that a program is
/// never to notice.
fn drawn(body: fn(&Arc<Simulated>)) {
    explored(Strategy::Pct { seed: 1, runs: 80, depth: 3 }, Faults::default(), body);
    explored(Strategy::Random { seed: 2, runs: 80 }, Faults::UNSEEN, body);
}

/// A ring of the engine's.
fn ring(sim: &Simulated, entries: u32, flags: u32) -> Ring<'_> {
    Ring::new(sim, entries, Params { flags, ..Params::default() }).expect("a ring")
}

/// Waits for `count` completions, for ever: one that never comes is a deadlock of the simulation's.
fn reap(ring: &mut Ring, count: usize) -> Vec<(u64, i32)> {
    let mut got = Vec::new();
    loop {
        got.extend(ring.cqes().iter().map(|cqe| (cqe.user_data, cqe.res)));
        if got.len() >= count {
            // None comes twice: what is under way is given its chance.
            let _ = ring.enter(0, 0, IORING_ENTER_GETEVENTS);
            got.extend(ring.cqes().iter().map(|cqe| (cqe.user_data, cqe.res)));
            assert_eq!(got.len(), count, "more completions than requests: {got:?}");
            got.sort_unstable();
            return got;
        }
        match ring.enter(0, 1, IORING_ENTER_GETEVENTS) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => panic!("io_uring_enter: {errno}"),
        }
    }
}

/// A thread that writes `text` to a descriptor after so many nanoseconds.
fn writes(
    sim: &Arc<Simulated>,
    fd: i32,
    text: &'static [u8],
    after: u64,
) -> ringfence_sim::JoinHandle<()> {
    let host = sim.host.clone();
    spawn("writer", move || {
        if after > 0 {
            ringfence_sim::sleep(after);
        }
        let wrote = calls::write(&host, fd, text.as_ptr() as u64, text.len());
        assert_eq!(wrote, Ok(text.len()));
    })
}

/// A thread that waits for `count` completions of the ring `fd` and takes none.
fn waits(sim: &Arc<Simulated>, fd: i32, count: u32) -> ringfence_sim::JoinHandle<()> {
    let sim = Arc::clone(sim);
    spawn("waiter", move || {
        assert_eq!(sim.enter(fd, 0, count, IORING_ENTER_GETEVENTS, 0, 0), Ok(0));
    })
}

const ECANCELED: i32 = Errno::ECANCELED.as_result();
const ETIME: i32 = Errno::ETIME.as_result();
const ENOENT: i32 = Errno::ENOENT.as_result();
const EALREADY: i32 = Errno::EALREADY.as_result();

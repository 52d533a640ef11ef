//! The typed programs of the differential test, on the simulated host with faults: whatever they
//! meet, nothing panics, hangs or is left behind.

use crate::*;
use ringfence_conformance::differ::World;
use ringfence_conformance::program::{self, Step};
use ringfence_conformance::sys::ms;
use std::io::Write;

/// Runs the program of a seed, which the schedule draws: each request that is consumed completes,
/// once and for all, when what still waits is cancelled.
fn drawn_program(sim: &Arc<Simulated>) {
    let steps = program::draw(ringfence_sim::draw(1 << 32));
    let Ok(mut ring) = Ring::new(&**sim, 32, Params::default()) else { return };
    let world = World::new();
    let resources = world.resources();
    let _ = ring.register(RegisterOp::Files, &[resources.file, -1, -1]);
    let (mut number, mut consumed, mut skipped) = (0_u64, 0, 0);
    let mut cqes = Vec::new();
    for step in &steps {
        match step {
            Step::Feed(pipe, len) => {
                (&world.pipes[*pipe].1).write_all(&[1; 8][..*len as usize]).expect("write");
            }
            Step::Submit(requests) => {
                for request in requests {
                    number += 1;
                    ring.push(program::entry(request, number, &resources));
                    skipped += u64::from(request.flags & IOSQE_CQE_SKIP_SUCCESS != 0);
                }
                while ring.sq_room() < 32 {
                    let taken = ring.submit().expect("submit");
                    consumed += u64::from(taken);
                    cqes.extend(ring.cqes());
                }
            }
        }
        settle(&mut ring, &mut cqes);
    }
    // A cancel lets what was held back behind it go, which may wait in its turn. By registration,
    // for entries are held back too.
    let flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
    for _ in 0..20 {
        let mut what = SyncCancelReg { fd: -1, flags, ..SyncCancelReg::default() };
        what.timeout = Timespec { tv_sec: -1, tv_nsec: -1 };
        ring.register_mut(RegisterOp::SyncCancel, &mut what, 1).expect("cancel");
        settle(&mut ring, &mut cqes);
    }
    assert_eq!(consumed, number);
    check(&cqes, number, skipped);
}

/// Lets things happen for some virtual time.
fn settle(ring: &mut Ring, cqes: &mut Vec<Cqe>) {
    let until = ringfence_sim::now() + 8_000_000;
    while ringfence_sim::now() < until {
        let _ = ring.enter_for(0, 1, IORING_ENTER_GETEVENTS, ms(8));
        cqes.extend(ring.cqes());
    }
}

/// Each request but those that may skip has one last completion.
fn check(cqes: &[Cqe], requests: u64, skipped: u64) {
    let mut silent = 0;
    for number in 1..=requests {
        let mine = cqes.iter().filter(|cqe| cqe.user_data == number);
        let last = mine.filter(|cqe| cqe.flags & IORING_CQE_F_MORE == 0).count();
        assert!(last <= 1, "request {number} completed {last} times: {cqes:?}");
        silent += u64::from(last == 0);
    }
    // A skipped failure silences the rest of its chain.
    assert!(silent == 0 || skipped > 0, "{silent} requests never completed: {cqes:?}");
}

#[test]
fn programs_survive_all_faults() {
    let start = std::time::Instant::now();
    let report = explored(Strategy::Random { seed: 1, runs: 400 }, Faults::ALL, drawn_program);
    println!("{} programs, {} steps in {:?}", report.runs, report.steps, start.elapsed());
}

#[test]
fn programs_survive_preemption() {
    explored(Strategy::Pct { seed: 5, runs: 200, depth: 4 }, Faults::UNSEEN, drawn_program);
}

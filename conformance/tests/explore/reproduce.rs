//! A failure prints the line that reproduces it, and that line does.

use crate::*;
use ringfence_conformance::sqe::{self, SqeExt};
use ringfence_conformance::sys::fd;
use std::process::Command;

/// Names the strategy by which the failure is searched for; only this test sets it.
const FAILING_VARIABLE: &str = "RINGFENCE_EXPECTS_TOO_MUCH";

/// Expects a read to win over its cancel, which it does under some schedules.
fn expects_too_much(sim: &Arc<Simulated>) {
    let (reader, writer) = sys::pipe();
    let mut ring = ring(sim, 8, 0);
    let mut buf = [0; 4];
    ring.start(&[sqe::read_stream(fd(&reader), &mut buf).data(1)]);
    let writer = writes(sim, fd(&writer), b"ab", 0);
    ringfence_sim::sleep(1 + ringfence_sim::choose(2) as u64 * 1_000_000);
    ring.start(&[sqe::cancel(1, 0).data(2)]);
    let got = reap(&mut ring, 2);
    assert_eq!(got[0], (1, 2), "the cancel was faster");
    writer.join();
}

/// Runs the test of this name in a process of its own, where it fails; what it says.
fn failure_of(name: &str, strategy: &str, schedule: Option<&str>) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", name]).env(FAILING_VARIABLE, strategy).env_remove(SCHEDULE_VARIABLE);
    command.envs(schedule.map(|schedule| (SCHEDULE_VARIABLE, schedule)));
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "{strategy} finds nothing: {text}");
    text
}

/// The value of the variable in a failure's last line.
fn printed_schedule(text: &str) -> &str {
    let line = text.lines().find_map(|line| line.strip_prefix("reproduce: RINGFENCE_SCHEDULE='"));
    line.expect("the line").strip_suffix('\'').expect("its end")
}

#[test]
fn a_printed_line_reproduces() {
    let strategies = [
        ("random", Strategy::Random { seed: 1, runs: 400 }),
        ("pct", Strategy::Pct { seed: 1, runs: 400, depth: 3 }),
        ("steps", Strategy::Exhaustive { preemptions: 2, runs_max: 20_000 }),
    ];
    if let Ok(asked) = std::env::var(FAILING_VARIABLE) {
        let asked = strategies.into_iter().find(|(name, _)| *name == asked);
        explored(asked.expect("a strategy").1, Faults::default(), expects_too_much);
        return;
    }
    // A process is started as a copy of this one, with all its descriptors.
    let _alone = alone();
    let name = "reproduce::a_printed_line_reproduces";
    for (strategy, _) in strategies {
        let first = failure_of(name, strategy, None);
        let schedule = printed_schedule(&first);
        assert!(schedule.starts_with(&format!("{strategy}:")), "{schedule}");
        let again = failure_of(name, strategy, Some(schedule));
        assert!(again.contains("run 1 of 1 failed: Panic: "), "{again}");
        assert!(again.contains("the cancel was faster"), "{again}");
        assert_eq!(printed_schedule(&again), schedule);
    }
}

//! A lock order that a timer callback turns into a deadlock, reported from one thread on which
//! nothing collides. `cargo run -p ringfence-lockdep --example inversion [--json | --dot]`.

use ringfence_lockdep::{
    Context, Mutex, OnReport, block, enter, lock_classes, on_report, reports, validator,
};

lock_classes! {
    COMPLETION: "completion lock",
    TASK_WORK: "task-work lock",
}

/// Run by whichever thread waits.
static TIMER: Context = Context::new("timer callback");

static COMPLETED: Mutex<Vec<u64>> = Mutex::new(&COMPLETION, Vec::new());
static WORK: Mutex<Vec<u64>> = Mutex::new(&TASK_WORK, Vec::new());

/// Posts a completion, and leaves the last reference to task work, under both locks.
fn complete(request: u64) {
    let mut completed = COMPLETED.lock();
    completed.push(request);
    WORK.lock().push(request);
}

/// Completes what ran out of time.
fn timer_fired(request: u64) {
    let _in_timer = enter(&TIMER);
    COMPLETED.lock().push(request);
}

/// Runs with the timer open: that is the fault.
fn run_task_work() {
    WORK.lock().clear();
}

fn main() {
    let argument = std::env::args().nth(1);
    on_report(OnReport::Collect);
    {
        let _deferred = block(&TIMER);
        complete(1);
    }
    timer_fired(2);
    run_task_work();

    match argument.as_deref() {
        Some("--dot") => print!("{}", validator().snapshot().to_dot()),
        Some("--json") => reports().iter().for_each(|report| println!("{:#}", report.to_json())),
        _ => reports().iter().for_each(|report| print!("{report}")),
    }
}

//! Our engine on the simulated host: the schedule of its threads, and the faults that a program is
//! never to notice, are drawn from a seed. Its locks are validated, see [`crate::locking`].

use crate::target::map_shared;
use crate::{Native, Target};
use ringfence_abi::Result;
use ringfence_checked::{Checked, inside as in_engine};
use ringfence_host::calls;
use ringfence_sim::{Faults, Service, SimHost};
use ringfence_uring::{Engine, LOCK_CLASSES, Stats};
use std::sync::{Arc, LazyLock};

/// Names the seed of the bodies' schedules.
pub const SEED_VARIABLE: &str = "RINGFENCE_SIM_SEED";

/// The seed unless the environment names another.
const SEED: u64 = 1;

/// An engine on a simulated host, for virtual threads to call.
pub struct Simulated {
    engine: Engine<Checked<SimHost>>,
    /// The host it is on.
    pub host: SimHost,
}

impl Simulated {
    /// An engine on a host with these faults.
    pub fn new(faults: Faults) -> Arc<Simulated> {
        let host = SimHost::new(faults);
        let checked = Checked::new(host.clone(), LOCK_CLASSES);
        let engine = Engine::new(checked);
        // No interceptor is there to see a thread leave what it shares.
        engine.tell_parted();
        engine.tell_own_ids();
        ringfence_host::interrupt::own();
        ringfence_host::fault::own();
        Arc::new(Simulated { engine, host })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine<Checked<SimHost>> {
        &self.engine
    }

    /// Releases the rings that were let go of, as an interceptor does it: with handlers deferred.
    pub fn reap(&self) {
        let _inside = in_engine();
        self.engine.reap();
    }

    /// Descriptors that are the engine's own, likewise.
    pub fn private_fds(&self) -> Vec<u32> {
        let _inside = in_engine();
        self.engine.private_fds()
    }

    /// What the engine has done and holds, likewise.
    pub fn stats(&self) -> Stats {
        let _inside = in_engine();
        self.engine.stats()
    }
}

impl Target for Simulated {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn setup(&self, entries: u32, params: u64) -> Result<i32> {
        let _inside = in_engine();
        self.engine.setup(entries, params)
    }

    fn enter(
        &self,
        fd: i32,
        to_submit: u32,
        min_complete: u32,
        flags: u32,
        arg: u64,
        argsz: u64,
    ) -> Result<u32> {
        let _inside = in_engine();
        self.engine.enter(fd, to_submit, min_complete, flags, arg, argsz)
    }

    fn register(&self, fd: i32, opcode: u32, arg: u64, nr_args: u32) -> Result<u32> {
        let _inside = in_engine();
        self.engine.register(fd, opcode, arg, nr_args)
    }

    fn mmap(&self, fd: i32, len: usize, offset: u64) -> Result<u64> {
        let inside = in_engine();
        let offset = self.engine.map_offset(fd, offset)?;
        drop(inside);
        map_shared(fd, len, offset)
    }

    fn close(&self, fd: i32) -> Result<()> {
        let inside = in_engine();
        self.engine.before_close(fd as u32, fd as u32);
        drop(inside);
        calls::close(&self.host, fd)?;
        self.after_call();
        Ok(())
    }

    fn after_call(&self) {
        let _inside = in_engine();
        self.engine.after_call();
    }

    fn dup(&self, fd: i32) -> Result<i32> {
        let new = Native.dup(fd)?;
        let _inside = in_engine();
        self.engine.after_dup(fd, new);
        Ok(new)
    }

    fn aio(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        let _inside = in_engine();
        crate::aio::on_engine(&self.engine, number, args)
    }

    fn poll(&self, fd: i32, events: i16, timeout_ms: i32) -> Result<i16> {
        let inside = in_engine();
        let stand_in = self.engine.poll_fd(fd);
        if stand_in.is_some() {
            self.engine.attend(fd);
        }
        let events = self.engine.pollable(fd, events);
        drop(inside);
        let fd = stand_in.unwrap_or(fd);
        let timeout = u64::try_from(timeout_ms).ok().map(|ms| ms * 1_000_000);
        self.host.poll(fd, events, timeout)
    }
}

/// The simulated engine that a body in a process of its own calls: its threads enter the simulation
/// for a call and leave it again.
pub struct Sim;

struct World {
    service: Service,
    target: Arc<Simulated>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let seed = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok());
    World {
        service: Service::new(seed.unwrap_or(SEED)),
        // Bodies take it that what was just written is in memory, and quick to be had.
        target: Simulated::new(Faults { cold: 0, late: 0, ..Faults::UNSEEN }),
    }
});

/// Runs `body` inside the simulation.
fn inside<R>(body: impl FnOnce(&Simulated) -> R) -> R {
    WORLD.service.call(|| body(&WORLD.target))
}

impl Target for Sim {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn setup(&self, entries: u32, params: u64) -> Result<i32> {
        inside(|target| target.setup(entries, params))
    }

    fn enter(
        &self,
        fd: i32,
        to_submit: u32,
        min_complete: u32,
        flags: u32,
        arg: u64,
        argsz: u64,
    ) -> Result<u32> {
        inside(|target| target.enter(fd, to_submit, min_complete, flags, arg, argsz))
    }

    fn register(&self, fd: i32, opcode: u32, arg: u64, nr_args: u32) -> Result<u32> {
        inside(|target| target.register(fd, opcode, arg, nr_args))
    }

    fn mmap(&self, fd: i32, len: usize, offset: u64) -> Result<u64> {
        inside(|target| target.mmap(fd, len, offset))
    }

    fn close(&self, fd: i32) -> Result<()> {
        inside(|target| target.close(fd))
    }

    fn after_call(&self) {
        inside(Simulated::after_call);
    }

    fn dup(&self, fd: i32) -> Result<i32> {
        inside(|target| target.dup(fd))
    }

    fn aio(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        inside(|target| target.aio(number, args))
    }

    fn poll(&self, fd: i32, events: i16, timeout_ms: i32) -> Result<i16> {
        inside(|target| target.poll(fd, events, timeout_ms))
    }
}

/// Bodies (as `file::name`) that cannot hold on the simulated host, by cause; they are not run
/// there. All others are, with their rows in [`crate::KNOWN`].
pub const NOT_SIMULATED: &[(&str, &[&str])] = &[
    (
        "no signal is let in by a simulated wait",
        &[
            "wait::mask_lets_a_signal_in",
            "wait::signal",
            "wait::signal_in_a_plain_wait",
            "wait::signal_with_restart",
        ],
    ),
    (
        "the simulation's clock uses processor time",
        &["sqpoll::sleeping_uses_no_processor_time", "wait::waits_without_processor_time"],
    ),
    (
        "a thread asleep on a word of the program's stops the simulation",
        &[
            "futex::all_cancelled",
            "futex::cancelled",
            "futex::cancelled_synchronously",
            "futex::deferred",
            "futex::many",
            "futex::masks",
            "futex::meets_the_system_call",
            "futex::one_submission",
            "futex::other_process",
            "futex::ring_closed",
            "futex::several_words",
            "futex::timed_out",
            "futex::wait_and_wake",
            "futex::wakes_as_many_as_asked",
        ],
    ),
    (
        "a simulated thread cannot be asked whether it lives",
        &["lifetime::thread_ends", "process_life::thread_ends_with_all_kinds"],
    ),
    (
        "a thread that waits for any child stops the simulation",
        &["process::all_waits_cancelled", "process::stops_and_continues"],
    ),
];

/// The same for the bodies of Linux AIO.
pub const AIO_NOT_SIMULATED: &[(&str, &[&str])] = &[(
    "no signal is let in by a simulated wait",
    &["events::a_signal_after_an_event", "events::masks", "events::signals"],
)];

/// Why a body is not run on the simulated host, if it is not.
pub(crate) fn exempts(body: &str) -> Option<&'static str> {
    let mut rows = NOT_SIMULATED.iter().chain(AIO_NOT_SIMULATED);
    rows.find(|(_, bodies)| bodies.contains(&body)).map(|(reason, _)| *reason)
}

/// Fails unless each row of `table` names a body of the calling test binary, each body once, and
/// `docs/SIMULATION.md` says how many `bodies` run.
///
/// # Panics
/// Then.
pub fn assert_counted(table: &[(&str, &[&str])], bodies: &str) {
    let binary = std::env::current_exe().expect("the test binary");
    let list = std::process::Command::new(binary).arg("--list").output().expect("list");
    let list = String::from_utf8(list.stdout).expect("UTF-8");
    let mut exempt = std::collections::BTreeSet::new();
    for body in table.iter().flat_map(|(_, bodies)| *bodies) {
        assert!(list.contains(&format!("{body}::sim: test")), "{body} is no body");
        assert!(exempt.insert(body), "{body} has two rows");
    }
    let all = list.lines().filter(|line| line.ends_with("::sim: test")).count();
    let said = format!("{} of {all} {bodies} run on the simulated host", all - exempt.len());
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/SIMULATION.md");
    let text = std::fs::read_to_string(&page).expect("docs/SIMULATION.md");
    assert!(text.contains(&said), "docs/SIMULATION.md is to say: {said}");
}

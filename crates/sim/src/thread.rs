//! Virtual threads: real ones that run one at a time.

use crate::state::{On, Wait, Woken};
use crate::world::{Over, World};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Arc, Mutex, Once, PoisonError, mpsc};

thread_local! {
    static CURRENT: RefCell<Option<(Arc<World>, usize)>> = const { RefCell::new(None) };
    static PANIC: Cell<Option<String>> = const { Cell::new(None) };
}

/// The calling thread's world and number, if it is a virtual thread.
pub(crate) fn current() -> Option<(Arc<World>, usize)> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Whether the calling thread is a virtual one.
pub fn is_simulated() -> bool {
    current().is_some()
}

/// As [`current`], where only a virtual thread may come.
pub(crate) fn expect_current(what: &str) -> (Arc<World>, usize) {
    current().unwrap_or_else(|| panic!("{what} outside of a simulation"))
}

/// Keeps the message of a virtual thread's panic for the report, instead of printing it.
fn hook_panics() {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if current().is_some_and(|(world, _)| !world.is_service) {
                PANIC.set(Some(info.to_string()));
            } else {
                previous(info);
            }
        }));
    });
}

/// Runs `body` as the virtual thread `id` of `world`, which has the turn.
pub(crate) fn run_as<R>(world: &Arc<World>, id: usize, body: impl FnOnce() -> R) -> R {
    struct Leave(usize);
    impl Drop for Leave {
        fn drop(&mut self) {
            if let Some((world, _)) = CURRENT.take() {
                world.leave(self.0);
            }
        }
    }
    CURRENT.set(Some((Arc::clone(world), id)));
    let _leave = Leave(id);
    body()
}

type Job = Box<dyn FnOnce() + Send>;

/// Idle machine threads, kept for the next run: starting one costs more than most runs.
static IDLE: Mutex<Vec<mpsc::Sender<Job>>> = Mutex::new(Vec::new());

fn idle() -> std::sync::MutexGuard<'static, Vec<mpsc::Sender<Job>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `job` on a machine thread.
fn execute(job: Job) {
    let mut job = job;
    while let Some(thread) = idle().pop() {
        match thread.send(job) {
            Ok(()) => return,
            Err(mpsc::SendError(back)) => job = back,
        }
    }
    let (send, receive) = mpsc::channel::<Job>();
    let serve = move || {
        job();
        loop {
            idle().push(send.clone());
            let Ok(next) = receive.recv() else { return };
            next();
        }
    };
    std::thread::Builder::new()
        .name("virtual".to_owned())
        .spawn(serve)
        .expect("a machine thread for a virtual one");
}

/// Starts a virtual thread in `world`; its number.
pub(crate) fn start(
    world: &Arc<World>,
    name: &str,
    daemon: bool,
    parent: Option<usize>,
    body: Job,
) -> usize {
    hook_panics();
    let (id, baton) = world.add(name, daemon, parent);
    let world = Arc::clone(world);
    let is_service = world.is_service;
    let job = Box::new(move || {
        CURRENT.set(Some((Arc::clone(&world), id)));
        let result = catch_unwind(AssertUnwindSafe(|| {
            world.begin(&baton);
            body();
        }));
        let result_is_panic = result.is_err();
        let message = match result {
            Err(payload) if !payload.is::<Over>() => {
                Some(PANIC.take().unwrap_or_else(|| "a panic without a message".to_owned()))
            }
            _ => None,
        };
        CURRENT.set(None);
        if world.is_service && result_is_panic {
            // Said by the panic's own message; a program with half an engine is of no use.
            std::process::abort();
        }
        world.finish(id, message);
    });
    if is_service {
        // Whoever counts the threads of a program finds those that there would be.
        let builder = std::thread::Builder::new().name(name.to_owned());
        builder.spawn(job).expect("a machine thread for a virtual one");
    } else {
        execute(job);
    }
    id
}

/// A virtual thread that was started.
#[derive(Debug)]
pub struct JoinHandle<T> {
    id: usize,
    result: Arc<Mutex<Option<T>>>,
}

impl<T> JoinHandle<T> {
    /// Waits for its end and takes what it returned.
    #[track_caller]
    pub fn join(self) -> T {
        let (world, me) = expect_current("join");
        let place = Location::caller();
        while !world.is_done(me, self.id) {
            let on = On::End(self.id);
            world.wait(me, Wait { on, deadline: None, label: "join", place });
        }
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.unwrap_or_else(|| crate::world::unwind())
    }
}

/// Starts a virtual thread; a switch point.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let (world, me) = expect_current("spawn");
    let place = Location::caller();
    let result = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&result);
    let job = move || {
        let value = body();
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    };
    let id = start(&world, name, false, Some(me), Box::new(job));
    world.point(me, "spawn", place);
    JoinHandle { id, result }
}

/// Starts a virtual thread that serves others: the run does not wait for its end, and ends it.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn spawn_daemon(name: &str, body: Box<dyn FnOnce() + Send>) {
    let (world, me) = expect_current("spawn");
    start(&world, name, true, Some(me), body);
    world.point(me, "spawn", Location::caller());
}

/// A switch point by the name of `label`; nothing outside of a simulation.
#[track_caller]
pub fn point(label: &'static str) {
    if let Some((world, me)) = current() {
        world.point(me, label, Location::caller());
    }
}

/// A switch point at a word that threads share without a lock. None where time is the machine's: who
/// spins there would take long, and what takes long is done otherwise.
#[track_caller]
pub(crate) fn step() {
    if let Some((world, me)) = current()
        && !world.is_service
    {
        world.point(me, "word", Location::caller());
    }
}

/// As [`point`] of a thread that waits for others in a loop: they come first.
#[track_caller]
pub fn yield_now() {
    if let Some((world, me)) = current() {
        world.spin(me);
        world.point(me, "yield", Location::caller());
    } else {
        std::thread::yield_now();
    }
}

/// The virtual time, nanoseconds.
///
/// # Panics
/// Outside of a simulation.
pub fn now() -> u64 {
    expect_current("now").0.state().now()
}

/// Sleeps for so many virtual nanoseconds.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn sleep(nanos: u64) {
    let (world, me) = expect_current("sleep");
    let deadline = Some(world.state().now().saturating_add(nanos));
    world.wait(me, Wait { on: On::Time, deadline, label: "sleep", place: Location::caller() });
}

/// A choice below `count` that the strategy makes: a search explores all of them.
///
/// # Panics
/// Outside of a simulation.
pub fn choose(count: usize) -> usize {
    expect_current("choose").0.state().chooser.decide(count)
}

/// A number below `limit`, drawn from the schedule's seed; a search does not explore it.
///
/// # Panics
/// Outside of a simulation.
pub fn draw(limit: u64) -> u64 {
    expect_current("draw").0.state().chooser.draw(limit)
}

/// Waits until [`wake`] is called for `word`, unless it no longer holds `value`; at most
/// `timeout` virtual nanoseconds. As the futex of Linux, it may return for nothing.
#[track_caller]
pub fn wait(word: &std::sync::atomic::AtomicU32, value: u32, timeout: Option<u64>) -> Woken {
    let (world, me) = expect_current("wait");
    let place = Location::caller();
    world.point(me, "wait", place);
    if word.load(std::sync::atomic::Ordering::SeqCst) != value {
        return Woken::Signal;
    }
    let now = world.state().now();
    let deadline = timeout.map(|nanos| now.saturating_add(nanos));
    world.wait(me, Wait { on: On::Word(word.as_ptr() as usize), deadline, label: "wait", place })
}

/// Wakes up to `count` threads that wait for `word`; what they do next comes after what the caller
/// did before.
#[track_caller]
pub fn wake(word: &std::sync::atomic::AtomicU32, count: u32) {
    let Some((world, me)) = current() else { return };
    let address = word.as_ptr() as usize;
    world.state().wake(
        count as usize,
        Some(me),
        |on| matches!(on, On::Word(other) if *other == address),
    );
    world.point(me, "wake", Location::caller());
}

/// Waits until `probe` says that something in the real world has happened, for at most `timeout`
/// virtual nanoseconds. It is asked again after each real call of a virtual thread.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn wait_ready(probe: Box<dyn Fn() -> bool + Send>, timeout: Option<u64>) -> Woken {
    let (world, me) = expect_current("wait_ready");
    let now = world.state().now();
    let deadline = timeout.map(|nanos| now.saturating_add(nanos));
    let place = Location::caller();
    world.wait(me, Wait { on: On::Ready(probe), deadline, label: "wait for readiness", place })
}

/// Does `ending` when the calling thread's run is over, however that comes: for what the machine
/// lends a run, since a failed one may leave threads and memory that nobody drops. Nothing where no
/// run ends: outside of a simulation, and in one that serves threads from outside.
pub fn at_end(ending: impl FnOnce() + Send + 'static) {
    if let Some((world, _)) = current()
        && !world.is_service
    {
        world.state().endings.push(Box::new(ending));
    }
}

/// The calling thread's number as the engine sees it; none outside of a simulation.
pub(crate) fn id() -> Option<u32> {
    let (world, me) = current()?;
    (!world.is_service).then_some(FIRST_ID + me as u32)
}

/// Numbers of the machine's threads are small, or at least not these.
const FIRST_ID: u32 = 0x4000_0000;

/// Whether the virtual thread that the engine knows by `id` runs still; none if it is no number of
/// a virtual thread's.
pub(crate) fn is_alive(id: u64) -> Option<bool> {
    let (world, me) = current()?;
    let thread = id.checked_sub(u64::from(FIRST_ID))? as usize;
    (!world.is_service).then(|| thread == me || !world.is_done(me, thread))
}

/// Makes a real call that may wait for long, where the world goes on without this thread.
pub(crate) fn outside<R>(call: impl FnOnce() -> R) -> R {
    let Some((world, me)) = current() else { return call() };
    world.leave(me);
    let result = call();
    world.enter(Some(me));
    result
}

/// Whether the calling thread's world serves threads from outside, in the machine's time.
pub(crate) fn is_served() -> bool {
    current().is_some_and(|(world, _)| world.is_service)
}

/// A wall clock that stood at `epoch` when its world began, nanoseconds.
pub(crate) fn wall(epoch: u64) -> u64 {
    expect_current("wall").0.state().wall(epoch)
}

/// Time that a call takes: others do not run meanwhile.
pub(crate) fn pass(nanos: u64) {
    if let Some((world, _)) = current() {
        world.state().pass(nanos);
    }
}

/// A real call was made: who waits for the real world may go on.
pub(crate) fn touched_the_world() {
    if let Some((world, _)) = current() {
        world.state().dirty = true;
    }
}

/// A thread that spins gives way, and comes back after so many nanoseconds of virtual time.
#[track_caller]
pub(crate) fn give_way(nanos: u64) {
    let Some((world, me)) = current() else { return std::thread::yield_now() };
    world.spin(me);
    let deadline = Some(world.state().now().saturating_add(nanos));
    world.wait(me, Wait { on: On::Time, deadline, label: "yield", place: Location::caller() });
}

//! A world: its virtual threads, of which one runs, its time, and the end of it.

use crate::choose::{Chooser, Options, Pick};
use crate::clock::Clock;
use crate::failure::{Failure, Kind, Row};
use std::collections::{HashMap, VecDeque};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Rows of the interleaving that are kept for a failure's report.
const TRACE: usize = 48;

/// Steps that a thread makes in a row while others could run, before they come first: who spins
/// until another thread has done something is no livelock on a machine.
const STREAK_MAX: u32 = 400;

/// How long a thread may take to come back from a real call before it counts as lost.
pub(crate) const REAL_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// Hands the turn to one thread.
#[derive(Debug, Default)]
pub(crate) struct Baton {
    go: AtomicBool,
    thread: std::sync::OnceLock<std::thread::Thread>,
}

impl Baton {
    fn give(&self) {
        self.go.store(true, Ordering::Release);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn take(&self) {
        let _ = self.thread.set(std::thread::current());
        while !self.go.swap(false, Ordering::Acquire) {
            std::thread::park();
        }
    }
}

/// Looks whether a thread that waits for the real world may go on.
pub(crate) type Probe = Box<dyn Fn() -> bool + Send>;

/// What a thread waits for.
pub(crate) enum On {
    /// The lock at this address.
    Lock(usize),
    /// A wake of the word at this address.
    Word(usize),
    /// The end of a thread.
    End(usize),
    /// Its time.
    Time,
    /// Something in the real world.
    Ready(Probe),
}

/// A wait.
pub(crate) struct Wait {
    pub(crate) on: On,
    /// When it is over in any case, virtual nanoseconds.
    pub(crate) deadline: Option<u64>,
    pub(crate) label: &'static str,
    pub(crate) place: &'static Location<'static>,
}

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// What was waited for has come.
    Signal,
    /// The time is over.
    Timeout,
}

enum Status {
    Ready,
    Waiting(Wait),
    /// In code that is not simulated.
    Outside,
    Done,
}

pub(crate) struct Thread {
    name: String,
    status: Status,
    baton: Arc<Baton>,
    pub(crate) clock: Clock,
    woken: Woken,
    /// It serves others: its end is not waited for.
    daemon: bool,
}

/// What is known of a lock.
#[derive(Default)]
pub(crate) struct Lock {
    number: usize,
    pub(crate) name: &'static str,
    pub(crate) holder: Option<(usize, &'static Location<'static>)>,
    pub(crate) clock: Clock,
}

/// What bounds a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Switch points in a run, beyond which it is a livelock.
    pub(crate) steps: u64,
    /// How far time may run ahead while a thread could run, nanoseconds.
    pub(crate) slack: u64,
}

pub(crate) struct State {
    threads: Vec<Thread>,
    current: Option<usize>,
    /// Steps that the running thread has made in a row.
    streak: u32,
    time: u64,
    pub(crate) steps: u64,
    pub(crate) chooser: Chooser,
    pub(crate) locks: HashMap<usize, Lock>,
    limits: Limits,
    failure: Option<Failure>,
    aborting: bool,
    over: bool,
    /// A real call was made since the probes were looked at.
    pub(crate) dirty: bool,
    /// Time is the machine's: it passes by itself and never jumps.
    real_time: bool,
    trace: VecDeque<Row>,
    /// Daemons that had to be ended.
    pub(crate) left: Vec<String>,
}

/// A world of virtual threads.
pub(crate) struct World {
    state: Mutex<State>,
    changed: Condvar,
    /// Tells this world's marks on long-lived objects from those of earlier ones.
    pub(crate) number: u64,
    /// It serves threads that come and go, in the machine's time.
    pub(crate) is_service: bool,
}

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// The virtual time at which a world begins, nanoseconds.
const BEGINNING: u64 = 1_000_000_000_000;

impl State {
    fn new(chooser: Chooser, limits: Limits, real_time: bool) -> State {
        State {
            threads: Vec::new(),
            current: None,
            streak: 0,
            time: BEGINNING,
            steps: 0,
            chooser,
            locks: HashMap::new(),
            limits,
            failure: None,
            aborting: false,
            over: false,
            dirty: false,
            real_time,
            trace: VecDeque::new(),
            left: Vec::new(),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        if self.real_time { real_now() } else { self.time }
    }

    /// A wall clock that stood at `epoch` when the world began.
    pub(crate) fn wall(&self, epoch: u64) -> u64 {
        if self.real_time {
            use ringfence_host::{Clock, Host, Os};
            return Os.now(Clock::Realtime);
        }
        epoch + (self.time - BEGINNING)
    }

    /// Time that the running thread uses up.
    pub(crate) fn pass(&mut self, nanos: u64) {
        self.time += nanos;
    }

    pub(crate) fn thread(&mut self, id: usize) -> &mut Thread {
        &mut self.threads[id]
    }

    fn note(&mut self, me: usize, label: &'static str, place: &'static Location<'static>) {
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        self.trace.push_back(Row { step: self.steps, thread: me, label, place });
    }

    pub(crate) fn lock(&mut self, address: usize, fresh: bool) -> &mut Lock {
        let number = self.locks.len() + 1;
        let lock = self.locks.entry(address).or_default();
        if lock.number == 0 {
            lock.number = number;
        } else if fresh {
            lock.clock = Clock::default();
        }
        lock
    }

    /// Ends waits whose time has come or whose probe says so.
    fn wake_due(&mut self) {
        let (now, dirty) = (self.now(), std::mem::take(&mut self.dirty));
        for thread in &mut self.threads {
            let Status::Waiting(wait) = &thread.status else { continue };
            let ready = match &wait.on {
                On::Ready(probe) => dirty && probe(),
                _ => false,
            };
            if ready || wait.deadline.is_some_and(|deadline| deadline <= now) {
                thread.woken = if ready { Woken::Signal } else { Woken::Timeout };
                thread.status = Status::Ready;
            }
        }
    }

    /// Ends the waits that `wanted` names, `count` at most; how many.
    pub(crate) fn wake(
        &mut self,
        count: usize,
        from: Option<usize>,
        wanted: impl Fn(&On) -> bool,
    ) -> usize {
        let clock = from.map(|from| self.threads[from].clock.clone());
        let mut woken = 0;
        for thread in &mut self.threads {
            if let Status::Waiting(wait) = &thread.status
                && woken < count
                && wanted(&wait.on)
            {
                thread.status = Status::Ready;
                thread.woken = Woken::Signal;
                clock.iter().for_each(|clock| thread.clock.join(clock));
                woken += 1;
            }
        }
        if let Some(from) = from {
            self.threads[from].clock.tick(from);
        }
        woken
    }

    fn next_deadline(&self) -> Option<u64> {
        let deadlines = self.threads.iter().filter_map(|thread| match &thread.status {
            Status::Waiting(wait) => wait.deadline,
            _ => None,
        });
        deadlines.min()
    }

    fn ready(&self, first: Option<usize>) -> Vec<usize> {
        let is_ready = |id: &usize| matches!(self.threads[*id].status, Status::Ready);
        let mut ready: Vec<usize> = first.into_iter().filter(is_ready).collect();
        ready.extend((0..self.threads.len()).filter(|id| Some(*id) != first).filter(is_ready));
        ready
    }

    /// Whether all threads are done whose end is waited for.
    fn is_complete(&self) -> bool {
        self.threads.iter().all(|thread| thread.daemon || matches!(thread.status, Status::Done))
    }

    /// Chooses who runs next; none if nobody can.
    fn pick(&mut self, me: Option<usize>) -> Option<usize> {
        let mut patience = 20;
        loop {
            self.wake_due();
            let mut ready = self.ready(me);
            if self.streak > STREAK_MAX && ready.len() > 1 && Some(ready[0]) == me {
                ready.remove(0);
            }
            if ready.is_empty() {
                if self.real_time {
                    return None;
                }
                match self.next_deadline() {
                    Some(deadline) => self.time = self.time.max(deadline),
                    // The kernel may still be on its way to what a thread waits for.
                    None if patience > 0 && self.looks_outside() => {
                        patience -= 1;
                        self.dirty = true;
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                    None => return None,
                }
                continue;
            }
            let current = me.filter(|me| ready[0] == *me);
            let slack = self.time.saturating_add(self.limits.slack);
            let may_pass =
                !self.real_time && self.next_deadline().is_some_and(|deadline| deadline <= slack);
            match self.chooser.choose(&Options { current, ready: &ready, may_pass }) {
                Pick::Thread(id) => {
                    self.streak = if Some(id) == me { self.streak + 1 } else { 0 };
                    return Some(id);
                }
                Pick::Time => self.time = self.next_deadline().unwrap_or(self.time),
            }
        }
    }

    fn looks_outside(&self) -> bool {
        let looks = |thread: &Thread| match &thread.status {
            Status::Waiting(wait) => matches!(wait.on, On::Ready(_)),
            _ => false,
        };
        !self.is_complete() && self.threads.iter().any(looks)
    }

    fn fail(&mut self, kind: Kind, message: String) {
        if self.failure.is_some() || self.over {
            return;
        }
        let names = self.threads.iter().map(|thread| thread.name.clone()).collect();
        let trace = self.trace.iter().cloned().collect();
        self.failure = Some(Failure { kind, message, names, trace });
        self.aborting = true;
    }

    /// Who waits for what.
    fn waits(&self) -> String {
        let mut text = String::new();
        for (id, thread) in self.threads.iter().enumerate() {
            let Status::Waiting(wait) = &thread.status else { continue };
            let on = match &wait.on {
                On::Lock(address) => match self.locks.get(address) {
                    Some(Lock { number, name, holder: Some((holder, place)), .. }) => format!(
                        "lock {number} {name}, held by thread {holder} ({}) since {place}",
                        self.threads[*holder].name
                    ),
                    _ => "a lock".to_owned(),
                },
                On::Word(_) => "a wake".to_owned(),
                On::End(thread) => format!("the end of thread {thread}"),
                On::Time => "a time".to_owned(),
                On::Ready(_) => "a descriptor".to_owned(),
            };
            let daemon = if thread.daemon { ", a daemon," } else { "" };
            let (name, label, place) = (&thread.name, wait.label, wait.place);
            text.push_str(&format!(
                "  thread {id} ({name}){daemon} waits for {on}: {label} at {place}\n"
            ));
        }
        text
    }

    /// Nobody can run: the end, or a deadlock.
    fn conclude(&mut self) {
        if !self.is_complete() && !self.aborting {
            let message = format!("all threads wait, and nothing is due\n{}", self.waits());
            self.fail(Kind::Deadlock, message);
        }
        self.aborting = true;
    }

    /// A thread that must still be ended.
    fn victim(&self) -> Option<usize> {
        self.threads
            .iter()
            .position(|thread| matches!(thread.status, Status::Ready | Status::Waiting(_)))
    }
}

/// The machine's clock, nanoseconds.
fn real_now() -> u64 {
    use ringfence_host::{Clock, Host, Os};
    Os.now(Clock::Monotonic)
}

/// The payload that unwinds a thread whose world is over.
pub(crate) struct Over;

/// Unwinds the calling thread, silently.
pub(crate) fn unwind() -> ! {
    std::panic::resume_unwind(Box::new(Over))
}

impl World {
    pub(crate) fn new(chooser: Chooser, limits: Limits, real_time: bool) -> Arc<World> {
        let state = Mutex::new(State::new(chooser, limits, real_time));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Arc::new(World { state, changed: Condvar::new(), number, is_service: real_time })
    }

    /// The state. A thread that panics holds no lock of the simulation's own.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a thread that will run once it is chosen.
    pub(crate) fn add(
        &self,
        name: &str,
        daemon: bool,
        parent: Option<usize>,
    ) -> (usize, Arc<Baton>) {
        let mut state = self.state();
        let id = state.threads.len();
        let mut clock = parent.map_or_else(Clock::default, |p| state.threads[p].clock.clone());
        clock.tick(id);
        if let Some(parent) = parent {
            state.threads[parent].clock.tick(parent);
        }
        let baton = Arc::new(Baton::default());
        state.threads.push(Thread {
            name: name.to_owned(),
            status: Status::Ready,
            baton: Arc::clone(&baton),
            clock,
            woken: Woken::Signal,
            daemon,
        });
        (id, baton)
    }

    /// Gives the first thread its turn, waits for the end of the run, and takes what came of it.
    pub(crate) fn run(&self, first: usize) -> (Option<Failure>, u64, Vec<String>) {
        {
            let mut state = self.state();
            state.current = Some(first);
            state.threads[first].baton.give();
        }
        let mut state = self.state();
        let (mut last, mut since) = (state.steps, std::time::Instant::now());
        while !state.over {
            let wait = std::time::Duration::from_secs(1);
            let guard = self.changed.wait_timeout(state, wait);
            state = guard.unwrap_or_else(PoisonError::into_inner).0;
            if state.steps != last {
                (last, since) = (state.steps, std::time::Instant::now());
            } else if since.elapsed() > REAL_MAX && !state.over {
                let who = state.current.map_or("nobody", |id| state.threads[id].name.as_str());
                let message = format!("{who} has the turn and does not come back: a real wait?");
                state.fail(Kind::Lost, message);
                state.over = true;
            }
        }
        (state.failure.take(), state.steps, std::mem::take(&mut state.left))
    }

    /// The choices taken, and the state of the search if it is one.
    pub(crate) fn chooser(&self) -> Chooser {
        self.state().chooser.clone()
    }

    /// Waits for the turn; unwinds if the world ends first.
    fn take_turn(&self, baton: &Baton) {
        baton.take();
        if self.state().aborting {
            self.abort_here();
        }
    }

    /// The calling thread must end.
    fn abort_here(&self) {
        if !std::thread::panicking() {
            unwind();
        }
    }

    /// A thread's first step.
    pub(crate) fn begin(&self, baton: &Baton) {
        self.take_turn(baton);
    }

    /// A switch point: another thread may run before the calling one, `me`, goes on.
    pub(crate) fn point(&self, me: usize, label: &'static str, place: &'static Location<'static>) {
        let mut state = self.state();
        if state.aborting {
            drop(state);
            return self.abort_here();
        }
        state.steps += 1;
        state.note(me, label, place);
        if state.steps > state.limits.steps {
            let limit = state.limits.steps;
            let message = format!("no end after {limit} steps: a livelock?\n{}", state.waits());
            state.fail(Kind::Livelock, message);
            drop(state);
            return self.abort_here();
        }
        // The calling thread is ready, so somebody is.
        let next = state.pick(Some(me)).unwrap_or(me);
        self.switch(state, me, next);
    }

    /// The calling thread spins: whoever can make progress should.
    pub(crate) fn spin(&self, me: usize) {
        self.state().chooser.spins(me);
    }

    fn switch(&self, mut state: MutexGuard<'_, State>, me: usize, next: usize) {
        if next == me {
            return;
        }
        state.current = Some(next);
        let mine = Arc::clone(&state.threads[me].baton);
        let theirs = Arc::clone(&state.threads[next].baton);
        drop(state);
        theirs.give();
        self.take_turn(&mine);
    }

    /// Waits; a switch point in any case.
    pub(crate) fn wait(&self, me: usize, wait: Wait) -> Woken {
        let mut state = self.state();
        if state.aborting {
            drop(state);
            self.abort_here();
            if matches!(wait.on, On::Time) {
                return Woken::Timeout;
            }
            // A destructor that waits while its world ends waits for ever: its thread is left.
            self.leave_for_good(me);
        }
        state.steps += 1;
        state.note(me, wait.label, wait.place);
        state.dirty |= matches!(wait.on, On::Ready(_));
        state.threads[me].status = Status::Waiting(wait);
        let mine = Arc::clone(&state.threads[me].baton);
        self.hand_on(state, me);
        self.take_turn(&mine);
        self.state().threads[me].woken
    }

    /// Gives the turn to whoever can run, or ends the world.
    fn hand_on(&self, mut state: MutexGuard<'_, State>, me: usize) {
        let next = if state.aborting { None } else { state.pick(Some(me)) };
        let next = match next {
            Some(next) => Some(next),
            None if state.real_time && !state.aborting => None,
            None => {
                state.conclude();
                state.victim()
            }
        };
        state.current = next;
        match next {
            Some(next) => {
                // Threads that are ended wake up as if they had been chosen.
                state.threads[next].status = Status::Ready;
                let baton = Arc::clone(&state.threads[next].baton);
                drop(state);
                baton.give();
            }
            None => {
                state.over = state.aborting;
                drop(state);
                self.changed.notify_all();
            }
        }
    }

    /// The calling thread is done.
    pub(crate) fn finish(&self, me: usize, panic: Option<String>) {
        let mut state = self.state();
        if let Some(message) = panic {
            state.fail(Kind::Panic, message);
        }
        if state.aborting && state.threads[me].daemon {
            let name = state.threads[me].name.clone();
            state.left.push(name);
        }
        state.threads[me].status = Status::Done;
        state.wake(usize::MAX, Some(me), |on| matches!(on, On::End(id) if *id == me));
        self.hand_on(state, me);
    }

    fn leave_for_good(&self, me: usize) -> ! {
        let mut state = self.state();
        state.threads[me].status = Status::Done;
        self.hand_on(state, me);
        loop {
            std::thread::park();
        }
    }

    /// Ends the run with a failure, and the calling thread with it.
    pub(crate) fn fail(&self, kind: Kind, message: String) -> ! {
        self.state().fail(kind, message);
        unwind()
    }

    /// Whether a thread is done; `me` then knows all it did.
    pub(crate) fn is_done(&self, me: usize, thread: usize) -> bool {
        let mut state = self.state();
        let done = matches!(state.threads[thread].status, Status::Done);
        if done {
            let clock = state.threads[thread].clock.clone();
            state.threads[me].clock.join(&clock);
        }
        done
    }

    /// A thread of the machine's comes in under a number that it had before, or a new one; goes on
    /// when it has the turn.
    pub(crate) fn enter(&self, known: Option<usize>) -> usize {
        let id = known.unwrap_or_else(|| self.add("program", true, None).0);
        let mut state = self.state();
        state.threads[id].status = Status::Ready;
        state.dirty = true;
        let baton = Arc::clone(&state.threads[id].baton);
        if state.current.is_none() {
            state.current = Some(id);
            return id;
        }
        drop(state);
        baton.take();
        id
    }

    /// It goes out again.
    pub(crate) fn leave(&self, me: usize) {
        let mut state = self.state();
        state.threads[me].status = Status::Outside;
        self.hand_on(state, me);
    }

    /// Lets time pass and looks at the real world for those who wait, as long as nobody runs.
    pub(crate) fn tick(&self, pause: std::time::Duration) {
        let mut state = self.state();
        loop {
            if state.current.is_none() {
                state.dirty = true;
                if let Some(next) = state.pick(None) {
                    state.current = Some(next);
                    let baton = Arc::clone(&state.threads[next].baton);
                    drop(state);
                    baton.give();
                    state = self.state();
                    continue;
                }
            }
            let waited = self.changed.wait_timeout(state, pause);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A name for a thread in a report.
    pub(crate) fn name(&self, thread: usize) -> String {
        self.state().threads.get(thread).map_or_else(String::new, |thread| thread.name.clone())
    }
}

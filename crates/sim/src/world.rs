//! A world: virtual threads, of which one runs, and the end of it.

use crate::choose::Chooser;
use crate::clock::Clock;
use crate::failure::{Failure, Kind};
use crate::state::{Baton, Limits, On, State, Status, Thread, Wait, Woken};
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How long a thread may take to come back from a real call before it counts as lost.
pub(crate) const REAL_MAX: std::time::Duration = std::time::Duration::from_secs(60);

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

    /// Does what [`crate::at_end`] was given.
    pub(crate) fn end(&self) {
        let endings = std::mem::take(&mut self.state().endings);
        endings.into_iter().for_each(|ending| ending());
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

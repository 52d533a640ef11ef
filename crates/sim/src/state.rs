//! The state of a world: its threads, its time, and who may run next.

use crate::choose::{Chooser, Options, Pick};
use crate::clock::Clock;
use crate::failure::{Failure, Kind, Row};
use std::collections::{HashMap, VecDeque};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Rows of the interleaving that are kept for a failure's report.
const TRACE: usize = 48;

/// Steps that a thread makes in a row while others could run, before they come first: who spins
/// until another thread has done something is no livelock on a machine.
const STREAK_MAX: u32 = 400;

/// Hands the turn to one thread.
///
/// The giver sets `go` and then looks for a thread to wake; the taker names itself and then looks
/// at `go`. A fence between the two steps of each makes sure that one of them sees the other:
/// without it both look too early, and the turn is lost (seen once in some 100,000 runs).
#[derive(Debug, Default)]
pub(crate) struct Baton {
    go: AtomicBool,
    thread: std::sync::OnceLock<std::thread::Thread>,
}

impl Baton {
    pub(crate) fn give(&self) {
        self.go.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(crate) fn take(&self) {
        let _ = self.thread.set(std::thread::current());
        fence(Ordering::SeqCst);
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

pub(crate) enum Status {
    Ready,
    Waiting(Wait),
    /// In code that is not simulated.
    Outside,
    Done,
}

pub(crate) struct Thread {
    pub(crate) name: String,
    pub(crate) status: Status,
    pub(crate) baton: Arc<Baton>,
    pub(crate) clock: Clock,
    pub(crate) woken: Woken,
    /// It serves others: its end is not waited for.
    pub(crate) daemon: bool,
}

/// What is known of a lock.
#[derive(Default)]
pub(crate) struct Lock {
    pub(crate) number: usize,
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
    pub(crate) threads: Vec<Thread>,
    pub(crate) current: Option<usize>,
    /// Steps that the running thread has made in a row.
    pub(crate) streak: u32,
    pub(crate) time: u64,
    pub(crate) steps: u64,
    pub(crate) chooser: Chooser,
    pub(crate) locks: HashMap<usize, Lock>,
    pub(crate) limits: Limits,
    pub(crate) failure: Option<Failure>,
    pub(crate) aborting: bool,
    pub(crate) over: bool,
    /// A real call was made since the probes were looked at.
    pub(crate) dirty: bool,
    /// Time is the machine's: it passes by itself and never jumps.
    pub(crate) real_time: bool,
    pub(crate) trace: VecDeque<Row>,
    /// Daemons that had to be ended.
    pub(crate) left: Vec<String>,
    /// What is done once no thread runs any more.
    pub(crate) endings: Vec<Box<dyn FnOnce() + Send>>,
}

/// The virtual time at which a world begins, nanoseconds.
const BEGINNING: u64 = 1_000_000_000_000;

impl State {
    pub(crate) fn new(chooser: Chooser, limits: Limits, real_time: bool) -> State {
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
            endings: Vec::new(),
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

    pub(crate) fn note(
        &mut self,
        me: usize,
        label: &'static str,
        place: &'static Location<'static>,
    ) {
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
    pub(crate) fn wake_due(&mut self) {
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

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let deadlines = self.threads.iter().filter_map(|thread| match &thread.status {
            Status::Waiting(wait) => wait.deadline,
            _ => None,
        });
        deadlines.min()
    }

    pub(crate) fn ready(&self, first: Option<usize>) -> Vec<usize> {
        let is_ready = |id: &usize| matches!(self.threads[*id].status, Status::Ready);
        let mut ready: Vec<usize> = first.into_iter().filter(is_ready).collect();
        ready.extend((0..self.threads.len()).filter(|id| Some(*id) != first).filter(is_ready));
        ready
    }

    /// Whether all threads are done whose end is waited for.
    pub(crate) fn is_complete(&self) -> bool {
        self.threads.iter().all(|thread| thread.daemon || matches!(thread.status, Status::Done))
    }

    /// Chooses who runs next; none if nobody can.
    pub(crate) fn pick(&mut self, me: Option<usize>) -> Option<usize> {
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

    pub(crate) fn looks_outside(&self) -> bool {
        let looks = |thread: &Thread| match &thread.status {
            Status::Waiting(wait) => matches!(wait.on, On::Ready(_)),
            _ => false,
        };
        !self.is_complete() && self.threads.iter().any(looks)
    }

    pub(crate) fn fail(&mut self, kind: Kind, message: String) {
        if self.failure.is_some() || self.over {
            return;
        }
        let names = self.threads.iter().map(|thread| thread.name.clone()).collect();
        let trace = self.trace.iter().cloned().collect();
        self.failure = Some(Failure { kind, message, names, trace });
        self.aborting = true;
    }

    /// Who waits for what.
    pub(crate) fn waits(&self) -> String {
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
    pub(crate) fn conclude(&mut self) {
        if !self.is_complete() && !self.aborting {
            let message = format!("all threads wait, and nothing is due\n{}", self.waits());
            self.fail(Kind::Deadlock, message);
        }
        self.aborting = true;
    }

    /// A thread that must still be ended.
    pub(crate) fn victim(&self) -> Option<usize> {
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

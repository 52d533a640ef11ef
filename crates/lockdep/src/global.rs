//! The validator of this process, and what each thread holds.

use crate::class::{Class, ClassKey};
use crate::context::Context;
use crate::mode::Mode;
use crate::report::{OnReport, Report};
use crate::task::{Entered, Task, TaskId, Word};
use crate::validator::{Acquire, Stats, Validator};
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

static GLOBAL: Validator = Validator::new(OnReport::Print);

thread_local! {
    /// Const and without a destructor: reached in one instruction, also in a signal handler.
    static TASK: Task = const { Task::new() };
}

/// Number of a declared class in this process.
#[inline]
pub(crate) fn key_of(class: &'static Class) -> ClassKey {
    match class.number.load(Ordering::Relaxed) {
        0 => GLOBAL.class_declared(class),
        number => ClassKey::new(number, 0),
    }
}

pub(crate) fn key_of_site(site: &'static Location<'static>) -> ClassKey {
    GLOBAL.class_of_site(site)
}

/// The process-wide validator, that of the lock types.
pub fn validator() -> &'static Validator {
    &GLOBAL
}

#[inline]
pub(crate) fn acquire_here(acquire: Acquire) {
    match acquire.nest {
        None => acquire_plain(acquire.word(), acquire.instance, acquire.site),
        Some(_) => TASK.with(|task| GLOBAL.acquire(task, acquire)),
    }
}

/// The warm path of nearly every lock: one call, all it needs in registers.
#[inline(never)]
fn acquire_plain(word: Word, instance: usize, site: &'static Location<'static>) {
    TASK.with(|task| GLOBAL.acquire_word(task, word, instance, site, None));
}

#[inline]
#[track_caller]
pub(crate) fn release_here(class: ClassKey, instance: usize) {
    release_site(class, instance, Location::caller());
}

#[inline]
pub(crate) fn release_site(class: ClassKey, instance: usize, site: &'static Location<'static>) {
    TASK.with(|task| GLOBAL.release_at(task, class, instance, site));
}

/// Tells that the calling thread takes a lock of `class`, that it will wait for it if it must, and
/// at which place. For locks that are no type of this crate, and for simulations.
///
/// The instance is the class itself; where several locks of a class are held at once, use
/// [`acquire_as`].
#[inline]
pub fn acquire(class: &'static Class, mode: Mode, site: &'static Location<'static>) {
    acquire_as(class, |acquire| Acquire { mode, ..acquire.at(site) });
}

/// As [`acquire`], with all that can be said of an acquisition; `detail` fills it in.
#[inline]
#[track_caller]
pub fn acquire_as(class: &'static Class, detail: impl FnOnce(Acquire) -> Acquire) {
    let instance = std::ptr::from_ref(class) as usize;
    acquire_here(detail(Acquire::new(key_of(class), Mode::Exclusive).instance(instance)));
}

/// Tells that the calling thread lets go of the lock that [`acquire`] told of.
#[inline]
#[track_caller]
pub fn release(class: &'static Class) {
    release_here(key_of(class), std::ptr::from_ref(class) as usize);
}

/// As [`release`], of one of several locks of a class.
#[inline]
#[track_caller]
pub fn release_as(class: &'static Class, instance: usize) {
    release_here(key_of(class), instance);
}

/// Exchanges what the calling thread holds with what `task` holds: a switch between the simulated
/// threads, or the asynchronous tasks, that share this thread.
pub fn switch(task: &mut Task) {
    TASK.with(|current| current.swap(task));
}

/// The asynchronous task that runs on the calling thread.
#[inline]
pub(crate) fn task_id() -> TaskId {
    TASK.with(Task::id)
}

/// Releases that were made elsewhere than on the task that acquired: task, class, instance.
static STRAYED: Mutex<Vec<(TaskId, ClassKey, usize)>> = Mutex::new(Vec::new());
/// How many there are.
static STRAYED_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Tells of the release of what the task `owner` took, on whatever thread.
pub(crate) fn release_of(owner: TaskId, class: ClassKey, instance: usize) {
    if task_id() == owner {
        return release_here(class, instance);
    }
    let mut strayed = STRAYED.lock().unwrap_or_else(PoisonError::into_inner);
    strayed.push((owner, class, instance));
    STRAYED_COUNT.store(strayed.len(), Ordering::Release);
}

/// Takes note of what others released for the task that runs here.
pub(crate) fn collect_strayed() {
    if STRAYED_COUNT.load(Ordering::Acquire) == 0 {
        return;
    }
    let own = task_id();
    let mut mine = Vec::new();
    {
        let mut strayed = STRAYED.lock().unwrap_or_else(PoisonError::into_inner);
        strayed.retain(|&(owner, class, instance)| {
            if owner == own {
                mine.push((class, instance));
            }
            owner != own
        });
        STRAYED_COUNT.store(strayed.len(), Ordering::Release);
    }
    for (class, instance) in mine {
        release_here(class, instance);
    }
}

/// How many locks the calling thread holds.
pub fn held_count() -> usize {
    TASK.with(Task::held_count)
}

/// The calling thread is in a context while this lives.
#[derive(Debug)]
#[must_use]
pub struct InContext {
    entered: Option<Entered>,
    /// A context belongs to its thread.
    thread: PhantomData<*const ()>,
}

/// Begins a context on the calling thread: the first thing that a signal handler or a callback does.
///
/// ```
/// use ringfence_lockdep::{Context, enter};
/// static TIMER: Context = Context::new("timer callback");
/// fn on_timer() {
///     let _in_timer = enter(&TIMER);
///     // Locks taken here must not be held where the callback can come in.
/// }
/// on_timer();
/// ```
pub fn enter(context: &'static Context) -> InContext {
    let entered = TASK.with(|task| GLOBAL.enter(task, context));
    InContext { entered: Some(entered), thread: PhantomData }
}

impl Drop for InContext {
    fn drop(&mut self) {
        if let Some(entered) = self.entered.take() {
            TASK.with(|task| GLOBAL.leave(task, entered));
        }
    }
}

/// A context cannot break in on the calling thread while this lives.
#[derive(Debug)]
#[must_use]
pub struct Blocked {
    context: &'static Context,
    /// A signal mask, or what else defers a context, belongs to its thread.
    thread: PhantomData<*const ()>,
}

/// Tells that `context` is blocked on the calling thread: the signal masked, the callback deferred.
pub fn block(context: &'static Context) -> Blocked {
    TASK.with(|task| GLOBAL.block(task, context));
    Blocked { context, thread: PhantomData }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        TASK.with(|task| GLOBAL.unblock(task, self.context));
    }
}

/// What [`block`] keeps out may come in on the calling thread while this lives.
#[derive(Debug)]
#[must_use]
pub struct Opened {
    context: &'static Context,
    thread: PhantomData<*const ()>,
}

/// Lets `context` in where it is blocked once: the place inside of a long block that waits for it.
/// What is held here is held with the context open.
pub fn open(context: &'static Context) -> Opened {
    TASK.with(|task| GLOBAL.unblock(task, context));
    Opened { context, thread: PhantomData }
}

impl Drop for Opened {
    fn drop(&mut self) {
        TASK.with(|task| GLOBAL.block(task, self.context));
    }
}

/// Tells that the calling thread is about to park or sleep: reports a held lock whose class is
/// declared `no_park`.
#[inline]
#[track_caller]
pub fn parking() {
    parking_here(Location::caller());
}

#[inline]
pub(crate) fn parking_here(site: &'static Location<'static>) {
    TASK.with(|task| GLOBAL.parking_at(task, site));
}

/// Tells that the calling thread returns to code that knows none of these locks: reports any held.
#[inline]
#[track_caller]
pub fn returning() {
    let site = Location::caller();
    TASK.with(|task| GLOBAL.returning_at(task, site));
}

pub(crate) fn assert_held_here(class: ClassKey, instance: usize, site: &'static Location<'static>) {
    TASK.with(|task| GLOBAL.assert_held_at(task, class, instance, site));
}

#[track_caller]
pub(crate) fn destroyed_here(class: ClassKey, instance: usize) {
    let site = Location::caller();
    TASK.with(|task| GLOBAL.destroyed_at(task, class, instance, site));
}

/// What is done with reports from now on; [`OnReport::Print`] at first.
pub fn on_report(action: OnReport) {
    GLOBAL.on_report(action);
}

/// The reports so far, oldest first.
pub fn reports() -> Vec<Arc<Report>> {
    GLOBAL.reports()
}

/// What was seen so far.
pub fn stats() -> Stats {
    GLOBAL.stats()
}

/// Forgets all that was seen, reports included; no thread may hold a lock meanwhile.
pub fn forget() {
    GLOBAL.forget();
}

//! What serves the intercepted calls: the engine, or the kernel.
#![expect(unsafe_code, reason = "the engine is replaced in a forked child, and never freed")]

use crate::config::{self, Backend};
use crate::window::Kept;
use crate::{raw, thread, window};
use ringfence_abi::{Errno, Result};
use ringfence_host::{Os, fault, interrupt, kernel_aio, signal};
use ringfence_uring::{Engine, Limits, Ring, Stats};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64};

/// The engine of this process. A forked child leaks its parent's, whose threads it does not have.
static ENGINE: AtomicPtr<Engine<Os>> = AtomicPtr::new(std::ptr::null_mut());

/// Calls go to the kernel; only the interception is measured.
static THROUGH: AtomicBool = AtomicBool::new(false);

/// Calls that the kernel served, by kind: setup, enter, register.
static PASSED: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// The ring that a thread used last.
struct Last {
    fd: i32,
    /// The engine's epoch when it was looked up; while that stands, the descriptor names it.
    epoch: u64,
    ring: Arc<Ring<Os>>,
}

thread_local! {
    static LAST: Kept<Last> = const { Kept::new() };
}

/// A ring has been made.
static ANY_RING: AtomicBool = AtomicBool::new(false);

/// Makes the engine ready; to be called once, when signals are intercepted.
pub(crate) fn start() {
    // The kernel's io_uring may be left alone while AIO is served.
    THROUGH.store(!crate::init::serves_io_uring(), Relaxed);
    signal::set_blocking_call(window::wait);
    signal::set_guard(|body| {
        let _inside = window::Inside::enter();
        body();
    });
    crate::signal::own();
    fault::set_handled();
    interrupt::set_handled();
    kernel_aio::set_permission(crate::probe::kernel_aio);
    let engine = Engine::new(Os);
    engine.limit(&limits());
    ENGINE.store(Box::into_raw(Box::new(engine)), Release);
}

/// The limits that the settings set.
fn limits() -> Limits {
    let config = config::get();
    Limits { request_bytes: config.request_memory, workers: config.workers }
}

fn engine() -> Option<&'static Engine<Os>> {
    // SAFETY: null, or an engine that was leaked.
    unsafe { ENGINE.load(Acquire).as_ref() }
}

fn answer(result: Result<u32>) -> i64 {
    match result {
        Ok(value) => i64::from(value),
        Err(errno) => i64::from(errno.as_result()),
    }
}

/// Serves a call; the thread is inside.
#[inline]
pub(crate) fn serve(number: i64, args: [u64; 6]) -> i64 {
    if crate::aio::is_aio(number) {
        return match engine() {
            Some(engine) => crate::aio::serve(engine, number, args),
            None => i64::from(Errno::ENOSYS.as_result()),
        };
    }
    if THROUGH.load(Relaxed) {
        PASSED[(number - libc::SYS_io_uring_setup) as usize].fetch_add(1, Relaxed);
        let waits = number == libc::SYS_io_uring_enter;
        return if waits { window::wait(number, &args) } else { raw::call(number, args) };
    }
    let Some(engine) = engine() else { return i64::from(Errno::ENOSYS.as_result()) };
    let [fd, a, b, c, d, e] = args;
    match number {
        libc::SYS_io_uring_enter => {
            answer(enter(engine, fd as i32, a as u32, b as u32, c as u32, d, e))
        }
        libc::SYS_io_uring_register => answer(engine.register(fd as i32, a as u32, b, c as u32)),
        _ => {
            set_any_ring();
            answer(engine.setup(fd as u32, a).map(|fd| fd as u32))
        }
    }
}

/// `io_uring_enter`, on the thread's last ring without a look-up.
#[inline]
fn enter(
    engine: &Engine<Os>,
    fd: i32,
    to_submit: u32,
    min_complete: u32,
    flags: u32,
    arg: u64,
    argsz: u64,
) -> Result<u32> {
    let by_fd = flags & ringfence_abi::IORING_ENTER_REGISTERED_RING == 0;
    let epoch = engine.epoch();
    // Taken out while it is in use: a signal handler that comes here meanwhile finds none.
    let last = LAST.try_with(Kept::take).ok().flatten();
    let last = last.filter(|last| last.fd == fd && last.epoch == epoch).or_else(|| {
        let ring = engine.ring(fd)?;
        thread::current().rings.store(1, Relaxed);
        Some(Last { fd, epoch, ring })
    });
    match last {
        Some(last) if by_fd => {
            let result = last.ring.enter(to_submit, min_complete, flags, arg, argsz);
            let _ = LAST.try_with(|cell| cell.set(Some(last)));
            result
        }
        _ => engine.enter(fd, to_submit, min_complete, flags, arg, argsz),
    }
}

/// What the engine has done so far.
pub(crate) fn stats() -> Option<Stats> {
    engine().map(Engine::stats)
}

/// How often setup, enter and register went through to the kernel, if that is where they go.
pub(crate) fn passed() -> Option<[u64; 3]> {
    let measured = config::get().backend == Backend::Through;
    measured.then(|| [0, 1, 2].map(|kind: usize| PASSED[kind].load(Relaxed)))
}

/// Says whether all closes are made through libc, and so told of.
pub(crate) fn trust_closes(trusted: bool) {
    if let Some(engine) = engine() {
        engine.trust_closes(trusted);
    }
}

/// Whether there may be a ring, so that hooks have something to look for.
#[inline]
pub(crate) fn any_ring() -> bool {
    ANY_RING.load(Relaxed)
}

/// There is a ring from now on, or an AIO context, which wants to hear of the same.
pub(crate) fn set_any_ring() {
    ANY_RING.store(true, Relaxed);
}

/// Waits for what must not be lost when the process ends.
pub(crate) fn settle() {
    if let Some(engine) = engine() {
        engine.aio().settle();
    }
}

/// The address of the byte that says so.
pub(crate) fn any_ring_flag() -> u64 {
    ANY_RING.as_ptr() as u64
}

/// Whether `fd` is a ring of ours.
pub(crate) fn is_ring(fd: i32) -> bool {
    engine().is_some_and(|engine| engine.ring(fd).is_some())
}

/// Where a mapping of a ring is to be made; an error is the errno.
pub(crate) fn map_offset(fd: i32, offset: u64) -> Result<u64> {
    engine().map_or(Ok(offset), |engine| engine.map_offset(fd, offset))
}

/// What can be polled of a ring now.
pub(crate) fn pollable(fd: i32, events: i16) -> i16 {
    engine().map_or(events, |engine| engine.pollable(fd, events))
}

/// Ends the engine's threads that can be spared.
pub(crate) fn send_threads_away() {
    if let Some(engine) = engine() {
        engine.send_threads_away();
    }
}

/// Whether any of them has yet to go.
pub(crate) fn threads_leave() -> bool {
    engine().is_some_and(Engine::threads_leave)
}

/// A thread has left what it shared with the others.
pub(crate) fn tell_parted() {
    if let Some(engine) = engine() {
        engine.tell_parted();
    }
}

/// A thread has a user or group of its own for the file system.
pub(crate) fn tell_own_ids() {
    if let Some(engine) = engine() {
        engine.tell_own_ids();
    }
}

/// Lets the engine have threads again.
pub(crate) fn call_threads_back() {
    if let Some(engine) = engine() {
        engine.call_threads_back();
    }
}

pub(crate) fn before_close(first: u32, last: u32) {
    if let Some(engine) = engine() {
        engine.before_close(first, last);
    }
}

/// Whether the thread has used a ring, and is not in a handler, whose stack may be too small for the
/// engine.
#[inline]
pub(crate) fn uses_ring() -> bool {
    let thread = thread::current();
    thread.rings.load(Relaxed) != 0 && thread.handlers.load(Relaxed) == 0
}

/// To be called after a call that may have made files ready: those requests go on that wait in the
/// ring that the thread used last.
pub(crate) fn after_write() {
    let Some(engine) = engine() else { return };
    let last = LAST.try_with(Kept::take).ok().flatten();
    if let Some(last) = last.filter(|last| last.epoch == engine.epoch()) {
        last.ring.after_call();
        let _ = LAST.try_with(|cell| cell.set(Some(last)));
    }
}

/// To be called after descriptors were closed: who waits for their other ends goes on.
pub(crate) fn after_close() {
    if let Some(engine) = engine() {
        engine.after_call();
    }
}

/// To be called when `new` has become another name of `old`.
pub(crate) fn after_dup(old: i32, new: i32) {
    if let Some(engine) = engine() {
        engine.after_dup(old, new);
    }
}

/// Whether control messages of the program's hold a ring.
pub(crate) fn sends_ring(control: u64, len: u64) -> bool {
    engine().is_some_and(|engine| engine.sends_ring(control, len))
}

/// The descriptor that can be polled for a ring.
pub(crate) fn poll_fd(fd: i32) -> Option<i32> {
    engine()?.poll_fd(fd)
}

/// To be called when a wait that watches a ring starts.
pub(crate) fn attend(fd: i32) {
    if let Some(engine) = engine() {
        engine.attend(fd);
    }
}

/// To be called before a fork that libc makes.
pub(crate) fn before_fork() {
    if any_ring()
        && let Some(engine) = engine()
    {
        let _inside = window::Inside::enter();
        engine.before_fork();
    }
}

/// To be called after it in the parent.
pub(crate) fn after_fork_here() {
    if any_ring()
        && let Some(engine) = engine()
    {
        let _inside = window::Inside::enter();
        engine.after_fork_here();
    }
}

/// To be called in the child of a fork: the parent's rings are the parent's.
pub(crate) fn fork_child() {
    ANY_RING.store(false, Relaxed);
    if let Some(engine) = engine() {
        let own = engine.after_fork();
        ANY_RING.store(own.inherits(), Relaxed);
        own.limit(&limits());
        own.trust_closes(crate::init::closes_are_seen());
        ENGINE.swap(Box::into_raw(Box::new(own)), AcqRel);
    }
}

/// Descriptors that are ours, ascending.
pub(crate) fn private_fds() -> Vec<u32> {
    let mut fds = engine().map(Engine::private_fds).unwrap_or_default();
    fds.extend(crate::counters::private_fd());
    fds.sort_unstable();
    fds
}

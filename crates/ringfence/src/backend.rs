//! What serves the intercepted calls: the engine, or the kernel where only the interception is
//! looked at (`RINGFENCE_BACKEND=through`).
#![expect(unsafe_code, reason = "the engine of the process, replaced in a child of fork")]

use crate::config::{self, Backend};
use crate::{raw, window};
use ringfence_abi::Result;
use ringfence_host::{Os, fault, signal};
use ringfence_uring::Engine;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64};

/// The engine of this process; null before [`start`], and where the kernel serves.
static ENGINE: AtomicPtr<Engine<Os>> = AtomicPtr::new(std::ptr::null_mut());

/// Whether a ring was ever made here or inherited.
static ANY_RING: AtomicBool = AtomicBool::new(false);

/// Calls that the kernel served, by kind: setup, enter, register.
static PASSED: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// Prepares to serve.
pub(crate) fn start() {
    signal::set_wait(window::wait);
    if config::get().backend == Backend::Through {
        return;
    }
    crate::signal::own();
    fault::set_handled();
    ENGINE.store(Box::leak(Box::new(Engine::new(Os))), Release);
}

#[inline]
fn engine() -> Option<&'static Engine<Os>> {
    // SAFETY: null, or an engine that was leaked.
    unsafe { ENGINE.load(Acquire).as_ref() }
}

/// The kernel's way to give a result.
fn as_kernel(result: Result<u32>) -> i64 {
    match result {
        Ok(value) => i64::from(value),
        Err(errno) => i64::from(errno.as_result()),
    }
}

/// Serves a call; the thread is inside.
#[inline]
pub(crate) fn serve(number: i64, args: [u64; 6]) -> i64 {
    let Some(engine) = engine() else { return pass(number, args) };
    let [a, b, c, d, e, f] = args;
    match number {
        425 => {
            ANY_RING.store(true, Relaxed);
            as_kernel(engine.setup(a as u32, b).map(|fd| fd as u32))
        }
        426 => as_kernel(engine.enter(a as i32, b as u32, c as u32, d as u32, e, f)),
        _ => as_kernel(engine.register(a as i32, b as u32, c, d as u32)),
    }
}

/// Lets the kernel serve a call.
fn pass(number: i64, args: [u64; 6]) -> i64 {
    if let Some(counter) = PASSED.get((number - 425) as usize) {
        counter.fetch_add(1, Relaxed);
    }
    if number == 426 { window::wait(number, &args) } else { raw::call(number, args) }
}

/// Lines that say what was done.
pub(crate) fn report() -> Vec<String> {
    let Some(engine) = engine() else {
        let [setup, enter, register] = [0, 1, 2].map(|kind: usize| PASSED[kind].load(Relaxed));
        return vec![format!("calls: setup {setup}, enter {enter}, register {register}")];
    };
    let stats = engine.stats();
    let mut lines: Vec<String> =
        stats.operations.iter().map(|(name, count)| format!("{name:<20} {count}")).collect();
    lines.push(format!(
        "rings {}, worker threads {}, bytes for requests {}",
        stats.rings, stats.workers, stats.request_bytes
    ));
    lines
}

/// Whether there may be a ring, so that hooks have something to look for.
#[inline]
pub(crate) fn any_ring() -> bool {
    ANY_RING.load(Relaxed)
}

/// Whether `fd` is a ring of ours.
pub(crate) fn is_ring(fd: i32) -> bool {
    engine().is_some_and(|engine| engine.ring(fd).is_some())
}

/// Says whether all closes are made through libc, and so told of.
pub(crate) fn trust_closes(trusted: bool) {
    if let Some(engine) = engine() {
        engine.trust_closes(trusted);
    }
}

/// To be called before descriptors `first..=last` are closed.
pub(crate) fn before_close(first: u32, last: u32) {
    if let Some(engine) = engine() {
        engine.before_close(first, last);
    }
}

/// To be called when `new` has become another name of `old`.
pub(crate) fn after_dup(old: i32, new: i32) {
    if let Some(engine) = engine() {
        engine.after_dup(old, new);
    }
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

/// To be called in the child of a fork: its engine is a new one. The old one is left as it is,
/// with whatever locks its threads held at that moment.
pub(crate) fn fork_child() {
    if let Some(engine) = engine() {
        ENGINE.store(Box::leak(Box::new(engine.after_fork())), Release);
        trust_closes(crate::init::closes_are_seen());
    }
}

/// Descriptors of the engine's own, ascending.
pub(crate) fn private_fds() -> Vec<u32> {
    Vec::new()
}

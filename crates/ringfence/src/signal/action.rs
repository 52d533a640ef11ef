//! The program's signal handlers, as it sees them and as the kernel does.
#![expect(unsafe_code, reason = "installs signal handlers")]

use super::wrapper::{on_signal, restorer};
use super::{KEPT, SIGNAL_MAX};
use crate::raw;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

/// Signals that always have our handler: traps, and faults of the engine's copies.
const OWNED: [i32; 3] = [libc::SIGSYS, libc::SIGSEGV, libc::SIGBUS];

/// glibc's own two, for set*id and for thread cancellation, are short and run anywhere.
const GLIBCS: [i32; 2] = [32, 33];

const SA_RESTORER: u64 = 0x0400_0000;

/// What the program wants done at a signal.
#[derive(Debug)]
pub(super) struct Action {
    /// `SIG_DFL`, `SIG_IGN` or a function.
    pub(super) handler: AtomicUsize,
    pub(super) flags: AtomicU64,
    mask: AtomicU64,
}

impl Action {
    const fn new() -> Action {
        Action {
            handler: AtomicUsize::new(libc::SIG_DFL),
            flags: AtomicU64::new(0),
            mask: AtomicU64::new(0),
        }
    }
}

static ACTIONS: [Action; SIGNAL_MAX + 1] = [const { Action::new() }; SIGNAL_MAX + 1];

/// Whether the program's handlers are installed behind ours.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Whether the owned signals have our handler.
static OWNING: AtomicBool = AtomicBool::new(false);

/// The kernel's `struct sigaction`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KernelAction {
    pub(super) handler: usize,
    pub(super) flags: u64,
    pub(super) restorer: usize,
    pub(super) mask: u64,
}

/// The program's action for a signal.
pub(super) fn of(signal: i32) -> &'static Action {
    &ACTIONS[signal as usize]
}

fn is_function(handler: usize) -> bool {
    handler != libc::SIG_DFL && handler != libc::SIG_IGN
}

/// `rt_sigaction`.
pub(super) fn set_kernel(signal: i32, new: Option<&KernelAction>) -> Result<KernelAction, i32> {
    let mut old = KernelAction::default();
    let new = new.map_or(0, |new| std::ptr::from_ref(new) as u64);
    let old_at = std::ptr::from_mut(&mut old) as u64;
    match raw::call(libc::SYS_rt_sigaction, [signal as u64, new, old_at, 8, 0, 0]) {
        0 => Ok(std::hint::black_box(old)),
        error => Err(-error as i32),
    }
}

/// What the kernel is told, for what the program wants.
fn behind_ours(wanted: KernelAction) -> KernelAction {
    // A handler that is to run once is reset when it runs, which may be later than its delivery.
    let flags = wanted.flags & !(libc::SA_RESETHAND as u32 as u64);
    KernelAction {
        handler: on_signal as *const () as usize,
        flags: flags | libc::SA_SIGINFO as u64 | SA_RESTORER,
        restorer: restorer(),
        mask: wanted.mask & !KEPT,
    }
}

/// Our handler's settings for an owned signal.
fn owned_action(wanted: KernelAction) -> KernelAction {
    let always = (libc::SA_NODEFER | libc::SA_ONSTACK) as u64;
    let flags = wanted.flags & libc::SA_RESTART as u64 | always;
    behind_ours(KernelAction { flags, ..wanted })
}

fn is_owned(signal: i32) -> bool {
    OWNING.load(Relaxed) && OWNED.contains(&signal)
}

/// Puts our handler before those that exist, and from now on before each new one.
pub(crate) fn start() {
    if STARTED.swap(true, Relaxed) {
        return;
    }
    for signal in 1..=SIGNAL_MAX as i32 {
        if GLIBCS.contains(&signal) {
            continue;
        }
        let Ok(now) = set_kernel(signal, None) else { continue };
        note(signal, now);
        if is_function(now.handler) {
            let _ = set_kernel(signal, Some(&behind_ours(now)));
        }
    }
}

/// Takes over the owned signals, with the first ring or trap.
pub(crate) fn own() {
    start();
    if OWNING.swap(true, Relaxed) {
        return;
    }
    for signal in OWNED {
        let _ = set_kernel(signal, Some(&owned_action(wanted(signal))));
    }
}

/// Whether a handler stands that is not behind ours: a program may install one by an instruction.
pub(crate) fn has_foreign() -> bool {
    let ours = on_signal as *const () as usize;
    let is_foreign = |action: KernelAction| is_function(action.handler) && action.handler != ours;
    let mut signals = (1..=SIGNAL_MAX as i32).filter(|signal| !GLIBCS.contains(signal));
    signals.any(|signal| set_kernel(signal, None).is_ok_and(is_foreign))
}

fn note(signal: i32, action: KernelAction) {
    let known = of(signal);
    known.flags.store(action.flags & !SA_RESTORER, Relaxed);
    known.mask.store(action.mask, Relaxed);
    known.handler.store(action.handler, Release);
}

fn wanted(signal: i32) -> KernelAction {
    let known = of(signal);
    KernelAction {
        handler: known.handler.load(Acquire),
        flags: known.flags.load(Relaxed),
        restorer: 0,
        mask: known.mask.load(Relaxed),
    }
}

/// Gives a signal its default action, in the kernel and in our books.
pub(super) fn reset(signal: i32) {
    let default = KernelAction::default();
    note(signal, default);
    if !is_owned(signal) {
        let _ = set_kernel(signal, Some(&default));
    }
}

fn mask_of(set: &libc::sigset_t) -> u64 {
    // SAFETY: the first word of a `sigset_t` is the kernel's mask.
    unsafe { *std::ptr::from_ref(set).cast::<u64>() }
}

/// `sigaction(3)` for the program; true if it went well, else `errno` is set.
///
/// # Safety
/// The pointers must be as `sigaction` wants them.
pub(crate) unsafe fn sigaction(
    signal: i32,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> bool {
    if !(1..=SIGNAL_MAX as i32).contains(&signal) || signal == 32 || signal == 33 {
        raw::set_errno(libc::EINVAL);
        return false;
    }
    let before = wanted(signal);
    // SAFETY: the caller passes a valid action or null.
    if let Some(new) = unsafe { new.as_ref() } {
        let action = KernelAction {
            handler: new.sa_sigaction,
            flags: u64::from(new.sa_flags as u32),
            restorer: 0,
            mask: mask_of(&new.sa_mask),
        };
        if let Err(number) = install(signal, action) {
            raw::set_errno(number);
            return false;
        }
    }
    // SAFETY: the caller passes room for an action or null.
    if let Some(old) = unsafe { old.as_mut() } {
        old.sa_sigaction = before.handler;
        old.sa_flags = before.flags as i32;
        // SAFETY: all bits of a `sigset_t` may be zero, and its first word is the kernel's mask.
        unsafe {
            old.sa_mask = std::mem::zeroed();
            *(&raw mut old.sa_mask).cast::<u64>() = before.mask;
        }
    }
    true
}

/// Installs what the program wants for a signal; an error is a number.
fn install(signal: i32, action: KernelAction) -> Result<(), i32> {
    let before = wanted(signal);
    if is_owned(signal) {
        note(signal, action);
        return set_kernel(signal, Some(&owned_action(action))).map(drop);
    }
    if is_function(action.handler) {
        // Ours looks the handler up, so it has to be there first.
        note(signal, action);
        let result = set_kernel(signal, Some(&behind_ours(action))).map(drop);
        if result.is_err() {
            note(signal, before);
        }
        return result;
    }
    let plain = KernelAction {
        flags: action.flags & !SA_RESTORER | SA_RESTORER,
        restorer: restorer(),
        ..action
    };
    set_kernel(signal, Some(&plain)).map(|_| note(signal, action))
}

/// In a trial's child: installs a bare handler for SIGSYS.
pub(crate) fn set_trial_handler(
    handler: unsafe extern "C" fn(i32, *mut super::SigInfo, *mut libc::ucontext_t),
) {
    let action = KernelAction {
        handler: handler as *const () as usize,
        flags: (libc::SA_SIGINFO | libc::SA_NODEFER) as u64 | SA_RESTORER,
        restorer: restorer(),
        mask: 0,
    };
    let _ = set_kernel(libc::SIGSYS, Some(&action));
}

//! Runs a hostile program, and checks what must hold whatever it does.

use super::program::{Program, Register, Setup, Step};
use super::{Count, Fd, World};
use crate::{InProcess, OwnMemory, Ring, Target, sys};
use ringfence_abi::*;
use std::time::{Duration, Instant};

/// How long a call may wait for completions.
const WAIT: Duration = Duration::from_millis(1);
/// What is left behind must be gone within this.
const GONE: Duration = Duration::from_secs(10);
/// Files that a program writes grow no larger, bytes.
const FILE_MAX: u64 = 16 << 20;

/// To be called once, in a process that runs nothing else: programs get signals and limits that
/// they cannot do harm with.
pub fn prepare_process() {
    sys::ignore_signal(libc::SIGPIPE);
    sys::ignore_signal(libc::SIGXFSZ);
    sys::set_soft_limit(libc::RLIMIT_FSIZE, FILE_MAX);
}

/// Runs a program on a target: its setup, its steps, the end of its ring.
///
/// What it may not do is to panic, to hang or to leave a ring, a thread or a descriptor behind, or to
/// use the engine's locks otherwise than they may be; panics if anything of a ring is left after
/// [`GONE`], and with what the lock validator reports.
pub fn run(target: &dyn Target, program: &Program) {
    on_ring(target, &program.setup, |ring, world| {
        program.steps.iter().for_each(|step| take(target, ring, world, step));
    });
}

/// Does something with a ring, if it can be had, in a world of its own where there is another ring too;
/// then nothing may be left of either.
pub(super) fn on_ring(target: &dyn Target, setup: &Setup, act: impl FnOnce(&mut Ring, &World)) {
    let before = sys::open_fds();
    let memory = act_on(target, setup, act);
    settle(target, &before);
    // A ring that ends may still be written to, where the program brought its memory.
    drop(memory);
}

fn act_on(
    target: &dyn Target,
    setup: &Setup,
    act: impl FnOnce(&mut Ring, &World),
) -> Option<OwnMemory> {
    let other = Ring::new(target, 4, Params::default()).ok();
    let (mut ring, memory) = setup.ring(target, other.as_ref()).ok()?;
    let mut world = World::new();
    let fds = (ring.descriptor(), other.as_ref().and_then(Ring::descriptor));
    world.rings = (fds.0.unwrap_or(-1), fds.1.unwrap_or(-1));
    act(&mut ring, &world);
    end(ring, other);
    memory
}

/// Lets go of the rings, registered ones too.
pub(super) fn end(ring: Ring<'_>, other: Option<Ring<'_>>) {
    // Its own index is the last, for it is used by it.
    let own = if ring.descriptor().is_none() { ring.fd as u32 } else { u32::MAX };
    for offset in (0..16).filter(|offset| *offset != own) {
        let row = FilesUpdate { offset, ..FilesUpdate::default() };
        let _ = ring.register(RegisterOp::UnregisterRingFds, &[row]);
    }
    drop(ring);
    drop(other);
}

/// Does one step.
fn take(target: &dyn Target, ring: &mut Ring<'_>, world: &World, step: &Step) {
    let slots = ring.params.sq_entries;
    match step {
        Step::Submit(entries) => {
            for entry in entries {
                if ring.sq_room() == 0 || ring.sq_room() > slots {
                    break;
                }
                ring.push(entry.sqe(world));
            }
            let count = ring.flush();
            let _ = ring.enter(count, 0, 0);
        }
        Step::Enter(submit, want, flags) => {
            // Waiting for room may be without end, as it is on the kernel.
            let kept = !(IORING_ENTER_EXT_ARG_REG | IORING_ENTER_SQ_WAIT);
            let flags = flags.value() & kept | IORING_ENTER_GETEVENTS;
            let _ = ring.enter_for(u32::from(*submit), u32::from(*want), flags, WAIT);
        }
        Step::Reap(count) => (0..*count).for_each(|_| _ = ring.cqe()),
        Step::Register(register) => {
            let _ = register_one(target, ring, world, register);
        }
        Step::Poke(at, words) => {
            let words: Vec<u64> = words.iter().map(|word| world.word(*word)).collect();
            world.poke(usize::from(*at), &words);
        }
        Step::Scribble(at, value) => {
            let words = ring.memory().len() as u32 / 4;
            let at = u32::from(*at) % words * 4;
            if !is_endless(ring, at) {
                ring.memory().word(at).store(value.value(), std::sync::atomic::Ordering::Relaxed);
            }
        }
        Step::Tail(_) if is_endless(ring, ring.params.sq_off.tail) => {}
        Step::Tail(value) => ring.set_sq_tail(value.value()),
        Step::Head(value) => ring.set_cq_head(value.value()),
        Step::Index(slot, value) if ring.params.flags & IORING_SETUP_NO_SQARRAY == 0 => {
            ring.set_index(u32::from(*slot) % slots, value.value());
        }
        Step::Index(..) => {}
        Step::Feed(len) => world.feed(*len),
        // A slot's number is somebody else's descriptor, and the rings are closed in the end.
        Step::Close(Fd::Slot(_) | Fd::Ring | Fd::OtherRing) => {}
        Step::Close(fd) => _ = target.close(world.fd(*fd)),
    }
}

/// Whether a word is the tail of a ring that the engine polls: it would submit billions of
/// entries, as the kernel would, and keep their completions.
fn is_endless(ring: &Ring<'_>, at: u32) -> bool {
    ring.params.flags & IORING_SETUP_SQPOLL != 0 && at == ring.params.sq_off.tail
}

pub(super) fn register_one(
    target: &dyn Target,
    ring: &Ring<'_>,
    world: &World,
    register: &Register,
) -> Result<u32> {
    let words: Vec<u64> = register.words.iter().map(|word| world.word(*word)).collect();
    let arg = match register.elsewhere {
        Some(addr) => world.addr(addr),
        None => world.poke(super::world::ARGUMENT, &words),
    };
    let count = match register.count {
        Count::Fits => words.len() as u32,
        Count::One => 1,
        Count::Other(number) => number.value(),
    };
    let opcode = u32::from(register.opcode) % (RegisterOp::ALL.len() as u32 + 2);
    // Waits without end are not asked for: cancelling gets a time.
    let is_cancel = opcode == RegisterOp::SyncCancel as u32;
    let arg = if is_cancel { sync_cancel(world, &words) } else { arg };
    if register.other {
        return target.register(world.rings.1, opcode, arg, count);
    }
    ring.register_code(opcode, arg, count)
}

/// A synchronous cancellation that waits a millisecond at most.
fn sync_cancel(world: &World, words: &[u64]) -> u64 {
    let word = |i: usize| words.get(i).copied().unwrap_or(0);
    let nanoseconds = 1_000_000;
    world.poke(0x900, &[word(0), word(1), 0, nanoseconds, word(2), 0, 0, 0])
}

/// Waits until nothing of the program's rings is left, closes what the program left open, and asks
/// the lock validator.
pub(super) fn settle(target: &dyn Target, before: &[i32]) {
    if target.name() != "engine" {
        return close_new(before, &[]);
    }
    let deadline = Instant::now() + GONE;
    while InProcess::rings() > 0 {
        assert!(Instant::now() < deadline, "{} rings are left behind", InProcess::rings());
        std::thread::sleep(Duration::from_micros(100));
    }
    close_new(before, &InProcess::private_fds());
    crate::locking::assert_unreported();
}

fn close_new(before: &[i32], private: &[u32]) {
    for fd in sys::open_fds() {
        if !before.contains(&fd) && !private.contains(&(fd as u32)) {
            sys::close_if_open(fd);
        }
    }
}

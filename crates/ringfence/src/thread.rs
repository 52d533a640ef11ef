//! What is kept for each thread: 64 bytes of static thread-local memory, zero at its start.
//!
//! The compiler's thread-local variables go through `__tls_get_addr` in a shared library, which
//! may allocate. A signal handler and a system call's way in must not, so the block is declared in
//! assembly under the initial-exec model: two instructions, no call.
#![expect(unsafe_code, reason = "a thread-local block under a model of its own")]

use std::sync::atomic::{AtomicU32, AtomicU64};

/// The block of a thread.
///
/// Only its own thread touches it; the atomics, all relaxed, are there since that thread's signal
/// handlers do so too.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct Thread {
    /// Not 0 while the thread runs the engine, when handlers of the program may not run.
    pub(crate) inside: AtomicU32,
    /// Not 0 while, inside the engine, it waits at the one place that lets handlers in.
    pub(crate) window: AtomicU32,
    /// A handler ran in the present window, so the wait has to end.
    pub(crate) interrupted: AtomicU32,
    /// Not 0 when signals were put off and `saved_mask` has to be restored to let them in.
    pub(crate) deferred: AtomicU32,
    /// The mask to restore.
    pub(crate) saved_mask: AtomicU64,
    /// Signals that the program believes blocked and that we keep open.
    pub(crate) hidden_mask: AtomicU64,
    /// Those of them that came meanwhile.
    pub(crate) hidden_pending: AtomicU64,
    /// Not 0 between the return of `vfork` in the child and its exec or exit: the memory is the
    /// parent's, so nothing may be noted in it.
    pub(crate) vforked: AtomicU32,
    /// Not 0 in threads of the engine, whose calls are left alone.
    pub(crate) engine: AtomicU32,
    /// Not 0 once the thread has used a ring.
    pub(crate) rings: AtomicU32,
    /// Handlers of the program that run on it; one that was left by a jump is counted for good.
    pub(crate) handlers: AtomicU32,
    /// Not 0 while the thread holds locks for a fork, when handlers of the program may not run either:
    /// one that exits, or makes a call of ours, would wait for its own thread.
    pub(crate) forking: AtomicU32,
}

const _: () = assert!(size_of::<Thread>() == 64);

std::arch::global_asm!(
    ".section .tbss.ringfence_thread, \"awT\", @nobits",
    ".hidden ringfence_thread",
    ".globl ringfence_thread",
    ".type ringfence_thread, @object",
    ".size ringfence_thread, 64",
    ".balign 64",
    "ringfence_thread:",
    ".zero 64",
    ".text",
);

/// The calling thread's block.
#[inline(always)]
pub(crate) fn current() -> &'static Thread {
    let block: *const Thread;
    // SAFETY: the block is as large and aligned as `Thread`, all of whose bit patterns are valid,
    // and lives as long as the thread; the reference does not leave it, as nothing here is sent.
    unsafe {
        std::arch::asm!(
            "mov {block}, qword ptr fs:[0]",
            "add {block}, qword ptr [rip + ringfence_thread@GOTTPOFF]",
            block = out(reg) block,
            options(nostack, pure, readonly),
        );
        &*block
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn each_thread_has_its_own_zeroed_block() {
        current().saved_mask.store(7, Relaxed);
        let here = std::ptr::from_ref(current()) as usize;
        let there = std::thread::spawn(|| {
            assert_eq!(current().saved_mask.load(Relaxed), 0);
            std::ptr::from_ref(current()) as usize
        });
        assert_ne!(here, there.join().unwrap());
        assert_eq!(current().saved_mask.load(Relaxed), 7);
        current().saved_mask.store(0, Relaxed);
    }
}

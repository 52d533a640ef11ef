//! Fork, vfork and exec.
#![expect(unsafe_code, reason = "vfork in assembly; a page that the kernel wipes at fork")]

use crate::window::{self, Inside};
use crate::{backend, hooks, init, raw, thread, trap};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicU32};

/// A word in a page that reads as zero in a child, however it was forked.
static MARK: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());

const MADV_WIPEONFORK: u64 = 18;

/// Prepares to notice forks.
pub(crate) fn start() {
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let page = raw::call(libc::SYS_mmap, [0, 4096, prot, flags, u64::MAX, 0]);
    if page > 0 && raw::call(libc::SYS_madvise, [page as u64, 4096, MADV_WIPEONFORK, 0, 0, 0]) == 0
    {
        let mark = page as *mut AtomicU32;
        // SAFETY: the page was mapped just now, is never unmapped, and zero is a valid word.
        unsafe { (*mark).store(1, Relaxed) };
        MARK.store(mark, Release);
    }
    // SAFETY: the handlers may run at any fork: they take and release locks, make system calls and
    // reset state.
    unsafe { libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(after_fork)) };
}

/// Whether this is a child of a fork that has not been noticed yet.
#[inline]
pub(crate) fn notice_fork() {
    // SAFETY: null, or the page of `start`.
    if let Some(mark) = unsafe { MARK.load(Acquire).as_ref() }
        && mark.load(Relaxed) == 0
    {
        in_child(mark);
    }
}

#[cold]
fn in_child(mark: &AtomicU32) {
    // A handler that came between would find the parent's engine, whose locks nobody lets go of here.
    let _inside = Inside::enter();
    mark.store(1, Relaxed);
    let _ = trap::arm();
    backend::fork_child();
}

/// Runs before a fork that libc makes. From here on, until the handlers after it, this thread holds
/// locks: these, and the allocator's, which takes its own after this and lets go of it before the others
/// here. A signal that came meanwhile, most likely while the process is copied, is put off.
unsafe extern "C" fn before_fork() {
    window::begin_fork();
    init::hold();
    hooks::hold_watches();
    backend::before_fork();
}

/// Runs after it in the parent.
unsafe extern "C" fn in_parent() {
    backend::after_fork_here();
    hooks::release_watches();
    init::release();
    window::end_fork();
}

/// Runs after it in the child.
unsafe extern "C" fn after_fork() {
    hooks::release_watches();
    init::release();
    notice_fork();
    window::end_fork();
}

/// `vfork`: the child runs in its parent's memory until it executes a program, and is marked for
/// that time.
///
/// # Safety
/// As `vfork(2)`: the child may not return from the caller.
#[unsafe(naked)]
pub unsafe extern "C" fn vfork() -> i32 {
    std::arch::naked_asm!(
        // The return address would be overwritten by the child, so it waits in a register.
        "pop rdi",
        "mov rsi, qword ptr fs:[0]",
        "add rsi, qword ptr [rip + ringfence_thread@GOTTPOFF]",
        "mov edx, dword ptr [rsi + {vforked}]",
        "mov dword ptr [rsi + {vforked}], 1",
        "mov eax, 58",
        "syscall",
        "push rdi",
        "test eax, eax",
        "jz 2f",
        "mov dword ptr [rsi + {vforked}], edx",
        "js 3f",
        "2:",
        "ret",
        "3:",
        "mov edi, eax",
        "jmp {fail}",
        vforked = const std::mem::offset_of!(thread::Thread, vforked),
        fail = sym fail,
    )
}

unsafe extern "C" fn fail(result: i32) -> i32 {
    raw::libc_result(i64::from(result)) as i32
}

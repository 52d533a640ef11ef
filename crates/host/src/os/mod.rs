//! The operating system itself: a system call is a system call.
#![expect(unsafe_code, reason = "makes system calls")]

mod ring_memory;
mod thread_exit;
mod vector;

use crate::sync::{self, AtomicU32, LockClass, RawFutex};
use crate::{Clock, Event, Host, RingMemory, fault, interrupt, signal};
use ringfence_abi::{Errno, Result};
use std::cell::Cell;
use std::sync::OnceLock;

/// The operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Os;

/// Makes a system call by its instruction, so that no interposed function sees it.
#[inline]
pub(crate) fn syscall(number: i64, args: [u64; 6]) -> Result<u64> {
    let result: i64;
    // SAFETY: the kernel checks every address of the program's; addresses of the engine's own are
    // valid for what the call writes, by the typed wrappers that pass them.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    if (-4095..0).contains(&result) {
        Err(Errno::from_raw(-result as i32))
    } else {
        Ok(result as u64)
    }
}

/// What `epoll_pwait2` is where the kernel lacks it: milliseconds, rounded up.
fn epoll_pwait(epfd: i32, events: &mut [Event], timeout: Option<u64>, mask: u64) -> Result<u64> {
    let millis = timeout.map_or(-1, |ns| ns.div_ceil(1_000_000).min(i32::MAX as u64) as i64);
    let (at, room) = (events.as_mut_ptr() as u64, events.len() as u64);
    signal::blocking(libc::SYS_epoll_pwait, [epfd as u64, at, room, millis as u64, mask, 8])
}

/// All signals but the two that glibc keeps for set*id and thread cancellation, that which interrupts
/// a worker, and those of a fault: a copy from a bad address is mended by their handler, and a blocked
/// one kills.
const ENGINE_THREAD_MASK: u64 = !((1 << 31)
    | (1 << 32)
    | (1 << (libc::SIGSYS - 1))
    | (1 << (libc::SIGSEGV - 1))
    | (1 << (libc::SIGBUS - 1)));

/// Sets the calling thread's signal mask and returns the one before.
fn swap_mask(mask: u64) -> u64 {
    let mut old = 0u64;
    let args = [
        libc::SIG_SETMASK as u64,
        std::ptr::from_ref(&mask) as u64,
        std::ptr::from_mut(&mut old) as u64,
        8,
        0,
        0,
    ];
    let _ = syscall(libc::SYS_rt_sigprocmask, args);
    old
}

thread_local! {
    static THREAD_ID: Cell<u32> = const { Cell::new(0) };
}

/// A lock of the engine's is a word: its class is for hosts that look at it.
const _: () = assert!(size_of::<sync::Mutex<Os, u32>>() == 8);

/// Who knows whether kernel AIO may be tried under a seccomp filter.
pub(crate) static AIO_PERMISSION: OnceLock<crate::kernel_aio::Permission> = OnceLock::new();

/// Whether a seccomp filter is in force, which could kill for a call.
fn is_filtered() -> bool {
    syscall(libc::SYS_prctl, [libc::PR_GET_SECCOMP as u64, 0, 0, 0, 0, 0]) != Ok(0)
}

impl Host for Os {
    type Lock = RawFutex;

    #[inline]
    fn new_lock(&self, _: &'static LockClass) -> RawFutex {
        <RawFutex as lock_api::RawMutex>::INIT
    }

    fn futex_wait(&self, word: &AtomicU32, value: u32, timeout: Option<u64>) {
        sync::futex_wait(word, value, timeout);
    }

    fn futex_wake(&self, word: &AtomicU32, count: u32) {
        sync::futex_wake(word, count);
    }

    #[inline]
    fn syscall(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        crate::watch::before(number, &args);
        let result = syscall(number, args);
        crate::watch::after(number, &args, &result);
        result
    }

    fn interruptible(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        crate::watch::before(number, &args);
        let result = interrupt::interruptible(number, &args);
        crate::watch::after(number, &args, &result);
        result
    }

    fn interrupt(&self, thread: u32) {
        interrupt::send(thread);
    }

    fn recover(&self) {
        interrupt::recover();
    }

    #[inline]
    fn now(&self, clock: Clock) -> u64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a local; the vDSO answers without a system call.
        unsafe { libc::clock_gettime(clock as i32, &mut time) };
        (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
    }

    #[inline]
    fn copy_in(&self, addr: u64, out: &mut [u8]) -> Result<()> {
        fault::copy_in(addr, out)
    }

    #[inline]
    fn copy_out(&self, addr: u64, data: &[u8]) -> Result<()> {
        fault::copy_out(addr, data)
    }

    fn wait(
        &self,
        epfd: i32,
        events: &mut [Event],
        timeout: Option<u64>,
        sigmask: Option<u64>,
    ) -> Result<usize> {
        let spec = timeout.map(|ns| [(ns / 1_000_000_000) as i64, (ns % 1_000_000_000) as i64]);
        let spec_at = spec.as_ref().map_or(0, |spec| spec.as_ptr() as u64);
        let mask_at = sigmask.as_ref().map_or(0, |mask| std::ptr::from_ref(mask) as u64);
        let (at, room) = (events.as_mut_ptr() as u64, events.len() as u64);
        let args = [epfd as u64, at, room, spec_at, mask_at, 8];
        // A wait of no length lets nothing in.
        let result = if timeout == Some(0) {
            syscall(libc::SYS_epoll_pwait2, args)
        } else {
            signal::blocking(libc::SYS_epoll_pwait2, args)
        };
        match result {
            Err(Errno::ENOSYS | Errno::EPERM) => epoll_pwait(epfd, events, timeout, mask_at),
            other => other,
        }
        .map(|count| count as usize)
    }

    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<()> {
        // The new thread inherits the mask, so no signal can reach it before it blocks them.
        let mask = swap_mask(ENGINE_THREAD_MASK);
        let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(128 * 1024);
        let result = vector::kept(|| builder.spawn(body));
        swap_mask(mask);
        result.map(drop).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(11)))
    }

    #[inline]
    fn thread_id(&self) -> u32 {
        let cached = THREAD_ID.get();
        if cached != 0 {
            return cached;
        }
        let id = syscall(libc::SYS_gettid, [0; 6]).unwrap_or(0) as u32;
        THREAD_ID.set(id);
        id
    }

    fn at_thread_exit(&self, body: Box<dyn FnOnce() + Send>) {
        thread_exit::push(body);
    }

    fn thread_lives(&self, id: u32) -> bool {
        let probe = syscall(libc::SYS_tkill, [u64::from(id), 0, 0, 0, 0, 0]);
        probe != Err(Errno::from_raw(libc::ESRCH))
    }

    fn cpus(&self) -> u32 {
        // SAFETY: a question to libc without pointers.
        unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }.max(1) as u32
    }

    fn forked(&self) {
        THREAD_ID.set(0);
        ring_memory::forked();
    }

    fn ring_memory(&self, size: u64) -> Result<RingMemory> {
        ring_memory::create(size)
    }

    fn release_fd(&self) -> Option<i32> {
        ring_memory::release_fd()
    }

    fn allows_kernel_aio(&self) -> bool {
        static ALLOWED: OnceLock<bool> = OnceLock::new();
        let find_out = || AIO_PERMISSION.get().is_some_and(|find_out| find_out());
        *ALLOWED.get_or_init(|| !is_filtered() || find_out())
    }

    fn private_fds(&self) -> Vec<i32> {
        ring_memory::release_fd().into_iter().collect()
    }

    fn released(&self, out: &mut Vec<i32>) {
        ring_memory::released(out);
    }
}

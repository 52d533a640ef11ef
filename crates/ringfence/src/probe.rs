//! What this host allows, found out by trying: each trial in a child that may die of it.
#![expect(unsafe_code, reason = "runs code in a child that shares the memory")]

use crate::raw;
use crate::{filter, trap};

std::arch::global_asm!(
    ".text",
    // int ringfence_trial(void *stack_top rdi, int (*body)(void) rsi) -> process id
    ".hidden ringfence_trial",
    ".globl ringfence_trial",
    ".type ringfence_trial, @function",
    "ringfence_trial:",
    "mov r9, rsi",
    "mov rsi, rdi",
    // CLONE_VM | CLONE_VFORK: the parent waits, and no signal tells it of the end.
    "mov edi, 0x4100",
    "xor edx, edx",
    "xor r10d, r10d",
    "xor r8d, r8d",
    "mov eax, 56",
    "syscall",
    "test eax, eax",
    "jnz 2f",
    "xor ebp, ebp",
    "call r9",
    "mov edi, eax",
    "mov eax, 231",
    "syscall",
    "2:",
    "ret",
    ".size ringfence_trial, . - ringfence_trial",
    // long ringfence_trial_site(void): a call of io_uring_register on no descriptor
    ".hidden ringfence_trial_site",
    ".globl ringfence_trial_site",
    ".type ringfence_trial_site, @function",
    "ringfence_trial_site:",
    "mov eax, 427",
    "mov edi, -1",
    "syscall",
    ".hidden ringfence_trial_after",
    ".globl ringfence_trial_after",
    "ringfence_trial_after:",
    "ret",
    ".size ringfence_trial_site, . - ringfence_trial_site",
);

unsafe extern "C" {
    fn ringfence_trial(stack_top: *mut u8, body: unsafe extern "C" fn() -> i32) -> i32;
    fn ringfence_trial_site() -> i64;
    static ringfence_trial_after: u8;
}

/// What the kernel answers to `io_uring_setup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// It gives a ring.
    Granted,
    /// An errno, such as `EPERM` of a seccomp filter or the sysctl, `ENOSYS` of a kernel without
    /// io_uring, `ENOMEM` of a limit on locked memory.
    Refused(i32),
    /// The caller is killed, by this signal.
    Killed(i32),
}

/// What this host allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The kernel's own io_uring.
    pub kernel: Kernel,
    /// Call sites can be patched: memory may become executable.
    pub patch: bool,
    /// Calls can be trapped by syscall user dispatch in its inclusive mode (Linux 6.18).
    pub dispatch: bool,
    /// Calls can be trapped by a seccomp filter.
    pub filter: bool,
}

impl Probe {
    /// Tries everything.
    pub fn run() -> Probe {
        Probe { kernel: kernel(), patch: patch(), dispatch: dispatch(), filter: filter_trap() }
    }
}

/// How a child ended.
enum End {
    Exit(i32),
    Signal(i32),
    NotStarted,
}

/// Runs `body` in a child.
///
/// # Safety
/// `body` must make raw system calls only, and write to nothing but its own stack.
unsafe fn in_child(body: unsafe extern "C" fn() -> i32) -> End {
    const STACK: u64 = 64 * 1024;
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let stack = raw::call(libc::SYS_mmap, [0, STACK, prot, flags, u64::MAX, 0]);
    if stack < 0 {
        return End::NotStarted;
    }
    // SAFETY: the stack was mapped just now and is this child's; the parent sleeps until it ends.
    let child = unsafe { ringfence_trial((stack as u64 + STACK) as *mut u8, body) };
    let mut status = 0i32;
    let mut end = End::NotStarted;
    if child > 0 {
        let at = std::ptr::from_mut(&mut status) as u64;
        let all = (libc::__WALL as u32).into();
        while raw::call(libc::SYS_wait4, [child as u64, at, all, 0, 0, 0]) == -4 {}
        let status = std::hint::black_box(status);
        end = match status & 0x7f {
            0 => End::Exit(status >> 8 & 0xff),
            signal => End::Signal(signal),
        };
    }
    raw::call(libc::SYS_munmap, [stack as u64, STACK, 0, 0, 0, 0]);
    end
}

/// Makes a ring; 0, or the errno.
unsafe extern "C" fn try_setup() -> i32 {
    let mut params = [0u64; 15];
    // Not to be taken for a call of the program's.
    let number = std::hint::black_box(libc::SYS_io_uring_setup);
    let fd = raw::call(number, [1, std::ptr::from_mut(&mut params) as u64, 0, 0, 0, 0]);
    if fd < 0 {
        return -fd as i32;
    }
    raw::call(libc::SYS_close, [fd as u64, 0, 0, 0, 0, 0]);
    0
}

/// Asks for an AIO context of no events; 0 if the kernel answers that by itself, or the errno.
///
/// None is made, for it would have to be destroyed, and for that the kernel waits some 30 ms: in each
/// process that starts.
unsafe extern "C" fn try_aio() -> i32 {
    let mut context = 0u64;
    // Not to be taken for a call of the program's.
    let number = std::hint::black_box(libc::SYS_io_setup);
    let result = raw::call(number, [0, std::ptr::from_mut(&mut context) as u64, 0, 0, 0, 0]);
    if result == -i64::from(libc::EINVAL) { 0 } else { -result as i32 }
}

/// Whether all requests that the host's contexts may hold are taken.
fn is_aio_used_up() -> bool {
    let number = |name: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/proc/sys/fs/{name}")).ok()?.trim().parse().ok()
    };
    matches!((number("aio-nr"), number("aio-max-nr")), (Some(used), Some(limit)) if used >= limit)
}

/// Whether the kernel would give an AIO context; asked in a child if a filter could kill for it.
pub(crate) fn aio() -> Kernel {
    match ask(try_aio) {
        Kernel::Granted if is_aio_used_up() => Kernel::Refused(libc::EAGAIN),
        answer => answer,
    }
}

/// Asks the kernel for a ring; in a child if a filter could kill for it.
pub(crate) fn kernel() -> Kernel {
    ask(try_setup)
}

fn ask(attempt: unsafe extern "C" fn() -> i32) -> Kernel {
    let filtered = raw::call(libc::SYS_prctl, [libc::PR_GET_SECCOMP as u64, 0, 0, 0, 0, 0]) != 0;
    // SAFETY: attempts make two system calls on their own stack, in either process.
    let end = unsafe { if filtered { in_child(attempt) } else { End::Exit(attempt()) } };
    match end {
        End::Exit(0) => Kernel::Granted,
        End::Exit(number) => Kernel::Refused(number),
        End::Signal(signal) => Kernel::Killed(signal),
        End::NotStarted => Kernel::Refused(libc::EAGAIN),
    }
}

/// Makes a context of kernel AIO, and each of the calls on it; 0 if none is refused.
unsafe extern "C" fn try_kernel_aio() -> i32 {
    let mut context = 0u64;
    let at = std::ptr::from_mut(&mut context) as u64;
    if raw::call(libc::SYS_io_setup, [1, at, 0, 0, 0, 0]) != 0 {
        return 1;
    }
    let context = std::hint::black_box(context);
    let submitted = raw::call(libc::SYS_io_submit, [context, 0, at, 0, 0, 0]);
    let got = raw::call(libc::SYS_io_getevents, [context, 0, 0, at, 0, 0]);
    let destroyed = raw::call(libc::SYS_io_destroy, [context, 0, 0, 0, 0, 0]);
    i32::from(submitted != 0 || got != 0 || destroyed != 0)
}

/// Whether kernel AIO can be had; in a child, for a filter could kill for it.
pub(crate) fn kernel_aio() -> bool {
    // SAFETY: four system calls, on its own stack.
    matches!(unsafe { in_child(try_kernel_aio) }, End::Exit(0))
}

/// Whether memory that was written may be run.
fn patch() -> bool {
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let page = raw::call(libc::SYS_mmap, [0, 4096, prot, flags, u64::MAX, 0]);
    if page < 0 {
        return false;
    }
    let executable = (libc::PROT_READ | libc::PROT_EXEC) as u64;
    let allowed = raw::call(libc::SYS_mprotect, [page as u64, 4096, executable, 0, 0, 0]) == 0;
    raw::call(libc::SYS_munmap, [page as u64, 4096, 0, 0, 0, 0]);
    allowed
}

/// The address that the trial's call returns to.
fn site() -> u64 {
    std::ptr::addr_of!(ringfence_trial_after) as u64
}

/// Whether a `syscall` is the trial's.
pub(crate) fn is_trial(call: u64) -> bool {
    call + 2 == site()
}

/// Makes the trial's call; 0 if it was trapped.
unsafe fn call_site() -> i32 {
    // SAFETY: it calls the kernel with a descriptor that cannot be open.
    let result = unsafe { ringfence_trial_site() };
    i32::from(result != trap::TRIAL_ANSWER)
}

unsafe extern "C" fn try_dispatch() -> i32 {
    trap::handle_trial();
    // SAFETY: see `call_site`.
    if trap::dispatch(site(), site()).is_ok() { unsafe { call_site() } } else { 2 }
}

unsafe extern "C" fn try_filter() -> i32 {
    trap::handle_trial();
    // SAFETY: see `call_site`.
    if filter::install(site(), site()).is_ok() { unsafe { call_site() } } else { 2 }
}

/// Whether syscall user dispatch works.
pub(crate) fn dispatch() -> bool {
    // SAFETY: raw system calls, on its own stack; handlers of a child are its own.
    matches!(unsafe { in_child(try_dispatch) }, End::Exit(0))
}

/// Whether a filter that traps works.
pub(crate) fn filter_trap() -> bool {
    // SAFETY: as above; the filter's program is built in memory that is freed before the end.
    matches!(unsafe { in_child(try_filter) }, End::Exit(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_gives_the_same_answer_in_a_child() {
        // SAFETY: as in `kernel`.
        let child = unsafe { in_child(try_setup) };
        // SAFETY: as above.
        let here = unsafe { try_setup() };
        assert!(matches!(child, End::Exit(number) if number == here));
    }

    #[test]
    fn a_trial_that_dies_takes_nobody_with_it() {
        unsafe extern "C" fn die() -> i32 {
            raw::call(libc::SYS_kill, [raw::getpid() as u64, libc::SIGKILL as u64, 0, 0, 0, 0]);
            0
        }
        // SAFETY: it makes two system calls.
        assert!(matches!(unsafe { in_child(die) }, End::Signal(libc::SIGKILL)));
    }

    #[test]
    fn a_filter_can_trap_wherever_filters_exist() {
        let kernel_has_filters = std::path::Path::new("/proc/sys/kernel/seccomp").exists();
        assert_eq!(filter_trap(), kernel_has_filters);
    }
}

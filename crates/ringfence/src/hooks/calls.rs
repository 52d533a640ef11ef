//! io_uring's own calls, and those that close: through libc's `syscall` and liburing's exported
//! functions.
#![expect(unsafe_code, reason = "assembly that passes every other call on untouched")]

use crate::{dispatch, hooks, init, raw, real};
use libc::{c_int, c_long, c_uint, c_void};

/// libc's `syscall`: every call but those of io_uring and AIO, those that close, and those by which a thread
/// gets something of its own passes through, with all six arguments and no use of the stack, as `clone` and
/// `vfork` demand.
///
/// # Safety
/// As `syscall(2)`.
#[unsafe(naked)]
pub unsafe extern "C" fn syscall() -> c_long {
    std::arch::naked_asm!(
        "lea rax, [rdi - 425]",
        "cmp rax, 2",
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rdx",
        "mov rdx, rcx",
        "jbe 3f",
        "cmp rax, 206",
        "jae 6f",
        "lea r10, [rax - 105]",
        "cmp r10, 18",
        "ja 5f",
        // setuid to setfsgid, of these numbers those that change an id.
        "mov r11d, 0x65b03",
        "bt r11d, r10d",
        "jc 7f",
        "5:",
        "cmp rax, 3",
        "je 4f",
        "cmp rax, 33",
        "je 4f",
        "cmp rax, 292",
        "je 4f",
        "cmp rax, 436",
        "je 4f",
        "mov r10, r8",
        "mov r8, r9",
        "mov r9, [rsp + 8]",
        "syscall",
        "cmp rax, -4095",
        "jae 2f",
        "ret",
        "2:",
        "mov rdi, rax",
        "jmp {fail}",
        // rdi, rsi, rdx: arguments; the others where a function of seven arguments wants them.
        "3:",
        "mov rcx, r8",
        "mov r8, r9",
        "mov r9, [rsp + 8]",
        // The seventh argument, which also aligns the stack.
        "push rax",
        "call {served}",
        "add rsp, 8",
        "ret",
        "6:",
        "cmp rax, 210",
        "jbe 3b",
        "cmp rax, 333",
        "je 3b",
        "cmp rax, 272",
        "je 7f",
        "cmp rax, 308",
        "je 7f",
        "jmp 5b",
        // Those that concern what a thread is to the file system.
        "7:",
        "mov rcx, rax",
        "jmp {parted}",
        "4:",
        "mov rcx, rax",
        "jmp {closed}",
        fail = sym fail,
        served = sym served,
        closed = sym closed,
        parted = sym parted,
    )
}

unsafe extern "C" fn fail(result: i64) -> i64 {
    raw::libc_result(result)
}

/// `syscall` with a number of ours, the number last, on the stack.
unsafe extern "C" fn served(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, number: i64) -> i64 {
    raw::libc_result(serve(number, [a, b, c, d, e, f]))
}

/// `syscall` with a number that closes or replaces descriptors, the number last.
unsafe extern "C" fn closed(a: u64, b: u64, c: u64, number: i64) -> i64 {
    raw::libc_result(hooks::close_by_instruction(number, [a, b, c, 0, 0, 0]))
}

/// `syscall` with a number by which a thread gets something of its own, the number last.
unsafe extern "C" fn parted(a: u64, b: u64, c: u64, number: i64) -> i64 {
    hooks::threads::by_number(number, [a, b, c, 0, 0, 0])
}

/// Serves the call, or hands it to the kernel where nothing is to be intercepted.
pub(super) fn serve(number: i64, args: [u64; 6]) -> i64 {
    match number {
        _ if init::active() => dispatch::serve(number, args),
        libc::SYS_io_setup => crate::aio::setup_before_start(args),
        _ => raw::call(number, args),
    }
}

/// `io_uring_setup` of liburing; an error is a negated number.
///
/// # Safety
/// As the system call.
pub unsafe extern "C" fn io_uring_setup(entries: c_uint, params: *mut c_void) -> c_int {
    serve(425, [u64::from(entries), params as u64, 0, 0, 0, 0]) as c_int
}

/// `io_uring_enter` of liburing; an error is a negated number.
///
/// # Safety
/// As the system call.
pub unsafe extern "C" fn io_uring_enter(
    fd: c_uint,
    to_submit: c_uint,
    min_complete: c_uint,
    flags: c_uint,
    mask: *mut libc::sigset_t,
) -> c_int {
    // SAFETY: the same call, with the size of the kernel's mask.
    unsafe { io_uring_enter2(fd, to_submit, min_complete, flags, mask.cast(), 8) }
}

/// `io_uring_enter2` of liburing; an error is a negated number.
///
/// # Safety
/// As the system call.
pub unsafe extern "C" fn io_uring_enter2(
    fd: c_uint,
    to_submit: c_uint,
    min_complete: c_uint,
    flags: c_uint,
    arg: *mut c_void,
    size: usize,
) -> c_int {
    let (to_submit, min_complete) = (u64::from(to_submit), u64::from(min_complete));
    let args = [u64::from(fd), to_submit, min_complete, u64::from(flags), arg as u64, size as u64];
    serve(426, args) as c_int
}

/// `io_uring_register` of liburing; an error is a negated number.
///
/// # Safety
/// As the system call.
pub unsafe extern "C" fn io_uring_register(
    fd: c_uint,
    opcode: c_uint,
    arg: *const c_void,
    count: c_uint,
) -> c_int {
    serve(427, [u64::from(fd), u64::from(opcode), arg as u64, u64::from(count), 0, 0]) as c_int
}

/// `dlopen`: scans what was loaded, where the loader does not tell by itself.
///
/// # Safety
/// As `dlopen(3)`.
#[unsafe(naked)]
pub unsafe extern "C" fn dlopen() -> *mut c_void {
    // If the loader tells, libc's function is jumped to, as it looks at who called it.
    std::arch::naked_asm!(
        "push rdi",
        "push rsi",
        "sub rsp, 8",
        "call {next}",
        "add rsp, 8",
        "pop rsi",
        "pop rdi",
        "test rax, rax",
        "jz {scanning}",
        "jmp rax",
        next = sym next_dlopen,
        scanning = sym dlopen_and_scan,
    )
}

unsafe extern "C" fn next_dlopen() -> usize {
    if init::loader_tells() || !init::active() { real::next(c"dlopen").unwrap_or(0) } else { 0 }
}

unsafe extern "C" fn dlopen_and_scan(path: *const libc::c_char, flags: c_int) -> *mut c_void {
    // SAFETY: the program's arguments, passed on.
    let handle = unsafe { real::dlopen(path, flags) };
    init::objects_changed();
    handle
}

/// `dlmopen`, likewise.
///
/// # Safety
/// As `dlmopen(3)`.
pub unsafe extern "C" fn dlmopen(
    space: isize,
    path: *const libc::c_char,
    flags: c_int,
) -> *mut c_void {
    // SAFETY: the program's arguments, passed on.
    let handle = unsafe { real::dlmopen(space, path, flags) };
    if init::active() && !init::loader_tells() {
        init::objects_changed();
    }
    handle
}

//! System calls by their instruction, so that no interposed function and no libc state is touched.
#![expect(unsafe_code, reason = "makes system calls")]

/// Makes a system call; returns what the kernel returns, an error as its negated number.
///
/// Calls that change the address space are made in this crate's listed files only, each of which
/// says why no memory that safe code refers to is touched.
#[inline(always)]
pub(crate) fn call(number: i64, args: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: the kernel checks each address; see above for those that it may change under us.
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
    result
}

/// Turns the kernel's answer into libc's: -1 and `errno`.
#[inline]
pub(crate) fn libc_result(result: i64) -> i64 {
    if (-4095..0).contains(&result) {
        set_errno(-result as i32);
        return -1;
    }
    result
}

/// Sets the calling thread's `errno`.
pub(crate) fn set_errno(number: i32) {
    // SAFETY: libc gives the address of the thread's own variable.
    unsafe { *libc::__errno_location() = number };
}

/// The calling thread's `errno`.
pub(crate) fn errno() -> i32 {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() }
}

/// The number of the process.
pub(crate) fn getpid() -> i32 {
    call(libc::SYS_getpid, [0; 6]) as i32
}

/// The number of the thread.
pub(crate) fn gettid() -> i32 {
    call(libc::SYS_gettid, [0; 6]) as i32
}

/// How many threads the process has, if /proc is there.
pub(crate) fn threads() -> Option<u64> {
    // Of struct stat on x86-64: each thread is a directory, whose parent's links count them.
    let mut stat = [0_u64; 18];
    let args = [c"/proc/self/task".as_ptr() as u64, stat.as_mut_ptr() as u64, 0, 0, 0, 0];
    (call(libc::SYS_stat, args) == 0).then(|| std::hint::black_box(stat)[2].saturating_sub(2))
}

/// Writes a message of ours to standard error, with no allocation and no lock.
pub(crate) fn complain(text: &str) {
    complain_to(2, text);
}

/// The same to another descriptor.
pub(crate) fn complain_to(fd: u32, text: &str) {
    for part in ["ringfence: ", text, "\n"] {
        call(libc::SYS_write, [fd.into(), part.as_ptr() as u64, part.len() as u64, 0, 0, 0]);
    }
}

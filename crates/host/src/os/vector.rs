//! Keeps vector registers over calls into libc that may use any of them.
//!
//! A system call's caller keeps its own data in them, and whoever intercepts such a call saves no
//! more than SSE code can change. Where the engine calls libc for more than a system call, it
//! saves the rest itself. The preload's test `registers` shows it.
#![expect(unsafe_code, reason = "saves and restores processor state")]

use std::arch::asm;

/// Components of the state: all but protection keys, which are the program's to change, and AMX,
/// which libc does not use and which is large.
const COMPONENTS: u64 = !(1 << 9 | 1 << 17 | 1 << 18);

/// Room for all of them in the standard format, 2,696 bytes with AVX-512.
#[repr(C, align(64))]
struct Area([u8; 4096]);

/// Calls `body`, after which all vector registers are as before.
#[inline(never)]
pub(super) fn kept<T>(body: impl FnOnce() -> T) -> T {
    if !std::arch::is_x86_feature_detected!("xsave") {
        return body();
    }
    let mut area = Area([0; 4096]);
    let at = area.0.as_mut_ptr();
    let (low, high) = (COMPONENTS as u32, (COMPONENTS >> 32) as u32);
    // SAFETY: the area is aligned, its header is zero, and the components chosen fit.
    unsafe { asm!("xsave64 [{}]", in(reg) at, in("eax") low, in("edx") high, options(nostack)) };
    let result = body();
    // SAFETY: the area holds what was saved; to the compiler the registers were changed by a call.
    unsafe {
        asm!(
            "xrstor64 [{}]",
            in(reg) at,
            in("eax") low,
            in("edx") high,
            clobber_abi("sysv64"),
            options(nostack),
        );
    }
    result
}

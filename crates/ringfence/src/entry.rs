//! Where patched call sites and trapped calls arrive: a call instruction that behaves like a
//! system call.
//!
//! The kernel's ABI keeps every register but rax, rcx and r11, the flags and the 128 bytes under
//! the stack pointer. So does this: the general registers and xmm0 to xmm15 are saved here; what
//! runs under it is SSE code, which leaves the upper parts of vector registers, the opmasks and
//! the x87 state alone (see the preload's `mem` for libc's part in that). Leaving: rcx holds the
//! return address and r11 the flags, as after the instruction.
#![expect(unsafe_code, reason = "assembly that keeps the system call ABI")]

use crate::dispatch;

std::arch::global_asm!(
    ".text",
    ".hidden ringfence_entry",
    ".globl ringfence_entry",
    ".type ringfence_entry, @function",
    ".balign 64",
    // rax: number; rdi, rsi, rdx, r10, r8, r9: arguments; rcx: where to go on.
    "ringfence_entry:",
    "lea rsp, [rsp - 128]",
    "pushfq",
    "cld",
    "push rcx",
    "push rbp",
    "mov rbp, rsp",
    "push r9",
    "push r8",
    "push r10",
    "push rdx",
    "push rsi",
    "push rdi",
    "sub rsp, 264",
    "and rsp, -16",
    "movaps [rsp], xmm0",
    "movaps [rsp + 16], xmm1",
    "movaps [rsp + 32], xmm2",
    "movaps [rsp + 48], xmm3",
    "movaps [rsp + 64], xmm4",
    "movaps [rsp + 80], xmm5",
    "movaps [rsp + 96], xmm6",
    "movaps [rsp + 112], xmm7",
    "movaps [rsp + 128], xmm8",
    "movaps [rsp + 144], xmm9",
    "movaps [rsp + 160], xmm10",
    "movaps [rsp + 176], xmm11",
    "movaps [rsp + 192], xmm12",
    "movaps [rsp + 208], xmm13",
    "movaps [rsp + 224], xmm14",
    "movaps [rsp + 240], xmm15",
    "mov edi, eax",
    "lea rsi, [rbp - 48]",
    "call {serve}",
    "movaps xmm0, [rsp]",
    "movaps xmm1, [rsp + 16]",
    "movaps xmm2, [rsp + 32]",
    "movaps xmm3, [rsp + 48]",
    "movaps xmm4, [rsp + 64]",
    "movaps xmm5, [rsp + 80]",
    "movaps xmm6, [rsp + 96]",
    "movaps xmm7, [rsp + 112]",
    "movaps xmm8, [rsp + 128]",
    "movaps xmm9, [rsp + 144]",
    "movaps xmm10, [rsp + 160]",
    "movaps xmm11, [rsp + 176]",
    "movaps xmm12, [rsp + 192]",
    "movaps xmm13, [rsp + 208]",
    "movaps xmm14, [rsp + 224]",
    "movaps xmm15, [rsp + 240]",
    // Of the flags only the arithmetic ones and the direction have changed; popfq costs 20 cycles.
    "mov rcx, rax",
    "mov r11, [rbp + 16]",
    "mov eax, r11d",
    "shr eax, 11",
    "and eax, 1",
    "mov edx, r11d",
    "mov ah, dl",
    "bt r11d, 10",
    "jnc 2f",
    "std",
    "2:",
    "add al, 127",
    "sahf",
    "mov rax, rcx",
    "mov rdi, [rbp - 48]",
    "mov rsi, [rbp - 40]",
    "mov rdx, [rbp - 32]",
    "mov r10, [rbp - 24]",
    "mov r8, [rbp - 16]",
    "mov r9, [rbp - 8]",
    "mov rsp, rbp",
    "pop rbp",
    "pop rcx",
    "lea rsp, [rsp + 136]",
    "jmp rcx",
    ".size ringfence_entry, . - ringfence_entry",
    serve = sym serve,
);

unsafe extern "C" {
    fn ringfence_entry();
}

/// The address that call sites are led to.
pub(crate) fn address() -> u64 {
    ringfence_entry as *const () as u64
}

/// Called by the assembly above.
///
/// # Safety
/// `args` must be the six saved argument registers.
unsafe extern "C" fn serve(number: u32, args: *const [u64; 6]) -> i64 {
    // SAFETY: the assembly has just pushed them, in this order.
    dispatch::serve_site(number, unsafe { *args })
}

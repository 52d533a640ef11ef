/* What a system call keeps, a patched or trapped one keeps: general and vector registers whole,
   flags, and the red zone; rcx and r11 are as the instruction leaves them. */
#include "check.h"

struct state {
    unsigned long gpr[16]; /* rax rbx rcx rdx rsi rdi rbp r8..r15, flags at 15 */
    unsigned long red[16];
    unsigned char vector[16][32];
};

/* Loads everything, makes the call, stores everything. rdi: in, rsi: out; both on the stack. */
void around(struct state *in, struct state *out);
__asm__(
    ".text\n.globl around\n.type around, @function\naround:\n.cfi_startproc\n"
    "push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\npush %rdi\npush %rsi\n"
    /* A red zone of its own pattern. */
    "mov 128(%rdi), %rax\nmov %rax, -8(%rsp)\nmov 136(%rdi), %rax\nmov %rax, -128(%rsp)\n"
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\nvmovdqu 256+32*\\n(%rdi), %ymm\\n\n.endr\n"
    "mov 8(%rdi), %rbx\nmov 48(%rdi), %rbp\nmov 64(%rdi), %r9\nmov 72(%rdi), %r8\n"
    "mov 80(%rdi), %r10\nmov 88(%rdi), %r12\nmov 96(%rdi), %r13\nmov 104(%rdi), %r14\n"
    "mov 112(%rdi), %r15\nmov 24(%rdi), %rdx\nmov 32(%rdi), %rsi\n"
    /* carry, overflow and the direction set, as the input says */
    "mov 120(%rdi), %rax\nmov %rax, -136(%rsp)\nlea -136(%rsp), %rsp\npopfq\nlea 128(%rsp), %rsp\n"
    "mov $-1, %edi\n"
    "mov $427, %eax\n"
    "syscall\n"
    ".globl around_back\naround_back:\n"
    "lea -128(%rsp), %rsp\npushfq\nlea 136(%rsp), %rsp\ncld\n"
    "push %rdi\n"
    "mov 8(%rsp), %rdi\n" /* out */
    "mov %rax, 0(%rdi)\nmov %rbx, 8(%rdi)\nmov %rcx, 16(%rdi)\nmov %rdx, 24(%rdi)\n"
    "mov %rsi, 32(%rdi)\nmov %rbp, 48(%rdi)\nmov %r9, 64(%rdi)\nmov %r8, 72(%rdi)\n"
    "mov %r10, 80(%rdi)\nmov %r12, 88(%rdi)\nmov %r13, 96(%rdi)\nmov %r14, 104(%rdi)\n"
    "mov %r15, 112(%rdi)\n"
    "pop %rax\nmov %rax, 40(%rdi)\n"
    "mov -136(%rsp), %rax\nmov %rax, 120(%rdi)\n"
    "mov -128(%rsp), %rax\nmov %rax, 136(%rdi)\n"
    "mov %r11, 144(%rdi)\n"
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\nvmovdqu %ymm\\n, 256+32*\\n(%rdi)\n.endr\n"
    "vzeroupper\n"
    "pop %rsi\npop %rdi\npop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n"
    ".cfi_endproc\n.size around, . - around\n");
extern char around_back[];

/* Carry, parity, adjust, zero, sign, direction, overflow. */
#define FLAGS 0xcd5UL

static void once(unsigned long flags)
{
    static struct state in, out;
    unsigned char *bytes = (unsigned char *)&in;
    for (size_t i = 0; i < sizeof in; i++)
        bytes[i] = rand();
    in.gpr[15] = 0x202 | flags;
    memset(&out, 0, sizeof out);
    around(&in, &out);
    /* The arguments are noise; the kernel would say EPERM. */
    CHECK((long)out.gpr[0] == SERVED || (long)out.gpr[0] == -EINVAL);
    CHECK(out.gpr[2] == (unsigned long)around_back);
    static const int same[] = {1, 3, 4, 6, 8, 9, 10, 11, 12, 13, 14};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        CHECK(in.gpr[same[i]] == out.gpr[same[i]]);
    CHECK((int)out.gpr[5] == -1);
    CHECK((out.gpr[15] & FLAGS) == (flags & FLAGS));
    CHECK((out.red[2] & FLAGS) == (flags & FLAGS)); /* r11 */
    CHECK(in.red[1] == out.red[1]);
    CHECK(!memcmp(in.vector, out.vector, sizeof in.vector));
}

int main(void)
{
    if (!__builtin_cpu_supports("avx")) {
        puts("ok");
        return 0;
    }
    for (int round = 0; round < 2000; round++) {
        unsigned long flags = 0;
        for (int bit = 0; bit < 12; bit++)
            if (FLAGS >> bit & 1 && rand() & 1)
                flags |= 1UL << bit;
        once(flags);
    }
    puts("ok");
    return 0;
}

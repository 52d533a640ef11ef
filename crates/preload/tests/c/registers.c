/* What a system call keeps, a patched or trapped one keeps: general and vector registers whole,
   flags, and the red zone; rcx and r11 are as the instruction leaves them. */
#include "check.h"
#include <fcntl.h>

struct state {
    unsigned long gpr[16]; /* rax rbx rcx rdx rsi rdi rbp - r9 r8 r10 r12..r15 flags */
    unsigned long red[16];
    unsigned char vector[16][32];
    unsigned char wide[16][64]; /* zmm16 to zmm31, if gpr[7] is set */
};

/* Loads everything, makes the call, stores everything. rdi: in, rsi: out; both on the stack. */
void around(struct state *in, struct state *out);
__asm__(
    ".text\n.globl around\n.type around, @function\naround:\n.cfi_startproc\n"
    "push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\npush %rdi\npush %rsi\n"
    /* A red zone of its own pattern. */
    "mov 128(%rdi), %rax\nmov %rax, -8(%rsp)\nmov 136(%rdi), %rax\nmov %rax, -128(%rsp)\n"
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\nvmovdqu 256+32*\\n(%rdi), %ymm\\n\n.endr\n"
    "cmpq $0, 56(%rdi)\nje 1f\n"
    ".irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "vmovdqu64 768+64*(\\n-16)(%rdi), %zmm\\n\n.endr\n1:\n"
    "mov 8(%rdi), %rbx\nmov 48(%rdi), %rbp\nmov 64(%rdi), %r9\nmov 72(%rdi), %r8\n"
    "mov 80(%rdi), %r10\nmov 88(%rdi), %r12\nmov 96(%rdi), %r13\nmov 104(%rdi), %r14\n"
    "mov 112(%rdi), %r15\nmov 24(%rdi), %rdx\nmov 32(%rdi), %rsi\n"
    /* carry, overflow and the direction set, as the input says */
    "mov 120(%rdi), %rax\nmov %rax, -136(%rsp)\nlea -136(%rsp), %rsp\npopfq\nlea 128(%rsp), %rsp\n"
    "mov 40(%rdi), %rdi\n"
    "mov $426, %eax\n"
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
    "cmpq $0, 56(%rdi)\nje 1f\n"
    ".irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "vmovdqu64 %zmm\\n, 768+64*(\\n-16)(%rdi)\n.endr\n1:\n"
    "vzeroupper\n"
    "pop %rsi\npop %rdi\npop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n"
    ".cfi_endproc\n.size around, . - around\n");
extern char around_back[];

/* Carry, parity, adjust, zero, sign, direction, overflow. */
#define FLAGS 0xcd5UL

static struct state in, out;

static void fill(void)
{
    unsigned char *bytes = (unsigned char *)&in;
    for (size_t i = 0; i < sizeof in; i++)
        bytes[i] = rand();
    in.gpr[7] = out.gpr[7] = !!__builtin_cpu_supports("avx512f");
}

/* Everything that is to be kept was kept. */
static void compare(unsigned long flags)
{
    CHECK(out.gpr[2] == (unsigned long)around_back);
    static const int same[] = {1, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        CHECK(in.gpr[same[i]] == out.gpr[same[i]]);
    CHECK((out.gpr[15] & FLAGS) == (flags & FLAGS));
    CHECK((out.red[2] & FLAGS) == (flags & FLAGS)); /* r11 */
    CHECK(in.red[1] == out.red[1]);
    CHECK(!memcmp(in.vector, out.vector, sizeof in.vector));
    CHECK(!in.gpr[7] || !memcmp(in.wide, out.wide, sizeof in.wide));
}

static void refused(unsigned long flags)
{
    fill();
    in.gpr[5] = -1UL;
    in.gpr[15] = 0x202 | flags;
    around(&in, &out);
    /* The arguments are noise; the kernel would say EPERM. */
    CHECK((long)out.gpr[0] == SERVED || (long)out.gpr[0] == -EINVAL);
    compare(flags);
}

/* One operation of a ring, waited for; forced to a worker thread if `async`. */
static void operation(struct ring *ring, int opcode, int fd, int async)
{
    static char buffer[65536];
    static struct __kernel_timespec time = {0, 1000};
    struct io_uring_sqe *sqe = ring_sqe(ring, opcode, opcode);
    sqe->fd = fd;
    sqe->flags = async ? IOSQE_ASYNC : 0;
    sqe->addr = opcode == IORING_OP_TIMEOUT ? (unsigned long)&time : (unsigned long)buffer;
    sqe->len = opcode == IORING_OP_TIMEOUT ? 1 : opcode == IORING_OP_NOP ? 0 : sizeof buffer;
    if (opcode == IORING_OP_OPENAT)
        sqe->addr = (unsigned long)"/dev/null", sqe->len = 0;
    if (opcode == IORING_OP_FSYNC)
        sqe->addr = sqe->len = 0;
    fill();
    in.gpr[5] = ring->fd;
    in.gpr[4] = 1;
    in.gpr[3] = 1;
    in.gpr[10] = IORING_ENTER_GETEVENTS;
    in.gpr[9] = 0;
    in.gpr[8] = 8;
    in.gpr[15] = 0x202;
    around(&in, &out);
    CHECK((long)out.gpr[0] == 1);
    compare(0);
    struct io_uring_cqe cqe;
    CHECK(ring_reap(ring, &cqe) && cqe.user_data == (unsigned long)opcode);
    if (opcode == IORING_OP_OPENAT)
        close(cqe.res);
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
        refused(flags);
    }
    struct ring ring;
    ring_open(&ring, 8, 0);
    int file = open("/proc/self/exe", O_RDONLY), pipes[2];
    CHECK(file >= 0 && !pipe(pipes));
    for (int round = 0; round < 200; round++) {
        for (int async = 0; async < 2; async++) {
            operation(&ring, IORING_OP_NOP, -1, async);
            operation(&ring, IORING_OP_TIMEOUT, -1, async);
            operation(&ring, IORING_OP_READ, file, async);
            operation(&ring, IORING_OP_FSYNC, file, async);
            operation(&ring, IORING_OP_OPENAT, AT_FDCWD, async);
            CHECK(write(pipes[1], "x", 1) == 1);
            operation(&ring, IORING_OP_READ, pipes[0], async);
        }
    }
    puts("ok");
    return 0;
}

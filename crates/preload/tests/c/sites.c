/* Every form of call: the number in the code, in a register, in an argument, through libc. */
#include "check.h"

static __attribute__((noinline)) long generic(long number, long a)
{
    return call6(number, a, 0, 0, 0, 0, 0);
}

/* Too short for a jump: only a trap can tell. */
long tiny(long number, long a);
__asm__(".text\n.p2align 4\n.globl tiny\n.type tiny, @function\ntiny:\n.cfi_startproc\n"
        "mov %edi, %eax\nsyscall\nret\n.cfi_endproc\n.size tiny, . - tiny\n");

static __attribute__((noinline)) long kept(int times)
{
    long sum = 0;
    for (int i = 0; i < times; i++)
        sum += call6(REGISTER, -2, i, 0, 0, 0, 0);
    return sum;
}

int main(int argc, char **argv)
{
    int traps = argc > 1 && !strcmp(argv[1], "traps");
    CHECK(probe_call() == SERVED);
    CHECK(call6(REGISTER, -2, 0, 0, 0, 0, 0) == SERVED);
    CHECK(kept(3) == 3 * SERVED);
    CHECK(generic(ENTER, -1) == SERVED);
    CHECK(generic(REGISTER, -2) == SERVED);
    CHECK(generic(39, 0) == getpid());
    errno = 0;
    CHECK(syscall(ENTER, -1, 0, 0, 0, 0, 0) == -1 && errno == EBADF);
    /* All six arguments of another call, and its errno. */
    CHECK(syscall(SYS_mmap, 0, 4096L, 3L, 0x22L, -1L, 0L) > 0);
    errno = 0;
    CHECK(syscall(SYS_close, -1) == -1 && errno == EBADF);
    CHECK(tiny(39, 0) == getpid());
    if (traps)
        CHECK(tiny(ENTER, -1) != -EPERM); /* whatever the other arguments are */
    struct ring ring;
    ring_open(&ring, 4, 0);
    for (int i = 0; i < 100; i++)
        ring_nop(&ring, i);
    puts("ok");
    return 0;
}

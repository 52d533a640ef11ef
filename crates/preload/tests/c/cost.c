/* What a call costs: the best of many rounds, nanoseconds. */
#include "check.h"
#include <fcntl.h>
#include <time.h>
#include <ucontext.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

/* An enter that is refused for its flags: the way there and back, and next to nothing between. */
static __attribute__((noinline)) long in_code(void)
{
    return call6(ENTER, -1, 0, 0, 1 << 30, 0, 0);
}

static __attribute__((noinline)) long in_argument(long number)
{
    return call6(number, -1, 0, 0, 1 << 30, 0, 0);
}

static ucontext_t back, other;
static struct ring ring;
static int flags, file;

static void one(void)
{
    static char byte;
    struct io_uring_sqe *sqe = ring_sqe(&ring, IORING_OP_READ, 1);
    sqe->flags = flags;
    sqe->fd = file;
    sqe->addr = (unsigned long)&byte;
    sqe->len = 1;
    ring_enter(&ring, 1, 1);
    struct io_uring_cqe cqe;
    ring_reap(&ring, &cqe);
}

/* How much of a stack one operation uses. */
static void depth(const char *name, int sqe_flags)
{
    enum { SIZE = 65536 };
    static char stack[SIZE];
    memset(stack, 0x5a, SIZE);
    flags = sqe_flags;
    CHECK(!getcontext(&other));
    other.uc_stack.ss_sp = stack;
    other.uc_stack.ss_size = SIZE;
    other.uc_link = &back;
    makecontext(&other, one, 0);
    CHECK(!swapcontext(&back, &other));
    int unused = 0;
    while (stack[unused] == 0x5a)
        unused++;
    printf("%s\t%d\n", name, SIZE - unused);
}

#define MEASURE(name, call)                                       \
    do {                                                          \
        double best = 1e9;                                        \
        for (int round = 0; round < 40; round++) {                \
            double start = now();                                 \
            for (int i = 0; i < 20000; i++)                       \
                call;                                             \
            double each = (now() - start) / 20000;                \
            if (each < best)                                      \
                best = each;                                      \
        }                                                         \
        printf("%s\t%.1f\n", name, best);                         \
    } while (0)

int main(void)
{
    MEASURE("enter, number in the code", in_code());
    MEASURE("enter, number in an argument", in_argument(ENTER));
    MEASURE("enter, by libc's syscall", syscall(ENTER, -1, 0, 0, 1 << 30, 0, 0));
    MEASURE("getppid, number in an argument", in_argument(SYS_getppid));
    MEASURE("getppid, by libc's syscall", syscall(SYS_getppid));
    ring_open(&ring, 4, 0);
    file = open("/proc/self/exe", O_RDONLY);
    CHECK(file >= 0);
    depth("stack of a read, bytes", 0);
    depth("stack, worker started, bytes", IOSQE_ASYNC);
    return 0;
}

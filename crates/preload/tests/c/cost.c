/* What a call costs: the best of many rounds, nanoseconds. */
#include "check.h"
#include <time.h>

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
    return 0;
}

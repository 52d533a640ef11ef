/* A handler that was installed by an instruction, so that only the kernel knows of it, ends a wait. */
#include "check.h"
#include <sys/time.h>

static volatile int handled;

static void on_alarm(int signal)
{
    (void)signal;
    handled = 1;
}

__asm__(".text\nraw_restorer: mov $15, %eax\nsyscall\n");
extern void raw_restorer(void);

/* The kernel's structure, and a call that no library sees. */
static void install_by_instruction(int signal, void (*handler)(int))
{
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        unsigned long mask;
    } action = {handler, 0x04000000, raw_restorer, 0};
    CHECK(call6(SYS_rt_sigaction, signal, (long)&action, 0, 8, 0, 0) == 0);
}

static long wait_for_one(struct ring *ring)
{
    return call6(ENTER, ring->fd, 0, 1, IORING_ENTER_GETEVENTS, 0, 8);
}

int main(void)
{
    struct ring ring;
    ring_open(&ring, 8, 0);

    install_by_instruction(SIGALRM, on_alarm);
    struct itimerval soon = {{0, 0}, {0, 50000}};
    CHECK(!setitimer(ITIMER_REAL, &soon, 0));
    CHECK(wait_for_one(&ring) == -EINTR);
    CHECK(handled);
    puts("ok");
    return 0;
}

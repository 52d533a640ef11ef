/* Bad addresses give EFAULT, whatever the program does with SIGSEGV; its own faults are its own. */
#include "check.h"
#include <setjmp.h>
#include <sys/uio.h>

static sigjmp_buf back;
static volatile int own;
static volatile int *volatile nowhere = (int *)8;

static void handler(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    own++;
    CHECK(info->si_addr == (void *)8);
    siglongjmp(back, 1);
}

static void bad_addresses(struct ring *ring)
{
    CHECK(call6(SETUP, 4, 8, 0, 0, 0, 0) == -EFAULT);
    struct io_uring_sqe *sqe = ring_sqe(ring, IORING_OP_READV, 1);
    sqe->fd = 0;
    sqe->addr = 8;
    sqe->len = 1;
    CHECK(ring_enter(ring, 1, 1) == 1);
    struct io_uring_cqe cqe;
    CHECK(ring_reap(ring, &cqe) && cqe.res == -EFAULT);
}

int main(void)
{
    struct ring ring;
    ring_open(&ring, 4, 0);
    bad_addresses(&ring);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    CHECK(!sigaction(SIGSEGV, &action, 0));
    bad_addresses(&ring);
    if (!sigsetjmp(back, 1)) {
        *nowhere = 1;
        _exit(98);
    }
    CHECK(own == 1);
    sigset_t all;
    sigfillset(&all);
    CHECK(!sigprocmask(SIG_SETMASK, &all, 0));
    bad_addresses(&ring);
    CHECK((void *)signal(SIGSEGV, SIG_IGN) == (void *)handler);
    bad_addresses(&ring);
    CHECK(signal(SIGSEGV, SIG_DFL) == SIG_IGN);
    bad_addresses(&ring);
    CHECK(own == 1);
    puts("ok");
    fflush(stdout);
    *nowhere = 1;
    return 0;
}

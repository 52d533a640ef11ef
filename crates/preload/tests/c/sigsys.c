/* A program with its own SIGSYS handler, which also blocks every signal. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>

static volatile int own;
static volatile long inside;

static void handler(int signal, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(signal == SIGSYS && info->si_code == SI_TKILL);
    own++;
    inside = probe_call();
}

static void *blocked(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++)
        CHECK(probe_call() == SERVED);
    return 0;
}

/* The engine interrupts its workers by a signal of this number, which the program does not see. */
static void interrupt_a_worker(void)
{
    struct ring ring;
    struct io_uring_cqe cqe;
    char path[] = "/tmp/ringfence-sigsys-XXXXXX";
    CHECK(mkdtemp(path) && !chdir(path) && !mkfifo("fifo", 0600));
    ring_open(&ring, 4, 0);
    for (int round = 0; round < 20; round++) {
        struct io_uring_sqe *open = ring_sqe(&ring, IORING_OP_OPENAT, 1);
        open->fd = AT_FDCWD;
        open->addr = (unsigned long)"fifo";
        open->flags = IOSQE_ASYNC;
        CHECK(ring_enter(&ring, 1, 0) == 1);
        usleep(1000 * (round % 4));
        struct io_uring_sqe *cancel = ring_sqe(&ring, IORING_OP_ASYNC_CANCEL, 2);
        cancel->addr = 1;
        CHECK(ring_enter(&ring, 1, 2) == 1);
        /* Whoever comes before the worker finds the request as it was. */
        for (int i = 0; i < 2; i++)
            CHECK(ring_reap(&ring, &cqe)
                  && (cqe.user_data == 1 ? cqe.res == -512 || cqe.res == -ECANCELED
                                         : cqe.res == -EALREADY || cqe.res == 0));
    }
    CHECK(!close(ring.fd) && !unlink("fifo") && !chdir("/") && !rmdir(path));
}

int main(void)
{
    struct sigaction action, seen;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    sigfillset(&action.sa_mask);
    CHECK(!sigaction(SIGSYS, &action, 0));
    CHECK(!sigaction(SIGSYS, 0, &seen));
    CHECK(seen.sa_sigaction == handler && seen.sa_flags == SA_SIGINFO);
    CHECK(sigismember(&seen.sa_mask, SIGSYS) == 1);
    CHECK(probe_call() == SERVED);
    raise(SIGSYS);
    CHECK(own == 1 && inside == SERVED);
    /* With SA_RESTART the kernel would make an interrupted call again. */
    action.sa_flags |= SA_RESTART;
    CHECK(!sigaction(SIGSYS, &action, 0));
    interrupt_a_worker();
    CHECK(own == 1);

    sigset_t all, before;
    sigfillset(&all);
    CHECK(!sigprocmask(SIG_SETMASK, &all, &before));
    CHECK(!sigismember(&before, SIGSYS));
    CHECK(!pthread_sigmask(SIG_BLOCK, 0, &before));
    CHECK(sigismember(&before, SIGSYS) == 1 && sigismember(&before, SIGTERM) == 1);
    CHECK(probe_call() == SERVED);
    pthread_t thread;
    CHECK(!pthread_create(&thread, 0, blocked, 0));
    pthread_join(thread, 0);
    raise(SIGSYS);
    CHECK(own == 1);
    struct timespec now = {0, 0};
    CHECK(ppoll(0, 0, &now, &all) == 0);
    CHECK(probe_call() == SERVED);
    sigemptyset(&all);
    CHECK(!sigprocmask(SIG_SETMASK, &all, 0));
    CHECK(own == 2);

    CHECK(signal(SIGSYS, SIG_IGN) != SIG_ERR);
    CHECK(probe_call() == SERVED);
    raise(SIGSYS);
    CHECK(signal(SIGSYS, SIG_DFL) == SIG_IGN);
    CHECK(probe_call() == SERVED);
    puts("ok");
    return 0;
}

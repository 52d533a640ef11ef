/* A signal handler that runs while its thread waits in the engine, and what it may do there. */
#include "check.h"
#include <setjmp.h>
#include <sys/time.h>
#include <sys/wait.h>

static struct ring ring;
static sigjmp_buf back;
static const char *what;
static volatile int ran;
static siginfo_t last;

static void handler(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    last = *info;
    ran++;
    if (!strcmp(what, "exit"))
        exit(42);
    if (!strcmp(what, "longjmp"))
        siglongjmp(back, 1);
    if (!strcmp(what, "fork")) {
        pid_t pid = fork();
        if (!pid) {
            struct ring own;
            ring_open(&own, 2, 0);
            ring_nop(&own, 5);
            _exit(7);
        }
        int status;
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    }
    if (!strcmp(what, "submit")) {
        ring_sqe(&ring, IORING_OP_NOP, 77);
        CHECK(ring_enter(&ring, 1, 0) == 1);
    }
}

static void in_ms(int ms)
{
    struct itimerval timer = {{0, 0}, {0, ms * 1000}};
    setitimer(ITIMER_REAL, &timer, 0);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    what = argv[1];
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    CHECK(!sigaction(SIGALRM, &action, 0));
    ring_open(&ring, 8, 0);
    struct io_uring_cqe cqe;
    for (int round = 0; round < 5; round++) {
        in_ms(20);
        int before = ran;
        if (!sigsetjmp(back, 1)) {
            long result = ring_enter(&ring, 0, 1);
            /* A completion that the handler caused may end the wait as well. */
            CHECK(result == -EINTR || (result == 0 && !strcmp(what, "submit")));
        }
        CHECK(ran == before + 1 && last.si_code == SI_KERNEL);
        if (!strcmp(what, "submit"))
            CHECK(ring_reap(&ring, &cqe) && cqe.user_data == 77);
        ring_nop(&ring, round);
    }
    puts("ok");
    return 0;
}

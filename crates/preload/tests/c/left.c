/* Children of a process whose threads are in the middle of things: one that exits with a ring registered
   for its thread; one that goes on where a handler forked, inside a wait; one that forks itself; one that outlives it. */
#include "check.h"
#include <pthread.h>
#include <sys/time.h>
#include <sys/wait.h>

static struct ring ring;
static volatile pid_t child = -1;

static void *open_and_close(void *arg)
{
    (void)arg;
    for (;;) {
        struct io_uring_params p;
        memset(&p, 0, sizeof p);
        int fd = call6(SETUP, 4, (long)&p, 0, 0, 0, 0);
        CHECK(fd >= 0);
        close(fd);
    }
    return 0;
}

/* Completions on the ring that is waited on, which are taken at once. */
static void *complete(void *arg)
{
    (void)arg;
    for (;;) {
        struct io_uring_cqe cqe;
        ring_sqe(&ring, IORING_OP_NOP, 1);
        ring_enter(&ring, 1, 0);
        while (ring_reap(&ring, &cqe))
            ;
    }
    return 0;
}

static int ends(pid_t pid)
{
    int status, ms = 0;
    CHECK(pid > 0);
    while (waitpid(pid, &status, WNOHANG) != pid) {
        usleep(1000);
        if (++ms > 20000) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            puts("a child hangs");
            exit(1);
        }
    }
    return status;
}

static void exits(void)
{
    struct io_uring_rsrc_update update = {.offset = -1U, .data = ring.fd};
    CHECK(call6(REGISTER, ring.fd, IORING_REGISTER_RING_FDS, (long)&update, 1, 0, 0) == 1);
    for (int i = 0; i < 300; i++) {
        pid_t pid = fork();
        if (!pid)
            exit(0);
        CHECK(ends(pid) == 0);
    }
}

static void inherits(void)
{
    for (int i = 0; i < 200; i++) {
        pid_t pid = fork();
        if (!pid) {
            /* Unused by the child, the ring is there for its own child. */
            pid = fork();
            if (!pid)
                ring_nop(&ring, 3);
            else
                CHECK(ends(pid) == 0);
            _exit(0);
        }
        CHECK(ends(pid) == 0);
    }
}

/* A ring whose polling thread was the parent's, which ends: no call waits for that thread. */
static void orphans(void)
{
    struct io_uring_params p;
    int told[2];
    CHECK(!pipe(told));
    for (int i = 0; i < 5; i++) {
        memset(&p, 0, sizeof p);
        p.flags = IORING_SETUP_SQPOLL;
        pid_t parent = fork();
        if (!parent) {
            int fd = call6(SETUP, 2, (long)&p, 0, 0, 0, 0);
            CHECK(fd >= 0);
            char *sq = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
            CHECK(sq != MAP_FAILED);
            pid_t here = getpid();
            if (fork())
                _exit(0);
            while (getppid() == here)
                usleep(1000);
            usleep(10000);
            *(unsigned *)(sq + p.sq_off.tail) += p.sq_entries;
            int wake = call6(ENTER, fd, 2, 0, IORING_ENTER_SQ_WAKEUP, 0, 8);
            int room = call6(ENTER, fd, 2, 0, IORING_ENTER_SQ_WAIT, 0, 8);
            int wait = call6(ENTER, fd, 0, 1, IORING_ENTER_GETEVENTS, 0, 8);
            int answers[3] = {wake, room, wait};
            CHECK(write(told[1], answers, sizeof answers) == sizeof answers);
            _exit(0);
        }
        CHECK(ends(parent) == 0);
        int answers[3];
        alarm(20);
        CHECK(read(told[0], answers, sizeof answers) == sizeof answers);
        alarm(0);
        for (int j = 0; j < 3; j++)
            CHECK(answers[j] == -EOWNERDEAD);
    }
}

static void handler(int signal)
{
    (void)signal;
    child = fork();
    CHECK(child >= 0);
}

static void goes_on(void)
{
    /* The signal may come between two waits. Its child then begins one, for which nobody completes
       anything: that is over soon, and the next look finds what it is. */
    struct __kernel_timespec soon = {.tv_nsec = 20 * 1000 * 1000};
    struct io_uring_getevents_arg arg = {.sigmask_sz = 8, .ts = (unsigned long)&soon};
    unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    CHECK(signal(SIGALRM, handler) != SIG_ERR);
    for (int i = 0; i < 200; i++) {
        struct itimerval timer = {{0, 0}, {0, 1000}};
        pid_t seen;
        child = -1;
        setitimer(ITIMER_REAL, &timer, 0);
        do {
            call6(ENTER, ring.fd, 0, 100, flags, (long)&arg, sizeof arg);
            seen = child;
        } while (seen < 0);
        if (!seen)
            _exit(0);
        CHECK(ends(seen) == 0);
    }
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    ring_open(&ring, 64, 0);
    int waits = !strcmp(argv[1], "goes on");
    /* The signal is for this thread. */
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    CHECK(!pthread_sigmask(SIG_BLOCK, &alarms, 0));
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK(!pthread_create(&threads[i], 0, i == 0 && waits ? complete : open_and_close, 0));
    CHECK(!pthread_sigmask(SIG_UNBLOCK, &alarms, 0));
    if (waits)
        goes_on();
    else if (!strcmp(argv[1], "exits"))
        exits();
    else if (!strcmp(argv[1], "orphans"))
        orphans();
    else
        inherits();
    puts("ok");
    fflush(stdout);
    _exit(0);
}

/* Signals that come all the time, to threads that are in the engine most of the time; the
   handler uses the same engine. */
#include "check.h"
#include <pthread.h>
#include <sys/time.h>
#include <stdatomic.h>

static atomic_long handled;
static __thread struct ring own;
static __thread int ready;

static void handler(int signal)
{
    (void)signal;
    handled++;
    if (ready)
        ring_nop(&own, 9);
}

static void *work(void *arg)
{
    struct ring ring;
    ring_open(&ring, 8, 0);
    ring_open(&own, 2, 0);
    ready = 1;
    for (long i = 0; i < (long)arg; i++) {
        unsigned wait = i & 1;
        ring_sqe(&ring, IORING_OP_NOP, i);
        CHECK(ring_enter(&ring, 1, wait) == 1);
        struct io_uring_cqe cqe;
        CHECK(ring_reap(&ring, &cqe) && cqe.user_data == (unsigned long)i);
    }
    ready = 0;
    return 0;
}

int main(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    CHECK(!sigaction(SIGALRM, &action, 0));
    struct itimerval timer = {{0, 200}, {0, 200}};
    setitimer(ITIMER_REAL, &timer, 0);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        CHECK(!pthread_create(&threads[i], 0, work, (void *)100000L));
    work((void *)100000L);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], 0);
    CHECK(handled > 10);
    puts("ok");
    return 0;
}

/* A thread that polls the submission queue sleeps when it has been idle, with and without requests
   that wait; what it costs meanwhile is measured in processor time, which is nobody else's. */
#include "check.h"
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

static struct ring ring;
static unsigned *flags;

static double used(void)
{
    struct timespec time;
    CHECK(!clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time));
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void push(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(flags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP)
        CHECK(call6(ENTER, ring.fd, 1, 0, IORING_ENTER_SQ_WAKEUP, 0, 0) >= 0);
}

static int next(unsigned long data)
{
    struct io_uring_cqe cqe;
    CHECK(call6(ENTER, ring.fd, 0, 1, IORING_ENTER_GETEVENTS, 0, 0) >= 0);
    CHECK(ring_reap(&ring, &cqe) == 1 && cqe.user_data == data);
    return cqe.res;
}

/* From when it says that it sleeps, for a while. */
static void sleeps(void)
{
    while (!(__atomic_load_n(flags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP))
        usleep(1000);
    double before = used();
    usleep(400000);
    CHECK(used() - before < 0.04);
}

int main(void)
{
    alarm(30);
    struct io_uring_params p;
    memset(&p, 0, sizeof p);
    p.flags = IORING_SETUP_SQPOLL;
    p.sq_thread_idle = 20;
    int fd = call6(SETUP, 8, (long)&p, 0, 0, 0, 0);
    CHECK(fd >= 0);
    char *sq = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
    CHECK(sq != MAP_FAILED);
    ring = (struct ring){
        .fd = fd,
        .sq_head = (unsigned *)(sq + p.sq_off.head),
        .sq_tail = (unsigned *)(sq + p.sq_off.tail),
        .sq_mask = (unsigned *)(sq + p.sq_off.ring_mask),
        .sq_array = (unsigned *)(sq + p.sq_off.array),
        .cq_head = (unsigned *)(sq + p.cq_off.head),
        .cq_tail = (unsigned *)(sq + p.cq_off.tail),
        .cq_mask = (unsigned *)(sq + p.cq_off.ring_mask),
        .cqes = (struct io_uring_cqe *)(sq + p.cq_off.cqes),
        .sqes = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES),
    };
    CHECK(ring.sqes != MAP_FAILED);
    flags = (unsigned *)(sq + p.sq_off.flags);
    ring_sqe(&ring, IORING_OP_NOP, 1);
    push();
    CHECK(next(1) == 0);
    sleeps();
    int pair[2];
    char buffer[10];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    struct io_uring_sqe *sqe = ring_sqe(&ring, IORING_OP_RECV, 2);
    sqe->fd = pair[0];
    sqe->addr = (unsigned long)buffer;
    sqe->len = sizeof buffer;
    push();
    sleeps();
    CHECK(write(pair[1], "late", 4) == 4);
    CHECK(next(2) == 4);
    sleeps();
    puts("ok");
    return 0;
}

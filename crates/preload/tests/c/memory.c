/* Requests without end, in a process that may have so much memory and no more (RLIMIT_AS): submissions
   are refused with EAGAIN, nothing that was taken is lost, and once it is done there is room again.
   argv: what is submitted. */
#include "check.h"
#include <malloc.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#define ROOM (48 << 20)
#define BATCH 256

static struct ring ring;
static struct __kernel_timespec later = { .tv_sec = 3600 };
static int bell, ends[2];
static char byte;

/* From now on the process may have this much more memory. */
static void limit(void)
{
    unsigned long pages;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm && fscanf(statm, "%lu", &pages) == 1);
    fclose(statm);
    struct rlimit limit = { pages * 4096 + ROOM, pages * 4096 + ROOM };
    CHECK(!setrlimit(RLIMIT_AS, &limit));
}

static void poll_entry(unsigned long data)
{
    struct io_uring_sqe *sqe = ring_sqe(&ring, IORING_OP_POLL_ADD, data);
    sqe->fd = bell;
    sqe->poll32_events = POLLIN;
}

static void timeout_entry(unsigned long data)
{
    struct io_uring_sqe *sqe = ring_sqe(&ring, IORING_OP_TIMEOUT, data);
    sqe->addr = (unsigned long)&later;
    sqe->len = 1;
}

/* A poll and its timeout. */
static void linked_entry(unsigned long data)
{
    if (data % 2 == 0) {
        poll_entry(data);
        ring.sqes[(*ring.sq_tail - 1) & *ring.sq_mask].flags = IOSQE_IO_LINK;
        return;
    }
    struct io_uring_sqe *sqe = ring_sqe(&ring, IORING_OP_LINK_TIMEOUT, data);
    sqe->addr = (unsigned long)&later;
    sqe->len = 1;
}

/* Reads for workers, of whom there are a few. */
static void work_entry(unsigned long data)
{
    struct io_uring_sqe *sqe = ring_sqe(&ring, IORING_OP_READ, data);
    sqe->fd = ends[0];
    sqe->addr = (unsigned long)&byte;
    sqe->len = 1;
    sqe->flags = IOSQE_ASYNC;
}

/* What a drain holds back behind a poll. */
static void held_entry(unsigned long data)
{
    if (data == 0)
        return poll_entry(data);
    ring_sqe(&ring, IORING_OP_NOP, data);
    ring.sqes[(*ring.sq_tail - 1) & *ring.sq_mask].flags = data == 1 ? IOSQE_IO_DRAIN : 0;
}

/* Submits until that is refused; how many were taken. */
static unsigned long fill(void (*entry)(unsigned long))
{
    unsigned long data = 0, taken = 0;
    for (;;) {
        while (*ring.sq_tail - __atomic_load_n(ring.sq_head, __ATOMIC_ACQUIRE) < BATCH)
            entry(data++);
        long got = ring_enter(&ring, BATCH, 0);
        if (got == -EAGAIN)
            return taken;
        CHECK(got > 0);
        taken += got;
    }
}

/* Takes completions, and counts those with a result that is none of two. */
static unsigned long take(unsigned long count, int one, int other)
{
    struct io_uring_cqe cqe;
    unsigned long strange = 0;
    for (unsigned long i = 0; i < count; i++) {
        if (!ring_reap(&ring, &cqe)) {
            CHECK(ring_enter(&ring, 0, 1) == 0);
            CHECK(ring_reap(&ring, &cqe));
        }
        strange += cqe.res != one && cqe.res != other;
    }
    CHECK(!ring_reap(&ring, &cqe));
    return strange;
}

/* What does not fit into the completion queue is kept, and lost and counted at the end of memory. */
static void kept(void)
{
    /* Behind the heads and tails, the masks, the sizes, and three words more. */
    unsigned *overflow = ring.cq_mask + 6;
    unsigned long posted = 0, taken = 0;
    struct io_uring_cqe cqe;
    while (!__atomic_load_n(overflow, __ATOMIC_ACQUIRE)) {
        for (int i = 0; i < BATCH; i++)
            ring_sqe(&ring, IORING_OP_NOP, posted + i);
        CHECK(ring_enter(&ring, BATCH, 0) == BATCH);
        posted += BATCH;
    }
    CHECK(ring_enter(&ring, 0, 1) == -EBADR);
    while (taken < posted - *overflow) {
        if (!ring_reap(&ring, &cqe))
            CHECK(ring_enter(&ring, 0, 1) == 0);
        else
            taken++;
    }
    CHECK(!ring_reap(&ring, &cqe) && posted > 100000);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    alarm(60);
    /* libc takes 64 MiB of addresses for each thread's own arena, whenever it likes. */
    CHECK(mallopt(M_ARENA_MAX, 1));
    ring_open(&ring, BATCH, 0);
    bell = eventfd(0, 0);
    CHECK(bell >= 0 && !pipe(ends));
    /* What the first request brings with it is there before. */
    poll_entry(0);
    CHECK(ring_enter(&ring, 1, 0) == 1);
    CHECK(eventfd_write(bell, 1) == 0);
    take(1, POLLIN, POLLIN);
    eventfd_t value;
    CHECK(eventfd_read(bell, &value) == 0);
    limit();
    if (!strcmp(argv[1], "kept")) {
        kept();
    } else if (!strcmp(argv[1], "polls")) {
        for (int round = 0; round < 2; round++) {
            unsigned long taken = fill(poll_entry);
            CHECK(taken > 10000);
            CHECK(eventfd_write(bell, 1) == 0);
            CHECK(take(taken, POLLIN, POLLIN) == 0);
            __atomic_store_n(ring.sq_tail, *ring.sq_head, __ATOMIC_RELEASE);
            CHECK(eventfd_read(bell, &value) == 0);
        }
    } else if (!strcmp(argv[1], "linked")) {
        unsigned long taken = fill(linked_entry);
        CHECK(taken > 10000 && eventfd_write(bell, 1) == 0);
        CHECK(take(taken, POLLIN, -ECANCELED) == 0);
    } else if (!strcmp(argv[1], "held")) {
        unsigned long taken = fill(held_entry);
        CHECK(taken > 10000 && eventfd_write(bell, 1) == 0);
        CHECK(take(taken, POLLIN, 0) == 0);
    } else if (!strcmp(argv[1], "timeouts")) {
        CHECK(fill(timeout_entry) > 10000);
    } else {
        CHECK(fill(work_entry) > 1000);
    }
    puts("ok");
    return 0;
}

/* A child of fork uses the ring that its parent made: after it, before it, and in its place. */
#include "check.h"
#include <sys/wait.h>

static struct ring ring;

static int nop(unsigned long data)
{
    struct io_uring_cqe cqe;
    ring_sqe(&ring, IORING_OP_NOP, data);
    long submitted = ring_enter(&ring, 1, 1);
    if (submitted < 0) {
        __atomic_store_n(ring.sq_tail, *ring.sq_tail - 1, __ATOMIC_RELEASE);
        return submitted;
    }
    CHECK(submitted == 1 && ring_reap(&ring, &cqe) == 1);
    CHECK(cqe.user_data == data && cqe.res == 0);
    return 0;
}

static void end(pid_t child)
{
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void open_with(unsigned flags)
{
    struct io_uring_params p;
    memset(&p, 0, sizeof p);
    p.flags = flags;
    int fd = call6(SETUP, 8, (long)&p, 0, 0, 0, 0);
    CHECK(fd >= 0);
    char *sq = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
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
}

/* In turns, many times, so that both go on where the other stopped. */
static void in_turns(void)
{
    int to[2], from[2];
    char byte;
    CHECK(!pipe(to) && !pipe(from));
    open_with(0);
    for (int i = 0; i < 5; i++)
        CHECK(nop(i) == 0);
    pid_t child = fork();
    for (int i = 0; i < 200; i++) {
        if (!child) {
            CHECK(read(to[0], &byte, 1) == 1);
            CHECK(nop(1000 + i) == 0);
            CHECK(write(from[1], "x", 1) == 1);
        } else {
            CHECK(nop(i) == 0);
            CHECK(write(to[1], "x", 1) == 1 && read(from[0], &byte, 1) == 1);
        }
    }
    if (!child)
        _exit(0);
    end(child);
}

/* The parent waits for what its child does, and the child for what its parent does. */
static void for_each_other(void)
{
    struct io_uring_cqe cqe;
    open_with(0);
    CHECK(nop(1) == 0);
    pid_t child = fork();
    if (!child) {
        usleep(50000);
        ring_sqe(&ring, IORING_OP_NOP, 2);
        CHECK(ring_enter(&ring, 1, 0) == 1);
        _exit(0);
    }
    CHECK(ring_enter(&ring, 0, 1) == 0);
    CHECK(ring_reap(&ring, &cqe) == 1 && cqe.user_data == 2);
    end(child);
    child = fork();
    if (!child) {
        CHECK(ring_enter(&ring, 0, 1) == 0);
        CHECK(ring_reap(&ring, &cqe) == 1 && cqe.user_data == 3);
        _exit(0);
    }
    usleep(50000);
    ring_sqe(&ring, IORING_OP_NOP, 3);
    CHECK(ring_enter(&ring, 1, 0) == 1);
    end(child);
}

/* As daemon(3) does it: the parent is gone, and what is read goes to the child's memory. */
static void instead(void)
{
    char buffer[8] = "";
    struct io_uring_cqe cqe;
    int ends[2];
    CHECK(!pipe(ends));
    open_with(0);
    CHECK(nop(1) == 0);
    pid_t child = fork();
    if (!child) {
        struct io_uring_sqe *sqe = ring_sqe(&ring, IORING_OP_READ, 5);
        sqe->fd = ends[0];
        sqe->addr = (unsigned long)buffer;
        sqe->len = sizeof buffer;
        CHECK(ring_enter(&ring, 1, 0) == 1);
        CHECK(write(ends[1], "mine", 4) == 4);
        CHECK(ring_enter(&ring, 0, 1) == 0);
        CHECK(ring_reap(&ring, &cqe) == 1 && cqe.res == 4 && !memcmp(buffer, "mine", 4));
        _exit(0);
    }
    end(child);
    CHECK(!buffer[0]);
}

static void with_one_issuer(void)
{
    open_with(IORING_SETUP_SINGLE_ISSUER);
    CHECK(nop(1) == 0);
    pid_t child = fork();
    if (!child)
        _exit(nop(2) == -EEXIST ? 0 : 1);
    end(child);
    CHECK(nop(3) == 0);
    /* Who enables it is its issuer. */
    open_with(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED);
    child = fork();
    if (!child) {
        CHECK(call6(REGISTER, ring.fd, IORING_REGISTER_ENABLE_RINGS, 0, 0, 0, 0) == 0);
        _exit(nop(4) == 0 ? 0 : 1);
    }
    end(child);
}

int main(void)
{
    alarm(30);
    in_turns();
    for_each_other();
    instead();
    with_one_issuer();
    puts("ok");
    return 0;
}

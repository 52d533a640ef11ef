/* A ring in epoll, poll and select; a CQ mapped at its own offset; descriptors closed around it. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

static int polls(int fd)
{
    struct pollfd entry = {fd, POLLIN, 0};
    int ready = poll(&entry, 1, 0);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    struct timeval none = {0, 0};
    CHECK(select(fd + 1, &set, 0, 0, &none) == ready);
    CHECK(!!FD_ISSET(fd, &set) == ready);
    return ready;
}

int main(void)
{
    struct ring ring, other;
    ring_open(&ring, 8, 1);
    ring_open(&other, 8, 0);
    ring_nop(&ring, 1);
    ring_nop(&other, 1);
    int ep = epoll_create1(0);
    struct epoll_event event = {EPOLLIN, {.u64 = 42}}, got;
    CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, ring.fd, &event));
    for (int round = 0; round < 10; round++) {
        CHECK(epoll_wait(ep, &got, 1, 0) == 0);
        CHECK(polls(ring.fd) == 0);
        ring_sqe(&ring, IORING_OP_NOP, round);
        CHECK(ring_enter(&ring, 1, 0) == 1);
        CHECK(epoll_wait(ep, &got, 1, 1000) == 1 && got.data.u64 == 42);
        CHECK(polls(ring.fd) == 1);
        struct io_uring_cqe cqe;
        CHECK(ring_reap(&ring, &cqe));
    }
    /* A completion that comes while the thread sleeps in epoll. */
    struct __kernel_timespec time = {0, 20000000};
    struct io_uring_sqe *sqe = ring_sqe(&ring, IORING_OP_TIMEOUT, 5);
    sqe->addr = (unsigned long)&time;
    sqe->len = 1;
    CHECK(ring_enter(&ring, 1, 0) == 1);
    CHECK(epoll_wait(ep, &got, 1, 2000) == 1);
    struct io_uring_cqe cqe;
    CHECK(ring_reap(&ring, &cqe) && cqe.user_data == 5 && cqe.res == -ETIME);
    CHECK(!epoll_ctl(ep, EPOLL_CTL_DEL, ring.fd, &event));
    ring_nop(&ring, 6);
    CHECK(epoll_wait(ep, &got, 1, 0) == 0);

    /* Another name of the ring, and the end of the first. */
    int name = fcntl(ring.fd, F_DUPFD_CLOEXEC, 50);
    CHECK(name >= 50);
    CHECK(!close(ring.fd));
    ring.fd = name;
    ring_nop(&ring, 7);
    char byte[2];
    CHECK(read(ring.fd, byte, 2) == -1);

    /* All descriptors are closed; the engine's own must live, and a new ring work. */
    CHECK(!close_range(3, ~0U, 0));
    CHECK(probe_call() == SERVED);
    CHECK(ring_enter(&ring, 0, 0) == -EBADF);
    struct ring third;
    ring_open(&third, 8, 0);
    ring_nop(&third, 8);
    puts("ok");
    return 0;
}

/* The limits that settings give: requests in flight (argv: requests), and worker threads (argv:
   workers, with their greatest number). */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>

static struct ring ring;

static void wait_for(int fd, unsigned long data)
{
    struct io_uring_sqe *sqe = ring_sqe(&ring, IORING_OP_POLL_ADD, data);
    sqe->fd = fd;
    sqe->poll32_events = POLLIN;
}

static void requests(void)
{
    struct io_uring_cqe cqe;
    int ends[2];
    CHECK(!pipe(ends));
    for (int i = 0; i < 3; i++)
        wait_for(ends[0], i);
    /* One fits; the others stay in the queue. */
    CHECK(ring_enter(&ring, 3, 0) == 1);
    CHECK(ring_enter(&ring, 2, 0) == -EAGAIN);
    CHECK(*ring.sq_tail - __atomic_load_n(ring.sq_head, __ATOMIC_ACQUIRE) == 2);
    CHECK(write(ends[1], "x", 1) == 1);
    for (int i = 0; i < 3; i++) {
        CHECK(ring_enter(&ring, 0, 1) == 0);
        CHECK(ring_reap(&ring, &cqe) == 1 && cqe.user_data == (unsigned)i && cqe.res == POLLIN);
        if (i < 2)
            CHECK(ring_enter(&ring, 1, 0) == 1);
    }
}

static int workers(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; (task = readdir(tasks));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *comm = fopen(path, "r");
        if (comm) {
            count += fgets(name, sizeof name, comm) && !strcmp(name, "ringfence/work\n");
            fclose(comm);
        }
    }
    closedir(tasks);
    return count;
}

static void threads(int most)
{
    struct io_uring_cqe cqe;
    int fd = memfd_create("synced", 0);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 32; i++) {
            struct io_uring_sqe *sqe = ring_sqe(&ring, IORING_OP_FSYNC, i);
            sqe->fd = fd;
            sqe->flags = IOSQE_ASYNC;
        }
        CHECK(ring_enter(&ring, 32, 32) == 32);
        for (int i = 0; i < 32; i++)
            CHECK(ring_reap(&ring, &cqe) == 1 && cqe.res == 0);
    }
    CHECK(workers() >= 1 && workers() <= most);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 2);
    alarm(20);
    ring_open(&ring, 32, 0);
    if (!strcmp(argv[1], "requests"))
        requests();
    else
        threads(atoi(argv[2]));
    puts("ok");
    return 0;
}

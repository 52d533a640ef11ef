/* Timers armed and cancelled. timers LIVE SECONDS */
#include "bench.h"

enum { REPLACED = 16, CANCELLATION = 0 };

static struct io_uring ring;
static struct __kernel_timespec later = {.tv_sec = 600};
static uint64_t *live, count, next = 1;

static void check(struct io_uring_cqe *cqe) {
    int expected = cqe->user_data == CANCELLATION ? 0 : -ECANCELED;
    if (cqe->res != expected)
        fail("timer", cqe->res);
}

static void arm(uint64_t tag) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    io_uring_prep_timeout(sqe, &later, 0, 0);
    sqe->user_data = tag;
}

static unsigned batch(void) {
    for (unsigned i = 0; i < REPLACED; i++) {
        uint64_t *victim = &live[random_below(count)];
        struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
        io_uring_prep_timeout_remove(sqe, *victim, 0);
        sqe->user_data = CANCELLATION;
        *victim = next++;
        arm(*victim);
    }
    take(&ring, 2 * REPLACED, check);
    return 2 * REPLACED;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    count = (uint64_t)atoll(argv[1]);
    live = calloc(count, sizeof *live);
    if (!live)
        fail("calloc", 0);
    make_ring(&ring, (unsigned)count);
    for (uint64_t i = 0; i < count; i++)
        arm(live[i] = next++);
    io_uring_submit(&ring);
    measure(&ring, atof(argv[2]), batch);
    return 0;
}

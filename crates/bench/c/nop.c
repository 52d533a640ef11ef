/* Operations that do nothing. nop BATCH SECONDS */
#include "bench.h"

static struct io_uring ring;
static unsigned size;

static void check(struct io_uring_cqe *cqe) {
    if (cqe->res)
        fail("nop", cqe->res);
}

static unsigned batch(void) {
    for (unsigned i = 0; i < size; i++)
        io_uring_prep_nop(io_uring_get_sqe(&ring));
    take(&ring, size, check);
    return size;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    size = (unsigned)atoi(argv[1]);
    make_ring(&ring, size < 8 ? 8 : size);
    measure(&ring, atof(argv[2]), batch);
    return 0;
}

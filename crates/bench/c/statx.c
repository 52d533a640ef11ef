/* statx of the names 00 to 31, 32 a call. statx DIRECTORY SECONDS */
#include "bench.h"

enum { NAMES = 32 };

static struct io_uring ring;
static struct statx answers[NAMES];
static char names[NAMES][3];
static int directory;

static void check(struct io_uring_cqe *cqe) {
    if (cqe->res)
        fail("statx", cqe->res);
}

static unsigned batch(void) {
    for (unsigned i = 0; i < NAMES; i++)
        io_uring_prep_statx(io_uring_get_sqe(&ring), directory, names[i], 0, STATX_BASIC_STATS,
                            &answers[i]);
    take(&ring, NAMES, check);
    return NAMES;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    directory = open(argv[1], O_RDONLY | O_DIRECTORY);
    if (directory < 0)
        fail("opening the directory", -errno);
    for (unsigned i = 0; i < NAMES; i++) {
        names[i][0] = (char)('0' + i / 10);
        names[i][1] = (char)('0' + i % 10);
    }
    make_ring(&ring, NAMES);
    measure(&ring, atof(argv[2]), batch);
    return 0;
}

/* Random reads of 4 KiB, 32 a call. read FILE SECONDS */
#include "bench.h"

enum { DEPTH = 32 };

static struct io_uring ring;
static char *memory;
static uint64_t blocks;
static int file;

static void check(struct io_uring_cqe *cqe) {
    if (cqe->res != PAGE)
        fail("read", cqe->res);
}

static unsigned batch(void) {
    for (unsigned i = 0; i < DEPTH; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
        io_uring_prep_read(sqe, file, memory + i * PAGE, PAGE, random_below(blocks) * PAGE);
    }
    take(&ring, DEPTH, check);
    return DEPTH;
}

int main(int argc, char **argv) {
    struct stat status;
    if (argc != 3)
        return 2;
    file = open(argv[1], O_RDONLY);
    if (file < 0 || fstat(file, &status))
        fail("opening the file to read", -errno);
    blocks = (uint64_t)status.st_size / PAGE;
    memory = aligned_alloc(PAGE, DEPTH * PAGE);
    if (!memory)
        fail("aligned_alloc", 0);
    memset(memory, 0, DEPTH * PAGE);
    make_ring(&ring, DEPTH);
    measure(&ring, atof(argv[2]), batch);
    return 0;
}

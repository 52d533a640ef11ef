/* After thousands of reads that found their pages in memory, reads are made later than they are taken
   from the queue, many at once. Nothing that follows them in the queue may notice. residence FILE */
#include "check.h"
#include <fcntl.h>

enum { PAGE = 4096, PAGES = 64, READS = 8 };

static struct ring ring;
static char memory[PAGES][PAGE];
static unsigned long next_data;
static unsigned queued;

static struct io_uring_sqe *add(int opcode, int fd, void *at, unsigned len, unsigned long offset)
{
    struct io_uring_sqe *sqe = ring_sqe(&ring, opcode, next_data++);
    sqe->fd = fd;
    sqe->addr = (unsigned long)at;
    sqe->len = len;
    sqe->off = offset;
    queued++;
    return sqe;
}

static void read_page(int fd, int page)
{
    int slot = queued % PAGES;
    memset(memory[slot], 0xee, PAGE);
    add(IORING_OP_READ, fd, memory[slot], PAGE, (unsigned long)page * PAGE);
}

/* Submits all, and takes the results; in the order of submission, if they must be. */
static void run(int *results, int in_order)
{
    struct io_uring_cqe cqe;
    unsigned long first = next_data - queued;
    CHECK(ring_enter(&ring, queued, queued) == queued);
    for (unsigned i = 0; i < queued; i++) {
        CHECK(ring_reap(&ring, &cqe) == 1);
        CHECK(cqe.user_data >= first && cqe.user_data < next_data);
        CHECK(!in_order || cqe.user_data == first + i);
        results[cqe.user_data - first] = cqe.res;
    }
    CHECK(ring_reap(&ring, &cqe) == 0);
    queued = 0;
}

static void holds(int slot, char what)
{
    for (int i = 0; i < PAGE; i++)
        CHECK(memory[slot][i] == what);
}

static void expect_pages(const int *results, int from, char what)
{
    for (int i = from; i < from + READS; i++) {
        CHECK(results[i] == PAGE);
        holds(i, what);
    }
}

int main(int argc, char **argv)
{
    int results[PAGES], file;
    char fresh[PAGE];
    alarm(60);
    CHECK(argc == 2 && (file = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600)) >= 0);
    for (int page = 0; page < PAGES; page++) {
        memset(fresh, page + 1, PAGE);
        CHECK(pwrite(file, fresh, PAGE, page * PAGE) == PAGE);
    }
    ring_open(&ring, PAGES, 0);
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < PAGES; i++)
            read_page(file, (i * 7 + round) % PAGES);
        run(results, 1);
        for (int i = 0; i < PAGES; i++) {
            CHECK(results[i] == PAGE);
            holds(i, (i * 7 + round) % PAGES + 1);
        }
    }

    /* A close, and a read of what is then closed. */
    int other = dup(file);
    for (int i = 0; i < READS; i++)
        read_page(other, 2);
    add(IORING_OP_CLOSE, other, 0, 0, 0);
    read_page(other, 2);
    run(results, 1);
    expect_pages(results, 0, 3);
    CHECK(results[READS] == 0 && results[READS + 1] == -EBADF);

    /* A write of what is read before and after it. */
    memset(fresh, 99, PAGE);
    for (int i = 0; i < READS; i++)
        read_page(file, 5);
    add(IORING_OP_WRITE, file, fresh, PAGE, 5 * PAGE);
    for (int i = 0; i < READS; i++)
        read_page(file, 5);
    run(results, 0);
    expect_pages(results, 0, 6);
    CHECK(results[READS] == PAGE);

    /* What is cancelled is done; a drain comes last; a nop does not overtake. */
    for (int i = 0; i < READS; i++)
        read_page(file, 7);
    add(IORING_OP_ASYNC_CANCEL, -1, (void *)(next_data - 1), 0, 0);
    add(IORING_OP_NOP, -1, 0, 0, 0);
    read_page(file, 7);
    add(IORING_OP_NOP, -1, 0, 0, 0)->flags = IOSQE_IO_DRAIN;
    run(results, 1);
    expect_pages(results, 0, 8);
    CHECK(results[READS] == -ENOENT && results[READS + 1] == 0);
    CHECK(results[READS + 2] == PAGE && results[READS + 3] == 0);

    /* Pages copied by linked pairs, and a chain that breaks at a short read. */
    for (int i = 0; i < READS; i++) {
        read_page(file, 10 + i);
        struct io_uring_sqe *sqe = &ring.sqes[(*ring.sq_tail - 1) & *ring.sq_mask];
        sqe->flags = IOSQE_IO_LINK;
        add(IORING_OP_WRITE, file, (void *)sqe->addr, PAGE, (unsigned long)(PAGES + i) * PAGE);
    }
    add(IORING_OP_READ, file, memory[PAGES - 1], 100, (PAGES + READS) * PAGE)->flags = IOSQE_IO_LINK;
    add(IORING_OP_NOP, -1, 0, 0, 0);
    run(results, 0);
    CHECK(results[2 * READS] == 0 && results[2 * READS + 1] == -ECANCELED);
    for (int i = 0; i < READS; i++) {
        CHECK(results[2 * i] == PAGE && results[2 * i + 1] == PAGE);
        CHECK(pread(file, memory[0], PAGE, (PAGES + i) * PAGE) == PAGE);
        holds(0, 11 + i);
    }

    /* The end of the file, bad memory, a descriptor that cannot be read. */
    int end = (PAGES + READS) * PAGE, blind = open(argv[1], O_WRONLY);
    for (int i = 0; i < READS; i++)
        read_page(file, 1);
    add(IORING_OP_READ, file, memory[20], PAGE, end - 10);
    add(IORING_OP_READ, file, memory[20], PAGE, end + 10);
    add(IORING_OP_READ, file, (void *)16, PAGE, 0);
    add(IORING_OP_READ, blind, memory[20], PAGE, 0);
    add(IORING_OP_READ, -1, memory[20], PAGE, 0);
    run(results, 0);
    expect_pages(results, 0, 2);
    int expected[] = {10, 0, -EFAULT, -EBADF, -EBADF};
    CHECK(!memcmp(results + READS, expected, sizeof expected));
    puts("ok");
    return 0;
}

/* Frees the buffer of a request that still waits: where the kernel writes into it nobody sees that,
   where we do AddressSanitizer does. With an argument the buffer is kept, and all is well. */
#include "check.h"

int main(int count, char **arguments)
{
    (void)arguments;
    struct ring ring;
    struct io_uring_cqe cqe;
    int ends[2];
    alarm(20);
    CHECK(!pipe(ends));
    ring_open(&ring, 4, 0);
    char *buffer = malloc(64);
    struct io_uring_sqe *sqe = ring_sqe(&ring, IORING_OP_READ, 7);
    sqe->fd = ends[0];
    sqe->addr = (unsigned long)buffer;
    sqe->len = 64;
    sqe->off = -1;
    CHECK(ring_enter(&ring, 1, 0) == 1);
    if (count == 1)
        free(buffer); /* Too early: nothing is in the pipe yet. */
    CHECK(write(ends[1], "hello", 5) == 5);
    CHECK(ring_enter(&ring, 0, 1) == 0);
    CHECK(ring_reap(&ring, &cqe) == 1 && cqe.res == 5);
    if (count > 1)
        free(buffer);
    printf("ok\n");
    return 0;
}

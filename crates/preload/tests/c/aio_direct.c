/* aio_direct FILE: O_DIRECT reads whose events come to the ring without a call, and that are in flight at
 * the end. */
#include "check.h"
#include <fcntl.h>
#include <linux/aio_abi.h>

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    int file = open(argv[1], O_RDONLY | O_DIRECT);
    CHECK(file >= 0);
    static struct iocb requests[16], *list[16];
    aio_context_t context = 0, other = 0;
    char *buffer = mmap(0, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(buffer != MAP_FAILED && !syscall(206, 16, &context) && !syscall(206, 16, &other));
    for (int i = 0; i < 16; i++) {
        requests[i].aio_fildes = file;
        requests[i].aio_buf = (unsigned long)(buffer + i * 4096);
        requests[i].aio_nbytes = 4096;
        requests[i].aio_offset = i * 4096;
        list[i] = &requests[i];
    }
    volatile unsigned *ring = (unsigned *)context; /* 1 the size, 2 the head, 3 the tail */
    alarm(20);
    for (int round = 0; round < 20; round++) {
        CHECK(syscall(209, context, 16L, list) == 16);
        while ((ring[3] + ring[1] - ring[2]) % ring[1] != 16)
            usleep(100);
        ring[2] = ring[3];
    }
    for (int round = 0; round < 2; round++) {
        CHECK(syscall(209, other, 16L, list) == 16);
        usleep(round ? 0 : 100000);
    }
    CHECK(syscall(207, other) == 0);
    CHECK(syscall(209, context, 16L, list) == 16);
    puts("ok");
    return 0;
}

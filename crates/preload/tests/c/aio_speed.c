/* aio_speed FILE cold|cached|direct [ROUNDS]: how long io_submit takes for 64 reads of 4 KiB that are
 * not in memory, or what a random read takes in batches of 32. */
#include "check.h"
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <time.h>

#define BLOCK 4096

static struct iocb requests[64], *list[64];
static struct io_event events[64];
static char *buffer;
static int file;
static size_t blocks;
static aio_context_t context;

static long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void prepare(int count)
{
    static unsigned long random = 12345;
    for (int i = 0; i < count; i++) {
        random = random * 6364136223846793005ul + 1;
        memset(&requests[i], 0, sizeof requests[i]);
        requests[i].aio_fildes = file;
        requests[i].aio_buf = (unsigned long)(buffer + i * BLOCK);
        requests[i].aio_nbytes = BLOCK;
        requests[i].aio_offset = (random >> 33) % blocks * BLOCK;
        list[i] = &requests[i];
    }
}

static void collect(int count)
{
    for (long got = 0; got < count;) {
        long more = syscall(208, context, count - got, count - got, events, NULL);
        CHECK(more > 0);
        got += more;
    }
}

static void cold(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        prepare(64);
        long start = now();
        CHECK(syscall(209, context, 64L, list) == 64);
        long submitted = now();
        collect(64);
        printf("%ld us in io_submit, %ld us until all are done\n", (submitted - start) / 1000,
               (now() - start) / 1000);
    }
}

static void warm(int rounds, int batches)
{
    long best = -1;
    for (int i = 0; i < rounds; i++) {
        long start = now();
        for (int batch = 0; batch < batches; batch++) {
            prepare(32);
            CHECK(syscall(209, context, 32L, list) == 32);
            collect(32);
        }
        long each = (now() - start) / (32 * batches);
        if (best < 0 || each < best)
            best = each;
    }
    printf("%ld ns per read\n", best);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 3);
    int direct = !strcmp(argv[2], "direct"), rounds = argc > 3 ? atoi(argv[3]) : 10;
    file = open(argv[1], O_RDONLY | (direct ? O_DIRECT : 0));
    CHECK(file >= 0);
    size_t size = lseek(file, 0, SEEK_END);
    blocks = size / BLOCK;
    buffer = mmap(0, 64 * BLOCK, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    CHECK(blocks > 0 && buffer != MAP_FAILED && syscall(206, 128, &context) == 0);
    if (!strcmp(argv[2], "cold")) {
        cold(rounds);
    } else if (direct) {
        warm(rounds, 60);
    } else {
        CHECK(mmap(0, size, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0) != MAP_FAILED);
        warm(rounds, 600);
    }
    return 0;
}

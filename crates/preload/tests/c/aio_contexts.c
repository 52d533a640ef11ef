/* aio_contexts [COUNT [EVENTS]]: what so many AIO contexts take, time and memory; fewer if no more are
 * granted. */
#include "check.h"
#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <time.h>

static long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

/* The process's private memory, bytes. */
static long own(void)
{
    char line[256];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status);
    while (fgets(line, sizeof line, status) && sscanf(line, "RssAnon: %ld", &kib) != 1)
        ;
    fclose(status);
    CHECK(kib >= 0);
    return kib * 1024;
}

/* How much of a ring is in memory, whether or not it is mapped yet, bytes. */
static long resident(aio_context_t context, int events)
{
    static unsigned char pages[1 << 16];
    unsigned nr = ((unsigned *)context)[1];
    size_t len = (1 + (size_t)nr) * sizeof(struct io_event), count = len / 4096, there = 0;
    CHECK(nr >= (unsigned)events && count <= sizeof pages);
    CHECK(mincore((void *)context, len, pages) == 0);
    for (size_t i = 0; i < count; i++)
        there += pages[i] & 1;
    return there * 4096;
}

int main(int argc, char **argv)
{
    int wanted = argc > 1 ? atoi(argv[1]) : 1000, events = argc > 2 ? atoi(argv[2]) : 1024, count;
    aio_context_t *contexts = calloc(wanted, sizeof *contexts);
    CHECK(contexts && wanted > 0 && events > 0);
    memset(contexts, 0, wanted * sizeof *contexts);
    aio_context_t first = 0; /* What is done once is not theirs. */
    CHECK(syscall(206, 1, &first) == 0);
    long before = own(), start = now();
    for (count = 0; count < wanted; count++)
        if (syscall(206, events, &contexts[count]) != 0)
            break;
    long made = now(), memory = 0;
    int error = errno;
    CHECK(count > 0);
    long after = own();
    for (int i = 0; i < count; i++)
        memory += resident(contexts[i], events);
    long begin = now();
    for (int i = 0; i < count; i++)
        CHECK(syscall(207, contexts[i]) == 0);
    long end = now();
    CHECK(syscall(207, first) == 0);
    printf("%d contexts of %d events%s%s: %.1f us and %.1f KiB each, %.1f of them in rings; "
           "%.1f us to destroy\n",
           count, events, count < wanted ? ", then " : "", count < wanted ? strerror(error) : "",
           (made - start) / 1e3 / count, (memory + after - before) / 1024.0 / count,
           memory / 1024.0 / count, (end - begin) / 1e3 / count);
    return 0;
}

/* What rings cost besides time, as docs/FOOTPRINT.md tells. With an argument, one of:
   dropped N   so many rings are made, used and dropped: what of descriptors, threads and memory is left
   rings N     memory of so many rings at once
   requests N  memory of so many polls in flight in one ring
   idle MS     threads before there is a ring; processor time of waits of so many milliseconds */
#include "check.h"
#include <dirent.h>
#include <poll.h>
#include <time.h>

static long entries(const char *path)
{
    long count = -2;
    DIR *directory = opendir(path);
    CHECK(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

/* Memory of this process, bytes: a page that is mapped twice counts once. Of files, a library's pages
   count by how many processes have them mapped now, so that they are left out where others come and go. */
static long memory(int with_files)
{
    char line[256];
    long sum = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    CHECK(file);
    while (fgets(line, sizeof line, file)) {
        long kib;
        if (sscanf(line, "Pss_Anon: %ld kB", &kib) == 1 || sscanf(line, "Pss_Shmem: %ld kB", &kib) == 1
            || (with_files && sscanf(line, "Pss_File: %ld kB", &kib) == 1))
            sum += kib;
    }
    fclose(file);
    CHECK(sum > 0);
    return sum * 1024;
}

static double clock_of(clockid_t id)
{
    struct timespec time;
    CHECK(!clock_gettime(id, &time));
    return time.tv_sec + time.tv_nsec / 1e9;
}

/* A ring, and its mappings, to be dropped in full. */
struct whole {
    struct ring ring;
    char *rings;
    size_t rings_len, sqes_len;
};

static void make(struct whole *whole, unsigned size)
{
    struct io_uring_params p;
    struct ring *ring = &whole->ring;
    memset(&p, 0, sizeof p);
    ring->fd = call6(SETUP, size, (long)&p, 0, 0, 0, 0);
    CHECK(ring->fd >= 0);
    int prot = PROT_READ | PROT_WRITE;
    whole->rings_len = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    if (whole->rings_len < p.sq_off.array + p.sq_entries * 4)
        whole->rings_len = p.sq_off.array + p.sq_entries * 4;
    whole->sqes_len = p.sq_entries * sizeof(struct io_uring_sqe);
    char *at = whole->rings =
        mmap(0, whole->rings_len, prot, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
    ring->sqes = mmap(0, whole->sqes_len, prot, MAP_SHARED, ring->fd, IORING_OFF_SQES);
    CHECK(at != MAP_FAILED && ring->sqes != MAP_FAILED);
    ring->sq_head = (unsigned *)(at + p.sq_off.head);
    ring->sq_tail = (unsigned *)(at + p.sq_off.tail);
    ring->sq_mask = (unsigned *)(at + p.sq_off.ring_mask);
    ring->sq_array = (unsigned *)(at + p.sq_off.array);
    ring->cq_head = (unsigned *)(at + p.cq_off.head);
    ring->cq_tail = (unsigned *)(at + p.cq_off.tail);
    ring->cq_mask = (unsigned *)(at + p.cq_off.ring_mask);
    ring->cqes = (struct io_uring_cqe *)(at + p.cq_off.cqes);
}

static void drop(struct whole *whole)
{
    CHECK(!munmap(whole->ring.sqes, whole->sqes_len) && !munmap(whole->rings, whole->rings_len));
    CHECK(!close(whole->ring.fd));
}

static void use_and_drop(long count)
{
    struct whole whole;
    for (long i = 0; i < count; i++) {
        make(&whole, 8);
        ring_nop(&whole.ring, i);
        drop(&whole);
    }
}

static void dropped(long count)
{
    /* What is kept once per process is there after a tenth of them. */
    use_and_drop(count / 10);
    long files = entries("/proc/self/fd"), threads = entries("/proc/self/task"), held = memory(0);
    double start = clock_of(CLOCK_MONOTONIC);
    use_and_drop(count - count / 10);
    double each = (clock_of(CLOCK_MONOTONIC) - start) / (count - count / 10);
    long grown = memory(0) - held;
    printf("%ld rings: %.1f us each; left behind: %ld descriptors, %ld threads, %ld KiB\n", count,
           each * 1e6, entries("/proc/self/fd") - files, entries("/proc/self/task") - threads,
           grown / 1024);
    CHECK(entries("/proc/self/fd") <= files && entries("/proc/self/task") <= threads);
    CHECK(grown <= 256 * 1024);
}

static void rings(long count)
{
    struct whole *all = calloc(count, sizeof *all);
    CHECK(all);
    memset(all, 1, count * sizeof *all);
    make(&all[0], 8);
    ring_nop(&all[0].ring, 0);
    long held = memory(1), files = entries("/proc/self/fd");
    for (long i = 1; i < count; i++) {
        make(&all[i], 128);
        ring_nop(&all[i].ring, i);
    }
    printf("%ld rings of 128 entries, one request made in each: %ld bytes and %.1f descriptors each, "
           "%ld threads\n", count, (memory(1) - held) / (count - 1),
           (double)(entries("/proc/self/fd") - files) / (count - 1), entries("/proc/self/task"));
}

static void requests(long count)
{
    struct whole whole;
    int ends[2];
    CHECK(!pipe(ends));
    make(&whole, 1024);
    memset(whole.ring.sqes, 0, whole.sqes_len);
    ring_nop(&whole.ring, 0);
    long held = memory(1);
    for (long i = 0; i < count; i++) {
        struct io_uring_sqe *sqe = ring_sqe(&whole.ring, IORING_OP_POLL_ADD, i);
        sqe->fd = ends[0];
        sqe->poll32_events = POLLIN;
        if (i % 1024 == 1023 || i == count - 1)
            CHECK(ring_enter(&whole.ring, i % 1024 + 1, 0) == i % 1024 + 1);
    }
    printf("%ld polls in flight: %ld bytes each, %ld threads\n", count, (memory(1) - held) / count,
           entries("/proc/self/task"));
}

static void idle(long ms)
{
    struct whole whole;
    int ends[2];
    printf("%ld thread before there is a ring\n", entries("/proc/self/task"));
    CHECK(entries("/proc/self/task") == 1);
    CHECK(!pipe(ends));
    make(&whole, 8);
    ring_nop(&whole.ring, 0);
    struct io_uring_sqe *sqe = ring_sqe(&whole.ring, IORING_OP_POLL_ADD, 1);
    sqe->fd = ends[0];
    sqe->poll32_events = POLLIN;
    CHECK(ring_enter(&whole.ring, 1, 0) == 1);
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    double start = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    nanosleep(&time, 0);
    double between = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    struct __kernel_timespec limit = {time.tv_sec, time.tv_nsec};
    struct io_uring_getevents_arg arg = {.ts = (unsigned long)&limit};
    long flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    CHECK(call6(ENTER, whole.ring.fd, 0, 1, flags, (long)&arg, sizeof arg) == -ETIME);
    double end = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    printf("%ld ms with a poll in flight and the program asleep: %.0f us of processor time\n", ms,
           (between - start) * 1e6);
    printf("%ld ms in io_uring_enter: %.0f us\n", ms, (end - between) * 1e6);
    CHECK(between - start < ms / 1e3 / 10 && end - between < ms / 1e3 / 10);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    long count = atol(argv[2]);
    CHECK(count > 1);
    if (!strcmp(argv[1], "dropped"))
        dropped(count);
    else if (!strcmp(argv[1], "rings"))
        rings(count);
    else if (!strcmp(argv[1], "requests"))
        requests(count);
    else
        idle(count);
    return 0;
}

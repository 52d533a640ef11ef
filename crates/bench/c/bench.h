/* What the benchmark programs share: measuring, and the answer that `ringfence bench` reads. */
#ifndef BENCH_H
#define BENCH_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* About how long a chunk of batches lasts, and how many are kept. */
enum { CHUNK_NS = 500000, CHUNKS = 1 << 16, PAGE = 4096 };

static void fail(const char *what, long answer) {
    fprintf(stderr, "%s answered %ld\n", what, answer);
    exit(1);
}

static inline uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t random_below(uint64_t bound) {
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint64_t)(((unsigned __int128)state * bound) >> 64);
}

static void make_ring(struct io_uring *ring, unsigned entries) {
    int error = io_uring_queue_init(entries, ring, 0);
    if (error == -EPERM || error == -ENOSYS) {
        printf("{\"unavailable\": \"io_uring_setup: %s\"}\n", strerror(-error));
        exit(0);
    }
    if (error)
        fail("io_uring_setup", error);
}

/* Waits for `count` completions and takes them; `check` sees each. */
static inline void take(struct io_uring *ring, unsigned count,
                        void (*check)(struct io_uring_cqe *)) {
    while (count > 0) {
        struct io_uring_cqe *cqe;
        unsigned head, taken = 0;
        int submitted = io_uring_submit_and_wait(ring, count);
        if (submitted < 0)
            fail("io_uring_enter", submitted);
        io_uring_for_each_cqe(ring, head, cqe) {
            check(cqe);
            taken++;
        }
        io_uring_cq_advance(ring, taken);
        count -= taken < count ? taken : count;
    }
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Repeats `batch`, which returns how many operations it did; prints the median of the chunks. */
static void measure(struct io_uring *ring, double seconds, unsigned (*batch)(void)) {
    static double chunks[CHUNKS];
    uint64_t budget = (uint64_t)(seconds * 1e9), total = 0, batches = 1, begin;
    char link[64], target[64];
    int count = 0;

    for (;; batches *= 2) {
        uint64_t start = now_ns();
        for (uint64_t i = 0; i < batches; i++)
            batch();
        if ((now_ns() - start) * 2 >= (budget < CHUNK_NS ? budget : CHUNK_NS))
            break;
    }
    for (uint64_t warm = now_ns(); now_ns() - warm < budget / 10;)
        batch();
    begin = now_ns();
    while (count == 0 || (now_ns() - begin < budget && count < CHUNKS)) {
        uint64_t start = now_ns(), ops = 0;
        for (uint64_t i = 0; i < batches; i++)
            ops += batch();
        if (ops > 0) {
            chunks[count++] = (double)(now_ns() - start) / (double)ops;
            total += ops;
        }
    }
    qsort(chunks, (size_t)count, sizeof *chunks, by_size);
    snprintf(link, sizeof link, "/proc/self/fd/%d", ring->ring_fd);
    ssize_t length = readlink(link, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = 0;
    printf("{\"measured\": {\"ns_per_op\": %f, \"ops\": %llu, \"served_by\": \"%s\"}}\n",
           chunks[count / 2], (unsigned long long)total,
           strcmp(target, "anon_inode:[io_uring]") ? "ringfence" : "kernel");
}

#endif

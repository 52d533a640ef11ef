/* What the test programs share: calls by instruction, a small ring, and complaints. */
#ifndef CHECK_H
#define CHECK_H
#include <errno.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SETUP 425
#define ENTER 426
#define REGISTER 427

#define CHECK(condition)                                                        \
    do {                                                                        \
        if (!(condition)) {                                                     \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);     \
            _exit(99);                                                          \
        }                                                                       \
    } while (0)

/* The tests run where io_uring is refused with EPERM, so that this answer can only be ours. */
#define SERVED (-EBADF)

/* Every caller gets its own call instruction, with the number loaded right there if it is known. */
static inline __attribute__((always_inline)) long
call6(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* An enter on no descriptor. */
static __attribute__((noinline, unused)) long probe_call(void)
{
    return call6(ENTER, -1, 0, 0, 0, 0, 0);
}

struct ring {
    int fd;
    unsigned *sq_head, *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
};

/* Maps the CQ ring at its own offset if asked to, as some programs do. */
static inline void ring_open(struct ring *ring, unsigned entries, int own_cq)
{
    struct io_uring_params p;
    memset(&p, 0, sizeof p);
    ring->fd = call6(SETUP, entries, (long)&p, 0, 0, 0, 0);
    CHECK(ring->fd >= 0);
    size_t sq_len = p.sq_off.array + p.sq_entries * 4;
    size_t cq_len = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    size_t len = sq_len > cq_len ? sq_len : cq_len;
    int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;
    char *sq = mmap(0, len, prot, flags, ring->fd, IORING_OFF_SQ_RING);
    CHECK(sq != MAP_FAILED);
    char *cq = own_cq ? mmap(0, len, prot, flags, ring->fd, IORING_OFF_CQ_RING) : sq;
    CHECK(cq != MAP_FAILED);
    ring->sqes = mmap(0, p.sq_entries * sizeof(struct io_uring_sqe), prot, flags, ring->fd,
                      IORING_OFF_SQES);
    CHECK(ring->sqes != MAP_FAILED);
    ring->sq_head = (unsigned *)(sq + p.sq_off.head);
    ring->sq_tail = (unsigned *)(sq + p.sq_off.tail);
    ring->sq_mask = (unsigned *)(sq + p.sq_off.ring_mask);
    ring->sq_array = (unsigned *)(sq + p.sq_off.array);
    ring->cq_head = (unsigned *)(cq + p.cq_off.head);
    ring->cq_tail = (unsigned *)(cq + p.cq_off.tail);
    ring->cq_mask = (unsigned *)(cq + p.cq_off.ring_mask);
    ring->cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
}

static inline struct io_uring_sqe *ring_sqe(struct ring *ring, int opcode, unsigned long data)
{
    unsigned tail = *ring->sq_tail, index = tail & *ring->sq_mask;
    struct io_uring_sqe *sqe = &ring->sqes[index];
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = opcode;
    sqe->user_data = data;
    ring->sq_array[index] = index;
    __atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
    return sqe;
}

static __attribute__((noinline, unused)) long ring_enter(struct ring *ring, unsigned submit, unsigned wait)
{
    return call6(ENTER, ring->fd, submit, wait, wait ? IORING_ENTER_GETEVENTS : 0, 0, 8);
}

static inline int ring_reap(struct ring *ring, struct io_uring_cqe *out)
{
    unsigned head = *ring->cq_head;
    if (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
        return 0;
    *out = ring->cqes[head & *ring->cq_mask];
    __atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
    return 1;
}

/* One nop there and back. */
static inline void ring_nop(struct ring *ring, unsigned long data)
{
    struct io_uring_cqe cqe;
    ring_sqe(ring, IORING_OP_NOP, data);
    CHECK(ring_enter(ring, 1, 1) == 1);
    CHECK(ring_reap(ring, &cqe) == 1 && cqe.user_data == data && cqe.res == 0);
}
#endif

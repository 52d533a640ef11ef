/* Files opened with O_DIRECT: the kernel's AIO does the work where the host has it, threads where it
   is refused, and nobody dies where asking for it kills. argv: a file to make, then how. */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { BLOCK = 4096, BLOCKS = 64, LEFT = 100 };

static struct ring ring;
static char *memory[BLOCKS];

static void forbid(unsigned number, unsigned answer)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static int workers(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; (task = readdir(tasks));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *comm = fopen(path, "r");
        if (comm) {
            count += fgets(name, sizeof name, comm) && !strcmp(name, "ringfence/work\n");
            fclose(comm);
        }
    }
    closedir(tasks);
    return count;
}

static struct io_uring_sqe *transfer(int opcode, int fd, int block, unsigned len)
{
    struct io_uring_sqe *sqe = ring_sqe(&ring, opcode, block);
    sqe->fd = fd;
    sqe->off = (unsigned long)block * BLOCK;
    sqe->addr = (unsigned long)memory[block];
    sqe->len = len;
    return sqe;
}

static int one(void)
{
    struct io_uring_cqe cqe;
    CHECK(ring_enter(&ring, 1, 1) == 1 && ring_reap(&ring, &cqe) == 1);
    return cqe.res;
}

/* Every block once, all in flight together, in an order of its own. */
static void read_all(int fd)
{
    struct io_uring_cqe cqe;
    for (int i = 0; i < BLOCKS; i++) {
        memset(memory[i], 0xee, BLOCK);
        transfer(IORING_OP_READ, fd, (i * 29 + 7) % BLOCKS, BLOCK);
    }
    CHECK(ring_enter(&ring, BLOCKS, BLOCKS) == BLOCKS);
    for (int i = 0; i < BLOCKS; i++) {
        CHECK(ring_reap(&ring, &cqe) == 1 && cqe.res == BLOCK);
        for (int at = 0; at < BLOCK; at++)
            CHECK(memory[cqe.user_data][at] == (char)cqe.user_data);
    }
}

static void several_kinds(int fd)
{
    /* What is left at the end of the file is short; beyond is nothing. */
    transfer(IORING_OP_READ, fd, BLOCKS - 1, BLOCK)->off += BLOCK;
    CHECK(one() == LEFT);
    transfer(IORING_OP_READ, fd, BLOCKS - 1, BLOCK)->off += 2 * BLOCK;
    CHECK(one() == 0);
    /* Vectors, whose array may go as soon as the entry is taken. */
    struct iovec *iov = malloc(2 * sizeof *iov);
    iov[0] = (struct iovec){memory[0], BLOCK};
    iov[1] = (struct iovec){memory[1], BLOCK};
    struct io_uring_sqe *sqe = transfer(IORING_OP_READV, fd, 4, 2);
    sqe->addr = (unsigned long)iov;
    CHECK(ring_enter(&ring, 1, 0) == 1);
    memset(iov, 0xff, 2 * sizeof *iov);
    free(iov);
    struct io_uring_cqe cqe;
    CHECK(ring_enter(&ring, 0, 1) == 0 && ring_reap(&ring, &cqe) == 1);
    CHECK(cqe.res == 2 * BLOCK && memory[0][9] == 4 && memory[1][9] == 5);
    /* A write, then a read of it, linked. */
    memset(memory[2], 77, BLOCK);
    transfer(IORING_OP_WRITE, fd, 2, BLOCK)->flags = IOSQE_IO_LINK;
    transfer(IORING_OP_READ, fd, 3, BLOCK)->off = 2 * BLOCK;
    CHECK(ring_enter(&ring, 2, 2) == 2);
    for (int i = 0; i < 2; i++)
        CHECK(ring_reap(&ring, &cqe) == 1 && cqe.res == BLOCK);
    CHECK(memory[3][0] == 77);
    memset(memory[2], 2, BLOCK);
    transfer(IORING_OP_WRITE, fd, 2, BLOCK);
    CHECK(one() == BLOCK);
    /* Memory and descriptors that are none. */
    transfer(IORING_OP_READ, fd, 1, BLOCK)->addr = 4096;
    CHECK(one() == -EFAULT);
    transfer(IORING_OP_WRITE, open("/dev/null", O_RDONLY), 1, BLOCK);
    CHECK(one() == -EBADF);
}

/* What a device has cannot be called back; its file may be closed, and its process may fork. */
static void at_the_device(const char *path)
{
    struct io_uring_cqe cqe;
    int fd = open(path, O_RDWR | O_DIRECT);
    for (int i = 0; i < BLOCKS; i++)
        transfer(IORING_OP_READ, fd, i, BLOCK);
    CHECK(ring_enter(&ring, BLOCKS, 0) == BLOCKS);
    int other = open("/dev/zero", O_RDONLY);
    CHECK(other >= 0 && dup2(other, fd) == fd);
    pid_t child = fork();
    if (!child)
        _exit(0);
    CHECK(waitpid(child, 0, 0) == child);
    ring_sqe(&ring, IORING_OP_ASYNC_CANCEL, 1000)->addr = BLOCKS - 1;
    CHECK(ring_enter(&ring, 1, BLOCKS + 1) == 1);
    int cancelled = -1, seen = 0;
    while (ring_reap(&ring, &cqe)) {
        seen++;
        if (cqe.user_data == 1000)
            CHECK(cqe.res == 0 || cqe.res == -EALREADY || cqe.res == -ENOENT);
        else if (cqe.res == -ECANCELED)
            cancelled = cqe.user_data;
        else
            CHECK(cqe.res == BLOCK && memory[cqe.user_data][5] == (char)cqe.user_data);
    }
    CHECK(seen == BLOCKS + 1 && (cancelled == -1 || cancelled == BLOCKS - 1));
    close(fd);
    close(other);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    alarm(30);
    const char *path = argv[1];
    int refused = strcmp(argv[2], "allowed");
    if (!strcmp(argv[2], "refused"))
        forbid(SYS_io_setup, SECCOMP_RET_ERRNO | EPERM);
    else if (!strcmp(argv[2], "kills"))
        forbid(SYS_io_setup, SECCOMP_RET_KILL_PROCESS);
    else if (!strcmp(argv[2], "kills-later"))
        forbid(SYS_io_submit, SECCOMP_RET_KILL_PROCESS);
    for (int i = 0; i < BLOCKS; i++)
        CHECK(!posix_memalign((void **)&memory[i], BLOCK, BLOCK));
    int file = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    CHECK(file >= 0);
    for (int i = 0; i <= BLOCKS; i++) {
        memset(memory[0], i, BLOCK);
        CHECK(write(file, memory[0], i < BLOCKS ? BLOCK : LEFT) > 0);
    }
    CHECK(!fsync(file) && !close(file));
    int fd = open(path, O_RDWR | O_DIRECT);
    if (fd < 0) {
        CHECK(errno == EINVAL);
        fprintf(stderr, "skipped: %s is on a file system without O_DIRECT\n", path);
        puts("ok");
        return 0;
    }
    ring_open(&ring, 128, 0);
    /* The first one asks for the context. */
    transfer(IORING_OP_READ, fd, 5, BLOCK);
    CHECK(one() == BLOCK && memory[5][1] == 5);
    int before = workers();
    for (int i = 0; i < 20; i++)
        read_all(fd);
    /* One thread did the first one. */
    CHECK(refused || (before <= 1 && workers() <= 1));
    several_kinds(fd);
    at_the_device(path);
    /* Rings that are dropped with everything in flight, and their memory with them. */
    for (int i = 0; i < 20; i++) {
        for (int block = 0; block < BLOCKS; block++)
            transfer(IORING_OP_READ, fd, block, BLOCK);
        CHECK(ring_enter(&ring, BLOCKS, 0) == BLOCKS);
        munmap(ring.sqes, 128 * 64);
        munmap((void *)((unsigned long)ring.sq_head & -4096L), 2 * 4096);
        close(ring.fd);
        ring_open(&ring, 128, 0);
        read_all(fd);
    }
    CHECK(!unlink(path));
    puts("ok");
    return 0;
}

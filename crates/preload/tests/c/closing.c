/* Descriptors closed in every way, while requests wait for them and after the engine has learnt what
   they are: a request keeps its file, and the number means the next file at once. */
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>

static struct ring ring;
static char buffer[100];
static const char *how;

static __attribute__((noinline)) long generic(long number, long a, long b, long c)
{
    return call6(number, a, b, c, 0, 0, 0);
}

static void let_go(int fd)
{
    errno = 77;
    if (!strcmp(how, "constant") || !strcmp(how, "handler"))
        CHECK(call6(SYS_close, fd, 0, 0, 0, 0, 0) == 0);
    else if (!strcmp(how, "register"))
        CHECK(generic(SYS_close, fd, 0, 0) == 0);
    else if (!strcmp(how, "libc"))
        CHECK(close(fd) == 0);
    else if (!strcmp(how, "range"))
        CHECK(call6(SYS_close_range, fd, fd, 0, 0, 0, 0) == 0);
    else if (!strcmp(how, "syscall"))
        CHECK(syscall(SYS_close, fd) == 0);
    else if (!strcmp(how, "stream")) {
        FILE *stream = fdopen(fd, "r");
        CHECK(stream && fclose(stream) == 0);
        errno = 77;
    } else
        CHECK(!how);
    CHECK(errno == 77);
}

/* Puts `from` in the place of `to`, and closes it. */
static void replace(int from, int to)
{
    if (!strcmp(how, "constant")) {
        CHECK(call6(SYS_dup2, from, to, 0, 0, 0, 0) == to);
    } else if (!strcmp(how, "register")) {
        CHECK(generic(SYS_dup3, from, to, 0) == to);
    } else if (!strcmp(how, "range")) {
        CHECK(call6(SYS_dup3, from, to, O_CLOEXEC, 0, 0, 0) == to);
    } else if (!strcmp(how, "syscall")) {
        CHECK(syscall(SYS_dup2, from, to) == to);
    } else {
        let_go(to);
        CHECK(dup2(from, to) == to);
    }
    let_go(from);
}

static void start(int opcode, int fd, unsigned long offset, unsigned len)
{
    struct io_uring_sqe *sqe = ring_sqe(&ring, opcode, opcode);
    sqe->fd = fd;
    sqe->off = offset;
    sqe->addr = (unsigned long)buffer;
    sqe->len = len;
    CHECK(ring_enter(&ring, 1, 0) == 1);
}

static int finish(void)
{
    struct io_uring_cqe cqe;
    CHECK(ring_enter(&ring, 0, 1) == 0);
    CHECK(ring_reap(&ring, &cqe) == 1);
    return cqe.res;
}

/* A request that waits keeps its file, whatever becomes of the number. */
static void waits_on(void)
{
    int first[2], second[2];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, first));
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, second));
    for (int round = 0; round < 3; round++) {
        start(IORING_OP_RECV, first[0], 0, sizeof buffer);
        CHECK(write(first[1], "known", 5) == 5 && finish() == 5);
    }
    start(IORING_OP_RECV, first[0], 0, sizeof buffer);
    int number = first[0];
    replace(second[0], first[0]);
    CHECK(write(second[1], "new one", 7) == 7);
    CHECK(write(first[1], "old", 3) == 3);
    CHECK(finish() == 3 && !memcmp(buffer, "old", 3));
    start(IORING_OP_RECV, number, 0, sizeof buffer);
    CHECK(finish() == 7 && !memcmp(buffer, "new one", 7));
    let_go(number);
    let_go(first[1]);
    let_go(second[1]);
}

/* What a number named is forgotten: pipes have no offsets, files have. */
static void another_kind(void)
{
    int pair[2];
    CHECK(!pipe(pair));
    CHECK(write(pair[1], "stream", 6) == 6);
    start(IORING_OP_READ, pair[0], 3, sizeof buffer);
    CHECK(finish() == 6);
    int file = memfd_create("kind", 0);
    CHECK(file >= 0 && write(file, "0123456789", 10) == 10 && lseek(file, 0, SEEK_SET) == 0);
    replace(file, pair[0]);
    start(IORING_OP_READ, pair[0], 3, 4);
    CHECK(finish() == 4 && !memcmp(buffer, "3456", 4));
    let_go(pair[0]);
    CHECK(!close(pair[1]));
}

static void connected(int pair[2])
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof name;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    pair[1] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!bind(listener, (void *)&name, len) && !listen(listener, 1));
    CHECK(!getsockname(listener, (void *)&name, &len) && !connect(pair[1], (void *)&name, len));
    pair[0] = accept(listener, 0, 0);
    CHECK(pair[0] >= 0 && !close(listener));
}

/* A socket that was emptied is waited for untried; the next one of its number is tried. */
static void emptied(void)
{
    int first[2], second[2];
    connected(first);
    for (int i = 0; i < 3; i++) {
        start(IORING_OP_RECV, first[0], 0, sizeof buffer);
        CHECK(write(first[1], "hello", 5) == 5 && finish() == 5);
    }
    connected(second);
    CHECK(write(second[1], "waiting", 7) == 7);
    replace(second[0], first[0]);
    start(IORING_OP_RECV, first[0], 0, sizeof buffer);
    CHECK(finish() == 7);
    let_go(first[0]);
    let_go(first[1]);
    let_go(second[1]);
}

static int spare[2];

static void on_signal(int signal)
{
    (void)signal;
    let_go(spare[0]);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 2);
    how = argv[1];
    int seen = argc < 3 || strcmp(argv[2], "unseen"); /* else the kernel has let go of the file */
    alarm(20); /* What is lost is waited for in vain. */
    ring_open(&ring, 8, 0);
    if (seen)
        waits_on();
    another_kind();
    emptied();
    if (!strcmp(how, "range")) {
        /* Everything but the ring: what is the engine's own survives. */
        CHECK(ring.fd >= 3);
        if (seen) {
            CHECK(call6(SYS_close_range, ring.fd + 1, ~0u, 0, 0, 0, 0) == 0);
            waits_on();
        }
    }
    if (!strcmp(how, "handler")) {
        /* In a handler that ends a wait for the very descriptor that it closes. */
        CHECK(!pipe(spare));
        signal(SIGUSR1, on_signal);
        start(IORING_OP_READ, spare[0], -1, sizeof buffer);
        pid_t self = getpid();
        if (!fork()) {
            usleep(50000);
            kill(self, SIGUSR1);
            _exit(0);
        }
        CHECK(ring_enter(&ring, 0, 1) == -EINTR);
        CHECK(fcntl(spare[0], F_GETFD) == -1);
        CHECK(write(spare[1], "late", 4) == 4 && finish() == 4);
    }
    puts("ok");
    return 0;
}

/* A receive that came short may have emptied its socket, and the next one then waits untried. What
   is still there must not be lost: behind attached descriptors, and at the end of a stream. */
#include "check.h"
#include <arpa/inet.h>
#include <sys/socket.h>

static struct ring ring;
static char buffer[100];

static void start(int fd)
{
    unsigned tail = *ring.sq_tail, at = tail & *ring.sq_mask;
    struct io_uring_sqe *sqe = &ring.sqes[at];
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = IORING_OP_RECV;
    sqe->fd = fd;
    sqe->addr = (unsigned long)buffer;
    sqe->len = sizeof buffer;
    ring.sq_array[at] = at;
    __atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
    CHECK(call6(ENTER, ring.fd, 1, 0, 0, 0, 0) == 1);
}

static int finish(void)
{
    CHECK(call6(ENTER, ring.fd, 0, 1, IORING_ENTER_GETEVENTS, 0, 0) == 0);
    unsigned head = *ring.cq_head;
    CHECK(head != __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE));
    int res = ring.cqes[head & *ring.cq_mask].res;
    __atomic_store_n(ring.cq_head, head + 1, __ATOMIC_RELEASE);
    return res;
}

static void send_with_descriptor(int fd, const char *text)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec iov = {(void *)text, strlen(text)};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    CHECK(sendmsg(fd, &message, 0) == (ssize_t)strlen(text));
}

int main(void)
{
    alarm(20); /* What is lost is waited for in vain. */
    ring_open(&ring, 8, 0);
    int pair[2];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    start(pair[0]);
    send_with_descriptor(pair[1], "a");
    CHECK(finish() == 1);
    start(pair[0]); /* Waits, so that the next three come to a socket that is known. */
    send_with_descriptor(pair[1], "bb");
    send_with_descriptor(pair[1], "ccc");
    send_with_descriptor(pair[1], "dddd");
    for (int len = 2; len <= 4; len++) {
        CHECK(finish() == len);
        start(pair[0]);
    }

    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof name;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!bind(listener, (void *)&name, len) && !listen(listener, 1));
    CHECK(!getsockname(listener, (void *)&name, &len) && !connect(client, (void *)&name, len));
    int server = accept(listener, 0, 0);
    CHECK(server >= 0);
    ring_open(&ring, 8, 0);
    for (int i = 0; i < 100; i++) {
        start(server);
        CHECK(send(client, "hello", 5, 0) == 5);
        CHECK(finish() == 5);
    }
    start(server);
    CHECK(send(client, "last", 4, 0) == 4 && !shutdown(client, SHUT_WR));
    CHECK(finish() == 4);
    for (int i = 0; i < 2; i++) {
        start(server);
        CHECK(finish() == 0);
    }
    puts("ok");
    return 0;
}

/* A ring cannot be sent over a socket, by itself or among others; another descriptor can. */
#include "check.h"
#include <sys/socket.h>

static struct ring ring;
static int pair[2];

struct rights {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec iov;
    struct msghdr message;
};

static struct msghdr *prepare(struct rights *rights, int first, int second)
{
    int fds[2] = {first, second};
    memset(rights, 0, sizeof *rights);
    rights->iov = (struct iovec){"x", 1};
    rights->message = (struct msghdr){.msg_iov = &rights->iov, .msg_iovlen = 1,
                                      .msg_control = &rights->control,
                                      .msg_controllen = sizeof rights->control};
    rights->control.header.cmsg_level = SOL_SOCKET;
    rights->control.header.cmsg_type = SCM_RIGHTS;
    rights->control.header.cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(&rights->control.header), fds, sizeof fds);
    return &rights->message;
}

static int by_ring(struct msghdr *message)
{
    struct io_uring_cqe cqe;
    struct io_uring_sqe *sqe = ring_sqe(&ring, IORING_OP_SENDMSG, 1);
    sqe->fd = pair[0];
    sqe->addr = (unsigned long)message;
    sqe->len = 1;
    CHECK(ring_enter(&ring, 1, 1) == 1 && ring_reap(&ring, &cqe) == 1);
    return cqe.res;
}

int main(void)
{
    struct rights one, two;
    CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    ring_open(&ring, 8, 0);
    CHECK(sendmsg(pair[0], prepare(&one, 0, 1), 0) == 1);
    errno = 0;
    CHECK(sendmsg(pair[0], prepare(&one, 0, ring.fd), 0) == -1 && errno == EINVAL);
    int other = dup(ring.fd);
    CHECK(sendmsg(pair[0], prepare(&one, other, 1), 0) == -1 && errno == EINVAL);
    CHECK(by_ring(prepare(&one, 0, ring.fd)) == -EINVAL);
    CHECK(by_ring(prepare(&one, 0, 1)) == 1);
    struct mmsghdr both[2] = {{.msg_hdr = *prepare(&one, 0, 1)}, {.msg_hdr = *prepare(&two, 0, ring.fd)}};
    CHECK(sendmmsg(pair[0], both, 2, 0) == 1);
    CHECK(sendmmsg(pair[0], both + 1, 1, 0) == -1 && errno == EINVAL);
    /* A message that cannot be read is the kernel's to refuse. */
    CHECK(sendmsg(pair[0], (struct msghdr *)4096, 0) == -1 && errno == EFAULT);
    puts("ok");
    return 0;
}

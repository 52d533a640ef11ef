/* TCP echoes of 64 bytes, server and clients on one CPU. echo CONNECTIONS SECONDS */
#include "bench.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { MESSAGE = 64 };
#define SEND (1ull << 32)

static struct io_uring ring;
static int count, *servers, *clients;
static char (*memory)[MESSAGE];

static void stay_on_one_cpu(void) {
    cpu_set_t all, one;
    int last = 0;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all))
        fail("sched_getaffinity", -errno);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all))
            last = cpu;
    CPU_SET(last, &one);
    if (sched_setaffinity(0, sizeof one, &one))
        fail("sched_setaffinity", -errno);
}

static void want_descriptors(rlim_t wanted) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted;
    if (limit.rlim_max < wanted || setrlimit(RLIMIT_NOFILE, &limit)) {
        printf("{\"unavailable\": \"needs %lu descriptors\"}\n", (unsigned long)wanted);
        exit(0);
    }
}

static void connect_all(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 16) ||
        getsockname(listener, (struct sockaddr *)&address, &length))
        fail("listen", -errno);
    for (int i = 0; i < count; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (clients[i] < 0 || connect(clients[i], (struct sockaddr *)&address, length))
            fail("connect", -errno);
        servers[i] = accept(listener, NULL, NULL);
        if (servers[i] < 0)
            fail("accept", -errno);
        setsockopt(clients[i], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        setsockopt(servers[i], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }
}

/* The clients: a message on every connection, then every echo, the last one first, so that they
   sleep once and not for each. */
static void talk(void) {
    char message[MESSAGE] = {7};
    for (;;) {
        for (int i = 0; i < count; i++)
            if (send(clients[i], message, MESSAGE, 0) != MESSAGE)
                return;
        for (int i = count; i-- > 0;)
            if (recv(clients[i], message, MESSAGE, MSG_WAITALL) != MESSAGE)
                return;
    }
}

static void receive(unsigned slot) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    io_uring_prep_recv(sqe, servers[slot], memory[slot], MESSAGE, 0);
    sqe->user_data = slot;
}

static unsigned serve(void) {
    struct io_uring_cqe *cqe;
    unsigned head, taken = 0, echoes = 0;
    int submitted = io_uring_submit_and_wait(&ring, 1);
    if (submitted < 0)
        fail("io_uring_enter", submitted);
    io_uring_for_each_cqe(&ring, head, cqe) {
        unsigned slot = (unsigned)cqe->user_data;
        taken++;
        if (cqe->res != MESSAGE)
            fail("echo", cqe->res);
        if (cqe->user_data & SEND) {
            receive(slot);
            echoes++;
        } else {
            struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
            io_uring_prep_send(sqe, servers[slot], memory[slot], MESSAGE, 0);
            sqe->user_data = slot | SEND;
        }
    }
    io_uring_cq_advance(&ring, taken);
    return echoes;
}

/* As many echoes as connections, so that as much of the clients' work as of ours is in it. */
static unsigned batch(void) {
    unsigned echoes = 0;
    while (echoes < (unsigned)count)
        echoes += serve();
    return echoes;
}

int main(int argc, char **argv) {
    pid_t child;
    if (argc != 3)
        return 2;
    count = atoi(argv[1]);
    servers = calloc((size_t)count, sizeof *servers);
    clients = calloc((size_t)count, sizeof *clients);
    memory = calloc((size_t)count, sizeof *memory);
    if (!servers || !clients || !memory)
        fail("calloc", 0);
    stay_on_one_cpu();
    want_descriptors(2 * (rlim_t)count + 64);
    connect_all();
    child = fork();
    if (child < 0)
        fail("fork", -errno);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        talk();
        _exit(0);
    }
    make_ring(&ring, count < 8 ? 8 : (unsigned)count);
    for (int i = 0; i < count; i++)
        receive((unsigned)i);
    measure(&ring, atof(argv[2]), batch);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 0;
}

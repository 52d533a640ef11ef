/* A program that is linked with the library, or loads it (argv: its path), and calls
   ringfence_install() at the start of main; it is not preloaded. The kernel refuses io_uring. */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>

#ifndef LOADS
int ringfence_install(void);
#endif

static void use(void)
{
    struct ring ring;
    int ends[2];
    char buffer[8] = "";
    struct io_uring_cqe cqe;
    CHECK(!pipe(ends));
    ring_open(&ring, 8, 0);
    ring_nop(&ring, 1);
    struct io_uring_sqe *sqe = ring_sqe(&ring, IORING_OP_READ, 2);
    sqe->fd = ends[0];
    sqe->addr = (unsigned long)buffer;
    sqe->len = sizeof buffer;
    CHECK(ring_enter(&ring, 1, 0) == 1);
    CHECK(write(ends[1], "data", 4) == 4);
    CHECK(ring_enter(&ring, 0, 1) == 0);
    CHECK(ring_reap(&ring, &cqe) == 1 && cqe.res == 4 && !memcmp(buffer, "data", 4));
    CHECK(!close(ring.fd) && !close(ends[0]) && !close(ends[1]));
}

static void *in_a_thread(void *arg)
{
    use();
    return arg;
}

int main(int argc, char **argv)
{
    alarm(30);
#ifdef LOADS
    CHECK(argc == 2);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(library);
    int (*ringfence_install)(void) = (int (*)(void))dlsym(library, "ringfence_install");
    CHECK(ringfence_install);
#else
    (void)argc, (void)argv;
#endif
    CHECK(syscall(SETUP, 8, 0) == -1 && errno == EPERM);
    CHECK(ringfence_install() == 1);
    CHECK(ringfence_install() == 1);
    use();
    /* By libc's syscall. */
    CHECK(syscall(ENTER, -1, 0, 0, 0, 0, 0) == -1 && errno == EBADF);
    pthread_t thread;
    CHECK(!pthread_create(&thread, 0, in_a_thread, 0) && !pthread_join(thread, 0));
    pid_t child = fork();
    if (!child) {
        use();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    puts("ok");
    return 0;
}

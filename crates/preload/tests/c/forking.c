/* Forks while other threads load libraries and change what epoll watches. */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/wait.h>

static atomic_int stop;

static void *load(void *path)
{
    while (!stop) {
        void *library = dlopen(path, RTLD_NOW);
        CHECK(library);
        dlclose(library);
    }
    return 0;
}

static void *watch(void *arg)
{
    (void)arg;
    struct ring ring;
    ring_open(&ring, 4, 0);
    int ep = epoll_create1(0);
    struct epoll_event event = {EPOLLIN, {.u64 = 1}};
    while (!stop) {
        CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, ring.fd, &event));
        CHECK(!epoll_ctl(ep, EPOLL_CTL_DEL, ring.fd, &event));
    }
    return 0;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    pthread_t threads[2];
    CHECK(!pthread_create(&threads[0], 0, load, argv[1]));
    CHECK(!pthread_create(&threads[1], 0, watch, 0));
    for (int i = 0; i < 200; i++) {
        pid_t pid = fork();
        if (!pid) {
            struct ring ring;
            ring_open(&ring, 4, 0);
            int ep = epoll_create1(0);
            struct epoll_event event = {EPOLLIN, {.u64 = 1}};
            CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, ring.fd, &event));
            ring_sqe(&ring, IORING_OP_NOP, 1);
            CHECK(ring_enter(&ring, 1, 0) == 1);
            CHECK(epoll_wait(ep, &event, 1, 1000) == 1);
            _exit(0);
        }
        int status;
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
    stop = 1;
    pthread_join(threads[0], 0);
    pthread_join(threads[1], 0);
    puts("ok");
    return 0;
}

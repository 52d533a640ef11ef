/* Signals that come while their thread forks, and what their handlers do: exit, fork, use a ring, load
   a library. */
#include "check.h"
#include <dlfcn.h>
#include <sys/time.h>
#include <sys/wait.h>

static const char *what, *library;
static volatile int ran;

static void handler(int signal)
{
    (void)signal;
    ran++;
    if (!strcmp(what, "exit"))
        exit(0);
    if (!strcmp(what, "load")) {
        void *handle = dlopen(library, RTLD_NOW);
        CHECK(handle);
        dlclose(handle);
        return;
    }
    struct ring own;
    ring_open(&own, 4, 0);
    ring_nop(&own, 5);
    close(own.fd);
}

/* Forks until its handler has run; the signal comes at any point of a round. */
static int forks(int us)
{
    struct itimerval timer = {{0, 0}, {0, us}};
    CHECK(signal(SIGALRM, handler) != SIG_ERR);
    setitimer(ITIMER_REAL, &timer, 0);
    while (!ran) {
        pid_t pid = fork();
        if (!pid)
            _exit(0);
        int status;
        while (waitpid(pid, &status, 0) < 0)
            CHECK(errno == EINTR);
        CHECK(status == 0);
    }
    return 0;
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    what = argv[1], library = argv[2];
    for (int round = 0; round < 150; round++) {
        pid_t pid = fork();
        if (!pid)
            exit(forks(1000 + round * 37));
        CHECK(pid > 0);
        /* One that hangs is left to end by itself, which its parent tells. */
        int status, ms = 0;
        while (waitpid(pid, &status, WNOHANG) != pid) {
            usleep(1000);
            if (++ms > 20000) {
                kill(pid, SIGKILL);
                waitpid(pid, &status, 0);
                printf("round %d hangs\n", round);
                return 1;
            }
        }
        CHECK(status == 0);
    }
    puts("ok");
    return 0;
}

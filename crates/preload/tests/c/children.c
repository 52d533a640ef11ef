/* Children of every kind are served, or get the kernel's own answer; none dies of a signal. */
#include "check.h"
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>

static int status_of(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The number of the answer, as an exit status. */
static int answer(void)
{
    return (int)-probe_call();
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "answer"))
        return answer();
    int after_exec = argc > 1 ? atoi(argv[1]) : EBADF;
    int after_clone = argc > 2 ? atoi(argv[2]) : EBADF;
    struct ring ring;
    ring_open(&ring, 4, 0);
    ring_nop(&ring, 1);

    pid_t pid = fork();
    if (!pid) {
        if (answer() != EBADF)
            _exit(98);
        struct ring own;
        ring_open(&own, 4, 0);
        ring_nop(&own, 2);
        _exit(0);
    }
    CHECK(status_of(pid) == 0);

    pid = call6(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
    if (!pid)
        _exit(answer());
    CHECK(status_of(pid) == after_clone);

    pid = _Fork();
    if (!pid)
        _exit(answer());
    CHECK(status_of(pid) == EBADF);

    char *args[] = {argv[0], "answer", 0}, *none[] = {0}, *path[] = {"A=b", 0};
    pid = vfork();
    if (!pid) {
        close(100);
        signal(SIGUSR1, SIG_IGN);
        execve("/proc/self/exe", args, environ);
        _exit(97);
    }
    CHECK(status_of(pid) == EBADF);
    pid = vfork();
    if (!pid) {
        execve("/proc/self/exe", args, none);
        _exit(97);
    }
    CHECK(status_of(pid) == after_exec);
    CHECK(!posix_spawn(&pid, "/proc/self/exe", 0, 0, args, path));
    CHECK(status_of(pid) == after_exec);
    CHECK(!posix_spawn(&pid, "/proc/self/exe", 0, 0, args, environ));
    CHECK(status_of(pid) == EBADF);

    ring_nop(&ring, 3);
    puts("ok");
    return 0;
}

/* A ring that its program lets go of is released, though a child looks at its own rings meanwhile.
   What is left at the end is told by RINGFENCE_STATS. */
#include "check.h"
#include <sys/wait.h>

static void let_go(struct ring *ring)
{
    /* As liburing does it: by instructions. */
    CHECK(call6(SYS_munmap, (long)ring->sqes, 4096, 0, 0, 0, 0) == 0);
    CHECK(call6(SYS_munmap, (long)ring->sq_head & -4096L, 4096, 0, 0, 0, 0) == 0);
    CHECK(call6(SYS_close, ring->fd, 0, 0, 0, 0, 0) == 0);
}

int main(void)
{
    struct ring first, second;
    ring_open(&first, 8, 0);
    ring_nop(&first, 1);
    int gone[2], seen[2];
    CHECK(!pipe(gone) && !pipe(seen));
    char byte;
    pid_t pid = fork();
    if (!pid) {
        let_go(&first);
        CHECK(read(gone[0], &byte, 1) == 1);
        for (int i = 0; i < 3; i++) {
            struct ring own;
            ring_open(&own, 8, 0);
            ring_nop(&own, 2);
            let_go(&own);
        }
        CHECK(write(seen[1], "x", 1) == 1);
        _exit(0);
    }
    let_go(&first);
    CHECK(write(gone[1], "x", 1) == 1);
    CHECK(read(seen[0], &byte, 1) == 1);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    ring_open(&second, 8, 0);
    puts("ok");
    return 0;
}

/* Libraries loaded while threads run; threads started before and after. */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

static _Atomic(long (*)(void)) function;
static atomic_int stop;
static atomic_int calls, rounds[4];

static void *early(void *arg)
{
    atomic_int *round = arg;
    while (!stop) {
        CHECK(probe_call() == SERVED);
        long (*late)(void) = function;
        if (late) {
            long result = late();
            if (result != SERVED)
                fprintf(stderr, "late: %ld\n", result);
            CHECK(result == SERVED);
            calls++;
        }
        ++*round;
    }
    return 0;
}

static void *after(void *arg)
{
    (void)arg;
    long (*late)(void) = function;
    for (int i = 0; i < 1000; i++)
        CHECK(late() == SERVED);
    return 0;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    pthread_t before[4], later[4];
    for (int i = 0; i < 4; i++)
        CHECK(!pthread_create(&before[i], 0, early, &rounds[i]));
    for (int round = 0; round < 3; round++) {
        void *library = dlopen(argv[1], RTLD_NOW);
        CHECK(library);
        long (*constructor)(void) = (long (*)(void))dlsym(library, "late_constructor");
        CHECK(constructor() == SERVED);
        function = (long (*)(void))dlsym(library, "late_call");
        for (int i = 0; i < 4; i++)
            CHECK(!pthread_create(&later[i], 0, after, 0));
        for (int i = 0; i < 4; i++)
            pthread_join(later[i], 0);
        int seen = calls;
        while (calls < seen + 100)
            usleep(100);
        function = 0;
        /* Each thread has left the library when it has come around once more. */
        for (int i = 0; i < 4; i++)
            for (int now = rounds[i]; rounds[i] < now + 2;)
                usleep(100);
        dlclose(library);
    }
    stop = 1;
    for (int i = 0; i < 4; i++)
        pthread_join(before[i], 0);
    puts("ok");
    return 0;
}

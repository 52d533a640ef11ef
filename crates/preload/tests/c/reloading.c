/* A library loaded and unloaded many times leaves nothing behind. */
#include "check.h"
#include <dlfcn.h>

static int mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    CHECK(file);
    int lines = 0, c;
    while ((c = fgetc(file)) != EOF)
        lines += c == '\n';
    fclose(file);
    return lines;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    int before = 0;
    for (int i = 0; i < 300; i++) {
        void *library = dlopen(argv[1], RTLD_NOW);
        CHECK(library);
        long (*call)(void) = (long (*)(void))dlsym(library, "late_call");
        CHECK(call() == SERVED);
        CHECK(!dlclose(library));
        if (i == 10)
            before = mappings();
    }
    CHECK(mappings() <= before + 2);
    puts("ok");
    return 0;
}

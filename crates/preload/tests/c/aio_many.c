/* Thirty contexts on a host with room for two, all calls by the instruction: the program's own, or
   (LOADER) those of this file as a library, which is loaded when the program runs. */
#include "check.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/aio_abi.h>

#ifndef LOADER
#define CONTEXTS 30

/* Half of what the host allows. */
static unsigned half(void)
{
    unsigned limit = 0;
    FILE *setting = fopen("/proc/sys/fs/aio-max-nr", "r");
    CHECK(setting && fscanf(setting, "%u", &limit) == 1);
    fclose(setting);
    return limit / 2;
}

int many(void)
{
    aio_context_t contexts[CONTEXTS];
    char buffers[CONTEXTS][4];
    unsigned size = half();
    char path[] = "/tmp/ringfence-aio-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0 && write(file, "0123", 4) == 4 && !unlink(path));
    memset(contexts, 0, sizeof contexts);
    for (int i = 0; i < CONTEXTS; i++)
        CHECK(call6(206, size, (long)&contexts[i], 0, 0, 0, 0) == 0);
    for (int i = 0; i < CONTEXTS; i++) {
        struct iocb io, *list[1] = {&io};
        struct io_event event;
        memset(&io, 0, sizeof io);
        io.aio_data = i;
        io.aio_fildes = file;
        io.aio_buf = (unsigned long)buffers[i];
        io.aio_nbytes = 4;
        CHECK(call6(209, contexts[i], 1, (long)list, 0, 0, 0) == 1);
        CHECK(call6(208, contexts[i], 1, 1, (long)&event, 0, 0) == 1);
        CHECK(event.res == 4 && event.data == (unsigned)i && !memcmp(buffers[i], "0123", 4));
    }
    for (int i = 0; i < CONTEXTS; i++)
        CHECK(call6(207, contexts[i], 0, 0, 0, 0, 0) == 0);
    close(file);
    return 0;
}
#endif

int main(int argc, char **argv)
{
#ifdef LOADER
    CHECK(argc == 2);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(library);
    int (*many)(void) = (int (*)(void))dlsym(library, "many");
    CHECK(many);
#else
    (void)argc, (void)argv;
#endif
    CHECK(many() == 0);
    puts("ok");
    return 0;
}

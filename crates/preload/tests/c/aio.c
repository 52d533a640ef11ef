/* Linux AIO by every way in: the number in the code, in a register, too close for a jump, through
 * libc's syscall, and libaio's functions. With the argument "late", the kernel grants what it can,
 * and calls are intercepted from the first context on that it refuses. */
#include "check.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/wait.h>
#include <time.h>

#define IO_SETUP 206
#define IO_DESTROY 207
#define IO_GETEVENTS 208
#define IO_SUBMIT 209
#define IO_CANCEL 210
#define IO_PGETEVENTS 333

static int file;
static char buffer[16];

static __attribute__((noinline)) long generic(long number, long a, long b, long c, long d, long e)
{
    return call6(number, a, b, c, d, e, 0);
}

/* Too short for a jump: only a trap can tell. */
long tiny(long number, long a, long b);
__asm__(".text\n.p2align 4\n.globl tiny\n.type tiny, @function\ntiny:\n.cfi_startproc\n"
        "mov %edi, %eax\nmov %rsi, %rdi\nmov %rdx, %rsi\nsyscall\nret\n.cfi_endproc\n"
        ".size tiny, . - tiny\n");
long tinier(long a, long b, long c, long number);
__asm__(".text\n.p2align 4\n.globl tinier\n.type tinier, @function\ntinier:\n.cfi_startproc\n"
        "mov %ecx, %eax\nsyscall\nret\n.cfi_endproc\n.size tinier, . - tinier\n");

static struct iocb request(void)
{
    struct iocb io;
    memset(&io, 0, sizeof io);
    io.aio_fildes = file;
    io.aio_buf = (unsigned long)buffer;
    io.aio_nbytes = 4;
    io.aio_data = 42;
    return io;
}

static void by_instruction(void)
{
    aio_context_t context = 0;
    struct iocb io = request(), *list[1] = { &io };
    struct io_event event;
    CHECK(call6(IO_SETUP, 8, (long)&context, 0, 0, 0, 0) == 0);
    CHECK(call6(IO_SUBMIT, context, 1, (long)list, 0, 0, 0) == 1);
    CHECK(call6(IO_GETEVENTS, context, 1, 1, (long)&event, 0, 0) == 1);
    CHECK(event.data == 42 && event.obj == (unsigned long)&io && event.res == 4);
    CHECK(call6(IO_SUBMIT, context, 1, (long)list, 0, 0, 0) == 1);
    CHECK(call6(IO_PGETEVENTS, context, 1, 1, (long)&event, 0, 0) == 1);
    CHECK(call6(IO_CANCEL, context, (long)&io, (long)&event, 0, 0, 0) == -EINVAL);
    CHECK(call6(IO_DESTROY, context, 0, 0, 0, 0, 0) == 0);
    CHECK(call6(IO_DESTROY, context, 0, 0, 0, 0, 0) == -EINVAL);
}

static void by_argument(void)
{
    aio_context_t context = 0;
    struct iocb io = request(), *list[1] = { &io };
    struct io_event event;
    CHECK(generic(IO_SETUP, 8, (long)&context, 0, 0, 0) == 0);
    CHECK(generic(IO_SUBMIT, context, 1, (long)list, 0, 0) == 1);
    CHECK(generic(IO_GETEVENTS, context, 1, 1, (long)&event, 0) == 1);
    CHECK(event.res == 4);
    CHECK(generic(IO_DESTROY, context, 0, 0, 0, 0) == 0);
    CHECK(generic(39, 0, 0, 0, 0, 0) == getpid());
}

static void by_trap(void)
{
    aio_context_t context = 0;
    CHECK(tiny(39, 0, 0) == getpid());
    CHECK(tinier(8, (long)&context, 0, IO_SETUP) == 0 && context != 0);
    CHECK(tinier(context, 0, 0, IO_DESTROY) == 0);
}

static void by_libc(unsigned events)
{
    aio_context_t context = 0;
    struct iocb io = request(), *list[1] = { &io };
    struct io_event event;
    errno = 0;
    CHECK(syscall(IO_SETUP, 0, &context) == -1 && errno == EINVAL);
    CHECK(syscall(IO_SETUP, events, &context) == 0);
    CHECK(syscall(IO_SUBMIT, context, 1, list) == 1);
    CHECK(syscall(IO_PGETEVENTS, context, 1, 1, &event, NULL, NULL) == 1);
    CHECK(event.res == 4);
    CHECK(syscall(IO_DESTROY, context) == 0);
}

static void by_libaio(unsigned events)
{
    int (*setup)(int, aio_context_t *) = dlsym(RTLD_DEFAULT, "io_setup");
    int (*destroy)(aio_context_t) = dlsym(RTLD_DEFAULT, "io_destroy");
    int (*submit)(aio_context_t, long, struct iocb **) = dlsym(RTLD_DEFAULT, "io_submit");
    int (*cancel)(aio_context_t, struct iocb *, struct io_event *) =
        dlsym(RTLD_DEFAULT, "io_cancel");
    int (*get)(aio_context_t, long, long, struct io_event *, struct timespec *) =
        dlsym(RTLD_DEFAULT, "io_getevents");
    int (*pget)(aio_context_t, long, long, struct io_event *, struct timespec *, sigset_t *) =
        dlsym(RTLD_DEFAULT, "io_pgetevents");
    CHECK(setup && destroy && submit && cancel && get && pget);
    aio_context_t context = 0;
    struct iocb io = request(), *list[1] = { &io };
    struct io_event event;
    sigset_t mask;
    sigemptyset(&mask);
    errno = 77;
    CHECK(setup(0, &context) == -EINVAL);
    CHECK(setup(events, &context) == 0);
    CHECK(submit(context, 1, list) == 1);
    CHECK(get(context, 1, 1, &event, NULL) == 1 && event.res == 4);
    CHECK(submit(context, 1, list) == 1);
    CHECK(pget(context, 1, 1, &event, NULL, &mask) == 1 && event.res == 4);
    CHECK(cancel(context, &io, &event) == -EINVAL);
    CHECK(destroy(context) == 0 && destroy(context) == -EINVAL);
    CHECK(errno == 77);
}

static void in_a_child(void)
{
    aio_context_t context = 0;
    CHECK(syscall(IO_SETUP, 8, &context) == 0);
    pid_t child = fork();
    if (child == 0) {
        errno = 0;
        if (syscall(IO_DESTROY, context) != -1 || errno != EINVAL)
            _exit(1);
        by_libc(8);
        by_instruction();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(syscall(IO_DESTROY, context) == 0);
}

/* What was submitted is written, though the program ends without waiting for it. */
static void left_behind(const char *path)
{
    static char data[1 << 16];
    static struct iocb io;
    struct iocb *list[1] = { &io };
    aio_context_t context = 0;
    memset(data, 7, sizeof data);
    int out = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(out >= 0 && syscall(IO_SETUP, 8, &context) == 0);
    io.aio_lio_opcode = IOCB_CMD_PWRITE;
    io.aio_fildes = out;
    io.aio_buf = (unsigned long)data;
    io.aio_nbytes = sizeof data;
    CHECK(syscall(IO_SUBMIT, context, 1, list) == 1);
}

static unsigned beyond_the_limit(void)
{
    unsigned limit = 65536;
    FILE *setting = fopen("/proc/sys/fs/aio-max-nr", "r");
    if (setting) {
        CHECK(fscanf(setting, "%u", &limit) == 1);
        fclose(setting);
    }
    return limit + 1;
}

static void late(void)
{
    aio_context_t kernels = 0;
    struct iocb io = request(), *list[1] = { &io };
    struct io_event event;
    CHECK(syscall(IO_SETUP, 8, &kernels) == 0);
    by_libc(beyond_the_limit());
    by_libaio(beyond_the_limit());
    /* By now it is known by all ways. */
    by_instruction();
    in_a_child();
    CHECK(call6(IO_SUBMIT, kernels, 1, (long)list, 0, 0, 0) == 1);
    CHECK(call6(IO_GETEVENTS, kernels, 1, 1, (long)&event, 0, 0) == 1 && event.res == 4);
    CHECK(syscall(IO_DESTROY, kernels) == 0);
}

int main(int argc, char **argv)
{
    char path[] = "/tmp/ringfence-aio-XXXXXX";
    file = mkstemp(path);
    CHECK(file >= 0 && write(file, "0123", 4) == 4);
    if (argc > 1 && !strcmp(argv[1], "late")) {
        late();
    } else {
        by_instruction();
        by_argument();
        if (argc > 1 && !strcmp(argv[1], "traps"))
            by_trap();
        by_libc(8);
        by_libc(beyond_the_limit());
        by_libaio(8);
        in_a_child();
    }
    unlink(path);
    if (argc > 2)
        left_behind(argv[2]);
    puts("ok");
    return 0;
}

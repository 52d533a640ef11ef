/* A library that is loaded late, and calls from its constructor. */
#include "check.h"

static long from_constructor;

__attribute__((constructor)) static void at_load(void)
{
    from_constructor = probe_call();
}

long late_constructor(void)
{
    return from_constructor;
}

long late_call(void)
{
    return call6(REGISTER, -2, 0, 0, 0, 0, 0);
}

// libfaketime moves every clock but that of the waits of C11, which librdkafka uses: a time to come would be waited for an
// hour longer. Loaded before it, this moves them back.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <threads.h>

typedef int wait_until(cnd_t *, mtx_t *, const struct timespec *);

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict lock, const struct timespec *restrict until) {
    wait_until *wait = (wait_until *)dlsym(RTLD_NEXT, "cnd_timedwait");
    struct timespec real = *until;
    real.tv_sec -= atol(getenv("CLOCK_AHEAD_SECONDS"));
    return wait(condition, lock, &real);
}

/* SPDX-License-Identifier: MIT */
/*
 * resolve: see resolve.h. state passes from running to done (by the thread) or dropped (by the
 * owner); whoever makes the second of the two changes frees.
 */
#include "broker/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define ADDRESSES_MAX 16
#define STACK_BYTES ((size_t)1024 * 1024)

enum { RUNNING, DONE, DROPPED };

struct resolve {
    atomic_int state;
    int error; /* of getaddrinfo(); read when done */
    size_t count;
    struct {
        struct sockaddr_storage bytes;
        socklen_t len;
    } found[ADDRESSES_MAX];
    char port[8];
    char host[]; /* NUL-terminated */
};

static void look_up(struct resolve *r, int flags)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = flags | AI_NUMERICSERV,
    };
    struct addrinfo *list = NULL;

    r->error = getaddrinfo(r->host, r->port, &hints, &list);
    if (r->error != 0)
        return;
    for (struct addrinfo *a = list; a != NULL && r->count < ADDRESSES_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof(r->found[0].bytes))
            continue;
        memcpy(&r->found[r->count].bytes, a->ai_addr, a->ai_addrlen);
        r->found[r->count++].len = a->ai_addrlen;
    }
    freeaddrinfo(list);
}

static void *run_lookup(void *argument)
{
    struct resolve *r = argument;

    look_up(r, 0);
    if (atomic_exchange_explicit(&r->state, DONE, memory_order_acq_rel) == DROPPED)
        mem_free(r);
    return NULL;
}

/* A detached thread that takes no signal of the application. */
static int start_thread(struct resolve *r)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;

    int failed = pthread_attr_init(&attributes);
    if (failed != 0)
        return failed;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&thread, &attributes, run_lookup, r);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return failed;
}

int resolve_start(const char *host, int port, struct resolve **out, jobq_err *err)
{
    size_t len = strlen(host);
    struct resolve *r = mem_zalloc(1, sizeof(*r) + len + 1);

    if (r == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory to look up %s", host);
    memcpy(r->host, host, len + 1);
    snprintf(r->port, sizeof(r->port), "%d", port);
    atomic_init(&r->state, RUNNING);
    look_up(r, AI_NUMERICHOST);
    if (r->error == 0) {
        atomic_store_explicit(&r->state, DONE, memory_order_relaxed);
    } else {
        int failed = start_thread(r);
        if (failed != 0) {
            mem_free(r);
            return error_set(err, JOBQ_ECONN, "cannot start a thread to look up %s: %s", host,
                             strerrordesc_np(failed));
        }
    }
    *out = r;
    return JOBQ_OK;
}

bool resolve_is_done(const struct resolve *r)
{
    return atomic_load_explicit(&r->state, memory_order_acquire) == DONE;
}

int resolve_result(const struct resolve *r, jobq_err *err)
{
    if (r->error != 0)
        return error_set(err, JOBQ_ECONN, "cannot look up the host %s: %s", r->host,
                         gai_strerror(r->error));
    if (r->count == 0)
        return error_set(err, JOBQ_ECONN, "the host %s has no address", r->host);
    return JOBQ_OK;
}

bool resolve_address(const struct resolve *r, size_t i, const struct sockaddr **address,
                     socklen_t *len)
{
    if (i >= r->count)
        return false;
    *address = (const struct sockaddr *)&r->found[i].bytes;
    *len = r->found[i].len;
    return true;
}

void resolve_drop(struct resolve *r)
{
    if (r != NULL &&
        atomic_exchange_explicit(&r->state, DROPPED, memory_order_acq_rel) == DONE)
        mem_free(r);
}

void resolve_forget(struct resolve *r)
{
    mem_free(r);
}

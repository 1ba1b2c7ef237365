/* SPDX-License-Identifier: MIT */
/*
 * An executor of which something it said was lost: its page may say that a job ended, but nobody
 * knows how.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"
#include "worker/job.h"
#include "worker/pool_private.h"

struct heard {
    unsigned ended, crashed, returned;
};

static void on_ended(void *ctx, struct executor *x, struct job *j)
{
    struct heard *h = ctx;
    (void)x;
    h->ended++;
    job_free(j);
}

static void on_crashed(void *ctx, struct executor *x, struct job *j, const char *why)
{
    struct heard *h = ctx;
    (void)x;
    (void)why;
    h->crashed++;
    job_free(j);
}

static void on_returned(void *ctx, struct executor *x, struct job *j)
{
    struct heard *h = ctx;
    (void)x;
    h->returned++;
    job_free(j);
}

static void on_progress(void *ctx, struct executor *x, bool running, int64_t started_ms)
{
    (void)ctx;
    (void)x;
    (void)running;
    (void)started_ms;
}

static void on_gone(void *ctx, struct executor *x)
{
    (void)ctx;
    (void)x;
}

static struct executor *new_executor(struct pool *p, int *theirs)
{
    int pair[2];
    struct executor *x = mem_zalloc(1, sizeof(*x));
    cr_assert_not_null(x);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    x->pool = p;
    x->socket = pair[0];
    *theirs = pair[1];
    x->page =
        mmap(NULL, sizeof(*x->page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq((void *)x->page, MAP_FAILED);
    x->state = EXECUTOR_READY;
    list_init(&x->handed);
    list_push_back(&p->executors, &x->node);
    p->alive++;
    buf_init(&x->in, FRAME_MAX);
    buf_init(&x->out, FRAME_MAX);
    return x;
}

static void hand(struct executor *x)
{
    struct claim_entry e = {.lane = LANE_NORMAL};
    struct job *j = job_new(NULL, &e);
    cr_assert_not_null(j);
    j->seq = ++x->last_handed;
    list_push_back(&x->handed, &j->node);
    x->held++;
}

/* Three jobs: one ended, one runs, one waits; then what goes wrong, and its death. */
static struct heard lose(bool garbage, bool no_memory)
{
    static const char words[64] = "this is not the protocol";
    struct heard h = {0};
    struct pool p = {.hooks = {.ctx = &h,
                               .on_ended = on_ended,
                               .on_crashed = on_crashed,
                               .on_returned = on_returned,
                               .on_progress = on_progress,
                               .on_gone = on_gone},
                     .draining = true};
    int theirs;
    jobq_err err;
    cr_assert_eq(loop_new(&p.loop, &err), JOBQ_OK);
    list_init(&p.executors);
    struct executor *x = new_executor(&p, &theirs);
    for (int i = 0; i < 3; i++)
        hand(x);
    cr_assert(frame_page_start(x->page, 1, 0));
    frame_page_finish(x->page, 1, 1);
    cr_assert(frame_page_start(x->page, 2, 0));
    if (garbage)
        cr_assert_eq(write(theirs, words, sizeof(words)), (ssize_t)sizeof(words));
    if (no_memory)
        mem_fail_at(1, 0);
    pool_check_page(&p, x);
    mem_fail_at(0, 0);
    pool_check_page(&p, x); /* it is killed, and not dead yet */
    pool_bury(&p, x, 9);
    close(theirs);
    loop_free(p.loop);
    return h;
}

Test(pool_unheard, counts_what_ended_as_ended_while_all_it_said_is_known)
{
    struct heard h = lose(false, false);
    cr_assert_eq(h.ended, 1);
    cr_assert_eq(h.crashed, 1);
    cr_assert_eq(h.returned, 1);
}

/* G20 G26: without its outcome and its children a job must not be acknowledged. */
Test(pool_unheard, counts_what_ended_as_crashed_after_garbage)
{
    struct heard h = lose(true, false);
    cr_assert_eq(h.ended, 0);
    cr_assert_eq(h.crashed, 2);
    cr_assert_eq(h.returned, 1);
}

Test(pool_unheard, counts_what_ended_as_crashed_when_there_was_no_memory_to_listen)
{
    struct heard h = lose(false, true);
    cr_assert_eq(h.ended, 0);
    cr_assert_eq(h.crashed, 2);
    cr_assert_eq(h.returned, 1);
}

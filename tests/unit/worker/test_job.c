/* SPDX-License-Identifier: MIT */
/*
 * A job's own copy of its entry, and what of jobd's environment reaches an executor.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "worker/executor_env.h"
#include "worker/job.h"

Test(job, owns_a_copy_of_its_entry)
{
    char h[] = "he\0ad", p[] = "{\"a\":1}";
    struct claim_entry e = {
        .lane = LANE_HIGH, .id = {12, 3}, .h = h, .h_len = 5, .p = p, .p_len = sizeof(p) - 1};
    struct job *j = job_new((struct shard *)p, &e);
    cr_assert_not_null(j);
    memset(h, 'x', sizeof(h));
    memset(p, 'x', sizeof(p));
    cr_assert_eq(j->h_len, 5);
    cr_assert_eq(memcmp(j->h, "he\0ad", 6), 0, "and a NUL behind");
    cr_assert_str_eq(j->p, "{\"a\":1}");
    cr_assert_eq(j->p_len, 7);
    cr_assert_eq(j->lane, LANE_HIGH);
    cr_assert(j->entry.ms == 12 && j->entry.seq == 3);
    cr_assert_eq((void *)j->shard, (void *)p);
    cr_assert_eq(j->delay_ms, -1);
    cr_assert(!j->header_valid && !j->succeeded && !j->in_doubt && !j->text && !j->new_h);
    job_free(j);
    job_free(NULL);
}

Test(job, of_a_foreign_entry_is_empty)
{
    struct claim_entry e = {.h_len = 77, .p_len = 99};
    struct job *j = job_new(NULL, &e);
    cr_assert_not_null(j);
    cr_assert(j->h_len == 0 && j->p_len == 0);
    cr_assert_str_eq(j->h, "");
    cr_assert_str_eq(j->p, "");
    list_remove(&j->node); /* it may be taken out of no list at all */
    list_remove(&j->turn.node);
    job_free(j);
}

Test(job, takes_all_it_owns_with_it)
{
    struct claim_entry e = {0};
    struct job *j = job_new(NULL, &e);
    cr_assert_not_null(j);
    j->text = mem_strdup("text");
    j->new_h = mem_strdup("header");
    for (int i = 0; i < 3; i++) {
        struct job_child *c = mem_zalloc(1, sizeof(*c) + 10);
        cr_assert_not_null(c);
        c->next = j->children;
        j->children = c;
    }
    job_free(j); /* LeakSanitizer and valgrind see what is left */
    mem_fail_at(1, 0);
    cr_assert_null(job_new(NULL, &e));
    mem_fail_at(0, 0);
}

static bool passes(const char *entry)
{
    const char *const environment[] = {entry, NULL};
    const char *out[EXECUTOR_ENV_MAX + 1];
    executor_env(environment, out);
    cr_assert(!out[0] || out[0] == entry);
    return out[0];
}

Test(executor_env, lets_what_handlers_need_pass)
{
    static const char *const names[] = {
        "PATH=/bin", "HOME=/",        "LANG=C",      "LC_ALL=C",
        "LC_TIME=",  "TZ=UTC",        "TMPDIR=/x",   "LD_LIBRARY_PATH=/l",
        "PGHOST=h",  "PGPASSFILE=/p", "PGSERVICE=s", "PGSSLMODE=require",
        "PGUSER=u"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        cr_assert(passes(names[i]), "%s", names[i]);
}

Test(executor_env, keeps_secrets_and_all_else_back)
{
    static const char *const names[] = {"PGPASSWORD=x",
                                        "JOBQ_REDIS=redis://:secret@h",
                                        "REDIS_URL=x",
                                        "AWS_SECRET_KEY=x",
                                        "LD_PRELOAD=/evil.so",
                                        "LD_AUDIT=/evil.so",
                                        "PATHX=1",
                                        "XPATH=1",
                                        "PATH",
                                        "",
                                        "=",
                                        "HOMEPAGE=1",
                                        "NOTIFY_SOCKET=/n",
                                        "JOBQ_CRASH_ATX=1",
                                        "lang=C"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        cr_assert(!passes(names[i]), "%s", names[i]);
}

Test(executor_env, keeps_order_and_its_bound)
{
    static char text[EXECUTOR_ENV_MAX + 20][16];
    const char *environment[2 * (EXECUTOR_ENV_MAX + 20) + 1];
    const char *out[EXECUTOR_ENV_MAX + 1];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(text); i++) {
        snprintf(text[i], sizeof(text[i]), "LC_%zu=x", i);
        environment[n++] = "SECRET=1";
        environment[n++] = text[i];
    }
    environment[n] = NULL;
    memset(out, 'x', sizeof(out));
    executor_env(environment, out);
    for (size_t i = 0; i < EXECUTOR_ENV_MAX; i++)
        cr_assert_eq(out[i], text[i]);
    cr_assert_null(out[EXECUTOR_ENV_MAX]);
}

/* SPDX-License-Identifier: MIT */
/*
 * judge: compares what was promised with what happened, once everything is mended.
 */
#include <dirent.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/e2e/chaos/chaos.h"

#define DRAINED_MS 60000
#define TIDY_MS 20000
#define ID_AT 6 /* of a packed header */

static const char *const lanes[] = {"recovered", "high", "normal", "low"};

/* ---- all work is done ---- */

static bool is_done(void *ctx)
{
    struct chaos *c = ctx;

    for (unsigned i = 0; i < c->workers; i++)
        if (!process_is_alive(c->scene->jobd[i]->process))
            fail_test("jobd %u ended by itself", i);
    return chaos_is_drained(c);
}

static long long lengths(struct chaos *c, const char *key)
{
    long long n = 0;

    for (unsigned p = 0; p < c->partitions; p++)
        n += redis_int(c->scene->redis, "XLEN jobq:{default:%u}:%s", p, key);
    return n;
}

/* ---- effects ---- */

static void load_records(struct chaos *c)
{
    const char *path = fmt("%s/records.sql", tmp_dir());
    FILE *f = fopen(path, "we");
    char id[JOBQ_ID_TEXT_SIZE];

    if (!f)
        fail_test("cannot write %s", path);
    fputs("DROP TABLE IF EXISTS public.records;\nCREATE TABLE public.records (job_id uuid PRIMARY "
          "KEY, kind int, answer int, children int);\n"
          "COPY public.records FROM stdin;\n",
          f);
    for (size_t i = 0; i < c->record_count; i++) {
        const struct record *r = &c->records[i];
        jobq_id_format(&r->id, id);
        fprintf(f, "%s\t%d\t%d\t%u\n", id, (int)r->kind, (int)r->answer, r->children);
    }
    fputs("\\.\n", f);
    if (fclose(f))
        fail_test("cannot write %s", path);
    pg_load(c->scene->postgres, path);
}

/* sql selects the ids that should not be there. */
static void expect_none(struct chaos *c, const char *what, const char *sql)
{
    long long n = pg_int(c->scene->postgres, "SELECT count(*) FROM (%s) x", sql);

    if (!n)
        return;
    const char *id = pg_str(c->scene->postgres, "SELECT job_id FROM (%s) x LIMIT 1", sql);
    char *lines = NULL;
    run_command(
        &lines, NULL,
        (const char *const[]){"grep", "-rah", "--include=*.log", "--", id, tmp_dir(), NULL});
    fail_test("of %zu jobs %lld %s, one is %s; what the logs say of it:\n%s", c->record_count, n,
              what, id, lines ? lines : "");
}

static void check_effects(struct chaos *c)
{
    struct postgres *pg = c->scene->postgres;

    load_records(c);
    expect_none(c, "were acknowledged and are lost",
                "SELECT job_id FROM public.records r WHERE answer = 0 AND kind <> 2 AND NOT EXISTS "
                "(SELECT FROM public.effects e WHERE e.job_id = r.job_id)");
    expect_none(c, "have more than one effect",
                "SELECT job_id FROM public.effects GROUP BY 1 HAVING count(*) > 1");
    expect_none(c, "were rejected, or are poison, and have an effect",
                "SELECT r.job_id FROM public.records r JOIN public.effects e USING (job_id) "
                "WHERE r.answer = 2 OR r.kind = 2");
    /* Nobody else knows the ids of children: there are as many as their parents that took effect
     * had. */
    long long born =
        pg_int(pg, "SELECT coalesce(sum(r.children), 0) FROM public.records r WHERE EXISTS "
                   "(SELECT FROM public.effects e WHERE e.job_id = r.job_id)");
    long long strangers = pg_int(pg, "SELECT count(*) FROM public.effects e WHERE NOT EXISTS "
                                     "(SELECT FROM public.records r WHERE e.job_id = r.job_id)");
    if (born != strangers)
        fail_test("parents that took effect had %lld children, of which %lld took effect", born,
                  strangers);
}

/* ---- dead letters ---- */

static struct record *poison_of(struct chaos *c, const redisReply *h)
{
    for (size_t i = 0; i < c->record_count; i++)
        if (h->len >= ID_AT + sizeof(jobq_id) &&
            memcmp(h->str + ID_AT, &c->records[i].id, sizeof(jobq_id)) == 0)
            return c->records[i].kind == KIND_POISON ? &c->records[i] : NULL;
    return NULL;
}

static void check_dead(struct chaos *c)
{
    size_t acked = 0, found = 0;

    for (unsigned p = 0; p < c->partitions; p++) {
        redisReply *r = redis_do(c->scene->redis, "XRANGE jobq:{default:%u}:dead - +", p);
        for (size_t i = 0; i < r->elements; i++) {
            const redisReply *fields = r->element[i]->element[1];
            struct record *poison = poison_of(c, fields->element[1]);
            if (!poison || poison->answer == ANSWER_REJECTED ||
                strcmp(fields->element[5]->str, "exhausted") != 0)
                fail_test("a dead letter of a job that is no poison: %s, %s",
                          fields->element[5]->str, fields->element[7]->str);
            found += poison->answer == ANSWER_STORED;
        }
        freeReplyObject(r);
    }
    for (size_t i = 0; i < c->record_count; i++)
        acked += c->records[i].kind == KIND_POISON && c->records[i].answer == ANSWER_STORED;
    /* One that was stored twice after a lost answer dies twice. */
    if (found < acked)
        fail_test("%zu dead letters of %zu jobs that kill their executor", found, acked);
}

/* ---- who is left ---- */

static bool is_of(struct chaos *c, unsigned i, const char *incarnation)
{
    return c->scene->jobd[i] &&
           strstr(incarnation, fmt("-%d-", (int)c->scene->jobd[i]->process->pid));
}

static bool is_living(struct chaos *c, const char *incarnation)
{
    for (unsigned i = 0; i < c->workers; i++)
        if (is_of(c, i, incarnation))
            return true;
    return false;
}

/* Names in `alive` that are no living jobd's, and living jobd that are not named exactly once. */
static unsigned count_wrong_members(struct chaos *c, unsigned partition)
{
    unsigned wrong = 0, named[CHAOS_JOBD] = {0};
    redisReply *r = redis_do(c->scene->redis, "HGETALL jobq:{default:%u}:alive", partition);

    for (size_t k = 0; k + 1 < r->elements; k += 2) {
        wrong += !is_living(c, r->element[k]->str) || strcmp(r->element[k + 1]->str, "F") == 0;
        for (unsigned i = 0; i < c->workers; i++)
            named[i] += is_of(c, i, r->element[k]->str);
    }
    freeReplyObject(r);
    for (unsigned i = 0; i < c->workers; i++)
        wrong += named[i] != (c->scene->jobd[i] ? 1 : 0);
    return wrong;
}

static unsigned count_wrong(struct chaos *c)
{
    unsigned wrong = 0;

    for (unsigned p = 0; p < c->partitions; p++) {
        wrong += count_wrong_members(c, p);
        for (size_t k = 0; k < 4; k++) {
            redisReply *r = redis_do(
                c->scene->redis, "XINFO CONSUMERS jobq:{default:%u}:ready:%s jobq", p, lanes[k]);
            for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements; i++)
                wrong += !is_living(c, r->element[i]->element[1]->str);
            freeReplyObject(r);
        }
    }
    return wrong;
}

static bool is_tidy(void *ctx)
{
    return count_wrong(ctx) == 0;
}

/* Executors write to the log of their jobd, which is ours alone. */
static bool is_ours(long pid)
{
    char target[512];
    char *comm = read_file(fmt("/proc/%ld/comm", pid));
    bool executor = comm && strcmp(comm, "jobq-executor\n") == 0;

    free(comm);
    ssize_t n = executor ? readlink(fmt("/proc/%ld/fd/2", pid), target, sizeof(target) - 1) : -1;
    if (n < 0)
        return false;
    target[n] = '\0';
    return strncmp(target, tmp_dir(), strlen(tmp_dir())) == 0;
}

static bool no_executor_is_left(void *ctx)
{
    DIR *d = opendir("/proc");
    struct dirent *entry;
    unsigned found = 0;

    (void)ctx;
    if (!d)
        fail_test("no /proc");
    while ((entry = readdir(d)) != NULL) {
        long pid = strtol(entry->d_name, NULL, 10);
        found += pid > 0 && is_ours(pid);
    }
    closedir(d);
    return found == 0;
}

void chaos_judge(struct chaos *c)
{
    chaos_note(c, "all is mended; %zu jobs, %u of %u faults met work", c->record_count, c->hits,
               c->faults);
    if (!wait_until(now_ms() + patience_ms(DRAINED_MS), is_done, c))
        fail_test("not done: %lld in flight, %lld waiting, %lld later, %lld parked",
                  chaos_in_flight(c), chaos_waiting(c), chaos_later(c), lengths(c, "parked"));
    chaos_note(c, "all work is done");
    check_effects(c);
    check_dead(c);
    if (lengths(c, "parked"))
        fail_test("jobs of a known type were parked");
    if (!wait_until(now_ms() + patience_ms(TIDY_MS), is_tidy, c))
        fail_test("`alive` or the consumers name the dead, or miss the living");
    for (unsigned i = 0; i < c->workers; i++)
        scene_drain(c->scene, i);
    if (count_wrong(c))
        fail_test("somebody who drained is still there");
    if (!wait_until(now_ms() + patience_ms(10000), no_executor_is_left, NULL))
        fail_test("executors are left behind");
    check_effects(c);
}

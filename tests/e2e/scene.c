/* SPDX-License-Identifier: MIT */
#include "tests/e2e/scene.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BASE "jobq:{default:0}"

static const char *const lanes[] = {"recovered", "high", "normal", "low"};

static const char *gate_path(void)
{
    return fmt("%s/scene-gate", tmp_dir());
}

static const char *marks_path(void)
{
    return fmt("%s/scene-marks", tmp_dir());
}

struct scene *scene_new(int flags)
{
    struct scene *s = calloc(1, sizeof(*s));
    jobq_client_options o = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_err err;

    if (!s)
        abort();
    unlink(gate_path());
    unlink(marks_path());
    s->redis = flags & SCENE_AOF ? redis_start_aof() : redis_start(NULL);
    if (flags & SCENE_PG) {
        s->postgres = postgres_start(false);
        pg_load(s->postgres, source_path("contrib/postgres/schema.sql"));
        pg_load(s->postgres, source_path("contrib/postgres/roles.sql"));
        pg_load(s->postgres, source_path("tests/modules/tables.sql"));
        snprintf(s->worker_conninfo, sizeof(s->worker_conninfo), "%s user=jobq_worker",
                 s->postgres->conninfo);
    }
    o.redis = s->redis->producer_url;
    o.deadline_ms = 10000;
    if (jobq_client_open(&o, &s->client, &err))
        fail_test("client: %s", err.msg);
    return s;
}

void scene_free(struct scene *s)
{
    if (!s)
        return;
    jobq_client_close(s->client);
    for (size_t i = 0; i < SCENE_JOBD_MAX; i++)
        jobd_free(s->jobd[i]);
    if (s->postgres)
        postgres_stop(s->postgres);
    redis_stop(s->redis);
    free(s->acked);
    free(s);
}

const char *scene_state_dir(struct scene *s, size_t i)
{
    (void)s;
    const char *dir = fmt("%s/state-%c", tmp_dir(), (char)('a' + i));
    mkdir(dir, 0700);
    return dir;
}

struct jobd *scene_jobd(struct scene *s, size_t i, struct jobd_options o)
{
    char instance[2] = {(char)('a' + i), '\0'};
    char modules[512];

    cr_assert(i < SCENE_JOBD_MAX && s->jobd[i] == NULL);
    snprintf(modules, sizeof(modules), "\"%s\"%s", lib_path("jobq-test/test.so"),
             s->postgres ? fmt(", \"%s\"", lib_path("jobq-test/test_pg.so")) : "");
    if (!o.instance)
        o.instance = instance;
    if (!o.redis)
        o.redis = s->redis->worker_url;
    if (!o.postgres && s->postgres)
        o.postgres = s->worker_conninfo;
    if (!o.modules)
        o.modules = modules;
    if (!o.state_dir)
        o.state_dir = scene_state_dir(s, i);
    s->jobd[i] = jobd_start(&o);
    return s->jobd[i];
}

void scene_drain(struct scene *s, size_t i)
{
    int status = jobd_drain(s->jobd[i], patience_ms(60000));

    if (status != 0)
        fail_test("jobd %zu ended with %d instead of draining", i, status);
    jobd_free(s->jobd[i]);
    s->jobd[i] = NULL;
}

void scene_kill(struct scene *s, size_t i)
{
    jobd_kill(s->jobd[i]);
    jobd_free(s->jobd[i]);
    s->jobd[i] = NULL;
}

/* ---- enqueue ---- */

void scene_note(struct scene *s, const jobq_answer *a)
{
    if (a->status == JOBQ_STATUS_REJECTED)
        fail_test("enqueue was rejected: %s", a->text);
    if (a->status == JOBQ_STATUS_UNKNOWN) {
        s->unknown++;
        return;
    }
    if (s->acked_count == s->acked_cap) {
        s->acked_cap = s->acked_cap ? s->acked_cap * 2 : 256;
        s->acked = realloc(s->acked, s->acked_cap * sizeof(*s->acked));
        if (!s->acked)
            abort();
    }
    s->acked[s->acked_count++] = a->id;
}

jobq_answer scene_enqueue_job(struct scene *s, const jobq_job *job)
{
    jobq_answer a;
    jobq_err err;
    int rc = jobq_enqueue(s->client, job, &a, &err);

    (void)rc;
    scene_note(s, &a);
    return a;
}

jobq_id scene_enqueue(struct scene *s, const char *type, const char *payload)
{
    jobq_job job = JOBQ_JOB_INIT;

    job.type = type;
    job.payload = payload;
    return scene_enqueue_job(s, &job).id;
}

void scene_enqueue_many(struct scene *s, const char *type, const char *payload, size_t n)
{
    jobq_job *jobs = calloc(n, sizeof(*jobs));
    jobq_answer *answers = calloc(n, sizeof(*answers));
    jobq_err err;

    if (!jobs || !answers)
        abort();
    if (type != s->last_type) {
        snprintf(s->last_type, sizeof(s->last_type), "%s", type);
        snprintf(s->last_payload, sizeof(s->last_payload), "%s", payload);
        s->last_count = strlen(payload) < sizeof(s->last_payload) ? n : 0;
    }
    for (size_t i = 0; i < n; i++) {
        jobs[i] = (jobq_job)JOBQ_JOB_INIT;
        jobs[i].type = type;
        jobs[i].payload = payload;
    }
    int rc = jobq_enqueue_many(s->client, jobs, n, answers, &err);
    (void)rc;
    for (size_t i = 0; i < n; i++)
        scene_note(s, &answers[i]);
    free(jobs);
    free(answers);
}

/* ---- jobs that last as long as the test wants ---- */

#define HELD_LIMIT_MS 3600000

void scene_enqueue_held(struct scene *s, size_t n)
{
    jobq_job job = JOBQ_JOB_INIT;
    char payload[512];

    snprintf(payload, sizeof(payload), "{\"ms\":%d,\"file\":\"%s\",\"gate\":\"%s\"}", HELD_LIMIT_MS,
             marks_path(), gate_path());
    job.type = s->postgres ? "effect_slow" : "sleep";
    job.payload = payload;
    job.soft_limit_ms = HELD_LIMIT_MS;
    job.hard_limit_ms = 2 * HELD_LIMIT_MS;
    while (n-- > 0)
        scene_enqueue_job(s, &job);
}

size_t scene_held(struct scene *s)
{
    char *text = read_file(marks_path());
    size_t n = 0;

    (void)s;
    for (const char *at = text; at && (at = strchr(at, '\n')); at++)
        n++;
    free(text);
    return n;
}

void scene_hold_again(struct scene *s)
{
    (void)s;
    unlink(gate_path());
}

void scene_let_go(struct scene *s)
{
    (void)s;
    write_file(gate_path(), "");
}

/* ---- looking ---- */

long long scene_effects(struct scene *s)
{
    return pg_int(s->postgres, "SELECT count(*) FROM public.effects");
}

/* Of group jobq of a lane: its pending count (what 0) or its lag (what 1; entries that nobody has
 * read). */
static long long group_number(struct scene *s, const char *lane, const char *field)
{
    long long number = 0;
    redisReply *r = redis_do(s->redis, "XINFO GROUPS " BASE ":ready:%s", lane);

    if (r->type == REDIS_REPLY_ARRAY && r->elements == 1) {
        redisReply *g = r->element[0];
        for (size_t i = 0; i + 1 < g->elements; i += 2)
            if (strcmp(g->element[i]->str, field) == 0)
                number = g->element[i + 1]->type == REDIS_REPLY_INTEGER ? g->element[i + 1]->integer
                                                                        : -1;
    }
    freeReplyObject(r);
    return number;
}

long long scene_pending(struct scene *s)
{
    long long sum = 0;

    for (size_t i = 0; i < 4; i++)
        sum += group_number(s, lanes[i], "pending");
    return sum;
}

/* Undelivered: asked of the stream itself, since lag is unknown after deletions. */
static long long undelivered(struct scene *s, const char *lane)
{
    long long n = 0;
    redisReply *r = redis_do(s->redis, "XINFO GROUPS " BASE ":ready:%s", lane);

    if (r->type == REDIS_REPLY_ARRAY && r->elements == 1) {
        const char *last = NULL;
        redisReply *g = r->element[0];
        for (size_t i = 0; i + 1 < g->elements; i += 2)
            if (strcmp(g->element[i]->str, "last-delivered-id") == 0)
                last = g->element[i + 1]->str;
        redisReply *rest =
            redis_do(s->redis, "XRANGE " BASE ":ready:%s (%s + COUNT 100000", lane, last);
        n = (long long)rest->elements;
        freeReplyObject(rest);
    } else {
        n = redis_int(s->redis, "XLEN " BASE ":ready:%s", lane);
    }
    freeReplyObject(r);
    return n;
}

long long scene_queued(struct scene *s)
{
    long long sum = 0;

    for (size_t i = 0; i < 4; i++)
        sum += undelivered(s, lanes[i]);
    return sum + scene_pending(s);
}

long long scene_later(struct scene *s)
{
    return redis_int(s->redis, "ZCARD " BASE ":later");
}

long long scene_dead(struct scene *s)
{
    return redis_int(s->redis, "XLEN " BASE ":dead");
}

long long scene_parked(struct scene *s)
{
    return redis_int(s->redis, "XLEN " BASE ":parked");
}

/* ---- waiting ---- */

struct wanted {
    struct scene *scene;
    long long (*number)(struct scene *s);
    long long at_least;
};

static bool is_there(void *ctx)
{
    struct wanted *w = ctx;

    return w->number(w->scene) >= w->at_least;
}

static void wait_number(struct scene *s, long long (*number)(struct scene *s), long long at_least,
                        int64_t timeout_ms, const char *what)
{
    struct wanted w = {s, number, at_least};

    if (!wait_until(now_ms() + patience_ms(timeout_ms), is_there, &w))
        fail_test("%s: %lld of %lld after %lld ms", what, number(s), at_least,
                  (long long)timeout_ms);
}

void scene_wait_effects(struct scene *s, long long at_least, int64_t timeout_ms)
{
    wait_number(s, scene_effects, at_least, timeout_ms, "effects");
}

static long long held(struct scene *s)
{
    return (long long)scene_held(s);
}

void scene_wait_held(struct scene *s, size_t at_least, int64_t timeout_ms)
{
    wait_number(s, held, (long long)at_least, timeout_ms, "held jobs");
}

void scene_wait_dead(struct scene *s, long long at_least, int64_t timeout_ms)
{
    wait_number(s, scene_dead, at_least, timeout_ms, "dead letters");
}

/* In one step: a job that moves from a lane to `later` or back between two looks would be seen in
 * neither. */
static bool is_drained(void *ctx)
{
    static const char look[] =
        "if redis.call('ZCARD', KEYS[1]) > 0 then return 0 end "
        "for i = 2, 5 do "
        "  if redis.call('EXISTS', KEYS[i]) == 1 then "
        "    local g = redis.call('XINFO', 'GROUPS', KEYS[i])[1] "
        "    if not g then return 0 end "
        "    local f = {} "
        "    for k = 1, #g, 2 do f[g[k]] = g[k + 1] end "
        "    if f.pending > 0 then return 0 end "
        "    local after = '(' .. f['last-delivered-id'] "
        "    if #redis.call('XRANGE', KEYS[i], after, '+', 'COUNT', 1) > 0 then return 0 end "
        "  end "
        "end "
        "return 1";
    struct scene *s = ctx;

    return redis_int(s->redis,
                     "EVAL %s 5 " BASE ":later " BASE ":ready:recovered " BASE ":ready:high " BASE
                     ":ready:normal " BASE ":ready:low",
                     look) == 1;
}

/* As is_there(); where all is done before, it enqueues more. */
static bool comes_with_more(void *ctx)
{
    struct wanted *w = ctx;
    struct scene *s = w->scene;

    if (is_there(w))
        return true;
    if (s->last_count > 0 && is_drained(s))
        scene_enqueue_many(s, s->last_type, s->last_payload, s->last_count);
    return false;
}

void scene_wait_pending(struct scene *s, long long at_least, int64_t timeout_ms)
{
    struct wanted w = {s, scene_pending, at_least};

    if (!wait_until(now_ms() + patience_ms(timeout_ms), comes_with_more, &w))
        fail_test("jobs in flight: %lld of %lld after %lld ms", scene_pending(s), at_least,
                  (long long)timeout_ms);
}

void scene_wait_more(struct scene *s, long long more, int64_t timeout_ms)
{
    struct wanted w = {s, scene_effects, scene_effects(s) + more};

    if (!wait_until(now_ms() + patience_ms(timeout_ms), comes_with_more, &w))
        fail_test("effects: %lld of %lld after %lld ms", scene_effects(s), w.at_least,
                  (long long)timeout_ms);
}

void scene_wait_drained(struct scene *s, int64_t timeout_ms)
{
    if (!wait_until(now_ms() + patience_ms(timeout_ms), is_drained, s))
        fail_test("not drained after %lld ms: %lld queued (%lld in flight), %lld later, %lld dead, "
                  "%lld parked",
                  (long long)timeout_ms, scene_queued(s), scene_pending(s), scene_later(s),
                  scene_dead(s), scene_parked(s));
    redis_check_refused(s->redis);
}

/* ---- the checker ---- */

static void load_acked(struct scene *s)
{
    const char *path = fmt("%s/acked.sql", tmp_dir());
    FILE *f = fopen(path, "we");
    char id[JOBQ_ID_TEXT_SIZE];

    if (!f)
        fail_test("cannot write %s", path);
    fputs("DROP TABLE IF EXISTS public.acked; CREATE TABLE public.acked (job_id uuid PRIMARY "
          "KEY);\nCOPY public.acked FROM stdin;\n",
          f);
    for (size_t i = 0; i < s->acked_count; i++) {
        jobq_id_format(&s->acked[i], id);
        fprintf(f, "%s\n", id);
    }
    fputs("\\.\n", f);
    if (fclose(f))
        fail_test("cannot write %s", path);
    pg_load(s->postgres, path);
}

void scene_check_effects(struct scene *s)
{
    load_acked(s);
    long long lost =
        pg_int(s->postgres, "SELECT count(*) FROM public.acked a WHERE NOT EXISTS "
                            "(SELECT 1 FROM public.effects e WHERE e.job_id = a.job_id)");
    long long doubled =
        pg_int(s->postgres, "SELECT count(*) FROM (SELECT job_id FROM public.effects GROUP BY "
                            "job_id HAVING count(*) > 1) x");
    long long unexpected =
        pg_int(s->postgres, "SELECT count(DISTINCT job_id) FROM public.effects e WHERE NOT EXISTS "
                            "(SELECT 1 FROM public.acked a WHERE a.job_id = e.job_id)");
    long long strangers = unexpected - (long long)s->children;
    if (lost || doubled || strangers < 0 || strangers > (long long)s->unknown)
        fail_test("of %zu acknowledged: %lld lost, %lld doubled, %lld unexpected (%zu answers were "
                  "unknown)",
                  s->acked_count, lost, doubled, strangers, s->unknown);
    cr_assert_gt(s->acked_count, 0u, "a run without jobs proves nothing");
}

char *scene_dead_field(struct scene *s, const char *field)
{
    char *value = NULL;
    redisReply *r = redis_do(s->redis, "XRANGE " BASE ":dead - +");

    if (r->elements != 1)
        fail_test("%zu dead letters instead of one", r->elements);
    redisReply *fields = r->element[0]->element[1];
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (strcmp(fields->element[i]->str, field) == 0)
            value = strndup(fields->element[i + 1]->str, fields->element[i + 1]->len);
    freeReplyObject(r);
    return value;
}

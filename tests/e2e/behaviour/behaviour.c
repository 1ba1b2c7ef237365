/* SPDX-License-Identifier: MIT */
#include "tests/e2e/behaviour/behaviour.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define BASE "jobq:{default:0}"
#define EXECUTORS_MAX 64

/* ---- entries ---- */

static char *copy_bytes(const char *bytes, size_t len)
{
    char *copy = calloc(1, len + 1);

    if (!copy)
        abort();
    memcpy(copy, bytes, len);
    return copy;
}

static void take_field(struct entry *e, const redisReply *name, const redisReply *value)
{
    struct {
        const char *name;
        char **text;
        size_t *len;
    } fields[] = {{"h", &e->h, &e->h_len},
                  {"p", &e->p, &e->p_len},
                  {"reason", &e->reason, NULL},
                  {"error", &e->error, NULL},
                  {"by", &e->by, NULL}};

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcmp(fields[i].name, name->str) != 0)
            continue;
        *fields[i].text = copy_bytes(value->str, value->len);
        if (fields[i].len)
            *fields[i].len = value->len;
    }
}

static void decode(struct entry *e)
{
    e->readable = e->h ? codec_decode(e->h, e->h_len, &e->header, NULL) : CODEC_CORRUPT;
}

struct entry *entry_at(struct scene *s, const char *stream, size_t i)
{
    struct entry *e = calloc(1, sizeof(*e));
    redisReply *r = redis_do(s->redis, "XRANGE " BASE ":%s - +", stream);

    if (!e)
        abort();
    if (r->type != REDIS_REPLY_ARRAY || i >= r->elements)
        fail_test("%s has %zu entries, not number %zu", stream, r->elements, i);
    redisReply *fields = r->element[i]->element[1];
    for (size_t k = 0; k + 1 < fields->elements; k += 2)
        take_field(e, fields->element[k], fields->element[k + 1]);
    freeReplyObject(r);
    decode(e);
    return e;
}

/* held keeps the length of h (four bytes, little-endian), h, p. */
struct entry *entry_later(struct scene *s, const jobq_id *id)
{
    struct entry *e = calloc(1, sizeof(*e));
    redisReply *r = redis_do(s->redis, "HGET " BASE ":held %s", id_text(id));

    if (!e)
        abort();
    if (r->type != REDIS_REPLY_STRING || r->len < 4)
        fail_test("%s is not delayed", id_text(id));
    const unsigned char *n = (const unsigned char *)r->str;
    e->h_len = (size_t)n[0] | (size_t)n[1] << 8 | (size_t)n[2] << 16 | (size_t)n[3] << 24;
    cr_assert_leq(4 + e->h_len, r->len);
    e->p_len = r->len - 4 - e->h_len;
    e->h = copy_bytes(r->str + 4, e->h_len);
    e->p = copy_bytes(r->str + 4 + e->h_len, e->p_len);
    freeReplyObject(r);
    decode(e);
    return e;
}

void entry_free(struct entry *e)
{
    free(e->h);
    free(e->p);
    free(e->reason);
    free(e->error);
    free(e->by);
    free(e);
}

void entry_check_counts(const struct entry *e, unsigned attempts, unsigned crashes, unsigned losses,
                        unsigned releases)
{
    const struct job_header *h = &e->header;

    cr_assert_eq(e->readable, CODEC_OK);
    if (h->attempts != attempts || h->crashes != crashes || h->losses != losses ||
        h->releases != releases)
        fail_test("attempts %u, crashes %u, losses %u, releases %u instead of %u, %u, %u, %u",
                  h->attempts, h->crashes, h->losses, h->releases, attempts, crashes, losses,
                  releases);
}

const char *id_text(const jobq_id *id)
{
    char text[JOBQ_ID_TEXT_SIZE];

    jobq_id_format(id, text);
    return fmt("%s", text);
}

jobq_id entry_add(struct scene *s, const char *stream, struct job_header header, const char *type,
                  const char *payload)
{
    static const jobq_id none;
    struct buf h;

    if (memcmp(&header.id, &none, sizeof(none)) == 0)
        cr_assert_eq(jobq_id_new(&header.id, NULL), JOBQ_OK);
    header.type = type;
    header.type_len = strlen(type);
    buf_init(&h, CODEC_HEADER_MAX);
    codec_encode(&header, &h);
    cr_assert_not(h.failed);
    freeReplyObject(redis_do(s->redis, "HSETNX jobq:queues default 1"));
    freeReplyObject(
        redis_do(s->redis, "XADD " BASE ":%s * h %b p %s", stream, h.data, h.len, payload));
    buf_done(&h);
    return header.id;
}

/* ---- counters and the clock ---- */

long long stats_sum(struct scene *s, const char *field)
{
    long long sum = 0;
    redisReply *keys = redis_do(s->redis, "KEYS " BASE ":stats:*");

    for (size_t i = 0; i < keys->elements; i++) {
        char *n = redis_str(s->redis, "HGET %s %s", keys->element[i]->str, field);
        sum += n ? strtoll(n, NULL, 10) : 0;
        free(n);
    }
    freeReplyObject(keys);
    return sum;
}

long long redis_now_ms(struct scene *s)
{
    redisReply *r = redis_do(s->redis, "TIME");
    long long ms =
        strtoll(r->element[0]->str, NULL, 10) * 1000 + strtoll(r->element[1]->str, NULL, 10) / 1000;

    freeReplyObject(r);
    return ms;
}

/* ---- waiting ---- */

struct wanted {
    struct scene *scene;
    struct jobd *jobd;
    const char *text;
    long long number;
};

static void wait_for(bool (*condition)(void *ctx), struct wanted w, int64_t timeout_ms,
                     const char *what)
{
    if (!wait_until(now_ms() + patience_ms(timeout_ms), condition, &w))
        fail_test("%s: not %lld (%s) after %lld ms", what, w.number, w.text ? w.text : "",
                  (long long)timeout_ms);
}

static bool is_so_late(void *ctx)
{
    struct wanted *w = ctx;

    return redis_now_ms(w->scene) >= w->number;
}

void wait_redis_ms(struct scene *s, long long at_least)
{
    wait_for(is_so_late, (struct wanted){.scene = s, .number = at_least}, 30000, "Redis's clock");
}

size_t count_lines(const char *path)
{
    size_t n = 0;
    char *text = read_file(path);

    for (const char *at = text; at && (at = strchr(at, '\n')); at++)
        n++;
    free(text);
    return n;
}

static bool has_lines(void *ctx)
{
    struct wanted *w = ctx;

    return (long long)count_lines(w->text) >= w->number;
}

void wait_lines(const char *path, size_t at_least, int64_t timeout_ms)
{
    wait_for(has_lines, (struct wanted){.text = path, .number = (long long)at_least}, timeout_ms,
             "lines");
}

static bool has_log(void *ctx)
{
    struct wanted *w = ctx;

    return process_count_log(w->jobd->process, w->text) >= w->number;
}

void wait_log(struct jobd *j, const char *text, int at_least, int64_t timeout_ms)
{
    wait_for(has_log, (struct wanted){.jobd = j, .text = text, .number = at_least}, timeout_ms,
             "lines of the log");
}

static bool has_later(void *ctx)
{
    struct wanted *w = ctx;

    return scene_later(w->scene) >= w->number;
}

void wait_later(struct scene *s, long long at_least, int64_t timeout_ms)
{
    wait_for(has_later, (struct wanted){.scene = s, .number = at_least}, timeout_ms,
             "delayed jobs");
}

static bool has_parked(void *ctx)
{
    struct wanted *w = ctx;

    return scene_parked(w->scene) == w->number;
}

void wait_parked(struct scene *s, long long exactly, int64_t timeout_ms)
{
    wait_for(has_parked, (struct wanted){.scene = s, .number = exactly}, timeout_ms, "parked jobs");
}

static bool has_executors(void *ctx)
{
    struct wanted *w = ctx;
    pid_t pids[EXECUTORS_MAX];

    return jobd_executors(w->jobd, pids, EXECUTORS_MAX) == (size_t)w->number;
}

void wait_executors(struct jobd *j, size_t exactly, int64_t timeout_ms)
{
    wait_for(has_executors, (struct wanted){.jobd = j, .number = (long long)exactly}, timeout_ms,
             "executors");
}

void note_executors(struct jobd *j, pid_t *pids, size_t exactly)
{
    pid_t found[EXECUTORS_MAX];

    wait_executors(j, exactly, 20000);
    cr_assert_eq(jobd_executors(j, found, EXECUTORS_MAX), exactly);
    memcpy(pids, found, exactly * sizeof(*pids));
}

struct replaced {
    struct jobd *jobd;
    const pid_t *before;
    size_t count, exactly;
};

static bool are_replaced(void *ctx)
{
    struct replaced *r = ctx;
    pid_t now[EXECUTORS_MAX];
    size_t n = jobd_executors(r->jobd, now, EXECUTORS_MAX);

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < r->count; k++)
            if (now[i] == r->before[k])
                return false;
    return n == r->exactly;
}

void wait_replaced(struct jobd *j, const pid_t *before, size_t count, size_t exactly,
                   int64_t timeout_ms)
{
    struct replaced r = {j, before, count, exactly};

    if (!wait_until(now_ms() + patience_ms(timeout_ms), are_replaced, &r))
        fail_test("executors are not replaced by %zu others", exactly);
}

static bool are_exactly_pending(void *ctx)
{
    struct wanted *w = ctx;

    return scene_pending(w->scene) == w->number;
}

void wait_exactly_pending(struct scene *s, long long exactly, int64_t timeout_ms)
{
    wait_for(are_exactly_pending, (struct wanted){.scene = s, .number = exactly}, timeout_ms,
             "jobs in flight");
}

/* Of the only living jobd. */
static long long beat_counter(struct scene *s)
{
    long long counter = -1;
    redisReply *r = redis_do(s->redis, "HVALS " BASE ":alive");

    for (size_t i = 0; i < r->elements; i++)
        if (strcmp(r->element[i]->str, "F") != 0)
            counter = strtoll(r->element[i]->str, NULL, 10);
    freeReplyObject(r);
    return counter;
}

static bool has_beaten(void *ctx)
{
    struct wanted *w = ctx;

    return beat_counter(w->scene) >= w->number;
}

void wait_beats(struct scene *s, int beats, int64_t timeout_ms)
{
    wait_for(has_beaten, (struct wanted){.scene = s, .number = beat_counter(s) + beats}, timeout_ms,
             "beats");
}

/* ---- the log ---- */

static bool has_all(const char *line, size_t len, const char *const *texts)
{
    for (size_t i = 0; texts[i]; i++)
        if (!memmem(line, len, texts[i], strlen(texts[i])))
            return false;
    return true;
}

char *log_line(struct jobd *j, const char *const *texts)
{
    char *log = process_log(j->process), *found = NULL;

    for (char *line = log; line && *line && !found;) {
        size_t len = strcspn(line, "\n");
        if (has_all(line, len, texts))
            found = copy_bytes(line, len);
        line += len + (line[len] == '\n');
    }
    free(log);
    if (!found)
        fail_test("no line of the log has \"%s\" and the rest", texts[0]);
    return found;
}

long long line_number(const char *line, const char *key)
{
    const char *at = strstr(line, fmt(" %s=", key));

    if (!at)
        fail_test("no %s in: %s", key, line);
    return strtoll(at + strlen(key) + 2, NULL, 10);
}

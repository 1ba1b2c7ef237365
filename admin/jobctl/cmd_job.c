/* SPDX-License-Identifier: MIT */
/* cmd_job: jobctl job show. Enqueueing is in cmd_enqueue.c. */
#include <inttypes.h>
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/job_json.h"
#include "admin/jobctl/session.h"
#include "base/error.h"
#include "base/id.h"
#include "base/text.h"

#define SCAN_DEFAULT 100000
#define SCAN_MAX INT64_C(1000000000)

static const struct out_column columns[] = {
    {"id", "id", OUT_TEXT},
    {"state", "state", OUT_STATE},
    {"place", "place", OUT_TEXT},
    {"type", "type", OUT_TEXT},
    {"lane", "lane", OUT_TEXT},
    {"owner", "owner", OUT_TEXT},
    {"claimed_for_ms", "claimed for", OUT_DURATION},
    {"due_ms", "due", OUT_TIME},
    {"enqueued_ms", "enqueued", OUT_TIME},
    {"died_ms", "died", OUT_TIME},
    {"reason", "reason", OUT_TEXT},
    {"error", "error", OUT_TEXT},
    {"by", "by", OUT_TEXT},
    {"attempts", "attempts", OUT_NUMBER},
    {"max_attempts", "max attempts", OUT_NUMBER},
    {"crashes", "crashes", OUT_NUMBER},
    {"losses", "losses", OUT_NUMBER},
    {"releases", "releases", OUT_NUMBER},
    {"exhausted", "exhausted", OUT_TEXT},
    {"soft_limit_ms", "soft limit", OUT_DURATION},
    {"hard_limit_ms", "hard limit", OUT_DURATION},
    {"expires_ms", "expires after", OUT_DURATION},
    {"unique", "unique key", OUT_TEXT},
    {"header", "header", OUT_TEXT},
    {"payload_bytes", "payload bytes", OUT_NUMBER},
    {"payload", "payload", OUT_TEXT},
    {"payload_hex", "payload, hex", OUT_TEXT},
};
static const struct out_column looked_columns[] = {
    {"text", "looked", OUT_TEXT},
};

/* Partitions of the id first: its own hash names one of each queue, unless it has a unique key. */
static void put_likely_first(struct session_shards *shards, const jobq_id *id)
{
    size_t front = 0;
    for (size_t i = 0; i < shards->n;) {
        size_t end = i + 1;
        while (end < shards->n && shards->keys[end].partition != 0)
            end++;
        size_t likely = i + keys_partition(id, NULL, 0, (unsigned)(end - i));
        struct shard_keys swap = shards->keys[front];
        shards->keys[front] = shards->keys[likely];
        shards->keys[likely] = swap;
        front++;
        i = end;
    }
}

/* Found: what it took to find it. Not found: how far there is none. */
static json_t *looked_json(const struct inspect_looked *l, const char *queue, bool found)
{
    char text[256], reach[64], width[32];
    if (found) {
        reach[0] = '\0';
    } else if (l->whole) {
        snprintf(reach, sizeof(reach), ": all there are");
    } else if (l->around_ms > 0) {
        text_format_duration(l->around_ms, width, sizeof(width));
        snprintf(reach, sizeof(reach), ": all within %s of its time", width);
    } else {
        snprintf(reach, sizeof(reach), ": not even all near its time");
    }
    snprintf(text, sizeof(text), "at %" PRId64 " entr%s in %zu partition%s of %s%s", l->entries,
             l->entries == 1 ? "y" : "ies", l->partitions, l->partitions == 1 ? "" : "s",
             queue != NULL ? queue : "all queues", reach);
    return json_pack("{s:I, s:I, s:o, s:o, s:s}", "entries", (json_int_t)l->entries, "partitions",
                     (json_int_t)l->partitions, "everything",
                     found ? json_null() : json_boolean(l->whole), "around_ms",
                     l->whole || found ? json_null() : json_integer(l->around_ms), "text", text);
}

static int show(struct session *s, const struct inspect_job *job, json_t *looked, jobq_err *err)
{
    static const struct out_section sections[] = {
        {"job", columns, ARRAY_LEN(columns), NULL},
        {"looked", looked_columns, ARRAY_LEN(looked_columns), NULL},
    };
    json_t *root = json_pack("{s:o, s:o}", "job", job != NULL ? job_json(job) : json_null(),
                             "looked", looked != NULL ? looked : json_null());
    /* Where it was found is answer enough for people. */
    return out_show(&s->out, root, sections, job != NULL ? 1 : 2, err);
}

static int show_place(struct session *s, const char *text, jobq_err *err)
{
    struct inspect_place place;
    struct inspect in;
    struct inspect_job job;
    bool found = false;
    int rc = inspect_place_parse(text, &place, err);
    if (rc == JOBQ_OK)
        rc = session_redis(s, &in, err);
    if (rc == JOBQ_OK)
        rc = inspect_at(&in, &place, &job, &found, err);
    if (rc != JOBQ_OK)
        return rc;
    rc = show(s, found ? &job : NULL, NULL, err);
    if (found)
        inspect_job_done(&job);
    if (rc == JOBQ_OK && !found)
        rc = error_set(err, JOBQ_ENOTFOUND, "nothing is at %s", text);
    return rc;
}

static int show_id(struct session *s, const struct args *a, const jobq_id *id, jobq_err *err)
{
    struct inspect in;
    struct inspect_job job;
    struct inspect_looked looked;
    struct session_shards shards = {0};
    const char *queue = args_value(a, "queue");
    int64_t scan = SCAN_DEFAULT;
    bool found = false;
    int rc = args_int(a, "scan", 1, SCAN_MAX, &scan, err);
    if (rc == JOBQ_OK)
        rc = session_redis(s, &in, err);
    if (rc == JOBQ_OK)
        rc = session_shards(&in, queue, &shards, err);
    if (rc == JOBQ_OK) {
        put_likely_first(&shards, id);
        rc = inspect_find(&in, shards.keys, shards.n, id, scan, &job, &found, &looked, err);
    }
    session_shards_free(&shards);
    if (rc != JOBQ_OK)
        return rc;
    rc = show(s, found ? &job : NULL, looked_json(&looked, queue, found), err);
    if (found)
        inspect_job_done(&job);
    if (rc == JOBQ_OK && !found)
        rc = error_set(err, JOBQ_ENOTFOUND, "%s",
                       looked.whole
                           ? "no such job: it succeeded, or never was"
                           : "not found so far; look further with --scan, or narrow with --queue");
    return rc;
}

int cmd_job_show(struct session *s, const struct args *a, jobq_err *err)
{
    jobq_id id;
    const char *text = a->operands[0];
    if (strchr(text, '/') != NULL)
        return show_place(s, text, err);
    int rc = jobq_id_parse(text, &id, err);
    return rc == JOBQ_OK ? show_id(s, a, &id, err) : rc;
}

/* SPDX-License-Identifier: MIT */
/* find: see find.h. */
#include "admin/jobctl/find.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/session.h"
#include "base/error.h"
#include "base/text.h"
#include "broker/inspect.h"

#define SCAN_DEFAULT 100000
#define SCAN_MAX INT64_C(1000000000)

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

static int find_place(struct session *s, const char *text, int only, struct inspect_job *out,
                      bool *found, jobq_err *err)
{
    struct inspect_place place;
    struct inspect in;
    int rc = inspect_place_parse(text, &place, err);
    if (rc == JOBQ_OK && only >= 0 && place.where != only)
        rc = error_set(err, JOBQ_EINVAL, "not a place in %s: %s", inspect_where_name(only), text);
    if (rc == JOBQ_OK)
        rc = session_redis(s, &in, err);
    return rc == JOBQ_OK ? inspect_at(&in, &place, out, found, err) : rc;
}

static int find_id(struct session *s, const struct args *a, const jobq_id *id, int only,
                   struct inspect_job *out, bool *found, struct find_report *report, jobq_err *err)
{
    struct inspect in;
    struct inspect_looked looked;
    struct session_shards shards = {0};
    const char *queue = args_value(a, "queue");
    int64_t scan = SCAN_DEFAULT;
    int rc = args_int(a, "scan", 1, SCAN_MAX, &scan, err);
    if (rc == JOBQ_OK)
        rc = session_redis(s, &in, err);
    if (rc == JOBQ_OK)
        rc = session_shards(&in, queue, &shards, err);
    if (rc == JOBQ_OK) {
        session_shards_likely_first(&shards, id);
        rc = inspect_find(&in, shards.keys, shards.n, id, only, scan, out, found, &looked, err);
    }
    session_shards_free(&shards);
    if (rc != JOBQ_OK)
        return rc;
    report->whole = looked.whole;
    report->looked = looked_json(&looked, queue, *found);
    return JOBQ_OK;
}

int find_job(struct session *s, const struct args *a, const char *text, int only,
             struct inspect_job *out, bool *found, struct find_report *report, jobq_err *err)
{
    jobq_id id;
    *report = (struct find_report){.whole = true};
    *found = false;
    if (strchr(text, '/') != NULL)
        return find_place(s, text, only, out, found, err);
    int rc = jobq_id_parse(text, &id, err);
    return rc == JOBQ_OK ? find_id(s, a, &id, only, out, found, report, err) : rc;
}

int find_none(const struct find_report *report, const char *text, const char *none, jobq_err *err)
{
    if (strchr(text, '/') != NULL)
        return error_set(err, JOBQ_ENOTFOUND, "nothing is at %s", text);
    return error_set(err, JOBQ_ENOTFOUND, "%s",
                     report->whole
                         ? none
                         : "not found so far; look further with --scan, or narrow with --queue");
}

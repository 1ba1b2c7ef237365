/* SPDX-License-Identifier: MIT */
/* cmd_worker: jobctl worker list. */
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/session.h"
#include "base/error.h"
#include "base/text.h"

static const char *state_of(const struct inspect_worker *w)
{
    if (w->fenced)
        return "fenced";
    if (!w->registered)
        return "gone";
    return w->subscribed ? "alive" : "silent";
}

/*
 * An incarnation is host-boot-pid-random: read from the right, as a host's name may hold hyphens.
 * *host_len is 0 when it is not of that form.
 */
static int64_t split_name(const char *name, size_t *host_len)
{
    size_t cut[3], len = strlen(name);
    char digits[24];
    int64_t pid = -1;
    *host_len = 0;
    for (int i = 2; i >= 0; i--) {
        while (len > 0 && name[len - 1] != '-')
            len--;
        if (len < 2)
            return -1;
        cut[i] = len--;
    }
    size_t n = cut[2] - 1 - cut[1];
    if (n == 0 || n >= sizeof(digits))
        return -1;
    memcpy(digits, name + cut[1], n);
    digits[n] = '\0';
    if (text_parse_int(digits, &pid) != JOBQ_OK || pid < 1)
        return -1;
    *host_len = cut[0] - 1;
    return pid;
}

static json_t *row_json(const struct inspect_worker *w)
{
    size_t host_len = 0;
    int64_t pid = split_name(w->name, &host_len);
    return json_pack("{s:o, s:s, s:o, s:o, s:I, s:I, s:o, s:o}", "worker",
                     out_string(w->name, strlen(w->name)), "state", state_of(w), "host",
                     out_string(host_len > 0 ? w->name : NULL, host_len), "pid", out_time(pid),
                     "partitions", (json_int_t)w->partitions, "claimed", (json_int_t)w->claimed,
                     "idle_ms", out_time(w->idle_ms), "types",
                     out_string(w->types, w->types != NULL ? strlen(w->types) : 0));
}

int cmd_worker_list(struct session *s, const struct args *a, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"worker", "WORKER", OUT_TEXT},     {"state", "STATE", OUT_STATE},
        {"host", "HOST", OUT_TEXT},         {"pid", "PID", OUT_NUMBER},
        {"claimed", "CLAIMED", OUT_NUMBER}, {"idle_ms", "IDLE", OUT_DURATION},
        {"types", "TYPES", OUT_TEXT},
    };
    static const struct out_section section = {"workers", columns, ARRAY_LEN(columns),
                                               "no workers"};
    struct inspect in;
    struct session_shards shards = {0};
    struct inspect_worker *workers = NULL;
    size_t n = 0;
    json_t *rows = json_array();
    int rc = session_redis(s, &in, err);
    if (rc == JOBQ_OK)
        rc = session_shards(&in, args_value(a, "queue"), &shards, err);
    if (rc == JOBQ_OK)
        rc = inspect_workers(&in, shards.keys, shards.n, &workers, &n, err);
    for (size_t i = 0; rc == JOBQ_OK && i < n; i++) {
        if (json_array_append_new(rows, row_json(&workers[i])) != 0)
            rc = error_set(err, JOBQ_ENOMEM, "no memory for the list of workers");
    }
    inspect_workers_free(workers, n);
    session_shards_free(&shards);
    if (rc != JOBQ_OK) {
        json_decref(rows);
        return rc;
    }
    return out_show(&s->out, json_pack("{s:o}", "workers", rows), &section, 1, err);
}

/* SPDX-License-Identifier: MIT */
/* cmd_job: jobctl job show and dead show. Enqueueing is in cmd_enqueue.c. */
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/find.h"
#include "admin/jobctl/job_json.h"
#include "admin/jobctl/session.h"
#include "base/error.h"

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

/* Takes looked. */
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

static int show_found(struct session *s, const struct args *a, int only, const char *none,
                      jobq_err *err)
{
    struct inspect_job job;
    struct find_report report;
    bool found = false;
    int rc = find_job(s, a, a->operands[0], only, &job, &found, &report, err);
    if (rc != JOBQ_OK)
        return rc;
    rc = show(s, found ? &job : NULL, report.looked, err);
    if (found)
        inspect_job_done(&job);
    if (rc == JOBQ_OK && !found)
        rc = find_none(&report, a->operands[0], none, err);
    return rc;
}

int cmd_job_show(struct session *s, const struct args *a, jobq_err *err)
{
    return show_found(s, a, -1, "no such job: it succeeded, or never was", err);
}

int cmd_dead_show(struct session *s, const struct args *a, jobq_err *err)
{
    return show_found(s, a, INSPECT_DEAD, "no such dead letter", err);
}

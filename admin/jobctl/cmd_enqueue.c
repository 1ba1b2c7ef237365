/* SPDX-License-Identifier: MIT */
/* cmd_enqueue: jobctl job enqueue. One job, sent once: what came of it is said as it is. */
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/payload.h"
#include "admin/jobctl/session.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "broker/ask.h"
#include "broker/conn.h"
#include "broker/enqueue.h"
#include "broker/script.h"

#define TIME_MAX_MS (INT64_C(10) * 366 * 24 * 3600 * 1000)
#define LIMIT_MAX_MS (INT64_C(30) * 24 * 3600 * 1000)

/* ---- what to enqueue ---- */

static jobq_lane read_lane(const struct args *a)
{
    /* In the order of the flag's choices. */
    static const jobq_lane lanes[] = {JOBQ_LANE_HIGH, JOBQ_LANE_NORMAL, JOBQ_LANE_LOW};
    int choice = args_choice(a, "lane");
    return choice < 0 ? JOBQ_LANE_NORMAL : lanes[choice];
}

static int read_numbers(const struct args *a, jobq_job *job, jobq_err *err)
{
    int64_t attempts = 0, soft = 0, hard = 0;
    int rc = args_duration(a, "delay", 0, TIME_MAX_MS, &job->delay_ms, err);
    if (rc == JOBQ_OK)
        rc = args_time(a, "due", &job->due_ms, err);
    if (rc == JOBQ_OK)
        rc = args_duration(a, "expires", 1, TIME_MAX_MS, &job->expires_after_ms, err);
    if (rc == JOBQ_OK)
        rc = args_int(a, "max-attempts", 1, UINT16_MAX, &attempts, err);
    if (rc == JOBQ_OK)
        rc = args_duration(a, "soft-limit", 1, LIMIT_MAX_MS, &soft, err);
    if (rc == JOBQ_OK)
        rc = args_duration(a, "hard-limit", 1, LIMIT_MAX_MS, &hard, err);
    job->max_attempts = (uint32_t)attempts;
    job->soft_limit_ms = (uint32_t)soft;
    job->hard_limit_ms = (uint32_t)hard;
    return rc;
}

/* Checked as libjobq checks it; the id is set. The job borrows from a and payload. */
static int read_job(const struct args *a, struct buf *payload, jobq_job *job, jobq_err *err)
{
    jobq_cause cause = JOBQ_CAUSE_NONE;
    const char *id = args_value(a, "id");
    const char *text = args_operand(a, 1);
    int rc = payload_read(text != NULL ? text : "{}", payload, err);
    if (rc == JOBQ_OK)
        rc = read_numbers(a, job, err);
    if (rc == JOBQ_OK)
        rc = id != NULL ? jobq_id_parse(id, &job->id, err) : jobq_id_new(&job->id, err);
    if (rc != JOBQ_OK)
        return rc;
    job->type = a->operands[0];
    job->lane = read_lane(a);
    job->queue = args_value(a, "queue") != NULL ? args_value(a, "queue") : "default";
    job->unique_key = args_value(a, "unique");
    /* An empty payload is told from none at all: it is not JSON. */
    job->payload = payload->len > 0 ? payload->data : " ";
    job->payload_len = MAX(payload->len, (size_t)1);
    if (enqueue_check(job, JOBQ_PAYLOAD_DEFAULT_MAX, &cause, err) != JOBQ_OK)
        return JOBQ_EINVAL; /* whatever the cause, it was typed here */
    return JOBQ_OK;
}

/* ---- sending ---- */

static int ask_partitions(const struct inspect *in, const char *queue, unsigned *out, jobq_err *err)
{
    struct redisReply *r[2];
    enqueue_register_queue(conn_out(in->conn), in->prefix, queue, 1);
    int rc = ask_many(in->conn, in->deadline_ms, r, 2, err);
    if (rc != JOBQ_OK)
        return rc;
    rc = enqueue_partitions_reply(r[1], out, err);
    ask_free(r, 2);
    return rc;
}

/* What came of it. */
struct sent {
    jobq_answer answer;
    bool has_place; /* a plain job: Redis told its entry */
    struct inspect_place place;
};

/* A bare XADD answers with the entry; the script does not tell. */
static void read_place(const struct redisReply *r, const struct shard_keys *k, const jobq_job *job,
                       struct sent *out)
{
    static const enum lane lanes[] = {
        [JOBQ_LANE_NORMAL] = LANE_NORMAL, [JOBQ_LANE_HIGH] = LANE_HIGH, [JOBQ_LANE_LOW] = LANE_LOW};
    const char *entry = NULL;
    size_t len = 0;
    if (enqueue_needs_script(job) || !ask_bytes(r, &entry, &len) ||
        entry_id_parse(entry, len, &out->place.entry) != JOBQ_OK)
        return;
    memcpy(out->place.queue, k->queue, sizeof(out->place.queue));
    out->place.partition = k->partition;
    out->place.where = (int)lanes[job->lane];
    out->has_place = true;
}

/* Once, or twice when the script was not loaded yet. */
static int send_job(const struct inspect *in, const struct shard_keys *k, const jobq_job *job,
                    struct sent *out, jobq_err *err)
{
    for (int load = 0;; load++) {
        struct redisReply *r[2];
        size_t n = load > 0 ? 2 : 1;
        if (load > 0)
            script_load(conn_out(in->conn), SCRIPT_ENQUEUE);
        int rc = enqueue_append(conn_out(in->conn), k, job, &job->id, err);
        if (rc != JOBQ_OK)
            return rc;
        rc = ask_many(in->conn, in->deadline_ms, r, n, err);
        if (rc != JOBQ_OK) {
            bool unsent = !conn_may_have_sent(in->conn);
            out->answer.status = unsent ? JOBQ_STATUS_REJECTED : JOBQ_STATUS_UNKNOWN;
            out->answer.cause = unsent ? JOBQ_CAUSE_UNREACHABLE : JOBQ_CAUSE_NONE;
            return unsent ? rc : JOBQ_EUNKNOWN;
        }
        rc = enqueue_reply(r[n - 1], conn_where(in->conn), &out->answer, err);
        read_place(r[n - 1], k, job, out);
        ask_free(r, n);
        if (rc != JOBQ_ESCRIPT || load > 0)
            return rc;
    }
}

static int enqueue(struct session *s, const jobq_job *job, struct sent *out, jobq_err *err)
{
    struct inspect in;
    struct shard_keys k = {0};
    unsigned partitions = 1;
    const char *unique = job->unique_key;
    out->answer.status = JOBQ_STATUS_REJECTED;
    out->answer.cause = JOBQ_CAUSE_UNREACHABLE;
    int rc = session_redis(s, &in, err);
    if (rc == JOBQ_OK)
        rc = ask_partitions(&in, job->queue, &partitions, err);
    if (rc == JOBQ_OK)
        rc = keys_init(
            &k, in.prefix, job->queue,
            keys_partition(&job->id, unique, unique != NULL ? strlen(unique) : 0, partitions), err);
    if (rc != JOBQ_OK)
        return rc;
    rc = send_job(&in, &k, job, out, err);
    keys_done(&k);
    return rc;
}

/* ---- telling ---- */

static json_t *word_or_null(bool has, const char *word)
{
    return has ? json_string(word) : json_null();
}

static int tell(struct session *s, const struct sent *sent, const char *text, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"id", "id", OUT_TEXT},         {"status", "status", OUT_STATE},
        {"holder", "holder", OUT_TEXT}, {"place", "place", OUT_TEXT},
        {"cause", "cause", OUT_TEXT},
    };
    static const struct out_section section = {"job", columns, ARRAY_LEN(columns), NULL};
    const jobq_answer *answer = &sent->answer;
    char id[JOBQ_ID_TEXT_SIZE], holder[JOBQ_ID_TEXT_SIZE], place[INSPECT_PLACE_SIZE] = "";
    jobq_id_format(&answer->id, id);
    jobq_id_format(&answer->holder, holder);
    if (sent->has_place)
        inspect_place_format(&sent->place, place);
    json_t *job = json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:o}", "id", id, "status", jobq_status_name(answer->status),
        "holder", word_or_null(answer->status == JOBQ_STATUS_DUPLICATE, holder), "place",
        word_or_null(sent->has_place, place), "cause",
        word_or_null(answer->cause != JOBQ_CAUSE_NONE, jobq_cause_name(answer->cause)), "text",
        out_string(text[0] != '\0' ? text : NULL, strlen(text)));
    return out_show(&s->out, json_pack("{s:o}", "job", job), &section, 1, err);
}

int cmd_job_enqueue(struct session *s, const struct args *a, jobq_err *err)
{
    struct buf payload;
    jobq_job job = JOBQ_JOB_INIT;
    struct sent sent = {0};
    jobq_err why = {0};
    buf_init(&payload, JOBQ_PAYLOAD_HARD_MAX);
    int rc = read_job(a, &payload, &job, err);
    if (rc != JOBQ_OK) {
        buf_done(&payload);
        return rc;
    }
    rc = enqueue(s, &job, &sent, &why);
    sent.answer.id = job.id;
    int told = tell(s, &sent, rc != JOBQ_OK ? why.msg : "", err);
    buf_done(&payload);
    if (rc == JOBQ_OK)
        return told;
    if (rc == JOBQ_EREJECTED)
        s->status = jobq_cause_exit_status(sent.answer.cause);
    return error_set(err, rc, "%s: %s",
                     rc == JOBQ_EUNKNOWN ? "not known whether the job was stored" : "not stored",
                     why.msg);
}

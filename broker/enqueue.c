/* SPDX-License-Identifier: MIT */
/*
 * enqueue: see enqueue.h.
 */
#include "broker/enqueue.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "broker/reply.h"
#include "broker/resp.h"
#include "broker/script.h"

#define DELAY_MAX_MS (INT64_C(10) * 366 * 24 * 3600 * 1000)  /* ten years */
#define DUE_MAX_MS INT64_C(253402300799999)                  /* the end of the year 9999 */
#define PREFIX_ROOM 24                                       /* for "$4711\r\n" */

static const char *queue_of(const jobq_job *job)
{
    return job->queue != NULL ? job->queue : "default";
}

/* The payload and its length; looks at no more than max + 1 bytes of a NUL-terminated one. */
static const char *payload_of(const jobq_job *job, size_t max, size_t *len)
{
    if (job->payload == NULL) {
        *len = 2;
        return "{}";
    }
    *len = job->payload_len != 0 ? job->payload_len : strnlen(job->payload, max + 1);
    return job->payload;
}

static bool is_name(const char *name)
{
    return text_is_name(name, strnlen(name, JOBQ_NAME_MAX + 1));
}

static int refuse(jobq_cause *cause, jobq_cause is)
{
    *cause = is;
    return JOBQ_EREJECTED;
}

static int check_names(const jobq_job *job, jobq_cause *cause, jobq_err *err)
{
    if (job->type == NULL || !is_name(job->type)) {
        error_set(err, JOBQ_EREJECTED, "type: %s", job->type == NULL
                      ? "missing" : "must be 1 to 64 of [a-z0-9_.:-]");
        return refuse(cause, JOBQ_CAUSE_BAD_NAME);
    }
    if (!is_name(queue_of(job))) {
        error_set(err, JOBQ_EREJECTED, "queue: must be 1 to 64 of [a-z0-9_.:-]");
        return refuse(cause, JOBQ_CAUSE_BAD_NAME);
    }
    return JOBQ_OK;
}

static int check_payload(const jobq_job *job, size_t max, jobq_cause *cause, jobq_err *err)
{
    size_t len;
    const char *payload = payload_of(job, max, &len);

    if (job->payload == NULL && job->payload_len != 0) {
        error_set(err, JOBQ_EREJECTED, "payload: NULL, yet payload_len is %zu", job->payload_len);
        return refuse(cause, JOBQ_CAUSE_BAD_PAYLOAD);
    }
    if (len > max) {
        error_set(err, JOBQ_EREJECTED,
                  "payload: more than %zu bytes; store it elsewhere and send its name, or raise "
                  "max_payload_bytes", max);
        return refuse(cause, JOBQ_CAUSE_TOO_LARGE);
    }
    if (json_check_object(payload, len, err) != JOBQ_OK) {
        error_prefix(err, "payload: not a JSON object in UTF-8");
        return refuse(cause, JOBQ_CAUSE_BAD_PAYLOAD);
    }
    return JOBQ_OK;
}

/* NULL, or what is wrong with the options. */
static const char *find_bad_option(const jobq_job *job)
{
    if (job->lane < JOBQ_LANE_NORMAL || job->lane > JOBQ_LANE_LOW)
        return "lane: must be JOBQ_LANE_NORMAL, _HIGH or _LOW";
    if (job->delay_ms < 0 || job->delay_ms > DELAY_MAX_MS)
        return "delay_ms: must be from 0 to ten years";
    if (job->due_ms < 0 || job->due_ms > DUE_MAX_MS)
        return "due_ms: must be a Unix time in ms up to the year 9999";
    if (job->delay_ms != 0 && job->due_ms != 0)
        return "delay_ms and due_ms: only one of them may be set";
    if (job->expires_after_ms < 0 || job->expires_after_ms > DELAY_MAX_MS)
        return "expires_after_ms: must be from 0 to ten years";
    if (job->max_attempts > UINT16_MAX)
        return "max_attempts: must be from 1 to 65535";
    if (job->soft_limit_ms != 0 && job->hard_limit_ms != 0 &&
        job->soft_limit_ms > job->hard_limit_ms)
        return "soft_limit_ms: must not be above hard_limit_ms";
    if (job->unique_key == NULL)
        return NULL;
    size_t len = strnlen(job->unique_key, JOBQ_UNIQUE_KEY_MAX + 1);
    size_t bad_at;
    if (len == 0 || len > JOBQ_UNIQUE_KEY_MAX || !text_is_utf8(job->unique_key, len, &bad_at))
        return "unique_key: must be 1 to 255 bytes of UTF-8";
    return NULL;
}

int enqueue_check(const jobq_job *job, size_t max_payload_bytes, jobq_cause *cause, jobq_err *err)
{
    int code = check_names(job, cause, err);

    if (code == JOBQ_OK) {
        const char *wrong = find_bad_option(job);
        if (wrong != NULL) {
            error_set(err, JOBQ_EREJECTED, "%s", wrong);
            code = refuse(cause, JOBQ_CAUSE_BAD_OPTION);
        }
    }
    if (code == JOBQ_OK)
        code = check_payload(job, max_payload_bytes, cause, err);
    if (code != JOBQ_OK && err != NULL)
        err->code = code;
    return code;
}

/* Header of a checked job, whose time of enqueue is its entry's. */
static void make_header(const jobq_job *job, const jobq_id *id, struct job_header *out)
{
    *out = (struct job_header){
        .flags = (uint8_t)job->lane,
        .id = *id,
        .type = job->type,
        .type_len = strlen(job->type),
        .max_attempts = (uint16_t)job->max_attempts,
        .soft_limit_ms = job->soft_limit_ms,
        .hard_limit_ms = job->hard_limit_ms,
        .expires_ms = job->expires_after_ms,
        .unique = job->unique_key,
        .unique_len = job->unique_key != NULL ? strlen(job->unique_key) : 0,
    };
}

bool enqueue_needs_script(const jobq_job *job)
{
    return job->delay_ms > 0 || job->due_ms > 0 || job->unique_key != NULL;
}

/*
 * Appends the packed header as one word. Its length, which stands before it, is known only after:
 * room for the longest prefix is left and the few bytes are moved up, which is cheaper than a
 * buffer of its own.
 */
static void append_header(struct buf *out, const struct job_header *h)
{
    static const char room[PREFIX_ROOM];
    char prefix[PREFIX_ROOM];
    size_t start = out->len;

    buf_append(out, room, sizeof(room));
    codec_encode(h, out);
    if (out->failed)
        return;
    size_t len = out->len - start - sizeof(room);
    size_t n = (size_t)snprintf(prefix, sizeof(prefix), "$%zu\r\n", len);
    memcpy(out->data + start, prefix, n);
    memmove(out->data + start + n, out->data + start + sizeof(room), len);
    out->len = start + n + len;
    buf_append(out, "\r\n", 2);
}

static void append_xadd(struct buf *out, const char *lane, const struct job_header *h,
                        const char *payload, size_t payload_len)
{
    static const char id_and_h[] = "$1\r\n*\r\n$1\r\nh\r\n";
    static const char p[] = "$1\r\np\r\n";

    resp_begin(out, 7);
    resp_bytes(out, "XADD", 4);
    resp_str(out, lane);
    buf_append(out, id_and_h, sizeof(id_and_h) - 1);
    append_header(out, h);
    buf_append(out, p, sizeof(p) - 1);
    resp_bytes(out, payload, payload_len);
}

/* The order of keys and arguments is enqueue.lua's. */
static void append_script(struct buf *out, const struct shard_keys *k, const jobq_job *job,
                          const struct job_header *h, const char *payload, size_t payload_len)
{
    char id[JOBQ_ID_TEXT_SIZE];
    char unique[KEYS_MAX];
    const char *when = job->delay_ms > 0 ? "in" : job->due_ms > 0 ? "at" : "now";

    jobq_id_format(&h->id, id);
    script_call(out, SCRIPT_ENQUEUE, h->unique_len > 0 ? 4 : 3, 7);
    resp_str(out, k->lanes[keys_lane_of_flags(h->flags)]);
    resp_str(out, k->later);
    resp_str(out, k->held);
    if (h->unique_len > 0)
        resp_bytes(out, unique, keys_unique(k, h->unique, h->unique_len, unique, sizeof(unique)));
    resp_str(out, id);
    append_header(out, h);
    resp_bytes(out, payload, payload_len);
    resp_str(out, when);
    resp_int(out, job->delay_ms > 0 ? job->delay_ms : job->due_ms);
    resp_str(out, k->wake);
    resp_str(out, h->unique_len > 0 ? "1" : "0");
}

int enqueue_append(struct buf *out, const struct shard_keys *k, const jobq_job *job,
                   const jobq_id *id, jobq_err *err)
{
    struct job_header h;
    size_t start = out->len;
    size_t payload_len;
    const char *payload = payload_of(job, JOBQ_PAYLOAD_HARD_MAX, &payload_len);

    if (out->failed)
        return error_set(err, JOBQ_ENOMEM, "no memory for a job of %zu bytes", payload_len);
    make_header(job, id, &h);
    if (enqueue_needs_script(job))
        append_script(out, k, job, &h, payload, payload_len);
    else
        append_xadd(out, k->lanes[keys_lane_of_flags(h.flags)], &h, payload, payload_len);
    if (out->failed) {
        /* Half a command must not be sent; what stands before it is whole. */
        out->len = start;
        out->failed = false;
        return error_set(err, JOBQ_ENOMEM, "no memory for a job of %zu bytes", payload_len);
    }
    return JOBQ_OK;
}

/* The end of "Redis at X …", what is wrong and how to mend it; NULL where Redis's own words say it
 * better. */
static const char *words_for(jobq_cause cause)
{
    switch (cause) {
    case JOBQ_CAUSE_READ_ONLY:
        return "is a read-only replica: connect to the master";
    case JOBQ_CAUSE_OUT_OF_MEMORY:
        return "is out of memory: raise its maxmemory, or let the workers catch up";
    case JOBQ_CAUSE_CANNOT_PERSIST:
        return "cannot write to its disk: free space there and read its log (MISCONF)";
    case JOBQ_CAUSE_NO_REPLICAS:
        return "has too few replicas (min-replicas-to-write): bring one back";
    case JOBQ_CAUSE_LOADING:
        return "is still loading its data: try again later";
    case JOBQ_CAUSE_BUSY:
        return "is busy with a long script: try again later";
    default:
        return NULL;
    }
}

/* What a producer reads: what, where, how to mend. */
static void explain(jobq_cause cause, const char *redis_text, const char *where, jobq_err *out)
{
    const char *words = words_for(cause);

    if (words != NULL)
        error_set(out, JOBQ_EREJECTED, "Redis at %s %s", where, words);
    else if (cause == JOBQ_CAUSE_PERMISSION)
        error_set(out, JOBQ_EREJECTED, "Redis at %s: %s: give its user these rights (ACL SETUSER)",
                  where, redis_text);
    else
        error_set(out, JOBQ_EREJECTED, "Redis at %s: %s", where, redis_text);
}

static int fill_failure(jobq_answer *answer, int code, jobq_cause cause, const char *redis_text,
                        const char *where, jobq_err *err)
{
    jobq_err text = {0};

    explain(cause, redis_text, where, &text);
    answer->status = code == JOBQ_EREJECTED ? JOBQ_STATUS_REJECTED : JOBQ_STATUS_UNKNOWN;
    answer->cause = cause;
    text_sanitize(text.msg, strlen(text.msg), answer->text, sizeof(answer->text));
    return error_set(err, code, "%s", text.msg);
}

/* An error that a command inside the script met: Redis adds the script and the line. */
static bool is_raised_in_script(const struct redisReply *r)
{
    return memmem(r->str, (size_t)r->len, " script: ", 9) != NULL;
}

static int read_error(const struct redisReply *r, const char *where, jobq_answer *answer,
                      jobq_err *err)
{
    size_t len = (size_t)r->len;
    jobq_cause cause = reply_cause(r->str, len);

    if (reply_classify(r->str, len) == REPLY_NOSCRIPT)
        return error_set(err, JOBQ_ESCRIPT, "Redis at %s does not know the script %s", where,
                         script_word(SCRIPT_ENQUEUE));
    /* Half way through a script something may have been written already. */
    return fill_failure(answer, is_raised_in_script(r) ? JOBQ_EUNKNOWN : JOBQ_EREJECTED, cause,
                        r->str, where, err);
}

static int fill_success(jobq_answer *answer, jobq_status status)
{
    answer->status = status;
    answer->cause = JOBQ_CAUSE_NONE;
    answer->text[0] = '\0';
    return JOBQ_OK;
}

int enqueue_reply(const struct redisReply *r, const char *where, jobq_answer *answer, jobq_err *err)
{
    const char *holder;
    size_t len;
    char text[JOBQ_ID_TEXT_SIZE];

    if (r->type == REDIS_REPLY_ERROR)
        return read_error(r, where, answer, err);
    if (r->type == REDIS_REPLY_STRING) /* the entry's id */
        return fill_success(answer, JOBQ_STATUS_OK);
    if (reply_is_word(r, 0, "OK"))
        return fill_success(answer, JOBQ_STATUS_OK);
    if (reply_is_word(r, 0, "DUPLICATE") && reply_bytes(r, 1, &holder, &len) &&
        len == sizeof(text) - 1) {
        memcpy(text, holder, len + 1);
        if (jobq_id_parse(text, &answer->holder, NULL) == JOBQ_OK)
            return fill_success(answer, JOBQ_STATUS_DUPLICATE);
    }
    return fill_failure(answer, JOBQ_EUNKNOWN, JOBQ_CAUSE_SERVER,
                        "an answer that no Redis gives; is a proxy in between?", where, err);
}

void enqueue_register_queue(struct buf *out, const char *prefix, const char *queue,
                            unsigned partitions)
{
    char key[KEYS_MAX];

    keys_queues(prefix, key, sizeof(key));
    resp_begin(out, 4);
    resp_str(out, "HSETNX");
    resp_str(out, key);
    resp_str(out, queue);
    resp_int(out, partitions);
    resp_command(out, "HGET", key, queue, (char *)NULL);
}

int enqueue_partitions_reply(const struct redisReply *r, unsigned *partitions, jobq_err *err)
{
    int64_t n = 0;

    if (r->type == REDIS_REPLY_ERROR)
        return error_set(err, JOBQ_EREDIS, "%s", r->str);
    if (r->type != REDIS_REPLY_STRING || text_parse_int(r->str, &n) != JOBQ_OK || n < 1 ||
        n > KEYS_PARTITIONS_MAX)
        return error_set(err, JOBQ_EPROTO, "not a number of partitions from 1 to %d",
                         KEYS_PARTITIONS_MAX);
    *partitions = (unsigned)n;
    return JOBQ_OK;
}

/* SPDX-License-Identifier: MIT */
/* job_json: see job_json.h. */
#include "admin/jobctl/job_json.h"

#include <string.h>

#include "admin/jobctl/out.h"
#include "base/mem.h"
#include "base/text.h"
#include "broker/inspect.h"

/* Bytes that are not text are shown as so many hex digits at most. */
#define HEX_MAX 65536

static void set(json_t *o, const char *key, json_t *value)
{
    json_object_set_new(o, key, value);
}

static json_t *positive(int64_t n)
{
    return n > 0 ? json_integer(n) : json_null();
}

static json_t *hex_string(const char *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = MIN(len, (size_t)HEX_MAX / 2);
    char *text = mem_alloc(2 * n + 1);
    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[(uint8_t)bytes[i] >> 4];
        text[2 * i + 1] = digits[(uint8_t)bytes[i] & 15];
    }
    json_t *s = json_stringn(text, 2 * n);
    mem_free(text);
    return s;
}

static void set_payload(json_t *o, const struct inspect_job *j)
{
    bool is_text = j->payload != NULL && text_is_utf8(j->payload, j->payload_len, NULL);
    bool is_bytes = j->payload != NULL && !is_text;
    set(o, "payload_bytes",
        j->payload != NULL ? json_integer((json_int_t)j->payload_len) : json_null());
    set(o, "payload", is_text ? json_stringn(j->payload, j->payload_len) : json_null());
    set(o, "payload_hex", is_bytes ? hex_string(j->payload, j->payload_len) : json_null());
}

static int64_t enqueued_ms(const struct inspect_job *j)
{
    if (j->header.enqueued_ms > 0)
        return j->header.enqueued_ms;
    /* The entry's own time counts as long as it is the first one: in the lane it was enqueued
     * to. */
    return j->readable == CODEC_OK && j->place.where < LANE_COUNT ? (int64_t)j->place.entry.ms : -1;
}

static void set_identity(json_t *o, const struct inspect_job *j)
{
    char id[JOBQ_ID_TEXT_SIZE], place[INSPECT_PLACE_SIZE];
    const struct job_header *h = &j->header;
    inspect_place_format(&j->place, place);
    if (j->has_id)
        jobq_id_format(&j->id, id);
    set(o, "id", j->has_id ? json_string(id) : json_null());
    set(o, "state", json_string(inspect_state_name(j->state)));
    set(o, "place", json_string(place));
    set(o, "queue", json_string(j->place.queue));
    set(o, "type", out_string(h->type, h->type_len));
    set(o, "attempts", json_integer(h->attempts));
    set(o, "enqueued_ms", positive(enqueued_ms(j)));
    set(o, "died_ms",
        j->state == INSPECT_IS_DEAD ? json_integer((json_int_t)j->place.entry.ms) : json_null());
    set(o, "reason", out_string(j->reason, j->reason_len));
    set(o, "by", out_string(j->by, j->by_len));
    /* A dead letter has its last failure in a field of its own, any other job in its header. */
    set(o, "error",
        j->error != NULL ? out_string(j->error, j->error_len) : out_string(h->error, h->error_len));
}

json_t *job_json_brief(const struct inspect_job *j)
{
    json_t *o = json_object();
    if (o == NULL)
        return NULL;
    set_identity(o, j);
    set(o, "payload_bytes",
        j->payload != NULL ? json_integer((json_int_t)j->payload_len) : json_null());
    return o;
}

static void set_standing(json_t *o, const struct inspect_job *j)
{
    set(o, "lane",
        j->readable == CODEC_OK ? json_string(keys_lane_name(keys_lane_of_flags(j->header.flags)))
                                : json_null());
    set(o, "owner",
        j->state == INSPECT_CLAIMED ? out_string(j->owner, strlen(j->owner)) : json_null());
    set(o, "claimed_for_ms", out_time(j->idle_ms));
    set(o, "due_ms", out_time(j->due_ms));
}

json_t *job_json_row(const struct inspect_job *j)
{
    json_t *o = job_json_brief(j);
    if (o == NULL)
        return NULL;
    set_standing(o, j);
    set(o, "since_ms",
        j->state != INSPECT_DELAYED ? json_integer((json_int_t)j->place.entry.ms) : json_null());
    return o;
}

json_t *job_json(const struct inspect_job *j)
{
    static const char *const readable[] = {
        [CODEC_OK] = NULL, [CODEC_NEWER] = "of a newer format", [CODEC_CORRUPT] = "not readable"};
    const struct job_header *h = &j->header;
    const char *header = readable[j->readable];
    json_t *o = json_object();
    if (o == NULL)
        return NULL;
    set_identity(o, j);
    set(o, "header", header != NULL ? json_string(header) : json_null());
    set_standing(o, j);
    set(o, "max_attempts", positive(h->max_attempts));
    set(o, "crashes", json_integer(h->crashes));
    set(o, "losses", json_integer(h->losses));
    set(o, "releases", json_integer(h->releases));
    set(o, "exhausted", json_boolean((h->flags & CODEC_FLAG_EXHAUSTED) != 0));
    set(o, "soft_limit_ms", positive(h->soft_limit_ms));
    set(o, "hard_limit_ms", positive(h->hard_limit_ms));
    set(o, "expires_ms", positive(h->expires_ms));
    set(o, "unique", out_string(h->unique, h->unique_len));
    set_payload(o, j);
    return o;
}

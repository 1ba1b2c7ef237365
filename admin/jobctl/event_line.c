/* SPDX-License-Identifier: MIT */
/* event_line: see event_line.h. */
#include "admin/jobctl/event_line.h"

#include <inttypes.h>
#include <string.h>

#include "admin/jobctl/out.h"
#include "base/buf.h"
#include "base/text.h"
#include "broker/keys.h"

#define TIME_FROM 11 /* of "2026-01-02T03:04:05.678Z" */
#define TIME_LEN 12

static const char *colour_of(const char *word)
{
    static const struct {
        const char *word, *colour;
    } colours[] = {
        {"started", "\033[36m"},  {"succeeded", "\033[32m"}, {"retried", "\033[33m"},
        {"snoozed", "\033[33m"},  {"released", "\033[33m"},  {"parked", "\033[33m"},
        {"crashed", "\033[31m"},  {"dead", "\033[31m"},      {"expired", "\033[31m"},
        {"corrupt", "\033[31m"},  {"fenced", "\033[31m"},    {"reaped", "\033[31m"},
        {"unparked", "\033[32m"}, {"skipped", "\033[7m"},    {"operator", "\033[35m"},
        {"dropped", "\033[31m"},
    };
    for (size_t i = 0; i < ARRAY_LEN(colours); i++) {
        if (strcmp(colours[i].word, word) == 0)
            return colours[i].colour;
    }
    return NULL;
}

/* The text padded to so many columns, and two more. */
static void put_padded(struct buf *b, const char *text, size_t len, size_t columns,
                       const char *colour)
{
    size_t at = b->len;
    if (colour != NULL)
        buf_append_str(b, colour);
    size_t from = b->len;
    out_visible(b, text, len);
    size_t width = b->len > from ? out_width(b->data + from, b->len - from) : 0;
    if (colour != NULL)
        buf_append_str(b, "\033[0m");
    if (b->len > at)
        buf_appendf(b, "%*s", (int)(MAX(columns, width) - width + 2), "");
}

static void put_member(struct buf *b, const json_t *event, const char *name, size_t columns)
{
    const json_t *value = json_object_get(event, name);
    if (json_is_string(value))
        put_padded(b, json_string_value(value), json_string_length(value), columns, NULL);
    else
        put_padded(b, "-", 1, columns, NULL);
}

static void put_time(struct buf *b, const json_t *event)
{
    char text[64] = "";
    const json_t *at = json_object_get(event, "at");
    if (json_is_integer(at))
        text_format_time(json_integer_value(at), text, sizeof(text));
    bool whole = strlen(text) >= TIME_FROM + TIME_LEN;
    buf_appendf(b, "%-*.*s  ", TIME_LEN, TIME_LEN, whole ? text + TIME_FROM : "-");
}

static void put_duration(struct buf *b, const json_t *event, const char *name, const char *before)
{
    char text[64];
    const json_t *value = json_object_get(event, name);
    if (!json_is_integer(value))
        return;
    text_format_duration(MAX(json_integer_value(value), (json_int_t)0), text, sizeof(text));
    buf_appendf(b, "  %s %s", before, text);
}

static void put_count(struct buf *b, const json_t *event, const char *name, int64_t above)
{
    const json_t *value = json_object_get(event, name);
    if (json_is_integer(value) && json_integer_value(value) > above)
        buf_appendf(b, "  %s %" PRId64, name, (int64_t)json_integer_value(value));
}

static void put_text(struct buf *b, const json_t *event, const char *name, const char *before)
{
    const json_t *value = json_object_get(event, name);
    if (!json_is_string(value) || json_string_length(value) == 0)
        return;
    buf_appendf(b, "  %s", before);
    out_visible(b, json_string_value(value), json_string_length(value));
}

void event_line_text(struct buf *b, const json_t *event, const struct shard_keys *k, bool colour)
{
    const char *word = json_string_value(json_object_get(event, "event"));
    put_time(b, event);
    put_padded(b, word, strlen(word), 9, colour ? colour_of(word) : NULL);
    put_padded(b, k->queue, strlen(k->queue), 8, NULL);
    if (json_object_get(event, "id") != NULL || json_object_get(event, "type") != NULL) {
        put_member(b, event, "type", 14);
        put_member(b, event, "id", 36);
    }
    while (b->len > 0 && b->data[b->len - 1] == ' ')
        b->data[--b->len] = '\0';
    put_text(b, event, "action", "");
    put_count(b, event, "attempt", 1);
    put_count(b, event, "jobs", -1);
    put_count(b, event, "events", -1);
    put_text(b, event, "victim", "of ");
    put_duration(b, event, "wait_ms", "waited");
    put_duration(b, event, "run_ms", "ran");
    put_duration(b, event, "delay_ms", "again in");
    put_text(b, event, "reason", "");
    put_text(b, event, "worker", "by ");
    put_text(b, event, "by", "by ");
    put_text(b, event, "command", "");
    put_text(b, event, "note", "for ");
    put_text(b, event, "text", "");
    buf_append_char(b, '\n');
}

static int append_chunk(const char *bytes, size_t len, void *ctx)
{
    struct buf *b = ctx;
    buf_append(b, bytes, len);
    return b->failed ? -1 : 0;
}

void event_line_json(struct buf *b, json_t *event, const struct shard_keys *k)
{
    json_object_set_new(event, "queue", json_string(k->queue));
    json_object_set_new(event, "partition", json_integer(k->partition));
    if (json_dump_callback(event, append_chunk, b, JSON_COMPACT | JSON_ENSURE_ASCII) != 0)
        b->failed = true;
    buf_append_char(b, '\n');
}

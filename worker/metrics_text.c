/* SPDX-License-Identifier: MIT */
/*
 * metrics_text: the exposition format, and the table as a document. Names of labels are taken from
 * the table, so that code and documents cannot differ.
 */
#include <string.h>

#include "base/buf.h"
#include "worker/metrics.h"

static const struct metric table[METRIC_COUNT_] = {
#define METRIC(id, kind, name, unit, labels, help)                                                 \
    [METRIC_##id] = {METRIC_##kind, (name), (unit), (labels), (help)},
#include "worker/metrics.def"
#undef METRIC
};

static const char *const kind_words[] = {
    [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

const struct metric *metrics_describe(enum metric_id id)
{
    ASSERT((unsigned)id < METRIC_COUNT_);
    return &table[id];
}

/* Backslash and line feed as \\ and \n; in a label also the quote. */
static void put_escaped(struct buf *b, const char *text, bool is_label)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\\')
            buf_append_str(b, "\\\\");
        else if (*p == '\n')
            buf_append_str(b, "\\n");
        else if (*p == '"' && is_label)
            buf_append_str(b, "\\\"");
        else
            buf_append_char(b, *p);
    }
}

void metrics_put_head(struct buf *b, enum metric_id id)
{
    const struct metric *m = metrics_describe(id);
    buf_appendf(b, "# HELP %s ", m->name);
    put_escaped(b, m->help, false);
    buf_appendf(b, "\n# TYPE %s %s\n", m->name, kind_words[m->kind]);
}

/* name_suffix{label="value",… without the closing brace; true: there is an opening one. */
static bool put_labels(struct buf *b, const struct metric *m, const char *suffix, va_list values)
{
    bool any = false;
    va_list rest;
    buf_append_str(b, m->name);
    buf_append_str(b, suffix);
    va_copy(rest, values);
    for (const char *label = m->labels; *label;) {
        size_t n = strcspn(label, " ");
        const char *value = va_arg(rest, const char *);
        ASSERT(value != NULL);
        buf_append_char(b, any ? ',' : '{');
        buf_append(b, label, n);
        buf_append_str(b, "=\"");
        put_escaped(b, value, true);
        buf_append_char(b, '"');
        any = true;
        label += n + (label[n] == ' ');
    }
    ASSERT(va_arg(rest, const char *) == NULL);
    va_end(rest);
    return any;
}

/* Digits without the cost of a format: a scrape has thousands of them. */
static void put_digits(struct buf *b, uint64_t n)
{
    char text[24], *at = text + sizeof(text);
    do
        *--at = (char)('0' + n % 10);
    while (n /= 10);
    buf_append(b, at, (size_t)(text + sizeof(text) - at));
}

static void put_seconds(struct buf *b, uint64_t us)
{
    put_digits(b, us / 1000000);
    if (us % 1000000 == 0)
        return;
    char fraction[8];
    uint64_t rest = us % 1000000;
    size_t n = 7;
    fraction[0] = '.';
    for (size_t i = 6; i > 0; i--, rest /= 10)
        fraction[i] = (char)('0' + rest % 10);
    while (fraction[n - 1] == '0')
        n--;
    buf_append(b, fraction, n);
}

static void put_sample(struct buf *b, const struct metric *m, int64_t n, bool micro, va_list values)
{
    if (put_labels(b, m, "", values))
        buf_append_char(b, '}');
    buf_append_char(b, ' ');
    if (n < 0)
        buf_append_char(b, '-');
    uint64_t size = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    if (micro)
        put_seconds(b, size);
    else
        put_digits(b, size);
    buf_append_char(b, '\n');
}

void metrics_put_number(struct buf *b, enum metric_id id, int64_t n, ...)
{
    va_list values;
    va_start(values, n);
    put_sample(b, metrics_describe(id), n, false, values);
    va_end(values);
}

void metrics_put_micro(struct buf *b, enum metric_id id, int64_t n, ...)
{
    va_list values;
    va_start(values, n);
    put_sample(b, metrics_describe(id), n, true, values);
    va_end(values);
}

static void put_bucket(struct buf *b, const struct metric *m, const char *bound, size_t bound_len,
                       uint64_t count, va_list values)
{
    bool any = put_labels(b, m, "_bucket", values);
    buf_append_str(b, any ? ",le=\"" : "{le=\"");
    buf_append(b, bound, bound_len);
    buf_append_str(b, "\"} ");
    put_digits(b, count);
    buf_append_char(b, '\n');
}

static void put_sum_or_count(struct buf *b, const struct metric *m, bool sum, uint64_t n,
                             va_list values)
{
    if (put_labels(b, m, sum ? "_sum" : "_count", values))
        buf_append_char(b, '}');
    buf_append_char(b, ' ');
    if (sum)
        put_seconds(b, n);
    else
        put_digits(b, n);
    buf_append_char(b, '\n');
}

void metrics_put_histogram(struct buf *b, enum metric_id id, const struct histogram *h, ...)
{
    const struct metric *m = metrics_describe(id);
    struct buf bound;
    uint64_t count = 0;
    va_list values;
    va_start(values, h);
    buf_init(&bound, 32);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        count += h->buckets[i];
        buf_clear(&bound);
        put_seconds(&bound, (uint64_t)histogram_bound_us(i));
        if (bound.failed)
            b->failed = true;
        else
            put_bucket(b, m, bound.data, bound.len, count, values);
    }
    count += h->buckets[HISTOGRAM_BUCKETS];
    put_bucket(b, m, "+Inf", 4, count, values);
    put_sum_or_count(b, m, true, h->sum_us, values);
    put_sum_or_count(b, m, false, count, values);
    buf_done(&bound);
    va_end(values);
}

/* ---- the document ---- */

void metrics_print_markdown(FILE *out)
{
    fputs("# Metrics of jobd\n\n"
          "<!-- Made by `jobd --print-metrics` from worker/metrics.def. -->\n\n"
          "What `/metrics` tells (see `http` in [options](options.md)). Histograms have buckets "
          "whose bounds double, from 0.1 ms\n"
          "to 14.9 h. Labels take few values: `queue` is a queue of the configuration, `type` one "
          "that a loaded module serves;\n"
          "everything else is `other`.\n\n"
          "| name | kind | unit | labels | |\n|---|---|---|---|---|\n",
          out);
    for (size_t i = 0; i < METRIC_COUNT_; i++) {
        const struct metric *m = &table[i];
        fprintf(out, "| `%s` | %s | %s | %s | %s |\n", m->name, kind_words[m->kind],
                strcmp(m->unit, "none") == 0 ? "" : m->unit, m->labels, m->help);
    }
}

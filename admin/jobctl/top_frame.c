/* SPDX-License-Identifier: MIT */
/*
 * top_frame: see top_frame.h. A table has its columns in the order in which they are shown; those
 * that a narrow terminal has no room for go by their rank.
 */
#include "admin/jobctl/top_frame.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/jobctl/out.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

#define CELL_MAX 300
#define FIRST_MIN 8 /* columns of a name */
#define COLUMNS_MAX 16

/* ---- orders ---- */

static const struct {
    char key;
    const char *name, *member;
} orders[] = {
    {'n', "queue", NULL},
    {'w', "waiting", "waiting"},
    {'r', "running", "claimed"},
    {'z', "delayed", "delayed"},
    {'d', "dead", "dead"},
    {'t', "done", "succeeded_per_minute"},
    {'f', "failed", "failed_per_minute"},
    {'l', "latency", "run_p95_ms"},
    {'o', "oldest", "oldest_ms"},
};

const char *top_order_name(size_t order)
{
    return order < ARRAY_LEN(orders) ? orders[order].name : NULL;
}

int top_order_of_key(char key)
{
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        if (orders[i].key == key)
            return (int)i;
    }
    return -1;
}

int top_order_of_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        if (strcmp(orders[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

struct sorting {
    const char *member; /* NULL: by name */
    const char *name;
    bool reversed;
};

static int compare_rows(const void *a, const void *b, void *ctx)
{
    const struct sorting *s = ctx;
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int order = 0;
    if (s->member != NULL) {
        const json_t *m = json_object_get(x, s->member), *n = json_object_get(y, s->member);
        json_int_t p = json_is_integer(m) ? json_integer_value(m) : -1;
        json_int_t q = json_is_integer(n) ? json_integer_value(n) : -1;
        order = (p < q) - (p > q);
    }
    if (order == 0) {
        const char *m = json_string_value(json_object_get(x, s->name));
        const char *n = json_string_value(json_object_get(y, s->name));
        order = strcmp(m != NULL ? m : "", n != NULL ? n : "");
    }
    return s->reversed ? -order : order;
}

static void sort_rows(json_t *root, const char *list, struct sorting s)
{
    json_t *rows = json_object_get(root, list);
    size_t n = json_array_size(rows);
    json_t **all = mem_zalloc(n + 1, sizeof(*all)), *sorted = json_array();
    for (size_t i = 0; all != NULL && i < n; i++)
        all[i] = json_array_get(rows, i);
    if (all != NULL && n > 0) {
        qsort_r(all, n, sizeof(*all), compare_rows, &s);
        for (size_t i = 0; i < n; i++)
            json_array_append(sorted, all[i]);
        json_object_set(root, list, sorted);
    }
    json_decref(sorted);
    mem_free(all);
}

/* ---- cells ---- */

/* Bytes of text that is safe to show which take at most so many columns. */
static size_t cut_columns(const char *text, size_t len, size_t columns)
{
    size_t at = 0;
    while (at < len) {
        size_t next = at + 1;
        while (next < len && ((unsigned char)text[next] & 0xc0) == 0x80)
            next++;
        if (out_width(text, next) > columns)
            break;
        at = next;
    }
    return at;
}

/* The text in exactly so many columns, its end replaced by … where it is too long. */
static void put_cell(struct buf *b, const char *text, size_t len, size_t columns, bool right,
                     const char *colour)
{
    size_t width = out_width(text, len), cut = len;
    bool long_one = width > columns;
    if (long_one) {
        cut = cut_columns(text, len, columns - 1);
        width = out_width(text, cut) + 1;
    }
    if (right)
        buf_appendf(b, "%*s", (int)(columns - width), "");
    buf_append_str(b, colour != NULL ? colour : "");
    buf_append(b, text, cut);
    buf_append_str(b, long_one ? "…" : "");
    buf_append_str(b, colour != NULL ? "\033[0m" : "");
    if (!right)
        buf_appendf(b, "%*s", (int)(columns - width), "");
}

/* A line of text, cut, with its end. */
static void put_line(struct buf *b, const char *text, const struct top_view *view,
                     const char *colour)
{
    size_t len = strlen(text), width = out_width(text, len);
    put_cell(b, text, len, MIN(width, (size_t)view->columns), false, view->colour ? colour : NULL);
    buf_append_char(b, '\n');
}

struct column {
    struct out_column c;
    unsigned width;
    int rank;         /* 0: always; else the higher go first */
    const char *warn; /* its colour when it is not 0 */
};

/* Large numbers as 12.3M, so that they keep their columns. */
static void put_value(struct buf *b, const json_t *row, const struct out_column *c)
{
    static const struct {
        double from;
        char unit;
    } units[] = {{1e12, 'T'}, {1e9, 'G'}, {1e6, 'M'}};
    const json_t *value = json_object_get(row, c->key);
    double n = json_is_integer(value) ? (double)json_integer_value(value) : 0;
    for (size_t i = 0; c->kind == OUT_NUMBER && i < ARRAY_LEN(units); i++) {
        if (n >= units[i].from) {
            buf_appendf(b, "%.1f%c", n / units[i].from, units[i].unit);
            return;
        }
    }
    out_value(b, row, c, CELL_MAX);
}

static const char *colour_of(const json_t *row, const struct column *c, const char *text,
                             size_t len)
{
    if (c->c.kind == OUT_STATE)
        return out_colour(text, len);
    return json_integer_value(json_object_get(row, c->c.key)) > 0 ? c->warn : NULL;
}

/* Which columns there is room for; the width of the first, which takes what is left. */
static size_t choose(const struct column *columns, size_t n, unsigned room, bool *shown)
{
    size_t used = 0;
    int worst = 0;
    for (size_t i = 0; i < n; i++) {
        shown[i] = true;
        worst = MAX(worst, columns[i].rank);
        used += i > 0 ? columns[i].width + 1 : 0;
    }
    for (; worst > 0 && used + FIRST_MIN > room; worst--) {
        for (size_t i = 1; i < n; i++) {
            if (columns[i].rank == worst) {
                shown[i] = false;
                used -= columns[i].width + 1;
            }
        }
    }
    return used + FIRST_MIN > room ? FIRST_MIN : MIN(room - used, (size_t)columns[0].width);
}

struct table {
    const char *list;
    const struct column *columns;
    size_t n;
    const char *empty;
};

static void put_row(struct buf *b, const json_t *row, const struct table *t, const bool *shown,
                    size_t first, const struct top_view *view)
{
    struct buf cell;
    buf_init(&cell, CELL_MAX * 4);
    for (size_t i = 0; i < t->n; i++) {
        const struct column *c = &t->columns[i];
        bool right = c->c.kind != OUT_TEXT && c->c.kind != OUT_STATE;
        if (!shown[i])
            continue;
        buf_clear(&cell);
        if (row != NULL)
            put_value(&cell, row, &c->c);
        else
            buf_append_str(&cell, c->c.header);
        const char *text = cell.data != NULL ? cell.data : "";
        const char *colour = row != NULL && view->colour ? colour_of(row, c, text, cell.len) : NULL;
        if (i > 0)
            buf_append_char(b, ' ');
        put_cell(b, text, cell.len, i == 0 ? first : c->width, right, colour);
    }
    buf_done(&cell);
    while (b->len > 0 && b->data[b->len - 1] == ' ')
        b->data[--b->len] = '\0';
}

/* The header and at most so many rows from one on; the last line tells how many are left out. */
static void put_table(struct buf *b, const json_t *model, const struct table *t, size_t from,
                      size_t rows_max, const struct top_view *view)
{
    bool shown[COLUMNS_MAX];
    const json_t *rows = json_object_get(model, t->list);
    size_t n = json_array_size(rows), first = choose(t->columns, t->n, view->columns, shown);
    from = MIN(from, n > rows_max ? n - rows_max : 0);
    size_t end = MIN(n, from + rows_max);
    if (view->colour)
        buf_append_str(b, "\033[1m");
    put_row(b, NULL, t, shown, first, view);
    buf_append_str(b, view->colour ? "\033[0m\n" : "\n");
    if (n == 0)
        put_line(b, t->empty, view, NULL);
    for (size_t i = from; i < end; i++) {
        char more[64];
        bool last = i + 1 == end && end < n && rows_max > 1;
        snprintf(more, sizeof(more), "… %zu more", n - i);
        if (last)
            put_line(b, more, view, NULL);
        else
            put_row(b, json_array_get(rows, i), t, shown, first, view);
        if (!last)
            buf_append_char(b, '\n');
    }
}

/* ---- the tables ---- */

#define RED "\033[31m"
#define YELLOW "\033[33m"

static const struct column queue_columns[] = {
    {{"queue", "QUEUE", OUT_TEXT}, 32, 0, NULL},
    {{"waiting", "WAITING", OUT_NUMBER}, 8, 0, NULL},
    {{"claimed", "RUNNING", OUT_NUMBER}, 7, 0, NULL},
    {{"delayed", "DELAYED", OUT_NUMBER}, 7, 2, NULL},
    {{"parked", "PARKED", OUT_NUMBER}, 7, 6, YELLOW},
    {{"dead", "DEAD", OUT_NUMBER}, 6, 0, RED},
    {{"succeeded_per_minute", "DONE/M", OUT_NUMBER}, 7, 0, NULL},
    {{"failed_per_minute", "FAIL/M", OUT_NUMBER}, 7, 1, YELLOW},
    {{"run_p50_ms", "RUN P50", OUT_DURATION}, 8, 3, NULL},
    {{"run_p95_ms", "RUN P95", OUT_DURATION}, 8, 1, NULL},
    {{"wait_p50_ms", "WAIT P50", OUT_DURATION}, 8, 4, NULL},
    {{"wait_p95_ms", "WAIT P95", OUT_DURATION}, 8, 4, NULL},
    {{"oldest_ms", "OLDEST", OUT_DURATION}, 8, 4, NULL},
    {{"workers", "WORKERS", OUT_NUMBER}, 7, 5, NULL},
};

static const struct column worker_columns[] = {
    {{"worker", "WORKER", OUT_TEXT}, 48, 0, NULL},
    {{"state", "STATE", OUT_STATE}, 6, 0, NULL},
    {{"work", "WORK", OUT_STATE}, 9, 1, NULL},
    {{"executors_busy", "BUSY", OUT_NUMBER}, 4, 0, NULL},
    {{"executors", "OF", OUT_NUMBER}, 4, 0, NULL},
    {{"claimed", "CLAIMED", OUT_NUMBER}, 7, 2, NULL},
    {{"succeeded_per_minute", "DONE/M", OUT_NUMBER}, 7, 0, NULL},
    {{"failed_per_minute", "FAIL/M", OUT_NUMBER}, 7, 3, YELLOW},
    {{"mean_run_ms", "MEAN RUN", OUT_DURATION}, 8, 5, NULL},
    {{"mean_wait_ms", "MEAN WAIT", OUT_DURATION}, 9, 5, NULL},
    {{"memory_bytes", "MEMORY", OUT_SIZE}, 8, 1, NULL},
    {{"up_ms", "UP", OUT_DURATION}, 8, 4, NULL},
    {{"version", "VERSION", OUT_TEXT}, 8, 6, NULL},
};

static const struct column job_columns[] = {
    {{"type", "RUNS LONGEST", OUT_TEXT}, 32, 0, NULL},
    {{"age_ms", "AGE", OUT_DURATION}, 8, 0, NULL},
    {{"id", "ID", OUT_TEXT}, 36, 1, NULL},
    {{"queue", "QUEUE", OUT_TEXT}, 16, 2, NULL},
    {{"attempt", "ATTEMPT", OUT_NUMBER}, 7, 3, NULL},
    {{"pid", "PID", OUT_NUMBER}, 8, 4, NULL},
    {{"worker", "WORKER", OUT_TEXT}, 48, 5, NULL},
};

static const struct table queue_table = {"queues", queue_columns, ARRAY_LEN(queue_columns),
                                         "no queues"};
static const struct table worker_table = {"workers", worker_columns, ARRAY_LEN(worker_columns),
                                          "no workers"};
static const struct table job_table = {"running", job_columns, ARRAY_LEN(job_columns),
                                       "no job runs"};

/* ---- the picture ---- */

static int64_t number(const json_t *object, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(object, name));
}

static void put_head(struct buf *b, const json_t *model, const struct top_view *view)
{
    char time[64], line[512];
    struct buf where;
    const json_t *t = json_object_get(model, "totals"), *redis = json_object_get(model, "redis");
    buf_init(&where, sizeof(line));
    out_visible(&where, json_string_value(redis), json_string_length(redis));
    text_format_time(number(model, "at_ms"), time, sizeof(time));
    snprintf(line, sizeof(line), "jobctl top  %.8s UTC  by %s%s%s%s%s  %.200s",
             strlen(time) > 19 ? time + 11 : "", top_order_name(view->sort),
             view->reversed ? ", reversed" : "", view->every != NULL ? "  every " : "",
             view->every != NULL ? view->every : "", view->paused ? "  PAUSED" : "",
             where.data != NULL ? where.data : "");
    put_line(b, line, view, view->paused ? "\033[33m" : "\033[36m");
    snprintf(line, sizeof(line),
             "%" PRId64 " queues: %" PRId64 " waiting, %" PRId64 " running, %" PRId64
             " dead; %" PRId64 "/min done, %" PRId64 "/min failed",
             number(t, "queues"), number(t, "waiting"), number(t, "claimed"), number(t, "dead"),
             number(t, "succeeded_per_minute"), number(t, "failed_per_minute"));
    put_line(b, line, view, NULL);
    snprintf(line, sizeof(line),
             "%" PRId64 " workers: %" PRId64 " alive; %" PRId64 " of %" PRId64 " executors busy",
             number(t, "workers"), number(t, "workers_alive"), number(t, "executors_busy"),
             number(t, "executors"));
    put_line(b, line, view, NULL);
    buf_append_char(b, '\n');
    buf_done(&where);
}

static void put_help(struct buf *b, const struct top_view *view)
{
    static const char *const lines[] = {
        "Sort by   n name     w waiting   r running   z delayed   d dead",
        "          t done/min f failed/min l latency (run p95)    o oldest",
        "          s, S: the next, the one before    R: the other way round",
        "",
        "p, space  pause: the picture stays as it is",
        "Enter     look now",
        "k, j      up and down in the list of queues (arrows too)",
        "h, ?      this help, and away with it",
        "q         quit (Ctrl-C too)",
        "",
        "Rates are of the last minute. P50, P95: half of the runs, or of the",
        "waits before them, took no longer; 95 of 100 took no longer.",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines) && (view->lines == 0 || i + 5 < view->lines); i++)
        put_line(b, lines[i], view, NULL);
}

static void put_foot(struct buf *b, const struct top_view *view)
{
    char line[256];
    if (view->fault != NULL)
        snprintf(line, sizeof(line), "old picture: %s", view->fault);
    else
        snprintf(line, sizeof(line), "q quit  p pause  s sort  R reverse  h help");
    put_line(b, line, view, view->fault != NULL ? RED : "\033[2m");
}

static size_t lines_in(const struct buf *b, size_t from)
{
    size_t n = 0;
    for (size_t i = from; i < b->len; i++)
        n += b->data[i] == '\n';
    return n;
}

/* Workers get what they need up to a third, queues what they need of the rest, running jobs what is
 * left. */
static void put_tables(struct buf *b, const json_t *model, const struct top_view *view, size_t from)
{
    size_t queues = MAX(json_array_size(json_object_get(model, "queues")), (size_t)1);
    size_t workers = MAX(json_array_size(json_object_get(model, "workers")), (size_t)1);
    size_t jobs = json_array_size(json_object_get(model, "running")), spare = SIZE_MAX;
    if (view->lines > 0) {
        size_t taken = 4 + 1 + 3; /* head, foot, two headers and a gap */
        size_t room = view->lines > taken + 2 ? view->lines - taken : 2;
        size_t for_workers = MIN(workers, MAX(room / 3, (size_t)1));
        queues = MIN(queues, room - for_workers);
        workers = MIN(workers, room - queues);
        spare = room - queues - workers;
    }
    put_table(b, model, &queue_table, view->scroll, queues, view);
    buf_append_char(b, '\n');
    put_table(b, model, &worker_table, 0, workers, view);
    if (spare > 2 && jobs > 0) {
        buf_append_char(b, '\n');
        put_table(b, model, &job_table, 0, MIN(jobs, spare - 2), view);
    }
    while (view->lines > 0 && lines_in(b, from) + 1 < view->lines)
        buf_append_char(b, '\n');
}

void top_frame(struct buf *b, json_t *model, const struct top_view *view)
{
    size_t from = b->len;
    const char *member = orders[view->sort].member;
    const json_t *worker = json_array_get(json_object_get(model, "workers"), 0);
    bool has = member != NULL && json_object_get(worker, member) != NULL;
    sort_rows(model, "queues", (struct sorting){member, "queue", view->reversed});
    sort_rows(model, "workers", (struct sorting){has ? member : NULL, "worker", view->reversed});
    sort_rows(model, "running", (struct sorting){"age_ms", "id", false});
    put_head(b, model, view);
    if (view->help) {
        put_help(b, view);
        while (view->lines > 0 && lines_in(b, from) + 1 < view->lines)
            buf_append_char(b, '\n');
    } else {
        put_tables(b, model, view, from);
    }
    if (view->lines > 0)
        put_foot(b, view);
}

/* SPDX-License-Identifier: MIT */
/* top: percentiles, and pictures for terminals of every size. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "admin/jobctl/out.h"
#include "admin/jobctl/top_frame.h"
#include "admin/jobctl/top_model.h"
#include "base/buf.h"
#include "broker/inspect.h"

Test(top, percentile_is_estimated_within_its_bucket)
{
    int64_t none[INSPECT_BUCKETS] = {0};
    int64_t even[INSPECT_BUCKETS] = {[4] = 100}; /* above 8, at most 16 ms */
    int64_t two[INSPECT_BUCKETS] = {[0] = 90, [10] = 10};
    int64_t last[INSPECT_BUCKETS] = {[INSPECT_BUCKETS - 1] = 1};
    cr_assert_eq(top_model_percentile(none, 50), -1);
    cr_assert_eq(top_model_percentile(even, 50), 12);
    cr_assert_eq(top_model_percentile(even, 100), 16);
    cr_assert_eq(top_model_percentile(two, 50), 1);
    cr_assert_eq(top_model_percentile(two, 95), 768);
    cr_assert_eq(top_model_percentile(last, 100), INT64_C(1) << (INSPECT_BUCKETS - 1));
}

static json_t *model(size_t queues, size_t workers)
{
    json_t *root =
        json_pack("{s:I, s:s, s:{s:i}, s:[], s:[], s:[]}", "at_ms", 1790000000000LL, "redis",
                  "10.0.0.1:6379/0", "totals", "queues", 3, "queues", "workers", "running");
    for (size_t i = 0; i < queues; i++) {
        char name[40];
        snprintf(name, sizeof(name), "queue-%03zu", i);
        json_array_append_new(json_object_get(root, "queues"),
                              json_pack("{s:s, s:I, s:I, s:b}", "queue", name, "waiting",
                                        (json_int_t)(i % 7) * 300000, "dead", (json_int_t)i,
                                        "waiting_exact", 0));
    }
    for (size_t i = 0; i < workers; i++) {
        const char *name = i == 0 ? "\x1b[31m\u202e\u6f22\u5b57\u6f22\u5b57\u6f22\u5b57\u6f22\u5b57"
                                  : "web-4f2a-77-aa";
        json_array_append_new(json_object_get(root, "workers"),
                              json_pack("{s:s, s:s, s:I}", "worker", name, "state", "alive",
                                        "memory_bytes", (json_int_t)INT64_MAX));
        json_array_append_new(
            json_object_get(root, "running"),
            json_pack("{s:s, s:s, s:I}", "id", "x", "type", name, "age_ms", (json_int_t)INT64_MAX));
    }
    return root;
}

/* Each line fits, there are as many as the terminal has, and no control character is among them. */
static void check_fits(const char *text, unsigned columns, unsigned lines)
{
    unsigned n = 0;
    for (const char *at = text; *at != '\0'; n++) {
        const char *end = strchr(at, '\n');
        size_t len = (size_t)(end - at);
        cr_assert(out_width(at, len) <= columns, "%ux%u: %.*s", columns, lines, (int)len, at);
        cr_assert(memchr(at, '\033', len) == NULL);
        at = end + 1;
    }
    cr_assert(lines == 0 || n == lines, "%ux%u: %u lines\n%s", columns, lines, n, text);
}

Test(top, picture_fits_every_terminal)
{
    static const size_t counts[][2] = {{0, 0}, {3, 1}, {200, 1}, {1, 100}, {200, 100}};
    for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
        for (unsigned columns = 40; columns <= 240; columns += 8) {
            for (unsigned lines = 14; lines <= 60; lines += 23) {
                struct buf b;
                json_t *root = model(counts[c][0], counts[c][1]);
                struct top_view view = {
                    .columns = columns, .lines = lines, .sort = 1, .every = "2s", .scroll = 5};
                buf_init(&b, 1 << 20);
                top_frame(&b, root, &view);
                cr_assert(!b.failed);
                check_fits(b.data, columns, lines);
                view.help = true;
                buf_clear(&b);
                top_frame(&b, root, &view);
                check_fits(b.data, columns, lines);
                buf_done(&b);
                json_decref(root);
            }
        }
    }
}

/* The queue in the first row. */
static void expect_first(const struct top_view *view, const char *queue)
{
    struct buf b;
    json_t *root = model(20, 2);
    buf_init(&b, 1 << 20);
    top_frame(&b, root, view);
    const char *row = strchr(strstr(b.data, "QUEUE "), '\n') + 1;
    cr_assert(strncmp(row, queue, strlen(queue)) == 0, "not %s: %.60s", queue, row);
    buf_done(&b);
    json_decref(root);
}

Test(top, rows_are_sorted_by_the_order_asked_for)
{
    struct top_view view = {.columns = 100, .sort = (size_t)top_order_of_key('n')};
    expect_first(&view, "queue-000");
    view.reversed = true;
    expect_first(&view, "queue-019");
    view = (struct top_view){.columns = 100, .sort = (size_t)top_order_of_name("waiting")};
    expect_first(&view, "queue-006");
    view.sort = (size_t)top_order_of_key('d');
    expect_first(&view, "queue-019");
    cr_assert_eq(top_order_of_key('#'), -1);
    cr_assert_eq(top_order_of_name("nothing"), -1);
    size_t n = 0;
    for (const char *at = TOP_ORDERS; *at != '\0'; n++) {
        size_t len = strcspn(at, " ");
        const char *name = top_order_name(n);
        cr_assert(strlen(name) == len && memcmp(name, at, len) == 0, "%s", at);
        at += len + (at[len] == ' ');
    }
    cr_assert_null(top_order_name(n));
}

/* SPDX-License-Identifier: MIT */
/* Histograms, the exposition format, the table of metrics. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "worker/metrics.h"

static struct buf out;

static void start(void)
{
    buf_init(&out, 1 << 20);
}

static void end(void)
{
    buf_done(&out);
}

TestSuite(metrics, .init = start, .fini = end);

static unsigned bucket_of(int64_t us)
{
    struct histogram h = {.sum_us = 0};
    histogram_note(&h, us);
    for (unsigned i = 0; i <= HISTOGRAM_BUCKETS; i++)
        if (h.buckets[i])
            return i;
    return HISTOGRAM_BUCKETS + 1;
}

Test(metrics, sort_times_into_buckets_that_include_their_bound)
{
    cr_assert_eq(bucket_of(-1), 0u);
    cr_assert_eq(bucket_of(0), 0u);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        cr_assert_eq(bucket_of(histogram_bound_us(i)), i);
        cr_assert_eq(bucket_of(histogram_bound_us(i) + 1), i + 1);
    }
    cr_assert_eq(bucket_of(INT64_MAX), (unsigned)HISTOGRAM_BUCKETS);
}

Test(metrics, add_up_what_was_noted)
{
    struct histogram h = {.sum_us = 0};
    histogram_note(&h, 150);
    histogram_note(&h, 250);
    histogram_note(&h, -100);
    cr_assert_eq(h.sum_us, 400u);
}

Test(metrics, write_help_and_type_once_a_name)
{
    metrics_put_head(&out, METRIC_EXECUTORS_WANTED);
    cr_assert_str_eq(out.data, "# HELP jobq_executors_wanted Executors to keep running.\n"
                               "# TYPE jobq_executors_wanted gauge\n");
}

Test(metrics, escape_the_values_of_labels)
{
    metrics_put_number(&out, METRIC_BUILD_INFO, 1, "a\\b\"c\nd", "\xc3\xa4", NULL);
    cr_assert_str_eq(out.data,
                     "jobq_build_info{version=\"a\\\\b\\\"c\\nd\",instance=\"\xc3\xa4\"} 1\n");
}

Test(metrics, write_numbers_without_loss)
{
    metrics_put_number(&out, METRIC_FENCED, INT64_MAX, NULL);
    metrics_put_number(&out, METRIC_FENCED, INT64_MIN, NULL);
    metrics_put_micro(&out, METRIC_CPU, 0, NULL);
    metrics_put_micro(&out, METRIC_CPU, 1, NULL);
    metrics_put_micro(&out, METRIC_CPU, -1500000, NULL);
    metrics_put_micro(&out, METRIC_CPU, 12000000, NULL);
    metrics_put_micro(&out, METRIC_CPU, 1000100, NULL);
    cr_assert_str_eq(out.data, "jobq_fenced_total 9223372036854775807\n"
                               "jobq_fenced_total -9223372036854775808\n"
                               "process_cpu_seconds_total 0\n"
                               "process_cpu_seconds_total 0.000001\n"
                               "process_cpu_seconds_total -1.5\n"
                               "process_cpu_seconds_total 12\n"
                               "process_cpu_seconds_total 1.0001\n");
}

Test(metrics, write_histograms_as_running_sums)
{
    struct histogram h = {.sum_us = 0};
    histogram_note(&h, 100);
    histogram_note(&h, 150);
    histogram_note(&h, INT64_C(1) << 50);
    metrics_put_histogram(&out, METRIC_JOB_RUN, &h, "q", "t", NULL);
    const char *line = out.data;
    unsigned lines = 0;
    for (; *line; line = strchr(line, '\n') + 1)
        lines++;
    cr_assert_eq(lines, HISTOGRAM_BUCKETS + 3u);
    static const char first[] =
        "jobq_job_run_seconds_bucket{queue=\"q\",type=\"t\",le=\"0.0001\"} 1\n"
        "jobq_job_run_seconds_bucket{queue=\"q\",type=\"t\",le=\"0.0002\"} 2\n";
    cr_assert_eq(strncmp(out.data, first, sizeof(first) - 1), 0, "%s", out.data);
    cr_assert(strstr(out.data, "le=\"53687.0912\"} 2\n"), "%s", out.data);
    cr_assert(strstr(out.data, "le=\"+Inf\"} 3\n"));
    cr_assert(
        strstr(out.data, "jobq_job_run_seconds_sum{queue=\"q\",type=\"t\"} 1125899906.842874\n"),
        "%s", out.data);
    cr_assert(strstr(out.data, "jobq_job_run_seconds_count{queue=\"q\",type=\"t\"} 3\n"));
}

Test(metrics, write_a_histogram_without_labels)
{
    struct histogram h = {.sum_us = 0};
    metrics_put_histogram(&out, METRIC_REDIS_ROUND_TRIP, &h, NULL);
    cr_assert(strstr(out.data, "jobq_redis_round_trip_seconds_bucket{le=\"0.0001\"} 0\n"));
    cr_assert(strstr(out.data, "jobq_redis_round_trip_seconds_sum 0\n"));
}

Test(metrics, say_when_there_is_no_memory)
{
    struct buf small;
    buf_init(&small, 40);
    metrics_put_head(&small, METRIC_JOBS);
    cr_assert(small.failed);
    buf_done(&small);
}

/* ---- the table ---- */

static bool ends_with(const char *text, const char *end_of_it)
{
    size_t n = strlen(text), k = strlen(end_of_it);
    return n >= k && strcmp(text + n - k, end_of_it) == 0;
}

static bool is_label_list(const char *labels)
{
    for (const char *p = labels; *p; p++)
        if (!islower((unsigned char)*p) && !(*p == ' ' && p > labels && p[1]))
            return false;
    return strstr(labels, "  ") == NULL;
}

/* https://prometheus.io/docs/practices/naming/ */
Test(metrics, are_named_by_the_conventions)
{
    for (enum metric_id i = 0; i < METRIC_COUNT_; i++) {
        const struct metric *m = metrics_describe(i);
        const char *name = m->name;
        cr_assert(strncmp(name, "jobq_", 5) == 0 || strncmp(name, "process_", 8) == 0, "%s", name);
        cr_assert_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name), "%s", name);
        cr_assert_eq(m->kind == METRIC_COUNTER, ends_with(name, "_total"), "%s", name);
        cr_assert(strcmp(m->unit, "seconds") != 0 || strstr(name, "_seconds"), "%s", name);
        cr_assert(strcmp(m->unit, "bytes") != 0 || strstr(name, "_bytes"), "%s", name);
        cr_assert(m->kind != METRIC_HISTOGRAM || ends_with(name, "_seconds"), "%s", name);
        cr_assert(is_label_list(m->labels), "%s: %s", name, m->labels);
        cr_assert_gt(strlen(m->help), 8u, "%s", name);
        cr_assert_eq(m->help[strlen(m->help) - 1], '.', "%s", name);
        for (enum metric_id k = 0; k < i; k++)
            cr_assert_str_neq(name, metrics_describe(k)->name);
    }
}

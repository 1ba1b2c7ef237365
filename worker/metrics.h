/* SPDX-License-Identifier: MIT */
/*
 * metrics: the numbers of /metrics, counted where things happen as plain additions, written as
 * Prometheus text (exposition format 0.0.4) when somebody asks. Names, units and help come from the
 * one table, metrics.def.
 *
 * A series for a queue and a type begins with the first job of that type there; both are names that
 * this jobd was told or has loaded, never a stranger's. Lives as long as the supervisor. Single
 * thread.
 */
#ifndef WORKER_METRICS_H
#define WORKER_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jobq/job.h>

#include "base/base.h"
#include "broker/keys.h"
#include "broker/publish.h"
#include "worker/histogram.h"

struct buf;
struct map;
struct shard;
struct supervisor;

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum metric_id {
#define METRIC(id, kind, name, unit, labels, help) METRIC_##id,
#include "worker/metrics.def"
#undef METRIC
    METRIC_COUNT_
};

struct metric {
    enum metric_kind kind;
    const char *name, *unit, *labels, *help;
};
const struct metric *metrics_describe(enum metric_id id);
/* docs/metrics.md. */
void metrics_print_markdown(FILE *out);

/* What becomes of a job; enum claim_count and success. */
enum metrics_outcome {
    OUTCOME_RETRIED,
    OUTCOME_SNOOZED,
    OUTCOME_CRASHED,
    OUTCOME_RELEASED,
    OUTCOME_DEAD,
    OUTCOME_EXPIRED,
    OUTCOME_CORRUPT,
    OUTCOME_PARKED,
    OUTCOME_SUCCEEDED,
    OUTCOME_COUNT
};
const char *metrics_outcome_word(enum metrics_outcome o);

/* Of one type in one queue. */
struct metrics_series {
    char queue[JOBQ_NAME_MAX + 1];
    char type[JOBQ_NAME_MAX + 1];
    size_t type_len;
    uint64_t outcomes[OUTCOME_COUNT];
    struct histogram wait, run;
};

/* Part of a shard. */
struct shard_numbers {
    uint64_t claimed[LANE_COUNT];
    uint64_t merged, stale, abandoned, peers_fenced, reaped, moved, unparked, dropped;
    struct metrics_series *newest; /* the one used last: most jobs of a queue are of few types */
    struct publish_depth depth;
    bool depth_known;
};

enum { METRICS_LINKS = 3 }; /* command, reader, subscriber */

/* Part of the supervisor. */
struct metrics {
    struct map *by_name; /* struct metrics_series by queue, NUL, type */
    uint64_t children_stored, children_duplicate;
    uint64_t links_lost[METRICS_LINKS];
    uint64_t redis_errors;
    uint64_t fenced;
    uint64_t reloads, reloads_refused;
    struct histogram round_trip;
    /* depths are asked for only while somebody scrapes */
    bool scraped, depths_asked;
    int64_t scraped_ms, depths_due_ms;
};

MUST_CHECK int metrics_init(struct supervisor *s, jobq_err *err);
void metrics_done(struct supervisor *s);
/* That of a job; type_len 0: of what has no readable type. NULL when out of memory. */
struct metrics_series *metrics_series_of(struct supervisor *s, const char *queue, const char *type,
                                         size_t type_len);
/* When the command connection is up, at the end of a turn: asks for depths if that is due. */
void metrics_run(struct supervisor *s, int64_t now_ms);
int64_t metrics_due_ms(const struct supervisor *s);
void metrics_down(struct supervisor *s); /* the connection broke */
/* All of it, as text; out->failed when there was no memory. */
void metrics_write(struct supervisor *s, struct buf *out);

/* ---- metrics_text.c: the format ---- */
/* HELP and TYPE. */
void metrics_put_head(struct buf *b, enum metric_id id);
/* One sample; values of its labels in the order of the table, ended by NULL. */
void metrics_put_number(struct buf *b, enum metric_id id, int64_t n, ...) __attribute__((sentinel));
/* n millionths. */
void metrics_put_micro(struct buf *b, enum metric_id id, int64_t n, ...) __attribute__((sentinel));
void metrics_put_histogram(struct buf *b, enum metric_id id, const struct histogram *h, ...)
    __attribute__((sentinel));

#endif

/* SPDX-License-Identifier: MIT */
/* cmd_queue: jobctl queue list and queue show. Purging is in cmd_purge.c. */
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/session.h"
#include "base/error.h"
#include "broker/inspect_audit.h"

/* Sums of the partitions of one queue. */
struct queue_row {
    const char *name;
    int64_t partitions;
    struct inspect_shard sum;
    int64_t oldest_ms;
};

static void add_shard(struct queue_row *row, const struct inspect_shard *s)
{
    if (row->partitions++ == 0) {
        row->sum.next_due_ms = -1;
        row->oldest_ms = -1;
        for (int lane = 0; lane < LANE_COUNT; lane++)
            row->sum.lanes[lane].exact = true;
    }
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        const struct inspect_lane *l = &s->lanes[lane];
        row->sum.lanes[lane].waiting += l->waiting;
        row->sum.lanes[lane].claimed += l->claimed;
        row->sum.lanes[lane].exact = row->sum.lanes[lane].exact && l->exact;
        if (l->oldest_ms >= 0 && (row->oldest_ms < 0 || l->oldest_ms < row->oldest_ms))
            row->oldest_ms = l->oldest_ms;
    }
    row->sum.delayed += s->delayed;
    row->sum.dead += s->dead;
    row->sum.parked += s->parked;
    row->sum.workers = MAX(row->sum.workers, s->workers);
    if (s->next_due_ms >= 0 && (row->sum.next_due_ms < 0 || s->next_due_ms < row->sum.next_due_ms))
        row->sum.next_due_ms = s->next_due_ms;
}

static json_t *lanes_json(const struct inspect_shard *s)
{
    json_t *lanes = json_object();
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        json_object_set_new(lanes, keys_lane_name((enum lane)lane),
                            json_pack("{s:I, s:I}", "waiting", (json_int_t)s->lanes[lane].waiting,
                                      "claimed", (json_int_t)s->lanes[lane].claimed));
    }
    return lanes;
}

static json_t *row_json(const struct queue_row *row, int64_t now_ms)
{
    int64_t waiting = 0, claimed = 0;
    bool exact = true;
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        waiting += row->sum.lanes[lane].waiting;
        claimed += row->sum.lanes[lane].claimed;
        exact = exact && row->sum.lanes[lane].exact;
    }
    int64_t age = row->oldest_ms < 0 ? -1 : MAX(now_ms - row->oldest_ms, 0);
    return json_pack("{s:s, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "queue",
                     row->name, "partitions", (json_int_t)row->partitions, "waiting",
                     (json_int_t)waiting, "waiting_exact", (int)exact, "claimed",
                     (json_int_t)claimed, "delayed", (json_int_t)row->sum.delayed, "parked",
                     (json_int_t)row->sum.parked, "dead", (json_int_t)row->sum.dead, "workers",
                     (json_int_t)row->sum.workers, "oldest_ms", out_time(age), "next_due_ms",
                     out_time(row->sum.next_due_ms), "lanes", lanes_json(&row->sum));
}

static int look(const struct inspect *in, const struct session_shards *shards, int64_t now_ms,
                json_t *rows, jobq_err *err)
{
    struct queue_row row = {0};
    for (size_t i = 0; i < shards->n; i++) {
        struct inspect_shard s;
        int rc = inspect_shard(in, &shards->keys[i], &s, err);
        if (rc != JOBQ_OK)
            return rc;
        if (shards->keys[i].partition == 0)
            row = (struct queue_row){.name = shards->keys[i].queue};
        add_shard(&row, &s);
        bool last = i + 1 == shards->n || shards->keys[i + 1].partition == 0;
        if (last && json_array_append_new(rows, row_json(&row, now_ms)) != 0)
            return error_set(err, JOBQ_ENOMEM, "no memory for the list of queues");
    }
    return JOBQ_OK;
}

int cmd_queue_list(struct session *s, const struct args *a, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"queue", "QUEUE", OUT_TEXT},          {"partitions", "PARTITIONS", OUT_NUMBER},
        {"waiting", "WAITING", OUT_NUMBER},    {"claimed", "CLAIMED", OUT_NUMBER},
        {"delayed", "DELAYED", OUT_NUMBER},    {"parked", "PARKED", OUT_NUMBER},
        {"dead", "DEAD", OUT_NUMBER},          {"workers", "WORKERS", OUT_NUMBER},
        {"oldest_ms", "OLDEST", OUT_DURATION}, {"next_due_ms", "NEXT DUE", OUT_TIME},
    };
    static const struct out_section section = {
        "queues", columns, ARRAY_LEN(columns),
        "no queues: nothing was enqueued yet, and no worker came"};
    struct inspect in;
    struct inspect_server server;
    struct session_shards shards = {0};
    json_t *rows = json_array();
    int rc = session_redis(s, &in, err);
    if (rc == JOBQ_OK)
        rc = inspect_server(&in, &server, err);
    if (rc == JOBQ_OK)
        rc = session_shards(&in, args_value(a, "queue"), &shards, err);
    if (rc == JOBQ_OK)
        rc = look(&in, &shards, server.clock_ms, rows, err);
    session_shards_free(&shards);
    if (rc != JOBQ_OK) {
        json_decref(rows);
        return rc;
    }
    return out_show(&s->out, json_pack("{s:o}", "queues", rows), &section, 1, err);
}

/* ---- one queue ---- */

static void add_lanes(struct queue_row *row, const struct inspect_shard *s)
{
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        int64_t *oldest = &row->sum.lanes[lane].oldest_ms, now = s->lanes[lane].oldest_ms;
        if (row->partitions == 0)
            *oldest = -1;
        if (now >= 0 && (*oldest < 0 || now < *oldest))
            *oldest = now;
    }
    add_shard(row, s);
}

static json_t *lane_rows(const struct queue_row *row, int64_t now_ms)
{
    json_t *rows = json_array();
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        const struct inspect_lane *l = &row->sum.lanes[lane];
        json_array_append_new(
            rows, json_pack("{s:s, s:I, s:b, s:I, s:o}", "lane", keys_lane_name((enum lane)lane),
                            "waiting", (json_int_t)l->waiting, "waiting_exact", (int)l->exact,
                            "claimed", (json_int_t)l->claimed, "oldest_ms",
                            out_time(l->oldest_ms < 0 ? -1 : MAX(now_ms - l->oldest_ms, 0))));
    }
    return rows;
}

/* Of one partition: what queue list says of a queue. */
static int add_partition(const struct shard_keys *k, const struct inspect_shard *s, int64_t now_ms,
                         json_t *rows, jobq_err *err)
{
    struct queue_row one = {.name = k->queue};
    add_shard(&one, s);
    json_t *row = row_json(&one, now_ms);
    json_object_del(row, "queue");
    json_object_del(row, "partitions");
    json_object_set_new(row, "partition", json_integer(k->partition));
    return json_array_append_new(rows, row) == 0
               ? JOBQ_OK
               : error_set(err, JOBQ_ENOMEM, "no memory for the list of partitions");
}

static int add_books(const struct inspect *in, const struct shard_keys *k,
                     struct inspect_books *sum, jobq_err *err)
{
    struct inspect_books books;
    int rc = inspect_books(in, k, &books, err);
    if (rc != JOBQ_OK)
        return rc;
    sum->purged += books.purged;
    sum->died += books.died;
    sum->dead += books.dead;
    sum->revived += books.revived;
    sum->discarded += books.discarded;
    sum->dropped += books.dropped;
    sum->settled = sum->settled && books.settled;
    return JOBQ_OK;
}

/* Unaccounted: neither jobctl nor jobd deleted them, and they are not there. */
static json_t *books_json(const struct inspect_books *b)
{
    int64_t gone = b->died - b->dead - b->revived - b->discarded - b->dropped;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:I}", "died", (json_int_t)b->died, "dead",
                     (json_int_t)b->dead, "revived", (json_int_t)b->revived, "discarded",
                     (json_int_t)b->discarded, "dropped", (json_int_t)b->dropped, "unaccounted",
                     b->settled ? json_integer(gone) : json_null(), "purged",
                     (json_int_t)b->purged);
}

static int show_queue(struct session *s, const struct queue_row *row, int64_t now_ms,
                      json_t *partitions, const struct inspect_books *books, jobq_err *err)
{
    static const struct out_column book_fields[] = {
        {"died", "dead letters ever", OUT_NUMBER},
        {"revived", "of them retried", OUT_NUMBER},
        {"discarded", "of them discarded", OUT_NUMBER},
        {"dropped", "of them dropped by jobd", OUT_COUNT},
        {"unaccounted", "of them unaccounted for", OUT_COUNT},
        {"purged", "purged", OUT_COUNT},
    };
    static const struct out_column fields[] = {
        {"queue", "queue", OUT_TEXT},          {"partitions", "partitions", OUT_NUMBER},
        {"waiting", "waiting", OUT_NUMBER},    {"claimed", "claimed", OUT_NUMBER},
        {"delayed", "delayed", OUT_NUMBER},    {"parked", "parked", OUT_NUMBER},
        {"dead", "dead", OUT_NUMBER},          {"workers", "workers", OUT_NUMBER},
        {"oldest_ms", "oldest", OUT_DURATION}, {"next_due_ms", "next due", OUT_TIME},
    };
    static const struct out_column lanes[] = {
        {"lane", "LANE", OUT_TEXT},
        {"waiting", "WAITING", OUT_NUMBER},
        {"claimed", "CLAIMED", OUT_NUMBER},
        {"oldest_ms", "OLDEST", OUT_DURATION},
    };
    static const struct out_column columns[] = {
        {"partition", "PARTITION", OUT_NUMBER}, {"waiting", "WAITING", OUT_NUMBER},
        {"claimed", "CLAIMED", OUT_NUMBER},     {"delayed", "DELAYED", OUT_NUMBER},
        {"parked", "PARKED", OUT_NUMBER},       {"dead", "DEAD", OUT_NUMBER},
        {"workers", "WORKERS", OUT_NUMBER},     {"oldest_ms", "OLDEST", OUT_DURATION},
        {"next_due_ms", "NEXT DUE", OUT_TIME},
    };
    static const struct out_section sections[] = {
        {"queue", fields, ARRAY_LEN(fields), NULL},
        {"lanes", lanes, ARRAY_LEN(lanes), NULL},
        {"partitions", columns, ARRAY_LEN(columns), NULL},
        {"books", book_fields, ARRAY_LEN(book_fields), NULL},
    };
    json_t *queue = row_json(row, now_ms);
    json_object_del(queue, "lanes");
    json_t *root =
        json_pack("{s:o, s:o, s:o, s:o}", "queue", queue, "lanes", lane_rows(row, now_ms),
                  "partitions", partitions, "books", books_json(books));
    return out_show(&s->out, root, sections, ARRAY_LEN(sections), err);
}

int cmd_queue_show(struct session *s, const struct args *a, jobq_err *err)
{
    struct inspect in;
    struct inspect_server server;
    struct session_shards shards = {0};
    struct queue_row row = {.name = a->operands[0]};
    struct inspect_books books = {.settled = true};
    json_t *partitions = json_array();
    int rc = session_redis(s, &in, err);
    if (rc == JOBQ_OK)
        rc = inspect_server(&in, &server, err);
    if (rc == JOBQ_OK)
        rc = session_shards(&in, a->operands[0], &shards, err);
    for (size_t i = 0; rc == JOBQ_OK && i < shards.n; i++) {
        struct inspect_shard shard;
        rc = inspect_shard(&in, &shards.keys[i], &shard, err);
        if (rc != JOBQ_OK)
            break;
        add_lanes(&row, &shard);
        rc = add_partition(&shards.keys[i], &shard, server.clock_ms, partitions, err);
        if (rc == JOBQ_OK)
            rc = add_books(&in, &shards.keys[i], &books, err);
    }
    session_shards_free(&shards);
    if (rc != JOBQ_OK) {
        json_decref(partitions);
        return rc;
    }
    return show_queue(s, &row, server.clock_ms, partitions, &books, err);
}

/* SPDX-License-Identifier: MIT */
/*
 * Shares: lanes within a queue, queues beside each other, by weight and strictly. One executor that
 * takes one job at a time makes the order of starts the order of claims.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/behaviour/behaviour.h"

#define EACH 100

static const char *const names[] = {"recovered", "high", "normal", "low"};

/* EACH jobs in each lane, before any worker is there; each lane's write to a file of its own and to
 * one they share. */
static void fill_lanes(struct scene *s)
{
    static const jobq_lane lanes[] = {JOBQ_LANE_HIGH, JOBQ_LANE_NORMAL, JOBQ_LANE_LOW};
    char *payload = strdup(fmt("{\"file\":\"%s/order\"}", tmp_dir()));

    for (size_t i = 0; i < EACH; i++) {
        entry_add(s, "ready:recovered", (struct job_header){.max_attempts = 1000}, "mark", payload);
        for (size_t k = 0; k < 3; k++) {
            jobq_job job = JOBQ_JOB_INIT;
            job.type = "mark";
            job.payload = payload;
            job.lane = lanes[k];
            scene_enqueue_job(s, &job);
        }
    }
    free(payload);
}

/* The lane of each id: from the ends of the streams, before they are worked off. */
struct plan {
    char *ids[4]; /* all ids of the lane, one behind the other */
};

static void learn_ids(struct scene *s, struct plan *p)
{
    for (size_t lane = 0; lane < 4; lane++) {
        size_t first =
            (size_t)redis_int(s->redis, "XLEN jobq:{default:0}:ready:%s", names[lane]) - EACH;
        p->ids[lane] = calloc(EACH, JOBQ_ID_TEXT_SIZE);
        if (!p->ids[lane])
            abort();
        for (size_t i = 0; i < EACH; i++) {
            struct entry *e = entry_at(s, fmt("ready:%s", names[lane]), first + i);
            memcpy(p->ids[lane] + i * (JOBQ_ID_TEXT_SIZE - 1), id_text(&e->header.id),
                   JOBQ_ID_TEXT_SIZE - 1);
            entry_free(e);
        }
    }
}

static size_t lane_of(const struct plan *p, const char *line)
{
    for (size_t lane = 0; lane < 4; lane++)
        if (memmem(p->ids[lane], (size_t)EACH * (JOBQ_ID_TEXT_SIZE - 1), line,
                   JOBQ_ID_TEXT_SIZE - 1))
            return lane;
    fail_test("an id that nobody enqueued: %.36s", line);
}

/* How many of each lane are among the lines [from, to) of the common file. */
static void count_shares(const struct plan *p, size_t from, size_t to, int shares[4])
{
    char *text = read_file(fmt("%s/order", tmp_dir()));
    size_t n = 0;

    memset(shares, 0, 4 * sizeof(shares[0]));
    for (const char *line = text; line && *line; line += strcspn(line, "\n") + 1, n++)
        if (n >= from && n < to)
            shares[lane_of(p, line)]++;
    free(text);
}

static void forget_ids(struct plan *p)
{
    for (size_t lane = 0; lane < 4; lane++)
        free(p->ids[lane]);
}

/* G18: while all lanes have work they share 8 : 4 : 2 : 1, and none starves. */
Test(priority, lanes_share_by_weight)
{
    static const int wanted[] = {32, 16, 8, 4};
    struct scene *s = scene_new(0);
    struct plan p;
    int shares[4];

    fill_lanes(s);
    learn_ids(s, &p);
    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .extra = "prefetch_time = 0;"});
    wait_lines(fmt("%s/order", tmp_dir()), 4 * EACH, 30000);
    scene_wait_drained(s, 20000);
    count_shares(&p, 0, 60, shares);
    for (size_t lane = 0; lane < 4; lane++)
        cr_assert(abs(shares[lane] - wanted[lane]) <= 2,
                  "of the first 60: %d recovered, %d high, %d normal, %d low", shares[0], shares[1],
                  shares[2], shares[3]);
    /* Each gets at least half its share in every stretch in which all have work. */
    for (size_t from = 0; from + 30 <= 150; from += 30) {
        count_shares(&p, from, from + 30, shares);
        cr_assert_geq(shares[3], 1, "low starves between %zu and %zu", from, from + 30);
        cr_assert_geq(shares[2], 2);
    }
    forget_ids(&p);
    scene_drain(s, 0);
    scene_free(s);
}

/* lane_order = "strict": nothing of a lower lane starts while there is something in a higher one.
 */
Test(priority, lanes_may_be_strict)
{
    struct scene *s = scene_new(0);
    struct plan p;
    int shares[4];

    fill_lanes(s);
    learn_ids(s, &p);
    scene_jobd(s, 0,
               (struct jobd_options){.executors = 1,
                                     .extra = "prefetch_time = 0; lane_order = \"strict\";"});
    wait_lines(fmt("%s/order", tmp_dir()), 4 * EACH, 30000);
    scene_wait_drained(s, 20000);
    for (size_t lane = 0; lane < 4; lane++) {
        count_shares(&p, lane * EACH, (lane + 1) * EACH, shares);
        cr_assert_eq(shares[lane], EACH, "%s: %d", names[lane], shares[lane]);
    }
    forget_ids(&p);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- queues ---- */

/* Of lines [from, to): how many came from the first queue; the ids of each are in a file of its
 * own. */
static int count_of(const char *common, const char *own, size_t from, size_t to)
{
    char *all = read_file(common), *mine = read_file(own);
    size_t n = 0;
    int found = 0;

    for (const char *line = all; line && *line; line += strcspn(line, "\n") + 1, n++)
        if (n >= from && n < to && mine)
            found += memmem(mine, strlen(mine), line, JOBQ_ID_TEXT_SIZE - 1) != NULL;
    free(all);
    free(mine);
    return found;
}

static void fill_queue(struct scene *s, const char *queue, const char *own)
{
    FILE *f = fopen(own, "we");

    if (!f)
        abort();
    for (size_t i = 0; i < EACH; i++) {
        jobq_job job = JOBQ_JOB_INIT;
        job.type = "mark";
        job.queue = queue;
        job.payload = fmt("{\"file\":\"%s/order\"}", tmp_dir());
        jobq_answer a = scene_enqueue_job(s, &job);
        fprintf(f, "%s\n", id_text(&a.id));
    }
    fclose(f);
}

/* G18: two queues share by their weights, 3 : 1. */
Test(priority, queues_share_by_weight)
{
    struct scene *s = scene_new(0);
    char *order = strdup(fmt("%s/order", tmp_dir())), *heavy = strdup(fmt("%s/heavy", tmp_dir())),
         *light = strdup(fmt("%s/light", tmp_dir()));

    fill_queue(s, "light", light);
    fill_queue(s, "heavy", heavy);
    scene_jobd(s, 0,
               (struct jobd_options){
                   .executors = 1,
                   .extra = "prefetch_time = 0;",
                   .queues = "{ name = \"light\"; }, { name = \"heavy\"; weight = 3; }"});
    wait_lines(order, 2 * EACH, 30000);
    /* From 20 on: one of them may have been registered a little before the other. */
    int share = count_of(order, heavy, 20, 100);
    cr_assert(share >= 57 && share <= 63, "%d of 80 instead of 60", share);
    for (size_t from = 20; from + 8 <= 100; from += 8)
        cr_assert_geq(count_of(order, light, from, from + 8), 1, "light starves at %zu", from);
    cr_assert_eq(count_lines(order), 2u * EACH);
    free(order);
    free(heavy);
    free(light);
    scene_drain(s, 0);
    scene_free(s);
}

/* G18: the heaviest queue without work leaves everything to the others. */
Test(priority, an_empty_queue_holds_nobody_up)
{
    struct scene *s = scene_new(0);
    char *light = strdup(fmt("%s/light", tmp_dir()));

    fill_queue(s, "light", light);
    scene_jobd(s, 0,
               (struct jobd_options){
                   .executors = 1,
                   .queues = "{ name = \"light\"; }, { name = \"heavy\"; weight = 1000; }"});
    wait_lines(fmt("%s/order", tmp_dir()), EACH, 20000);
    fill_queue(s, "light", light);
    wait_lines(fmt("%s/order", tmp_dir()), (size_t)2 * EACH, 20000);
    free(light);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- changed while it runs ---- */

/* Occupies the only executor until it is killed: meanwhile nothing is claimed. */
static void plug(struct scene *s)
{
    scene_enqueue(s, "spin", fmt("{\"file\":\"%s/plug\"}", tmp_dir()));
    wait_lines(fmt("%s/plug", tmp_dir()), 1, 20000);
}

static void unplug(struct scene *s)
{
    pid_t pid;

    cr_assert_eq(jobd_executors(s->jobd[0], &pid, 1), 1u);
    kill(pid, SIGKILL);
}

static void reload_with(struct jobd *j, const char *from, const char *to)
{
    char *old = read_file(j->conf), *at = strstr(old, from), *whole = NULL;

    cr_assert_not_null(at, "no %s in the configuration", from);
    if (asprintf(&whole, "%.*s%s%s", (int)(at - old), old, to, at + strlen(from)) < 0)
        abort();
    write_file(j->conf, whole);
    free(whole);
    free(old);
    process_signal(j->process, SIGHUP);
    wait_log(j, " reloaded", 1, 20000);
}

/* G18: weights of queues may change while jobs wait. */
Test(priority, queues_share_by_a_weight_that_changed)
{
    struct scene *s = scene_new(0);
    char *order = strdup(fmt("%s/order", tmp_dir())), *heavy = strdup(fmt("%s/heavy", tmp_dir())),
         *light = strdup(fmt("%s/light", tmp_dir()));
    struct jobd_options o = {.executors = 1,
                             .extra = "prefetch_time = 0; crash_budget = 1; hard_limit = \"10m\";",
                             .queues =
                                 "{ name = \"default\"; }, { name = \"light\"; weight = 2; }, "
                                 "{ name = \"heavy\"; weight = 1; }"};
    struct jobd *j = scene_jobd(s, 0, o);

    plug(s);
    fill_queue(s, "light", light);
    fill_queue(s, "heavy", heavy);
    reload_with(j, "{ name = \"heavy\"; weight = 1; }", "{ name = \"heavy\"; weight = 6; }");
    unplug(s);
    wait_lines(order, (size_t)2 * EACH, 30000);
    int share = count_of(order, heavy, 20, 100);
    cr_assert(share >= 57 && share <= 63, "%d of 80 instead of 60", share);
    free(order);
    free(heavy);
    free(light);
    scene_drain(s, 0);
    scene_free(s);
}

/* The order of lanes likewise. (A lane that was last seen empty is looked at again only after
 * another had a turn, so a few jobs pass before every lane is known to have work.) */
Test(priority, lanes_may_become_strict)
{
    struct scene *s = scene_new(0);
    struct plan p;
    int shares[4];
    struct jobd_options o = {.executors = 1,
                             .extra = "prefetch_time = 0; crash_budget = 1; hard_limit = \"10m\"; "
                                      "lane_order = \"weighted\";"};
    struct jobd *j = scene_jobd(s, 0, o);

    plug(s);
    fill_lanes(s);
    reload_with(j, "lane_order = \"weighted\"", "lane_order = \"strict\"");
    learn_ids(s, &p);
    unplug(s);
    wait_lines(fmt("%s/order", tmp_dir()), (size_t)4 * EACH, 30000);
    for (size_t lane = 0; lane < 4; lane++) {
        count_shares(&p, lane * EACH, (lane + 1) * EACH, shares);
        cr_assert_geq(shares[lane], EACH - 8, "%s: %d", names[lane], shares[lane]);
    }
    forget_ids(&p);
    scene_drain(s, 0);
    scene_free(s);
}

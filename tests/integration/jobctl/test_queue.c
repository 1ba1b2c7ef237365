/* SPDX-License-Identifier: MIT */
/* jobctl queue show and purge, job list, parked list, against a real Redis. */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/base.h"
#include "tests/integration/jobctl/fill.h"
#include "tests/integration/jobctl/run.h"
#include "tests/integration/jobctl/server.h"
#include "tests/support/support.h"

TestSuite(jobctl_queue, .init = start_for_operator, .fini = stop_unrefused);

static void delay(const char *type, const char *due, const char *unique)
{
    const char *const args[] = {"job",  "enqueue", type, "--queue",
                                "mail", "--due",   due,  unique != NULL ? "--unique" : NULL,
                                unique, NULL};
    struct run r = run_jobctl(NULL, args);
    expect(&r, 0, NULL);
    run_free(&r);
}

/* 2 claimed and 3 queued in normal, 2 in high, 2 delayed, 1 dead, 2 parked. */
static void fill_states(void)
{
    fill(redis, 2, &(struct fill){.stream = "ready:high", .flags = 1, .type = "h"}, NULL);
    fill(redis, 5, &(struct fill){.stream = "ready:normal", .type = "n"}, NULL);
    fill(redis, 1, &(struct fill){.type = "d"}, NULL);
    fill(redis, 2, &(struct fill){.stream = "parked", .type = "p"}, NULL);
    delay("l.1", "2100-01-01T00:00:00Z", NULL);
    delay("l.2", "2100-01-01T00:00:00Z", "k");
    done(redis_do(redis, "XGROUP CREATE jobq:{mail:0}:ready:normal jobq 0"));
    done(redis_do(redis, "XREADGROUP GROUP jobq w COUNT 2 STREAMS jobq:{mail:0}:ready:normal >"));
}

/* ---- lists ---- */

Test(jobctl_queue, show_tells_of_lanes_and_partitions)
{
    fill_states();
    done(redis_do(redis, "HSET jobq:queues mail 2"));
    struct run r = JOBCTL("queue", "show", "mail", "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "queue_show");
    run_free(&r);
    r = JOBCTL("queue", "show", "mail");
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "\n\nLANE ") != NULL && strstr(r.out, "\n\nPARTITION ") != NULL, "%s",
              r.out);
    run_free(&r);
    r = JOBCTL("queue", "show", "none");
    expect(&r, 1, "there is no queue none");
    run_free(&r);
}

/* Started again from its AOF, Redis takes what was delivered before for waiting. */
Test(jobctl_queue, list_counts_nothing_that_a_restarted_redis_makes_up)
{
    fill(redis, 200, &(struct fill){.stream = "ready:normal", .type = "n"}, NULL);
    done(redis_do(redis, "XGROUP CREATE jobq:{mail:0}:ready:normal jobq 0"));
    done(redis_do(redis, "XREADGROUP GROUP jobq w COUNT 200 NOACK"
                         " STREAMS jobq:{mail:0}:ready:normal >"));
    done(redis_do(redis, "XTRIM jobq:{mail:0}:ready:normal MAXLEN 0"));
    done(redis_do(redis, "XGROUP SETID jobq:{mail:0}:ready:normal jobq $ ENTRIESREAD 0"));
    for (int waiting = 0; waiting <= 7; waiting += 7) {
        fill(redis, (size_t)waiting, &(struct fill){.stream = "ready:normal", .type = "n"}, NULL);
        struct run r = JOBCTL("queue", "list", "--json");
        expect(&r, 0, NULL);
        const json_t *queue = json_array_get(member(&r, "queues"), 0);
        cr_assert(json_is_integer(json_object_get(queue, "waiting")), "%s", r.out);
        cr_assert_eq(json_integer_value(json_object_get(queue, "waiting")), waiting, "%s", r.out);
        run_free(&r);
    }
}

/* "type:state" of each row, space-separated, in a buffer of fmt(). */
static const char *rows_of(const struct run *r)
{
    char text[2000] = "";
    for (size_t i = 0; i < json_array_size(member(r, "jobs")); i++) {
        const json_t *row = json_array_get(member(r, "jobs"), i);
        size_t n = strlen(text);
        snprintf(text + n, sizeof(text) - n, "%s%s:%s", n > 0 ? " " : "",
                 json_string_value(json_object_get(row, "type")),
                 json_string_value(json_object_get(row, "state")));
    }
    return fmt("%s", text);
}

static void expect_rows(const char *rows, const char *const *flags)
{
    const char *args[20] = {"job", "list", "--json"};
    for (size_t i = 0; flags[i] != NULL; i++)
        args[3 + i] = flags[i];
    struct run r = run_jobctl(NULL, args);
    expect(&r, 0, NULL);
    cr_assert_str_eq(rows_of(&r), rows, "%s", rows_of(&r));
    cr_assert(json_is_null(member(&r, "next")));
    run_free(&r);
}
#define EXPECT_ROWS(rows, ...) expect_rows(rows, (const char *const[]){__VA_ARGS__, NULL})

Test(jobctl_queue, list_tells_jobs_by_state_lane_and_type)
{
    fill_states();
    setenv("JOBQ_REDIS", redis->viewer_url, 1); /* who may only look may see all of it */
    EXPECT_ROWS("h:queued h:queued n:queued n:queued n:queued", "--state", "queued");
    EXPECT_ROWS("h:queued h:queued", "--state", "ready", "--lane", "high");
    EXPECT_ROWS("n:claimed n:claimed", "--state", "running");
    EXPECT_ROWS("n:claimed n:claimed n:queued n:queued n:queued", "--lane", "normal");
    EXPECT_ROWS("l.1:delayed l.2:delayed", "--state", "delayed");
    EXPECT_ROWS("d:dead", "--state", "dead");
    EXPECT_ROWS("p:parked p:parked", "--state", "parked", "--queue", "mail");
    EXPECT_ROWS("l.2:delayed", "--type", "l.2");
    EXPECT_ROWS("", "--type", "nobody");
    struct run r = JOBCTL("job", "list", "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "job_list");
    run_free(&r);
    r = JOBCTL("parked", "list", "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "parked_list");
    run_free(&r);
    r = JOBCTL("job", "list", "--lane", "low", "--state", "dead");
    expect(&r, 2, "--lane is for jobs that are queued or claimed");
    run_free(&r);
    r = JOBCTL("job", "list", "--state", "done");
    expect(&r, 2, "--state: not queued, ready, claimed, running, delayed, dead or parked: done");
    run_free(&r);
}

Test(jobctl_queue, list_goes_on_where_it_ended)
{
    char after[200] = "", all[2000] = "";
    size_t pages = 0;
    fill_states();
    fill(redis, 2, &(struct fill){.queue = "other", .stream = "ready:low", .type = "o"}, NULL);
    do {
        const char *const args[] = {"job",     "list", "--json",
                                    "--limit", "2",    after[0] != '\0' ? "--after" : NULL,
                                    after,     NULL};
        struct run r = run_jobctl(NULL, args);
        expect(&r, 0, NULL);
        size_t n = strlen(all);
        snprintf(all + n, sizeof(all) - n, "%s%s", n > 0 ? " " : "", rows_of(&r));
        snprintf(after, sizeof(after), "%s",
                 json_is_string(member(&r, "next")) ? text_at(&r, "next") : "");
        run_free(&r);
        cr_assert(++pages < 10);
    } while (after[0] != '\0');
    cr_assert_str_eq(all,
                     "h:queued h:queued n:claimed n:claimed n:queued n:queued n:queued "
                     "l.1:delayed l.2:delayed d:dead p:parked p:parked o:queued o:queued",
                     "%s", all);
    cr_assert_eq(pages, 7);
    static const char *const bad[] = {"x", "mail/0/high/1-1@5", "mail/0/later/1-1",
                                      "mail/0/later/01a206f3-d7fd-7c54-842d-66aa3b4f5791",
                                      "mail/0/later/01a206f3-d7fd-7c54-842d-66aa3b4f5791@x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct run r = JOBCTL("job", "list", "--after", bad[i]);
        expect(&r, 2, NULL);
        run_free(&r);
    }
}

Test(jobctl_queue, list_stops_looking_at_its_bound_and_says_where)
{
    fill(redis, 300, &(struct fill){.stream = "ready:normal", .type = "n"}, NULL);
    fill(redis, 1, &(struct fill){.stream = "ready:normal", .type = "last"}, NULL);
    struct run r = JOBCTL("job", "list", "--type", "last", "--scan", "100", "--json");
    expect(&r, 0, NULL);
    cr_assert_eq(json_array_size(member(&r, "jobs")), 0);
    char after[200];
    snprintf(after, sizeof(after), "%s", text_at(&r, "next"));
    run_free(&r);
    r = JOBCTL("job", "list", "--type", "last", "--after", after, "--json");
    expect(&r, 0, NULL);
    cr_assert_str_eq(rows_of(&r), "last:queued");
    run_free(&r);
}

Test(jobctl_queue, list_survives_what_is_no_job)
{
    done(redis_do(redis, "HSET jobq:queues mail 1"));
    done(redis_do(redis, "XADD jobq:{mail:0}:ready:normal * any thing"));
    done(redis_do(redis, "XADD jobq:{mail:0}:parked * h \033[1m p {}"));
    done(redis_do(redis, "ZADD jobq:{mail:0}:later 1 not-an-id 2 "
                         "01a206f3-d7fd-7c54-842d-66aa3b4f5791 3 "
                         "01a206f3-d7fd-7c54-842d-66aa3b4f5792"));
    done(redis_do(redis, "HSET jobq:{mail:0}:held 01a206f3-d7fd-7c54-842d-66aa3b4f5792 x"));
    struct run r = JOBCTL("job", "list", "--json");
    expect(&r, 0, NULL);
    cr_assert_eq(json_array_size(member(&r, "jobs")), 3, "%s", r.out);
    cr_assert(json_is_null(member(&r, "jobs.0.type")));
    cr_assert_str_eq(text_at(&r, "jobs.1.id"), "01a206f3-d7fd-7c54-842d-66aa3b4f5792");
    run_free(&r);
    r = JOBCTL("job", "list");
    expect(&r, 0, NULL);
    run_free(&r);
}

/* Commands that Redis ran so far. */
static long long commands_run(void)
{
    struct redisReply *r = redis_do(redis, "INFO stats");
    const char *at = strstr(r->str, "total_commands_processed:");
    long long n = strtoll(strchr(at, ':') + 1, NULL, 10);
    freeReplyObject(r);
    return n;
}

Test(jobctl_queue, queues_are_listed_in_as_many_steps_whatever_is_in_them)
{
    long long steps[2];
    for (int i = 0; i < 2; i++) {
        size_t n = i == 0 ? 10 : 5000;
        fill(redis, n, &(struct fill){.stream = "ready:normal"}, NULL);
        fill(redis, n, &(struct fill){.stream = "parked"}, NULL);
        fill(redis, n, NULL, NULL);
        long long before = commands_run();
        struct run r = JOBCTL("queue", "list");
        expect(&r, 0, NULL);
        run_free(&r);
        r = JOBCTL("queue", "purge", "mail", "--dry-run");
        expect(&r, 0, NULL);
        run_free(&r);
        steps[i] = commands_run() - before;
    }
    cr_assert_eq(steps[0], steps[1], "%lld steps, then %lld", steps[0], steps[1]);
}

/* ---- purging ---- */

Test(jobctl_queue, purge_takes_what_waits_and_leaves_the_rest)
{
    fill_states();
    struct run r = JOBCTL("queue", "purge", "mail", "--dry-run", "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "queue_purge_dry");
    run_free(&r);
    r = JOBCTL("queue", "purge", "mail");
    expect(&r, 2, "needs --yes, or a terminal to ask");
    run_free(&r);
    r = JOBCTL("queue", "purge", "mail", "--yes", "--lane", "high");
    expect(&r, 0, NULL);
    run_free(&r);
    cr_assert(count("ready:high") == 0 && count("ready:normal") == 5 && count("parked") == 2);
    r = JOBCTL("queue", "purge", "mail", "--yes", "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "queue_purge");
    run_free(&r);
    cr_assert_eq(count("ready:normal"), 2, "what a worker holds");
    cr_assert(count("dead") == 1 && count("parked") == 0);
    cr_assert_eq(redis_int(redis, "EXISTS jobq:{mail:0}:later"), 0);
    cr_assert_eq(redis_int(redis, "EXISTS jobq:{mail:0}:held"), 0);
    struct redisReply *ack = redis_do(redis, "XPENDING jobq:{mail:0}:ready:normal jobq");
    cr_assert_eq(ack->element[0]->integer, 2);
    freeReplyObject(ack);
    delay("l.2", "2100-01-01T00:00:00Z", "k");
    r = JOBCTL("queue", "purge", "none", "--yes");
    expect(&r, 1, "there is no queue none");
    run_free(&r);
    r = JOBCTL("queue", "purge", "mail", "--lane", "dead");
    expect(&r, 2, "--lane: not recovered, high, normal, low, later or parked: dead");
    run_free(&r);
}

Test(jobctl_queue, purge_of_many_takes_all_that_were_there)
{
    fill(redis, 20000, &(struct fill){.stream = "ready:normal"}, NULL);
    struct run r = JOBCTL("queue", "purge", "mail", "--yes", "--json");
    expect(&r, 0, NULL);
    cr_assert_eq(number_at(&r, "purge.purged"), 20000);
    run_free(&r);
    cr_assert_eq(count("ready:normal"), 0);
}

Test(jobctl_queue, purge_interrupted_says_how_far_it_came)
{
    fill(redis, 500, &(struct fill){.stream = "ready:normal"}, NULL);
    done(redis_do(redis, "CLIENT PAUSE 600000 WRITE"));
    struct process *p = process_start(
        "purge", (const char *const[]){bin_path("jobctl"), "queue", "purge", "mail", "--yes", NULL},
        NULL);
    wait_in_script();
    process_signal(p, SIGTERM);
    done(redis_do(redis, "CLIENT UNPAUSE"));
    int status = process_wait(p, patience_ms(20000));
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM, "%x", (unsigned)status);
    cr_assert(process_wait_log(p, "interrupted: 16 purged; run it again", NULL, 1000));
    process_free(p);
    cr_assert_eq(count("ready:normal"), 484);
}

Test(jobctl_queue, list_is_aligned_by_what_characters_take)
{
    fill(redis, 1, &(struct fill){.error = "x", .reason = "permanent", .type = "a"}, NULL);
    fill(redis, 1, &(struct fill){.stream = "ready:normal"}, NULL);
    done(redis_do(redis, "XGROUP CREATE jobq:{mail:0}:ready:normal jobq 0"));
    done(redis_do(redis, "XREADGROUP GROUP jobq \346\274\242\345\255\227-\303\244 COUNT 1 STREAMS "
                         "jobq:{mail:0}:ready:normal >"));
    struct run r = JOBCTL("worker", "list");
    expect(&r, 0, NULL);
    char *end = strchr(r.out, '\n');
    const char *head = strstr(r.out, "STATE"), *row = strstr(r.out, "gone");
    cr_assert(end != NULL && head != NULL && row != NULL, "%s", r.out);
    /* Two characters of three bytes and two columns, one of two bytes and one column. */
    cr_assert_eq((row - (end + 1)) - (head - r.out), 2 * (3 - 2) + 1, "%s", r.out);
    run_free(&r);
}

/* SPDX-License-Identifier: MIT */
/* jobctl tail, against a real Redis, with the rights of a viewer; events are published by the
 * test. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/base.h"
#include "tests/integration/jobctl/run.h"
#include "tests/integration/jobctl/server.h"
#include "tests/support/support.h"

#define WAIT_MS 20000
#define ID "01a30000-0000-7000-8000-000000000001"
#define RETRIED                                                                                    \
    "{\"at\":1790000000123,\"event\":\"retried\",\"id\":\"" ID                                     \
    "\",\"type\":\"mail.send\",\"lane\":\"normal\",\"attempt\":2,\"worker\":\"web-1\",\"text\":"   \
    "\"451 \\u001b[31mlater\",\"run_ms\":210,\"delay_ms\":9000}"
#define STARTED                                                                                    \
    "{\"at\":1790000000124,\"event\":\"started\",\"id\":\"" ID                                     \
    "\",\"type\":\"avatar\",\"lane\":\"high\",\"attempt\":1,\"worker\":\"db-1\",\"wait_ms\":3}"
#define REAPED                                                                                     \
    "{\"at\":1790000000125,\"event\":\"reaped\",\"victim\":\"web-0\",\"jobs\":4,\"worker\":"       \
    "\"db-1\"}"
#define LAST "{\"at\":1790000000126,\"event\":\"skipped\",\"events\":1234,\"worker\":\"db-1\"}"

static void start(void)
{
    start_for_viewer();
    done(redis_do(redis, "HSET jobq:queues mail 2 other 1"));
}

TestSuite(jobctl_tail, .init = start, .fini = stop);

static void publish(const char *channel, const char *text)
{
    done(redis_do(redis, "PUBLISH %s %s", channel, text));
}

/* Listening to all channels of the queue given, or of all. */
static struct process *tail(const char *const *flags)
{
    const char *argv[20] = {bin_path("jobctl"), "tail"};
    for (size_t n = 2; *flags != NULL; flags++)
        argv[n++] = *flags;
    struct process *p = process_start("tail", argv, NULL);
    wait_heard("jobq:{mail:0}:events");
    wait_heard("jobq:{mail:1}:events");
    return p;
}
#define TAIL(...) tail((const char *const[]){__VA_ARGS__, NULL})

static void expect_shown(struct process *p, const char *text)
{
    char *log = NULL;
    if (!process_wait_log(p, text, NULL, patience_ms(WAIT_MS)))
        fail_test("no \"%s\" in: %s", text, (log = read_file(p->log)));
    free(log);
}

static void expect_stopped(struct process *p, int number)
{
    process_signal(p, number);
    int status = process_wait(p, patience_ms(WAIT_MS));
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 128 + number, "status %x", status);
    process_free(p);
}

Test(jobctl_tail, tells_events_of_all_queues_in_lines_for_people)
{
    struct process *p = TAIL("--no-color");
    wait_heard("jobq:{other:0}:events");
    publish("jobq:{mail:1}:events", RETRIED "\n" STARTED);
    publish("jobq:{other:0}:events", REAPED);
    publish("jobq:{other:0}:events", LAST);
    expect_shown(p, "skipped");
    char *log = read_file(p->log);
    cr_assert_str_eq(log, "14:13:20.123  retried    mail      mail.send       " ID
                          "  attempt 2  ran 210ms  again in 9s  by web-1  451 \\x1b[31mlater\n"
                          "14:13:20.124  started    mail      avatar          " ID
                          "  waited 3ms  by db-1\n"
                          "14:13:20.125  reaped     other  jobs 4  of web-0  by db-1\n"
                          "14:13:20.126  skipped    other  events 1234  by db-1\n");
    free(log);
    expect_stopped(p, SIGINT);
}

Test(jobctl_tail, writes_one_object_a_line)
{
    struct process *p = TAIL("--json", "--limit", "2");
    publish("jobq:{mail:1}:events", RETRIED "\n" STARTED "\n" REAPED);
    int status = process_wait(p, patience_ms(WAIT_MS));
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
    char *log = read_file(p->log), *end = strchr(log, '\n');
    cr_assert(end != NULL && strchr(end + 1, '\n') != NULL);
    *end = '\0';
    struct run r = {.out = log, .err = strdup(""), .json = json_loads(log, 0, NULL)};
    expect_golden(&r, "tail");
    r.out = NULL;
    run_free(&r);
    free(log);
    process_free(p);
}

Test(jobctl_tail, shows_only_what_passes_every_flag)
{
    static const struct {
        const char *flags[8];
        int shown; /* bits: RETRIED, STARTED, REAPED */
    } table[] = {
        {{"--type", "avatar"}, 2},
        {{"--type", "avatar", "--type", "mail.send"}, 3},
        {{"--event", "retried", "--event", "reaped"}, 5},
        {{"--worker", "db"}, 6},
        {{"--worker", "db", "--event", "started"}, 2},
        {{"--queue", "mail"}, 7},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct process *p = tail(table[i].flags);
        publish("jobq:{mail:0}:events", RETRIED "\n" STARTED "\n" REAPED "\n" LAST);
        expect_shown(p, "skipped");
        int shown = process_count_log(p, "retried ") + 2 * process_count_log(p, "started ") +
                    4 * process_count_log(p, "reaped ");
        cr_assert_eq(shown, table[i].shown, "row %zu: %d", i, shown);
        cr_assert(strcmp(table[i].flags[0], "--queue") != 0 || !is_heard("jobq:{other:0}:events"));
        expect_stopped(p, SIGTERM);
    }
}

Test(jobctl_tail, goes_on_after_a_restart_and_finds_new_queues)
{
    struct process *p = TAIL("--no-color");
    redis_kill(redis);
    expect_shown(p, "; trying again\n");
    redis_restart(redis);
    done(redis_do(redis, "HSET jobq:queues mail 1"));
    wait_heard("jobq:{mail:0}:events");
    publish("jobq:{mail:0}:events", RETRIED);
    expect_shown(p, "what happened in between is not shown\n");
    expect_shown(p, "retried");
    cr_assert_eq(process_count_log(p, "trying again"), 1);
    done(redis_do(redis, "HSET jobq:queues fresh 1"));
    wait_heard("jobq:{fresh:0}:events");
    publish("jobq:{fresh:0}:events", STARTED);
    expect_shown(p, "started");
    expect_stopped(p, SIGINT);
}

/* Whoever may publish may write anything. */
Test(jobctl_tail, passes_over_what_is_no_event)
{
    static const char *const texts[] = {
        "", "nonsense", "[]", "7", "{}", "{\"event\":7}", "\n\n\n", "{\"event\":\"", "\xff\xfe"};
    struct process *p = TAIL("--no-color");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        publish("jobq:{mail:0}:events", texts[i]);
    publish("jobq:{mail:0}:events",
            "{\"event\":\"\\u0007\\u202e\",\"at\":\"x\",\"type\":7,\"id\":[],\"jobs\":-1,\"text\":"
            "\"\\u009b\",\"wait_ms\":-9223372036854775807}\n" LAST);
    expect_shown(p, "skipped");
    char *log = read_file(p->log);
    cr_assert(strpbrk(log, "\007\033") == NULL && strstr(log, "\xc2\x9b") == NULL, "%s", log);
    cr_assert(strncmp(log, "-             \\x07\\u202e", 22) == 0, "%s", log);
    free(log);
    expect_stopped(p, SIGINT);
}

Test(jobctl_tail, says_why_it_cannot_listen)
{
    struct run r = JOBCTL("tail", "--queue", "none");
    expect(&r, 1, "there is no queue none");
    run_free(&r);
    r = JOBCTL("tail", "--event", "done");
    expect(&r, 2, "--event: not started, succeeded, ");
    run_free(&r);
    setenv("JOBQ_REDIS", redis->producer_url, 1);
    r = JOBCTL("tail");
    expect(&r, 77, "NOPERM");
    run_free(&r);
    redis_kill(redis);
    r = JOBCTL("tail");
    expect(&r, 69, NULL);
    run_free(&r);
    redis_restart(redis);
}

/* SPDX-License-Identifier: MIT */
/* jobctl dead list and show, and what the filters of dead letters let through, against a real
 * Redis. */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tests/integration/jobctl/fill.h"
#include "tests/integration/jobctl/run.h"
#include "tests/integration/jobctl/server.h"
#include "tests/support/support.h"

TestSuite(jobctl_dead, .init = start_for_operator, .fini = stop_unrefused);

Test(jobctl_dead, list_goes_on_where_it_ended_over_all_partitions)
{
    done(redis_do(redis, "HSET jobq:queues other 1"));
    for (int i = 0; i < 6; i++) {
        fill(redis, 1, &(struct fill){.entry = fmt("%d-0", 1000 + i), .type = "m"}, NULL);
        fill(redis, 1,
             &(struct fill){.queue = "other", .entry = fmt("%d-0", 1000 + i), .type = "o"}, NULL);
    }
    char after[160] = "", seen[400] = "";
    for (int pages = 0; pages == 0 || after[0] != '\0'; pages++) {
        cr_assert(pages < 4);
        const char *const args[] = {"dead",    "list", "--json",
                                    "--limit", "4",    after[0] != '\0' ? "--after" : NULL,
                                    after,     NULL};
        struct run r = run_jobctl(NULL, args);
        expect(&r, 0, NULL);
        for (size_t i = 0; i < json_array_size(member(&r, "dead")); i++) {
            const char *place = text_at(&r, fmt("dead.%zu.place", i));
            strncat(seen, text_at(&r, fmt("dead.%zu.type", i)), 2);
            strncat(seen, strrchr(place, '/') + 4, 1);
        }
        snprintf(after, sizeof(after), "%s",
                 json_is_string(member(&r, "next")) ? text_at(&r, "next") : "");
        run_free(&r);
    }
    cr_assert_str_eq(seen, "m5o5m4o4m3o3m2o2m1o1m0o0");
    struct run r = JOBCTL("dead", "list", "--limit", "4");
    cr_assert(strstr(r.out, "\nmore: --after other/0/dead/1004-0\n") != NULL, "%s", r.out);
    run_free(&r);
}

/* How many dead letters the filters let through. */
static long long matched(const char *const *filters)
{
    const char *args[20] = {"dead", "retry", "--dry-run", "--json"};
    for (size_t i = 0; filters[i] != NULL; i++)
        args[4 + i] = filters[i];
    struct run r = run_jobctl(NULL, args);
    expect(&r, 0, NULL);
    long long n = number_at(&r, "dead.matched");
    cr_assert(json_is_true(member(&r, "dead.dry_run")) && number_at(&r, "dead.done") == 0);
    run_free(&r);
    return n;
}
#define MATCHED(...) matched((const char *const[]){__VA_ARGS__, NULL})

Test(jobctl_dead, filters_by_type_reason_error_and_queue)
{
    fill(redis, 3, &(struct fill){.type = "x", .error = "timed out at db1"}, NULL);
    fill(redis, 5, &(struct fill){.type = "y", .error = "timed out", .reason = "exhausted"}, NULL);
    fill(redis, 7, &(struct fill){.queue = "other", .type = "x"}, NULL);
    cr_assert_eq(MATCHED("--all"), 15);
    cr_assert_eq(MATCHED("--all", "--queue", "mail"), 8);
    cr_assert_eq(MATCHED("--type", "x"), 10);
    cr_assert_eq(MATCHED("--type", "x", "--queue", "other"), 7);
    cr_assert_eq(MATCHED("--error", "timed out"), 8);
    cr_assert_eq(MATCHED("--error", "db1"), 3);
    cr_assert_eq(MATCHED("--error", "db1", "--type", "y"), 0);
    cr_assert_eq(MATCHED("--reason", "exhausted"), 5);
    cr_assert_eq(MATCHED("--type", "x", "--limit", "4"), 4);
    cr_assert_eq(redis_int(redis, "XLEN jobq:{other:0}:dead") + count("dead"), 15,
                 "a dry run changes nothing");
}

Test(jobctl_dead, filters_by_age_of_redis_clock)
{
    struct redisReply *time = redis_do(redis, "TIME");
    long long now = strtoll(time->element[0]->str, NULL, 10) * 1000;
    freeReplyObject(time);
    fill(redis, 2, &(struct fill){.entry = fmt("%lld-*", now - 7200000)}, NULL);
    fill(redis, 3, &(struct fill){.entry = fmt("%lld-*", now - 1800000)}, NULL);
    cr_assert_eq(MATCHED("--older-than", "1h"), 2);
    cr_assert_eq(MATCHED("--newer-than", "1h"), 3);
    cr_assert_eq(MATCHED("--newer-than", "3h", "--older-than", "10m"), 5);
    cr_assert_eq(MATCHED("--newer-than", "10m", "--older-than", "1h"), 0);
}

Test(jobctl_dead, filters_by_members_of_the_payload)
{
    static const char *const payloads[] = {
        "{\"user\":{\"id\":17,\"name\":\"a.b=c\"},\"tags\":[\"new\",\"old\"],\"x.y\":1}",
        "{\"user\":{\"id\":\"17\"},\"ok\":true,\"none\":null,\"real\":1.5,\"z\":\"\\u0000\"}",
        "{\"user\":{\"id\":18},\"huge\":123456789012345678901234567890}",
        "{\"user\":17}",
        "not json",
    };
    for (size_t i = 0; i < ARRAY_LEN(payloads); i++)
        fill(redis, 1, &(struct fill){.payload = payloads[i]}, NULL);
    cr_assert_eq(MATCHED("--field", "user.id=17"), 2, "as a number and as text");
    cr_assert_eq(MATCHED("--field", "user.id=\"17\""), 1, "as JSON it is text");
    cr_assert_eq(MATCHED("--field", "user.id=18"), 1, "beside a number beyond 64 bits");
    cr_assert_eq(MATCHED("--field", "user=17"), 1);
    cr_assert_eq(MATCHED("--field", "user.name=a.b=c"), 1);
    cr_assert_eq(MATCHED("--field", "tags.0=new"), 1);
    cr_assert_eq(MATCHED("--field", "tags.2=new"), 0);
    cr_assert_eq(MATCHED("--field", "tags=[\"new\", \"old\"]"), 1);
    cr_assert_eq(MATCHED("--field", "x\\.y=1"), 1);
    cr_assert_eq(MATCHED("--field", "x.y=1"), 0);
    cr_assert_eq(MATCHED("--field", "ok=true"), 1);
    cr_assert_eq(MATCHED("--field", "none=null"), 1, "absent is not null");
    cr_assert_eq(MATCHED("--field", "real=1.5"), 1);
    cr_assert_eq(MATCHED("--field", "user.id=17", "--field", "ok=true"), 1, "all must hold");
    struct run r = JOBCTL("dead", "retry", "--dry-run", "--json", "--field", "a=1");
    cr_assert_eq(number_at(&r, "dead.unreadable"), 1);
    run_free(&r);
}

Test(jobctl_dead, nothing_of_a_payload_or_an_error_reaches_the_terminal_raw)
{
    jobq_id id;
    fill(redis, 1,
         &(struct fill){.type = "t",
                        .payload = "{\"a\":\"\033]0;owned\007 \302\233 \342\200\256\"}",
                        .error = "\033[2J\033[H wiped \377\376 \303\244",
                        .error_len = 0},
         &id);
    fill(redis, 1, &(struct fill){.type = "wide", .error = "\346\274\242\345\255\227 ok"}, NULL);
    struct run r = JOBCTL("dead", "show", fill_id_text(&id));
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "\\x1b]0;owned\\x07 \\u009b \\u202e") != NULL, "%s", r.out);
    cr_assert(strchr(r.out, '\033') == NULL && strstr(r.out, "\302\233") == NULL);
    run_free(&r);
    char text[JOBQ_ID_TEXT_SIZE];
    jobq_id_format(&id, text);
    const char *const lists[][6] = {{"dead", "list"},
                                    {"job", "list"},
                                    {"dead", "retry", "--all", "--dry-run"},
                                    {"dead", "list", "--json"},
                                    {"dead", "show", text, "--json"}};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        r = run_jobctl(NULL, lists[i]);
        expect(&r, 0, NULL);
        for (const char *c = r.out; *c != '\0'; c++)
            cr_assert((unsigned char)*c >= 0x20 || *c == '\n', "%s", r.out);
        cr_assert(strchr(r.out, '\377') == NULL);
        run_free(&r);
    }
}

Test(jobctl_dead, show_tells_everything_and_finds_only_dead_ones)
{
    jobq_id id, other;
    fill(redis, 1, &(struct fill){.unique = "k", .flags = 1}, &id);
    fill(redis, 1, &(struct fill){.stream = "parked"}, &other);
    struct run r = JOBCTL("dead", "show", fill_id_text(&id), "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "dead_show");
    char place[160];
    snprintf(place, sizeof(place), "%s", text_at(&r, "job.place"));
    run_free(&r);
    r = JOBCTL("dead", "show", place, "--json");
    expect(&r, 0, NULL);
    cr_assert_str_eq(text_at(&r, "job.id"), fill_id_text(&id));
    run_free(&r);
    r = JOBCTL("dead", "show", fill_id_text(&other));
    expect(&r, 1, "no such dead letter");
    run_free(&r);
    r = JOBCTL("dead", "show", "mail/0/dead/1-1");
    expect(&r, 1, "nothing is at mail/0/dead/1-1");
    run_free(&r);
    r = JOBCTL("dead", "show", "mail/0/parked/1-1");
    expect(&r, 2, "not a place in dead");
    run_free(&r);
}

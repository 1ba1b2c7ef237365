/* SPDX-License-Identifier: MIT */
/* jobctl worker show, and what worker list tells of what workers publish, against a real Redis. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tests/integration/jobctl/run.h"
#include "tests/integration/jobctl/server.h"
#include "tests/support/support.h"

TestSuite(jobctl_worker, .init = start_for_viewer, .fini = stop_unrefused);

#define ABOUT                                                                                      \
    "\"host\":\"web\",\"pid\":77,\"version\":\"0.1.0\",\"instance\":\"a\",\"since\":"              \
    "1790000000000,\"executors\":8,\"alive\":7,\"busy\":3,\"held\":12,\"rss\":14680064,"           \
    "\"executors_rss\":73400320,\"minute\":{\"succeeded\":812,\"failed\":3,\"run_ms\":40750,"      \
    "\"wait_ms\":8150,\"runs\":815}"

/* One worker of two partitions, which told more in the second, later. */
static void fill_workers(void)
{
    done(redis_do(redis, "HSET jobq:queues mail 2"));
    for (int p = 0; p < 2; p++)
        done(redis_do(redis, "HSET jobq:{mail:%d}:alive web-4f2a-77-aa 17", p));
    done(redis_do(redis, "HSET jobq:{mail:0}:info web-4f2a-77-aa %s",
                  "{\"v\":1," ABOUT ",\"at\":1790000000100,\"state\":\"ready\",\"why\":\"\","
                  "\"jobs\":[{\"id\":\"01a30000-0000-7000-8000-000000000001\",\"type\":"
                  "\"mail.send\",\"attempt\":1,\"lane\":\"normal\",\"started\":1790000000050,"
                  "\"pid\":80}],\"jobs_more\":2}"));
    done(redis_do(redis, "HSET jobq:{mail:1}:info web-4f2a-77-aa %s",
                  "{\"v\":1," ABOUT ",\"at\":1790000000200,\"state\":\"draining\",\"why\":"
                  "\"draining\",\"jobs\":[{\"id\":\"01a30000-0000-7000-8000-000000000002\",\"type\""
                  ":\"avatar.resize\",\"attempt\":2,\"lane\":\"high\",\"started\":1790000000020,"
                  "\"pid\":81}],\"jobs_more\":0}"));
}

Test(jobctl_worker, show_joins_what_a_worker_tells_in_its_partitions)
{
    fill_workers();
    struct run r = JOBCTL("worker", "show", "web-4f2a-77-aa", "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "worker_show");
    run_free(&r);
    r = JOBCTL("worker", "show", "web-");
    expect(&r, 0, NULL);
    const char *const texts[] = {"work                 draining\n", "memory of executors  70 MiB\n",
                                 "succeeded/min        812\n",      "mean run             50ms\n",
                                 "running, not shown   2\n",        "\n\nRUNNING  "};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        cr_assert(strstr(r.out, texts[i]) != NULL, "no \"%s\" in:\n%s", texts[i], r.out);
    run_free(&r);
    r = JOBCTL("worker", "list");
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, " draining ") != NULL && strstr(r.out, " 84 MiB") != NULL, "%s", r.out);
    run_free(&r);
    r = JOBCTL("worker", "list", "--json");
    cr_assert_eq(number_at(&r, "workers.0.running"), 4);
    run_free(&r);
}

Test(jobctl_worker, show_says_which_is_not_there_or_not_clear)
{
    fill_workers();
    done(redis_do(redis, "HSET jobq:{mail:0}:alive web-4f2a-78-bb 18"));
    struct run r = JOBCTL("worker", "show", "db");
    expect(&r, 1, "there is no worker db");
    run_free(&r);
    r = JOBCTL("worker", "show", "web-4f2a");
    expect(&r, 2, "2 workers begin with web-4f2a");
    run_free(&r);
    r = JOBCTL("worker", "show", "web-4f2a-78-bb");
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "no job runs\n") != NULL, "%s", r.out);
    run_free(&r);
}

/* A document is anybody's who may write to Redis. */
Test(jobctl_worker, what_is_told_in_another_form_is_not_told)
{
    static const char *const documents[] = {
        "",
        "nonsense",
        "[]",
        "{}",
        "{\"v\":2,\"host\":\"no\",\"pid\":1}",
        "{\"v\":1,\"host\":7,\"pid\":\"x\",\"jobs\":7,\"minute\":[],\"rss\":-4,\"at\":\"\"}",
        "{\"v\":1,\"jobs\":[7,null,{},{\"id\":7,\"started\":\"x\"}],\"jobs_more\":-7}",
        ("{\"v\":1,\"rss\":9223372036854775807,\"executors_rss\":9223372036854775807,\"since\":"
         "-9223372036854775807,\"minute\":{\"runs\":0,\"run_ms\":7}}"),
        "{\"v\":1,\"host\":\"\\u001b[31m\\u202e\",\"state\":\"\\u0007\",\"running\":7,\"more\":{}}",
    };
    done(redis_do(redis, "HSET jobq:queues mail 1"));
    done(redis_do(redis, "HSET jobq:{mail:0}:alive web-4f2a-77-aa 17"));
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        done(redis_do(redis, "HSET jobq:{mail:0}:info web-4f2a-77-aa %s", documents[i]));
        for (int json = 0; json < 2; json++) {
            struct run r = JOBCTL("worker", "list", json ? "--json" : "--no-color");
            expect(&r, 0, NULL);
            cr_assert(strpbrk(r.out, "\033\007") == NULL, "%zu: %s", i, r.out);
            run_free(&r);
            r = JOBCTL("worker", "show", "web", json ? "--json" : "--no-color");
            expect(&r, 0, NULL);
            cr_assert(strpbrk(r.out, "\033\007") == NULL, "%zu: %s", i, r.out);
            cr_assert(!json || r.json != NULL);
            run_free(&r);
        }
    }
}

/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/mem.h"
#include "broker/keys.h"
#include "tests/unit/client/client_helpers.h"
#include "tests/unit/client/mini_redis.h"

static struct mini m;

static int enqueue_job(const jobq_job *job, int64_t deadline_ms, jobq_answer *a)
{
    jobq_client *c = open_client(mini_start(&m), deadline_ms);
    jobq_err err = {0};
    int code = jobq_enqueue(c, job, a, &err);

    check_answer(code, a, &err);
    jobq_client_close(c);
    mini_stop(&m);
    return code;
}

static int enqueue_plain(int64_t deadline_ms, jobq_answer *a)
{
    jobq_job job = plain_job();

    return enqueue_job(&job, deadline_ms, a);
}

Test(answers, tell_the_cause_of_a_refusal)
{
    static const struct {
        const char *reply;
        jobq_cause cause;
    } cases[] = {
        {"-OOM command not allowed\r\n", JOBQ_CAUSE_OUT_OF_MEMORY},
        {"-READONLY You can't write against a read only replica.\r\n", JOBQ_CAUSE_READ_ONLY},
        {"-MISCONF Errors writing to the AOF file\r\n", JOBQ_CAUSE_CANNOT_PERSIST},
        {"-NOREPLICAS Not enough good replicas to write.\r\n", JOBQ_CAUSE_NO_REPLICAS},
        {"-NOPERM this user has no permissions\r\n", JOBQ_CAUSE_PERMISSION},
        {"-WRONGTYPE Operation against a key\r\n", JOBQ_CAUSE_SERVER},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        jobq_answer a;
        m = (struct mini){.links = {{.to_job = cases[i].reply}}};
        cr_assert_eq(enqueue_plain(LONG_MS, &a), JOBQ_EREJECTED);
        cr_assert_eq(a.cause, cases[i].cause, "%s: %s", cases[i].reply, a.text);
        cr_assert_eq(m.stored, 0u);
        /* The queue's registration may be refused first. */
        m = (struct mini){.links = {{.to_register = cases[i].reply, .to_partitions = "$-1\r\n"}}};
        cr_assert_eq(enqueue_plain(LONG_MS, &a), JOBQ_EREJECTED);
        cr_assert_eq(a.cause, cases[i].cause, "%s: %s", cases[i].reply, a.text);
        m = (struct mini){
            .links = {{.to_register = cases[i].reply, .to_partitions = cases[i].reply}}};
        cr_assert_eq(enqueue_plain(LONG_MS, &a), JOBQ_EREJECTED);
        cr_assert_eq(a.cause, cases[i].cause);
        /* A queue that is registered already needs no right to register it. */
        m = (struct mini){.links = {{.to_register = cases[i].reply}}};
        cr_assert_eq(enqueue_plain(LONG_MS, &a), JOBQ_OK, "%s: %s", cases[i].reply, a.text);
    }
}

/* Refused for that cause at the end of its time; a machine that stood still meanwhile may try with
 * more. */
static void expect_in_vain(struct mini_link link, jobq_cause cause)
{
    int64_t deadline_ms = 150;
    jobq_answer a;

    for (;; deadline_ms *= 8) {
        m = (struct mini){.links = {link}};
        cr_assert_eq(enqueue_plain(deadline_ms, &a), JOBQ_EREJECTED);
        if (a.cause == cause || deadline_ms > 5000)
            break;
    }
    cr_assert_eq(a.cause, cause, "%s", a.text);
    cr_assert_lt(m.registrations, 40u * (size_t)(deadline_ms / 150), "asked without a pause");
}

Test(answers, wait_for_what_passes)
{
    static const struct {
        const char *reply;
        jobq_cause cause;
    } cases[] = {
        {"-LOADING Redis is loading the dataset in memory\r\n", JOBQ_CAUSE_LOADING},
        {"-BUSY Redis is busy running a script.\r\n", JOBQ_CAUSE_BUSY},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        jobq_answer a;
        m = (struct mini){.links = {{.to_job = cases[i].reply, .to_job_times = 4}}};
        cr_assert_eq(enqueue_plain(LONG_MS, &a), JOBQ_OK);
        cr_assert_eq(m.stored, 1u);
        cr_assert_eq(m.connections, 1);
        expect_in_vain((struct mini_link){.to_job = cases[i].reply}, cases[i].cause);
        expect_in_vain(
            (struct mini_link){.to_register = cases[i].reply, .to_partitions = cases[i].reply},
            cases[i].cause);
    }
}

Test(answers, load_the_script_once_and_repeat)
{
    enum { N = 3000 }; /* more than fit into the pipe at once */
    jobq_job *jobs = calloc(N, sizeof(*jobs));
    jobq_answer *answers = calloc(N, sizeof(*answers));
    jobq_client *c;

    m = (struct mini){0};
    for (int i = 0; i < N; i++) {
        jobs[i] = plain_job();
        jobs[i].delay_ms = i % 5 == 0 ? 0 : 1000;
    }
    c = open_client(mini_start(&m), LONG_MS);
    cr_assert_eq(jobq_enqueue_many(c, jobs, N, answers, NULL), JOBQ_OK);
    jobq_client_close(c);
    mini_stop(&m);
    cr_assert_eq(m.stored, (size_t)N);
    cr_assert_eq(m.loads, 1u);
    cr_assert_leq(m.script_calls, N * 4u / 5 + 1000, "more than a window met NOSCRIPT");
    for (int i = 0; i < N; i += 11)
        cr_assert_eq(mini_count(&m, &answers[i].id), 1u);
    free(jobs);
    free(answers);
}

Test(answers, give_up_on_a_script_that_cannot_be_loaded)
{
    jobq_job job = plain_job();
    jobq_answer a;

    job.unique_key = "k";
    m = (struct mini){.links = {{.to_load = "-NOPERM no permissions to run 'script|load'\r\n"}}};
    cr_assert_eq(enqueue_job(&job, LONG_MS, &a), JOBQ_EREJECTED);
    cr_assert_eq(a.cause, JOBQ_CAUSE_PERMISSION);
    cr_assert_not_null(strstr(a.text, "script|load"), "%s", a.text);
    m = (struct mini){.links = {{.forgets_script = true}}};
    cr_assert_eq(enqueue_job(&job, LONG_MS, &a), JOBQ_EREJECTED);
    cr_assert_eq(a.cause, JOBQ_CAUSE_SERVER);
    cr_assert_leq(m.loads, 3u);
}

Test(answers, stay_unknown_when_nobody_can_tell)
{
    static const char *const replies[] = {
        ":1\r\n",
        "*1\r\n$3\r\nWHY\r\n",
        ("-ERR The user executing the script can't run this command script: 60a1, on "
         "@user_script:2.\r\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        jobq_answer a;
        m = (struct mini){.links = {{.to_job = replies[i]}}};
        cr_assert_eq(enqueue_plain(LONG_MS, &a), JOBQ_EUNKNOWN);
        m = (struct mini){.links = {{.to_job = replies[i], .to_job_times = 2}}};
        cr_assert_eq(enqueue_plain(LONG_MS, &a), JOBQ_OK, "a repeat told");
    }
}

Test(answers, name_the_holder_of_a_unique_key)
{
    jobq_job job = plain_job();
    jobq_answer a;
    char holder[JOBQ_ID_TEXT_SIZE];

    job.unique_key = "k";
    m = (struct mini){
        .links = {
            {.to_job =
                 "*2\r\n$9\r\nDUPLICATE\r\n$36\r\n01900000-0000-7000-8000-00000000abcd\r\n"}}};
    cr_assert_eq(enqueue_job(&job, LONG_MS, &a), JOBQ_OK);
    cr_assert_eq(a.status, JOBQ_STATUS_DUPLICATE);
    jobq_id_format(&a.holder, holder);
    cr_assert_str_eq(holder, "01900000-0000-7000-8000-00000000abcd");
    cr_assert_neq(memcmp(&a.id, &a.holder, sizeof(a.id)), 0);
}

Test(answers, look_for_another_server_after_a_replica)
{
    jobq_client *c;
    jobq_job job = plain_job();
    jobq_answer a;

    m = (struct mini){.link_count = 2, .links = {{.to_job = "-READONLY You can't write\r\n"}}};
    c = open_client(mini_start(&m), LONG_MS);
    cr_assert_eq(jobq_enqueue(c, &job, &a, NULL), JOBQ_EREJECTED);
    cr_assert_eq(a.cause, JOBQ_CAUSE_READ_ONLY);
    cr_assert_eq(jobq_enqueue(c, &job, &a, NULL), JOBQ_OK);
    jobq_client_close(c);
    mini_stop(&m);
    cr_assert_eq(m.connections, 2);
}

Test(answers, judge_a_bad_job_without_asking_redis)
{
    jobq_client *c = open_client("unix:///nonexistent/redis.sock", LONG_MS);
    jobq_job job = plain_job();
    jobq_answer a;
    jobq_err err = {0};
    int64_t from = now_ms();

    job.payload = "[]";
    cr_assert_eq(jobq_enqueue(c, &job, &a, &err), JOBQ_EREJECTED);
    check_answer(JOBQ_EREJECTED, &a, &err);
    cr_assert_eq(a.cause, JOBQ_CAUSE_BAD_PAYLOAD);
    cr_assert_lt(now_ms() - from, LONG_MS / 2);
    cr_assert_eq(jobq_enqueue(c, &job, NULL, NULL), JOBQ_EREJECTED);
    jobq_client_close(c);
}

Test(answers, come_one_by_one_in_a_bulk)
{
    jobq_job jobs[5];
    jobq_answer answers[5];
    jobq_client *c;
    jobq_err err = {0};

    m = (struct mini){0};
    for (int i = 0; i < 5; i++)
        jobs[i] = plain_job();
    jobs[1].payload = "{";
    jobs[3].type = "Not A Name";
    cr_assert_eq(jobq_id_new(&jobs[4].id, NULL), JOBQ_OK);
    c = open_client(mini_start(&m), LONG_MS);
    cr_assert_eq(jobq_enqueue_many(c, jobs, 0, NULL, NULL), JOBQ_OK);
    cr_assert_eq(jobq_enqueue_many(c, jobs, 5, NULL, &err), JOBQ_EINVAL);
    cr_assert_eq(jobq_enqueue_many(c, jobs, 5, answers, &err), JOBQ_EREJECTED);
    cr_assert_eq(strncmp(err.msg, "job 1: payload", 14), 0, "%s", err.msg);
    cr_assert_eq(jobq_enqueue_many(c, jobs + 4, 1, answers + 4, &err), JOBQ_OK);
    jobq_client_close(c);
    mini_stop(&m);
    cr_assert_eq(answers[0].status, JOBQ_STATUS_OK);
    cr_assert_eq(answers[1].cause, JOBQ_CAUSE_BAD_PAYLOAD);
    cr_assert_eq(answers[2].status, JOBQ_STATUS_OK);
    cr_assert_eq(answers[3].cause, JOBQ_CAUSE_BAD_NAME);
    cr_assert_eq(answers[4].status, JOBQ_STATUS_OK);
    cr_assert_arr_eq(answers[4].id.bytes, jobs[4].id.bytes, 16);
    cr_assert_eq(m.stored, 4u);
    cr_assert_eq(mini_count(&m, &jobs[4].id), 2u);
}

Test(answers, cost_one_xadd_and_no_extra_round_trip)
{
    jobq_client *c;
    jobq_job job = plain_job();

    m = (struct mini){0};
    clock_fake(1000000, 1700000000000);
    c = open_client(mini_start(&m), LONG_MS);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(jobq_enqueue(c, &job, NULL, NULL), JOBQ_OK);
    clock_fake(1000000 + 59999, 1700000000000);
    cr_assert_eq(jobq_enqueue(c, &job, NULL, NULL), JOBQ_OK);
    clock_fake(1000000 + 60000, 1700000000000);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(jobq_enqueue(c, &job, NULL, NULL), JOBQ_OK);
    job.queue = "other";
    cr_assert_eq(jobq_enqueue(c, &job, NULL, NULL), JOBQ_OK);
    clock_fake_off();
    jobq_client_close(c);
    mini_stop(&m);
    /* Before the first job, with the first one a minute later, and for the other queue. */
    cr_assert_str_eq(m.order, "RPXXXXRPXXRPX");
}

Test(answers, ask_for_all_queues_of_a_bulk_at_once)
{
    jobq_job jobs[6];
    jobq_answer answers[6];
    static const char *const queues[] = {"a", "b", "c"};
    jobq_client *c;

    m = (struct mini){0};
    for (int i = 0; i < 6; i++) {
        jobs[i] = plain_job();
        jobs[i].queue = queues[i % 3];
    }
    c = open_client(mini_start(&m), LONG_MS);
    cr_assert_eq(jobq_enqueue_many(c, jobs, 6, answers, NULL), JOBQ_OK);
    jobq_client_close(c);
    mini_stop(&m);
    cr_assert_str_eq(m.order, "RPRPRPXXXXXX");
}

Test(answers, go_to_the_partition_of_the_key)
{
    jobq_client *c;
    jobq_job job = plain_job();
    jobq_answer a;

    m = (struct mini){.links = {{.to_partitions = "$2\r\n16\r\n"}}};
    m.has_script = true;
    c = open_client(mini_start(&m), LONG_MS);
    cr_assert_eq(jobq_enqueue(c, &job, &a, NULL), JOBQ_OK);
    job.unique_key = "user:7";
    job.lane = JOBQ_LANE_HIGH;
    cr_assert_eq(jobq_enqueue(c, &job, NULL, NULL), JOBQ_OK);
    jobq_client_close(c);
    mini_stop(&m);
    cr_assert_str_eq(m.streams[0],
                     fmt("jobq:{default:%d}:ready:normal", keys_crc16(a.id.bytes, 16) % 16));
    cr_assert_str_eq(m.streams[1],
                     fmt("jobq:{default:%d}:ready:high", keys_crc16("user:7", 6) % 16));
}

Test(answers, refuse_a_queue_whose_partitions_make_no_sense)
{
    jobq_answer a;

    m = (struct mini){.links = {{.to_partitions = "$4\r\n9999\r\n"}}};
    cr_assert_eq(enqueue_plain(LONG_MS, &a), JOBQ_EREJECTED);
    cr_assert_eq(a.cause, JOBQ_CAUSE_SERVER);
    cr_assert_not_null(strstr(a.text, "partitions"), "%s", a.text);
}

Test(answers, allocate_nothing_per_job)
{
    enum { N = 20000 };
    jobq_job *jobs = calloc(N, sizeof(*jobs));
    jobq_answer *answers = calloc(N, sizeof(*answers));
    jobq_client *c;

    m = (struct mini){0};
    for (int i = 0; i < N; i++)
        jobs[i] = plain_job();
    c = open_client(mini_start(&m), LONG_MS);
    cr_assert_eq(jobq_enqueue_many(c, jobs, 2000, answers, NULL), JOBQ_OK);
    mem_fail_at(0, 0);
    cr_assert_eq(jobq_enqueue_many(c, jobs, N, answers, NULL), JOBQ_OK);
    cr_assert_leq(mem_count(), 20, "%ld", mem_count());
    mem_fail_at(0, 0);
    cr_assert_eq(jobq_enqueue(c, jobs, NULL, NULL), JOBQ_OK);
    cr_assert_eq(mem_count(), 0, "%ld", mem_count());
    jobq_client_close(c);
    mini_stop(&m);
    free(jobs);
    free(answers);
}

Test(answers, are_honest_when_memory_ends)
{
    int code = JOBQ_EREJECTED;
    long nth;

    for (nth = 1; code != JOBQ_OK; nth++) {
        jobq_client *c;
        jobq_job jobs[3] = {plain_job(), plain_job(), plain_job()};
        jobq_answer answers[3];
        jobs[1].unique_key = "k";
        m = (struct mini){0};
        c = open_client(mini_start(&m), LONG_MS);
        mem_fail_at(nth, 0);
        code = jobq_enqueue_many(c, jobs, 3, answers, NULL);
        mem_fail_at(0, 0);
        jobq_client_close(c);
        mini_stop(&m);
        cr_assert(code == JOBQ_OK || code == JOBQ_EREJECTED, "%ld: %d", nth, code);
        for (int i = 0; i < 3; i++)
            cr_assert_eq(mini_count(&m, &answers[i].id),
                         answers[i].status == JOBQ_STATUS_OK ? 1u : 0u, "%ld", nth);
    }
    cr_assert_gt(nth, 5);
}

Test(answers, come_in_a_child_on_its_own_connection)
{
    jobq_client *c;
    jobq_job job = plain_job();
    int status;

    /* The fake serves one connection at a time: the child's begins when the parent's has ended. */
    m = (struct mini){.link_count = 2, .links = {{.close_when_idle = true}}};
    c = open_client(mini_start(&m), LONG_MS);
    cr_assert_eq(jobq_enqueue(c, &job, NULL, NULL), JOBQ_OK);
    pid_t pid = fork();
    if (pid == 0) {
        int code = jobq_enqueue(c, &job, NULL, NULL);
        jobq_client_close(c);
        _exit(code == JOBQ_OK ? 0 : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
    jobq_client_close(c);
    mini_stop(&m);
    cr_assert_eq(m.stored, 2u);
    cr_assert_eq(m.registrations, 2u, "the child knows nothing of the parent's connection");
}

/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/client/client_helpers.h"
#include "tests/unit/client/mini_redis.h"

/* No answer is false, wherever the link breaks (G4, G6). */

/* A client that finds nobody tries until its deadline: it is short, so that all bytes can be tried,
 * and longer where the machine was too slow to come to the break before it. */
#define SHORT_MS patience_ms(40)
#define LONGEST_MS patience_ms(10000)
/* Every byte, but under sanitizers. */
#ifdef __SANITIZE_ADDRESS__
#define STEP ((size_t)4)
#else
#define STEP ((size_t)1)
#endif
/* Bytes of one plain job's conversation, measured first. */
static size_t request_len, reply_len;

#define REGISTRATION                                                                               \
    "*4\r\n$6\r\nHSETNX\r\n$11\r\njobq:queues\r\n$7\r\ndefault\r\n$1\r\n1\r\n"                     \
    "*3\r\n$4\r\nHGET\r\n$11\r\njobq:queues\r\n$7\r\ndefault\r\n"
#define REGISTRATION_LEN (sizeof(REGISTRATION) - 1)
#define REGISTRATION_REPLY_LEN (sizeof(":1\r\n$1\r\n1\r\n") - 1)
#define ADD_REPLY_LEN (sizeof("$15\r\n1718000000000-0\r\n") - 1)

static void measure(void)
{
    jobq_job job = plain_job();

    /* XADD key * h <23 + type> p <payload> */
    request_len = REGISTRATION_LEN +
                  strlen("*7\r\n$4\r\nXADD\r\n$30\r\njobq:{default:0}:ready:normal\r\n") - 1 +
                  strlen("$1\r\n*\r\n$1\r\nh\r\n$32\r\n") + 23 + strlen(job.type) + 2 +
                  strlen("$1\r\np\r\n$8\r\n") + strlen(job.payload) + 2;
    request_len += 1; /* "$29" and "$30" are equally long; the key has 29 */
    reply_len = REGISTRATION_REPLY_LEN + ADD_REPLY_LEN;
}

TestSuite(broken_link, .init = measure);

static struct mini m;

static int enqueue_once(int64_t deadline_ms, jobq_answer *a)
{
    jobq_client *c = open_client(mini_start(&m), deadline_ms);
    jobq_job job = plain_job();
    jobq_err err = {0};
    int code = jobq_enqueue(c, &job, a, &err);

    check_answer(code, a, &err);
    jobq_client_close(c);
    mini_stop(&m);
    return code;
}

/* What is never so, however slow the machine. */
static void check_honesty(int code, size_t k)
{
    if (m.stored > 0)
        cr_assert_neq(code, JOBQ_EREJECTED, "%zu: REJECTED is never stored", k);
    else
        cr_assert_neq(code, JOBQ_OK, "%zu: OK is never false", k);
}

/* Over a link that breaks: this is answered, so often it is stored. */
static void expect_over(const struct mini_link *link, int code, size_t stored, jobq_answer *a,
                        size_t k)
{
    int got = code;

    for (int64_t deadline = SHORT_MS; deadline <= LONGEST_MS; deadline *= 8) {
        m = (struct mini){.links = {*link}};
        got = enqueue_once(deadline, a);
        check_honesty(got, k);
        if (got == code && m.stored == stored &&
            (code != JOBQ_EREJECTED || a->cause == JOBQ_CAUSE_UNREACHABLE))
            return;
    }
    fail_test("%zu: answer %d (%s), stored %zu times; not %d and %zu", k, got, a->text, m.stored,
              code, stored);
}

Test(broken_link, knows_how_long_a_conversation_is)
{
    jobq_answer a;

    /* One byte less than the request: never stored; the whole of it: stored. */
    expect_over(&(struct mini_link){.cut_request = request_len, .last = true}, JOBQ_EUNKNOWN, 0, &a,
                request_len);
    expect_over(&(struct mini_link){.cut_request = request_len + 1, .last = true}, JOBQ_OK, 1, &a,
                request_len + 1);
}

Test(broken_link, is_told_honestly_at_every_byte_of_the_request)
{
    for (size_t k = 0; k <= request_len; k += STEP) {
        struct mini_link link = {.cut_request = k + 1, .last = true};
        jobq_answer a;

        if (k < REGISTRATION_LEN) { /* the job was not sent */
            expect_over(&link, JOBQ_EREJECTED, 0, &a, k);
            continue;
        }
        m = (struct mini){.links = {link}};
        int code = enqueue_once(SHORT_MS, &a);
        check_honesty(code, k);
    }
}

Test(broken_link, is_told_honestly_at_every_byte_of_the_reply)
{
    for (size_t k = 0; k <= reply_len; k++) {
        struct mini_link link = {.cut_reply = k + 1, .last = true};
        jobq_answer a;

        if (k < REGISTRATION_REPLY_LEN) {
            expect_over(&link, JOBQ_EREJECTED, 0, &a, k);
            continue;
        }
        expect_over(&link, k < reply_len ? JOBQ_EUNKNOWN : JOBQ_OK, 1, &a, k);
        cr_assert_eq(mini_count(&m, &a.id), 1u);
    }
}

Test(broken_link, is_healed_by_a_repeat_with_the_same_id)
{
    for (size_t k = 0; k <= request_len + reply_len; k++) {
        jobq_answer a;
        bool in_reply = k > request_len;
        m = (struct mini){.link_count = 3};
        for (int i = 0; i < 2; i++) {
            m.links[i].cut_request = in_reply ? 0 : k + 1;
            m.links[i].cut_reply = in_reply ? k - request_len : 0;
        }
        cr_assert_eq(enqueue_once(LONG_MS, &a), JOBQ_OK, "%zu", k);
        cr_assert_geq(m.stored, 1u);
        cr_assert_leq(m.stored, 3u);
        cr_assert_eq(mini_count(&m, &a.id), m.stored, "%zu: another id was stored", k);
    }
}

Test(broken_link, leaves_doubt_when_the_repeat_is_refused)
{
    jobq_answer a;

    m = (struct mini){
        .link_count = 2,
        .links = {{.cut_reply = REGISTRATION_REPLY_LEN + 1},
                  {.to_job = "-OOM command not allowed when used memory > 'maxmemory'.\r\n"}}};
    cr_assert_eq(enqueue_once(LONG_MS, &a), JOBQ_EUNKNOWN);
    cr_assert_eq(a.cause, JOBQ_CAUSE_OUT_OF_MEMORY);
    cr_assert_not_null(strstr(a.text, "earlier"), "%s", a.text);
    cr_assert_eq(m.stored, 1u);
}

Test(broken_link, is_noticed_before_a_job_is_in_it)
{
    jobq_client *c;
    jobq_job job = plain_job();
    jobq_answer a, b;

    m = (struct mini){.link_count = 2, .links = {{.close_when_idle = true}}};
    c = open_client(mini_start(&m), LONG_MS);
    cr_assert_eq(jobq_enqueue(c, &job, &a, NULL), JOBQ_OK);
    /* The end of the first connection is on its way: it comes before this call or during it; both
     * must heal. */
    cr_assert_eq(jobq_enqueue(c, &job, &b, NULL), JOBQ_OK);
    jobq_client_close(c);
    mini_stop(&m);
    cr_assert_eq(mini_count(&m, &a.id), 1u);
    cr_assert_eq(mini_count(&m, &b.id), 1u);
    cr_assert_eq(m.connections, 2);
}

Test(broken_link, repeats_only_what_was_not_answered)
{
    enum { N = 6000 };
    jobq_job *jobs = calloc(N, sizeof(*jobs));
    jobq_answer *answers = calloc(N, sizeof(*answers));
    jobq_client *c;
    jobq_err err = {0};
    size_t copies = 0;

    m = (struct mini){.link_count = 6};
    for (int i = 0; i < 5; i++)
        m.links[i].cut_reply = 20000; /* about 900 answers a connection */
    for (int i = 0; i < N; i++)
        jobs[i] = plain_job();
    c = open_client(mini_start(&m), LONG_MS);
    cr_assert_eq(jobq_enqueue_many(c, jobs, N, answers, &err), JOBQ_OK, "%s", err.msg);
    jobq_client_close(c);
    mini_stop(&m);
    cr_assert_eq(m.connections, 6);
    for (int i = 0; i < N; i++)
        cr_assert_eq(answers[i].status, JOBQ_STATUS_OK);
    cr_assert_geq(m.stored, (size_t)N);
    copies = m.stored - N;
    cr_assert_leq(copies, 5 * 1000u, "more than a window for each broken link");
    for (int i = 0; i < N; i += 97)
        cr_assert_geq(mini_count(&m, &answers[i].id), 1u);
    free(jobs);
    free(answers);
}

/* Over a link that breaks after some 500 answers; how often each answer was given. */
static int enqueue_bulk(jobq_job *jobs, jobq_answer *answers, int n, int64_t deadline_ms,
                        size_t counts[4])
{
    jobq_err err = {0};

    m = (struct mini){.links = {{.cut_reply = 12000, .last = true}}};
    jobq_client *c = open_client(mini_start(&m), deadline_ms);
    int code = jobq_enqueue_many(c, jobs, (size_t)n, answers, &err);
    cr_assert_neq(code, JOBQ_OK);
    jobq_client_close(c);
    mini_stop(&m);
    cr_assert_not_null(strstr(err.msg, "job "), "%s", err.msg);
    memset(counts, 0, 4 * sizeof(*counts));
    for (int i = 0; i < n; i++) {
        size_t stored = mini_count(&m, &answers[i].id);
        counts[answers[i].status]++;
        if (answers[i].status == JOBQ_STATUS_OK)
            cr_assert_eq(stored, 1u, "%d", i);
        else if (answers[i].status == JOBQ_STATUS_REJECTED)
            cr_assert_eq(stored, 0u, "%d", i);
        else
            cr_assert_eq(answers[i].status, JOBQ_STATUS_UNKNOWN);
    }
    return code;
}

Test(broken_link, tells_the_jobs_of_a_bulk_apart)
{
    enum { N = 3000 };
    jobq_job *jobs = calloc(N, sizeof(*jobs));
    jobq_answer *answers = calloc(N, sizeof(*answers));
    size_t counts[4] = {0};
    int code = JOBQ_OK;

    for (int i = 0; i < N; i++)
        jobs[i] = plain_job();
    for (int64_t deadline = patience_ms(300); deadline <= LONGEST_MS; deadline *= 4) {
        code = enqueue_bulk(jobs, answers, N, deadline, counts);
        if (counts[JOBQ_STATUS_OK] > 100)
            break;
    }
    cr_assert_eq(code, JOBQ_EUNKNOWN);
    cr_assert_gt(counts[JOBQ_STATUS_OK], 100u);
    cr_assert_gt(counts[JOBQ_STATUS_UNKNOWN], 0u);
    cr_assert_gt(counts[JOBQ_STATUS_REJECTED], 100u, "those that were never sent");
    free(jobs);
    free(answers);
}

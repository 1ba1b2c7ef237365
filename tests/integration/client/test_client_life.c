/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/client/client_world.h"

/* Restarts, forks, threads. */

static struct redis *redis;

static void start(void)
{
    redis = redis_start_aof();
}

static void end(void)
{
    redis_stop(redis);
}

TestSuite(client_life, .init = start, .fini = end);

static void write_all(int fd, const void *bytes, size_t n)
{
    const char *from = bytes;

    while (n > 0) {
        ssize_t put = write(fd, from, n);
        if (put < 0)
            _exit(9);
        from += put;
        n -= (size_t)put;
    }
}

static void read_all(int fd, void *bytes, size_t n)
{
    char *to = bytes;

    while (n > 0) {
        ssize_t got = read(fd, to, n);
        cr_assert_gt(got, 0, "the producer ended early");
        to += got;
        n -= (size_t)got;
    }
}

enum { CALLS = 3, CALL = 20000, BULK = CALLS * CALL };

/* In a child: enqueues BULK jobs in calls of CALL, each when a byte of `go` says so, and writes the
 * answers to fd. */
static _Noreturn void produce(int go, int fd)
{
    jobq_client *c = open_client(redis->producer_url, 60000);
    jobq_job *jobs = calloc(BULK, sizeof(*jobs));
    jobq_answer *answers = calloc(BULK, sizeof(*answers));

    alarm((unsigned)(patience_ms(240000) / 1000));
    for (int i = 0; i < BULK; i++)
        jobs[i] = plain_job();
    for (int i = 0; i < BULK; i += CALL) {
        char byte;
        if (read(go, &byte, 1) != 1)
            _exit(7);
        if (jobq_enqueue_many(c, jobs + i, CALL, answers + i, NULL) == JOBQ_EINVAL)
            _exit(8);
    }
    for (int i = 0; i < BULK; i++)
        write_all(fd, &answers[i], sizeof(answers[i]));
    _exit(0);
}

static bool is_half_done(void *ctx)
{
    return redis_int(redis, "XLEN " LANE) > *(const long long *)ctx;
}

/* Ids of all entries, sorted. */
static unsigned char (*stored_ids(size_t *count))[16]
{
    redisReply *all = redis_do(redis, "XRANGE " LANE " - +");
    unsigned char(*ids)[16] = calloc(all->elements, 16);

    *count = all->elements;
    for (size_t i = 0; i < all->elements; i++)
        memcpy(ids[i], all->element[i]->element[1]->element[1]->str + 6, 16);
    freeReplyObject(all);
    return ids;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

/* G1, G6 */
Test(client_life, loses_no_acknowledged_job_when_redis_is_killed_in_a_bulk)
{
    int pipes[2], go[2];
    int status;
    size_t count, ok = 0;
    jobq_answer a;

    cr_assert(pipe(pipes) == 0 && pipe(go) == 0);
    pid_t pid = fork();
    if (pid == 0)
        produce(go[0], pipes[1]);
    close(pipes[1]);
    for (int i = 0; i < CALLS; i++) {
        /* This call's jobs are still to come, however slow we are: there will be so many more. */
        long long half = redis_int(redis, "XLEN " LANE) + 2000;
        cr_assert_eq(write(go[1], "", 1), 1);
        cr_assert(wait_until(now_ms() + patience_ms(30000), is_half_done, &half));
        redis_kill(redis);
        redis_restart(redis);
    }
    jobq_answer *answers = calloc(BULK, sizeof(*answers));
    for (int i = 0; i < BULK; i++) {
        read_all(pipes[0], &a, sizeof(a));
        answers[i] = a;
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
    unsigned char(*ids)[16] = stored_ids(&count);
    qsort(ids, count, 16, compare_ids);
    for (int i = 0; i < BULK; i++) {
        bool stored = bsearch(answers[i].id.bytes, ids, count, 16, compare_ids) != NULL;
        if (answers[i].status == JOBQ_STATUS_OK)
            cr_assert(stored, "%d was acknowledged and is lost", i);
        else if (answers[i].status == JOBQ_STATUS_REJECTED)
            cr_assert_not(stored, "%d was refused and is stored", i);
        ok += answers[i].status == JOBQ_STATUS_OK;
    }
    cr_assert_eq(ok, (size_t)BULK, "the deadline allowed for every repeat");
    cr_assert_geq(count, (size_t)BULK);
    cr_assert_leq(count, BULK + 3 * 1000u, "more copies than were in the pipe");
    close(pipes[0]);
    close(go[0]);
    close(go[1]);
    free(answers);
    free(ids);
}

Test(client_life, heals_a_connection_that_was_killed_between_two_calls)
{
    jobq_client *c = open_client(redis->tcp_url, LONG_MS);
    jobq_job job = plain_job();

    for (int i = 0; i < 20; i++) {
        must_enqueue(c, &job, NULL);
        freeReplyObject(redis_do(redis, "CLIENT KILL TYPE normal SKIPME yes"));
    }
    cr_assert_eq(redis_int(redis, "XLEN " LANE), 20);
    jobq_client_close(c);
}

Test(client_life, registers_its_queue_again_after_redis_lost_everything)
{
    jobq_client *c = open_client(redis->producer_url, LONG_MS);
    jobq_job job = plain_job();

    must_enqueue(c, &job, NULL);
    freeReplyObject(redis_do(redis, "FLUSHALL"));
    freeReplyObject(redis_do(redis, "CLIENT KILL TYPE normal SKIPME yes"));
    must_enqueue(c, &job, NULL);
    cr_assert_eq(redis_int(redis, "HEXISTS jobq:queues default"), 1);
    jobq_client_close(c);
}

/* In a child that inherited the client. */
static _Noreturn void enqueue_in_child(jobq_client *c)
{
    jobq_job job = plain_job();

    alarm(100);
    for (int i = 0; i < 300; i++)
        if (jobq_enqueue(c, &job, NULL, NULL) != JOBQ_OK)
            _exit(1);
    jobq_client_close(c);
    _exit(0);
}

Test(client_life, survives_fork_on_both_sides)
{
    /* By name: looking it up in a child of a process that just did is the hard case. */
    jobq_client *c = open_client(fmt("redis://localhost:%d", redis->port), LONG_MS);
    jobq_job job = plain_job();
    pid_t children[4];
    int status;

    must_enqueue(c, &job, NULL);
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0)
            enqueue_in_child(c);
        cr_assert_gt(children[i], 0);
    }
    for (int i = 0; i < 300; i++)
        must_enqueue(c, &job, NULL);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
        cr_assert_eq(status, 0);
    }
    must_enqueue(c, &job, NULL);
    cr_assert_eq(redis_int(redis, "XLEN " LANE), 2 + 5 * 300);
    size_t count;
    unsigned char(*ids)[16] = stored_ids(&count);
    qsort(ids, count, 16, compare_ids);
    for (size_t i = 1; i < count; i++)
        cr_assert_neq(memcmp(ids[i - 1], ids[i], 16), 0, "two processes made one id");
    free(ids);
    jobq_client_close(c);
}

static void *enqueue_in_thread(void *url)
{
    jobq_client *c = open_client(url, LONG_MS);
    jobq_job job = plain_job();
    intptr_t failed = 0;

    for (int i = 0; i < 300; i++)
        failed += jobq_enqueue(c, &job, NULL, NULL) != JOBQ_OK;
    jobq_client_close(c);
    return (void *)failed;
}

Test(client_life, lets_each_thread_have_a_client)
{
    pthread_t threads[4];
    void *failed;

    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, enqueue_in_thread,
                                    i % 2 == 0 ? redis->producer_url : redis->tcp_url),
                     0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &failed);
        cr_assert_null(failed);
    }
    cr_assert_eq(redis_int(redis, "XLEN " LANE), 4 * 300);
}

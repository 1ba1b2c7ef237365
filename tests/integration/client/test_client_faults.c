/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/base.h"
#include "tests/integration/client/client_world.h"

/* G6 and G7: whatever state Redis is in, an answer in time, and a true one. */

static struct redis *redis;

static void start(void)
{
    redis = redis_start(NULL);
}

static void end(void)
{
    redis_stop(redis);
}

TestSuite(client_faults, .init = start, .fini = end);

static void config_set(const char *name, const char *value)
{
    freeReplyObject(redis_do(redis, "CONFIG SET %s %s", name, value));
}

/* A deadline that is to pass, or that an answer must beat: a machine may stand still for a while.
 */
#define SHORT_MS MIN(patience_ms(1000), INT64_C(5000))

/* Enqueue is refused for this cause, before and after the client knows the queue; then it is
 * taken. */
static void check_refused_then_taken(void (*breaks)(void), void (*mends)(void), jobq_cause cause)
{
    jobq_client *fresh = open_client(redis->producer_url, LONG_MS);
    jobq_client *used = open_client(redis->producer_url, LONG_MS);
    jobq_job job = plain_job();
    jobq_job delayed = plain_job();

    delayed.delay_ms = 3600000;
    must_enqueue(used, &job, NULL);
    must_enqueue(used, &delayed, NULL);
    breaks();
    must_reject(used, &job, cause);
    must_reject(used, &delayed, cause);
    must_reject(fresh, &job, cause);
    cr_assert_eq(redis_int(redis, "XLEN " LANE), 1);
    cr_assert_eq(redis_int(redis, "ZCARD jobq:{default:0}:later"), 1);
    mends();
    must_enqueue(used, &job, NULL);
    must_enqueue(fresh, &delayed, NULL);
    cr_assert_eq(redis_int(redis, "XLEN " LANE), 2);
    jobq_client_close(fresh);
    jobq_client_close(used);
}

static void fill_memory(void)
{
    config_set("maxmemory", "1");
}

static void free_memory(void)
{
    config_set("maxmemory", "0");
}

Test(client_faults, out_of_memory)
{
    check_refused_then_taken(fill_memory, free_memory, JOBQ_CAUSE_OUT_OF_MEMORY);
}

static void want_replicas(void)
{
    config_set("min-replicas-to-write", "1");
}

static void want_no_replicas(void)
{
    config_set("min-replicas-to-write", "0");
}

Test(client_faults, too_few_replicas)
{
    check_refused_then_taken(want_replicas, want_no_replicas, JOBQ_CAUSE_NO_REPLICAS);
}

static bool save_failed(void *ctx)
{
    (void)ctx;
    char *info = redis_str(redis, "INFO persistence");
    bool failed = strstr(info, "rdb_last_bgsave_status:err") != NULL;
    free(info);
    return failed;
}

static void break_disk(void)
{
    /* The snapshot cannot take the name of a directory. */
    cr_assert_eq(mkdir(fmt("%s/dump.rdb", redis->dir), 0700), 0);
    config_set("save", "3600 1000000");
    freeReplyObject(redis_do(redis, "BGSAVE"));
    cr_assert(wait_until(now_ms() + patience_ms(20000), save_failed, NULL));
}

Test(client_faults, a_disk_that_cannot_be_written)
{
    jobq_client *c = open_client(redis->producer_url, LONG_MS);
    jobq_job job = plain_job();

    must_enqueue(c, &job, NULL);
    break_disk();
    must_reject(c, &job, JOBQ_CAUSE_CANNOT_PERSIST);
    job.delay_ms = 1000;
    must_reject(c, &job, JOBQ_CAUSE_CANNOT_PERSIST);
    cr_assert_eq(redis_int(redis, "XLEN " LANE), 1);
    config_set("stop-writes-on-bgsave-error", "no");
    must_enqueue(c, &job, NULL);
    jobq_client_close(c);
}

static void become_replica(void)
{
    freeReplyObject(redis_do(redis, "REPLICAOF 127.0.0.1 1"));
}

static void become_master(void)
{
    freeReplyObject(redis_do(redis, "REPLICAOF NO ONE"));
}

Test(client_faults, a_replica)
{
    check_refused_then_taken(become_replica, become_master, JOBQ_CAUSE_READ_ONLY);
}

Test(client_faults, a_replica_that_lost_its_master)
{
    jobq_client *c = open_client(redis->producer_url, LONG_MS);
    jobq_job job = plain_job();

    become_replica();
    config_set("replica-serve-stale-data", "no");
    must_reject(c, &job, JOBQ_CAUSE_READ_ONLY);
    become_master();
    must_enqueue(c, &job, NULL);
    jobq_client_close(c);
}

Test(client_faults, a_user_without_the_right)
{
    jobq_job job = plain_job();
    jobq_job unique = plain_job();
    jobq_answer a;

    unique.unique_key = "k";
    freeReplyObject(
        redis_do(redis, "ACL SETUSER least on >x ~jobq:* &jobq:* -@all +xadd +hsetnx +hget"));
    jobq_client *c = open_client(fmt("redis://least:x@127.0.0.1:%d", redis->port), LONG_MS);
    must_enqueue(c, &job, NULL); /* a plain job needs no more than that */
    must_reject(c, &unique, JOBQ_CAUSE_PERMISSION);
    freeReplyObject(redis_do(redis, "ACL SETUSER least +evalsha"));
    must_reject(c, &unique, JOBQ_CAUSE_PERMISSION); /* the script cannot be loaded */
    freeReplyObject(redis_do(redis, "ACL SETUSER least +script|load"));
    /* Now it is the script itself that is refused half way: nobody can tell whether anything was
     * written. */
    cr_assert_eq(jobq_enqueue(c, &unique, &a, NULL), JOBQ_EUNKNOWN);
    cr_assert_eq(a.cause, JOBQ_CAUSE_PERMISSION);
    freeReplyObject(redis_do(redis, "ACL SETUSER least +@all"));
    must_enqueue(c, &unique, NULL);
    freeReplyObject(redis_do(redis, "ACL SETUSER least -xadd"));
    must_reject(c, &job, JOBQ_CAUSE_PERMISSION);
    cr_assert_eq(redis_int(redis, "XLEN " LANE), 2);
    jobq_client_close(c);
}

Test(client_faults, a_user_who_may_not_publish)
{
    jobq_job job = plain_job();
    jobq_answer a, b;

    job.unique_key = "k";
    job.delay_ms = 3600000;
    freeReplyObject(redis_do(redis, "ACL SETUSER mute on >x ~jobq:* resetchannels +@all"));
    jobq_client *c = open_client(fmt("redis://mute:x@127.0.0.1:%d", redis->port), LONG_MS);
    must_enqueue(c, &job, &a); /* the wake-up failed; the repeat found the job */
    cr_assert_eq(a.status, JOBQ_STATUS_DUPLICATE);
    cr_assert_arr_eq(a.holder.bytes, a.id.bytes, 16);
    must_enqueue(c, &job, &b);
    cr_assert_eq(b.status, JOBQ_STATUS_DUPLICATE);
    cr_assert_arr_eq(b.holder.bytes, a.id.bytes, 16);
    cr_assert_eq(redis_int(redis, "ZCARD jobq:{default:0}:later"), 1);
    jobq_client_close(c);
}

Test(client_faults, a_wrong_password_is_said_at_once)
{
    static const char *const credentials[] = {":wrong-secret@", "", "nobody:wrong-secret@"};
    jobq_job job = plain_job();

    config_set("requirepass", "right");
    for (int i = 0; i < 3; i++) {
        int64_t from = now_ms();
        jobq_answer a;
        jobq_client *c =
            open_client(fmt("redis://%s127.0.0.1:%d", credentials[i], redis->port), LONG_MS);
        cr_assert_eq(jobq_enqueue(c, &job, &a, NULL), JOBQ_EREJECTED);
        cr_assert_eq(a.cause, JOBQ_CAUSE_PERMISSION, "%s", a.text);
        cr_assert_null(strstr(a.text, "wrong-secret"), "%s", a.text);
        cr_assert_lt(now_ms() - from, LONG_MS / 2);
        jobq_client_close(c);
    }
}

Test(client_faults, a_database_that_does_not_exist)
{
    jobq_client *c = open_client(fmt("redis://127.0.0.1:%d/99", redis->port), SHORT_MS);
    jobq_job job = plain_job();

    must_reject(c, &job, JOBQ_CAUSE_SERVER);
    jobq_client_close(c);
}

Test(client_faults, too_many_clients)
{
    jobq_client *c = open_client(redis->producer_url, SHORT_MS);
    jobq_job job = plain_job();

    config_set("maxclients", "1"); /* the test's own */
    must_reject(c, &job, JOBQ_CAUSE_SERVER);
    config_set("maxclients", "100");
    must_enqueue(c, &job, NULL);
    jobq_client_close(c);
}

Test(client_faults, a_key_of_another_type)
{
    jobq_client *c = open_client(redis->producer_url, LONG_MS);
    jobq_job job = plain_job();

    freeReplyObject(redis_do(redis, "SET " LANE " x"));
    must_reject(c, &job, JOBQ_CAUSE_SERVER);
    jobq_client_close(c);
}

/* Makes Redis busy with a script, on a connection of its own. */
static redisContext *make_busy(void)
{
    redisContext *busy = redisConnectUnix(redis->socket);
    int done = 0;

    config_set("busy-reply-threshold", "1");
    redisAppendCommand(busy, "EVAL %s 0", "while true do end");
    while (!done)
        cr_assert_eq(redisBufferWrite(busy, &done), REDIS_OK);
    return busy;
}

static bool is_busy(void *ctx)
{
    redisReply *r = redis_do(redis, "PING");
    bool busy = r->type == REDIS_REPLY_ERROR;

    (void)ctx;
    freeReplyObject(r);
    return busy;
}

Test(client_faults, a_script_that_does_not_end)
{
    jobq_client *c = open_client(redis->producer_url, SHORT_MS);
    jobq_job job = plain_job();

    must_enqueue(c, &job, NULL);
    redisContext *busy = make_busy();
    cr_assert(wait_until(now_ms() + patience_ms(20000), is_busy, NULL));
    must_reject(c, &job, JOBQ_CAUSE_BUSY);
    freeReplyObject(redis_do(redis, "SCRIPT KILL"));
    jobq_client_close(c);
    c = open_client(redis->producer_url, LONG_MS);
    must_enqueue(c, &job, NULL);
    cr_assert_eq(redis_int(redis, "XLEN " LANE), 2);
    redisFree(busy);
    jobq_client_close(c);
}

/* ---- time ---- */

static void check_elapsed(int64_t from, int64_t ms)
{
    int64_t took = now_ms() - from;

    cr_assert_geq(took, ms);
    /* Who waits for a frozen Redis without a deadline waits for ever. */
    cr_assert_leq(took, ms + patience_ms(10000), "%lld ms", (long long)took);
}

Test(client_faults, a_frozen_redis_that_was_never_reached)
{
    int64_t deadline_ms = SHORT_MS;
    jobq_client *c = open_client(redis->tcp_url, deadline_ms);
    jobq_job job = plain_job();

    process_signal(redis->process, SIGSTOP);
    int64_t from = now_ms();
    must_reject(c, &job, JOBQ_CAUSE_UNREACHABLE);
    check_elapsed(from, deadline_ms);
    process_signal(redis->process, SIGCONT);
    must_enqueue(c, &job, NULL);
    cr_assert_eq(redis_int(redis, "XLEN " LANE), 1, "REJECTED is never stored");
    jobq_client_close(c);
}

static bool has_one_more(void *ctx)
{
    return redis_int(redis, "XLEN " LANE) == *(const long long *)ctx;
}

Test(client_faults, a_redis_that_freezes_under_a_job)
{
    int64_t deadline_ms = SHORT_MS;
    jobq_client *c = open_client(redis->tcp_url, deadline_ms);
    jobq_job job = plain_job();
    jobq_job unique = plain_job();
    jobq_answer a, b;
    long long want = 3;

    unique.unique_key = "k";
    must_enqueue(c, &job, NULL);
    process_signal(redis->process, SIGSTOP);
    int64_t from = now_ms();
    cr_assert_eq(jobq_enqueue(c, &job, &a, NULL), JOBQ_EUNKNOWN);
    check_elapsed(from, deadline_ms);
    cr_assert_not_null(strstr(a.text, "same id"), "%s", a.text);
    process_signal(redis->process, SIGCONT);
    job.id = a.id;
    must_enqueue(c, &job, NULL); /* the repeat that the answer asks for */
    cr_assert(wait_until(now_ms() + patience_ms(20000), has_one_more, &want));
    cr_assert_eq(count_entries(redis, LANE, &a.id), 2,
                 "stored twice under one id: allowed for a plain job");
    /* With a unique key the repeat finds the first. */
    must_enqueue(c, &unique, &b);
    unique.unique_key = "k2";
    process_signal(redis->process, SIGSTOP);
    cr_assert_eq(jobq_enqueue(c, &unique, &b, NULL), JOBQ_EUNKNOWN);
    process_signal(redis->process, SIGCONT);
    unique.id = b.id;
    must_enqueue(c, &unique, &b);
    want = 5;
    cr_assert(wait_until(now_ms() + patience_ms(20000), has_one_more, &want));
    cr_assert_eq(count_entries(redis, LANE, &b.id), 1);
    jobq_client_close(c);
}

Test(client_faults, a_bulk_larger_than_its_time)
{
    enum { N = 300000 };
    int64_t deadline_ms = SHORT_MS;
    jobq_client *c = open_client(redis->tcp_url, deadline_ms);
    jobq_job *jobs = calloc(N, sizeof(*jobs));
    jobq_answer *answers = calloc(N, sizeof(*answers));
    jobq_job job = plain_job();
    size_t rejected = 0;

    for (int i = 0; i < N; i++)
        jobs[i] = plain_job();
    must_enqueue(c, &job, NULL);
    process_signal(redis->process, SIGSTOP);
    int64_t from = now_ms();
    cr_assert_eq(jobq_enqueue_many(c, jobs, N, answers, NULL), JOBQ_EUNKNOWN);
    check_elapsed(from, deadline_ms);
    process_signal(redis->process, SIGCONT);
    for (int i = 0; i < N; i++) {
        cr_assert(answers[i].status == JOBQ_STATUS_UNKNOWN ||
                  answers[i].status == JOBQ_STATUS_REJECTED);
        if (answers[i].status == JOBQ_STATUS_REJECTED) {
            cr_assert_eq(answers[i].cause, JOBQ_CAUSE_TIMED_OUT);
            rejected++;
        }
    }
    cr_assert_geq(rejected, (size_t)N - 1000);
    must_enqueue(c, &job, NULL);
    cr_assert_leq(redis_int(redis, "XLEN " LANE), (long long)(N - rejected) + 2);
    free(jobs);
    free(answers);
    jobq_client_close(c);
}

Test(client_faults, no_redis_at_all)
{
    int64_t deadline_ms = SHORT_MS;
    jobq_client *c = open_client(redis->producer_url, deadline_ms);
    jobq_client *tcp = open_client(redis->tcp_url, deadline_ms);
    jobq_job job = plain_job();

    must_enqueue(c, &job, NULL);
    must_enqueue(tcp, &job, NULL);
    redis_kill(
        redis); /* both connections are dead, and it must be noticed before a job is in them */
    for (int i = 0; i < 2; i++) {
        int64_t from = now_ms();
        must_reject(i == 0 ? c : tcp, &job, JOBQ_CAUSE_UNREACHABLE);
        check_elapsed(from, deadline_ms);
    }
    redis_restart(redis);
    must_enqueue(c, &job, NULL);
    must_enqueue(tcp, &job, NULL);
    jobq_client_close(c);
    jobq_client_close(tcp);
}

/* SPDX-License-Identifier: MIT */
/*
 * Edges that chance rarely meets: numbers beyond time, and a drain while jobd is still registering.
 */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/e2e/scene.h"

#define AGAIN_MS 1000 /* what Redis refuses is tried again after so long */

static unsigned char *put_number(unsigned char *at, unsigned char tag, uint64_t value)
{
    *at++ = tag;
    *at++ = 8;
    *at++ = 0;
    for (int i = 0; i < 8; i++)
        *at++ = (unsigned char)(value >> (8 * i));
    return at;
}

/* A sound header of a noop job; options expires (4) and enqueued at (10) unless 0. */
static size_t make_header(unsigned char *h, uint64_t expires, uint64_t enqueued)
{
    jobq_id id;
    jobq_err err;

    cr_assert_eq(jobq_id_new(&id, &err), JOBQ_OK);
    memset(h, 0, 23);
    h[0] = 1;
    memcpy(h + 6, id.bytes, sizeof(id.bytes));
    h[22] = 4;
    memcpy(h + 23, "noop", 4);
    unsigned char *at = h + 27;
    if (expires)
        at = put_number(at, 4, expires);
    if (enqueued)
        at = put_number(at, 10, enqueued);
    return (size_t)(at - h);
}

static bool is_subscribed(void *ctx)
{
    struct scene *s = ctx;
    redisReply *r = redis_do(s->redis, "PUBSUB NUMSUB jobq:{default:0}:wake");
    bool subscribed = r->elements == 2 && r->element[1]->integer == 1;

    freeReplyObject(r);
    return subscribed;
}

static bool knows_its_queue(void *ctx)
{
    struct scene *s = ctx;

    return redis_int(s->redis, "HEXISTS jobq:queues default") == 1;
}

/* G43: times that no clock shows cost nothing; what a sanitizer would see of them is seen in its build. */
Test(edge, numbers_beyond_time_cost_nothing)
{
    struct scene *s = scene_new(0);
    unsigned char h[64];

    scene_jobd(s, 0, (struct jobd_options){.executors = 1});
    size_t n = make_header(h, INT64_MAX, INT64_MAX);
    freeReplyObject(redis_do(s->redis, "XADD jobq:{default:0}:ready:normal * h %b p {}", h, n));
    n = make_header(h, INT64_MAX, 1);
    freeReplyObject(redis_do(s->redis, "XADD jobq:{default:0}:ready:normal * h %b p {}", h, n));
    n = make_header(h, 1, 0);
    freeReplyObject(redis_do(s->redis, "XADD jobq:{default:0}:ready:low 9223372036854775808-1 h %b p {}", h, n));
    cr_assert(wait_until(now_ms() + patience_ms(20000), is_subscribed, s));
    static const char *const times[] = {"-9223372036854775808", "9223372036854775807", "-1", "x", ""};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        cr_assert_geq(redis_int(s->redis, "PUBLISH jobq:{default:0}:wake %s", times[i]), 1);
    scene_wait_drained(s, 20000);
    cr_assert(process_wait_log(s->jobd[0]->process, "job.done", NULL, patience_ms(20000)));
    /* It still wakes up on time. */
    jobq_job job = JOBQ_JOB_INIT;
    job.type = "noop";
    job.payload = "{}";
    job.delay_ms = 50;
    scene_enqueue_job(s, &job);
    scene_wait_drained(s, 20000);
    cr_assert_eq(scene_dead(s), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* G37: a name whose registration is on its way when the drain begins is taken out again. */
Test(edge, a_drain_waits_for_the_registration_under_way)
{
    struct scene *s = scene_new(0);
    const char *gate = fmt("%s/gate", tmp_dir()), *slow = fmt("%s/slow-executor", tmp_dir());

    /* An executor that starts when it is told: until then the types are not known, and nothing is registered. */
    write_file(slow, fmt("#!/bin/sh\nwhile [ ! -e %s ]; do sleep 0.02; done\nexec %s\n", gate,
                         bin_path("jobq-executor")));
    cr_assert_eq(chmod(slow, 0700), 0);
    struct jobd *j = scene_jobd(s, 0, (struct jobd_options){
        .executors = 1, .do_not_wait = true, .extra = fmt("executor_path = \"%s\";", slow)});
    cr_assert(wait_until(now_ms() + patience_ms(20000), knows_its_queue, s));
    process_signal(s->redis->process, SIGSTOP);
    write_file(gate, "");
    cr_assert(process_wait_log(j->process, " types ", NULL, patience_ms(20000)));
    process_signal(j->process, SIGTERM);
    cr_assert(process_wait_log(j->process, " drain ", NULL, patience_ms(20000)));
    process_signal(s->redis->process, SIGCONT);
    cr_assert_eq(process_wait(j->process, patience_ms(60000)), 0);
    cr_assert_eq(redis_int(s->redis, "HLEN jobq:{default:0}:alive"), 0);
    jobd_free(j);
    s->jobd[0] = NULL;
    scene_free(s);
}

struct done {
    struct scene *scene;
    int count;
};

static bool are_done(void *ctx)
{
    struct done *d = ctx;

    return process_count_log(d->scene->jobd[0]->process, "job.done") >= d->count;
}

static bool is_spent(void *ctx)
{
    struct scene *s = ctx;

    return process_count_log(s->jobd[0]->process, "incarnation.lost") > 0;
}

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

/* Both are behind each other if the registration came due meanwhile, which nobody can see. */
static bool refuse_acknowledgement(struct scene *s)
{
    size_t held = scene_held(s);
    struct done done = {s, process_count_log(s->jobd[0]->process, "job.done") + 2};

    scene_enqueue_held(s, 2);
    scene_wait_held(s, held + 2, 20000);
    freeReplyObject(redis_do(s->redis, "CLIENT PAUSE 600000 WRITE"));
    scene_let_go(s);
    cr_assert(wait_until(patience_ms(20000), are_done, &done));
    wait_until(now_ms() + 3 * AGAIN_MS, never, NULL);
    freeReplyObject(redis_do(s->redis, "REPLICAOF 127.0.0.1 1"));
    freeReplyObject(redis_do(s->redis, "CLIENT UNPAUSE"));
    bool spent = wait_until(patience_ms(5000), is_spent, s);
    freeReplyObject(redis_do(s->redis, "REPLICAOF NO ONE"));
    return spent;
}

/*
 * G36 G42: Redis becomes a replica while a job's acknowledgement and, behind it, a registration are on their way: the
 * first is refused, which breaks the connection, which spends the name.
 */
Test(edge, a_name_may_be_spent_while_an_acknowledgement_is_refused)
{
    struct scene *s = scene_new(SCENE_PG);

    /* A queue that cannot be registered, so that it is tried every half second; beats are minutes apart. */
    freeReplyObject(redis_do(s->redis, "SET jobq:{odd:0}:ready:high x"));
    freeReplyObject(redis_do(s->redis, "HSET jobq:queues odd 1"));
    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = "10m"});
    cr_assert(process_wait_log(s->jobd[0]->process, "WRONGTYPE", NULL, patience_ms(20000)));
    for (int i = 0; !refuse_acknowledgement(s); i++) {
        if (i == 3)
            fail_test("the name was not spent");
        scene_wait_drained(s, 30000);
        scene_hold_again(s);
    }
    freeReplyObject(redis_do(s->redis, "DEL jobq:{odd:0}:ready:high"));
    scene_wait_drained(s, 30000);
    scene_check_effects(s);
    scene_drain(s, 0);
    scene_free(s);
}

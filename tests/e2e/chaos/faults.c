/* SPDX-License-Identifier: MIT */
/*
 * faults: what chaos breaks, and how it is mended. Only what runs is broken; a stopped jobd may be
 * killed.
 */
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/e2e/chaos/chaos.h"

#define EXECUTORS_MAX 16

static const char *const lanes[] = {"recovered", "high", "normal", "low"};

/* ---- looking ---- */

static long long field_of(const redisReply *group, const char *field)
{
    for (size_t i = 0; i + 1 < group->elements; i += 2)
        if (strcmp(group->element[i]->str, field) == 0)
            return group->element[i + 1]->integer;
    return 0;
}

static const char *text_of(const redisReply *group, const char *field)
{
    for (size_t i = 0; i + 1 < group->elements; i += 2)
        if (strcmp(group->element[i]->str, field) == 0)
            return group->element[i + 1]->str;
    return "0-0";
}

/* Of one lane: pending, and if waiting also what was not delivered. */
static long long in_lane(struct chaos *c, unsigned partition, const char *lane, bool waiting)
{
    long long n = 0;
    const char *last = "0-0";
    redisReply *r =
        redis_do(c->scene->redis, "XINFO GROUPS jobq:{default:%u}:ready:%s", partition, lane);

    if (r->type == REDIS_REPLY_ARRAY && r->elements == 1) {
        n = field_of(r->element[0], "pending");
        last = fmt("%s", text_of(r->element[0], "last-delivered-id"));
    }
    freeReplyObject(r);
    if (!waiting)
        return n;
    r = redis_do(c->scene->redis, "XRANGE jobq:{default:%u}:ready:%s (%s + COUNT 100", partition,
                 lane, last);
    n += (long long)r->elements;
    freeReplyObject(r);
    return n;
}

static long long in_lanes(struct chaos *c, bool waiting)
{
    long long n = 0;

    for (unsigned p = 0; p < c->partitions; p++)
        for (size_t k = 0; k < 4; k++)
            n += in_lane(c, p, lanes[k], waiting);
    return n;
}

long long chaos_in_flight(struct chaos *c)
{
    return in_lanes(c, false);
}

long long chaos_waiting(struct chaos *c)
{
    return in_lanes(c, true);
}

bool chaos_is_drained(struct chaos *c)
{
    static const char look[] =
        "for p = 0, ARGV[1] - 1 do "
        "  local base = 'jobq:{default:' .. p .. '}:' "
        "  if redis.call('ZCARD', base .. 'later') > 0 then return 0 end "
        "  for _, lane in ipairs({'recovered', 'high', 'normal', 'low'}) do "
        "    local key = base .. 'ready:' .. lane "
        "    if redis.call('EXISTS', key) == 1 then "
        "      local g = redis.call('XINFO', 'GROUPS', key)[1] "
        "      if not g then return 0 end "
        "      local f = {} "
        "      for k = 1, #g, 2 do f[g[k]] = g[k + 1] end "
        "      if f.pending > 0 then return 0 end "
        "      local after = '(' .. f['last-delivered-id'] "
        "      if #redis.call('XRANGE', key, after, '+', 'COUNT', 1) > 0 then return 0 end "
        "    end "
        "  end "
        "end "
        "return 1";

    return redis_int(c->scene->redis, "EVAL %s 0 %u", look, c->partitions) == 1;
}

long long chaos_later(struct chaos *c)
{
    long long n = 0;

    for (unsigned p = 0; p < c->partitions; p++)
        n += redis_int(c->scene->redis, "ZCARD jobq:{default:%u}:later", p);
    return n;
}

/* ---- faults: each says whether it could ---- */

static bool pick_worker(struct chaos *c, unsigned *out)
{
    unsigned first = (unsigned)chaos_below(c, c->workers);

    for (unsigned k = 0; k < c->workers; k++) {
        unsigned i = (first + k) % c->workers;
        if (c->worker[i].state == WORKER_UP) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool kill_executor(struct chaos *c)
{
    pid_t pids[EXECUTORS_MAX];
    unsigned i;

    if (!pick_worker(c, &i))
        return false;
    size_t n = jobd_executors(c->scene->jobd[i], pids, EXECUTORS_MAX);
    if (!n)
        return false;
    pid_t pid = pids[chaos_below(c, n)];
    chaos_note(c, "kill -9 executor %d of jobd %u", (int)pid, i);
    kill(pid, SIGKILL);
    return true;
}

static bool kill_jobd(struct chaos *c)
{
    unsigned i;

    if (!pick_worker(c, &i))
        return false;
    int64_t away = (int64_t)chaos_below(c, 3) * 500;
    chaos_note(c, "kill -9 jobd %u%s for %d ms", i, c->worker[i].stopped ? " (stopped)" : "",
               (int)away);
    scene_kill(c->scene, i);
    c->worker[i] = (struct worker){.state = WORKER_DOWN, .start_ms = now_ms() + away};
    return true;
}

static bool stop_jobd(struct chaos *c)
{
    unsigned i;

    if (!pick_worker(c, &i) || c->worker[i].stopped)
        return false;
    /* Shorter than its lease, or longer: then it wakes up fenced. */
    int64_t away = 50 + (int64_t)chaos_below(c, chaos_below(c, 2) ? 700 : 2500);
    chaos_note(c, "SIGSTOP jobd %u for %d ms", i, (int)away);
    process_signal(c->scene->jobd[i]->process, SIGSTOP);
    c->worker[i].stopped = true;
    c->worker[i].resume_ms = now_ms() + away;
    return true;
}

/* Before it listens to signals they end it. */
static bool pick_listening(struct chaos *c, unsigned *out)
{
    return pick_worker(c, out) &&
           process_count_log(c->scene->jobd[*out]->process, " start version=") > 0;
}

static bool drain_jobd(struct chaos *c)
{
    unsigned i;

    if (!pick_listening(c, &i))
        return false;
    chaos_note(c, "SIGTERM jobd %u%s", i, c->worker[i].stopped ? " (stopped)" : "");
    process_signal(c->scene->jobd[i]->process, SIGTERM);
    c->worker[i].state = WORKER_DRAINING;
    return true;
}

static bool reload_jobd(struct chaos *c)
{
    unsigned i;

    if (!pick_listening(c, &i))
        return false;
    chaos_note(c, "SIGHUP jobd %u", i);
    process_signal(c->scene->jobd[i]->process, SIGHUP);
    return true;
}

static bool kill_connections(struct chaos *c)
{
    static const char *const names[] = {"jobd-command", "jobd-reader", "jobd-subscriber"};
    const char *name = names[chaos_below(c, 3)];
    bool all = chaos_below(c, 3) == 0;

    if (!chaos_redis_answers(c))
        return false;
    chaos_note(c, "CLIENT KILL of %s", all ? "everybody" : name);
    if (all) {
        freeReplyObject(redis_do(c->scene->redis, "CLIENT KILL TYPE normal SKIPME yes"));
        freeReplyObject(redis_do(c->scene->redis, "CLIENT KILL TYPE pubsub SKIPME yes"));
        return true;
    }
    char *list = redis_str(c->scene->redis, "CLIENT LIST");
    for (char *at = list; at && (at = strstr(at, "id=")); at = strchr(at, '\n')) {
        size_t line = strcspn(at, "\n");
        const char *named = strstr(at, fmt(" name=%s ", name));
        if (named && (size_t)(named - at) < line)
            freeReplyObject(
                redis_do(c->scene->redis, "CLIENT KILL ID %lld", strtoll(at + 3, NULL, 10)));
    }
    free(list);
    return true;
}

static bool kill_redis(struct chaos *c)
{
    if (c->redis_down)
        return false;
    int64_t away = (int64_t)chaos_below(c, 3) * 400;
    chaos_note(c, "kill -9 Redis for %d ms", (int)away);
    redis_kill(c->scene->redis);
    c->redis_down = true;
    c->redis_stopped = false;
    c->redis_back_ms = now_ms() + away;
    return true;
}

static bool stop_redis(struct chaos *c)
{
    if (!chaos_redis_answers(c))
        return false;
    int64_t away = 200 + (int64_t)chaos_below(c, 1800);
    chaos_note(c, "SIGSTOP Redis for %d ms", (int)away);
    process_signal(c->scene->redis->process, SIGSTOP);
    c->redis_stopped = true;
    c->redis_back_ms = now_ms() + away;
    return true;
}

static bool kill_postgres(struct chaos *c)
{
    if (c->postgres_down)
        return false;
    int64_t away = (int64_t)chaos_below(c, 3) * 400;
    chaos_note(c, "kill -9 PostgreSQL for %d ms", (int)away);
    postgres_kill(c->scene->postgres);
    c->postgres_down = true;
    c->postgres_back_ms = now_ms() + away;
    return true;
}

static bool flush_scripts(struct chaos *c)
{
    if (!chaos_redis_answers(c))
        return false;
    chaos_note(c, "SCRIPT FLUSH");
    freeReplyObject(redis_do(c->scene->redis, "SCRIPT FLUSH SYNC"));
    return true;
}

void chaos_break_something(struct chaos *c)
{
    static bool (*const faults[])(struct chaos * c) = {
        kill_executor, kill_executor, kill_jobd,     kill_jobd,        stop_jobd,
        stop_jobd,     drain_jobd,    reload_jobd,   kill_connections, kill_connections,
        kill_redis,    stop_redis,    kill_postgres, flush_scripts,
    };
    const size_t n = sizeof(faults) / sizeof(faults[0]);
    bool met_work = chaos_redis_answers(c) && chaos_in_flight(c) > 0;

    if (!faults[chaos_below(c, n)](c))
        return; /* that one is broken already */
    c->faults++;
    c->hits += met_work;
}

/* ---- mending ---- */

static void mend_worker(struct chaos *c, unsigned i, bool all)
{
    struct worker *w = &c->worker[i];
    struct jobd *j = c->scene->jobd[i];

    if (w->stopped && (all || now_ms() >= w->resume_ms)) {
        chaos_note(c, "SIGCONT jobd %u", i);
        process_signal(j->process, SIGCONT);
        w->stopped = false;
    }
    if (w->state == WORKER_DRAINING && (all || !process_is_alive(j->process))) {
        int status = process_wait(j->process, patience_ms(60000));
        chaos_note(c, "jobd %u has drained", i);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_test("jobd %u ended with wait status %d instead of draining", i, status);
        jobd_free(j);
        c->scene->jobd[i] = NULL;
        *w = (struct worker){.state = WORKER_DOWN, .start_ms = now_ms()};
    }
    if (w->state == WORKER_DOWN && (all || now_ms() >= w->start_ms)) {
        chaos_note(c, "jobd %u is started", i);
        chaos_start_jobd(c, i);
    }
}

void chaos_mend(struct chaos *c, bool all)
{
    if (c->redis_stopped && (all || now_ms() >= c->redis_back_ms)) {
        chaos_note(c, "SIGCONT Redis");
        process_signal(c->scene->redis->process, SIGCONT);
        c->redis_stopped = false;
    }
    if (c->redis_down && (all || now_ms() >= c->redis_back_ms)) {
        redis_restart(c->scene->redis);
        chaos_note(c, "Redis is back");
        c->redis_down = false;
    }
    if (c->postgres_down && (all || now_ms() >= c->postgres_back_ms)) {
        postgres_restart(c->scene->postgres);
        chaos_note(c, "PostgreSQL is back");
        c->postgres_down = false;
    }
    for (unsigned i = 0; i < c->workers; i++)
        mend_worker(c, i, all);
}

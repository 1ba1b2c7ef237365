/* SPDX-License-Identifier: MIT */
#include "worker/supervisor.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/notify.h"
#include "base/trouble.h"
#include "broker/reply.h"
#include "broker/script.h"
#include "worker/closing.h"
#include "config/config.h"
#include "worker/connections.h"
#include "worker/executors.h"
#include "worker/identity.h"
#include "worker/lease.h"
#include "worker/observe.h"
#include "worker/link.h"
#include "worker/pace.h"
#include "worker/pool.h"
#include "worker/process_info.h"
#include "worker/queues.h"
#include "worker/reading.h"
#include "worker/state.h"
#include "worker/watch.h"
#include "worker/web.h"

#define NOT_WRITABLE_MS 2000 /* claiming pauses so long after Redis refused a write; each refusal
                              * renews it */
#define REFUSAL_MS 5000 /* an error answer explains the status so long */
#define HEALED_MS 15000 /* an error not seen so long is over; to try a dead server takes 12.5 s */
#define DUE_NEVER INT64_MAX
#define PRECEDENCE 5 /* in steps of nice */

/* ---- small answers ---- */

int64_t supervisor_redis_ms(const struct supervisor *s)
{
    return s->clock_known ? loop_now(s->loop) + s->redis_offset_ms : 0;
}

int64_t supervisor_minute(const struct supervisor *s)
{
    return supervisor_redis_ms(s) / 60000;
}

bool supervisor_knows_type(const struct supervisor *s, const char *type, size_t len)
{
    return map_get(s->types, type, len) != NULL;
}

/* ---- what error answers mean for all of us ---- */

static void on_script_loaded(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    if (data)
        s->scripts_loading = false;
    if (!reply_is_error(r))
        return;
    s->scripts_due_ms = loop_now(s->loop) + pace_of(r);
    trouble_event(LOG_ERROR, "script.load_failed", 1, LOG_STR("error", reply_text(r)), LOG_END);
}

void supervisor_load_scripts(struct supervisor *s)
{
    if (s->scripts_loading || !link_is_up(s->command) || loop_now(s->loop) < s->scripts_due_ms)
        return;
    s->scripts_loading = true;
    for (enum script_name n = 0; n < SCRIPT_COUNT; n++) {
        script_load(link_out(s->command), n);
        link_expect(s->command, on_script_loaded, s, n + 1 == SCRIPT_COUNT ? s : NULL);
    }
}

bool supervisor_judge(struct supervisor *s, const struct redisReply *r)
{
    if (!reply_is_error(r))
        return false;
    s->metrics.redis_errors++;
    enum reply_class c = reply_class_of(r);
    if (c == REPLY_NOSCRIPT) {
        supervisor_load_scripts(s);
        return true;
    }
    snprintf(s->refusal, sizeof(s->refusal), "%.180s", reply_text(r));
    s->refusal_until_ms = loop_now(s->loop) + REFUSAL_MS;
    if (c == REPLY_NOT_WRITABLE) {
        snprintf(s->not_writable, sizeof(s->not_writable), "%.180s", reply_text(r));
        s->not_writable_until_ms = loop_now(s->loop) + NOT_WRITABLE_MS;
    }
    return link_judge(s->command, r);
}

/* ---- a new life ---- */

static int take_new_name(struct supervisor *s, jobq_err *err)
{
    s->generation++;
    int rc = identity_new_name(s->identity, s->incarnation, sizeof(s->incarnation), err);
    if (rc != JOBQ_ESTATE)
        return rc;
    log_event(LOG_WARN, "state.not_written", LOG_STR("error", err->msg), LOG_END);
    return JOBQ_OK;
}

void supervisor_fenced(struct supervisor *s, const char *how)
{
    if (s->drain.phase >= DRAIN_LEAVING || s->fenced)
        return; /* what we hold goes back by the hands of others */
    log_event(LOG_WARN, "incarnation.lost", LOG_STR("incarnation", s->incarnation),
              LOG_STR("learned_by", how), LOG_END);
    s->metrics.fenced++;
    s->fenced = true;
}

static void drop_everything(struct supervisor *s)
{
    pool_kill_all(s->pool);
    while (dispatch_pop(s->dispatch))
        ;
    dispatch_reset_reads(s->dispatch);
    observe_abandoned(s);
    s->read_lane = NULL;
    intake_forget_all(s);
    reading_reset(s);
    link_break(s->subscriber, "starting anew under a new name");
}

static int take_new_life(struct supervisor *s, jobq_err *err)
{
    char old[INCARNATION_SIZE];
    memcpy(old, s->incarnation, sizeof(old));
    int rc = take_new_name(s, err);
    for (size_t i = 0; i < s->shard_count && !rc; i++)
        rc = queues_reset_shard(s->shards[i], err);
    if (!rc)
        memcpy(s->predecessor, old, sizeof(old)); /* dead for certain: it was us */
    return rc;
}

/*
 * At the end of a turn: who says that we are fenced may be in the midst of what is dropped here. Without memory it is
 * tried again; until then no partition is ours.
 */
static void start_anew(struct supervisor *s, int64_t now)
{
    jobq_err err;
    if (!s->fenced || now < s->anew_due_ms)
        return;
    s->generation++; /* before anything breaks: what is on its way belongs to the old name */
    drop_everything(s);
    for (size_t i = 0; i < s->shard_count; i++)
        s->shards[i]->state = SHARD_NEW;
    if (take_new_life(s, &err)) {
        log_event(LOG_ERROR, "state.failed", LOG_STR("error", err.msg), LOG_END);
        s->anew_due_ms = now + RETRY_PAUSE_MS;
        return;
    }
    s->anew_due_ms = 0;
    s->fenced = false;
}

/* ---- carrying out what dispatch decides ---- */

void supervisor_release(struct supervisor *s, struct dispatch_job *turn)
{
    outcome_failed(s, CONTAINER_OF(turn, struct job, turn), RETRY_RELEASED, -1, NULL, 0);
}

static void perform(struct supervisor *s, const struct dispatch_action *a)
{
    struct executor *x = a->executor ? dispatch_executor_ctx(a->executor) : NULL;
    switch (a->act) {
    case DISPATCH_HAND:
        CRASH_POINT("claim.before_hand");
        observe_handed(s, CONTAINER_OF(a->job, struct job, turn));
        pool_hand(s->pool, x, CONTAINER_OF(a->job, struct job, turn));
        break;
    case DISPATCH_READ:
        outcome_flush(s, true);
        reading_read(s, dispatch_source_ctx(a->source), a->count);
        break;
    case DISPATCH_BLOCK:
        reading_block(s);
        break;
    case DISPATCH_RECALL:
        pool_recall(s->pool, x);
        dispatch_recalled(a->executor);
        break;
    case DISPATCH_RELEASE:
        supervisor_release(s, a->job);
        break;
    case DISPATCH_RECYCLE:
        pool_retire(s->pool, x);
        break;
    case DISPATCH_NOTHING:
        break;
    }
}

static void run_dispatch(struct supervisor *s, int64_t now)
{
    bool running = s->drain.phase == DRAIN_NOT;
    dispatch_hold(s->dispatch, !running || !link_is_up(s->command) ||
                                   now < s->read_pause_until_ms || now < s->not_writable_until_ms);
    dispatch_hold_start(s->dispatch, !running);
    bool peers = false;
    for (size_t i = 0; i < s->shard_count; i++) {
        struct shard *shard = s->shards[i];
        bool proved = shard->state == SHARD_ALIVE && lease_may_start(shard->lease, now);
        bool open = shard->claims && proved;
        peers |= open && lease_living_peers(shard->lease) > 0;
        for (size_t k = 0; k < LANE_COUNT; k++) {
            dispatch_source_open(s->dispatch, shard->lanes[k].source, open);
            dispatch_source_may_start(shard->lanes[k].source, proved);
        }
    }
    dispatch_has_peers(s->dispatch, peers);
    for (;;) {
        struct dispatch_action a = dispatch_next(s->dispatch, now);
        if (a.act == DISPATCH_NOTHING)
            return;
        perform(s, &a);
    }
}

/* ---- reload ---- */

static void on_reload(void *ctx, int signal_number)
{
    struct supervisor *s = ctx;
    struct worker_config *next = NULL;
    jobq_err err;
    (void)signal_number;
    if (s->drain.phase != DRAIN_NOT)
        return;
    if (worker_config_reload(s->config, &next, &err)) {
        s->metrics.reloads_refused++;
        log_event(LOG_ERROR, "reload.refused", LOG_STR("error", err.msg), LOG_END);
        return;
    }
    struct worker_config *old = s->config;
    s->config = next;
    log_setup("jobd", STDERR_FILENO, next->log_level, next->log_format);
    dispatch_set_limits(s->dispatch, (struct dispatch_limits){.prefetch_us = next->prefetch_us,
                                                              .max_held = (unsigned)next->max_held,
                                                              .strict = next->lanes_strict});
    if (queues_configure(s, &err))
        log_event(LOG_ERROR, "reload.queues", LOG_STR("error", err.msg), LOG_END);
    pool_configure(s->pool, next);
    web_configure(s);
    worker_config_free(old);
    s->metrics.reloads++;
    log_event(LOG_INFO, "reloaded", LOG_END);
}

/* ---- the turn ---- */

static void on_signal(void *ctx, int signal_number)
{
    (void)signal_number;
    closing_begin(ctx);
}

static void on_timer(void *ctx, int64_t now_ms)
{
    (void)ctx;
    (void)now_ms; /* it only ends the wait: the work is done at the end of the turn */
}

static int64_t next_due(struct supervisor *s, int64_t now)
{
    int64_t due = dispatch_due_ms(s->dispatch, now);
    due = MIN(due, outcome_due_ms(s));
    due = MIN(due, watch_due_ms(s, now));
    due = MIN(due, reading_due_ms(s));
    due = MIN(due, publish_due_ms(s));
    due = MIN(due, metrics_due_ms(s));
    due = MIN(due, s->said_ms + 60000);
    due = MIN(due, trouble_due_ms());
    if (link_is_up(s->command))
        due = MIN(due, s->asking_queues ? DUE_NEVER : s->queues_due_ms);
    if (s->watchdog_ms)
        due = MIN(due, s->watchdog_due_ms);
    if (now < s->not_writable_until_ms)
        due = MIN(due, s->not_writable_until_ms);
    if (now < s->no_reading_until_ms)
        due = MIN(due, s->no_reading_until_ms);
    due = MIN(due, drain_due_ms(&s->drain));
    if (s->fenced)
        due = MIN(due, s->anew_due_ms);
    for (size_t i = 0; i < s->shard_count; i++) /* when proof of life lapses */
        if (s->shards[i]->state == SHARD_ALIVE && lease_may_start(s->shards[i]->lease, now))
            due = MIN(due, lease_proof_ends_ms(s->shards[i]->lease));
    return MAX(due, now + 1);
}

static void on_turn_end(void *ctx, int64_t now_ms)
{
    struct supervisor *s = ctx;
    start_anew(s, now_ms);
    if (link_is_up(s->command)) {
        queues_ask(s, now_ms);
        watch_run(s, now_ms);
    }
    if (link_is_up(s->command)) { /* still */
        publish_run(s, now_ms);
        metrics_run(s, now_ms);
    }
    reading_check(s, now_ms);
    run_dispatch(s, now_ms);
    outcome_retry_children(s);
    outcome_flush(s, s->drain.phase != DRAIN_NOT);
    pool_flush(s->pool);
    if (s->drain.phase != DRAIN_NOT)
        closing_run(s, now_ms);
    readiness_update(s, now_ms);
    trouble_tick();
    log_tick();
    int64_t web_due = web_run(s, now_ms);
    loop_timer_arm(s->timer, MAX(MIN(next_due(s, now_ms), web_due), now_ms + 1));
}

/* After the links have written: what was sent in this turn is on its way, no answer has come. */
static void on_turn_sent(void *ctx, int64_t now_ms)
{
    struct supervisor *s = ctx;
    (void)now_ms;
    if (s->sent & SENT_ACK)
        CRASH_POINT("finish.sent");
    if (s->sent & SENT_FAIL)
        CRASH_POINT("fail.sent");
    if (s->sent & SENT_REAP)
        CRASH_POINT("reap.sent");
    s->sent = 0;
}

/* ---- life ---- */

static int watch_signals(struct supervisor *s, jobq_err *err)
{
    int rc = loop_signal(s->loop, SIGTERM, on_signal, s, err);
    if (!rc)
        rc = loop_signal(s->loop, SIGINT, on_signal, s, err);
    if (!rc)
        rc = loop_signal(s->loop, SIGHUP, on_reload, s, err);
    signal(SIGPIPE, SIG_IGN);
    return rc;
}

/*
 * Beats must go out on a machine whose every core is busy, so jobd goes before its handlers. Best
 * effort: only root may.
 */
static void take_precedence(struct supervisor *s)
{
    int before = getpriority(PRIO_PROCESS, 0);

    if (setpriority(PRIO_PROCESS, 0, before - PRECEDENCE) == 0)
        pool_set_nice(s->pool, before - getpriority(PRIO_PROCESS, 0));
}

static int set_up(struct supervisor *s, jobq_err *err)
{
    int rc;
    const struct worker_config *c = s->config;
    struct dispatch_limits limits = {.prefetch_us = c->prefetch_us,
                                     .max_held = (unsigned)c->max_held,
                                     .strict = c->lanes_strict};
    list_init(&s->children_waiting);
    if (!c->module_count)
        return error_set(err, JOBQ_ECONFIG,
                         "modules: none is named, so every job would be parked; name one, as in "
                         "modules = ( \"recount\" );");
    if (!(s->queues = map_new()) || !(s->types = map_new()))
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    if ((rc = metrics_init(s, err)))
        return rc;
    process_info_now();
    trouble_setup(MAX(HEALED_MS, PACE_SLOWEST_MS + 2 * c->lease_ms));
    if ((rc = identity_open(c->state_dir, c->instance, &s->identity, s->predecessor,
                            sizeof(s->predecessor), err)))
        return rc;
    if ((rc = take_new_name(s, err)))
        return rc;
    if ((rc = loop_new(&s->loop, err)) || (rc = watch_signals(s, err)))
        return rc;
    s->started_ms = loop_now(s->loop);
    if ((rc = loop_timer_new(s->loop, on_timer, s, &s->timer, err)))
        return rc;
    /* Before the links: what is appended at the end of the turn leaves in the same turn. */
    if ((rc = loop_hook(s->loop, on_turn_end, s, err)))
        return rc;
    if ((rc = dispatch_new(limits, &s->dispatch, err)) || (rc = executors_make_pool(s, err)) ||
        (rc = connections_make(s, err)))
        return rc;
    if ((rc = loop_hook(s->loop, on_turn_sent, s, err)))
        return rc;
    if ((rc = queues_configure(s, err)))
        return rc;
    take_precedence(s);
    return web_start(s, err);
}

static void tear_down(struct supervisor *s)
{
    web_stop(s);
    if (s->pool)
        pool_kill_all(s->pool);
    intake_forget_all(s);
    pool_free(s->pool);
    link_free(s->command);
    link_free(s->reader);
    link_free(s->subscriber);
    queues_free(s);
    dispatch_free(s->dispatch);
    loop_timer_free(s->timer);
    loop_free(s->loop);
    map_free(s->types);
    mem_free(s->types_text);
    reading_free(s);
    publish_free(s);
    metrics_done(s);
    identity_close(s->identity);
    worker_config_free(s->config);
    mem_free(s);
}

int supervisor_run(struct worker_config *config, int *exit_status, jobq_err *err)
{
    struct supervisor *s = mem_zalloc(1, sizeof(*s));
    if (!s) {
        worker_config_free(config);
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    }
    s->config = config;
    int rc = set_up(s, err);
    if (rc)
        goto out;
    s->watchdog_ms = notify_watchdog_ms();
    log_event(LOG_INFO, "start", LOG_STR("version", JOBQ_VERSION),
              LOG_STR("incarnation", s->incarnation), LOG_STR("redis", config->redis.shown),
              LOG_INT("executors", config->executors), LOG_END);
    if (s->predecessor[0])
        log_event(LOG_WARN, "predecessor", LOG_STR("incarnation", s->predecessor), LOG_END);
    pool_start(s->pool);
    link_start(s->command);
    link_start(s->reader);
    link_start(s->subscriber);
    rc = loop_run(s->loop, err);
    *exit_status = s->exit_status;
out:
    tear_down(s);
    return rc;
}

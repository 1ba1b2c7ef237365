/* SPDX-License-Identifier: MIT */
#include "worker/supervisor.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/notify.h"
#include "base/text.h"
#include "broker/enqueue.h"
#include "broker/reply.h"
#include "broker/resp.h"
#include "broker/script.h"
#include "worker/config.h"
#include "worker/identity.h"
#include "worker/lease.h"
#include "worker/link.h"
#include "worker/pool.h"
#include "worker/queues.h"
#include "worker/reading.h"
#include "worker/state.h"

#define NOT_WRITABLE_MS 2000 /* claiming pauses so long after Redis refused a write; each refusal renews it */
#define DUE_NEVER INT64_MAX

static void on_turn_end(void *ctx, int64_t now_ms);

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
    if (reply_is_error(r))
        log_event(LOG_ERROR, "script.load_failed", LOG_STR("error", reply_text(r)), LOG_END);
}

static void load_scripts(struct supervisor *s)
{
    if (s->scripts_loading || !link_is_up(s->command))
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
    enum reply_class c = reply_class_of(r);
    if (c == REPLY_NOSCRIPT) {
        load_scripts(s);
        return true;
    }
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
    return identity_new_name(s->identity, s->incarnation, sizeof(s->incarnation), err);
}

static void forget_everything(struct supervisor *s)
{
    pool_kill_all(s->pool);
    while (dispatch_pop(s->dispatch))
        ;
    dispatch_reset_reads(s->dispatch);
    s->read_lane = NULL;
    intake_forget_all(s);
    jobq_err err;
    for (size_t i = 0; i < s->shard_count; i++)
        if (queues_reset_shard(s->shards[i], &err))
            log_event(LOG_ERROR, "reset.failed", LOG_STR("error", err.msg), LOG_END);
}

void supervisor_fenced(struct supervisor *s, const char *how)
{
    jobq_err err;
    if (s->drain.phase >= DRAIN_LEAVING)
        return; /* what we hold goes back by the hands of others */
    log_event(LOG_WARN, "incarnation.lost", LOG_STR("incarnation", s->incarnation), LOG_STR("learned_by", how),
              LOG_END);
    if (take_new_name(s, &err)) {
        log_event(LOG_ERROR, "state.failed", LOG_STR("error", err.msg), LOG_END);
        s->exit_status = 70;
        loop_stop(s->loop);
        return;
    }
    forget_everything(s);
    reading_reset(s);
    link_break(s->subscriber, "starting anew under a new name");
}

/* ---- connections ---- */

static void on_client_info(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    (void)data;
    const char *local = link_local_address(s->command);
    if (!r || !local[0])
        return;
    const char *addr = strstr(reply_text(r), " addr=");
    size_t n = strlen(local);
    bool direct = addr && strncmp(addr + 6, local, n) == 0 && addr[6 + n] == ' ';
    if (!direct)
        log_event(LOG_INFO, "presence.off", LOG_STR("why", "behind a proxy, or CLIENT INFO is not allowed"),
                  LOG_END);
    s->presence_off = !direct;
    for (size_t i = 0; i < s->shard_count; i++)
        lease_use_presence(s->shards[i]->lease, direct);
}

/* A connection that broke on our side may live on in Redis with a read under way: end it, then audit. */
static void kill_lost_clients(struct supervisor *s)
{
    for (size_t i = 0; i < ARRAY_LEN(s->lost_client_ids); i++) {
        if (!s->lost_client_ids[i])
            continue;
        struct buf *b = link_out(s->command);
        resp_begin(b, 4);
        resp_str(b, "CLIENT");
        resp_str(b, "KILL");
        resp_str(b, "ID");
        resp_int(b, s->lost_client_ids[i]);
        link_expect(s->command, NULL, NULL, NULL);
        s->lost_client_ids[i] = 0;
    }
}

static void on_command_up(void *ctx)
{
    struct supervisor *s = ctx;
    s->scripts_loading = false;
    load_scripts(s);
    resp_command(link_out(s->command), "CLIENT", "INFO", NULL);
    link_expect(s->command, on_client_info, s, NULL);
    kill_lost_clients(s);
    for (size_t i = 0; i < s->shard_count; i++)
        lease_reconnected(s->shards[i]->lease);
    s->queues_due_ms = 0;
    watch_link_broke(s);
}

static void on_command_down(void *ctx, const char *why)
{
    struct supervisor *s = ctx;
    (void)why;
    s->scripts_loading = false;
    s->asking_queues = false;
    for (size_t i = 0; i < s->shard_count; i++) {
        struct shard *shard = s->shards[i];
        shard->moving = shard->sweeping = shard->walking = shard->creating_groups = false;
        for (size_t k = 0; k < LANE_COUNT; k++)
            shard->lanes[k].not_before_ms = 0;
    }
}

static void on_reader_up(void *ctx)
{
    struct supervisor *s = ctx;
    if (link_is_up(s->command))
        kill_lost_clients(s);
    watch_link_broke(s);
}

static void on_reader_down(void *ctx, const char *why)
{
    (void)why;
    reading_reader_down(ctx);
}

static void on_subscriber_up(void *ctx)
{
    struct supervisor *s = ctx;
    char node[KEYS_MAX];
    keys_node(s->config->key_prefix, s->incarnation, node, sizeof(node));
    resp_command(link_out(s->subscriber), "SUBSCRIBE", node, NULL);
    link_expect(s->subscriber, NULL, NULL, NULL);
    for (size_t i = 0; i < s->shard_count; i++) {
        s->shards[i]->subscribed = false;
        s->shards[i]->move_due_ms = MIN(s->shards[i]->move_due_ms, loop_now(s->loop));
    }
    queues_subscribe(s);
}

/* Others may take our silence on that connection for death: beat at once. */
static void on_subscriber_down(void *ctx, const char *why)
{
    struct supervisor *s = ctx;
    (void)why;
    for (size_t i = 0; i < s->shard_count; i++)
        lease_beat_soon(s->shards[i]->lease, loop_now(s->loop));
}

static void on_message(void *ctx, const char *channel, const char *message)
{
    watch_wake(ctx, channel, message);
}

static int make_links(struct supervisor *s, jobq_err *err)
{
    const struct redis_url *url = &s->config->redis;
    int64_t pause = s->config->lease_ms / 2;
    struct link_hooks command = {.ctx = s, .on_up = on_command_up, .on_down = on_command_down};
    struct link_hooks reader = {.ctx = s, .on_up = on_reader_up, .on_down = on_reader_down};
    struct link_hooks subscriber = {
        .ctx = s, .on_up = on_subscriber_up, .on_down = on_subscriber_down, .on_message = on_message};
    pause = MIN(pause, 2500); /* back within 5 s of healing, with jitter (G36) */
    int rc = link_new(s->loop, url, "jobd-command", "command", pause, &command, &s->command, err);
    if (!rc)
        rc = link_new(s->loop, url, "jobd-reader", "reader", pause, &reader, &s->reader, err);
    if (!rc)
        rc = link_new(s->loop, url, "jobd-subscriber", "subscriber", pause, &subscriber, &s->subscriber, err);
    return rc;
}

/* ---- executors ---- */

static void learn_types(struct supervisor *s, const struct frame_type *types, size_t n)
{
    struct buf text;
    buf_init(&text, 1024 * 1024);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_append_char(&text, ' ');
        buf_append(&text, types[i].name.bytes, types[i].name.len);
        if (map_put(s->types, types[i].name.bytes, types[i].name.len, s))
            log_event(LOG_ERROR, "types.no_memory", LOG_END);
    }
    if (!n)
        buf_append_str(&text, "");
    size_t len;
    char *stolen = text.failed ? NULL : buf_steal(&text, &len);
    s->types_text = stolen ? stolen : mem_strdup("");
    buf_done(&text);
    log_event(LOG_INFO, "types", LOG_STR("types", s->types_text), LOG_END);
}

static void on_executor_ready(void *ctx, struct executor *x, const struct frame_type *types, size_t n)
{
    struct supervisor *s = ctx;
    struct dispatch_executor *turn;
    jobq_err err;
    if (!s->types_text)
        learn_types(s, types, n);
    if (dispatch_add_executor(s->dispatch, x, &turn, &err)) {
        log_event(LOG_ERROR, "executor.no_memory", LOG_END);
        pool_retire(s->pool, x);
        return;
    }
    executor_set_ctx(x, turn);
}

static void on_executor_progress(void *ctx, struct executor *x, bool running, int64_t started_ms)
{
    struct supervisor *s = ctx;
    dispatch_progress(s->dispatch, executor_ctx(x), running, started_ms);
}

static void on_job_ended(void *ctx, struct executor *x, struct job *j)
{
    struct supervisor *s = ctx;
    dispatch_finished(s->dispatch, executor_ctx(x), &j->turn, j->run_us);
    outcome_verdict(s, x, j);
}

static void on_job_crashed(void *ctx, struct executor *x, struct job *j, const char *why)
{
    struct supervisor *s = ctx;
    dispatch_lost(s->dispatch, executor_ctx(x), &j->turn);
    outcome_failed(s, j, RETRY_CRASHED, -1, why, strlen(why));
}

static void on_job_returned(void *ctx, struct executor *x, struct job *j)
{
    struct supervisor *s = ctx;
    j->stage = JOB_WAITING;
    dispatch_taken_back(s->dispatch, executor_ctx(x), &j->turn, loop_now(s->loop));
}

static void on_job_dropped(void *ctx, struct executor *x, struct job *j)
{
    struct supervisor *s = ctx;
    dispatch_lost(s->dispatch, executor_ctx(x), &j->turn);
}

static void on_executor_retiring(void *ctx, struct executor *x)
{
    struct supervisor *s = ctx;
    if (!executor_ctx(x))
        return;
    dispatch_executor_usable(s->dispatch, executor_ctx(x), false);
    pool_recall(s->pool, x);
}

static void on_database(void *ctx, struct executor *x, bool ok, const char *text);

static void on_executor_gone(void *ctx, struct executor *x)
{
    struct supervisor *s = ctx;
    if (!executor_ctx(x))
        return;
    on_database(s, x, true, "");
    dispatch_remove_executor(s->dispatch, executor_ctx(x));
    executor_set_ctx(x, NULL);
}

static void on_database(void *ctx, struct executor *x, bool ok, const char *text)
{
    struct supervisor *s = ctx;
    struct dispatch_executor *turn = executor_ctx(x);
    if (!turn || dispatch_executor_is_usable(turn) == ok || pool_is_retiring(x))
        return;
    dispatch_executor_usable(s->dispatch, turn, ok);
    if (ok && s->database_down)
        s->database_down--;
    if (!ok) {
        s->database_down++;
        snprintf(s->database_text, sizeof(s->database_text), "%s", text);
        pool_recall(s->pool, x);
    }
}

static void on_start_failed(void *ctx, const char *why, bool hopeless)
{
    struct supervisor *s = ctx;
    log_event(LOG_ERROR, "executor.start_failed", LOG_STR("why", why), LOG_END);
    if (!hopeless)
        return;
    s->exit_status = 78;
    loop_stop(s->loop);
}

static int make_pool(struct supervisor *s, jobq_err *err)
{
    struct pool_hooks hooks = {
        .ctx = s,
        .on_ready = on_executor_ready,
        .on_progress = on_executor_progress,
        .on_ended = on_job_ended,
        .on_crashed = on_job_crashed,
        .on_returned = on_job_returned,
        .on_dropped = on_job_dropped,
        .on_retiring = on_executor_retiring,
        .on_gone = on_executor_gone,
        .on_database = on_database,
        .on_start_failed = on_start_failed,
    };
    return pool_new(s->loop, s->config, &hooks, &s->pool, err);
}

/* ---- carrying out what dispatch decides ---- */

static struct job *job_of(struct dispatch_job *turn)
{
    return CONTAINER_OF(turn, struct job, turn);
}

static void release(struct supervisor *s, struct job *j)
{
    outcome_failed(s, j, RETRY_RELEASED, -1, NULL, 0);
}

static void perform(struct supervisor *s, const struct dispatch_action *a)
{
    struct executor *x = a->executor ? dispatch_executor_ctx(a->executor) : NULL;
    switch (a->act) {
    case DISPATCH_HAND:
        CRASH_POINT("claim.before_hand");
        pool_hand(s->pool, x, job_of(a->job));
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
        release(s, job_of(a->job));
        break;
    case DISPATCH_RECYCLE:
        pool_retire(s->pool, x);
        break;
    case DISPATCH_NOTHING:
        break;
    }
}

static bool lease_allows_start(const struct supervisor *s, int64_t now)
{
    for (size_t i = 0; i < s->shard_count; i++)
        if (s->shards[i]->claims && s->shards[i]->state == SHARD_ALIVE &&
            !lease_may_start(s->shards[i]->lease, now))
            return false;
    return true;
}

static void run_dispatch(struct supervisor *s, int64_t now)
{
    bool running = s->drain.phase == DRAIN_NOT;
    dispatch_hold(s->dispatch, !running || !link_is_up(s->command) || now < s->read_pause_until_ms ||
                                   now < s->not_writable_until_ms);
    dispatch_hold_start(s->dispatch, !running || !lease_allows_start(s, now));
    bool peers = false;
    for (size_t i = 0; i < s->shard_count; i++) {
        struct shard *shard = s->shards[i];
        bool open = shard->claims && shard->state == SHARD_ALIVE;
        peers |= open && lease_living_peers(shard->lease) > 0;
        for (size_t k = 0; k < LANE_COUNT; k++)
            dispatch_source_open(s->dispatch, shard->lanes[k].source, open);
    }
    dispatch_has_peers(s->dispatch, peers);
    for (;;) {
        struct dispatch_action a = dispatch_next(s->dispatch, now);
        if (a.act == DISPATCH_NOTHING)
            return;
        perform(s, &a);
    }
}

/* ---- drain ---- */

static void begin_drain(struct supervisor *s)
{
    bool first = s->drain.phase == DRAIN_NOT;
    drain_begin(&s->drain, s->config->drain_grace_ms, loop_now(s->loop));
    if (!first)
        return;
    log_event(LOG_INFO, "drain", LOG_INT("held", intake_held(s)), LOG_END);
    notify_send("STOPPING=1");
    reading_unblock(s);
    pool_drain(s->pool);
    struct dispatch_job *turn;
    while ((turn = dispatch_pop(s->dispatch)))
        release(s, job_of(turn));
}

static void on_left(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct shard *shard = data;
    bool more = false;
    int64_t released;
    jobq_err err;
    if (!r || claim_leave_reply(r, &more, &released, &err)) {
        /* Fenced meanwhile, or Redis is gone: others give it back. */
        s->leaving--;
        return;
    }
    if (released)
        log_event(LOG_INFO, "leave", LOG_STR("queue", shard->keys.queue), LOG_INT("released", released), LOG_END);
    if (more) {
        claim_leave(link_out(s->command), &shard->keys, s->incarnation);
        link_expect(s->command, on_left, s, shard);
        return;
    }
    shard->state = SHARD_NEW;
    s->leaving--;
}

static void leave(struct supervisor *s)
{
    for (size_t i = 0; i < s->shard_count; i++) {
        if (s->shards[i]->state != SHARD_ALIVE || !link_is_up(s->command))
            continue;
        s->leaving++;
        claim_leave(link_out(s->command), &s->shards[i]->keys, s->incarnation);
        link_expect(s->command, on_left, s, s->shards[i]);
    }
}

static void stop(struct supervisor *s)
{
    bool clean = true;
    for (size_t i = 0; i < s->shard_count; i++)
        clean &= s->shards[i]->state != SHARD_ALIVE;
    if (clean)
        identity_forget(s->identity);
    log_event(LOG_INFO, "drained", LOG_STR("left", clean ? "yes" : "no: leases give back what was held"), LOG_END);
    loop_stop(s->loop);
}

static void run_drain(struct supervisor *s, int64_t now)
{
    /* What a read brought, or an executor gave back, after the drain began. */
    struct dispatch_job *turn;
    while ((turn = dispatch_pop(s->dispatch)))
        release(s, job_of(turn));
    struct drain_view view = {
        .running = pool_held(s->pool),
        .reading = s->read_lane || s->blocked,
        .unsettled = outcome_unsettled(s),
        .leaving = s->leaving,
        .executors = pool_alive(s->pool),
    };
    switch (drain_next(&s->drain, &view, now)) {
    case DRAIN_WAIT:
        break;
    case DRAIN_ASK:
        pool_ask_to_stop(s->pool);
        break;
    case DRAIN_KILL:
        log_event(LOG_WARN, "drain.grace_over", LOG_INT("running", view.running), LOG_END);
        CRASH_POINT("drain.grace_over");
        pool_kill_all(s->pool);
        break;
    case DRAIN_LEAVE:
        leave(s);
        break;
    case DRAIN_STOP:
        stop(s);
        break;
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
    worker_config_free(old);
    log_event(LOG_INFO, "reloaded", LOG_END);
}

/* ---- the turn ---- */

static void on_signal(void *ctx, int signal_number)
{
    (void)signal_number;
    begin_drain(ctx);
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
    due = MIN(due, s->said_ms + 60000);
    if (link_is_up(s->command))
        due = MIN(due, s->asking_queues ? DUE_NEVER : s->queues_due_ms);
    if (s->watchdog_ms)
        due = MIN(due, s->watchdog_due_ms);
    if (now < s->not_writable_until_ms)
        due = MIN(due, s->not_writable_until_ms);
    due = MIN(due, drain_due_ms(&s->drain));
    for (size_t i = 0; i < s->shard_count; i++) /* when proof of life lapses */
        if (s->shards[i]->state == SHARD_ALIVE && lease_may_start(s->shards[i]->lease, now))
            due = MIN(due, lease_proof_ends_ms(s->shards[i]->lease));
    return MAX(due, now + 1);
}

static void on_turn_end(void *ctx, int64_t now_ms)
{
    struct supervisor *s = ctx;
    if (link_is_up(s->command)) {
        queues_ask(s, now_ms);
        watch_run(s, now_ms);
    }
    reading_check(s, now_ms);
    run_dispatch(s, now_ms);
    outcome_retry_children(s);
    outcome_flush(s, s->drain.phase != DRAIN_NOT);
    pool_flush(s->pool);
    if (s->drain.phase != DRAIN_NOT)
        run_drain(s, now_ms);
    readiness_update(s, now_ms);
    loop_timer_arm(s->timer, next_due(s, now_ms));
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
    /* Beats must go out on a machine whose every core is busy. Best effort: only root may. */
    if (setpriority(PRIO_PROCESS, 0, -5))
        (void)0;
    return rc;
}

static int set_up(struct supervisor *s, jobq_err *err)
{
    int rc;
    const struct worker_config *c = s->config;
    struct dispatch_limits limits = {
        .prefetch_us = c->prefetch_us, .max_held = (unsigned)c->max_held, .strict = c->lanes_strict};
    list_init(&s->children_waiting);
    if (!(s->queues = map_new()) || !(s->types = map_new()))
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    if ((rc = identity_open(c->state_dir, c->instance, &s->identity, s->predecessor, sizeof(s->predecessor), err)))
        return rc;
    if ((rc = take_new_name(s, err)))
        return rc;
    if ((rc = loop_new(&s->loop, err)) || (rc = watch_signals(s, err)))
        return rc;
    if ((rc = loop_timer_new(s->loop, on_timer, s, &s->timer, err)))
        return rc;
    /* Before the links: what is appended at the end of the turn leaves in the same turn. */
    if ((rc = loop_hook(s->loop, on_turn_end, s, err)))
        return rc;
    if ((rc = dispatch_new(limits, &s->dispatch, err)) || (rc = make_pool(s, err)) || (rc = make_links(s, err)))
        return rc;
    return queues_configure(s, err);
}

static void tear_down(struct supervisor *s)
{
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
    log_event(LOG_INFO, "start", LOG_STR("version", JOBQ_VERSION), LOG_STR("incarnation", s->incarnation),
              LOG_STR("redis", config->redis.shown), LOG_INT("executors", config->executors), LOG_END);
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

/* SPDX-License-Identifier: MIT */
/*
 * mail: sends the forum's notification mails.
 *
 *   mail.reply           {"post_id": n, "watched_id": n, "user_id": n}
 *                        a new reply in a watched thread; the user, who may be left out, is for
 *                        when that watch is gone and the user has another one: after a merge
 *   mail.private_thread  {"thread_id": n, "user_id": n, "actor_id": n}
 *                        added to a private thread
 *
 * A mail cannot be rolled back. What keeps it from being sent twice is the record of those
 * accepted, looked at first and written right after the server's 250. Whoever dies between the two
 * sends it once more under the same Message-ID. Two runs for one notification exclude each other by
 * a lock in the database, held by a transaction that does nothing else until the record.
 *
 * The state (one connection to the mail server, parsed templates) lives as long as the executor.
 */
#include <curl/curl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <jobq/handler.h>

#include "worker/handlers/common/crash.h"
#include "worker/handlers/common/payload.h"
#include "worker/handlers/common/say.h"
#include "worker/handlers/common/text.h"
#include "worker/handlers/mail/compose.h"
#include "worker/handlers/mail/message.h"
#include "worker/handlers/mail/options.h"
#include "worker/handlers/mail/rate.h"
#include "worker/handlers/mail/smtp.h"
#include "worker/handlers/mail/store.h"
#include "worker/handlers/mail/template_dir.h"
#include "worker/handlers/mail/verdict.h"

#define HELD_MS 30000   /* mails wait so long, up to twice that, for somebody to mend something */
#define BUSY_MS 2000    /* another run has the mail in its hands */
#define LEAST_MS 1000   /* of time left, to begin at all */
#define PRUNE_EVERY 100 /* mails */

struct mail {
    struct options options;
    struct store store;
    struct template_set *templates;
    struct smtp *smtp;
    struct rate rate;
    _Atomic uint64_t *brake;
    _Atomic uint64_t own[3]; /* of this executor alone, where there is nothing shared */
    unsigned recorded;
};

/* One run: what its parts share. */
struct run {
    const jobq_job_view *job;
    const jobq_host *host;
    struct mail *mail;
    struct pg_conn *conn;
    struct store_request request;
    struct store_facts facts;
    struct pg_failure failure;
    struct address to;
    struct bytes message;
    char id[HEADER_ID_MAX + 1];
    int64_t started_ms;
};

/* ---- answers ---- */

static void delay_about(const struct run *run, int64_t least_ms)
{
    uint32_t random = 0;

    (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
    run->host->set_delay(run->host->ctx, wait_about(least_ms, random));
}

static int hold(const struct run *run, const char *why)
{
    delay_about(run, HELD_MS);
    return say_verdict(run->host, JOBQ_SNOOZE, "%s", why);
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- payload ---- */

static bool read_request(struct run *run)
{
    struct payload p;
    struct store_request *r = &run->request;
    bool ok;

    r->is_private = strcmp(run->job->type, "mail.private_thread") == 0;
    payload_open(&p, run->job->payload, run->job->payload_len);
    if (r->is_private) {
        r->thread_id = payload_id(&p, "thread_id");
        r->user_id = payload_id(&p, "user_id");
        r->actor_id = payload_id(&p, "actor_id");
    } else {
        r->post_id = payload_id(&p, "post_id");
        r->watched_id = payload_id(&p, "watched_id");
        r->user_id = payload_int(&p, "user_id", 1, 0);
    }
    ok = payload_finish(&p);
    if (!ok) {
        run->host->set_text(run->host->ctx, p.fault);
    }
    payload_done(&p);
    return ok;
}

/* ---- what became of it ---- */

static int refuse_statement(const struct run *run)
{
    if (strcmp(run->failure.state, "42P01") == 0 || strcmp(run->failure.state, "3F000") == 0) {
        say_log(run->host, JOBQ_LOG_ERROR, "%s; jobctl init makes jobq's tables",
                run->failure.text);
        return hold(run, run->failure.text);
    }
    return say_verdict(run->host, pg_failure_verdict(&run->failure), "%s", run->failure.text);
}

static int refuse_message(const struct run *run, const struct mail_fault *why)
{
    switch (why->kind) {
    case MAIL_FAULT_DATA:
        return say_verdict(run->host, JOBQ_DEAD, "%s", why->text);
    case MAIL_FAULT_TEMPLATE:
    case MAIL_FAULT_SETTING:
        say_log(run->host, JOBQ_LOG_ERROR, "no mail can be sent: %s", why->text);
        return hold(run, why->text);
    default:
        return say_verdict(run->host, JOBQ_RETRY, "%s", why->text);
    }
}

/* Whether it could be recorded changes nothing: the mail is on its way, the job is done. */
static int accept_mail(struct run *run, const struct smtp_result *r)
{
    struct mail *mail = run->mail;

    brake_release(mail->brake);
    HANDLER_CRASH_POINT("mail.accepted");
    if (!store_record(&mail->store, run->conn, run->id, &run->failure)) {
        say_log(run->host, JOBQ_LOG_ERROR, "mail %s was accepted, which could not be recorded: %s",
                run->id, run->failure.text);
        return JOBQ_DONE;
    }
    HANDLER_CRASH_POINT("mail.recorded");
    if (mail->recorded++ % PRUNE_EVERY == 0) {
        (void)store_prune(&mail->store, run->conn, mail->options.retention_ms, &run->failure);
    }
    (void)r;
    return JOBQ_DONE;
}

static void describe(const struct smtp_result *r, char *out, size_t size)
{
    if (r->code > 0) {
        text_format(out, size, "%d %s (at %s)", r->code, r->reply, smtp_step_name(r->step));
    } else {
        text_format(out, size, "%s (at %s)", r->error, smtp_step_name(r->step));
    }
}

static int judge(struct run *run, const struct smtp_result *r, uint64_t ticket)
{
    struct mail *mail = run->mail;
    struct verdict v = verdict_of(r);
    char what[2 * SMTP_REPLY_MAX];
    int64_t pause_us;

    if (v.kind == VERDICT_ACCEPTED) {
        return accept_mail(run, r);
    }
    describe(r, what, sizeof(what));
    if (v.kind == VERDICT_BUSY || v.kind == VERDICT_BROKEN) {
        pause_us = brake_pull(mail->brake, ticket, now_us());
        if (v.kind == VERDICT_BROKEN) {
            say_log(run->host, JOBQ_LOG_ERROR, "no mail can be sent: %s: %s", v.why, what);
        }
        /* Were one recipient enough to make it say so, that mail would come back for ever. */
        if (v.may_be_own && brake_was_free(ticket)) {
            return say_verdict(run->host, JOBQ_RETRY, "%s: %s", v.why, what);
        }
        delay_about(run, pause_us / 1000);
    } else {
        brake_release(mail->brake);
    }
    return say_verdict(run->host, verdict_answer(v.kind), "%s: %s", v.why, what);
}

/* ---- sending ---- */

static int rest(const struct run *run, int64_t wait_us)
{
    delay_about(run, wait_us / 1000);
    return say_verdict(run->host, JOBQ_SNOOZE, "the mail server is given a rest");
}

/* Bounded by the option, and by what the job's own limits leave for it and for what follows. */
static int64_t time_for_mail(const struct run *run, int64_t at_ms)
{
    int64_t left_ms = run->job->soft_ms;

    if (left_ms == INT64_MAX) {
        return run->mail->options.deadline_ms;
    }
    left_ms = (left_ms - at_ms) / 4 * 3;
    return left_ms < run->mail->options.deadline_ms ? left_ms : run->mail->options.deadline_ms;
}

/* At once again where somebody else will run it; a limit that is too short stays so. */
static int without_time(const struct run *run)
{
    if (time_for_mail(run, run->started_ms) < LEAST_MS) {
        say_log(run->host, JOBQ_LOG_ERROR,
                "no mail can be sent: the soft limit of %s leaves less than %d ms for it",
                run->job->type, LEAST_MS);
        return hold(run, "the soft limit of its type is too short to send it");
    }
    if (run->host->should_stop(run->host->ctx)) {
        run->host->set_delay(run->host->ctx, 0);
    } else {
        delay_about(run, LEAST_MS);
    }
    return say_verdict(run->host, JOBQ_SNOOZE, "no time left to send it");
}

static int send_mail(struct run *run)
{
    struct mail *mail = run->mail;
    const struct options *o = &mail->options;
    struct smtp_result result;
    uint64_t ticket = 0;
    int64_t timeout_ms = time_for_mail(run, now_us() / 1000);
    int64_t wait_us;

    if (timeout_ms < LEAST_MS || run->host->should_stop(run->host->ctx)) {
        return without_time(run);
    }
    wait_us = brake_ask(mail->brake, timeout_ms * 1000, now_us(), &ticket);
    if (wait_us > 0) {
        return rest(run, wait_us);
    }
    wait_us = o->rate_interval_us ? rate_take(&mail->rate, o->rate_interval_us, now_us()) : 0;
    if (wait_us > 0) {
        run->host->set_delay(run->host->ctx, (wait_us + 999) / 1000);
        return say_verdict(run->host, JOBQ_SNOOZE, "mail.rate is reached");
    }
    if (!smtp_send(mail->smtp, o->from.addr, run->to.addr, run->message.data, run->message.len,
                   timeout_ms, &result)) {
        return say_verdict(
            run->host, JOBQ_DEAD,
            "the address of user %s: a blank or < > within it is not sent to a server",
            run->facts.user_id);
    }
    return judge(run, &result, ticket);
}

static int make_and_send(struct run *run)
{
    struct mail *mail = run->mail;
    const struct compose c = {
        .options = &mail->options,
        .facts = &run->facts,
        .templates = mail->templates,
        .type = run->job->type,
        .is_040 = mail->store.version == FORUM_040,
        .date_ms = run->job->enqueued_ms,
    };
    struct mail_fault why = {.kind = MAIL_FAULT_NONE};
    bool is_sent = false;

    compose_id(&c, run->id);
    if (!store_is_sent(&mail->store, run->conn, run->id, &is_sent, &run->failure)) {
        return refuse_statement(run);
    }
    if (is_sent) {
        return say_verdict(run->host, JOBQ_DONE, "skipped: it was accepted before");
    }
    if (!compose_message(&c, run->id, &run->to, &run->message, &why)) {
        return refuse_message(run, &why);
    }
    return send_mail(run);
}

static int load_and_send(struct run *run)
{
    switch (store_load(&run->mail->store, run->conn, &run->request, &run->facts, &run->failure)) {
    case STORE_OK:
        return make_and_send(run);
    case STORE_SKIP:
        return say_verdict(run->host, JOBQ_DONE, "skipped: %s", run->facts.skip);
    case STORE_BUSY:
        delay_about(run, BUSY_MS);
        return say_verdict(run->host, JOBQ_SNOOZE, "another run is sending this mail");
    case STORE_UNKNOWN:
        return say_verdict(run->host, JOBQ_DEAD, "%s", run->failure.text);
    default:
        return refuse_statement(run);
    }
}

static int run_mail(const jobq_job_view *job, const jobq_host *host, void *state)
{
    struct run run = {.job = job, .host = host, .mail = state, .started_ms = now_us() / 1000};
    int64_t wait_us;
    int verdict;

    if (!read_request(&run)) {
        return JOBQ_DEAD;
    }
    if (!run.mail->options.enabled) {
        return hold(&run, "mails are switched off by mail.enabled");
    }
    wait_us = brake_look(run.mail->brake, run.mail->options.deadline_ms * 1000, now_us());
    if (wait_us > 0) {
        return rest(&run, wait_us);
    }
    run.conn = host->pg(host->ctx);
    if (!run.conn) {
        return say_verdict(run.host, JOBQ_SNOOZE, "no connection to PostgreSQL");
    }
    bytes_init(&run.message, MESSAGE_MAX);
    verdict = load_and_send(&run);
    store_leave(run.conn);
    bytes_done(&run.message);
    store_facts_done(&run.facts);
    return verdict;
}

/* ---- life ---- */

static void stop(void *state)
{
    struct mail *mail = state;

    if (mail) {
        smtp_free(mail->smtp);
        template_set_free(mail->templates);
        free(mail);
    }
}

static int refuse_start(const jobq_host *host, struct mail *mail, const char *why)
{
    host->log(host->ctx, JOBQ_LOG_ERROR, why);
    stop(mail);
    return -1;
}

static _Atomic uint64_t *find_cell(const jobq_host *host, const char *name, _Atomic uint64_t *own)
{
    uint64_t *shared = NULL;

    if (host->size >= offsetof(jobq_host, cell) + sizeof(host->cell) && host->cell) {
        shared = host->cell(host->ctx, name);
    }
    return shared ? (_Atomic uint64_t *)shared : own;
}

static int start(const jobq_host *host, void **state)
{
    struct mail *mail = calloc(1, sizeof(*mail));
    char shipped[PATH_MAX];
    char text[512];

    if (!mail || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return refuse_start(host, mail, "mail: out of memory");
    }
    if (!options_read(host, &mail->options, text, sizeof(text))) {
        return refuse_start(host, mail, text);
    }
    store_init(&mail->store, mail->options.schema);
    mail->rate.next = find_cell(host, "mail.rate.next", &mail->own[0]);
    mail->rate.promised = find_cell(host, "mail.rate.promised", &mail->own[1]);
    mail->brake = find_cell(host, "mail.brake", &mail->own[2]);
    template_dir_shipped(shipped, sizeof(shipped));
    mail->templates = template_set_new(mail->options.templates, shipped);
    mail->smtp = smtp_new(&mail->options.smtp);
    if (!mail->templates || !mail->smtp) {
        return refuse_start(host, mail, "mail: out of memory");
    }
    *state = mail;
    return 0;
}

static const jobq_handler handlers[] = {
    {"mail.reply", run_mail, JOBQ_HANDLER_PG | JOBQ_HANDLER_KEEPS_FDS},
    {"mail.private_thread", run_mail, JOBQ_HANDLER_PG | JOBQ_HANDLER_KEEPS_FDS},
    {NULL, NULL, 0},
};

const jobq_module jobq_module_v1 = {
    .size = sizeof(jobq_module),
    .name = "mail",
    .handlers = handlers,
    .start = start,
    .stop = stop,
};

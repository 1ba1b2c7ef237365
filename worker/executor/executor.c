/* SPDX-License-Identifier: MIT */
/*
 * executor: the loop of the process in which handlers run. See executor.h. Single thread.
 */
#include "worker/executor/executor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "worker/executor/pg_open.h"

#define RETENTION_DEFAULT_MS ((int64_t)7 * 24 * 3600 * 1000)
#define IDLE_OVERDUE_MS 60000 /* housekeeping is due even when there is always work */

void executor_log(struct executor *ex, uint32_t seq, int level, const char *text)
{
    char clean[JOBQ_HANDLER_TEXT_MAX + 1];
    size_t len = text_sanitize(text, strlen(text), clean, sizeof(clean));

    level = MAX((int)JOBQ_LOG_DEBUG, MIN((int)JOBQ_LOG_ERROR, level));
    frame_put_text(&ex->channel.out, FRAME_LOG, seq, (uint8_t)level, clean, len);
    (void)!channel_flush(&ex->channel, NULL); /* a lost supervisor is seen by the loop */
}

/* ---- start ---- */

static int map_page(struct executor *ex, int fd, jobq_err *err)
{
    struct stat st;
    void *p;

    if (fstat(fd, &st) != 0 || (size_t)st.st_size < sizeof(*ex->page))
        return error_set(err, JOBQ_EINTERNAL, "descriptor %d is not the shared page", fd);
    p = mmap(NULL, sizeof(*ex->page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return error_set(err, JOBQ_EINTERNAL, "shared page: %s", strerror(errno));
    (void)close(fd);
    ex->page = p;
    return JOBQ_OK;
}

static void report_pg(void *ctx, bool up, const char *text)
{
    struct executor *ex = ctx;
    char clean[JOBQ_HANDLER_TEXT_MAX + 1];
    size_t len = text_sanitize(text, strlen(text), clean, sizeof(clean));

    frame_put_text(&ex->channel.out, FRAME_PG, 0, up, clean, len);
    (void)!channel_flush(&ex->channel, NULL);
}

static int open_pg(struct executor *ex, jobq_err *err)
{
    unsigned flags = modules_flags(&ex->modules);
    const char *schema = settings_get(&ex->settings, "schema");
    struct pg_options options = {
        .conninfo = settings_get(&ex->settings, "postgres"),
        .schema = schema != NULL ? schema : "jobq",
        .needs_schema = (flags & (JOBQ_HANDLER_TRANSACTIONAL | JOBQ_HANDLER_MANUAL)) != 0,
        .retention_ms = settings_ms(&ex->settings, "done_retention", RETENTION_DEFAULT_MS),
        .report = report_pg,
        .ctx = ex,
    };
    int rc;

    if ((flags & JOBQ_HANDLER_PG) == 0)
        return JOBQ_OK;
    if (options.conninfo == NULL)
        return error_set(err, JOBQ_ECONFIG,
                         "a module wants PostgreSQL and \"postgres\" is not set");
    rc = pg_open_runtime(settings_get(&ex->settings, "runtime_pg"), &ex->pg_calls, err);
    return rc == JOBQ_OK ? ex->pg_calls->open(&options, &ex->pg, err) : rc;
}

static int open_modules(struct executor *ex, const struct frame *f, jobq_err *err)
{
    struct settings paths = {0}; /* the same list of strings */
    struct frame_str s;
    size_t n = 0, at = 0;
    int rc = JOBQ_OK;

    while ((rc = frame_get_strings(f, &at, &s)) == JOBQ_OK)
        n++;
    if (rc != JOBQ_ENOTFOUND)
        return error_set(err, JOBQ_EPROTO, "malformed list of modules");
    paths.strings = mem_zalloc(n + 1, sizeof(*paths.strings));
    if (paths.strings == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for %zu modules", n);
    rc = JOBQ_OK;
    for (at = 0; rc == JOBQ_OK && frame_get_strings(f, &at, &s) == JOBQ_OK; paths.count++) {
        paths.strings[paths.count] = mem_strndup(s.bytes, s.len);
        if (paths.strings[paths.count] == NULL)
            rc = error_set(err, JOBQ_ENOMEM, "no memory for %zu modules", n);
    }
    if (rc == JOBQ_OK)
        rc = modules_open(&ex->modules, (const char *const *)paths.strings, n, err);
    for (size_t i = 0; i < n; i++)
        mem_free(paths.strings[i]);
    mem_free(paths.strings);
    return rc;
}

static int say_ready(struct executor *ex, jobq_err *err)
{
    size_t n = ex->modules.handler_count;
    struct frame_type *types = mem_zalloc(n + 1, sizeof(*types));
    int rc;

    if (types == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for the types");
    for (size_t i = 0; i < n; i++) {
        const struct handler *h = &ex->modules.handlers[i];

        types[i] = (struct frame_type){{h->type, strlen(h->type)}, h->flags};
    }
    frame_put_ready(&ex->channel.out, types, n);
    rc = channel_flush(&ex->channel, err);
    mem_free(types);
    return rc;
}

static int start(struct executor *ex, const struct frame *f, jobq_err *err)
{
    int rc = open_modules(ex, f, err);

    if (rc != JOBQ_OK)
        return rc;
    ex->max_payload_bytes =
        (size_t)settings_bytes(&ex->settings, "max_payload", (int64_t)JOBQ_PAYLOAD_DEFAULT_MAX);
    rc = open_pg(ex, err);
    if (rc == JOBQ_OK)
        rc = modules_start(&ex->modules, &ex->run.host, host_last_error, err);
    if (rc == JOBQ_OK)
        rc = tidy_snapshot(&ex->tidy, err);
    return rc == JOBQ_OK ? say_ready(ex, err) : rc;
}

static int next_frame(struct executor *ex, struct frame *f, jobq_err *err)
{
    int rc;

    while ((rc = channel_next(&ex->channel, f, err)) == JOBQ_ENOTFOUND) {
        rc = channel_fill(&ex->channel, true, err);
        if (rc != JOBQ_OK)
            return rc;
    }
    return rc;
}

/* CONFIG, START. JOBQ_ENOTFOUND: told to go before it began. */
static int be_started(struct executor *ex, jobq_err *err)
{
    struct frame f;
    int rc = next_frame(ex, &f, err);

    if (rc == JOBQ_OK && f.kind == FRAME_CONFIG) {
        rc = settings_read(&ex->settings, &f, err);
        if (rc == JOBQ_OK)
            rc = next_frame(ex, &f, err);
    }
    if (rc != JOBQ_OK)
        return rc;
    if (f.kind == FRAME_DRAIN)
        return JOBQ_ENOTFOUND;
    if (f.kind != FRAME_START)
        return error_set(err, JOBQ_EPROTO, "a frame of kind %d before the start", (int)f.kind);
    return start(ex, &f, err);
}

/* ---- work ---- */

/* JOBQ_ENOTFOUND: drained. *worked: a job was handed over. */
static int handle(struct executor *ex, const struct frame *f, bool *worked, jobq_err *err)
{
    switch (f->kind) {
    case FRAME_JOB:
        *worked = true;
        return run_job(&ex->run, f, err);
    case FRAME_SENT:
        if (f->len != sizeof(jobq_id))
            return error_set(err, JOBQ_EPROTO, "malformed id of a parent");
        if (ex->pg != NULL)
            ex->pg_calls->sent(ex->pg, f->body);
        return JOBQ_OK;
    case FRAME_DRAIN:
        ex->draining = true;
        return JOBQ_ENOTFOUND;
    default:
        return error_set(err, JOBQ_EPROTO, "a frame of kind %d while working", (int)f->kind);
    }
}

static int say_idle(struct executor *ex, jobq_err *err)
{
    frame_put(&ex->channel.out, FRAME_IDLE, 0, NULL, 0);
    return channel_flush(&ex->channel, err);
}

/* Waits for the supervisor, and meanwhile looks after the database. */
static int wait_for_work(struct executor *ex, jobq_err *err)
{
    while (ex->pg != NULL) {
        int64_t wait_ms = ex->pg_calls->idle(ex->pg);
        struct pollfd fds[2] = {{.fd = ex->channel.fd, .events = POLLIN},
                                {.fd = ex->pg_calls->fd(ex->pg), .events = POLLIN}};

        if (poll(fds, 2, (int)MIN(wait_ms, (int64_t)60000)) > 0 && fds[0].revents != 0)
            break;
    }
    return channel_fill(&ex->channel, true, err);
}

static int work(struct executor *ex, jobq_err *err)
{
    int64_t idle_ms = clock_mono_ms();
    bool worked = false;
    struct frame f;
    int rc;

    for (;;) {
        rc = channel_next(&ex->channel, &f, err);
        if (rc == JOBQ_OK)
            rc = handle(ex, &f, &worked, err);
        else if (rc == JOBQ_ENOTFOUND) {
            rc = worked ? say_idle(ex, err) : JOBQ_OK;
            worked = false;
            if (rc == JOBQ_OK)
                rc = wait_for_work(ex, err);
            idle_ms = ex->run.started_ms;
        }
        if (rc != JOBQ_OK)
            return rc;
        if (ex->pg != NULL && ex->run.started_ms - idle_ms > IDLE_OVERDUE_MS) {
            (void)ex->pg_calls->idle(ex->pg);
            idle_ms = ex->run.started_ms;
        }
    }
}

/* ---- end ---- */

static void tell_failed(struct executor *ex, const jobq_err *why)
{
    char text[sizeof(why->msg)];
    size_t len = text_sanitize(why->msg, strlen(why->msg), text, sizeof(text));

    frame_put_string(&ex->channel.out, FRAME_FAILED, 0, text, len);
    (void)!channel_flush(&ex->channel, NULL);
}

static int exit_status(struct executor *ex, int rc, const jobq_err *why)
{
    switch (rc) {
    case JOBQ_ENOTFOUND: /* drained */
    case JOBQ_ECONN:     /* jobd is gone */
        return EXECUTOR_EXIT_OK;
    case JOBQ_ECONFIG:
        tell_failed(ex, why);
        return EXECUTOR_EXIT_CONFIG;
    default:
        executor_log(ex, 0, JOBQ_LOG_ERROR, why->msg);
        return EXECUTOR_EXIT_BUG;
    }
}

static void finish(struct executor *ex)
{
    modules_stop(&ex->modules);
    if (ex->pg_calls != NULL)
        ex->pg_calls->close(ex->pg);
    tidy_done(&ex->tidy);
    modules_done(&ex->modules);
    run_done(&ex->run);
    settings_done(&ex->settings);
    channel_done(&ex->channel);
    if (ex->page != NULL)
        (void)munmap(ex->page, sizeof(*ex->page));
}

int executor_run(int socket_fd, int page_fd, int cells_fd)
{
    static struct executor ex;
    jobq_err err = {0};
    int rc, status;

    ex.tidy = (struct tidy){.cwd_fd = -1, .runtime_fd = -1};
    channel_init(&ex.channel, socket_fd);
    run_init(&ex.run, &ex);
    tidy_prepare();
    (void)fcntl(socket_fd, F_SETFD, FD_CLOEXEC);
    ex.cells = cells_map(cells_fd);
    rc = map_page(&ex, page_fd, &err);
    if (rc == JOBQ_OK)
        rc = run_catch_signals(&err);
    if (rc == JOBQ_OK)
        rc = be_started(&ex, &err);
    if (rc == JOBQ_OK)
        rc = work(&ex, &err);
    status = exit_status(&ex, rc, &err);
    finish(&ex);
    return status;
}
